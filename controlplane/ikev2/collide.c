// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Exchanges of both sides that meet (RFC 7296 2.8.1, 2.25.1): whose new SA stays, and child SAs that are
// made anew because a rekeying found the old one gone.
#include "controlplane/exchange.h"
#include "controlplane/ikev2/create_child.h"

#define ANEW_MIN_NS (500 * NS_PER_MS)
#define ANEW_TRIES  7 // until the pause between two is no longer doubled

// ---- two rekeyings of one SA -----------------------------------------------------------------

struct ike_create *ike_create_sent(const struct ike_sa *sa)
{
	const struct ike_exchange *x = sa->out_progress;
	if (!x || x->type != IKEV2_EXCHANGE_CREATE_CHILD_SA ||
		(x->phase != IKE_PHASE_SENT && x->phase != IKE_PHASE_RESPONSE))
		return NULL;
	return x->state;
}

// RFC 7296 2.8.1: "an octet-by-octet comparison (instead of, for instance, comparing the nonces as
// large integers) [...] If you reach the end of one nonce, that nonce is the lower one."
static int compare(struct view a, struct view b)
{
	int order = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);
	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static struct view lower(const struct ike_child_terms *t)
{
	return compare(t->nonce_i, t->nonce_r) < 0 ? t->nonce_i : t->nonce_r;
}

void ike_rival_note(struct ike_create *ours, const struct ike_child_terms *theirs, uint32_t spi_in)
{
	struct view low = lower(theirs);
	ours->rival.met = true;
	ours->rival.spi_in = spi_in;
	ours->rival.nonce_len = low.len; // the parser has let through IKEV2_NONCE_MAX at most
	memcpy(ours->rival.nonce, low.p, low.len);
}

bool ike_rival_prevails(const struct ike_create *ours)
{
	struct view theirs = {ours->rival.nonce, ours->rival.nonce_len};
	return ours->rival.met && compare(lower(&ours->terms), theirs) < 0;
}

// ---- a DELETE that overtakes the response ----------------------------------------------------

void ike_create_gone(struct ike_sa *sa, uint32_t spi_out)
{
	struct ike_create *c = ike_create_sent(sa);
	if (c && c->gone_count < CREATE_GONE_MAX)
		c->gone[c->gone_count++] = spi_out;
}

bool ike_create_is_gone(const struct ike_create *c, uint32_t spi_out)
{
	for (uint8_t i = 0; i < c->gone_count; i++)
		if (c->gone[i] == spi_out)
			return true;
	return false;
}

// ---- anew ------------------------------------------------------------------------------------

static bool has_child(const struct ike_session *s, const struct cfg_child *conf)
{
	const struct ike_child *c;
	LIST_FOREACH (c, &s->children, link)
		if (c->conf == conf &&
			(c->state == IKE_CHILD_INSTALLING || c->state == IKE_CHILD_READY ||
				c->state == IKE_CHILD_ACTIVE))
			return true;
	return false;
}

static void anew_fire(struct wheel_timer *t, void *arg);

static void anew_wait(struct ike_session *s)
{
	struct ike_engine *e = s->engine;
	uint64_t ns = ANEW_MIN_NS << s->anew_tries;
	wheel_set(&e->wheel, &s->anew, e->now_ns + ns / 2 + random_u64(e->p.random) % ns, anew_fire,
		s);
	if (s->anew_tries < ANEW_TRIES)
		s->anew_tries++;
}

static void anew_fire(struct wheel_timer *t, void *arg)
{
	struct ike_session *s = arg;
	uint64_t wanted = s->anew_children, more = s->anew_more;
	if (!ike_may_begin(s)) {
		s->anew_children = s->anew_more = 0;
		return;
	}
	// What is under way may be just what is missing, or what stands against it.
	if (s->sa->state != IKE_SA_ESTABLISHED || s->sa->out_progress || s->rekeying) {
		anew_wait(s);
		return;
	}
	s->anew_children = s->anew_more = 0;
	for (size_t i = 0; i < s->conn->child_count && i < 64; i++) {
		const struct cfg_child *conf = &s->conn->children[i];
		if (more >> i & 1 || (wanted >> i & 1 && !has_child(s, conf)))
			(void)ike_child_add(s->sa, conf); // without memory there is none
	}
}

// 0: it is not one of the connection's.
static uint64_t bit_of(const struct ike_session *s, const struct cfg_child *conf)
{
	size_t i = (size_t)(conf - s->conn->children);
	return i < s->conn->child_count && i < 64 ? 1ull << i : 0;
}

void ike_child_again(struct ike_session *s, const struct cfg_child *conf)
{
	s->anew_more |= bit_of(s, conf);
	ike_child_anew(s, conf, false);
}

void ike_child_anew(struct ike_session *s, const struct cfg_child *conf, bool soon)
{
	struct ike_engine *e = s->engine;
	s->anew_children |= bit_of(s, conf);
	if (!s->anew_children || !ike_may_begin(s))
		return;
	if (soon)
		wheel_set(&e->wheel, &s->anew, e->now_ns, anew_fire, s);
	else if (!s->anew.set)
		anew_wait(s);
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKE SAs: birth, state, timers, end.
#include "controlplane/exchange.h"
#include "controlplane/ikev1/ikev1.h"
#include "controlplane/ikev2/extension.h"
#include "controlplane/ikev2/mobike.h"
#include "controlplane/owners.h"
#include "controlplane/session.h"

#include <assert.h>
#include <inttypes.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

LOG_SUBSYSTEM("ike");

static const char *const state_names[] = {
#define X(name, text) text,
	IKE_SA_STATES(X)
#undef X
};

uint64_t ike_sa_our_spi(const struct ike_sa *sa)
{
	return sa->initiator ? sa->spi_i : sa->spi_r;
}

struct ike_sa *ike_sa_find(struct ike_engine *e, uint64_t our_spi)
{
	// Our SPIs are random, so they are their own hash.
	struct htab_node *n = htab_first(&e->sas_by_spi, our_spi);
	return n ? container_of(n, struct ike_sa, by_spi) : NULL;
}

struct ike_sa *ike_sa_by_spi(struct ike_engine *e, uint64_t our_spi)
{
	struct ike_sa *sa = ike_sa_find(e, our_spi);
	return sa && sa->state != IKE_SA_DEAD ? sa : NULL;
}

const char *ike_sa_text(const struct ike_sa *sa, char buf[static IKE_SA_TEXT_MAX])
{
	char peer[EP_TEXT_MAX];
	snprintf(buf, IKE_SA_TEXT_MAX, "%016" PRIx64 "_%016" PRIx64 " %s", sa->spi_i, sa->spi_r,
		endpoint_text(&sa->remote, peer));
	return buf;
}

// The node stands in the first four bits, so that headends behind one address can be told apart.
static uint64_t spi_draw(struct ike_engine *e)
{
	uint64_t spi;
	do {
		spi = random_u64(e->p.random) >> 4 | (uint64_t)e->p.cfg->main.node_id << 60;
	} while (spi == 0 || ike_sa_find(e, spi));
	return spi;
}

// Whose datagrams do not stand in line with those of strangers. A responder's SPI is known once the
// IKE SA is established: before, anybody can get one by IKE_SA_INIT (a cookie proves an address, not
// who has it) and then fill that line with it. Where we are the initiator the SPI is known at once:
// nobody but the peer that we called has seen it, and its answer must get through a flood. An IKE SA
// that has ended stays known as long as it can still repeat its last response.
static void spi_known_set(struct ike_sa *sa, bool known)
{
	const struct sa_sink *sink = sa->engine->p.sink;
	if (sa->spi_known == known)
		return;
	sa->spi_known = known;
	sink->ike_spi(sink->ctx, ike_sa_our_spi(sa), known);
}

void ike_sa_spi_known(struct ike_sa *sa)
{
	spi_known_set(sa, true);
}

struct ike_sa *ike_sa_new(struct ike_engine *e, uint8_t version, bool initiator)
{
	struct ike_sa *sa = calloc(1, sizeof(*sa));
	if (!sa)
		return NULL;
	sa->engine = e;
	sa->version = version;
	if (version == IKE_MAJOR_1 && ikev1_sa_init(sa) < 0) {
		free(sa);
		return NULL;
	}
	sa->initiator = initiator;
	sa->created_ns = e->now_ns;
	sa->last_heard_ns = e->now_ns;
	TAILQ_INIT(&sa->tasks);
	uint64_t spi = spi_draw(e);
	*(initiator ? &sa->spi_i : &sa->spi_r) = spi;
	htab_insert(&e->sas_by_spi, &sa->by_spi, spi);
	LIST_INSERT_HEAD(&e->all_sas, sa, all);
	e->sa_count++;
	spi_known_set(sa, initiator);
	return sa;
}

void ike_sa_state_set(struct ike_sa *sa, enum ike_sa_state s)
{
	char text[IKE_SA_TEXT_MAX];
	if (sa->state == s)
		return;
	assert(ike_transition_allowed(sa->state, s));
	log_debug("%s %s -> %s", ike_sa_text(sa, text), state_names[sa->state], state_names[s]);
	sa->state = s;
}

enum ike_crypto_error ike_sa_keys(struct ike_sa *sa, struct view shared, const struct ike_sa *old)
{
	struct ike_keys_input in = {.suite = &sa->suite,
		.shared = shared,
		.ni = secret_view(&sa->nonce_i),
		.nr = secret_view(&sa->nonce_r),
		.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.old_sk_d = old ? &old->keys.sk_d : NULL,
		.old_prf = old ? old->suite.prf : 0};
	ike_keys_fini(&sa->keys);
	sa->has_keys = false;
	enum ike_crypto_error err = ike_keys_derive(&in, &sa->keys);
	if (err == IKE_CRYPTO_OK)
		err = ike_crypt_init(&sa->crypt, &sa->suite, &sa->keys, sa->initiator);
	sa->has_keys = err == IKE_CRYPTO_OK;
	return err;
}

// ---- timers of an established IKE SA ----

static void hard_lifetime(struct wheel_timer *t, void *arg)
{
	struct ike_sa *sa = arg;
	ike_refused(sa->engine, sa, &sa->remote, IKE_REASON_HARD_LIFETIME);
	if (ikev1_is(sa))
		ikev1_sa_expire(sa, IKE_REASON_HARD_LIFETIME, true);
	else if (ikev2_delete_ike_sa(sa) < 0 && sa->state != IKE_SA_DELETING)
		ike_sa_close(sa, IKE_REASON_HARD_LIFETIME);
}

// ESP from the peer proves that it lives as well as a message does (RFC 7296 2.4).
uint64_t ike_sa_last_sign(const struct ike_sa *sa)
{
	const struct sa_sink *sink = sa->engine->p.sink;
	uint64_t last = sa->last_heard_ns;
	struct ike_child *c;
	if (!sa->session)
		return last;
	LIST_FOREACH (c, &sa->session->children, link) {
		struct sa_counters n;
		if (sink->sa_stats(sink->ctx, c->spi_in, SA_IN, &n) && n.last_used_ns > last)
			last = n.last_used_ns;
	}
	return last;
}

static void dpd_due(struct wheel_timer *t, void *arg)
{
	struct ike_sa *sa = arg;
	struct ike_engine *e = sa->engine;
	uint64_t delay = sa->conn->dpd.delay_s * NS_PER_S;
	uint64_t due = ike_sa_last_sign(sa) + delay;
	if (due <= e->now_ns) {
		if (sa->state == IKE_SA_ESTABLISHED)
			(void)ike_sa_probe(sa); // an exchange under way serves as well
		due = e->now_ns + delay;
	}
	wheel_set(&e->wheel, &sa->dpd, due, dpd_due, sa);
}

static void keepalive_due(struct wheel_timer *t, void *arg)
{
	struct ike_sa *sa = arg;
	struct ike_engine *e = sa->engine;
	struct ike_datagram to = ike_sa_path(sa);
	ike_send(e, &to, (struct view){(const uint8_t[]){0xff}, 1});
	wheel_set(&e->wheel, &sa->keepalive, e->now_ns + IKE_KEEPALIVE_NS, keepalive_due, sa);
}

static void half_open_timeout(struct wheel_timer *t, void *arg)
{
	struct ike_sa *sa = arg;
	ike_refused(sa->engine, sa, &sa->remote, IKE_REASON_HALF_OPEN_TIMEOUT);
	ike_sa_close(sa, IKE_REASON_HALF_OPEN_TIMEOUT);
}

uint64_t ike_init_key(const struct ike_engine *e, const struct ike_datagram *d, uint64_t peer_spi)
{
	uint8_t source[8 + sizeof(struct endpoint)] = {0};
	struct wr w = wr_of(source, sizeof(source));
	wr_u64(&w, peer_spi);
	wr_bytes(&w, &d->remote.addr, sizeof(d->remote.addr));
	wr_u16(&w, d->remote.port);
	return siphash(e->hash_key, source, w.len);
}

struct ike_sa *ike_sa_by_init(struct ike_engine *e, uint64_t key, uint64_t peer_spi)
{
	struct htab_node *n = htab_first(&e->sas_by_init, key);
	while (n && container_of(n, struct ike_sa, by_init)->spi_i != peer_spi)
		n = htab_next(n);
	return n ? container_of(n, struct ike_sa, by_init) : NULL;
}

void ike_sa_half_open(struct ike_sa *sa, const struct ike_datagram *d, uint64_t key)
{
	struct ike_engine *e = sa->engine;
	sa->local = d->local;
	sa->remote = d->remote;
	sa->origin = d->origin;
	sa->floated = d->local.port == IKE_NAT_T_PORT;
	sa->source_slot = ike_source_slot(e, &d->remote.addr);
	sa->half_open = true;
	ike_half_open_count(e, sa->version, sa->source_slot, 1);
	htab_insert(&e->sas_by_init, &sa->by_init, key);
	sa->in_init_table = true;
	wheel_set(&e->wheel, &sa->life, e->now_ns + e->p.cfg->main.half_open_timeout_s * NS_PER_S,
		half_open_timeout, sa);
}

static void not_half_open(struct ike_sa *sa)
{
	struct ike_engine *e = sa->engine;
	if (sa->half_open)
		ike_half_open_count(e, sa->version, sa->source_slot, -1);
	sa->half_open = false;
	if (sa->in_init_table)
		htab_remove(&e->sas_by_init, &sa->by_init);
	sa->in_init_table = false;
}

static void forget_init(struct ike_sa *sa)
{
	secret_fini(&sa->init_i);
	secret_fini(&sa->init_r);
	secret_fini(&sa->nonce_i);
	secret_fini(&sa->nonce_r);
	secret_fini(&sa->cookie);
	ike_dh_free(sa->dh);
	sa->dh = NULL;
}

#define GRACE_MAX_S 30

// Until the hard lifetime: IKEv1 peers may have agreed on less.
static uint32_t hard_lifetime_s(const struct ike_sa *sa)
{
	uint32_t ours = sa->conn->lifetime.ike_hard_s;
	uint32_t agreed = ikev1_is(sa) ? sa->v1->life_s : 0;
	return agreed && (!ours || agreed < ours) ? agreed : ours;
}

// What an IKEv1 peer was told is when it has to be back: who comes at the last moment gets through.
uint32_t ike_sa_grace_s(uint32_t life_s)
{
	return life_s / 10 < GRACE_MAX_S ? life_s / 10 : GRACE_MAX_S;
}

void ike_sa_keepalive(struct ike_sa *sa)
{
	struct ike_engine *e = sa->engine;
	bool wanted = sa->nat_local &&
		      (sa->floated || (ikev1_is(sa) && sa->v1->natt == IKEV1_NATT_DRAFT_00));
	if (!wanted)
		wheel_cancel(&e->wheel, &sa->keepalive);
	else if (!sa->keepalive.set)
		wheel_set(
			&e->wheel, &sa->keepalive, e->now_ns + IKE_KEEPALIVE_NS, keepalive_due, sa);
}

static void watch_peer(struct ike_sa *sa)
{
	struct ike_engine *e = sa->engine;
	if (sa->conn->dpd.delay_s)
		wheel_set(&e->wheel, &sa->dpd, e->now_ns + sa->conn->dpd.delay_s * NS_PER_S,
			dpd_due, sa);
	ike_sa_keepalive(sa);
}

void ike_sa_rest(struct ike_sa *sa)
{
	struct ike_engine *e = sa->engine;
	wheel_cancel(&e->wheel, &sa->soft);
	wheel_cancel(&e->wheel, &sa->dpd);
	wheel_cancel(&e->wheel, &sa->keepalive);
}

void ike_sa_resume(struct ike_sa *sa, uint64_t life_ns)
{
	struct ike_engine *e = sa->engine;
	wheel_cancel(&e->wheel, &sa->life);
	if (life_ns)
		wheel_set(&e->wheel, &sa->life, life_ns, hard_lifetime, sa);
	uint64_t soft_ns = sa->conn->lifetime.ike_rekey_s * NS_PER_S;
	if (e->now_ns - sa->established_ns < soft_ns / 2)
		ike_sa_soft_start(sa);
	else
		ike_sa_rekey_failed(sa, soft_ns && !sa->conn->responder_only);
	watch_peer(sa);
}

static void life_begin(struct ike_sa *sa)
{
	struct ike_engine *e = sa->engine;
	uint32_t life_s = hard_lifetime_s(sa);
	uint32_t grace_s = ikev1_is(sa) ? ike_sa_grace_s(life_s) : 0;
	uint64_t due = sa->established_ns + (life_s + grace_s) * NS_PER_S;
	// Of what is told late there may be nothing left.
	uint64_t soonest = e->now_ns + (life_s < GRACE_MAX_S ? life_s : GRACE_MAX_S) * NS_PER_S;
	wheel_cancel(&e->wheel, &sa->life);
	if (life_s)
		wheel_set(&e->wheel, &sa->life, due > soonest ? due : soonest, hard_lifetime, sa);
}

void ike_sa_shortened(struct ike_sa *sa)
{
	life_begin(sa);
	if (sa->soft.set)
		ike_sa_soft_start(sa);
}

void ike_sa_established(struct ike_sa *sa)
{
	struct ike_engine *e = sa->engine;
	ike_sa_state_set(sa, IKE_SA_ESTABLISHED);
	spi_known_set(sa, true);
	ike_count(e, IKE_REASON_ESTABLISHED);
	not_half_open(sa);
	forget_init(sa);
	sa->established_ns = e->now_ns;
	sa->last_heard_ns = e->now_ns;
	life_begin(sa);
	ike_sa_soft_start(sa);
	watch_peer(sa);
}

void ike_sa_heard(struct ike_sa *sa, const struct ike_datagram *d)
{
	struct ike_engine *e = sa->engine;
	sa->last_heard_ns = e->now_ns;
	if (sa->mobike) {
		ikev2_mobike_heard(sa, d);
		return;
	}
	if (endpoint_eq(&sa->remote, &d->remote) && endpoint_eq(&sa->local, &d->local)) {
		sa->origin = d->origin;
		return;
	}
	// RFC 7296 2.23: a host behind a NAT may get another mapping at any time; who is not behind
	// one has no reason to move, but until the IKE SA is established it may change to port 4500.
	if (!sa->nat_remote && sa->state >= IKE_SA_ESTABLISHED)
		return;
	sa->remote = d->remote;
	sa->local = d->local;
	sa->origin = d->origin;
	sa->floated = d->local.port == IKE_NAT_T_PORT;
	if (!sa->session || sa->session->sa != sa)
		return;
	if (sa->state == IKE_SA_ESTABLISHED)
		ike_session_moved(sa->session);
	else
		ike_owner_moved(sa->session);
}

// ---- end ----

static void wipe(struct ike_sa *sa)
{
	forget_init(sa);
	if (sa->v1)
		ikev1_sa_forget(sa);
	ike_keys_fini(&sa->keys);
	secret_wipe(&sa->crypt, sizeof(sa->crypt));
	sa->has_keys = false;
}

void ike_sa_free(struct ike_sa *sa)
{
	struct ike_engine *e = sa->engine;
	spi_known_set(sa, false);
	htab_remove(&e->sas_by_spi, &sa->by_spi);
	wheel_cancel(&e->wheel, &sa->life);
	ike_sent_free(sa->last_response);
	ikev2_extensions_release(sa);
	wipe(sa);
	if (sa->v1)
		ikev1_sa_free(sa);
	free(sa);
}

static void stop(struct ike_sa *sa)
{
	struct ike_engine *e = sa->engine;
	wheel_cancel(&e->wheel, &sa->retransmit);
	wheel_cancel(&e->wheel, &sa->life);
	wheel_cancel(&e->wheel, &sa->soft);
	wheel_cancel(&e->wheel, &sa->reauth);
	wheel_cancel(&e->wheel, &sa->dpd);
	wheel_cancel(&e->wheel, &sa->keepalive);
	if (sa->in_progress && sa->in_progress != e->running)
		ike_exchange_end(sa->in_progress);
	if (sa->out_progress && sa->out_progress != e->running)
		ike_exchange_end(sa->out_progress);
	if (sa->v1)
		ikev1_sa_stop(sa);
	ike_tasks_drop(sa);
	ike_fragments_drop(sa);
	ike_sent_free(sa->request);
	sa->request = NULL;
	ike_sa_end_forget(sa);
	if (sa->has_work)
		TAILQ_REMOVE(&e->work, sa, work);
	sa->has_work = false;
}

void ike_sa_expired(struct ike_sa *sa)
{
	bool keepalive = sa->keepalive.set; // ESP still needs the NAT's mapping
	bool ends_later = sa->ends_later;
	ike_sa_state_set(sa, IKE_SA_EXPIRED);
	stop(sa);
	wipe(sa);
	spi_known_set(sa, false);
	if (keepalive)
		keepalive_due(&sa->keepalive, sa);
	if (ends_later)
		ike_sa_end_later(sa);
}

void ike_sa_close(struct ike_sa *sa, enum ike_reason why)
{
	struct ike_engine *e = sa->engine;
	char text[IKE_SA_TEXT_MAX];
	if (sa->state == IKE_SA_DEAD)
		return;
	if (sa->rival)
		ikev2_rival_close(sa);
	bool was_up = sa->state >= IKE_SA_ESTABLISHED;
	ike_sa_state_set(sa, IKE_SA_DEAD);
	if (was_up)
		log_notice("%s IKE SA over: %s", ike_sa_text(sa, text), ike_reason_text(why));
	not_half_open(sa);
	stop(sa);
	wipe(sa);
	LIST_REMOVE(sa, all);
	LIST_INSERT_HEAD(&e->dead, sa, all);
	e->sa_count--;
	struct ike_session *s = sa->session;
	sa->session = NULL;
	if (s)
		ike_session_sa_gone(s, sa, why);
}

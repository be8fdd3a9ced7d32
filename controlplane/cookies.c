// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Stateless cookies (RFC 7296 2.6) and the budgets of half-open IKE SAs.
#include "controlplane/exchange.h"

#include <stdlib.h>

#define SECRET_LEN        16
#define ROTATE_NS         (60 * NS_PER_S) // a cookie is good for 60 to 120 s
#define CALM_NS           (10 * NS_PER_S) // below the threshold for so long: no more cookies
#define SOURCE_SLOTS      4096            // sources that fall together share a budget
#define SOURCE_UNPROVEN   8               // half-open IKE SAs of one source without a cookie
#define SOURCE_PROVEN_DIV 2               // one source may have this part of all half-open IKE SAs
#define SOURCE_IKEV1_DIV  4               // the same with IKEv1, where no source is proven

struct ike_cookies {
	uint8_t secret[2][2 * SECRET_LEN]; // by the generation's lowest bit
	uint8_t generation;
	uint64_t rotated_ns;
	bool on;
	uint64_t busy_ns; // when the threshold was last met
	uint32_t per_source[SOURCE_SLOTS], per_source_ikev1[SOURCE_SLOTS];
};

struct ike_cookies *ike_cookies_new(struct ike_engine *e)
{
	struct ike_cookies *c = calloc(1, sizeof(*c));
	if (c) {
		random_fill(e->p.random, c->secret, sizeof(c->secret));
		c->rotated_ns = e->now_ns;
	}
	return c;
}

void ike_cookies_free(struct ike_cookies *c)
{
	if (c)
		secret_wipe(c, sizeof(*c));
	free(c);
}

uint16_t ike_source_slot(const struct ike_engine *e, const struct ip_addr *source)
{
	size_t len = source->family == IP_V6 ? 8 : 4;
	uint8_t key[9] = {source->family};
	memcpy(key + 1, source->bytes, len);
	return (uint16_t)(siphash(e->hash_key, key, 1 + len) % SOURCE_SLOTS);
}

void ike_half_open_count(struct ike_engine *e, uint8_t version, uint16_t slot, int delta)
{
	bool old = version == IKE_MAJOR_1;
	uint64_t *all = old ? &e->half_open_ikev1 : &e->half_open;
	uint32_t *one = old ? &e->cookies->per_source_ikev1[slot] : &e->cookies->per_source[slot];
	*all += delta > 0 ? 1 : -1;
	*one += delta > 0 ? 1 : -1;
}

// Cookies stay on for a while after the flood: a cookie is part of the message that AUTH covers,
// so asking now and then not would break those that are in between.
static bool flood(struct ike_engine *e)
{
	struct ike_cookies *c = e->cookies;
	if (e->half_open >= e->p.cfg->main.cookie_threshold) {
		c->on = true;
		c->busy_ns = e->now_ns;
	} else if (c->on && e->now_ns - c->busy_ns >= CALM_NS) {
		c->on = false;
	}
	return c->on;
}

bool ike_cookie_needed(struct ike_engine *e, uint16_t slot)
{
	return flood(e) || e->cookies->per_source[slot] >= SOURCE_UNPROVEN;
}

bool ike_cookies_on(const struct ike_engine *e)
{
	const struct ike_cookies *c = e->cookies;
	return e->half_open >= e->p.cfg->main.cookie_threshold ||
	       (c->on && e->now_ns - c->busy_ns < CALM_NS);
}

enum ike_reason ike_half_open_room(const struct ike_engine *e, uint16_t slot)
{
	uint64_t max = e->p.cfg->main.half_open_max;
	if (e->half_open >= max)
		return IKE_REASON_HALF_OPEN_FULL;
	if (e->cookies->per_source[slot] >= max / SOURCE_PROVEN_DIV + 1)
		return IKE_REASON_HALF_OPEN_SOURCE;
	return IKE_REASON_NONE;
}

bool ike_half_open_ikev1(const struct ike_engine *e, const struct ip_addr *source)
{
	return e->cookies->per_source_ikev1[ike_source_slot(e, source)] > 0;
}

enum ike_reason ike_half_open_room_ikev1(const struct ike_engine *e, uint16_t slot)
{
	uint64_t max = e->p.cfg->main.half_open_max_ikev1;
	if (e->half_open_ikev1 >= max)
		return IKE_REASON_V1_HALF_OPEN_FULL;
	if (e->cookies->per_source_ikev1[slot] >= max / SOURCE_IKEV1_DIV + 1)
		return IKE_REASON_HALF_OPEN_SOURCE;
	return IKE_REASON_NONE;
}

static void rotate(struct ike_engine *e)
{
	struct ike_cookies *c = e->cookies;
	uint64_t age = e->now_ns - c->rotated_ns;
	if (age < ROTATE_NS)
		return;
	// After a long pause both are stale.
	if (age >= 2 * ROTATE_NS)
		random_fill(e->p.random, c->secret, sizeof(c->secret));
	c->generation++;
	random_fill(e->p.random, c->secret[c->generation & 1], 2 * SECRET_LEN);
	c->rotated_ns = e->now_ns;
}

// RFC 7296 2.6: Cookie = <VersionIDofSecret> | Hash(Ni | IPi | SPIi | <secret>); the port too.
static void cookie_of(const struct ike_cookies *c, uint8_t generation, const struct ike_datagram *d,
	uint64_t spi_i, struct view nonce, uint8_t out[IKE_COOKIE_LEN])
{
	uint8_t input[sizeof(struct ip_addr) + 2 + 8 + IKEV2_NONCE_MAX];
	struct wr w = wr_of(input, sizeof(input));
	wr_bytes(&w, &d->remote.addr, sizeof(d->remote.addr));
	wr_u16(&w, d->remote.port);
	wr_u64(&w, spi_i);
	wr_view(&w, nonce);
	out[0] = generation;
	for (int half = 0; half < 2; half++) {
		const uint8_t *key = c->secret[generation & 1] + half * SECRET_LEN;
		struct wr h = wr_of(out + 1 + half * 8, 8);
		wr_u64(&h, siphash(key, input, w.len));
	}
}

void ike_cookie_make(struct ike_engine *e, const struct ike_datagram *d, uint64_t spi_i,
	struct view nonce, uint8_t out[static IKE_COOKIE_LEN])
{
	rotate(e);
	cookie_of(e->cookies, e->cookies->generation, d, spi_i, nonce, out);
}

bool ike_cookie_check(struct ike_engine *e, const struct ike_datagram *d, uint64_t spi_i,
	struct view nonce, struct view cookie)
{
	uint8_t want[IKE_COOKIE_LEN];
	rotate(e);
	if (cookie.len != IKE_COOKIE_LEN)
		return false;
	uint8_t age = (uint8_t)(e->cookies->generation - cookie.p[0]);
	if (age > 1)
		return false;
	cookie_of(e->cookies, cookie.p[0], d, spi_i, nonce, want);
	return secret_equal(want, cookie.p, sizeof(want));
}

void ike_cookie_demand(struct ike_engine *e, const struct ike_datagram *d,
	const struct ike_header *h, struct view nonce)
{
	uint8_t cookie[IKE_COOKIE_LEN];
	ike_cookie_make(e, d, h->spi_i, nonce, cookie);
	ike_count(e, IKE_REASON_COOKIE_SENT);
	ike_send_notify(e, d, h, IKEV2_NOTIFY_COOKIE, (struct view){cookie, sizeof(cookie)});
}

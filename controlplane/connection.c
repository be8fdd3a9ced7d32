// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Which connection a peer gets: the most specific match of identity, then of address.
#include "controlplane/session.h"

// -1: the address is not allowed; else the length of the best prefix (0: any address).
static int address_fit(const struct cfg_connection *c, const struct ip_addr *a)
{
	int best = c->remote.address_count ? -1 : 0;
	for (size_t i = 0; i < c->remote.address_count; i++) {
		const struct ip_prefix *p = &c->remote.addresses[i];
		if (ip_prefix_contains(p, a) && p->bits + 1 > best)
			best = p->bits + 1;
	}
	return best;
}

static bool has16(const uint16_t *list, uint8_t n, uint16_t v)
{
	for (uint8_t i = 0; i < n; i++)
		if (list[i] == v)
			return true;
	return false;
}

static bool proposal_has(const struct proposal *p, const struct suite *s)
{
	bool encr = false;
	for (uint8_t i = 0; i < p->encr_count; i++) {
		const struct alg_encr *a = alg_encr(p->encr[i].id, p->encr[i].key_bits);
		const struct alg_encr *b = alg_encr(s->encr.id, s->encr.key_bits);
		encr |= a && a == b;
	}
	return encr && has16(p->prf, p->prf_count, s->prf) && has16(p->dh, p->dh_count, s->dh) &&
	       (s->integ == INTEG_NONE || has16(p->integ, p->integ_count, s->integ));
}

// The suite was negotiated before the identity was known: another connection's proposals must
// allow it too.
static bool suite_allowed(const struct cfg_connection *c, const struct suite *s)
{
	for (size_t i = 0; i < c->ike_proposal_count; i++)
		if (proposal_has(&c->ike_proposals[i], s))
			return true;
	return false;
}

static bool usable(const struct cfg_connection *c, const struct ike_match *m)
{
	if (!c->ikev2 || (m->suite && !suite_allowed(c, m->suite)))
		return false;
	if (m->auth >= 0 && (int)c->remote.auth != m->auth)
		return false;
	// RFC 7296 2.15 leaves IDr to the initiator's wish: one that names nobody here is refused.
	return !m->local_id || !c->local.id || ike_id_fit(c->local.id, *m->local_id) == 3;
}

const struct cfg_connection *ike_connection_match(const struct cfg *cfg, const struct ike_match *m)
{
	const struct cfg_connection *best = NULL;
	int best_score = -1;
	for (size_t i = 0; i < cfg->connection_count; i++) {
		const struct cfg_connection *c = &cfg->connections[i];
		int addr = address_fit(c, &m->remote->addr);
		if (addr < 0 || !usable(c, m))
			continue;
		int id = m->remote_id ? ike_id_fit(c->remote.id, *m->remote_id) : 1;
		if (id > 0 && id * 256 + addr > best_score) {
			best = c;
			best_score = id * 256 + addr;
		}
	}
	return best;
}

const struct cfg_connection *ike_connection_find(struct ike_engine *e,
	const struct endpoint *remote, const struct view *remote_id, const struct view *local_id)
{
	struct ike_match m = {
		.remote = remote, .remote_id = remote_id, .local_id = local_id, .auth = -1};
	return ike_connection_match(e->p.cfg, &m);
}

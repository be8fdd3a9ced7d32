// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Whether a connection would have agreed to a suite.
#include "controlplane/session.h"

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

bool ike_suite_allowed(const struct cfg_connection *c, const struct suite *s)
{
	for (size_t i = 0; i < c->ike_proposal_count; i++)
		if (proposal_has(&c->ike_proposals[i], s))
			return true;
	return false;
}

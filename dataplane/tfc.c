// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// RFC 4303 2.7: in tunnel mode the inner packet says how long it is, so that what is added behind it
// is not seen by who gets the packet, nor its length by who listens.
#include "dataplane/treat.h"

void dp_tfc_set(struct dp_sa *sa, const struct sa_spec *spec)
{
	struct dp_sa_cold *c = dp_sa_cold(sa);
	bool pads = spec->dir == SA_OUT && spec->mode == SA_TUNNEL && spec->tfc > 1;
	c->tfc = pads ? spec->tfc : 0;
	// Exact for lengths and multiples of up to 16 bits.
	c->tfc_inverse = pads ? (uint32_t)((1ull << 32) / spec->tfc + 1) : 0;
}

static uint32_t padded_len(const struct dp_sa_cold *c, uint32_t len)
{
	if (c->tfc == UINT16_MAX)
		return UINT16_MAX;
	uint32_t whole = (uint32_t)((uint64_t)(len + c->tfc - 1) * c->tfc_inverse >> 32);
	return whole * c->tfc;
}

void dp_tfc_pad(
	struct dp_worker *w, const struct dp_tunnel *t, struct dp_sa *sa, struct rte_mbuf *m)
{
	const struct dp_sa_cold *c = dp_sa_cold(sa);
	if (!c->tfc)
		return;
	uint32_t len = m->data_len, behind = sa->align + 2u + sa->icv_len;
	uint32_t room = rte_pktmbuf_tailroom(m);
	uint32_t want = RTE_MIN(padded_len(c, len), (uint32_t)dp_inner_mtu(t, sa));
	if (room > behind)
		want = RTE_MIN(want, len + room - behind);
	if (want <= len || room <= behind)
		return;
	memset(dp_data(m) + len, 0, want - len);
	m->data_len = (uint16_t)want;
	dp_add(&w->stats.tfc_padded, 1);
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/treat.h"

uint16_t dp_treat_bits(const struct tunnel_treatment *t)
{
	(void)t;
	return 0;
}

enum dp_drop dp_treat_out(
	struct dp_worker *w, struct dp_tunnel *t, struct dp_sa *sa, struct rte_mbuf *m)
{
	(void)w, (void)t, (void)sa, (void)m;
	return DP_DROP_NONE;
}

enum dp_drop dp_treat_in(struct dp_worker *w, struct dp_tunnel *t, struct dp_sa *sa, uint8_t *inner,
	const struct ip_info *ip)
{
	(void)w, (void)t, (void)sa, (void)inner, (void)ip;
	return DP_DROP_NONE;
}

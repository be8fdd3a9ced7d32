// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What a tunnel's packets get beside encryption (struct tunnel_treatment): one bit each, so that a
// tunnel without any pays for one test. Each treatment has a file of its own; treat.c is their order.
#pragma once

#include "dataplane/worker.h"

// The bits of dp_tunnel.treat that its treatment asks for, by direction: what dp_treat_out() and
// dp_treat_in() look at.
uint16_t dp_treat_bits(const struct tunnel_treatment *t);

// Outbound: an IP packet whose header has been checked, data at its header, that is about to be
// encrypted with sa. DP_DROP_NONE, or why it is dropped (by the caller).
enum dp_drop dp_treat_out(
	struct dp_worker *w, struct dp_tunnel *t, struct dp_sa *sa, struct rte_mbuf *m);

// Inbound: the decrypted packet, which is within sa's selectors; ip describes it.
enum dp_drop dp_treat_in(struct dp_worker *w, struct dp_tunnel *t, struct dp_sa *sa, uint8_t *inner,
	const struct ip_info *ip);

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What a tunnel's packets get beside encryption (struct tunnel_treatment): one bit each, so that a
// tunnel without any pays for one test. Each treatment has a file of its own; treat.c is their order.
#pragma once

#include "dataplane/mss.h"
#include "dataplane/worker.h"

// A worker's copy of a tunnel begins: bits, outer TOS, meters from the treatment. Path MTU, path and
// routes may change afterwards without another call.
void dp_treat_set(
	struct dp_worker *w, struct dp_tunnel *t, const struct tunnel_treatment *treatment);

// Outbound: an IP packet whose header has been checked, data at its header, that is about to be
// encrypted with sa. DP_DROP_NONE, or why it is dropped (by the caller).
enum dp_drop dp_treat_out(
	struct dp_worker *w, struct dp_tunnel *t, struct dp_sa *sa, struct rte_mbuf *m);

// Inbound: the decrypted packet, which is within sa's selectors; ip describes it.
enum dp_drop dp_treat_in(struct dp_worker *w, struct dp_tunnel *t, struct dp_sa *sa, uint8_t *inner,
	const struct ip_info *ip);

// Bytes that ESP and the outer headers add, trailer and padding not counted.
static inline uint32_t dp_overhead(const struct dp_tunnel *t, const struct dp_sa *sa)
{
	return (uint32_t)t->hdr_len + ESP_HDR_LEN + sa->iv_len + sa->icv_len;
}

// The largest inner packet that fits into the path's MTU.
static inline uint16_t dp_inner_mtu(const struct dp_tunnel *t, const struct dp_sa *sa)
{
	uint32_t room = t->mtu > dp_overhead(t, sa) ? t->mtu - dp_overhead(t, sa) : 0;
	room = RTE_ALIGN_FLOOR(room, (uint32_t)sa->align);
	return (uint16_t)(room > 2 ? room - 2 : 0);
}

// ---- ECN (ecn.c) ----

// RFC 6040 4.2 for fields that differ: dp_ecn_in().
enum dp_drop dp_ecn_merge(
	struct dp_worker *w, uint8_t *inner, const struct ip_info *ip, uint8_t outer_ecn);

// What routers between the peers marked on the outer header reaches the inner one. DP_DROP_esp_ecn:
// congestion on a packet that cannot carry it.
static inline enum dp_drop dp_ecn_in(
	struct dp_worker *w, uint8_t *inner, const struct ip_info *ip, uint8_t outer_ecn)
{
	if (likely(outer_ecn == ECN_NOT_ECT || outer_ecn == (ip->tos & ECN_MASK)))
		return DP_DROP_NONE;
	return dp_ecn_merge(w, inner, ip, outer_ecn);
}

// The MSS of TCP's SYN for the tunnel (mss.h): its own, or what the path's MTU leaves.
uint16_t dp_mss_ceiling(const struct dp_tunnel *t, const struct dp_sa *sa, uint8_t family);

// ---- Rates (police.c) ----

void dp_police_set(struct dp_worker *w, struct dp_tunnel *t);
// True: the packet is within the tunnel's rate.
bool dp_police_pass(
	struct dp_worker *w, struct dp_tunnel *t, struct dp_sa *sa, enum sa_dir dir, uint32_t len);

// ---- Traffic flow confidentiality (tfc.c) ----

// Control thread, before the SA is added.
void dp_tfc_set(struct dp_sa *sa, const struct sa_spec *spec);
// Zeros behind the inner packet, in m->data_len only: m->pkt_len goes on telling the packet's length.
void dp_tfc_pad(
	struct dp_worker *w, const struct dp_tunnel *t, struct dp_sa *sa, struct rte_mbuf *m);

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/treat.h"

#include "dataplane/policy.h"

// TFC's bit comes with the first SA that asks for it (sa_table.c).
static uint16_t bits_of(const struct tunnel_treatment *t)
{
	bool policed = t->rate_in.bytes_per_s || t->rate_out.bytes_per_s;
	return (uint16_t)((t->policy ? DP_TREAT_POLICY : 0) | (policed ? DP_TREAT_POLICE : 0) |
			  (t->mss ? DP_TREAT_MSS : 0));
}

// RFC 6040 4.1: normal mode copies the ECN field, compatibility mode clears it. RFC 2983 3: the DSCP
// is copied, or one is set for all.
static void set_tos(struct dp_tunnel *t)
{
	const struct tunnel_treatment *x = &t->treatment;
	t->tos_keep = (uint8_t)((x->dscp_set ? 0 : 0xff & ~ECN_MASK) | (x->ecn_off ? 0 : ECN_MASK));
	t->tos_set = x->dscp_set ? (uint8_t)(x->dscp << 2) : 0;
}

void dp_treat_set(
	struct dp_worker *w, struct dp_tunnel *t, const struct tunnel_treatment *treatment)
{
	t->treatment = *treatment;
	t->treat = bits_of(treatment);
	set_tos(t);
	if (t->treat & DP_TREAT_POLICE)
		dp_police_set(w, t);
}

// ---- MSS ----

uint16_t dp_mss_ceiling(const struct dp_tunnel *t, const struct dp_sa *sa, uint8_t family)
{
	// In transport mode the IP header is the outer one.
	bool within = !(sa->flags & DP_SA_TRANSPORT);
	uint16_t headers = TCP_HDR + (!within ? 0 : family == IP_V4 ? IP4_HDR : IP6_HDR);
	uint16_t floor = family == IP_V4 ? MSS_FLOOR_V4 : MSS_FLOOR_V6;
	uint16_t mss = t->treatment.mss;
	if (mss == SA_MSS_AUTO) {
		// RFC 9293 3.7.1: the size without IP and TCP options.
		uint16_t room = dp_inner_mtu(t, sa);
		mss = room > headers ? room - headers : 0;
	}
	return RTE_MAX(mss, floor);
}

static void clamp(struct dp_worker *w, const struct dp_tunnel *t, const struct dp_sa *sa,
	uint8_t *p, const struct ip_info *ip)
{
	if (ip->proto == PROTO_TCP && mss_clamp(p, ip, dp_mss_ceiling(t, sa, ip->family)))
		dp_add(&w->stats.mss_clamped, 1);
}

// Most packets are not TCP's SYN, which IPv4 without options tells at a glance.
static bool surely_no_syn(const uint8_t *p, uint32_t len)
{
	return p[0] == 0x45 && (p[9] != PROTO_TCP || len < IP4_HDR + 20 || !(p[IP4_HDR + 13] & 2));
}

static void clamp_out(
	struct dp_worker *w, const struct dp_tunnel *t, const struct dp_sa *sa, struct rte_mbuf *m)
{
	struct ip_info ip;
	uint8_t *p = dp_data(m);
	if (!surely_no_syn(p, m->data_len) &&
		ip_parse_packet(p, m->data_len, false, &ip) == DP_DROP_NONE)
		clamp(w, t, sa, p, &ip);
}

enum dp_drop dp_treat_out(
	struct dp_worker *w, struct dp_tunnel *t, struct dp_sa *sa, struct rte_mbuf *m)
{
	uint16_t bits = t->treat;
	if (bits & DP_TREAT_POLICY) {
		enum dp_drop why = dp_policy_out(w, t, dp_data(m), m->data_len);
		if (why != DP_DROP_NONE)
			return why;
	}
	if (bits & DP_TREAT_POLICE && !dp_police_pass(w, t, sa, SA_OUT, m->pkt_len))
		return DP_DROP_policed_out;
	if (bits & DP_TREAT_MSS)
		clamp_out(w, t, sa, m);
	if (bits & DP_TREAT_TFC)
		dp_tfc_pad(w, t, sa, m);
	return DP_DROP_NONE;
}

enum dp_drop dp_treat_in(struct dp_worker *w, struct dp_tunnel *t, struct dp_sa *sa, uint8_t *inner,
	const struct ip_info *ip)
{
	uint16_t bits = t->treat;
	if (bits & DP_TREAT_POLICY && dp_policy_check(w, t, SA_IN, inner, ip) != DP_DROP_NONE)
		return DP_DROP_policy_discard;
	if (bits & DP_TREAT_POLICE && !dp_police_pass(w, t, sa, SA_IN, ip->total))
		return DP_DROP_policed_in;
	if (bits & DP_TREAT_MSS)
		clamp(w, t, sa, inner, ip);
	return DP_DROP_NONE;
}

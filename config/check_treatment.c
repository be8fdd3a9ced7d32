// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Checks of what a connection's packets get beside encryption, and of idle sessions.
#include "config/loader.h"

#define MSS_LEAST_V6 1220 // RFC 9293 3.7.1: what is assumed without the option

static bool has_v6(const struct cfg_connection *n)
{
	for (size_t i = 0; i < n->child_count; i++)
		for (size_t k = 0; k < n->children[i].local_ts_count; k++)
			if (n->children[i].local_ts[k].range.lo.family == IP_V6)
				return true;
	return false;
}

static void check_rates(struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	const config_setting_t *burst = member(s, "rate_burst_bytes");
	if (burst && n->rate_burst_bytes && !n->rate_in_kbit_s && !n->rate_out_kbit_s)
		diag_warning(&l->diags, burst,
			"rate_burst_bytes: not used without rate_in_kbit_s or rate_out_kbit_s");
}

static void check_idle(struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	if (n->idle_s && n->initiate == CFG_INITIATE_START)
		diag_warning(&l->diags, member(s, "idle_s"),
			"idle_s: with initiate \"start\" the gateway connects again at once");
}

// Nothing in IKEv1 says that a peer takes no padding, and some drop it. RFC 4303 2.7: only a payload
// that says how long it is can be padded.
static void check_tfc(struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	for (size_t i = 0; i < n->child_count; i++) {
		const struct cfg_child *c = &n->children[i];
		const config_setting_t *at = place(element(member(s, "children"), i), "tfc");
		if (c->tfc && c->mode == CFG_MODE_TRANSPORT)
			diag_warning(&l->diags, at, "tfc: not used in transport mode");
		else if (c->tfc && n->ikev1)
			diag_warning(&l->diags, at,
				"tfc: an IKEv1 peer cannot say that it takes no such padding");
	}
}

void check_treatment(struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	if (n->mss > CFG_MSS_AUTO && n->mss < MSS_LEAST_V6 && has_v6(n))
		diag_warning(&l->diags, member(s, "mss"), "mss: of IPv6's TCP it is %u at least",
			MSS_LEAST_V6);
	check_rates(l, n, s);
	check_idle(l, n, s);
	check_tfc(l, n, s);
}

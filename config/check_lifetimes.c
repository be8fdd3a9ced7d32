// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Checks of how long keys, sessions and silent peers live.
#include "config/loader.h"

#include <inttypes.h>

static void check_seconds(struct loader *l, const config_setting_t *lifetime, const char *soft,
	uint32_t *rekey_s, uint32_t hard_s)
{
	const config_setting_t *at = member(lifetime, soft);
	if (*rekey_s < hard_s)
		return;
	if (at)
		diag_error(&l->diags, at, "lifetime.%s: %u is not below the hard limit %u", soft,
			*rekey_s, hard_s);
	else // A default gives way to a hard limit that is set below it.
		*rekey_s = hard_s - hard_s / 10 - (hard_s < 10);
}

static void check_amount(struct loader *l, const config_setting_t *lifetime, const char *name,
	uint64_t soft, uint64_t hard)
{
	if (hard && hard <= soft)
		diag_error(&l->diags, place(lifetime, name),
			"lifetime.%s: %" PRIu64 " is not above the soft limit %" PRIu64, name, hard,
			soft);
}

static void check_reauth(
	struct loader *l, const struct cfg_connection *n, const config_setting_t *lifetime)
{
	const config_setting_t *at = place(lifetime, "reauth_s");
	const config_setting_t *rekey = member(lifetime, "ike_rekey_s");
	const struct cfg_lifetime *t = &n->lifetime;
	if (t->reauth_s == 0)
		return;
	if (!n->ikev2)
		diag_warning(&l->diags, at,
			"lifetime.reauth_s: not used, an IKEv1 peer authenticates anew whenever "
			"phase 1 ends by ike_rekey_s or ike_hard_s");
	else if (t->reauth_s >= t->ike_hard_s && (t->ike_rekey_s == 0 || n->responder_only))
		diag_warning(&l->diags, at,
			"lifetime.reauth_s: not reached unless the peer rekeys, ike_hard_s is %u",
			t->ike_hard_s);
	else if (rekey && t->ike_rekey_s >= t->reauth_s && !n->responder_only)
		diag_warning(&l->diags, rekey, "lifetime.ike_rekey_s: not reached, reauth_s is %u",
			t->reauth_s);
}

// Those of bytes and packets still set the hard ones.
static void check_soft_seconds(
	struct loader *l, const struct cfg_connection *n, const config_setting_t *lifetime)
{
	static const char *const names[] = {"ike_rekey_s", "child_rekey_s"};
	const uint32_t values[] = {n->lifetime.ike_rekey_s, n->lifetime.child_rekey_s};
	for (size_t i = 0; n->responder_only && i < 2; i++)
		if (member(lifetime, names[i]) && values[i])
			diag_warning(&l->diags, member(lifetime, names[i]),
				"lifetime.%s: not used, responder_only never rekeys", names[i]);
}

static void check_dpd(struct loader *l, struct cfg_connection *n, const config_setting_t *dpd)
{
	if (n->dpd.delay_s == 0 || n->dpd.timeout_s == 0 || n->dpd.timeout_s >= n->dpd.delay_s)
		return;
	if (member(dpd, "timeout_s"))
		diag_error(&l->diags, member(dpd, "timeout_s"),
			"dpd.timeout_s: %u is below dpd.delay_s %u", n->dpd.timeout_s,
			n->dpd.delay_s);
	else
		n->dpd.timeout_s = n->dpd.delay_s;
}

void check_lifetimes(struct loader *l, struct cfg_connection *n, const config_setting_t *s)
{
	const config_setting_t *lifetime = member(s, "lifetime");
	struct cfg_lifetime *t = &n->lifetime;
	if (t->ike_hard_s)
		check_seconds(l, lifetime, "ike_rekey_s", &t->ike_rekey_s, t->ike_hard_s);
	if (t->child_hard_s)
		check_seconds(l, lifetime, "child_rekey_s", &t->child_rekey_s, t->child_hard_s);
	check_amount(l, lifetime, "child_hard_bytes", t->child_rekey_bytes, t->child_hard_bytes);
	check_amount(
		l, lifetime, "child_hard_packets", t->child_rekey_packets, t->child_hard_packets);
	check_soft_seconds(l, n, lifetime);
	check_reauth(l, n, lifetime);
	check_dpd(l, n, member(s, "dpd"));
}

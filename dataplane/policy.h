// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Connections' policies as access lists (rte_acl), made at start and then read by all workers: what is
// discarded, what passes in clear (bypass), and whether a tunnel's packets may enter another tunnel.
#pragma once

#include "dataplane/worker.h"

// Control thread, before the workers are made. 0 or -errno.
MUST_USE int dp_policy_new(const struct cfg *c, struct dp_policies **out);
void dp_policy_free(struct dp_policies *p);
// Some rule lets packets by in clear.
bool dp_policy_clear(const struct dp_policies *p);
// Bytes of the data plane's memory that the lists take, roughly.
uint64_t dp_policy_memory(const struct cfg *c);

// What a tunnel's mark says (dp_tunnel_mark()).
uint32_t dp_policy_mark(const struct tunnel_treatment *t);

// DP_TREAT_POLICY: the packet, which is about to be encrypted or has been decrypted, may pass.
// DP_DROP_NONE or DP_DROP_policy_discard.
enum dp_drop dp_policy_check(struct dp_worker *w, const struct dp_tunnel *t, enum sa_dir dir,
	const uint8_t *p, const struct ip_info *ip);
// The same of one whose header has been checked.
enum dp_drop dp_policy_out(
	struct dp_worker *w, const struct dp_tunnel *t, const uint8_t *p, uint32_t len);

// dp.bypass: of w->route, what came in from the inside and passes in clear leaves by an outside port.
void dp_policy_bypass(struct dp_worker *w);
// A clear packet on an outside port that is not for the gateway may go to the inside.
bool dp_policy_lets_in(const struct dp_worker *w, const uint8_t *p, const struct ip_info *ip);

// What sa has decrypted may not enter that tunnel.
bool dp_policy_apart(
	const struct dp_worker *w, const struct dp_sa *sa, const struct dp_dst_entry *to);

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// RFC 6040 4.2, figure 4, as a table: what leaves the tunnel for each pair of inner and outer fields.
// ECT(1) is a mark that is more severe than ECT(0). Pairs that no tunnel makes are counted: "In these
// cases, particularly the more dangerous ones, the decapsulator SHOULD log the event".
#include "dataplane/treat.h"

enum told { NONE, SUSPECT, ALARM }; // nothing, "(!)", "(!!!)"

#define DROP 4

static const struct {
	uint8_t ecn; // of the packet that leaves, or DROP
	uint8_t told;
} figure4[4][4] = {
	[ECN_NOT_ECT] = {[ECN_NOT_ECT] = {ECN_NOT_ECT, NONE},
		[ECN_ECT0] = {ECN_NOT_ECT, ALARM},
		[ECN_ECT1] = {ECN_NOT_ECT, ALARM},
		[ECN_CE] = {DROP, ALARM}},
	[ECN_ECT0] = {[ECN_NOT_ECT] = {ECN_ECT0, NONE},
		[ECN_ECT0] = {ECN_ECT0, NONE},
		[ECN_ECT1] = {ECN_ECT1, NONE},
		[ECN_CE] = {ECN_CE, NONE}},
	[ECN_ECT1] = {[ECN_NOT_ECT] = {ECN_ECT1, NONE},
		[ECN_ECT0] = {ECN_ECT1, SUSPECT},
		[ECN_ECT1] = {ECN_ECT1, NONE},
		[ECN_CE] = {ECN_CE, NONE}},
	[ECN_CE] = {[ECN_NOT_ECT] = {ECN_CE, NONE},
		[ECN_ECT0] = {ECN_CE, NONE},
		[ECN_ECT1] = {ECN_CE, ALARM},
		[ECN_CE] = {ECN_CE, NONE}},
};

enum dp_drop dp_ecn_merge(
	struct dp_worker *w, uint8_t *inner, const struct ip_info *ip, uint8_t outer_ecn)
{
	uint8_t inner_ecn = ip->tos & ECN_MASK, ecn = figure4[inner_ecn][outer_ecn].ecn;
	if (figure4[inner_ecn][outer_ecn].told == ALARM)
		dp_add(&w->stats.ecn_alarms, 1);
	else if (figure4[inner_ecn][outer_ecn].told == SUSPECT)
		dp_add(&w->stats.ecn_suspect, 1);
	if (ecn == DROP)
		return DP_DROP_esp_ecn;
	if (ecn != inner_ecn)
		ip_set_ecn(inner, ip->family, ecn);
	return DP_DROP_NONE;
}

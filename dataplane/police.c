// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A session's rate: a single-rate meter for each direction (RFC 2697 without an excess burst, so that a
// packet is green or red), and what is red is dropped.
#include "dataplane/treat.h"

// Of a tunnel that every worker has a copy of, each worker has an equal share.
static uint64_t share(const struct dp_worker *w, const struct dp_tunnel *t, uint64_t n)
{
	return dp_tunnel_shared(&w->layout, t->index) ? n / w->dp->worker_count : n;
}

// rte_meter counts in the processor's cycles, of which it takes rte_get_tsc_hz() for a second; time
// here is the worker's, in nanoseconds, so the rate is given to it for as many of those.
static uint64_t per_cycle_second(uint64_t bytes_per_s)
{
	double scaled = (double)bytes_per_s * ((double)rte_get_tsc_hz() / (double)NS_PER_S);
	return scaled < 1 ? 1 : (uint64_t)scaled;
}

static void set(struct dp_worker *w, const struct dp_tunnel *t, struct dp_police *p,
	const struct sa_rate *rate)
{
	struct rte_meter_srtcm_params params = {
		.cir = per_cycle_second(share(w, t, rate->bytes_per_s)),
		// A burst below a packet's size would let none pass.
		.cbs = RTE_MAX(share(w, t, rate->burst_bytes), (uint64_t)DP_PACKET_MAX),
	};
	p->on = rate->bytes_per_s && rte_meter_srtcm_profile_config(&p->profile, &params) == 0 &&
		rte_meter_srtcm_config(&p->meter, &p->profile) == 0;
	p->meter.time = w->now_ns;
}

void dp_police_set(struct dp_worker *w, struct dp_tunnel *t)
{
	set(w, t, &t->police[SA_IN], &t->treatment.rate_in);
	set(w, t, &t->police[SA_OUT], &t->treatment.rate_out);
}

bool dp_police_pass(
	struct dp_worker *w, struct dp_tunnel *t, struct dp_sa *sa, enum sa_dir dir, uint32_t len)
{
	struct dp_police *p = &t->police[dir];
	if (!p->on || rte_meter_srtcm_color_blind_check(&p->meter, &p->profile, w->now_ns, len) ==
			      RTE_COLOR_GREEN)
		return true;
	dp_add(&dp_sa_cold(sa)->policed, 1);
	return false;
}

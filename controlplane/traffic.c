// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A session's traffic as the control plane sees it: how its packets are treated, what its child SAs have
// carried, and when it is idle.
#include "controlplane/session.h"

LOG_SUBSYSTEM("session");

#define BURST_LEAST 65536 // bytes
#define BURST_PARTS 10    // of a second's worth

// ---- treatment -------------------------------------------------------------------------------

static struct sa_rate rate_of(const struct cfg_connection *conn, uint32_t kbit_s)
{
	struct sa_rate r = {
		.bytes_per_s = kbit_s * 1000ull / 8, .burst_bytes = conn->rate_burst_bytes};
	if (kbit_s == 0)
		return (struct sa_rate){0};
	if (r.burst_bytes == 0)
		r.burst_bytes = r.bytes_per_s / BURST_PARTS;
	if (conn->rate_burst_bytes == 0 && r.burst_bytes < BURST_LEAST)
		r.burst_bytes = BURST_LEAST;
	return r;
}

struct tunnel_treatment ike_treatment(
	const struct cfg_connection *conn, const struct cfg_child *conf)
{
	_Static_assert(CFG_MSS_AUTO == SA_MSS_AUTO && CFG_MSS_OFF == 0, "as in the configuration");
	return (struct tunnel_treatment){
		.fragment = conf->fragment == CFG_FRAGMENT_AFTER ? SA_FRAGMENT_AFTER
								 : SA_FRAGMENT_BEFORE,
		.mtu_max = conf->mtu,
		.mss = conn->mss,
		.dscp_set = conn->dscp != CFG_DSCP_COPY,
		.dscp = conn->dscp != CFG_DSCP_COPY ? (uint8_t)conn->dscp : 0,
		.ecn_off = !conn->ecn,
		.policy = conn->policy_count ? (uint16_t)(conn->index + 1) : 0,
		.apart = !conn->client_to_client,
		.rate_in = rate_of(conn, conn->rate_in_kbit_s),
		.rate_out = rate_of(conn, conn->rate_out_kbit_s),
	};
}

// ---- counters --------------------------------------------------------------------------------

void ike_traffic_count(
	struct ike_child *c, struct ike_session *s, enum sa_dir dir, const struct sa_counters *now)
{
	bool in = dir == SA_IN;
	*(in ? &s->bytes_in : &s->bytes_out) += now->bytes - c->counted_bytes[dir];
	*(in ? &s->packets_in : &s->packets_out) += now->packets - c->counted_packets[dir];
	*(in ? &s->policed_in : &s->policed_out) += now->policed - c->counted_policed[dir];
	c->counted_bytes[dir] = now->bytes;
	c->counted_packets[dir] = now->packets;
	c->counted_policed[dir] = now->policed;
	if (now->last_used_ns > s->used_ns)
		s->used_ns = now->last_used_ns;
}

void ike_child_counters(const struct ike_child *c, struct sa_counters *in, struct sa_counters *out)
{
	const struct sa_sink *sink = c->engine->p.sink;
	memset(in, 0, sizeof(*in));
	memset(out, 0, sizeof(*out));
	if (c->installed & 1u << SA_IN && !sink->sa_stats(sink->ctx, c->spi_in, SA_IN, in))
		memset(in, 0, sizeof(*in));
	if (c->installed & 1u << SA_OUT && !sink->sa_stats(sink->ctx, c->spi_in, SA_OUT, out))
		memset(out, 0, sizeof(*out));
}

// ---- idle sessions ---------------------------------------------------------------------------

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t ike_session_used(const struct ike_session *s)
{
	const struct ike_child *c;
	uint64_t used = s->used_ns;
	LIST_FOREACH (c, &s->children, link) {
		struct sa_counters in, out;
		ike_child_counters(c, &in, &out);
		used = later(used, later(in.last_used_ns, out.last_used_ns));
	}
	return used;
}

static void idle_fire(struct wheel_timer *t, void *arg)
{
	struct ike_session *s = arg;
	struct ike_engine *e = s->engine;
	uint64_t used = ike_session_used(s), limit = s->conn->idle_s * NS_PER_S;
	if (s->closing)
		return;
	if (used + limit > e->now_ns) {
		wheel_set(&e->wheel, &s->idle, used + limit, idle_fire, s);
		return;
	}
	ike_count(e, IKE_REASON_IDLE);
	log_notice("%llu: idle for %llu s", (unsigned long long)s->id,
		(unsigned long long)((e->now_ns - used) / NS_PER_S));
	ike_session_end(s, 0);
}

static void watch(struct ike_session *s)
{
	struct ike_engine *e = s->engine;
	if (s->conn->idle_s)
		wheel_set(
			&e->wheel, &s->idle, s->used_ns + s->conn->idle_s * NS_PER_S, idle_fire, s);
}

void ike_idle_start(struct ike_session *s)
{
	s->used_ns = s->engine->now_ns;
	watch(s);
}

void ike_idle_inherit(struct ike_session *heir, const struct ike_session *s)
{
	if (!heir->established_ns || !s->established_ns)
		return;
	heir->used_ns = s->used_ns;
	watch(heir);
}

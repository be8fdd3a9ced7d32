// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// An ICMP error comes from anybody (RFC 4301 6.1.1 leaves it to policy what is made of one). It is
// believed only if it quotes what an attacker beside the path does not see: SPI, addresses, ports and a
// recent sequence number of a live outbound SA. And then it costs at most small packets, never below
// what each path carries, and for ten minutes.
#include "dataplane/pmtu.h"

#include "base/log.h"
#include "dataplane/sink_state.h"

#include <inttypes.h>

LOG_SUBSYSTEM("pmtu");

#define REPORT_RATE  500 // a second, of all tunnels
#define REPORT_BURST 200

const char *const dp_pmtu_name[DP_PMTU_COUNT] = {
#define X(name, text) "dp_pmtu_" #name,
	DP_PMTUS(X)
#undef X
};

const char *const dp_pmtu_text[DP_PMTU_COUNT] = {
#define X(name, text) text,
	DP_PMTUS(X)
#undef X
};

// ---- Outbound SAs by what a quote shows of them ----

static uint64_t peer_hash(
	const struct dp_sink *s, uint32_t spi, const struct ip_addr *remote, uint16_t port)
{
	uint8_t k[16 + 4 + 2 + 1] = {0};
	memcpy(k, remote->bytes, 16);
	set_be32(k + 16, spi);
	set_be16(k + 20, port);
	k[22] = remote->family;
	return siphash(s->peer_key, k, sizeof(k));
}

static uint32_t peer_spi(const struct child_ctl *c)
{
	return rte_be_to_cpu_32(c->sa[SA_OUT]->spi);
}

static uint16_t udp_port(const struct tunnel_path *p, const struct endpoint *e)
{
	return p->encap ? e->port : 0;
}

void sink_peer_learn(struct dp_sink *s, struct child_ctl *c)
{
	const struct tunnel_path *p = &sink_tunnel_at(s, c->tunnel)->path;
	if (c->peer_known || !c->sa[SA_OUT] || c->deleting[SA_OUT])
		return;
	htab_insert(&s->peers, &c->by_peer,
		peer_hash(s, peer_spi(c), &p->remote.addr, udp_port(p, &p->remote)));
	c->peer_known = true;
}

void sink_peer_forget(struct dp_sink *s, struct child_ctl *c)
{
	if (c->peer_known)
		htab_remove(&s->peers, &c->by_peer);
	c->peer_known = false;
}

static bool is_of(const struct tunnel_path *p, const struct pkt_quote *q)
{
	return ip_eq(&p->remote.addr, &q->dst) && ip_eq(&p->local.addr, &q->src) &&
	       udp_port(p, &p->remote) == q->dst_port && udp_port(p, &p->local) == q->src_port;
}

static struct child_ctl *find(struct dp_sink *s, const struct pkt_quote *q)
{
	struct htab_node *n = htab_first(&s->peers, peer_hash(s, q->spi, &q->dst, q->dst_port));
	for (; n; n = htab_next(n)) {
		struct child_ctl *c = container_of(n, struct child_ctl, by_peer);
		if (peer_spi(c) == q->spi && is_of(&sink_tunnel_at(s, c->tunnel)->path, q))
			return c;
	}
	return NULL;
}

// ---- A tunnel's MTU ----

uint16_t sink_mtu_least(const struct tunnel_ctl *t)
{
	return t->path.remote.addr.family == IP_V4 ? IPV4_MTU_MIN : IPV6_MTU_MIN;
}

// What is in use as long as no router says otherwise.
uint16_t sink_mtu_most(const struct dp_sink *s, const struct tunnel_ctl *t)
{
	uint16_t port = s->dp->ports[t->path.port].mtu;
	uint16_t most = t->mtu_max ? RTE_MIN(t->mtu_max, port) : port;
	return RTE_MAX(most, RTE_MIN(sink_mtu_least(t), port));
}

static void mtu_settle(struct dp_sink *s, struct tunnel_ctl *t)
{
	if (t->lowered)
		TAILQ_REMOVE(&s->lowered, t, low);
	t->lowered = false;
}

// Within its bounds; below the most it ages.
void sink_mtu_set(struct dp_sink *s, struct tunnel_ctl *t, uint16_t mtu)
{
	uint16_t most = sink_mtu_most(s, t);
	mtu_settle(s, t);
	t->mtu = RTE_MIN(RTE_MAX(mtu, sink_mtu_least(t)), most);
	if (t->mtu == most)
		return;
	t->lowered = true;
	t->raise_ns = clock_now_ns(s->dp->seams.clock) + DP_PMTU_NS;
	TAILQ_INSERT_TAIL(&s->lowered, t, low);
}

void sink_mtu_reset(struct dp_sink *s, struct tunnel_ctl *t)
{
	mtu_settle(s, t);
	t->mtu = sink_mtu_most(s, t);
}

uint16_t sink_tunnel_mtu(void *ctx, uint32_t id)
{
	struct worker_ctl *wc;
	uint32_t index;
	const struct tunnel_ctl *t = sink_tunnel(ctx, id, &wc, &index);
	return t && !t->deleting ? t->mtu : 0;
}

// ---- Reports ----

uint16_t dp_pmtu_plateau(uint32_t total)
{
	// RFC 1191 7.1, table 7-1, down to the least.
	static const uint16_t plateaus[] = {
		32000, 17914, 8166, 4352, 2002, 1492, 1006, IPV4_MTU_MIN};
	for (size_t i = 0; i < RTE_DIM(plateaus); i++)
		if (plateaus[i] < total)
			return plateaus[i];
	return IPV4_MTU_MIN;
}

// With ESN the quote shows the low half only.
static bool sent_lately(struct dp_sa *sa, uint32_t seq)
{
	uint64_t last = dp_get(&sa->seq);
	uint32_t behind = (uint32_t)last - seq;
	return behind < DP_PMTU_SEQ && behind < last;
}

static enum dp_pmtu judge(
	struct dp_sink *s, const struct pkt_quote *q, struct tunnel_ctl **out, uint16_t *mtu)
{
	bool v4 = q->dst.family == IP_V4;
	if (!q->seq_set)
		return DP_PMTU_refused_short;
	struct child_ctl *c = find(s, q);
	if (!c)
		return DP_PMTU_refused_sa;
	if (!sent_lately(c->sa[SA_OUT], q->seq))
		return DP_PMTU_refused_sequence;
	// Not before: what anybody can write must not use up the share of the others.
	if (!local_rate_pass(&s->pmtu_rate, s->dp->now_ns))
		return DP_PMTU_refused_rate;
	uint32_t told = v4 && q->mtu == 0 ? dp_pmtu_plateau(q->total) : q->mtu;
	// RFC 8201 4: "If a node receives a Packet Too Big message reporting a next-hop MTU that
	// is less than the IPv6 minimum link MTU, it must discard it." Of IPv4 the least is used.
	if (!v4 && told < IPV6_MTU_MIN)
		return DP_PMTU_refused_below_minimum;
	struct tunnel_ctl *t = sink_tunnel_at(s, c->tunnel);
	told = RTE_MAX(told, (uint32_t)sink_mtu_least(t));
	// RFC 8201 4: "A node must not increase its estimate ... in response to [its] contents".
	if (told >= t->mtu)
		return DP_PMTU_refused_not_lower;
	*out = t;
	*mtu = (uint16_t)told;
	return DP_PMTU_lowered;
}

void dp_pmtu_report(struct dp *d, const struct pkt_quote *q)
{
	static struct log_limit limit = LOG_LIMIT_DEFAULT;
	struct tunnel_ctl *t;
	uint16_t mtu;
	uint32_t suppressed;
	char text[IP_TEXT_MAX];
	enum dp_pmtu what = judge(d->sink, q, &t, &mtu);
	d->pmtu[what]++;
	if (what != DP_PMTU_lowered)
		return;
	if (log_limit_pass(&limit, d->now_ns, &suppressed))
		log_notice("%" PRIu64 ": path MTU to %s is %u, was %u (%u more suppressed)",
			t->session, ip_text(&q->dst, text), mtu, t->mtu, suppressed);
	sink_mtu_set(d->sink, t, mtu);
	sink_mtu_send(d->sink, t);
}

// RFC 1191 6.3, RFC 8201 4: whether the path has got better shows itself by trying.
unsigned dp_pmtu_tick(struct dp *d, uint64_t now_ns)
{
	struct dp_sink *s = d->sink;
	struct tunnel_ctl *t;
	unsigned n = 0;
	while ((t = TAILQ_FIRST(&s->lowered)) && t->raise_ns <= now_ns && n < DP_PUNT_POLL) {
		sink_mtu_reset(s, t);
		sink_mtu_send(s, t);
		d->pmtu[DP_PMTU_raised]++;
		n++;
	}
	return n;
}

uint64_t dp_pmtu_next_ns(const struct dp *d)
{
	const struct tunnel_ctl *t = TAILQ_FIRST(&d->sink->lowered);
	return t ? t->raise_ns : UINT64_MAX;
}

int sink_pmtu_init(struct dp_sink *s)
{
	TAILQ_INIT(&s->lowered);
	s->pmtu_rate = (struct local_rate){.per_s = REPORT_RATE, .burst = REPORT_BURST};
	random_fill(s->dp->seams.random, s->peer_key, sizeof(s->peer_key));
	return htab_init(&s->peers, 64);
}

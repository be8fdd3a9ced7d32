// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Packets between workers, and from the control thread to a worker. A packet carries ids and a
// generation, never a pointer to an SA; the taker looks again.
//
// What a hand-off costs is the lines of memory that move from one core to the other. So what the taker
// needs stands in the mbuf's first line, which moves anyway; its second line and its private area stay
// where they are. And the taker asks for each line with the intent to write: one that it had asked for
// to read would be fetched a second time when it is written.
#include "dataplane/frag.h"
#include "dataplane/trace.h"
#include "dataplane/warm.h"

#include <sys/eventfd.h>

const char *const dp_handoff_name[DP_HANDOFF_CAUSES] = {
	[DP_HANDOFF_MISPREDICTED] = "mispredicted",
	[DP_HANDOFF_STICKY] = "sticky",
	[DP_HANDOFF_ROAMING] = "roaming",
	[DP_HANDOFF_PREFIX] = "prefix",
	[DP_HANDOFF_FRAGMENT] = "fragment",
	[DP_HANDOFF_CLIENT] = "client",
	[DP_HANDOFF_TX] = "tx",
};

// A wake that is missed by a hair costs no more than the longest sleep, which is a millisecond.
void dp_worker_wake(struct dp_worker *w)
{
	if (!atomic_load_explicit(&w->sleeping, memory_order_acquire))
		return;
	if (atomic_exchange(&w->sleeping, false))
		(void)eventfd_write(w->wake_fd, 1);
}

// ---- What a packet carries ----

// In fields of the mbuf's first line that nobody needs between receiving and sending.
struct carried {
	uint8_t carry;  // enum dp_carry
	uint8_t cause;  // enum dp_handoff
	uint8_t port;   // came in by, or FRAME leaves by, index
	uint8_t l2_len; // ESP
	uint16_t
		upper; // ESP: bytes of the outer IP header and what follows it; INNER: of the IP header
	uint32_t to, generation; // ESP: SPI, 0
};
static_assert(DP_PORTS_MAX <= UINT8_MAX && sizeof(((struct rte_mbuf *)0)->packet_type) == 4,
	"packet_type holds carry, cause, port and l2_len");

static inline void carry_put(struct rte_mbuf *m, const struct carried *c)
{
	m->packet_type = (uint32_t)c->carry | (uint32_t)c->cause << 8 | (uint32_t)c->port << 16 |
			 (uint32_t)c->l2_len << 24;
	m->vlan_tci = c->upper;
	m->hash.fdir.lo = c->to;
	m->hash.fdir.hi = c->generation;
}

static inline struct carried carry_get(const struct rte_mbuf *m)
{
	return (struct carried){.carry = (uint8_t)m->packet_type,
		.cause = (uint8_t)(m->packet_type >> 8),
		.port = (uint8_t)(m->packet_type >> 16),
		.l2_len = (uint8_t)(m->packet_type >> 24),
		.upper = m->vlan_tci,
		.to = m->hash.fdir.lo,
		.generation = m->hash.fdir.hi};
}

// ---- To another worker ----

static __rte_noinline void flush_to(struct dp_worker *w, uint16_t to)
{
	struct dp_given *g = &w->handoff[to];
	struct dp_worker *o = w->dp->workers[to];

	// What is enqueued is the taker's.
	unsigned sent = rte_ring_sp_enqueue_burst(o->handoff_in[w->id], (void **)g->m, g->n, NULL);
	for (unsigned i = sent; i < g->n; i++) {
		g->by[carry_get(g->m[i]).cause]--;
		dp_drop(w, g->m[i], DP_DROP_handoff_full);
	}
	for (unsigned i = 0; i < DP_HANDOFF_CAUSES; i++) {
		dp_add(&w->stats.handoff_out[i], g->by[i]);
		g->by[i] = 0;
	}
	g->n = 0;
	dp_worker_wake(o);
}

static inline void give(
	struct dp_worker *w, uint16_t to, struct rte_mbuf *m, const struct carried *c)
{
	struct dp_given *g = &w->handoff[to];
	carry_put(m, c);
	if (unlikely(w->trace))
		dp_trace_handoff(w, m, c->cause);
	if (g->n == 0)
		dp_ring_warm_put(w->dp->workers[to]->handoff_in[w->id], sizeof(void *), DP_BURST);
	g->by[c->cause]++;
	g->m[g->n++] = m;
	if (unlikely(g->n == RTE_DIM(g->m)))
		flush_to(w, to);
}

void dp_handoff(struct dp_worker *w, uint16_t to, struct rte_mbuf *m, enum dp_carry carry,
	enum dp_handoff cause)
{
	const struct dp_meta *meta = dp_meta(m);
	struct carried c = {.carry = (uint8_t)carry,
		.cause = (uint8_t)cause,
		.port = (uint8_t)meta->port,
		.l2_len = (uint8_t)m->l2_len,
		.upper = (uint16_t)m->l3_len,
		.to = meta->to,
		.generation = meta->generation};
	if (carry == DP_CARRY_ESP)
		c.to = get_be32(dp_data(m) + m->l2_len + m->l3_len);
	give(w, to, m, &c);
}

bool dp_handoff_esp(struct dp_worker *w, struct rte_mbuf *m, uint16_t port, uint32_t upper,
	uint32_t len, uint32_t spi)
{
	uint32_t owner = dp_spi_worker(&w->layout, spi);
	if (dp_spi_node(spi) != w->layout.node || owner >= w->dp->worker_count)
		return false;
	const _Atomic uint8_t *cause =
		&w->dp->workers[owner]->uplink_cause[dp_spi_slot(&w->layout, spi)];
	// What stands behind it is none of it.
	m->data_len = (uint16_t)(RTE_ETHER_HDR_LEN + upper + len);
	m->pkt_len = m->data_len;
	give(w, (uint16_t)owner, m,
		&(struct carried){.carry = DP_CARRY_ESP,
			.cause = atomic_load_explicit(cause, memory_order_relaxed),
			.port = (uint8_t)port,
			.l2_len = RTE_ETHER_HDR_LEN,
			.upper = (uint16_t)upper,
			.to = spi});
	return true;
}

void dp_handoff_inner(
	struct dp_worker *w, struct rte_mbuf *m, uint16_t port, const struct dp_dst_entry *e)
{
	give(w, (uint16_t)dp_tunnel_worker(e->index), m,
		&(struct carried){.carry = DP_CARRY_INNER,
			.cause = e->cause,
			.port = (uint8_t)port,
			.upper = IP4_HDR,
			.to = e->index,
			.generation = e->generation});
}

void dp_handoff_flush(struct dp_worker *w)
{
	for (uint16_t i = 0; i < w->dp->worker_count; i++)
		if (w->handoff[i].n)
			flush_to(w, i);
}

// ---- From other workers ----

// All that the taker will write, which is most of it. tail: bytes that it grows by.
static inline void ask_for_data(const struct rte_mbuf *m, const struct carried *c)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *), *end = p + m->data_len;
	dp_prefetch_write(p);
	dp_prefetch_write(p + 64);
	if (c->carry == DP_CARRY_INNER) {
		dp_prefetch_write(end + WARM_TAIL - 1);
		dp_prefetch_write(p - WARM_HEAD - RTE_ETHER_HDR_LEN);
	} else {
		dp_prefetch_write(end - 1);
	}
}

// The mbuf's first line is there: the packet, and what leads to its SA.
static inline void ask_for_packet(struct dp_warm *x, unsigned i)
{
	struct carried c = carry_get(x->m[i]);
	x->at[i] = &x->none;
	ask_for_data(x->m[i], &c);
	if (c.carry == DP_CARRY_ESP) {
		const struct dp_sa *sa = dp_slab_at(&x->w->in, dp_spi_slot(&x->w->layout, c.to));
		if (sa)
			dp_sa_prefetch(sa);
	} else if (c.carry == DP_CARRY_INNER) {
		x->at[i] = &x->w->ways[dp_tunnel_slot(c.to)];
		rte_prefetch0(x->at[i]);
	}
}

static struct dp_sa *warm_sa(const struct dp_warm *x, unsigned i)
{
	struct dp_sa *sa = dp_way_any(*(const struct dp_way *)x->at[i]);
	if (likely(sa))
		dp_sa_prefetch(sa);
	return sa;
}

void dp_warm_taken(struct dp_warm *x, unsigned i)
{
	WARM_EACH(x, i, dp_prefetch_write(x->m[k]));
	WARM_EACH(x, i - WARM_DATA, ask_for_packet(x, k));
	WARM_EACH(x, i - WARM_WAY, x->found[k].sa = warm_sa(x, k));
}

void dp_warm_taken_all(struct dp_warm *x)
{
	for (unsigned i = 0; i < x->n; i++)
		dp_prefetch_write(x->m[i]);
	for (unsigned i = 0; i < x->n; i++)
		ask_for_packet(x, i);
	for (unsigned i = 0; i < x->n; i++)
		x->found[i].sa = warm_sa(x, i);
}

static void take_inner(struct dp_worker *w, struct rte_mbuf *m, const struct carried *c)
{
	struct esp_op *op = dp_ops_add(&w->esp_out);
	op->m = m;
	op->esp = dp_data(m);
	op->len = m->data_len;
	op->upper = c->upper;
	op->to = c->to;
	op->generation = c->generation;
	op->from = c->cause == DP_HANDOFF_CLIENT ? dp_meta(m)->tunnel : TUNNEL_NONE;
	op->port = c->port;
}

static void take(struct dp_worker *w, struct rte_mbuf *m)
{
	struct carried c = carry_get(m);
	uint32_t before = (uint32_t)c.l2_len + c.upper;
	if (unlikely(w->trace))
		dp_trace_taken(w, m);
	switch ((enum dp_carry)c.carry) {
	case DP_CARRY_ESP:
		dp_take_esp(w, m, dp_data(m) + before, m->data_len - before, c.upper, c.port);
		break;
	case DP_CARRY_INNER:
		take_inner(w, m, &c);
		break;
	case DP_CARRY_FRAME:
		dp_tx_frame(w, &w->dp->ports[c.port], m);
		break;
	case DP_CARRY_FRAGMENT:
		dp_frag_taken(w, m);
		break;
	case DP_CARRY_ROUTE: // of the control thread alone
		break;
	}
}

// The next packets, of as many rings as it takes to have a burst of them. So many come from a ring in a
// poll at most.
static unsigned fetch(struct dp_worker *w)
{
	struct dp_taken *t = &w->taken;
	struct rte_mbuf **m = t->m[t->turn ^ 1];
	unsigned n = 0;
	while (t->rings && n < DP_BURST) {
		struct rte_ring *r = w->handoff_in[t->ring];
		unsigned may = RTE_MIN(DP_BURST - n, (unsigned)t->left), got = 0;
		if (r && may)
			got = rte_ring_sc_dequeue_burst(r, (void **)m + n, may, NULL);
		n += got;
		t->busy |= (uint64_t)(got != 0) << t->ring;
		t->left = (uint16_t)(t->left - got);
		if (got && got == may && t->left)
			continue;
		t->left = DP_BURSTS * DP_BURST;
		t->rings--;
		t->ring = (uint16_t)(t->ring + 1 == w->dp->worker_count ? 0 : t->ring + 1);
	}
	return n;
}

void dp_handoff_begin(struct dp_worker *w)
{
	struct dp_taken *t = &w->taken;
	unsigned n = w->dp->worker_count;
	if (n == 1)
		return;
	t->rings = (uint16_t)n;
	t->left = DP_BURSTS * DP_BURST;
	for (uint64_t busy = t->busy; busy; busy &= busy - 1)
		dp_ring_warm_get(w->handoff_in[__builtin_ctzll(busy)], sizeof(void *), DP_BURST);
	t->busy = 0;
}

static void taken_begin(struct dp_worker *w, unsigned n)
{
	dp_warm_begin(&w->warm, w->taken.m[w->taken.turn], n, false);
	w->warm.taken = true;
}

static unsigned take_from_workers(struct dp_worker *w)
{
	struct dp_taken *t = &w->taken;
	unsigned all = 0, n = fetch(w), next;
	if (n == 0)
		return 0;
	t->turn ^= 1;
	taken_begin(w, n);
	for (; n; n = next) {
		struct rte_mbuf **m = t->m[t->turn];
		dp_warm_end(&w->warm);
		all += n;
		next = fetch(w);
		t->turn ^= 1;
		taken_begin(w, next);
		for (unsigned i = 0; i < n; i++)
			take(w, m[i]);
		dp_run_stages(w);
	}
	dp_add(&w->stats.handoff_in, all);
	return all;
}

// ---- From the control thread ----

void dp_route_made(struct dp_worker *w, struct rte_mbuf *m)
{
	w->route.p[w->route.n++] = (struct dp_inner){.m = m,
		.ip = dp_data(m),
		.len = m->data_len,
		.upper = (uint16_t)m->l3_len,
		.port = dp_meta(m)->port,
		.family = dp_data(m)[0] >> 4,
		.made = true,
		.side = dp_meta(m)->cause};
}

static unsigned take_from_control(struct dp_worker *w)
{
	struct rte_mbuf *m[DP_BURST];
	unsigned n = rte_ring_sc_dequeue_burst(w->inject_ring, (void **)m, DP_BURST, NULL);
	for (unsigned i = 0; i < n; i++) {
		if (unlikely(w->trace))
			dp_trace_taken(w, m[i]);
		if (dp_meta(m[i])->kind == DP_CARRY_ROUTE)
			dp_route_made(w, m[i]);
		else
			dp_tx_frame(w, &w->dp->ports[dp_meta(m[i])->port], m[i]);
	}
	if (n)
		dp_run_stages(w);
	return n;
}

unsigned dp_handoff_poll(struct dp_worker *w)
{
	unsigned n = w->dp->worker_count > 1 ? take_from_workers(w) : 0;
	return n + take_from_control(w);
}

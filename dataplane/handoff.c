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
#include "dataplane/handoff.h"

#include "dataplane/frag.h"
#include "dataplane/trace.h"
#include "dataplane/unwrap.h"
#include "dataplane/wrap.h"

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

// ---- To another worker ----

__rte_noinline void dp_handoff_flush_to(struct dp_worker *w, uint16_t to)
{
	struct dp_given *g = &w->handoff[to];
	struct dp_worker *o = w->dp->workers[to];

	// What is enqueued is the taker's.
	unsigned sent = rte_ring_sp_enqueue_burst(o->handoff_in[w->id], (void **)g->m, g->n, NULL);
	for (unsigned i = sent; i < g->n; i++) {
		g->by[dp_carry_get(g->m[i]).cause]--;
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
	struct dp_worker *w, uint16_t to, struct rte_mbuf *m, const struct dp_carried *c)
{
	if (unlikely(w->trace)) {
		dp_carry_put(m, c);
		dp_trace_handoff(w, m, c->cause);
	}
	dp_give(w, to, m, c);
	w->given = to;
}

void dp_handoff(struct dp_worker *w, uint16_t to, struct rte_mbuf *m, enum dp_carry carry,
	enum dp_handoff cause)
{
	const struct dp_meta *meta = dp_meta(m);
	struct dp_carried c = {.carry = (uint8_t)carry,
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
		&(struct dp_carried){.carry = DP_CARRY_ESP,
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
		&(struct dp_carried){.carry = DP_CARRY_INNER,
			.cause = e->cause,
			.port = (uint8_t)port,
			.upper = IP4_HDR,
			.to = e->index,
			.generation = e->generation});
}

// ---- The same, in runs ----

unsigned dp_give_sealed(
	struct dp_worker *w, const struct dp_port_view *v, struct rte_mbuf **m, unsigned n)
{
	const struct dp_worker *o = w->dp->workers[w->given];
	struct dp_carried c = {
		.carry = DP_CARRY_ESP, .port = (uint8_t)v->index, .l2_len = RTE_ETHER_HDR_LEN};
	unsigned i = 0;
	for (; o != w && w->straight && i < n; i++) {
		struct dp_sealed p;
		if (unlikely(!dp_sealed_v4(w, v, m[i], &p)) || unlikely(p.len < (int)ESP_HDR_LEN))
			break;
		uint32_t slot = (get_be32(p.esp) >> w->layout.nonce_bits) - o->spi_first;
		// Zero is no SPI, but IKE's marker.
		if (unlikely(slot >= w->in.slots) || unlikely(dp_load32(p.esp) == 0))
			break;
		c.upper = (uint16_t)p.upper;
		c.to = get_be32(p.esp);
		c.cause = atomic_load_explicit(&o->uplink_cause[slot], memory_order_relaxed);
		// What stands behind it is none of it.
		m[i]->data_len = (uint16_t)(RTE_ETHER_HDR_LEN + p.upper + p.len);
		m[i]->pkt_len = m[i]->data_len;
		dp_give(w, o->id, m[i], &c);
	}
	return i;
}

// The destination is a client's of worker o, and nothing has to be decided about the packet. What has a place
// in a flat array is no address of the gateway.
static inline bool clear_of(const struct dp_worker *w, const struct dp_worker *o,
	const struct dp_port_view *v, struct rte_mbuf *m, const struct dp_dst_entry *e)
{
	const uint8_t *p = dp_data(m), *ip = p + RTE_ETHER_HDR_LEN;
	uint32_t total = get_be16(ip + 2);
	return likely(e->index != 0) && likely(dp_tunnel_worker(e->index) == o->id) &&
	       likely(dp_plain_head(v, p)) &&
	       likely(total >= IP4_HDR && total + RTE_ETHER_HDR_LEN <= m->data_len) &&
	       likely(dp_plain_mbuf(v, m)) && likely(ip[8] > 1) &&
	       likely(!(dp_nobodys[ip[12]] | dp_nobodys[ip[16]])) &&
	       likely(!dp_tunnel_shared(&w->layout, e->index));
}

unsigned dp_give_clear(struct dp_worker *w, const struct dp_port_view *v, struct rte_mbuf **m,
	unsigned n, const struct dp_found *found)
{
	const struct dp_worker *o = w->dp->workers[w->given];
	struct dp_carried c = {
		.carry = DP_CARRY_INNER, .port = (uint8_t)v->index, .upper = IP4_HDR};
	unsigned i = 0;
	for (; o != w && w->straight && w->route.n == 0 && i < n && found[i].flat; i++) {
		struct dp_dst_entry e;
		dp_dst_entry_of(atomic_load_explicit(found[i].flat, memory_order_acquire), &e);
		if (unlikely(!clear_of(w, o, v, m[i], &e)))
			break;
		uint8_t *ip = dp_data(m[i]) + RTE_ETHER_HDR_LEN;
		c.to = e.index;
		c.generation = e.generation;
		c.cause = e.cause;
		m[i]->data_off += RTE_ETHER_HDR_LEN;
		m[i]->data_len = get_be16(ip + 2);
		m[i]->pkt_len = m[i]->data_len;
		dp_hop_v4(ip);
		dp_give(w, o->id, m[i], &c);
	}
	return i;
}

void dp_handoff_flush(struct dp_worker *w)
{
	for (uint16_t i = 0; i < w->dp->worker_count; i++)
		if (w->handoff[i].n)
			dp_handoff_flush_to(w, i);
}

// ---- From other workers ----

// All that the taker will write, which is most of it. tail: bytes that it grows by.
static inline void ask_for_data(const struct rte_mbuf *m, const struct dp_carried *c)
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
	struct dp_carried c = dp_carry_get(x->m[i]);
	struct dp_sa *sa = NULL;
	x->at[i] = &x->none;
	ask_for_data(x->m[i], &c);
	if (c.carry == DP_CARRY_ESP) {
		sa = dp_sa_of_spi(x->w, c.to);
		if (likely(sa))
			dp_sa_prefetch(sa);
	} else if (c.carry == DP_CARRY_INNER) {
		x->at[i] = &x->w->ways[dp_tunnel_slot(c.to)];
		rte_prefetch0(x->at[i]);
	}
	x->found[i].sa = sa;
}

// The tunnel's newest SA, of one to be encrypted.
static inline void warm_sa(struct dp_warm *x, unsigned i)
{
	const struct dp_way *way = x->at[i];
	if (!way->v)
		return;
	struct dp_sa *sa = dp_way_sa(*way, dp_carry_get(x->m[i]).generation);
	x->found[i].sa = sa;
	if (likely(sa))
		dp_sa_prefetch(sa);
}

void dp_warm_taken(struct dp_warm *x, unsigned i)
{
	WARM_EACH(x, i, dp_prefetch_write(x->m[k]));
	WARM_EACH(x, i - WARM_DATA, ask_for_packet(x, k));
	WARM_EACH(x, i - WARM_WAY, warm_sa(x, k));
}

void dp_warm_taken_all(struct dp_warm *x)
{
	for (unsigned i = 0; i < x->n; i++)
		dp_prefetch_write(x->m[i]);
	for (unsigned i = 0; i < x->n; i++)
		ask_for_packet(x, i);
	for (unsigned i = 0; i < x->n; i++)
		warm_sa(x, i);
}

static void take_inner(struct dp_worker *w, struct rte_mbuf *m, const struct dp_carried *c)
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
	struct dp_carried c = dp_carry_get(m);
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

// ---- As most of them are ----

// ESP of a plain SA, which came by this port. False: nothing is decided.
static inline bool take_sealed(
	struct rte_mbuf *m, struct dp_sa *sa, uint16_t port, struct esp_op *op)
{
	struct dp_carried c = dp_carry_get(m);
	uint8_t *ip = dp_data(m) + c.l2_len;
	int len = m->data_len - c.l2_len - c.upper;
	return likely(sa) && likely(c.carry == DP_CARRY_ESP) && likely(c.port == port) &&
	       likely(ip[0] == 0x45) &&
	       dp_unwrap_plain(op, sa,
		       &(struct dp_sealed){
			       .m = m, .esp = ip + c.upper, .len = len, .upper = c.upper});
}

// How many of them are such, from the first on.
static __rte_noinline unsigned sealed_run(
	struct dp_worker *w, struct rte_mbuf **m, unsigned n, const struct dp_found *found)
{
	struct dp_ops *b = &w->esp_in;
	struct esp_op *op = &b->op[b->n];
	uint16_t port = b->n ? b->port : dp_carry_get(m[0]).port;
	unsigned i = 0;
	while (i < n && likely(take_sealed(m[i], found[i].sa, port, op + i)))
		i++;
	b->port = port;
	b->ready = b->n += i;
	return i;
}

// An IPv4 packet for a plain SA, which is wrapped at once. False: nothing has been done.
static inline bool take_clear(
	struct dp_worker *w, struct rte_mbuf *m, struct dp_sa *sa, struct esp_op *op)
{
	struct dp_plain p = {.m = m, .ip = dp_data(m), .at = m->data_off, .len = m->data_len};
	return likely(sa) && likely(dp_carry_get(m).carry == DP_CARRY_INNER) &&
	       likely(p.ip[0] >> 4 == IP_V4) && dp_wrap_plain(w, op, sa, &p);
}

static __rte_noinline unsigned clear_run(
	struct dp_worker *w, struct rte_mbuf **m, unsigned n, const struct dp_found *found)
{
	struct dp_ops *b = &w->esp_out;
	struct esp_op *op = &b->op[b->n];
	unsigned i = 0;
	while (i < n && likely(take_clear(w, m[i], found[i].sa, op + i)))
		i++;
	b->ready = b->n += i;
	return i;
}

// Such ones as long as there is nothing before them that is not.
static void take_burst(
	struct dp_worker *w, struct rte_mbuf **m, unsigned n, const struct dp_found *found)
{
	for (unsigned i = 0; i < n; i++) {
		bool in = dp_carry_get(m[i]).carry == DP_CARRY_ESP;
		const struct dp_ops *b = in ? &w->esp_in : &w->esp_out;
		if (likely(w->straight) && b->ready == b->n)
			i += in ? sealed_run(w, m + i, n - i, found + i)
				: clear_run(w, m + i, n - i, found + i);
		if (unlikely(i < n))
			take(w, m[i]);
	}
}

// All that the next ring has which has something. Each is read once a poll.
static bool fetch_ring(struct dp_worker *w)
{
	struct dp_taken *t = &w->taken;
	for (t->have = t->at = 0; t->rings && !t->have; t->rings--) {
		struct rte_ring *r = w->handoff_in[t->ring];
		if (r)
			t->have = (uint16_t)rte_ring_sc_dequeue_burst(
				r, (void **)t->all, RTE_DIM(t->all), NULL);
		t->busy |= (uint64_t)(t->have != 0) << t->ring;
		t->ring = (uint16_t)(t->ring + 1 == w->dp->worker_count ? 0 : t->ring + 1);
	}
	return t->have != 0;
}

// The next packets, of as many rings as it takes to have a burst of them.
static unsigned fetch(struct dp_worker *w)
{
	struct dp_taken *t = &w->taken;
	struct rte_mbuf **m = t->m[t->turn ^ 1];
	unsigned n = 0;
	while (n < DP_BURST && (t->at < t->have || fetch_ring(w))) {
		unsigned k = RTE_MIN(DP_BURST - n, (unsigned)t->have - t->at);
		memcpy(m + n, t->all + t->at, k * sizeof(*m));
		t->at = (uint16_t)(t->at + k);
		n += k;
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
		take_burst(w, m, n, w->warm.found);
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

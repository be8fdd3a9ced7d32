// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The worker's SAs: published and withdrawn by messages, limits, selectors, and what is reported.
#include "dataplane/fast.h"
#include "dataplane/treat.h"

#include "base/secret.h"

#include <rte_malloc.h>

#include <errno.h>
#include <stdlib.h>

// ---- Layout ----

static uint8_t bits_for(uint32_t n) // values 0 to n - 1
{
	uint8_t bits = 0;
	while ((1ull << bits) < n)
		bits++;
	return bits;
}

// A session has one child SA, and two of them during a rekey; and sessions are not spread evenly. Some
// have as much on every worker.
struct dp_layout dp_layout_make(uint32_t node, uint32_t workers, uint32_t max_sessions)
{
	struct dp_layout l = {.node = node & ((1u << DP_NODE_BITS) - 1)};
	uint64_t need = (uint64_t)max_sessions * 3 / workers + 1024;
	uint8_t room;

	if (workers > 1)
		need += 2 * RTE_MIN(max_sessions, (uint32_t)DP_SHARED);
	l.worker_bits = bits_for(workers);
	room = 32 - DP_NODE_BITS - l.worker_bits;
	l.slot_bits = 10;
	// A tunnel's slot has at most 20 bits.
	while ((1ull << l.slot_bits) < need && l.slot_bits + 1 + DP_NONCE_MIN <= room &&
		l.slot_bits < DP_TUNNEL_SLOT_BITS)
		l.slot_bits++;
	l.nonce_bits = room - l.slot_bits;
	l.slots = 1u << l.slot_bits;
	l.tunnels = RTE_MIN(l.slots, (1u << DP_TUNNEL_SLOT_BITS) - DP_SHARED);
	return l;
}

// ---- Slabs ----

int dp_slab_init(struct dp_slab *s, uint32_t slots, size_t stride)
{
	s->slots = slots;
	s->stride = stride;
	s->chunks = calloc((slots + DP_CHUNK - 1) / DP_CHUNK, sizeof(*s->chunks));
	return s->chunks ? 0 : -ENOMEM;
}

// Chunks belong to the control thread.
void dp_slab_fini(struct dp_slab *s)
{
	free(s->chunks);
	s->chunks = NULL;
}

void *dp_chunk_new(size_t stride, int socket)
{
	return rte_zmalloc_socket("sallyport_sa", DP_CHUNK * stride, DP_LINES, socket);
}

void dp_chunk_free(void *chunk, size_t stride)
{
	if (!chunk)
		return;
	secret_wipe(chunk, DP_CHUNK * stride);
	rte_free(chunk);
}

static void slab_learn(struct dp_slab *s, uint32_t slot, uint8_t *chunk)
{
	s->chunks[slot >> DP_CHUNK_SHIFT] = chunk;
}

// ---- Reports ----

void dp_tell_control(struct dp_worker *w)
{
	w->tell = true;
}

void dp_pend(struct dp_worker *w, struct dp_pending *p, enum sa_event_type what)
{
	if (!p->bits)
		TAILQ_INSERT_TAIL(&w->pending, p, link);
	p->bits |= (uint8_t)(1u << what);
}

static void unpend(struct dp_worker *w, struct dp_pending *p)
{
	if (p->bits)
		TAILQ_REMOVE(&w->pending, p, link);
	p->bits = 0;
}

static void fill_sa_event(struct dp_worker *w, struct dp_sa_cold *c, struct sa_event *ev)
{
	struct dp_sa *sa = dp_sa_of_cold(c);
	struct dp_tunnel *t = dp_tunnel_at(w, c->tunnel_index, c->generation);
	ev->dir = sa->flags & DP_SA_OUT ? SA_OUT : SA_IN;
	ev->child = c->child;
	ev->tunnel = dp_tunnel_id(c->tunnel_index, c->generation);
	ev->session = t ? t->session : 0;
	ev->remote = c->moved_to;
}

static void fill_tunnel_event(const struct dp_tunnel *t, struct sa_event *ev)
{
	ev->tunnel = dp_tunnel_id(t->index, t->generation);
	ev->session = t->session;
}

// False: the ring is full, the bits stay.
static bool report(struct dp_worker *w, struct dp_pending *p)
{
	struct sa_event ev;
	memset(&ev, 0, sizeof(ev));
	if (p->is_tunnel)
		fill_tunnel_event(container_of(p, struct dp_tunnel, pending), &ev);
	else
		fill_sa_event(w, container_of(p, struct dp_sa_cold, pending), &ev);
	while (p->bits) {
		unsigned what = (unsigned)__builtin_ctz(p->bits);
		ev.type = (enum sa_event_type)what;
		if (rte_ring_sp_enqueue_elem(w->event_ring, &ev, sizeof(ev)))
			return false;
		p->bits &= (uint8_t) ~(1u << what);
		dp_tell_control(w);
	}
	return true;
}

void dp_pend_flush(struct dp_worker *w)
{
	struct dp_pending *p;
	while ((p = TAILQ_FIRST(&w->pending))) {
		if (!report(w, p))
			return;
		TAILQ_REMOVE(&w->pending, p, link);
	}
}

// ---- Limits ----

static uint64_t nearest(uint64_t soft, uint64_t hard, bool soft_told)
{
	uint64_t next = hard ? hard : UINT64_MAX;
	return soft && !soft_told && soft < next ? soft : next;
}

void dp_sa_limits(struct dp_sa *sa)
{
	struct dp_sa_cold *c = dp_sa_cold(sa);
	bool told = sa->flags & DP_SA_SOFT_TOLD;
	sa->next_packets = nearest(c->soft_packets, c->hard_packets, told);
	sa->next_bytes = nearest(c->soft_bytes, c->hard_bytes, told);
}

void dp_sa_limit_reached(struct dp_worker *w, struct dp_sa *sa)
{
	struct dp_sa_cold *c = dp_sa_cold(sa);
	uint64_t packets = dp_get(&sa->packets), bytes = dp_get(&sa->bytes);
	if ((c->hard_packets && packets >= c->hard_packets) ||
		(c->hard_bytes && bytes >= c->hard_bytes)) {
		dp_sa_stop(sa);
		dp_pend(w, &c->pending, SA_EVENT_HARD_LIMIT);
	} else if (!(sa->flags & DP_SA_SOFT_TOLD)) {
		sa->flags |= DP_SA_SOFT_TOLD;
		dp_pend(w, &c->pending, SA_EVENT_SOFT_LIMIT);
	}
	dp_sa_limits(sa);
}

// ---- Selectors ----

static bool ts_matches(const struct dp_ts *ts, unsigned n, uint8_t family, const uint8_t *addr,
	uint8_t proto, uint16_t port)
{
	size_t len = ip_len(family);
	for (unsigned i = 0; i < n; i++, ts++)
		if (ts->family == family && memcmp(addr, ts->lo, len) >= 0 &&
			memcmp(addr, ts->hi, len) <= 0 && (!ts->proto || ts->proto == proto) &&
			port >= ts->port_lo && port <= ts->port_hi)
			return true;
	return false;
}

// Where ports are hidden (a later fragment), only a selector over all ports matches.
static bool slow_selects(struct dp_sa *sa, const uint8_t *packet, uint32_t len)
{
	struct dp_sa_cold *c = dp_sa_cold(sa);
	struct ip_info ip;
	uint16_t src, dst;
	if (ip_parse_packet(packet, len, false, &ip) != DP_DROP_NONE)
		return false;
	bool out = sa->flags & DP_SA_OUT;
	const uint8_t *local = out ? ip.src : ip.dst, *remote = out ? ip.dst : ip.src;
	ip_ports(packet, &ip, &src, &dst);
	return ts_matches(c->ts, c->local_count, ip.family, local, ip.proto, out ? src : dst) &&
	       ts_matches(c->ts + c->local_count, c->remote_count, ip.family, remote, ip.proto,
		       out ? dst : src);
}

bool dp_sa_selects(struct dp_sa *sa, const uint8_t *packet, uint32_t len)
{
	if (packet[0] >> 4 != IP_V4 || !(sa->flags & DP_SA_FAST_V4))
		return slow_selects(sa, packet, len);
	return dp_sa_holds_v4(sa, packet);
}

// ---- Messages about SAs ----

// What an inbound SA itself is not as most are.
static unsigned special_in(const struct dp_sa *sa)
{
	return (sa->flags & DP_SA_FIRST_TOLD ? 0 : DP_SPECIAL_FIRST) |
	       (sa->flags & DP_SA_STOPPED ? DP_SPECIAL_STOPPED : 0) |
	       (dp_suite_plain(sa) ? 0 : DP_SPECIAL_SUITE) |
	       (sa->window && sa->word_mask < DP_HOT_WORDS ? 0 : DP_SPECIAL_WINDOW) |
	       (sa->flags & DP_SA_FAST_V4 ? 0 : DP_SPECIAL_SELECTORS);
}

// A tunnel's treatment and flags are there before its SAs and do not change.
static void set_special(struct dp_sa *sa, const struct dp_tunnel *t)
{
	bool reverse = !(sa->flags & DP_SA_OUT) && (t->flags & DP_TUNNEL_REVERSE_PATH);
	bool treat = t->treat || (sa->special & DP_SPECIAL_TREAT); // of its own: TFC
	sa->special =
		(uint8_t)((treat ? DP_SPECIAL_TREAT : 0) | (reverse ? DP_SPECIAL_REVERSE : 0) |
			  (sa->flags & DP_SA_TRANSPORT ? DP_SPECIAL_TRANSPORT : 0) |
			  (sa->flags & DP_SA_OUT ? 0 : special_in(sa)));
}

static void sa_add(struct dp_worker *w, const struct dp_msg *msg)
{
	struct dp_sa *sa = msg->sa;
	struct dp_sa_cold *c = dp_sa_cold(sa);
	bool out = sa->flags & DP_SA_OUT;

	slab_learn(out ? &w->out : &w->in, c->slot, msg->chunk);
	c->pending.bits = 0;
	sa->flags |= DP_SA_INSTALLED;
	dp_add(&w->stats.sas, 1);
	// Its add came before, and its delete comes behind ours.
	struct dp_tunnel *t = dp_tunnel_at(w, c->tunnel_index, c->generation);
	RTE_VERIFY(t != NULL);
	set_special(sa, t);
	if (!out) {
		LIST_INSERT_HEAD(&t->in, c, of_tunnel);
		dp_sa_set_peer(sa, t);
		sa->spi = rte_cpu_to_be_32(msg->spi);
		dp_pend(w, &c->pending, SA_EVENT_INSTALLED);
	}
}

static void out_unlink(struct dp_sa *sa)
{
	struct dp_sa_cold *c = dp_sa_cold(sa);
	if (!c->out_at)
		return;
	*c->out_at = c->out_next;
	if (c->out_next)
		dp_sa_cold(c->out_next)->out_at = c->out_at;
	c->out_next = NULL;
	c->out_at = NULL;
}

// Newest first. What it replaces stays behind it until its delete: packets fall back to the next
// newest whose selectors hold them.
static void sa_switch(struct dp_worker *w, const struct dp_msg *msg)
{
	struct dp_tunnel *t = dp_tunnel_at(w, msg->tunnel, msg->generation);
	struct dp_sa *sa = msg->sa;
	if (!t || !(sa->flags & DP_SA_INSTALLED))
		return;
	out_unlink(sa);
	dp_sa_cold(sa)->out_next = t->out;
	dp_sa_cold(sa)->out_at = &t->out;
	if (t->out)
		dp_sa_cold(t->out)->out_at = &dp_sa_cold(sa)->out_next;
	t->out = sa;
	if ((sa->special & DP_SPECIAL_TREAT) && dp_sa_cold(sa)->tfc)
		t->treat |= DP_TREAT_TFC;
	t->no_child_ns = 0;
	dp_sa_set_path(w, sa, t);
	dp_way_set(w, t);
	dp_hold_release(w, t, sa);
}

// The control thread has at most DP_RETURN_RING deletes under way, so that there is always room.
static void give_back(struct dp_worker *w, struct dp_return *r)
{
	int rc = rte_ring_sp_enqueue_elem(w->return_ring, r, sizeof(*r));
	RTE_VERIFY(rc == 0);
	dp_tell_control(w);
}

static void sa_del(struct dp_worker *w, const struct dp_msg *msg)
{
	struct dp_sa *sa = msg->sa;
	struct dp_sa_cold *c = dp_sa_cold(sa);

	struct dp_tunnel *t = dp_tunnel_at(w, c->tunnel_index, c->generation);
	RTE_VERIFY(t != NULL);
	if (sa->flags & DP_SA_OUT) {
		out_unlink(sa);
		dp_way_set(w, t);
	} else {
		sa->spi = 0;
		LIST_REMOVE(c, of_tunnel);
	}
	unpend(w, &c->pending);
	sa->flags &= (uint8_t)~DP_SA_INSTALLED;
	dp_set(&w->stats.sas, dp_get(&w->stats.sas) - 1);
	give_back(w, &(struct dp_return){.sa = sa});
}

// ---- Messages about tunnels ----

// Each once, whatever copies there are.
static void count_tunnel(struct dp_worker *w, const struct dp_tunnel *t, int n)
{
	if (dp_tunnel_worker(t->index) == w->id)
		dp_add(&w->stats.tunnels, (uint64_t)n);
}

static void tunnel_add(struct dp_worker *w, const struct dp_msg *msg)
{
	uint32_t slot = dp_tunnel_slot(msg->tunnel);
	slab_learn(&w->tunnels, slot, msg->chunk);
	struct dp_tunnel *t =
		(struct dp_tunnel *)(void *)(msg->chunk + (slot & (DP_CHUNK - 1)) * sizeof(*t));
	memset(t, 0, sizeof(*t));
	t->index = msg->tunnel;
	t->generation = msg->generation;
	t->session = msg->session;
	t->df = msg->df;
	t->flags = msg->flags;
	t->mtu = msg->mtu;
	dp_treat_set(w, t, &msg->treat);
	t->next_hop = msg->next_hop;
	t->pending.is_tunnel = true;
	dp_tunnel_set_path(t, &msg->path);
	dp_way_set(w, t);
	count_tunnel(w, t, 1);
}

static void tunnel_change(struct dp_worker *w, const struct dp_msg *msg)
{
	struct dp_tunnel *t = dp_tunnel_at(w, msg->tunnel, msg->generation);
	if (!t)
		return;
	t->mtu = msg->mtu;
	if (msg->type == DP_MSG_TUNNEL_MOVE) {
		struct dp_sa_cold *c;
		t->next_hop = msg->next_hop;
		dp_tunnel_set_path(t, &msg->path);
		LIST_FOREACH (c, &t->in, of_tunnel)
			dp_sa_set_peer(dp_sa_of_cold(c), t);
	}
	for (struct dp_sa *sa = t->out; sa; sa = dp_sa_cold(sa)->out_next)
		dp_sa_set_path(w, sa, t);
}

static void tunnel_del(struct dp_worker *w, const struct dp_msg *msg)
{
	struct dp_tunnel *t = dp_tunnel_at(w, msg->tunnel, msg->generation);
	RTE_VERIFY(t != NULL);
	unpend(w, &t->pending);
	dp_hold_drop(w, t);
	count_tunnel(w, t, -1);
	t->generation = 0;
	dp_way_set(w, t);
	give_back(w, &(struct dp_return){.tunnel = msg->tunnel, .generation = msg->generation});
}

static void apply(struct dp_worker *w, const struct dp_msg *msg)
{
	switch ((enum dp_msg_type)msg->type) {
	case DP_MSG_TUNNEL_ADD:
		tunnel_add(w, msg);
		break;
	case DP_MSG_TUNNEL_MOVE:
	case DP_MSG_TUNNEL_MTU:
		tunnel_change(w, msg);
		break;
	case DP_MSG_TUNNEL_DEL:
		tunnel_del(w, msg);
		break;
	case DP_MSG_SA_ADD:
		sa_add(w, msg);
		break;
	case DP_MSG_SA_SWITCH:
		sa_switch(w, msg);
		break;
	case DP_MSG_SA_DEL:
		sa_del(w, msg);
		break;
	case DP_MSG_NEIGH:
		dp_neigh_apply(w, &msg->neigh);
		break;
	}
}

// ---- Taking messages ----

#define MSG_BURST 8u

// What a message is about is most often in the control thread's cache alone, which wrote it.
static void prefetch_subject(const struct dp_worker *w, const struct dp_msg *msg)
{
	if (msg->sa) {
		const uint8_t *sa = (const uint8_t *)msg->sa;
		dp_prefetch_write(sa);
		dp_prefetch_write(sa + RTE_CACHE_LINE_SIZE);
		dp_prefetch_write(dp_sa_cold(msg->sa));
	} else if (msg->type != DP_MSG_NEIGH && dp_tunnel_slot(msg->tunnel) < w->tunnels.slots) {
		rte_prefetch0(dp_slab_at(&w->tunnels, dp_tunnel_slot(msg->tunnel)));
	}
}

// The lines of an SA's tunnel that its messages need; the SA's own are there.
static void prefetch_tunnel(const struct dp_worker *w, const struct dp_msg *msg)
{
	if (!msg->sa)
		return;
	const uint8_t *t = dp_slab_at(&w->tunnels, msg->sa->tunnel_slot);
	for (unsigned i = 0; t && i < RTE_MIN(sizeof(struct dp_tunnel), 5 * 64u); i += 64)
		rte_prefetch0(t + i);
}

static unsigned dequeue(struct dp_worker *w, struct dp_msg *msg, unsigned max)
{
	unsigned n = 0;
	while (n < max && rte_ring_sc_dequeue_elem(w->sa_ring, &msg[n], DP_MSG_HEAD) == 0) {
		if (unlikely(dp_msg_has_rest(&msg[n]))) {
			int rc = rte_ring_sc_dequeue_elem(
				w->sa_rest_ring, dp_msg_rest(&msg[n]), DP_MSG_REST);
			RTE_VERIFY(rc == 0);
		}
		n++;
	}
	return n;
}

unsigned dp_msg_poll(struct dp_worker *w)
{
	struct dp_msg msg[MSG_BURST];
	unsigned n, all = 0;
	do {
		n = dequeue(w, msg, MSG_BURST);
		for (unsigned i = 0; i < n; i++)
			prefetch_subject(w, &msg[i]);
		for (unsigned i = 0; i < n; i++)
			prefetch_tunnel(w, &msg[i]);
		if (n) { // what they will have to be told of
			dp_ring_warm_put(w->event_ring, sizeof(struct sa_event), 2);
			dp_ring_warm_put(w->return_ring, sizeof(struct dp_return), MSG_BURST);
		}
		for (unsigned i = 0; i < n; i++)
			apply(w, &msg[i]);
		all += n;
	} while (n == MSG_BURST && all < DP_MSG_POLL);
	return all;
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The SA sink, one SA at a time: SPIs, key expansion, install, delete, counters.
#include "dataplane/sink_state.h"

#include "base/secret.h"
#include "dataplane/replay.h"
#include "dataplane/treat.h"

#include <rte_malloc.h>

#include <errno.h>

#define SPI_TRIES  256 // nonces of one slot
#define SLOT_TRIES 4

struct child_ctl *sink_child(struct dp_sink *s, uint32_t spi, struct worker_ctl **wc)
{
	const struct dp_layout *l = sink_layout(s);
	uint32_t worker = dp_spi_worker(l, spi);
	if (worker >= s->dp->worker_count)
		return NULL;
	*wc = &s->workers[worker];
	struct child_ctl *c = &(*wc)->children[dp_spi_slot(l, spi)];
	return c->spi == spi && spi != 0 ? c : NULL;
}

// ---- SPIs ----

static uint32_t draw(struct dp_sink *s, const struct worker_ctl *wc, uint32_t slot)
{
	uint32_t nonce = (uint32_t)random_u64(s->dp->seams.random);
	return dp_spi_make(&wc->w->layout, wc->w->id, slot, nonce);
}

// For native ESP, a nonce by which the NIC gives the packets to this worker. False: this slot has
// none. Behind UDP encapsulation the SPI does not decide.
static bool steer(struct dp_sink *s, const struct worker_ctl *wc, const struct tunnel_path *path,
	uint32_t slot, uint32_t *spi)
{
	*spi = draw(s, wc, slot);
	if (path->encap || s->dp->worker_count == 1)
		return true;
	for (unsigned i = 0; i < SPI_TRIES; i++) {
		int worker = dp_rss_worker_of_spi(s->dp, path, *spi);
		if (worker < 0 || worker == wc->w->id)
			return true;
		*spi = draw(s, wc, slot);
	}
	return false;
}

void sink_set_cause(struct dp_sink *s, uint32_t spi, enum dp_handoff cause)
{
	const struct dp_layout *l = sink_layout(s);
	struct dp_worker *w = s->workers[dp_spi_worker(l, spi)].w;
	atomic_store_explicit(
		&w->uplink_cause[dp_spi_slot(l, spi)], (uint8_t)cause, memory_order_relaxed);
}

// By the path's prediction; moved: the peer's tunnel began elsewhere, and its worker with it.
static void predict_cause(
	struct dp_sink *s, uint32_t spi, const struct tunnel_path *path, bool moved)
{
	int predicted = dp_rss_worker_of_spi(s->dp, path, spi);
	bool right = predicted < 0 || (uint32_t)predicted == dp_spi_worker(sink_layout(s), spi);
	enum dp_handoff elsewhere = moved ? DP_HANDOFF_ROAMING : DP_HANDOFF_STICKY;
	sink_set_cause(s, spi, right ? DP_HANDOFF_MISPREDICTED : elsewhere);
}

int sink_spi_reserve(void *ctx, uint16_t worker, const struct tunnel_path *path, uint32_t *spi)
{
	struct dp_sink *s = ctx;
	if (worker >= s->dp->worker_count)
		return -EINVAL;
	struct worker_ctl *wc = &s->workers[worker];
	uint32_t slot = 0;
	for (unsigned i = 0; i < SLOT_TRIES; i++) {
		if (!fifo_get(&wc->free_children, &slot))
			return -ENOSPC;
		// Without a nonce that fits, packets are handed over: slower, not wrong.
		if (steer(s, wc, path, slot, spi) || i == SLOT_TRIES - 1)
			break;
		fifo_put(&wc->free_children, slot);
	}
	wc->children[slot] = (struct child_ctl){.spi = *spi, .reserved = true};
	predict_cause(s, *spi, path, false);
	return 0;
}

static void child_free(struct dp_sink *s, struct worker_ctl *wc, struct child_ctl *c)
{
	if (c->tunnel) {
		LIST_REMOVE(c, link);
		--*sink_child_count(s, c->tunnel, wc->w->id);
	}
	sink_peer_forget(s, c);
	fifo_put(&wc->free_children, (uint32_t)(c - wc->children));
	*c = (struct child_ctl){0};
}

void sink_spi_release(void *ctx, uint32_t spi)
{
	struct worker_ctl *wc;
	struct child_ctl *c = sink_child(ctx, spi, &wc);
	if (c && c->reserved && !c->sa[SA_IN] && !c->sa[SA_OUT])
		child_free(ctx, wc, c);
}

// ---- Building an SA ----

static struct dp_ts ts_of(const struct selector *s)
{
	struct dp_ts t = {.family = s->range.lo.family,
		.proto = s->proto,
		.port_lo = s->port_lo,
		.port_hi = s->port_hi};
	memcpy(t.lo, s->range.lo.bytes, 16);
	memcpy(t.hi, s->range.hi.bytes, 16);
	return t;
}

static bool whole(const struct selector *s)
{
	return s->proto == 0 && s->port_lo == 0 && s->port_hi == UINT16_MAX;
}

// The only IPv4 selector of a side, if it is one over all protocols.
static const struct selector *single_v4(const struct selector *ts, unsigned n)
{
	const struct selector *one = NULL;
	for (unsigned i = 0; i < n; i++) {
		if (ts[i].range.lo.family != IP_V4)
			continue;
		if (one || !whole(&ts[i]))
			return NULL;
		one = &ts[i];
	}
	return one;
}

// The bits that all addresses of the range have in common, if those that have them are the range.
static bool is_prefix_v4(const struct ip_range *r, uint32_t *mask)
{
	uint32_t lo = ip_to_v4(&r->lo), host = lo ^ ip_to_v4(&r->hi);
	*mask = ~host;
	return (host & (host + 1)) == 0 && (lo & host) == 0;
}

static void set_fast(struct dp_sa *sa, const struct sa_spec *spec)
{
	const struct selector *l = single_v4(spec->ts_local, spec->ts_local_count);
	const struct selector *r = single_v4(spec->ts_remote, spec->ts_remote_count);
	const struct selector *src = spec->dir == SA_OUT ? l : r,
			      *dst = spec->dir == SA_OUT ? r : l;
	uint32_t src_mask, dst_mask;
	uint8_t net[8], mask[8];
	if (!l || !r || !is_prefix_v4(&src->range, &src_mask) ||
		!is_prefix_v4(&dst->range, &dst_mask))
		return;
	set_be32(net, ip_to_v4(&src->range.lo));
	set_be32(net + 4, ip_to_v4(&dst->range.lo));
	set_be32(mask, src_mask);
	set_be32(mask + 4, dst_mask);
	memcpy(&sa->ts_net, net, sizeof(net));
	memcpy(&sa->ts_mask, mask, sizeof(mask));
	sa->flags |= DP_SA_FAST_V4;
}

static int set_selectors(struct dp_sa *sa, const struct sa_spec *spec, int socket)
{
	struct dp_sa_cold *c = dp_sa_cold(sa);
	unsigned n = spec->ts_local_count + spec->ts_remote_count;
	if (spec->ts_local_count > SA_SELECTORS_MAX || spec->ts_remote_count > SA_SELECTORS_MAX)
		return -EINVAL;
	c->ts = c->ts_inline;
	if (n > RTE_DIM(c->ts_inline)) {
		c->ts = rte_zmalloc_socket("sallyport_ts", n * sizeof(*c->ts), 0, socket);
		if (!c->ts)
			return -ENOMEM;
	}
	for (unsigned i = 0; i < spec->ts_local_count; i++)
		c->ts[i] = ts_of(&spec->ts_local[i]);
	for (unsigned i = 0; i < spec->ts_remote_count; i++)
		c->ts[spec->ts_local_count + i] = ts_of(&spec->ts_remote[i]);
	c->local_count = spec->ts_local_count;
	c->remote_count = spec->ts_remote_count;
	set_fast(sa, spec);
	return 0;
}

static int set_window(struct dp_sa *sa, const struct sa_spec *spec, int socket)
{
	if (spec->dir == SA_OUT || spec->replay_window == 0)
		return 0;
	if (spec->replay_window > REPLAY_WINDOW_MAX)
		return -EINVAL;
	uint32_t words = replay_words(spec->replay_window);
	sa->window = spec->replay_window;
	sa->word_mask = (uint16_t)(words - 1);
	if (words <= DP_HOT_WORDS)
		return 0;
	sa->wide = rte_zmalloc_socket("sallyport_window", words * 8, 64, socket);
	if (sa->wide)
		return 0;
	sa->word_mask = 0;
	return -ENOMEM;
}

// Everything up to the initial sequence number counts as seen.
static void set_seq(struct dp_sa *sa, const struct sa_spec *spec)
{
	dp_set(&sa->seq, spec->seq);
	if (spec->dir == SA_IN && spec->seq && sa->window)
		memset(dp_sa_replay(sa), 0xff, (sa->word_mask + 1u) * 8);
	if (spec->dir == SA_IN && spec->seq && sa->window) {
		// Of the newest one's word, what lies ahead has not been seen.
		uint64_t *bits = dp_sa_replay(sa);
		unsigned at = spec->seq & 63;
		bits[(spec->seq >> 6) & sa->word_mask] = at == 63 ? ~0ull : (2ull << at) - 1;
	}
}

void sink_sa_wipe(struct dp_sa *sa)
{
	struct dp_sa_cold *c = dp_sa_cold(sa);
	if (c->ts != c->ts_inline)
		rte_free(c->ts);
	if (!(sa->flags & DP_SA_OUT) && sa->word_mask >= DP_HOT_WORDS)
		rte_free(sa->wide);
	// A stale SPI may still lead a worker to look at sa->spi, which is zero already.
	secret_wipe((uint8_t *)sa + sizeof(sa->spi), dp_sa_stride() - sizeof(sa->spi));
}

// A soft limit that lies behind the hard one would never be told: it is told an eighth before.
static uint64_t soft_before(uint64_t soft, uint64_t hard)
{
	return soft && hard && soft >= hard ? RTE_MAX(hard - hard / 8 - 1, 1ull) : soft;
}

// Packets that may pass until half of the sequence numbers are used: without ESN the other half lasts 14
// seconds at 148 Mpps (100 Gbit/s of the smallest packets), which is a rekey and its retransmissions.
// Inbound those that are accepted count, of which there are no more than numbers, so that a peer which
// lets them run out is overtaken by our rekey unless half of its packets are lost.
static uint64_t soft_by_seq(const struct sa_spec *spec)
{
	uint64_t half = spec->esn ? 1ull << 63 : 1ull << 31;
	return spec->seq < half ? half - spec->seq : 1;
}

static void set_limits(struct dp_sa *sa, const struct sa_spec *spec)
{
	struct dp_sa_cold *c = dp_sa_cold(sa);
	uint64_t by_seq = soft_by_seq(spec);
	c->hard_bytes = spec->hard_bytes;
	c->hard_packets = spec->hard_packets;
	c->soft_bytes = soft_before(spec->soft_bytes, spec->hard_bytes);
	c->soft_packets = soft_before(spec->soft_packets, spec->hard_packets);
	if (!c->soft_packets || by_seq < c->soft_packets)
		c->soft_packets = by_seq;
	dp_sa_limits(sa);
}

static void set_peer_sum(struct dp_sa_cold *c, const struct sa_spec *spec)
{
	const struct ip_addr *s = &spec->peer_source, *d = &spec->peer_destination;
	c->peer_sum_known = s->family && s->family == d->family;
	if (c->peer_sum_known)
		c->peer_sum = ip_fold(ip_sum(s->bytes, (uint32_t)ip_len(s->family)) +
				      ip_sum(d->bytes, (uint32_t)ip_len(d->family)));
}

static int fill(struct dp_sink *s, struct dp_sa *sa, const struct sa_spec *spec, int socket)
{
	struct dp_sa_cold *c = dp_sa_cold(sa);
	c->child = spec->child;
	sa->tunnel_slot = dp_tunnel_slot(c->tunnel_index);
	sa->flags = (uint8_t)((spec->esn ? DP_SA_ESN : 0) | (spec->dir == SA_OUT ? DP_SA_OUT : 0) |
			      (spec->mode == SA_TRANSPORT ? DP_SA_TRANSPORT : 0));
	set_peer_sum(c, spec);
	if (spec->dir == SA_OUT)
		sa->spi = rte_cpu_to_be_32(spec->spi);
	int rc = dp_keys_expand(s->crypto.mgr, spec, sa);
	rc = rc ? rc : set_selectors(sa, spec, socket);
	rc = rc ? rc : set_window(sa, spec, socket);
	if (rc)
		return rc;
	set_seq(sa, spec);
	dp_tfc_set(sa, spec);
	sa->special = c->tfc ? DP_SPECIAL_TREAT : 0;
	set_limits(sa, spec);
	return 0;
}

static struct dp_sa *place(struct worker_ctl *wc, enum sa_dir dir, uint32_t slot, uint8_t **chunk)
{
	uint8_t **at = &wc->chunks[dir][slot >> DP_CHUNK_SHIFT];
	if (!*at)
		*at = dp_chunk_new(dp_sa_stride(), wc->w->socket);
	*chunk = *at;
	return *at ? (struct dp_sa *)(void *)(*at + (slot & (DP_CHUNK - 1)) * dp_sa_stride())
		   : NULL;
}

// ---- Add, switch, delete ----

int sink_sa_add(void *ctx, const struct sa_spec *spec)
{
	struct dp_sink *s = ctx;
	struct worker_ctl *wc, *twc;
	uint32_t index;
	uint8_t *chunk;
	struct child_ctl *c = sink_child(s, spec->child, &wc);
	struct tunnel_ctl *t = sink_tunnel(s, spec->tunnel, &twc, &index);

	if (!c || !t || t->deleting)
		return -ENOENT;
	// A shared tunnel's SAs are their SPI's worker's.
	if ((wc != twc && t->copies == 1) || (c->tunnel && c->tunnel != index) ||
		(spec->dir == SA_IN && spec->spi != spec->child) || spec->spi == 0)
		return -EINVAL;
	if (c->sa[spec->dir])
		return -EEXIST;
	// Each packet looks through them.
	uint32_t *children = sink_child_count(s, index, wc->w->id);
	if (!c->tunnel && *children == DP_TUNNEL_SAS)
		return -ENOSPC;
	uint32_t slot = (uint32_t)(c - wc->children);
	struct dp_sa *sa = place(wc, spec->dir, slot, &chunk);
	if (!sa)
		return -ENOMEM;
	struct dp_sa_cold *cold = dp_sa_cold(sa);
	cold->slot = slot;
	cold->tunnel_index = index;
	cold->generation = t->generation;
	int rc = fill(s, sa, spec, wc->w->socket);
	// This message, the delete, and of an outbound SA the switch.
	rc = rc ? rc : sink_promise(s, wc, spec->dir == SA_OUT ? 3 : 2);
	if (rc) {
		sink_sa_wipe(sa);
		return rc;
	}
	if (!c->tunnel) {
		LIST_INSERT_HEAD(&t->children, c, link);
		++*children;
		// It may have moved since the SPI was handed out, or before.
		predict_cause(s, c->spi, &t->path, t->moved);
	}
	c->tunnel = index;
	c->reserved = false;
	c->sa[spec->dir] = sa;
	c->may_switch |= spec->dir == SA_OUT;
	sink_peer_learn(s, c);
	sink_send_promised(
		wc, &(struct dp_msg){
			    .type = DP_MSG_SA_ADD, .sa = sa, .chunk = chunk, .spi = spec->spi});
	return 0;
}

void sink_sa_switch(void *ctx, uint32_t child)
{
	struct dp_sink *s = ctx;
	struct worker_ctl *wc;
	struct child_ctl *c = sink_child(s, child, &wc);
	if (!c || !c->sa[SA_OUT] || c->deleting[SA_OUT])
		return;
	struct dp_msg msg = {.type = DP_MSG_SA_SWITCH,
		.sa = c->sa[SA_OUT],
		.tunnel = c->tunnel,
		.generation = sink_tunnel_at(s, c->tunnel)->generation};
	if (c->may_switch)
		sink_send_promised(wc, &msg);
	else
		(void)dp_sink_send(s->dp, wc->w->id, &msg);
	c->may_switch = false;
}

void sink_sa_del(void *ctx, uint32_t child, enum sa_dir dir)
{
	struct dp_sink *s = ctx;
	struct worker_ctl *wc;
	struct child_ctl *c = sink_child(s, child, &wc);
	if (!c || !c->sa[dir] || c->deleting[dir])
		return;
	c->deleting[dir] = true;
	if (dir == SA_OUT)
		sink_peer_forget(s, c);
	if (dir == SA_OUT && c->may_switch) {
		sink_promise_drop(wc, 1);
		c->may_switch = false;
	}
	sink_send_promised(wc, &(struct dp_msg){.type = DP_MSG_SA_DEL, .sa = c->sa[dir]});
}

// ---- Counters and return ----

static void read_counters(struct dp_sa *sa, struct sa_counters *out)
{
	const struct dp_sa_cold *c = dp_sa_cold(sa);
	*out = (struct sa_counters){
		.packets = dp_get(&sa->packets),
		.bytes = dp_get(&sa->bytes),
		.seq = dp_get(&sa->seq),
		.auth_failed = dp_get(&c->auth_failed),
		.replayed = dp_get(&c->replayed),
		.selector_mismatch = dp_get(&c->selector_mismatch),
		.malformed = dp_get(&c->malformed),
		.policed = dp_get(&c->policed),
		.last_used_ns = dp_get(&sa->last_used_ns),
	};
}

bool sink_sa_stats(void *ctx, uint32_t child, enum sa_dir dir, struct sa_counters *out)
{
	struct worker_ctl *wc;
	struct child_ctl *c = sink_child(ctx, child, &wc);
	if (!c || !c->sa[dir])
		return false;
	read_counters(c->sa[dir], out);
	return true;
}

void sink_sa_returned(struct dp_sink *s, struct worker_ctl *wc, struct dp_sa *sa)
{
	struct dp_sa_cold *cold = dp_sa_cold(sa);
	struct child_ctl *c = &wc->children[cold->slot];
	struct tunnel_ctl *t = sink_tunnel_at(s, cold->tunnel_index);
	struct sa_event ev = {
		.type = SA_EVENT_RETURNED,
		.dir = sa->flags & DP_SA_OUT ? SA_OUT : SA_IN,
		.child = cold->child,
		.tunnel = dp_tunnel_id(cold->tunnel_index, cold->generation),
		.session = t->session,
	};
	read_counters(sa, &ev.counters);
	sink_sa_wipe(sa);
	c->sa[ev.dir] = NULL;
	c->deleting[ev.dir] = false;
	if (!c->sa[SA_IN] && !c->sa[SA_OUT])
		child_free(s, wc, c);
	s->dp->seams.sa_event(s->dp->seams.ctx, &ev);
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What the SA sink's files share.
#pragma once

#include "base/htab.h"
#include "dataplane/local.h"
#include "dataplane/pmtu.h"
#include "dataplane/sink.h"

#define SINK_CONGESTED 64 // queued messages to one worker
#define SINK_SPARE     64

// A child SA: one slot in both slabs.
struct child_ctl {
	LIST_ENTRY(child_ctl) link; // of its tunnel, while tunnel is not 0
	uint32_t spi;               // 0: free
	uint32_t tunnel;            // index, 0: none yet
	bool reserved;              // handed out, nothing installed yet
	struct dp_sa *sa[2];        // by enum sa_dir; NULL: not there
	bool deleting[2];
	bool may_switch; // room for a switch message is still promised
	bool peer_known; // by_peer is in the sink's table
	struct htab_node by_peer;
};

struct route_ctl {
	SLIST_ENTRY(route_ctl) link;
	struct ip_prefix prefix;
	uint32_t refs;
};

struct tunnel_ctl {
	LIST_HEAD(, child_ctl) children;
	uint32_t child_count; // of a shared one: shared_ctl's
	SLIST_HEAD(, route_ctl) routes;
	uint32_t index, generation;
	bool used, deleting;
	bool moved;      // its path is not the one that it began with
	uint16_t copies; // workers that have it
	struct tunnel_path path;
	uint64_t session;
	uint16_t mtu;     // outer, in force
	uint16_t mtu_max; // configured; 0: the port's
	bool lowered; // mtu is below what it would be, until raise_ns; low is in the sink's list
	uint64_t raise_ns;
	TAILQ_ENTRY(tunnel_ctl) low;
};

// A tunnel that each worker has a copy of.
struct shared_ctl {
	struct tunnel_ctl tunnel;
	uint32_t child_count[DP_WORKERS_MAX];
};

struct queued_msg {
	STAILQ_ENTRY(queued_msg) link;
	struct dp_msg msg;
};

// First in, first out, so that a slot rests as long as possible before it is used again.
struct slot_fifo {
	uint32_t *slots;
	uint32_t head, count, size;
};

struct worker_ctl {
	struct dp_worker *w;
	struct child_ctl *children;
	struct tunnel_ctl *tunnels;
	struct slot_fifo free_children, free_tunnels;
	uint8_t **chunks[2]; // of SAs, by enum sa_dir
	uint8_t **tunnel_chunks;
	STAILQ_HEAD(, queued_msg) queue;
	uint32_t queued;
	// Room for messages that must not fail (a delete, the first switch) is taken when what they
	// are about is added: spare_count >= promised.
	STAILQ_HEAD(, queued_msg) spare;
	uint32_t spare_count, promised;
	uint32_t returning; // deletes that have not come back
};

struct dp_sink {
	struct dp *dp;
	struct dp_crypto crypto; // key expansion
	void *(*alloc)(size_t);  // malloc; a seam for tests
	struct worker_ctl workers[DP_WORKERS_MAX];
	struct shared_ctl *shared; // DP_SHARED of them
	struct slot_fifo free_shared;
	// Path MTUs (pmtu.c): outbound SAs by the peer's SPI and place; tunnels below their most,
	// in the order in which they are raised again.
	struct htab peers;
	uint8_t peer_key[16];
	TAILQ_HEAD(, tunnel_ctl) lowered;
	struct local_rate pmtu_rate;
};

// Promise room for n messages to a worker, each of which is then sent by sink_send_promised(), or
// given up. 0 or -ENOMEM.
MUST_USE int sink_promise(struct dp_sink *s, struct worker_ctl *wc, unsigned n);
void sink_promise_drop(struct worker_ctl *wc, unsigned n);
void sink_send_promised(struct worker_ctl *wc, const struct dp_msg *msg);

// NULL: not there.
struct child_ctl *sink_child(struct dp_sink *s, uint32_t spi, struct worker_ctl **wc);
// In use or not.
struct tunnel_ctl *sink_tunnel_at(struct dp_sink *s, uint32_t index);
// How many children it has on this worker.
uint32_t *sink_child_count(struct dp_sink *s, uint32_t index, uint16_t worker);
struct tunnel_ctl *sink_tunnel(
	struct dp_sink *s, uint32_t id, struct worker_ctl **wc, uint32_t *index);
// The functions of sa_sink that concern tunnels and routes (sink_tunnel.c).
int sink_tunnel_add(void *ctx, const struct tunnel_spec *spec, uint32_t *id);
void sink_tunnel_del(void *ctx, uint32_t id);
void sink_tunnel_family(void *ctx, uint32_t id, uint64_t family);
void sink_tunnel_move(void *ctx, uint32_t id, const struct tunnel_path *path);
void sink_tunnel_pmtu(void *ctx, uint32_t id, uint16_t outer_mtu);
int sink_route_add(void *ctx, uint32_t id, const struct ip_prefix *dst);
void sink_route_del(void *ctx, uint32_t id, const struct ip_prefix *dst);
int sink_route_move(void *ctx, uint32_t from, uint32_t to, const struct ip_prefix *dst);
// Tell its workers the tunnel's MTU.
void sink_mtu_send(struct dp_sink *s, const struct tunnel_ctl *t);
// Path MTUs (pmtu.c). 0 or -ENOMEM.
MUST_USE int sink_pmtu_init(struct dp_sink *s);
uint16_t sink_tunnel_mtu(void *ctx, uint32_t id);
uint16_t sink_mtu_least(const struct tunnel_ctl *t);
uint16_t sink_mtu_most(const struct dp_sink *s, const struct tunnel_ctl *t);
void sink_mtu_set(struct dp_sink *s, struct tunnel_ctl *t, uint16_t mtu);
// To the most that the port and the configuration allow.
void sink_mtu_reset(struct dp_sink *s, struct tunnel_ctl *t);
// The child's outbound SA is live and its tunnel known; or no longer.
void sink_peer_learn(struct dp_sink *s, struct child_ctl *c);
void sink_peer_forget(struct dp_sink *s, struct child_ctl *c);
// A worker has given its copy of a deleted tunnel back.
void sink_tunnel_returned(struct dp_sink *s, const struct dp_return *r);
// The functions of sa_sink that concern one SA (sink_sa.c).
int sink_sa_add(void *ctx, const struct sa_spec *spec);
void sink_sa_switch(void *ctx, uint32_t child);
void sink_sa_del(void *ctx, uint32_t child, enum sa_dir dir);
bool sink_sa_stats(void *ctx, uint32_t child, enum sa_dir dir, struct sa_counters *out);
int sink_spi_reserve(void *ctx, uint16_t worker, const struct tunnel_path *path, uint32_t *spi);
void sink_spi_release(void *ctx, uint32_t spi);
// Why ESP with this SPI would come to another worker, from now on.
void sink_set_cause(struct dp_sink *s, uint32_t spi, enum dp_handoff cause);
// A deleted SA is back: report, wipe, free its slot.
void sink_sa_returned(struct dp_sink *s, struct worker_ctl *wc, struct dp_sa *sa);
// Free what an SA has allocated beside its slot, and wipe it.
void sink_sa_wipe(struct dp_sa *sa);

// The same for all workers.
static inline const struct dp_layout *sink_layout(const struct dp_sink *s)
{
	return &s->workers[0].w->layout;
}

static inline bool fifo_get(struct slot_fifo *f, uint32_t *slot)
{
	if (f->count == 0)
		return false;
	*slot = f->slots[f->head];
	f->head = (f->head + 1) % f->size;
	f->count--;
	return true;
}

static inline void fifo_put(struct slot_fifo *f, uint32_t slot)
{
	f->slots[(f->head + f->count) % f->size] = slot;
	f->count++;
}

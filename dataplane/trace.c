// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/trace.h"

#include "dataplane/trace_filter.h"

#include <rte_mbuf_dyn.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define STAGES_EACH 8           // records a packet: more than most have
#define BYTES_MAX   (16u << 20) // of packets kept
#define HEAD_MAX    256
#define READY_STEP  (256u << 10) // bytes that a poll of the control thread makes ready

static const char *const punt_name[DP_PUNT_CLASSES] = {
	[DP_PUNT_IKE_KNOWN] = "ike",
	[DP_PUNT_IKE_NEW] = "ike_new",
	[DP_PUNT_ARP] = "arp",
	[DP_PUNT_ND] = "nd",
	[DP_PUNT_LOCAL] = "local",
	[DP_PUNT_FRAGMENT] = "fragment",
	[DP_PUNT_UNRESOLVED] = "unresolved",
	[DP_PUNT_TOO_BIG] = "too_big",
	[DP_PUNT_TTL] = "ttl",
	[DP_PUNT_EXCEPTION] = "exception",
};

#define NO_PORT UINT16_MAX

struct record {
	uint64_t ns, session;
	uint32_t packet, len, kept, at; // at: in the trace's bytes
	uint16_t worker, port;
	uint8_t stage;
	bool framed;
	const char *why;
	atomic_bool ready;
};

struct dp_trace {
	struct trace_filter *filter;
	uint32_t packets, snap, record_max, byte_max;
	uint64_t flag; // of ol_flags
	uint16_t serial;
	int field; // of the mbuf: struct mark
	int64_t to_unix_ns;
	_Atomic uint32_t next_packet, next_record, next_byte;
	struct dp_trace *retired_next;
	uint64_t retired_at; // grace period
	size_t size, ready;  // bytes of all of it, and how far the kernel has given pages
	uint8_t *bytes;      // behind the records
	struct record records[];
};

// What a traced packet carries. While its data begins where the frame did, it is the frame.
struct mark {
	uint32_t number;
	uint16_t frame_off; // data_off
	uint16_t trace;     // whose number it is: a packet may have waited since another one
};

#define NO_FRAME UINT16_MAX

// ---- Workers ----

static struct mark *mark_of(const struct dp_trace *t, const struct rte_mbuf *m)
{
	return RTE_MBUF_DYNFIELD((uintptr_t)m, t->field, struct mark *);
}

uint64_t dp_trace_flag(const struct dp_trace *t)
{
	return t->flag;
}

static bool marked(const struct dp_trace *t, const struct rte_mbuf *m)
{
	return m->ol_flags & t->flag && mark_of(t, m)->trace == t->serial;
}

// Places are given out up to the end, not beyond: the counters stay where they are.
static bool take(_Atomic uint32_t *next, uint32_t n, uint32_t max, uint32_t *at)
{
	*at = atomic_load_explicit(next, memory_order_relaxed);
	while (*at <= max && n <= max - *at)
		if (atomic_compare_exchange_weak_explicit(
			    next, at, *at + n, memory_order_relaxed, memory_order_relaxed))
			return true;
	return false;
}

static void keep_bytes(struct dp_trace *t, struct record *r, const struct rte_mbuf *m)
{
	// In several segments it is as it came; the data plane makes it linear, and then cares for
	// data_len alone.
	uint32_t have = m->nb_segs > 1 ? m->pkt_len : m->data_len;
	uint32_t at, len = RTE_MIN(have, t->snap);
	if (!take(&t->next_byte, len, t->byte_max, &at))
		return;
	const void *p = rte_pktmbuf_read(m, 0, len, t->bytes + at);
	if (p != t->bytes + at)
		memcpy(t->bytes + at, p, len);
	r->at = at;
	r->kept = len;
}

struct what {
	enum dp_trace_stage stage;
	uint16_t port;
	bool framed;
	const char *why;
	uint64_t session;
};

// Who saw it, and when.
struct where {
	uint16_t worker;
	uint64_t ns;
};

static void write_record(
	struct dp_trace *t, struct where where, const struct rte_mbuf *m, const struct what *what)
{
	uint32_t at;
	if (!take(&t->next_record, 1, t->record_max, &at))
		return;
	struct record *r = &t->records[at];
	r->ns = where.ns;
	r->packet = mark_of(t, m)->number;
	r->len = m->pkt_len;
	r->worker = where.worker;
	r->port = what->port;
	r->stage = (uint8_t)what->stage;
	r->framed = what->framed;
	r->why = what->why;
	r->session = what->session;
	keep_bytes(t, r, m);
	atomic_store_explicit(&r->ready, true, memory_order_release);
}

static void record(struct dp_worker *w, const struct rte_mbuf *m, const struct what *what)
{
	write_record(w->trace, (struct where){w->id, w->now_ns}, m, what);
}

static void put_mark(
	const struct dp_trace *t, struct rte_mbuf *m, uint32_t number, uint16_t frame_off)
{
	m->ol_flags |= t->flag;
	*mark_of(t, m) = (struct mark){number, frame_off, t->serial};
}

// What a filter is shown: of a packet in several segments the first HEAD_MAX bytes.
static struct view head_of(const struct rte_mbuf *m, uint8_t copy[static HEAD_MAX])
{
	if (m->nb_segs == 1)
		return (struct view){rte_pktmbuf_mtod(m, const uint8_t *), m->data_len};
	uint32_t len = RTE_MIN(m->pkt_len, (uint32_t)HEAD_MAX);
	return (struct view){rte_pktmbuf_read(m, 0, len, copy), len};
}

// Whether the packet is one of the trace's from here on.
static bool choose(struct dp_trace *t, struct rte_mbuf *m, bool framed)
{
	uint8_t copy[HEAD_MAX];
	struct view bytes = head_of(m, copy);
	uint32_t at;
	if (atomic_load_explicit(&t->next_packet, memory_order_relaxed) >= t->packets ||
		!trace_filter_match(t->filter, framed, bytes, m->pkt_len) ||
		!take(&t->next_packet, 1, t->packets, &at))
		return false;
	put_mark(t, m, at + 1, framed ? m->data_off : NO_FRAME);
	return true;
}

static void frames(struct dp_worker *w, struct rte_mbuf **m, unsigned n, const struct what *what)
{
	for (unsigned i = 0; i < n; i++)
		if (marked(w->trace, m[i]) || choose(w->trace, m[i], true))
			record(w, m[i], what);
}

void dp_trace_rx(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf **m, unsigned n)
{
	// A port in memory may hand on what another one marked.
	for (unsigned i = 0; i < n; i++)
		m[i]->ol_flags &= ~w->trace->flag;
	frames(w, m, n, &(struct what){DP_TRACE_RX, port->index, true, NULL, 0});
}

void dp_trace_tx(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf **m, unsigned n)
{
	frames(w, m, n, &(struct what){DP_TRACE_TX, port->index, true, NULL, 0});
}

void dp_trace_inner(struct dp_worker *w, struct rte_mbuf *m, bool out, uint64_t session)
{
	enum dp_trace_stage stage = out ? DP_TRACE_TO_ENCRYPT : DP_TRACE_DECRYPTED;
	if (marked(w->trace, m) || choose(w->trace, m, false))
		record(w, m, &(struct what){stage, NO_PORT, false, NULL, session});
}

static void step(
	struct dp_worker *w, struct rte_mbuf *m, enum dp_trace_stage stage, const char *why)
{
	if (!marked(w->trace, m))
		return;
	bool framed = m->data_off == mark_of(w->trace, m)->frame_off;
	record(w, m, &(struct what){stage, NO_PORT, framed, why, 0});
}

void dp_trace_punt(
	struct dp_worker *w, struct rte_mbuf *m, enum dp_punt_class class, struct rte_mbuf *copy)
{
	step(w, m, DP_TRACE_PUNT, punt_name[class]);
	if (!marked(w->trace, m))
		return;
	const struct mark *mark = mark_of(w->trace, m);
	bool framed = m->data_off == mark->frame_off;
	put_mark(w->trace, copy, mark->number, framed ? copy->data_off : NO_FRAME);
}

void dp_trace_handoff(struct dp_worker *w, struct rte_mbuf *m, enum dp_handoff cause)
{
	step(w, m, DP_TRACE_HANDOFF, dp_handoff_name[cause]);
}

void dp_trace_taken(struct dp_worker *w, struct rte_mbuf *m)
{
	step(w, m, DP_TRACE_TAKEN, NULL);
}

void dp_trace_held(struct dp_worker *w, struct rte_mbuf *m)
{
	step(w, m, DP_TRACE_HELD, NULL);
}

void dp_trace_drop(struct dp_worker *w, struct rte_mbuf *m, enum dp_drop why)
{
	step(w, m, DP_TRACE_DROP, dp_drop_name[why]);
}

void dp_trace_follow(struct dp_worker *w, const struct rte_mbuf *from, struct rte_mbuf *to)
{
	if (!marked(w->trace, from))
		return;
	put_mark(w->trace, to, mark_of(w->trace, from)->number, NO_FRAME);
}

// ---- Control thread ----

static void trace_free(struct dp_trace *t)
{
	trace_filter_free(t->filter);
	free(t->filter);
	munmap(t, t->size);
}

static int register_marks(struct dp_trace *t)
{
	static const struct rte_mbuf_dynflag flag = {.name = "sallyport_traced"};
	static const struct rte_mbuf_dynfield field = {.name = "sallyport_trace_number",
		.size = sizeof(struct mark),
		.align = _Alignof(struct mark)};
	int bit = rte_mbuf_dynflag_register(&flag);
	t->field = rte_mbuf_dynfield_register(&field);
	if (bit < 0 || t->field < 0)
		return -ENOMEM;
	t->flag = 1ull << bit;
	return 0;
}

static int64_t unix_offset(const struct dp *d)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)((uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec) -
	       (int64_t)clock_now_ns(d->seams.clock);
}

// What is mapped is zero. Its pages come later (dp_trace_ready()): 21 MiB of them take as long as many
// exchanges.
static struct dp_trace *trace_map(size_t records_size, size_t byte_max)
{
	size_t head = RTE_ALIGN_CEIL(sizeof(struct dp_trace) + records_size, RTE_CACHE_LINE_SIZE);
	size_t size = head + byte_max;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	struct dp_trace *t = p;
	t->size = size;
	t->bytes = (uint8_t *)p + head;
	return t;
}

static struct dp_trace *trace_new(const struct dp *d, const struct dp_trace_spec *spec)
{
	uint32_t records = spec->packets * STAGES_EACH;
	uint32_t snap = spec->whole ? DP_PACKET_MAX + RTE_ETHER_HDR_LEN : DP_TRACE_SNAP;
	uint32_t byte_max = (uint32_t)RTE_MIN((uint64_t)BYTES_MAX, (uint64_t)records * snap);
	struct dp_trace *t = trace_map(records * sizeof(t->records[0]), byte_max);
	if (!t)
		return NULL;
	t->filter = spec->filter;
	t->packets = spec->packets;
	t->record_max = records;
	t->snap = snap;
	t->byte_max = byte_max;
	t->to_unix_ns = unix_offset(d);
	t->serial = (uint16_t)(d->last_trace ? d->last_trace->serial + 1 : 1);
	if (register_marks(t) == 0)
		return t;
	munmap(t, t->size);
	return NULL;
}

void dp_trace_control_drop(struct dp *d, struct rte_mbuf *m, enum dp_drop why)
{
	struct dp_trace *t = atomic_load_explicit(&d->trace, memory_order_relaxed);
	if (!t || !marked(t, m))
		return;
	bool framed = m->data_off == mark_of(t, m)->frame_off;
	write_record(t, (struct where){dp_meta(m)->worker, d->now_ns}, m,
		&(struct what){DP_TRACE_DROP, NO_PORT, framed, dp_drop_name[why], 0});
}

// A worker that is ahead of this, or an older kernel (5.14 knows how), gets the page as it writes there.
unsigned dp_trace_ready(struct dp *d)
{
	struct dp_trace *t = d->last_trace;
	if (!t || t->ready == t->size)
		return 0;
	size_t n = RTE_MIN(t->size - t->ready, (size_t)READY_STEP);
	(void)madvise((uint8_t *)t + t->ready, n, MADV_POPULATE_WRITE);
	t->ready += n;
	return 1;
}

static void retire(struct dp *d, struct dp_trace *t)
{
	t->retired_at = ++d->grace.asked;
	t->retired_next = d->retired_traces;
	d->retired_traces = t;
}

static void refuse(struct trace_filter *f)
{
	trace_filter_free(f);
	free(f);
}

int dp_trace_start(struct dp *d, const struct dp_trace_spec *spec)
{
	bool busy = atomic_load_explicit(&d->trace, memory_order_relaxed) != NULL;
	bool wrong = spec->packets < 1 || spec->packets > DP_TRACE_PACKETS_MAX;
	struct dp_trace *t = busy || wrong ? NULL : trace_new(d, spec);
	if (!t) {
		refuse(spec->filter);
		return busy ? -EBUSY : wrong ? -EINVAL : -ENOMEM;
	}
	if (d->last_trace)
		retire(d, d->last_trace);
	d->last_trace = t;
	atomic_store_explicit(&d->trace, t, memory_order_release);
	return 0;
}

int dp_trace_stop(struct dp *d)
{
	struct dp_trace *t = atomic_exchange(&d->trace, NULL);
	if (!t)
		return -ENOENT;
	return (int)atomic_load_explicit(&t->next_packet, memory_order_relaxed);
}

void dp_trace_tick(struct dp *d)
{
	struct dp_trace **at = &d->retired_traces;
	while (*at) {
		struct dp_trace *t = *at;
		if (d->grace.done < t->retired_at) {
			at = &t->retired_next;
			continue;
		}
		*at = t->retired_next;
		trace_free(t);
	}
}

void dp_trace_fini(struct dp *d)
{
	atomic_store_explicit(&d->trace, NULL, memory_order_relaxed);
	if (d->last_trace)
		trace_free(d->last_trace);
	d->last_trace = NULL;
	d->grace.done = UINT64_MAX;
	dp_trace_tick(d);
}

bool dp_trace_row(const struct dp *d, size_t i, struct dp_trace_row *out)
{
	const struct dp_trace *t = d->last_trace;
	if (!t || i >= t->record_max)
		return false;
	const struct record *r = &t->records[i];
	if (!atomic_load_explicit(&r->ready, memory_order_acquire))
		return false;
	*out = (struct dp_trace_row){
		.unix_ns = r->ns + (uint64_t)t->to_unix_ns,
		.packet = r->packet,
		.stage = (enum dp_trace_stage)r->stage,
		.worker = r->worker,
		.port = r->port < d->port_count ? d->ports[r->port].cfg->name : NULL,
		.why = r->why,
		.session = r->session,
		.framed = r->framed,
		.len = r->len,
		.bytes = {t->bytes + r->at, r->kept},
	};
	return true;
}

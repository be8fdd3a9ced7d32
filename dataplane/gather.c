// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/gather.h"

#include "base/clock.h"
#include "base/htab.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#define BUCKETS 256 // power of two
#define SOURCES 1024

struct datagram {
	LIST_ENTRY(datagram) link; // of its bucket
	TAILQ_ENTRY(datagram) age; // oldest first; or in the list of free ones
	struct gather_key key;
	uint64_t due_ns;
	uint32_t have;  // bytes that have come
	uint32_t total; // 0 until the last fragment has come
	uint16_t source;
	bool passing;
	unsigned count;
	struct gather_part parts[GATHER_PARTS]; // by place
};

struct gather {
	uint8_t key[16];
	void (*release)(void *packet);
	unsigned held, datagrams;
	TAILQ_HEAD(ages, datagram) ages, unused;
	LIST_HEAD(, datagram) buckets[BUCKETS];
	uint8_t sources[SOURCES]; // datagrams by a hash of their source
	struct datagram items[GATHER_DATAGRAMS];
};

int gather_new(const uint8_t key[static 16], void (*release)(void *packet), struct gather **out)
{
	struct gather *g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	memcpy(g->key, key, sizeof(g->key));
	g->release = release;
	TAILQ_INIT(&g->ages);
	TAILQ_INIT(&g->unused);
	for (unsigned i = 0; i < GATHER_DATAGRAMS; i++)
		TAILQ_INSERT_TAIL(&g->unused, &g->items[i], age);
	*out = g;
	return 0;
}

static void forget(struct gather *g, struct datagram *d)
{
	LIST_REMOVE(d, link);
	TAILQ_REMOVE(&g->ages, d, age);
	TAILQ_INSERT_TAIL(&g->unused, d, age);
	g->sources[d->source]--;
	g->held -= d->count;
	g->datagrams--;
}

static void end(struct gather *g, struct datagram *d)
{
	for (unsigned i = 0; i < d->count; i++)
		g->release(d->parts[i].packet);
	forget(g, d);
}

void gather_free(struct gather *g)
{
	struct datagram *d;
	if (!g)
		return;
	while ((d = TAILQ_FIRST(&g->ages)))
		end(g, d);
	free(g);
}

static unsigned bucket_of(const struct gather *g, const struct gather_key *k)
{
	return siphash(g->key, k, sizeof(*k)) & (BUCKETS - 1);
}

static struct datagram *find(const struct gather *g, unsigned bucket, const struct gather_key *k)
{
	struct datagram *d;
	LIST_FOREACH (d, &g->buckets[bucket], link)
		if (memcmp(&d->key, k, sizeof(*k)) == 0)
			return d;
	return NULL;
}

// Where all is taken the oldest goes, but keep: so a flood from forged sources must fill all of it
// between a packet's first fragment and its last one, not once in GATHER_NS.
static bool evict(struct gather *g, const struct datagram *keep, struct gather_result *r)
{
	struct datagram *d = TAILQ_FIRST(&g->ages);
	while (d && (d == keep || (keep && d->count == 0)))
		d = TAILQ_NEXT(d, age);
	if (!d)
		return false;
	r->evicted++;
	end(g, d);
	return true;
}

static struct datagram *begin(struct gather *g, unsigned bucket, const struct gather_key *k,
	uint64_t now_ns, struct gather_result *r)
{
	uint16_t source = siphash(g->key, &k->src, sizeof(k->src)) & (SOURCES - 1);
	if (g->sources[source] >= GATHER_SOURCE)
		return NULL;
	if (TAILQ_EMPTY(&g->unused))
		(void)evict(g, NULL, r);
	struct datagram *d = TAILQ_FIRST(&g->unused);
	TAILQ_REMOVE(&g->unused, d, age);
	*d = (struct datagram){.key = *k, .due_ns = now_ns + GATHER_NS, .source = source};
	LIST_INSERT_HEAD(&g->buckets[bucket], d, link);
	TAILQ_INSERT_TAIL(&g->ages, d, age);
	g->sources[source]++;
	g->datagrams++;
	return d;
}

// Every part but the last is a multiple of 8 bytes, and none is empty or reaches beyond what an IP
// packet can be.
static bool possible(const struct gather_part *p, bool more)
{
	return p->len && !(more && p->len % 8) && p->at + p->len <= UINT16_MAX;
}

static bool same_part(const struct gather_part *a, const struct gather_part *b)
{
	return a->at == b->at && a->len == b->len;
}

// The place among the parts. A second one of the same place is taken for a copy that the network made
// (RFC 8200 4.5); its bytes are not looked at, since the first one counts.
static enum dp_drop place(const struct datagram *d, const struct gather_part *p, unsigned *at)
{
	unsigned i = 0;
	while (i < d->count && d->parts[i].at + d->parts[i].len <= p->at)
		i++;
	*at = i;
	if (i == d->count || p->at + p->len <= d->parts[i].at)
		return DP_DROP_NONE;
	return same_part(&d->parts[i], p) ? DP_DROP_fragment_duplicate : DP_DROP_fragment_overlap;
}

// The last fragment says where the end is, once; nothing lies behind it.
static bool end_fits(const struct datagram *d, const struct gather_part *p, bool more)
{
	uint32_t stop = p->at + p->len;
	if (d->total)
		return more && stop <= d->total;
	if (more || d->count == 0)
		return true;
	const struct gather_part *last = &d->parts[d->count - 1];
	return last->at + last->len <= stop;
}

static enum dp_drop insert(struct gather *g, struct datagram *d, const struct gather_part *p,
	bool more, struct gather_result *r)
{
	unsigned at;
	enum dp_drop why = place(d, p, &at);
	if (why != DP_DROP_NONE)
		return why;
	if (!end_fits(d, p, more))
		return DP_DROP_fragment_bad;
	if (d->count == GATHER_PARTS || (g->held == GATHER_HELD && !evict(g, d, r)))
		return DP_DROP_fragment_limit;
	memmove(&d->parts[at + 1], &d->parts[at], (d->count - at) * sizeof(*p));
	d->parts[at] = *p;
	d->count++;
	g->held++;
	return DP_DROP_NONE;
}

static void hand_over(struct gather *g, struct datagram *d, struct gather_result *r)
{
	memcpy(r->parts, d->parts, d->count * sizeof(d->parts[0]));
	r->count = d->count;
	r->total = d->total;
	g->held -= d->count;
	d->count = 0;
}

static void count_bytes(struct datagram *d, const struct gather_part *p, bool more)
{
	d->have += p->len;
	if (!more)
		d->total = p->at + p->len;
}

// Whoever takes them checks them; here it is only remembered whose they are, until all have come.
static void pass(struct gather *g, struct datagram *d, const struct gather_part *p, bool more,
	struct gather_result *r)
{
	hand_over(g, d, r);
	r->verdict = GATHER_PASS;
	r->parts[r->count++] = *p;
	d->passing = true;
	count_bytes(d, p, more);
	if (d->total && d->have >= d->total)
		forget(g, d);
}

enum dp_drop gather_add(struct gather *g, const struct gather_key *k,
	const struct gather_part *part, bool more, bool foreign, uint64_t now_ns,
	struct gather_result *r)
{
	unsigned bucket = bucket_of(g, k);
	struct datagram *d = find(g, bucket, k);
	bool good = possible(part, more);
	r->verdict = GATHER_WAITS;
	r->count = r->evicted = 0;
	if (!d && good)
		d = begin(g, bucket, k, now_ns, r);
	if (!d)
		return good ? DP_DROP_fragment_limit : DP_DROP_fragment_bad;
	if (good && (d->passing || foreign)) {
		pass(g, d, part, more, r);
		return DP_DROP_NONE;
	}
	enum dp_drop why = good ? insert(g, d, part, more, r) : DP_DROP_fragment_bad;
	if (why != DP_DROP_NONE) {
		if (why != DP_DROP_fragment_duplicate)
			end(g, d);
		return why;
	}
	count_bytes(d, part, more);
	if (!d->total || d->have != d->total)
		return DP_DROP_NONE;
	hand_over(g, d, r);
	r->verdict = GATHER_WHOLE;
	forget(g, d);
	return DP_DROP_NONE;
}

unsigned gather_expire(struct gather *g, uint64_t now_ns)
{
	struct datagram *d;
	unsigned n = 0;
	while ((d = TAILQ_FIRST(&g->ages)) && d->due_ns <= now_ns) {
		n += !d->passing;
		end(g, d);
	}
	return n;
}

uint64_t gather_next_ns(const struct gather *g)
{
	const struct datagram *d = TAILQ_FIRST(&g->ages);
	return d ? d->due_ns : UINT64_MAX;
}

unsigned gather_held(const struct gather *g)
{
	return g->held;
}

unsigned gather_datagrams(const struct gather *g)
{
	return g->datagrams;
}

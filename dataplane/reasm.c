// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/reasm.h"

#include "base/clock.h"
#include "base/htab.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

// A run of bytes that has arrived; a datagram's list is sorted and free of overlaps.
struct piece {
	LIST_ENTRY(piece) link;
	uint32_t offset, len;
	uint8_t bytes[];
};

struct datagram {
	struct htab_node node;
	TAILQ_ENTRY(datagram) age; // oldest first
	struct source *source;
	struct ip_addr src, dst;
	uint32_t id;
	uint8_t proto;
	LIST_HEAD(, piece) pieces;
	uint16_t piece_count;
	uint32_t have;  // bytes that have arrived
	uint32_t total; // bytes; 0 until the last fragment came
	uint64_t due_ns;
};

// One source address with datagrams in the table.
struct source {
	struct htab_node node;
	struct ip_addr addr;
	uint32_t datagrams;
};

struct reasm {
	struct reasm_limits limits;
	uint8_t key[16];
	struct htab table, sources;
	TAILQ_HEAD(, datagram) ages;
	struct reasm_usage usage;
	uint8_t *result; // limits.datagram_bytes
};

const struct reasm_limits reasm_limits_default = {
	.datagrams = 1024,
	.per_source = 16,
	.bytes = 4 << 20,
	.datagram_bytes = 65535,
	.fragments = 64,
	.timeout_ns = 10 * NS_PER_S,
};

int reasm_new(const struct reasm_limits *l, const uint8_t key[static 16], struct reasm **out)
{
	struct reasm *r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->limits = *l;
	memcpy(r->key, key, sizeof(r->key));
	TAILQ_INIT(&r->ages);
	r->result = malloc(l->datagram_bytes);
	if (!r->result || htab_init(&r->table, 64) || htab_init(&r->sources, 64)) {
		reasm_free(r);
		return -ENOMEM;
	}
	*out = r;
	return 0;
}

static void forget(struct reasm *r, struct datagram *d)
{
	struct piece *p;
	while ((p = LIST_FIRST(&d->pieces))) {
		LIST_REMOVE(p, link);
		free(p);
	}
	r->usage.bytes -= d->have;
	r->usage.datagrams--;
	if (--d->source->datagrams == 0) {
		htab_remove(&r->sources, &d->source->node);
		free(d->source);
	}
	TAILQ_REMOVE(&r->ages, d, age);
	htab_remove(&r->table, &d->node);
	free(d);
}

void reasm_free(struct reasm *r)
{
	if (!r)
		return;
	struct datagram *d;
	while ((d = TAILQ_FIRST(&r->ages)))
		forget(r, d);
	htab_fini(&r->table);
	htab_fini(&r->sources);
	free(r->result);
	free(r);
}

// RFC 791 names a datagram by source, destination, protocol and id; RFC 8200 4.5 by the addresses
// and the id alone.
static uint64_t datagram_hash(const struct reasm *r, const struct pkt_ip *ip)
{
	uint8_t k[16 + 16 + 4 + 2] = {0};
	memcpy(k, ip->src.bytes, 16);
	memcpy(k + 16, ip->dst.bytes, 16);
	memcpy(k + 32, &ip->id, 4);
	k[36] = ip->family;
	k[37] = ip->family == IP_V4 ? ip->proto : 0;
	return siphash(r->key, k, sizeof(k));
}

static struct datagram *find(const struct reasm *r, const struct pkt_ip *ip, uint64_t hash)
{
	for (struct htab_node *n = htab_first(&r->table, hash); n; n = htab_next(n)) {
		struct datagram *d = container_of(n, struct datagram, node);
		if (d->id == ip->id && ip_eq(&d->src, &ip->src) && ip_eq(&d->dst, &ip->dst) &&
			(ip->family == IP_V6 || d->proto == ip->proto))
			return d;
	}
	return NULL;
}

static struct source *source_get(struct reasm *r, const struct ip_addr *addr)
{
	uint64_t hash = siphash(r->key, addr, sizeof(*addr));
	for (struct htab_node *n = htab_first(&r->sources, hash); n; n = htab_next(n)) {
		struct source *s = container_of(n, struct source, node);
		if (ip_eq(&s->addr, addr))
			return s;
	}
	struct source *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->addr = *addr;
	htab_insert(&r->sources, &s->node, hash);
	return s;
}

static struct datagram *begin(
	struct reasm *r, const struct pkt_ip *ip, uint64_t hash, uint64_t now_ns)
{
	struct datagram *d = NULL;
	if (r->usage.datagrams >= r->limits.datagrams)
		return NULL;
	struct source *s = source_get(r, &ip->src);
	if (!s)
		return NULL;
	if (s->datagrams < r->limits.per_source)
		d = calloc(1, sizeof(*d));
	if (!d) {
		if (s->datagrams == 0) {
			htab_remove(&r->sources, &s->node);
			free(s);
		}
		return NULL;
	}
	s->datagrams++;
	d->source = s;
	d->src = ip->src;
	d->dst = ip->dst;
	d->id = ip->id;
	d->proto = ip->proto;
	d->due_ns = now_ns + r->limits.timeout_ns;
	htab_insert(&r->table, &d->node, hash);
	TAILQ_INSERT_TAIL(&r->ages, d, age);
	r->usage.datagrams++;
	return d;
}

// The piece behind which the new one belongs, NULL at the head; or how it collides with one.
static enum dp_drop place(const struct datagram *d, const struct pkt_ip *ip, struct piece **before)
{
	uint32_t end = ip->offset + (uint32_t)ip->payload.len;
	struct piece *p;
	*before = NULL;
	LIST_FOREACH (p, &d->pieces, link) {
		if (p->offset >= end)
			break;
		if (p->offset + p->len > ip->offset) {
			// RFC 8200 4.5: the network may duplicate fragments; exact ones are
			// no attack.
			bool same = p->offset == ip->offset && p->len == ip->payload.len &&
				    memcmp(p->bytes, ip->payload.p, p->len) == 0;
			return same ? DP_DROP_fragment_duplicate : DP_DROP_fragment_overlap;
		}
		*before = p;
	}
	return DP_DROP_NONE;
}

static enum dp_drop insert(struct reasm *r, struct datagram *d, const struct pkt_ip *ip)
{
	uint32_t len = (uint32_t)ip->payload.len, end = ip->offset + len;
	struct piece *before;
	enum dp_drop why = place(d, ip, &before);
	if (why != DP_DROP_NONE)
		return why;
	// The end is fixed by the last fragment, and nothing lies beyond it.
	if ((d->total && (end > d->total || !ip->more)))
		return DP_DROP_fragment_bad;
	if (!ip->more) {
		struct piece *p;
		LIST_FOREACH (p, &d->pieces, link)
			if (p->offset + p->len > end)
				return DP_DROP_fragment_bad;
	}
	if (d->piece_count >= r->limits.fragments || r->usage.bytes + len > r->limits.bytes)
		return DP_DROP_fragment_limit;
	struct piece *p = malloc(sizeof(*p) + len);
	if (!p)
		return DP_DROP_fragment_limit;
	p->offset = ip->offset;
	p->len = len;
	memcpy(p->bytes, ip->payload.p, len);
	if (before)
		LIST_INSERT_AFTER(before, p, link);
	else
		LIST_INSERT_HEAD(&d->pieces, p, link);
	d->piece_count++;
	d->have += len;
	r->usage.bytes += len;
	if (!ip->more)
		d->total = end;
	return DP_DROP_NONE;
}

static void assemble(
	struct reasm *r, struct datagram *d, const struct pkt_ip *ip, struct pkt_ip *whole)
{
	struct piece *p;
	LIST_FOREACH (p, &d->pieces, link)
		memcpy(r->result + p->offset, p->bytes, p->len);
	*whole = *ip;
	whole->proto = d->proto;
	whole->payload = (struct view){r->result, d->total};
	whole->fragment = whole->more = false;
	whole->offset = 0;
}

static bool fragment_valid(const struct reasm *r, const struct pkt_ip *ip)
{
	size_t end = ip->offset + ip->payload.len;
	// Every part but the last is a multiple of 8 bytes, and none is empty.
	if (ip->payload.len == 0 || (ip->more && ip->payload.len % 8))
		return false;
	return end + ip->head.len <= UINT16_MAX && end <= r->limits.datagram_bytes;
}

enum dp_drop reasm_input(
	struct reasm *r, const struct pkt_ip *ip, uint64_t now_ns, bool *done, struct pkt_ip *whole)
{
	*done = false;
	uint64_t hash = datagram_hash(r, ip);
	struct datagram *d = find(r, ip, hash);
	if (!fragment_valid(r, ip)) {
		if (d)
			forget(r, d);
		return DP_DROP_fragment_bad;
	}
	if (!d)
		d = begin(r, ip, hash, now_ns);
	if (!d)
		return DP_DROP_fragment_limit;
	if (ip->offset == 0)
		d->proto = ip->proto; // RFC 8200 4.5: the first fragment's value is used
	enum dp_drop why = insert(r, d, ip);
	if (why != DP_DROP_NONE) {
		if (why != DP_DROP_fragment_duplicate)
			forget(r, d);
		return why;
	}
	if (!d->total || d->have != d->total)
		return DP_DROP_NONE;
	assemble(r, d, ip, whole);
	forget(r, d);
	*done = true;
	return DP_DROP_NONE;
}

unsigned reasm_expire(struct reasm *r, uint64_t now_ns)
{
	struct datagram *d;
	unsigned n = 0;
	while ((d = TAILQ_FIRST(&r->ages)) && d->due_ns <= now_ns) {
		forget(r, d);
		n++;
	}
	return n;
}

uint64_t reasm_next_ns(const struct reasm *r)
{
	const struct datagram *d = TAILQ_FIRST(&r->ages);
	return d ? d->due_ns : UINT64_MAX;
}

struct reasm_usage reasm_usage(const struct reasm *r)
{
	return r->usage;
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/lpm.h"

#include <stdlib.h>

#define ROOT_SIZE  (1u << LPM_ROOT_BITS)
#define NODE_BITS  4
#define NODES_MIN  64
#define NODES_MAX  (LPM_CHILD - 1)
#define CACHE_LINE 64

static bool grow(struct dp_lpm *l)
{
	uint32_t cap = l->node_cap ? l->node_cap * 2 : NODES_MIN;
	if (l->node_cap > NODES_MAX / 2)
		return false;
	void *nodes = aligned_alloc(CACHE_LINE, cap * sizeof(*l->nodes));
	if (!nodes)
		return false;
	if (l->node_count)
		memcpy(nodes, l->nodes, l->node_count * sizeof(*l->nodes));
	free(l->nodes);
	l->nodes = nodes;
	l->node_cap = cap;
	return true;
}

// The node that stands behind entry e, or a new one that says 16 times what e says; the caller enters
// it, as l->nodes may have moved.
static bool split(struct dp_lpm *l, uint32_t e, uint32_t *child)
{
	if (e & LPM_CHILD) {
		*child = e & ~LPM_CHILD;
		return true;
	}
	if (l->node_count == l->node_cap && !grow(l))
		return false;
	*child = l->node_count++;
	for (unsigned i = 0; i < LPM_NODE; i++)
		l->nodes[*child][i] = e;
	return true;
}

static unsigned nibble(const uint8_t *addr, unsigned bit)
{
	return bit % 8 ? addr[bit / 8] & 15u : addr[bit / 8] >> 4;
}

static void fill(uint32_t *entries, unsigned first, unsigned n, uint32_t value)
{
	for (unsigned i = 0; i < n; i++)
		entries[first + i] = value;
}

// All that are shorter stand there already, none that is longer: what the prefix covers in its node
// has no children.
static bool insert(struct dp_lpm *l, const struct ip_prefix *p, uint32_t value)
{
	const uint8_t *a = p->addr.bytes;
	uint32_t at = (uint32_t)a[0] << 8 | a[1], node;
	if (p->bits <= LPM_ROOT_BITS) {
		fill(l->root, at, 1u << (LPM_ROOT_BITS - p->bits), value);
		return true;
	}
	if (!split(l, l->root[at], &node))
		return false;
	l->root[at] = LPM_CHILD | node;
	unsigned bit = LPM_ROOT_BITS;
	for (; p->bits > bit + NODE_BITS; bit += NODE_BITS) {
		uint32_t next;
		if (!split(l, l->nodes[node][nibble(a, bit)], &next))
			return false;
		l->nodes[node][nibble(a, bit)] = LPM_CHILD | next;
		node = next;
	}
	fill(l->nodes[node], nibble(a, bit), 1u << (bit + NODE_BITS - p->bits), value);
	return true;
}

struct dp_lpm *dp_lpm_new(const struct dp_route *routes, uint32_t n, uint16_t port)
{
	struct dp_lpm *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->routes = routes;
	l->root = calloc(ROOT_SIZE, sizeof(*l->root));
	bool ok = l->root != NULL && n < LPM_CHILD;
	for (uint32_t i = n; ok && i-- > 0;)
		if (port == UINT16_MAX || routes[i].port == port)
			ok = insert(l, &routes[i].prefix, i + 1);
	if (ok)
		return l;
	dp_lpm_free(l);
	return NULL;
}

void dp_lpm_free(struct dp_lpm *l)
{
	if (!l)
		return;
	free(l->root);
	free(l->nodes);
	free(l);
}

uint64_t dp_lpm_size(const struct dp_lpm *l)
{
	return sizeof(*l) + ROOT_SIZE * sizeof(*l->root) +
	       (uint64_t)l->node_cap * sizeof(*l->nodes);
}

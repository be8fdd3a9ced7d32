// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What is to be written: one wish an address, however long the disk is away.
#include "pools/store_parts.h"

#include <stdlib.h>

int store_queue_init(struct store_queue *q)
{
	random_fill(&random_system, q->key, sizeof(q->key));
	q->head = NULL;
	q->tail = &q->head;
	q->count = 0;
	return htab_init(&q->by_addr, 64);
}

void store_op_free(struct store_op *op)
{
	if (!op)
		return;
	free(op->body);
	free(op);
}

void store_queue_fini(struct store_queue *q)
{
	if (!q->by_addr.buckets)
		return;
	while (q->head)
		store_op_free(store_queue_pop(q));
	htab_fini(&q->by_addr);
}

static struct store_op *find(const struct store_queue *q, const struct ip_addr *addr, uint64_t hash)
{
	struct htab_node *n = htab_first(&q->by_addr, hash);
	for (; n; n = htab_next(n)) {
		struct store_op *op = container_of(n, struct store_op, node);
		if (ip_eq(&op->addr, addr))
			return op;
	}
	return NULL;
}

// In its old place: all tickets below an entry's first one belong to entries before it, so that a
// prefix of the queue can be written and acknowledged.
struct store_op *store_queue_put(struct store_queue *q, struct store_op *op)
{
	uint64_t hash = siphash(q->key, &op->addr, sizeof(op->addr));
	struct store_op *old = find(q, &op->addr, hash);
	if (old) {
		struct store_body *body = old->body;
		old->body = op->body;
		op->body = body;
		return op;
	}
	htab_insert(&q->by_addr, &op->node, hash);
	op->next = NULL;
	*q->tail = op;
	q->tail = &op->next;
	q->count++;
	return NULL;
}

struct store_op *store_queue_pop(struct store_queue *q)
{
	struct store_op *op = q->head;
	if (!op)
		return NULL;
	q->head = op->next;
	if (!q->head)
		q->tail = &q->head;
	htab_remove(&q->by_addr, &op->node);
	q->count--;
	return op;
}

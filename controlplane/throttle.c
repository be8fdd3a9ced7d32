// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/throttle.h"

#include "base/clock.h"
#include "base/htab.h"

#include <stdlib.h>
#include <sys/queue.h>

#define WINDOW_NS (IKE_THROTTLE_WINDOW_S * NS_PER_S)

struct entry {
	struct htab_node node; // by a 64-bit keyed hash, which stands for the name or address
	TAILQ_ENTRY(entry) link;
	uint64_t first_ns; // failure of its window
	uint32_t failures;
};
TAILQ_HEAD(entries, entry);

struct ike_throttle {
	struct wheel *wheel;
	const uint8_t *key;
	struct htab table;
	struct entries by_age; // by their windows' beginning, the oldest first
	struct wheel_timer expiry;
};

struct ike_throttle *ike_throttle_new(struct wheel *wheel, const uint8_t key[static 16])
{
	struct ike_throttle *t = calloc(1, sizeof(*t));
	if (!t || htab_init(&t->table, 64) < 0) {
		free(t);
		return NULL;
	}
	t->wheel = wheel;
	t->key = key;
	TAILQ_INIT(&t->by_age);
	return t;
}

static void entry_free(struct ike_throttle *t, struct entry *e)
{
	htab_remove(&t->table, &e->node);
	TAILQ_REMOVE(&t->by_age, e, link);
	free(e);
}

void ike_throttle_free(struct ike_throttle *t)
{
	struct entry *e;
	if (!t)
		return;
	while ((e = TAILQ_FIRST(&t->by_age)))
		entry_free(t, e);
	wheel_cancel(t->wheel, &t->expiry);
	htab_fini(&t->table);
	free(t);
}

// ---- ends by time ----------------------------------------------------------------------------

static void expiry_due(struct wheel_timer *timer, void *arg);

static void expire(struct ike_throttle *t, uint64_t now_ns)
{
	struct entry *e;
	while ((e = TAILQ_FIRST(&t->by_age)) && now_ns - e->first_ns >= WINDOW_NS)
		entry_free(t, e);
	if (e)
		wheel_set(t->wheel, &t->expiry, e->first_ns + WINDOW_NS, expiry_due, t);
	else
		wheel_cancel(t->wheel, &t->expiry);
}

static void expiry_due(struct wheel_timer *timer, void *arg)
{
	struct ike_throttle *t = arg;
	expire(t, timer->due_ms * NS_PER_MS);
}

// ---- keys ------------------------------------------------------------------------------------

static uint64_t user_key(const struct ike_throttle *t, struct view user)
{
	return siphash(t->key, user.p, user.len) & ~1ull;
}

static uint64_t source_key(const struct ike_throttle *t, const struct ip_addr *source)
{
	size_t len = source->family == IP_V6 ? 8 : ip_len(source->family);
	return siphash(t->key, source->bytes, len) | 1;
}

static struct entry *find(const struct ike_throttle *t, uint64_t key)
{
	struct htab_node *n = htab_first(&t->table, key);
	return n ? container_of(n, struct entry, node) : NULL;
}

static bool full(const struct ike_throttle *t, uint64_t key, uint32_t limit)
{
	const struct entry *e = find(t, key);
	return e && e->failures >= limit;
}

bool ike_throttled(
	struct ike_throttle *t, struct view user, const struct ip_addr *source, uint64_t now_ns)
{
	expire(t, now_ns);
	return full(t, user_key(t, user), IKE_THROTTLE_USER) ||
	       full(t, source_key(t, source), IKE_THROTTLE_SOURCE);
}

static void count(struct ike_throttle *t, uint64_t key, uint64_t now_ns)
{
	struct entry *e = find(t, key);
	if (!e) {
		if (t->table.count >= IKE_THROTTLE_MAX)
			entry_free(t, TAILQ_FIRST(&t->by_age));
		e = calloc(1, sizeof(*e));
		if (!e)
			return;
		e->first_ns = now_ns;
		htab_insert(&t->table, &e->node, key);
		TAILQ_INSERT_TAIL(&t->by_age, e, link);
	}
	e->failures++;
}

void ike_throttle_failed(
	struct ike_throttle *t, struct view user, const struct ip_addr *source, uint64_t now_ns)
{
	count(t, user_key(t, user), now_ns);
	count(t, source_key(t, source), now_ns);
	expire(t, now_ns);
}

void ike_throttle_forget(struct ike_throttle *t, struct view user)
{
	struct entry *e = find(t, user_key(t, user));
	if (e)
		entry_free(t, e);
}

size_t ike_throttle_count(const struct ike_throttle *t)
{
	return t->table.count;
}

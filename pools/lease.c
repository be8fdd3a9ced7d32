// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "pools/lease.h"

#include <stdlib.h>

static bool slab_grow(struct slab *s)
{
	uint32_t n = s->chunk_count;
	// The array of chunks doubles: when the count is a power of two, it is full.
	if ((n & (n - 1)) == 0) {
		struct record **grown =
			reallocarray(s->chunks, n ? (size_t)n * 2 : 1, sizeof(struct record *));
		if (!grown)
			return false;
		s->chunks = grown;
	}
	s->chunks[n] = calloc(SLAB_CHUNK, sizeof(struct record));
	if (!s->chunks[n])
		return false;
	s->chunk_count++;
	return true;
}

struct record *slab_get(struct slab *s)
{
	struct record *r = LIST_FIRST(&s->free);
	uint32_t index;
	if (r) {
		LIST_REMOVE(r, of_owner);
		index = r->index;
	} else {
		if (s->used == s->chunk_count * SLAB_CHUNK && !slab_grow(s))
			return NULL;
		index = s->used++;
		r = slab_at(s, index);
	}
	*r = (struct record){.index = index};
	return r;
}

void slab_put(struct slab *s, struct record *r)
{
	r->used = false;
	LIST_INSERT_HEAD(&s->free, r, of_owner);
}

struct record *slab_at(const struct slab *s, uint32_t index)
{
	return &s->chunks[index / SLAB_CHUNK][index % SLAB_CHUNK];
}

void slab_fini(struct slab *s)
{
	for (uint32_t i = 0; i < s->chunk_count; i++)
		free(s->chunks[i]);
	free(s->chunks);
	*s = (struct slab){0};
}

bool owner_anonymous(const struct pool_owner *o)
{
	return o->anonymous || (!o->user && o->identity.len == 0);
}

bool owner_key_of(const struct pool_owner *o, struct owner_key *key)
{
	size_t user_len = o->user ? strlen(o->user) : 0;
	if (user_len > POOL_OWNER_MAX || o->identity.len > POOL_OWNER_MAX - user_len)
		return false;
	struct wr w = wr_of(key->bytes, sizeof(key->bytes));
	wr_u16(&w, o->user ? (uint16_t)(user_len + 1) : 0);
	wr_bytes(&w, o->user, user_len);
	wr_view(&w, o->identity);
	key->len = w.len;
	return !w.overflow;
}

struct owner *owner_find(const struct htab *t, uint64_t hash, const struct owner_key *key)
{
	for (struct htab_node *n = htab_first(t, hash); n; n = htab_next(n)) {
		struct owner *o = container_of(n, struct owner, node);
		if (o->key_len == key->len && memcmp(o->bytes, key->bytes, key->len) == 0)
			return o;
	}
	return NULL;
}

struct owner *owner_new(
	struct htab *t, uint64_t hash, const struct owner_key *key, const struct pool_owner *from)
{
	const char *name = from->name ? from->name : from->user ? from->user : "";
	size_t name_len = strnlen(name, POOL_OWNER_MAX);
	bool anonymous = owner_anonymous(from);
	size_t key_len = anonymous ? 0 : key->len;
	struct owner *o = malloc(sizeof(*o) + key_len + name_len + 1);
	if (!o)
		return NULL;
	*o = (struct owner){.key_len = (uint16_t)key_len, .anonymous = anonymous};
	if (key_len)
		memcpy(o->bytes, key->bytes, key_len);
	memcpy(o->bytes + key_len, name, name_len);
	o->bytes[key_len + name_len] = '\0';
	if (!anonymous)
		htab_insert(t, &o->node, hash);
	return o;
}

void owner_put(struct htab *t, struct owner *o)
{
	if (!LIST_EMPTY(&o->live) || !LIST_EMPTY(&o->lingering))
		return;
	if (!o->anonymous)
		htab_remove(t, &o->node);
	free(o);
}

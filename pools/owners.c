// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "pools/lease.h"

bool owner_key_of(const struct pool_owner *o, struct owner_key *key)
{
	size_t user = o->user ? strlen(o->user) : 0, identity = o->identity.len;
	if (user > POOL_OWNER_MAX || identity > POOL_OWNER_MAX - user)
		return false;
	uint16_t first = o->user ? (uint16_t)(user + 1) : 0;
	key->bytes[0] = (uint8_t)(first >> 8);
	key->bytes[1] = (uint8_t)first;
	if (user)
		memcpy(key->bytes + 2, o->user, user);
	if (identity)
		memcpy(key->bytes + 2 + user, o->identity.p, identity);
	key->len = 2 + user + identity;
	key->user_len = user;
	key->name = o->name ? o->name : o->user ? o->user : "";
	if (key->name == o->user) {
		key->name_len = user;
		key->name_at = owner_anonymous(o) ? 0 : 2;
		return true;
	}
	key->name_len = strnlen(key->name, POOL_OWNER_MAX);
	key->name_at = owner_anonymous(o) ? 0
					  : ident_name_at((struct view){key->bytes, key->len},
						    key->name, key->name_len);
	return true;
}

// The user stands in front of the key, with his length and one in two bytes.
bool reserved_for(const struct reserved *r, struct view key, const char *name)
{
	size_t len = strlen(r->owner), user = key.len < 2 ? 0 : (size_t)key.p[0] << 8 | key.p[1];
	if (name && strcmp(r->owner, name) == 0)
		return true;
	return user == len + 1 && key.len >= len + 2 && memcmp(key.p + 2, r->owner, len) == 0;
}

// Of user and identity where they stand: to read what was put together just now would have to wait until
// it is written, and that for all writes before it.
uint32_t owner_hash(const struct pools *all, uint16_t pool, struct view user, struct view identity)
{
	uint64_t h = pool * 0x9e3779b97f4a7c15ull;
	if (user.len)
		h += siphash13(all->records.key, user.p, user.len);
	if (identity.len)
		h = h * 0xd6e8feb86659fd93ull +
		    siphash13(all->records.key, identity.p, identity.len);
	return (uint32_t)(h ^ h >> 32);
}

uint32_t owner_key_hash(const struct pools *all, uint16_t pool, struct view key)
{
	size_t first = key.len < 2 ? 0 : (size_t)key.p[0] << 8 | key.p[1];
	size_t user = first ? first - 1 : 0;
	if (key.len < 2 || user > key.len - 2)
		return owner_hash(all, pool, (struct view){0}, key);
	return owner_hash(all, pool, (struct view){key.p + 2, user},
		(struct view){key.p + 2 + user, key.len - 2 - user});
}

bool owner_is(
	const struct pools *all, uint32_t index, uint16_t pool, uint32_t hash, struct view key)
{
	const struct record *r = record_at(&all->records, index);
	if (r->hash != hash || r->pool != pool || !r->used || r->anonymous || r->revoked)
		return false;
	struct view has = ident_of(&all->records, index).key;
	return has.len == key.len && memcmp(has.p, key.p, key.len) == 0;
}

uint32_t owner_find(const struct pools *all, uint16_t pool, uint32_t hash, struct view key)
{
	struct itab_cursor c = itab_start(&all->owners, hash);
	uint32_t index;
	while ((index = itab_next(&all->owners, hash, &c)))
		if (record_at(&all->records, index)->head && owner_is(all, index, pool, hash, key))
			break;
	return index;
}

// Lingering leases go to the end of the ring, which is just before its head.
void owner_join(struct pools *all, uint32_t head, uint32_t index)
{
	struct records *t = &all->records;
	struct record *r = record_at(t, index);
	if (head == NONE) {
		r->next_owned = r->prev_owned = index;
		r->head = true;
		itab_insert(&all->owners, r->hash, index);
		return;
	}
	struct record *h = record_at(t, head);
	r->next_owned = head;
	r->prev_owned = h->prev_owned;
	record_at(t, h->prev_owned)->next_owned = index;
	h->prev_owned = index;
	if (r->state == LEASE_LINGERING)
		return;
	h->head = false;
	r->head = true;
	itab_replace(&all->owners, r->hash, head, index);
}

static void forget(struct pools *all, struct left *l)
{
	if (l->index)
		itab_remove(&all->owners, l->hash, l->index);
	l->index = NONE;
}

void owner_forget_all(struct pools *all)
{
	for (unsigned i = 0; i < LEFT_OWNERS; i++)
		forget(all, &all->left[i]);
}

static void leave_table(struct pools *all, uint32_t hash, uint32_t index)
{
	struct left *l = &all->left[all->left_at++ % LEFT_OWNERS];
	forget(all, l);
	*l = (struct left){hash, index};
	itab_prefetch(&all->owners, hash);
}

void owner_leave(struct pools *all, uint32_t index)
{
	struct records *t = &all->records;
	struct record *r = record_at(t, index);
	if (r->next_owned == index) {
		leave_table(all, r->hash, index);
	} else {
		record_at(t, r->prev_owned)->next_owned = r->next_owned;
		record_at(t, r->next_owned)->prev_owned = r->prev_owned;
		if (r->head) {
			record_at(t, r->next_owned)->head = true;
			itab_replace(&all->owners, r->hash, index, r->next_owned);
		}
	}
	r->head = false;
}

void owner_move(struct pools *all, uint32_t index)
{
	const struct record *r = record_at(&all->records, index);
	if (r->next_owned == index)
		return;
	owner_leave(all, index);
	owner_join(
		all, owner_find(all, r->pool, r->hash, ident_of(&all->records, index).key), index);
}

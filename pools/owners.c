// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "pools/hot.h"

uint16_t owner_name_at(const struct owner_key *k)
{
	const struct view *name = &k->name, *id = &k->identity;
	if (k->len && name->len && name->len == k->user.len &&
		memcmp(name->p, k->user.p, name->len) == 0)
		return k->head_len;
	if (name->len && name->len <= id->len &&
		memcmp(name->p, id->p + id->len - name->len, name->len) == 0)
		return (uint16_t)(k->len - name->len);
	return k->len;
}

void owner_key_read(struct view bytes, struct view name, struct owner_key *key)
{
	size_t first = bytes.len < 2 ? 0 : (size_t)bytes.p[0] << 8 | bytes.p[1];
	size_t user = first ? first - 1 : 0;
	*key = (struct owner_key){.anonymous = bytes.len == 0,
		.len = (uint16_t)bytes.len,
		.identity = bytes,
		.name = name};
	if (bytes.len >= 2 && user <= bytes.len - 2) {
		memcpy(&key->head, bytes.p, sizeof(key->head));
		key->head_len = sizeof(key->head);
		key->user = first ? (struct view){bytes.p + 2, user} : (struct view){0};
		key->identity = (struct view){bytes.p + 2 + user, bytes.len - 2 - user};
	}
	key->name_at = owner_name_at(key);
}

static bool reads(struct view v, const char *text)
{
	return v.len == strlen(text) && memcmp(v.p, text, v.len) == 0;
}

bool reserved_for(const struct reserved *r, const struct owner_key *key)
{
	return (key->name.p && reads(key->name, r->owner)) ||
	       (key->user.p && reads(key->user, r->owner));
}

uint32_t owner_hash(const struct pools *all, uint16_t pool, const struct owner_key *key)
{
	return hash_owner(all, pool, key);
}

static bool same_part(const uint8_t **at, const void *part, size_t len)
{
	bool same = len == 0 || memcmp(*at, part, len) == 0;
	*at += len;
	return same;
}

bool owner_is(const struct pools *all, const struct record *r, uint16_t pool, uint32_t hash,
	const struct owner_key *key)
{
	if (r->hash != hash || r->pool != pool || !r->used || r->anonymous || r->revoked)
		return false;
	struct view has = ident_of(&all->records, r).key;
	return has.len == key->len && same_part(&has.p, &key->head, key->head_len) &&
	       same_part(&has.p, key->user.p, key->user.len) &&
	       same_part(&has.p, key->identity.p, key->identity.len);
}

struct record *owner_look(
	const struct pools *all, uint16_t pool, uint32_t hash, const struct owner_key *key)
{
	struct itab_cursor c = itab_start(&all->owners, hash);
	uint32_t index;
	while ((index = itab_next(&all->owners, hash, &c))) {
		struct record *r = record_at(&all->records, index);
		if (r->head && owner_is(all, r, pool, hash, key))
			return r;
	}
	return NULL;
}

// Lingering leases go to the end of the ring, which is just before its head.
void owner_join(struct pools *all, struct record *head, struct record *r)
{
	struct records *t = &all->records;
	uint32_t index = record_index(t, r);
	r->next_owned = record_index(t, head);
	r->prev_owned = head->prev_owned;
	record_at(t, head->prev_owned)->next_owned = index;
	head->prev_owned = index;
	if (r->state == LEASE_LINGERING)
		return;
	head->head = false;
	r->head = true;
	itab_replace(&all->owners, r->hash, record_index(t, head), index);
}

void owner_forget_all(struct pools *all)
{
	for (unsigned i = 0; i < LEFT_OWNERS; i++) {
		struct left *l = &all->left[i];
		if (l->index)
			itab_remove(&all->owners, l->hash, l->index);
		l->index = NONE;
	}
}

void owner_leave(struct pools *all, struct record *r)
{
	struct records *t = &all->records;
	struct record *next = record_at(t, r->next_owned);
	record_at(t, r->prev_owned)->next_owned = r->next_owned;
	next->prev_owned = r->prev_owned;
	if (r->head) {
		next->head = true;
		itab_replace(&all->owners, r->hash, record_index(t, r), r->next_owned);
	}
	r->head = false;
}

void owner_move(struct pools *all, struct record *r)
{
	struct owner_key key;
	if (r->next_owned == record_index(&all->records, r))
		return;
	struct ident_view v = ident_of(&all->records, r);
	owner_key_read(v.key, v.name, &key);
	leave_owner(all, r);
	join_owner(all, owner_find(all, r->pool, r->hash, &key), r);
}

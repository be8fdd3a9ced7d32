// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/users.h"

#include "base/htab.h"

#include <errno.h>
#include <stdlib.h>

struct user_entry {
	struct htab_node node;
	const struct cfg_user *user;
};

struct ike_users {
	uint8_t key[16];
	struct htab table;
	struct user_entry *entries;
	struct secret nobody; // what the password of an unknown user is compared with
};

void ike_users_free(struct ike_users *u)
{
	if (!u)
		return;
	htab_fini(&u->table);
	free(u->entries);
	secret_fini(&u->nobody);
	free(u);
}

// Of users of one name the first counts.
static void enter(struct ike_users *u, size_t i, const struct cfg_user *user)
{
	size_t len = strlen(user->name);
	struct view name = {(const uint8_t *)user->name, len};
	if (ike_user_find(u, name))
		return;
	u->entries[i].user = user;
	htab_insert(&u->table, &u->entries[i].node, siphash(u->key, user->name, len));
}

int ike_users_new(const struct cfg *cfg, const struct random_source *random, struct ike_users **out)
{
	struct ike_users *u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->entries = calloc(cfg->user_count + 1, sizeof(*u->entries));
	if (!u->entries || htab_init(&u->table, cfg->user_count) < 0 ||
		secret_init(&u->nobody, 16) < 0) {
		ike_users_free(u);
		return -ENOMEM;
	}
	random_fill(random, u->key, sizeof(u->key));
	random_fill(random, u->nobody.bytes, u->nobody.len);
	for (size_t i = 0; i < cfg->user_count; i++)
		enter(u, i, &cfg->users[i]);
	*out = u;
	return 0;
}

const struct cfg_user *ike_user_find(const struct ike_users *u, struct view name)
{
	struct htab_node *n = htab_first(&u->table, siphash(u->key, name.p, name.len));
	for (; n; n = htab_next(n)) {
		const struct user_entry *e = container_of(n, struct user_entry, node);
		if (strlen(e->user->name) == name.len &&
			memcmp(e->user->name, name.p, name.len) == 0)
			return e->user;
	}
	return NULL;
}

// Both are brought to one length, so that the comparison tells nothing of either's.
static void pad(uint8_t out[static IKE_PASSWORD_MAX], struct view v)
{
	memset(out, 0, IKE_PASSWORD_MAX);
	if (v.len)
		memcpy(out, v.p, v.len < IKE_PASSWORD_MAX ? v.len : IKE_PASSWORD_MAX);
}

bool ike_user_check(const struct ike_users *u, const struct cfg_user *user, struct view password)
{
	uint8_t a[IKE_PASSWORD_MAX], b[IKE_PASSWORD_MAX];
	struct view right = secret_view(user ? &user->password : &u->nobody);
	pad(a, right);
	pad(b, password);
	bool same = secret_equal(a, b, sizeof(a));
	same &= right.len == password.len && right.len <= IKE_PASSWORD_MAX;
	secret_wipe(a, sizeof(a));
	secret_wipe(b, sizeof(b));
	return same && user;
}

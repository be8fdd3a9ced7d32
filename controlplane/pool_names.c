// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/pool_names.h"

#include "base/htab.h"

#include <errno.h>
#include <stdlib.h>

struct named {
	struct htab_node node;
	const struct cfg_pool *pool;
};

struct ike_pool_names {
	uint8_t key[16];
	struct htab table;
	struct named *entries;
};

static uint64_t hash_of(const struct ike_pool_names *p, const char *name)
{
	return siphash(p->key, name, strlen(name));
}

void ike_pool_names_free(struct ike_pool_names *p)
{
	if (!p)
		return;
	htab_fini(&p->table);
	free(p->entries);
	free(p);
}

int ike_pool_names_new(
	const struct cfg *cfg, const struct random_source *random, struct ike_pool_names **out)
{
	struct ike_pool_names *p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->entries = calloc(cfg->pool_count + 1, sizeof(*p->entries));
	if (!p->entries || htab_init(&p->table, cfg->pool_count) < 0) {
		ike_pool_names_free(p);
		return -ENOMEM;
	}
	random_fill(random, p->key, sizeof(p->key));
	for (size_t i = 0; i < cfg->pool_count; i++) {
		p->entries[i].pool = &cfg->pools[i];
		htab_insert(&p->table, &p->entries[i].node, hash_of(p, cfg->pools[i].name));
	}
	*out = p;
	return 0;
}

const struct cfg_pool *ike_pool_named(const struct ike_pool_names *p, const char *name)
{
	struct htab_node *n = htab_first(&p->table, hash_of(p, name));
	for (; n; n = htab_next(n)) {
		const struct named *e = container_of(n, struct named, node);
		if (strcmp(e->pool->name, name) == 0)
			return e->pool;
	}
	return NULL;
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Lease stores in directories of their own, with rows that are made from a number and a version, so
// that a test needs to remember no more than these.
#pragma once

#include "tests/cmocka_all.h"

#include "base/log.h"
#include "pools/store.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ROWS_MAX 4096 // numbers of rows in one test

struct row_text {
	char name[64];
	uint8_t owner[96];
	uint8_t extra[LEASE_EXTRA_MAX];
};

// Sizes differ with the version: rows move within their pages, and some spill out of them.
static inline void row_make(uint32_t n, uint32_t version, struct row_text *t, struct lease_row *out)
{
	size_t owner_len = 5 + (n * 7 + version * 13) % 90;
	memset(t, 0, sizeof(*t));
	snprintf(t->name, sizeof(t->name), "user%u@%u", n, version);
	for (size_t i = 0; i < owner_len; i++)
		t->owner[i] = (uint8_t)(n + version * 3 + i);
	memcpy(t->extra, &version, sizeof(version));
	*out = (struct lease_row){
		.addr = ip_from_v4(0x0a000000u + n),
		.prefix_len = 32,
		.origin = (enum lease_origin)(n % 3),
		.anonymous = n % 5 == 0,
		.pool = "office",
		.owner = {t->owner, n % 5 ? owner_len : 0},
		.name = t->name,
		.extra = {t->extra, 4 + (n + version) % 60},
	};
	if (n % 4 == 1) { // of IPv6
		uint8_t bytes[16] = {0x20, 0x01, 0x0d, 0xb8};
		memcpy(bytes + 12, &n, sizeof(n));
		out->addr = ip_from_bytes(IP_V6, bytes);
		out->prefix_len = 128;
	}
}

static inline bool row_equal(const struct lease_row *a, const struct lease_row *b)
{
	return ip_eq(&a->addr, &b->addr) && a->prefix_len == b->prefix_len &&
	       a->origin == b->origin && a->anonymous == b->anonymous &&
	       strcmp(a->pool, b->pool) == 0 && strcmp(a->name, b->name) == 0 &&
	       view_eq(a->owner, b->owner) && view_eq(a->extra, b->extra);
}

// What a store holds: the version of each row, 0: none.
struct row_map {
	uint32_t version[ROWS_MAX];
	unsigned rows, strange; // read; not one that row_make() makes
};

static inline int row_note(void *ctx, const struct lease_row *row)
{
	struct row_map *m = ctx;
	struct row_text t;
	struct lease_row want;
	unsigned n = ROWS_MAX, version = 0;
	m->rows++;
	if (sscanf(row->name, "user%u@%u", &n, &version) != 2 || n >= ROWS_MAX || !version) {
		m->strange++;
		return 0;
	}
	row_make(n, version, &t, &want);
	if (m->version[n] || !row_equal(row, &want))
		m->strange++;
	m->version[n] = version;
	return 0;
}

static inline uint64_t put_version(struct lease_journal *j, uint32_t n, uint32_t version)
{
	struct row_text t;
	struct lease_row row;
	row_make(n, version, &t, &row);
	return j->put(j->ctx, &row);
}

static inline uint64_t drop_row(struct lease_journal *j, uint32_t n)
{
	struct row_text t;
	struct lease_row row;
	row_make(n, 1, &t, &row);
	return j->drop(j->ctx, &row.addr);
}

struct store_case {
	char dir[64];
	int wake_fd;
	struct lease_store *s;
	struct lease_journal j;
	char errors[4096]; // what the last open said
};

static inline int open_dir(
	const char *dir, int wake_fd, char *errors, size_t cap, struct lease_store **out)
{
	struct lease_store_params p = {.dir = dir, .wake_fd = wake_fd};
	memset(errors, 0, cap);
	FILE *f = fmemopen(errors, cap - 1, "w");
	assert_non_null(f);
	int rc = lease_store_open(&p, f, out);
	fclose(f);
	return rc;
}

static inline int case_reopen(struct store_case *c)
{
	int rc = open_dir(c->dir, c->wake_fd, c->errors, sizeof(c->errors), &c->s);
	if (rc == 0)
		lease_store_journal(c->s, &c->j);
	return rc;
}

static inline void case_close(struct store_case *c)
{
	lease_store_close(c->s);
	c->s = NULL;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	return remove(path);
}

static inline void case_init(struct store_case *c)
{
	*c = (struct store_case){.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	snprintf(c->dir, sizeof(c->dir), "/tmp/sallyport-store.XXXXXX");
	assert_non_null(mkdtemp(c->dir));
	assert_true(c->wake_fd >= 0);
}

static inline void case_fini(struct store_case *c)
{
	case_close(c);
	nftw(c->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	close(c->wake_fd);
}

// Waits for the next word of the writer; fails after ten seconds.
static inline struct lease_settled case_settled(struct store_case *c)
{
	struct lease_settled r;
	while (!lease_store_settled(c->s, &r)) {
		struct pollfd p = {.fd = c->wake_fd, .events = POLLIN};
		uint64_t n;
		assert_int_equal(poll(&p, 1, 10000), 1);
		assert_int_equal(read(c->wake_fd, &n, sizeof(n)), sizeof(n));
	}
	return r;
}

// Until this ticket is settled: durable, or not.
static inline bool case_wait(struct store_case *c, uint64_t ticket)
{
	struct lease_settled r;
	do
		r = case_settled(c);
	while (r.ticket < ticket);
	return r.durable;
}

static inline void case_load(struct store_case *c, struct row_map *out)
{
	memset(out, 0, sizeof(*out));
	assert_int_equal(lease_store_load(c->s, row_note, out), 0);
	assert_int_equal(out->strange, 0);
}

static inline uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

// Printed, so that a failure can be had again: SALLYPORT_SEED=N.
static inline uint64_t new_seed(void)
{
	const char *text = getenv("SALLYPORT_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 10) : random_u64(&random_system) >> 16;
	seed = seed ? seed : 1;
	printf("# seed %llu\n", (unsigned long long)seed);
	return seed;
}

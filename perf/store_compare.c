// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// store_compare [--dir DIR] [--rows N] [--full] sqlite|lmdb: what the two libraries that the lease
// store could stand on cost for rows like its own. Fills a store with N rows, then overwrites or adds
// random ones in transactions of 1, 64, 1024 and 4096, each durable; then closes it and reads it whole.
// --full: writes until the disk is full (a small file system of its own), then says what is left.
#include "base/clock.h"

#include <errno.h>
#include <lmdb.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BODY_LEN    96 // an owner, his name, the pool, a checksum
#define SAMPLES_MAX 4096

struct engine {
	const char *name, *file, *log;
	int (*open)(const char *dir);
	int (*begin)(void);
	int (*put)(const char *key, const uint8_t body[static BODY_LEN]);
	int (*commit)(void);
	int (*load)(uint64_t *rows);
	void (*close)(void);
};

static uint64_t now_ns(void)
{
	return clock_now_ns(&clock_system);
}

// SQLite: a log beside the file, synced at each commit.
static sqlite3 *db;
static sqlite3_stmt *upsert;

static int lite_run(const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static int lite_open(const char *dir)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/compare.db", dir);
	int rc = sqlite3_open(path, &db);
	if (rc == SQLITE_OK)
		rc = lite_run("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
			      "PRAGMA synchronous=FULL; PRAGMA cache_size=-32768;"
			      "CREATE TABLE IF NOT EXISTS row (key TEXT PRIMARY KEY, body BLOB)"
			      " WITHOUT ROWID");
	const char *pages = getenv("STORE_COMPARE_PAGES"); // of the log before it is copied back
	if (rc == SQLITE_OK && pages)
		sqlite3_wal_autocheckpoint(db, atoi(pages));
	return rc ? rc
		  : sqlite3_prepare_v2(db,
			    "INSERT INTO row VALUES (?1, ?2)"
			    " ON CONFLICT (key) DO UPDATE SET body = ?2",
			    -1, &upsert, NULL);
}

static int lite_begin(void)
{
	return lite_run("BEGIN IMMEDIATE");
}

static int lite_put(const char *key, const uint8_t body[static BODY_LEN])
{
	sqlite3_bind_text(upsert, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_blob(upsert, 2, body, BODY_LEN, SQLITE_STATIC);
	int rc = sqlite3_step(upsert);
	sqlite3_reset(upsert);
	return rc == SQLITE_DONE ? 0 : rc;
}

static int lite_commit(void)
{
	int rc = lite_run("COMMIT");
	if (rc)
		lite_run("ROLLBACK");
	return rc;
}

static int lite_load(uint64_t *rows)
{
	sqlite3_stmt *all;
	int rc = sqlite3_prepare_v2(db, "SELECT key, body FROM row", -1, &all, NULL);
	while (rc == SQLITE_OK && sqlite3_step(all) == SQLITE_ROW)
		*rows += sqlite3_column_bytes(all, 1) == BODY_LEN;
	sqlite3_finalize(all);
	return rc;
}

static void lite_close(void)
{
	sqlite3_finalize(upsert);
	sqlite3_close(db);
}

// LMDB: pages are copied and the root is switched, with a sync for either.
static MDB_env *env;
static MDB_txn *txn;
static MDB_dbi dbi;

static int lmdb_begin(void)
{
	return mdb_txn_begin(env, NULL, 0, &txn);
}

static int lmdb_commit(void)
{
	return mdb_txn_commit(txn);
}

static int lmdb_open(const char *dir)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/compare.mdb", dir);
	int rc = mdb_env_create(&env);
	if (rc == 0)
		rc = mdb_env_set_mapsize(env, (size_t)1 << 32);
	if (rc == 0)
		rc = mdb_env_open(env, path, MDB_NOSUBDIR, 0600);
	if (rc == 0)
		rc = lmdb_begin();
	if (rc == 0)
		rc = mdb_dbi_open(txn, NULL, 0, &dbi);
	return rc ? rc : lmdb_commit();
}

static int lmdb_put(const char *key, const uint8_t body[static BODY_LEN])
{
	uint8_t copy[BODY_LEN];
	char name[32];
	memcpy(copy, body, sizeof(copy));
	MDB_val k = {(size_t)snprintf(name, sizeof(name), "%s", key), name};
	MDB_val v = {sizeof(copy), copy};
	return mdb_put(txn, dbi, &k, &v, 0);
}

static int lmdb_load(uint64_t *rows)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	if (rc == 0)
		rc = mdb_cursor_open(txn, dbi, &cursor);
	if (rc)
		return rc;
	while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0)
		*rows += v.mv_size == BODY_LEN;
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return 0;
}

static void lmdb_close(void)
{
	mdb_env_close(env);
}

static const struct engine engines[] = {
	{"sqlite", "compare.db", "compare.db-wal", lite_open, lite_begin, lite_put, lite_commit,
		lite_load, lite_close},
	{"lmdb", "compare.mdb", NULL, lmdb_open, lmdb_begin, lmdb_put, lmdb_commit, lmdb_load,
		lmdb_close},
};

struct compare {
	const struct engine *e;
	const char *dir;
	unsigned long rows;
	bool full;
	uint64_t random;
};

static uint64_t draw(struct compare *c)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return c->random;
}

static int put_address(struct compare *c, uint32_t n)
{
	char key[32];
	uint8_t body[BODY_LEN];
	snprintf(key, sizeof(key), "10.%u.%u.%u", n >> 16 & 255, n >> 8 & 255, n & 255);
	for (size_t i = 0; i < BODY_LEN; i += 8) {
		uint64_t v = draw(c);
		memcpy(body + i, &v, 8);
	}
	return c->e->put(key, body);
}

// What this process has handed to the disk.
static uint64_t written_bytes(void)
{
	FILE *f = fopen("/proc/self/io", "r");
	char line[128];
	unsigned long long v = 0;
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "write_bytes: %llu", &v) == 1)
			break;
	if (f)
		fclose(f);
	return v;
}

static double file_mb(const struct compare *c, const char *name)
{
	char path[PATH_MAX];
	struct stat st;
	if (!name)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", c->dir, name);
	return stat(path, &st) == 0 ? (double)st.st_blocks * 512 / 1e6 : 0;
}

static int fill(struct compare *c)
{
	int rc = 0;
	uint64_t start = now_ns();
	for (unsigned long i = 0; rc == 0 && i < c->rows;) {
		rc = c->e->begin();
		for (size_t k = 0; rc == 0 && k < 4096 && i < c->rows; k++, i++)
			rc = put_address(c, (uint32_t)i);
		if (rc == 0)
			rc = c->e->commit();
	}
	printf("%s: %lu rows in order of address, 4096 a transaction: %.0f rows/s\n", c->e->name,
		c->rows, (double)c->rows / ((double)(now_ns() - start) / 1e9));
	return rc;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static int batches(struct compare *c, unsigned size)
{
	static uint64_t took[SAMPLES_MAX];
	uint64_t begin = now_ns(), before = written_bytes();
	size_t n = 0;
	int rc = 0;
	while (rc == 0 && n < SAMPLES_MAX && now_ns() - begin < 3 * NS_PER_S) {
		uint64_t start = now_ns();
		rc = c->e->begin();
		for (unsigned i = 0; rc == 0 && i < size; i++)
			rc = put_address(c, (uint32_t)(draw(c) % (2 * c->rows)));
		if (rc == 0)
			rc = c->e->commit();
		took[n++] = now_ns() - start;
	}
	double s = (double)(now_ns() - begin) / 1e9, rows = (double)n * size;
	qsort(took, n, sizeof(*took), compare_u64);
	printf("%s: %4u a transaction: %8.0f rows/s; us: median %.0f, 99%% %.0f, longest %.0f; "
	       "%.0f bytes written a row\n",
		c->e->name, size, rows / s, (double)took[n / 2] / 1e3,
		(double)took[n * 99 / 100] / 1e3, (double)took[n - 1] / 1e3,
		(double)(written_bytes() - before) / rows);
	return rc;
}

static int reopen(struct compare *c)
{
	uint64_t rows = 0;
	c->e->close();
	double mb = file_mb(c, c->e->file) + file_mb(c, c->e->log);
	uint64_t start = now_ns();
	int rc = c->e->open(c->dir);
	if (rc == 0)
		rc = c->e->load(&rows);
	printf("%s: %lu rows in %.1f MB read in %.0f ms\n", c->e->name, (unsigned long)rows, mb,
		(double)(now_ns() - start) / 1e6);
	return rc;
}

static int until_full(struct compare *c)
{
	unsigned long committed = 0, failed = 0;
	int first = 0;
	while (failed < 20 && committed < 1ul << 24) {
		int rc = c->e->begin();
		for (uint32_t k = 0; rc == 0 && k < 64; k++)
			rc = put_address(c, (uint32_t)committed + k);
		rc = rc ? c->e->commit(), rc : c->e->commit();
		if (rc == 0)
			committed += 64;
		else
			failed++;
		first = first ? first : rc;
	}
	printf("%s: full after %lu rows (error %d), %lu tries failed\n", c->e->name, committed,
		first, failed);
	return reopen(c);
}

static int run(struct compare *c)
{
	static const unsigned sizes[] = {1, 64, 1024, 4096};
	int rc = c->e->open(c->dir);
	if (rc == 0 && c->full)
		return until_full(c);
	if (rc == 0)
		rc = fill(c);
	for (size_t i = 0; rc == 0 && i < sizeof(sizes) / sizeof(*sizes); i++)
		rc = batches(c, sizes[i]);
	if (rc == 0)
		rc = reopen(c);
	return rc;
}

static bool parse_args(int argc, char **argv, struct compare *c)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--full") == 0)
			c->full = true;
		else if (strcmp(argv[i], "--dir") == 0 && i + 1 < argc)
			c->dir = argv[++i];
		else if (strcmp(argv[i], "--rows") == 0 && i + 1 < argc)
			c->rows = strtoul(argv[++i], NULL, 10);
		for (size_t k = 0; k < 2; k++)
			if (strcmp(argv[i], engines[k].name) == 0)
				c->e = &engines[k];
	}
	return c->e && c->rows > 0 && c->rows < 1ul << 23;
}

int main(int argc, char **argv)
{
	struct compare c = {.dir = ".", .rows = 1000000, .random = 88172645463325252ull};
	if (!parse_args(argc, argv, &c)) {
		fputs("usage: store_compare [--dir DIR] [--rows N] [--full] sqlite|lmdb\n", stderr);
		return 2;
	}
	int rc = run(&c);
	if (rc)
		fprintf(stderr, "store_compare: error %d\n", rc);
	return rc != 0;
}

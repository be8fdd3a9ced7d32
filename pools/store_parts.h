// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The parts of the lease store: rows, the queue of what is to be written, the mark, the database.
#pragma once

#include <sqlite3.h>
#include <limits.h>

#include "base/htab.h"
#include "pools/store.h"

// Rows (store_row.c). One encoding, which the checksum is made over; of its parts the pool and the name
// are stored with their NULs.
#define STORE_POOL_MAX 1024
#define STORE_BODY_MAX (32 + STORE_POOL_MAX + 2 * POOL_OWNER_MAX + 8 + LEASE_EXTRA_MAX)

struct store_body {
	size_t len;
	uint8_t bytes[]; // 8-byte aligned start is of no use to anybody
};

// 0: does not fit.
size_t store_row_encode(const struct lease_row *row, uint8_t out[static STORE_BODY_MAX]);
// What out points to lies in body.
MUST_USE bool store_row_decode(struct view body, struct lease_row *out);
// txn: of the transaction that wrote the row, so that of two copies the newer one is known.
uint64_t store_check(const struct ip_addr *addr, uint64_t txn, struct view body);
// Only the one way to write an address that the writer uses: two texts would be two rows.
MUST_USE bool store_addr_parse(const char *text, struct ip_addr *out);

// What is to be written, one entry an address, the oldest first (store_queue.c). No lock of its own.
struct store_op {
	struct htab_node node;
	struct store_op *next;
	uint64_t first; // the ticket of the oldest wish that this one stands for
	struct ip_addr addr;
	struct store_body *body; // NULL: drop
};

struct store_queue {
	struct htab by_addr;
	struct store_op *head, **tail;
	uint8_t key[16];
	size_t count;
};

int store_queue_init(struct store_queue *q);
void store_queue_fini(struct store_queue *q);
// op is taken: it replaces what was wished for its address, in its place, or stands at the end.
// Returned is an op to be freed, or NULL.
MUST_USE struct store_op *store_queue_put(struct store_queue *q, struct store_op *op);
// The oldest one leaves the queue.
struct store_op *store_queue_pop(struct store_queue *q);
void store_op_free(struct store_op *op);

// The mark (store_mark.c): a file beside the database that holds the lock and says which transaction
// was acknowledged last. It is written after that one was synced and is not synced itself: it may be
// older than the truth and is never newer, so that a log that lost its end through damage can be told
// from one that was cut while it was written.
#define STORE_ID_LEN 16

struct store_mark {
	int lock_fd;
	sqlite3_file *file;
};
enum mark_state { MARK_EMPTY, MARK_GOOD, MARK_BAD, MARK_NEWER };
struct mark_text {
	uint8_t id[STORE_ID_LEN]; // of the database that it belongs to
	uint64_t txn;
};

// 0, -EBUSY or another error.
MUST_USE int store_mark_open(const char *path, struct store_mark *out);
void store_mark_close(struct store_mark *m);
enum mark_state store_mark_read(const struct store_mark *m, struct mark_text *out);
// The same without the lock, for whoever only looks.
enum mark_state store_mark_parse(const void *bytes, size_t len, struct mark_text *out);
MUST_USE int store_mark_write(const struct store_mark *m, const struct mark_text *t, bool sync);

// The database (store_db.c, store_check.c).
#define STORE_FORMAT      1          // of the schema and of the rows
#define STORE_APPLICATION 1397771379 // "SPLs"
#define STORE_PAGE        4096

// As they stand in the file: another text is another schema.
#define STORE_SCHEMA_STORE                                                                    \
	"CREATE TABLE store (one INTEGER PRIMARY KEY, id BLOB, format INTEGER, txn INTEGER, " \
	"rows INTEGER, sum INTEGER, chk INTEGER)"
#define STORE_SCHEMA_LEASE                                                            \
	"CREATE TABLE lease (addr TEXT PRIMARY KEY NOT NULL, prefix_len INTEGER, "    \
	"origin INTEGER, anonymous INTEGER, written INTEGER, pool TEXT, owner BLOB, " \
	"name TEXT, extra BLOB, txn INTEGER, chk INTEGER) WITHOUT ROWID"

struct store_db {
	sqlite3 *db;
	sqlite3_stmt *begin, *commit, *rollback;
	sqlite3_stmt *find, *put, *drop, *count;
	uint8_t id[STORE_ID_LEN];
	uint64_t txn;  // the last one
	uint64_t rows; // in the table
	uint64_t sum;  // of their checksums
	uint64_t log_pages;
};

struct store_paths {
	char dir[PATH_MAX];
	char db[PATH_MAX + 32], log[PATH_MAX + 32], journal[PATH_MAX + 32];
	char mark[PATH_MAX + 32], fresh[PATH_MAX + 32];
};

MUST_USE int store_paths_set(const char *dir, struct store_paths *out);
int store_sql(sqlite3 *db, const char *sql);
int store_errno(sqlite3 *db, int rc); // -errno
// A new and empty store, complete and synced before it has its name.
MUST_USE int store_db_create(const struct store_paths *p, FILE *errors);
// Nothing is written by either until the first transaction, if the log is kept at close.
MUST_USE int store_db_open(const char *path, struct store_db *out);
void store_db_close(struct store_db *d, bool keep_log);
// Before it is opened, since SQLite would empty or ignore one or the other: is the file there, not
// empty, with a head that fits? 0, -ENOENT or another error, which errors is told but for -ENOENT.
MUST_USE int store_file_check(const struct store_paths *p, FILE *errors);
// Is it ours, of a version that is known, whole? Reads everything. Tells errors.
MUST_USE int store_db_check(struct store_db *d, const char *path, FILE *errors);
MUST_USE int store_db_prepare(struct store_db *d);
// Id, transaction, number and sum of the rows; false: unreadable.
MUST_USE bool store_db_meta(struct store_db *d);
uint64_t store_db_meta_check(const struct store_db *d);
// A row of "SELECT <STORE_COLUMNS> FROM lease"; what out points to is the statement's, until its next
// step. False: damaged. check NULL: it was checked before.
#define STORE_COLUMNS \
	"addr, prefix_len, origin, anonymous, written, pool, owner, name, extra, txn, chk"
MUST_USE bool store_db_row(sqlite3_stmt *s, struct lease_row *out, uint64_t *check);
// One transaction of the first count of these; durable if 0.
MUST_USE int store_db_write(struct store_db *d, const struct store_op *first, size_t count);
MUST_USE int store_db_checkpoint(struct store_db *d);

// Rows without the help of SQLite (store_page.c): from the cells of its pages, whose format is public.
// Page n, the first is 1; NULL: not there. Borrowed until the next call.
typedef const uint8_t *(*store_page_get)(void *ctx, uint32_t n);
struct store_pages {
	store_page_get get;
	void *ctx;
};
#define STORE_RECORD_MAX (STORE_BODY_MAX + 256)

struct store_found {
	struct ip_addr addr;
	uint64_t txn;
	size_t len; // of the body
	uint8_t body[STORE_BODY_MAX];
};
// The row whose cell begins at that offset of the page; its checksum is right.
MUST_USE bool store_cell_row(const struct store_pages *p, const uint8_t page[static STORE_PAGE],
	size_t offset, struct store_found *out);
// The row that describes the store.
MUST_USE bool store_cell_meta(
	const uint8_t page[static STORE_PAGE], size_t offset, struct store_db *out);

// All of it (store_open.c).
struct store_files {
	struct store_paths paths;
	struct store_mark mark;
	struct store_db db;
	bool whole; // found so, and may be written
	bool refused, had_log;
};

// Found whole, or made, and locked; else errors is told why, and what to do.
MUST_USE int store_files_open(const char *dir, FILE *errors, struct store_files *out);
void store_files_close(struct store_files *f);

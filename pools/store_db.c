// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The database of the lease store: SQLite, a log that is synced at each commit, one connection that
// nobody shares.
#include "pools/store_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int store_sql(sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

int store_errno(sqlite3 *db, int rc)
{
	int system = db ? sqlite3_system_errno(db) : 0;
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_ERROR: // no such table, a schema that cannot be read
		return -EUCLEAN;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_CANTOPEN:
		return system ? -system : -EACCES;
	default:
		return system ? -system : -EIO;
	}
}

int store_paths_set(const char *dir, struct store_paths *out)
{
	if (strlen(dir) >= sizeof(out->dir))
		return -ENAMETOOLONG;
	snprintf(out->dir, sizeof(out->dir), "%s", dir);
	snprintf(out->db, sizeof(out->db), "%s/" LEASE_STORE_FILE, dir);
	snprintf(out->log, sizeof(out->log), "%s/" LEASE_STORE_FILE "-wal", dir);
	snprintf(out->journal, sizeof(out->journal), "%s/" LEASE_STORE_FILE "-journal", dir);
	snprintf(out->mark, sizeof(out->mark), "%s/leases.mark", dir);
	snprintf(out->fresh, sizeof(out->fresh), "%s/" LEASE_STORE_FILE ".new", dir);
	return 0;
}

static int sync_path(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) != 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

// The settings that live in the file, its tables, and a first transaction.
static const char schema[] =
	"PRAGMA page_size=4096; PRAGMA application_id=1397771379; PRAGMA user_version=1;"
	"PRAGMA synchronous=FULL; BEGIN;" STORE_SCHEMA_STORE ";" STORE_SCHEMA_LEASE ";";

static int insert_meta(sqlite3 *db)
{
	uint8_t id[STORE_ID_LEN];
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(
		db, "INSERT INTO store VALUES (1, ?1, ?2, 1, 0, 0, ?3)", -1, &s, NULL);
	random_fill(&random_system, id, sizeof(id));
	if (rc == SQLITE_OK) {
		struct store_db d = {.txn = 1};
		memcpy(d.id, id, sizeof(id));
		sqlite3_bind_blob(s, 1, id, sizeof(id), SQLITE_STATIC);
		sqlite3_bind_int(s, 2, STORE_FORMAT);
		sqlite3_bind_int64(s, 3, (sqlite3_int64)store_db_meta_check(&d));
		rc = sqlite3_step(s);
	}
	sqlite3_finalize(s);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int fill_fresh(const char *path)
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL);
	if (rc == SQLITE_OK)
		rc = store_sql(db, "PRAGMA locking_mode=EXCLUSIVE");
	if (rc == SQLITE_OK)
		rc = store_sql(db, schema);
	if (rc == SQLITE_OK)
		rc = insert_meta(db);
	if (rc == SQLITE_OK)
		rc = store_sql(db, "COMMIT; PRAGMA journal_mode=WAL;");
	rc = store_errno(db, rc);
	int end = sqlite3_close(db);
	return rc ? rc : store_errno(NULL, end);
}

static void remove_fresh(const char *path)
{
	static const char *const ends[] = {"", "-wal", "-journal", "-shm"};
	char name[PATH_MAX + 64];
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		unlink(name);
	}
}

int store_db_create(const struct store_paths *p, FILE *errors)
{
	remove_fresh(p->fresh);
	int fd = open(p->fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int rc = fd < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (rc == 0)
		rc = fill_fresh(p->fresh);
	if (rc == 0)
		rc = sync_path(p->fresh, O_RDWR);
	if (rc == 0 && rename(p->fresh, p->db) != 0)
		rc = -errno;
	if (rc == 0)
		rc = sync_path(p->dir, O_RDONLY | O_DIRECTORY);
	if (rc) {
		remove_fresh(p->fresh);
		fprintf(errors, "%s: cannot make the lease store: %s\n", p->db, strerror(-rc));
	}
	return rc;
}

// Reading memory instead of the file would turn a file that was cut into a signal; a checkpoint is
// made when it harms least.
static const char settings[] =
	"PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=FULL;"
	"PRAGMA mmap_size=0; PRAGMA cell_size_check=ON;"
	"PRAGMA trusted_schema=OFF; PRAGMA temp_store=MEMORY;"
	"PRAGMA secure_delete=ON; PRAGMA cache_size=-32768; PRAGMA wal_autocheckpoint=0;"
	"PRAGMA journal_size_limit=67108864;";

static int note_log(void *ctx, sqlite3 *db, const char *name, int pages)
{
	struct store_db *d = ctx;
	d->log_pages = (uint64_t)pages;
	return SQLITE_OK;
}

int store_db_open(const char *path, struct store_db *out)
{
	*out = (struct store_db){0};
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
	int rc = sqlite3_open_v2(path, &out->db, flags, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_extended_result_codes(out->db, 1);
		// Until it has been found whole nothing may be changed.
		sqlite3_db_config(out->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		rc = store_sql(out->db, settings);
	}
	if (rc == SQLITE_OK)
		rc = store_sql(out->db, "SELECT count(*) FROM sqlite_schema");
	if (rc == SQLITE_OK && sqlite3_db_readonly(out->db, NULL) == 1)
		rc = SQLITE_READONLY;
	sqlite3_wal_hook(out->db, note_log, out);
	rc = store_errno(out->db, rc);
	if (rc)
		store_db_close(out, true);
	return rc;
}

static sqlite3_stmt **statements(struct store_db *d, size_t i)
{
	sqlite3_stmt **all[] = {
		&d->begin, &d->commit, &d->rollback, &d->find, &d->put, &d->drop, &d->count};
	return i < sizeof(all) / sizeof(*all) ? all[i] : NULL;
}

int store_db_prepare(struct store_db *d)
{
	static const char *const sql[] = {"BEGIN IMMEDIATE", "COMMIT", "ROLLBACK",
		"SELECT chk FROM lease WHERE addr = ?1",
		"INSERT INTO lease (" STORE_COLUMNS ")"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
		" ON CONFLICT (addr) DO UPDATE SET prefix_len = ?2, origin = ?3, anonymous = ?4,"
		" written = ?5, pool = ?6, owner = ?7, name = ?8, extra = ?9, txn = ?10, chk = ?11",
		"DELETE FROM lease WHERE addr = ?1",
		"UPDATE store SET txn = ?1, rows = ?2, sum = ?3, chk = ?4"};
	int rc = SQLITE_OK;
	for (size_t i = 0; rc == SQLITE_OK && statements(d, i); i++)
		rc = sqlite3_prepare_v3(
			d->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, statements(d, i), NULL);
	return store_errno(d->db, rc);
}

void store_db_close(struct store_db *d, bool keep_log)
{
	for (size_t i = 0; statements(d, i); i++) {
		sqlite3_finalize(*statements(d, i));
		*statements(d, i) = NULL;
	}
	if (d->db && !keep_log)
		sqlite3_db_config(d->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	sqlite3_close(d->db);
	d->db = NULL;
}

static int step(sqlite3_stmt *s)
{
	int rc = sqlite3_step(s);
	int end = sqlite3_reset(s);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : end ? end : rc;
}

// What the table says of an address now; *there is false if nothing.
static int old_check(struct store_db *d, const char *addr, bool *there, uint64_t *check)
{
	sqlite3_bind_text(d->find, 1, addr, -1, SQLITE_STATIC);
	int rc = sqlite3_step(d->find);
	*there = rc == SQLITE_ROW;
	*check = *there ? (uint64_t)sqlite3_column_int64(d->find, 0) : 0;
	int end = sqlite3_reset(d->find);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : end ? end : rc;
}

static int put_row(struct store_db *d, const char *addr, const struct lease_row *r, uint64_t check)
{
	sqlite3_stmt *s = d->put;
	sqlite3_bind_text(s, 1, addr, -1, SQLITE_STATIC);
	sqlite3_bind_int(s, 2, r->prefix_len);
	sqlite3_bind_int(s, 3, (int)r->origin);
	sqlite3_bind_int(s, 4, r->anonymous);
	sqlite3_bind_int64(s, 5, r->written_s);
	sqlite3_bind_text(s, 6, r->pool, -1, SQLITE_STATIC);
	sqlite3_bind_blob(s, 7, r->owner.p, (int)r->owner.len, SQLITE_STATIC);
	sqlite3_bind_text(s, 8, r->name, -1, SQLITE_STATIC);
	sqlite3_bind_blob(s, 9, r->extra.p, (int)r->extra.len, SQLITE_STATIC);
	sqlite3_bind_int64(s, 10, (sqlite3_int64)d->txn + 1);
	sqlite3_bind_int64(s, 11, (sqlite3_int64)check);
	return step(s);
}

static int drop_row(struct store_db *d, const char *addr)
{
	sqlite3_bind_text(d->drop, 1, addr, -1, SQLITE_STATIC);
	return step(d->drop);
}

static int write_op(struct store_db *d, const struct store_op *op, struct store_db *next)
{
	char addr[IP_TEXT_MAX];
	bool there;
	uint64_t old;
	ip_text(&op->addr, addr);
	int rc = old_check(d, addr, &there, &old);
	if (rc != SQLITE_OK)
		return rc;
	next->rows -= there;
	next->sum -= old;
	if (!op->body)
		return there ? drop_row(d, addr) : SQLITE_OK;
	struct view body = {op->body->bytes, op->body->len};
	struct lease_row row;
	if (!store_row_decode(body, &row))
		return SQLITE_INTERNAL;
	uint64_t check = store_check(&op->addr, d->txn + 1, body);
	next->rows++;
	next->sum += check;
	return put_row(d, addr, &row, check);
}

static int write_meta(struct store_db *d, const struct store_db *next)
{
	sqlite3_bind_int64(d->count, 1, (sqlite3_int64)next->txn);
	sqlite3_bind_int64(d->count, 2, (sqlite3_int64)next->rows);
	sqlite3_bind_int64(d->count, 3, (sqlite3_int64)next->sum);
	sqlite3_bind_int64(d->count, 4, (sqlite3_int64)store_db_meta_check(next));
	return step(d->count);
}

int store_db_write(struct store_db *d, const struct store_op *first, size_t count)
{
	struct store_db next = *d;
	int rc = step(d->begin);
	for (const struct store_op *op = first; rc == SQLITE_OK && count; op = op->next, count--)
		rc = write_op(d, op, &next);
	next.txn++;
	if (rc == SQLITE_OK)
		rc = write_meta(d, &next);
	if (rc == SQLITE_OK)
		rc = step(d->commit);
	if (rc != SQLITE_OK) {
		int error = store_errno(d->db, rc);
		if (!sqlite3_get_autocommit(d->db))
			step(d->rollback);
		return error ? error : -EIO;
	}
	d->txn = next.txn;
	d->rows = next.rows;
	d->sum = next.sum;
	return 0;
}

int store_db_checkpoint(struct store_db *d)
{
	int rc = sqlite3_wal_checkpoint_v2(d->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (rc == SQLITE_OK)
		d->log_pages = 0; // the next transaction begins the log anew
	return store_errno(d->db, rc);
}

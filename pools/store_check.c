// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Is a lease store whole? Each row has a checksum, and the sum of them all and their number are
// written with each transaction: what SQLite's own checks let pass is found by these.
#include "pools/store_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t store_db_meta_check(const struct store_db *d)
{
	static const uint8_t key[16] = "sallyport store";
	uint8_t bytes[STORE_ID_LEN + 4 * 8];
	struct wr w = wr_of(bytes, sizeof(bytes));
	wr_bytes(&w, d->id, STORE_ID_LEN);
	wr_u64(&w, STORE_FORMAT);
	wr_u64(&w, d->txn);
	wr_u64(&w, d->rows);
	wr_u64(&w, d->sum);
	return siphash(key, bytes, w.len);
}

bool store_db_meta(struct store_db *d)
{
	sqlite3_stmt *s = NULL;
	bool good = false;
	static const char sql[] = "SELECT id, format, txn, rows, sum, chk FROM store";
	if (sqlite3_prepare_v2(d->db, sql, -1, &s, NULL) == SQLITE_OK &&
		sqlite3_step(s) == SQLITE_ROW && sqlite3_column_bytes(s, 0) == STORE_ID_LEN &&
		sqlite3_column_int64(s, 1) == STORE_FORMAT) {
		memcpy(d->id, sqlite3_column_blob(s, 0), STORE_ID_LEN);
		d->txn = (uint64_t)sqlite3_column_int64(s, 2);
		d->rows = (uint64_t)sqlite3_column_int64(s, 3);
		d->sum = (uint64_t)sqlite3_column_int64(s, 4);
		good = (uint64_t)sqlite3_column_int64(s, 5) == store_db_meta_check(d);
	}
	good = good && sqlite3_step(s) == SQLITE_DONE;
	sqlite3_finalize(s);
	return good;
}

// A text column without NULs inside.
static const char *text(sqlite3_stmt *s, int column)
{
	const char *t = (const char *)sqlite3_column_text(s, column);
	if (!t || sqlite3_column_type(s, column) != SQLITE_TEXT)
		return NULL;
	return strlen(t) == (size_t)sqlite3_column_bytes(s, column) ? t : NULL;
}

static struct view blob(sqlite3_stmt *s, int column)
{
	const void *p = sqlite3_column_blob(s, column);
	return (struct view){p, p ? (size_t)sqlite3_column_bytes(s, column) : 0};
}

bool store_db_row(sqlite3_stmt *s, struct lease_row *out, uint64_t *check)
{
	uint8_t bytes[STORE_BODY_MAX];
	*out = (struct lease_row){
		.prefix_len = (uint8_t)sqlite3_column_int(s, 1),
		.origin = (enum lease_origin)(uint8_t)sqlite3_column_int(s, 2),
		.anonymous = sqlite3_column_int(s, 3) != 0,
		.written_s = sqlite3_column_int64(s, 4),
		.pool = text(s, 5),
		.owner = blob(s, 6),
		.name = text(s, 7),
		.extra = blob(s, 8),
	};
	const char *addr = text(s, 0);
	if (!addr || !out->pool || !out->name)
		return false;
	if (!check)
		return ip_parse(addr, &out->addr) == 0;
	if (!store_addr_parse(addr, &out->addr))
		return false;
	size_t len = store_row_encode(out, bytes);
	uint64_t txn = (uint64_t)sqlite3_column_int64(s, 9);
	*check = (uint64_t)sqlite3_column_int64(s, 10);
	return len && *check == store_check(&out->addr, txn, (struct view){bytes, len});
}

static int no_file(const char *path, int rc, FILE *errors)
{
	if (rc != -ENOENT)
		fprintf(errors, "%s: %s\n", path, strerror(-rc));
	return rc;
}

// The head of the file, as SQLite's description of the format has it: the magic text, the size of
// pages, and twice 2: a log.
static bool head_fits(const uint8_t *head)
{
	return memcmp(head, "SQLite format 3", 16) == 0 && head[16] == STORE_PAGE >> 8 &&
	       head[17] == (STORE_PAGE & 255) && head[18] == 2 && head[19] == 2;
}

static int check_head(const char *path, FILE *errors)
{
	uint8_t head[100];
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return no_file(path, -errno, errors);
	int rc = fstat(fd, &st) != 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
	ssize_t n = rc ? 0 : pread(fd, head, sizeof(head), 0);
	if (rc == 0 && n < 0)
		rc = -errno;
	if (rc == 0 && (st.st_mode & 077) != 0 && fchmod(fd, st.st_mode & 0700) != 0)
		rc = -errno; // who has which address is nobody else's business
	close(fd);
	if (rc)
		return no_file(path, rc, errors);
	if (n == (ssize_t)sizeof(head) && head_fits(head))
		return 0;
	fprintf(errors, "%s: damaged: %s\n", path,
		st.st_size == 0 ? "it is empty" : "this is not the head of a lease store");
	return -EUCLEAN;
}

int store_file_check(const struct store_paths *p, FILE *errors)
{
	struct stat st;
	int rc = check_head(p->db, errors);
	if (rc && rc != -ENOENT)
		return rc;
	// A journal of SQLite's other kind would be played back into the file.
	if (lstat(p->journal, &st) == 0) {
		fprintf(errors, "%s: damaged: sallyportd never makes such a file\n", p->journal);
		return -EUCLEAN;
	}
	if (rc == -ENOENT && lstat(p->log, &st) == 0) {
		fprintf(errors, "%s: damaged: the file is missing whose log %s is\n", p->db,
			p->log);
		return -EUCLEAN;
	}
	return rc;
}

static int read_int(sqlite3 *db, const char *sql, int64_t *out)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return rc == SQLITE_ROW ? 0 : store_errno(db, rc == SQLITE_DONE ? SQLITE_CORRUPT : rc);
}

static int check_version(struct store_db *d, const char *path, FILE *errors)
{
	int64_t application, version, tables;
	int rc = read_int(d->db, "PRAGMA application_id", &application);
	if (rc == 0)
		rc = read_int(d->db, "PRAGMA user_version", &version);
	if (rc == 0 && application == STORE_APPLICATION && version > STORE_FORMAT) {
		fprintf(errors, "%s: format %lld, of a newer sallyportd: this one knows up to %d\n",
			path, (long long)version, STORE_FORMAT);
		return -EPROTONOSUPPORT;
	}
	if (rc == 0)
		rc = read_int(d->db,
			"SELECT count(*) = 2 AND sum(sql IN ('" STORE_SCHEMA_STORE
			"','" STORE_SCHEMA_LEASE "')) = 2 FROM sqlite_schema",
			&tables);
	if (rc == 0 && (application != STORE_APPLICATION || version < 1 || tables != 1)) {
		fprintf(errors, "%s: damaged: its tables are not a lease store's\n", path);
		return -EUCLEAN;
	}
	if (rc)
		fprintf(errors, "%s: damaged: %s\n", path, sqlite3_errmsg(d->db));
	return rc;
}

// SQLite's own check of its pages; it ends with the third complaint.
static int check_pages(struct store_db *d, const char *path, FILE *errors)
{
	sqlite3_stmt *s = NULL;
	bool good = false;
	int rc = sqlite3_prepare_v2(d->db, "PRAGMA quick_check(3)", -1, &s, NULL);
	while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		const char *t = (const char *)sqlite3_column_text(s, 0);
		good = t && strcmp(t, "ok") == 0;
		if (!good)
			fprintf(errors, "%s: damaged: %s\n", path, t ? t : "unreadable");
		rc = SQLITE_OK;
	}
	if (rc != SQLITE_DONE) {
		fprintf(errors, "%s: damaged: %s\n", path, sqlite3_errmsg(d->db));
		good = false;
	}
	sqlite3_finalize(s);
	return good ? 0 : rc == SQLITE_DONE ? -EUCLEAN : store_errno(d->db, rc);
}

static int check_rows(struct store_db *d, const char *path, FILE *errors)
{
	sqlite3_stmt *s = NULL;
	uint64_t rows = 0, bad = 0, sum = 0, check;
	struct lease_row row;
	int rc = sqlite3_prepare_v2(d->db, "SELECT " STORE_COLUMNS " FROM lease", -1, &s, NULL);
	while (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		if (store_db_row(s, &row, &check))
			sum += check;
		else
			bad++;
		rows++;
		rc = SQLITE_OK;
	}
	sqlite3_finalize(s);
	if (rc != SQLITE_DONE) {
		fprintf(errors, "%s: damaged: %s\n", path, sqlite3_errmsg(d->db));
		return store_errno(d->db, rc);
	}
	if (bad || rows != d->rows || sum != d->sum) {
		fprintf(errors,
			"%s: damaged: of %llu rows there are %llu, %llu of them with a wrong "
			"checksum\n",
			path, (unsigned long long)d->rows, (unsigned long long)rows,
			(unsigned long long)bad);
		return -EUCLEAN;
	}
	return 0;
}

int store_db_check(struct store_db *d, const char *path, FILE *errors)
{
	int rc = check_version(d, path, errors);
	if (rc == 0)
		rc = check_pages(d, path, errors);
	if (rc == 0 && !store_db_meta(d)) {
		fprintf(errors, "%s: damaged: the row that describes the store\n", path);
		rc = -EUCLEAN;
	}
	return rc ? rc : check_rows(d, path, errors);
}

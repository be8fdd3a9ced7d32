// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// DIR/leases.mark: who has the store, and what of it was acknowledged.
#include "pools/store_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK_VERSION 1
#define MARK_LEN     (8 + 4 + STORE_ID_LEN + 8 + 8) // within one sector: written whole or not at all

static const char magic[8] = "sallymrk";
static const uint8_t check_key[16] = "sallyport mark";

// SQLite's view of files, so that whoever watches or cuts the database's writes has these as well.
static int open_file(const char *path, sqlite3_file **out)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	sqlite3_file *f = vfs ? calloc(1, (size_t)vfs->szOsFile) : NULL;
	const char *name = sqlite3_create_filename(path, "", "", 0, NULL);
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_DB;
	int rc = f && name ? vfs->xOpen(vfs, name, f, flags, NULL) : SQLITE_NOMEM;
	if (rc != SQLITE_OK) {
		free(f);
		sqlite3_free_filename(name);
		return rc == SQLITE_NOMEM ? -ENOMEM : -EIO;
	}
	sqlite3_free_filename(name);
	*out = f;
	return 0;
}

int store_mark_open(const char *path, struct store_mark *out)
{
	int rc = 0;
	out->file = NULL;
	out->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (out->lock_fd < 0)
		return -errno;
	// Ends with the process, however that ends.
	if (flock(out->lock_fd, LOCK_EX | LOCK_NB) != 0)
		rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
	else if (fchmod(out->lock_fd, 0600) != 0)
		rc = -errno;
	else
		rc = open_file(path, &out->file);
	if (rc) {
		close(out->lock_fd);
		out->lock_fd = -1;
	}
	return rc;
}

void store_mark_close(struct store_mark *m)
{
	if (m->file) {
		m->file->pMethods->xClose(m->file);
		free(m->file);
		m->file = NULL;
	}
	if (m->lock_fd >= 0)
		close(m->lock_fd);
	m->lock_fd = -1;
}

enum mark_state store_mark_parse(const void *bytes, size_t len, struct mark_text *out)
{
	static const uint8_t zeros[MARK_LEN];
	struct rd r = rd_of(bytes, len);
	struct view m;
	uint32_t version;
	uint64_t check;
	if (len == 0 || (len >= MARK_LEN && memcmp(bytes, zeros, MARK_LEN) == 0))
		return MARK_EMPTY;
	if (!rd_bytes(&r, sizeof(magic), &m) || memcmp(m.p, magic, sizeof(magic)) != 0 ||
		!rd_u32(&r, &version))
		return MARK_BAD;
	if (version > MARK_VERSION)
		return MARK_NEWER;
	if (version == 0 || !rd_copy(&r, out->id, STORE_ID_LEN) || !rd_u64(&r, &out->txn) ||
		!rd_u64(&r, &check) || check != siphash(check_key, bytes, MARK_LEN - 8))
		return MARK_BAD;
	return MARK_GOOD;
}

enum mark_state store_mark_read(const struct store_mark *m, struct mark_text *out)
{
	uint8_t bytes[MARK_LEN];
	ssize_t n = pread(m->lock_fd, bytes, sizeof(bytes), 0);
	return n < 0 ? MARK_BAD : store_mark_parse(bytes, (size_t)n, out);
}

int store_mark_write(const struct store_mark *m, const struct mark_text *t, bool sync)
{
	uint8_t bytes[MARK_LEN];
	struct wr w = wr_of(bytes, sizeof(bytes));
	wr_bytes(&w, magic, sizeof(magic));
	wr_u32(&w, MARK_VERSION);
	wr_bytes(&w, t->id, STORE_ID_LEN);
	wr_u64(&w, t->txn);
	wr_u64(&w, siphash(check_key, bytes, MARK_LEN - 8));
	const sqlite3_io_methods *io = m->file->pMethods;
	int rc = io->xWrite(m->file, bytes, MARK_LEN, 0);
	if (rc == SQLITE_OK && sync)
		rc = io->xSync(m->file, SQLITE_SYNC_NORMAL);
	return rc == SQLITE_OK ? 0 : rc == SQLITE_FULL ? -ENOSPC : -EIO;
}

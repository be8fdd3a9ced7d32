// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The lease store's files at start: the lock, the mark, the database, and whether they belong together.
#include "pools/store_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void way_out(const struct store_files *s, FILE *errors)
{
	fprintf(errors,
		"%s: nothing was changed. What can be read of it: sallyport leases export --file %s. "
		"Then move %s/leases.* away, start sallyportd, and sallyport leases import\n",
		s->paths.db, s->paths.db, s->paths.dir);
}

// The mark says what was acknowledged; the database must know of it.
static int check_mark(
	struct store_files *s, enum mark_state state, const struct mark_text *t, FILE *errors)
{
	const struct store_db *d = &s->db;
	if (state == MARK_EMPTY && d->txn == 1 && d->rows == 0)
		return 0; // made, and the power failed before the mark was
	if (state == MARK_EMPTY) {
		fprintf(errors, "%s: damaged: it is empty, %s is not\n", s->paths.mark,
			s->paths.db);
		return -EUCLEAN;
	}
	if (memcmp(t->id, d->id, sizeof(t->id)) != 0) {
		fprintf(errors, "%s: damaged: it belongs to another store than %s\n", s->paths.mark,
			s->paths.db);
		return -EUCLEAN;
	}
	if (d->txn >= t->txn)
		return 0;
	fprintf(errors, "%s: damaged: %llu transactions that were acknowledged are missing\n",
		s->paths.db, (unsigned long long)(t->txn - d->txn));
	return -EUCLEAN;
}

static int open_db(
	struct store_files *s, enum mark_state state, const struct mark_text *t, FILE *errors)
{
	int rc = store_db_open(s->paths.db, &s->db);
	if (rc) {
		fprintf(errors, "%s: %s%s\n", s->paths.db, rc == -EUCLEAN ? "damaged: " : "",
			strerror(-rc));
		return rc;
	}
	rc = store_db_check(&s->db, s->paths.db, errors);
	return rc ? rc : check_mark(s, state, t, errors);
}

static int bad_mark(const struct store_files *s, enum mark_state state, FILE *errors)
{
	if (state == MARK_NEWER) {
		fprintf(errors, "%s: of a newer sallyportd\n", s->paths.mark);
		return -EPROTONOSUPPORT;
	}
	fprintf(errors, "%s: damaged\n", s->paths.mark);
	return -EUCLEAN;
}

static int open_files(struct store_files *s, FILE *errors)
{
	struct mark_text t = {0};
	int rc = store_mark_open(s->paths.mark, &s->mark);
	if (rc) {
		fprintf(errors, "%s: %s\n", s->paths.mark,
			rc == -EBUSY ? "another sallyportd has this store" : strerror(-rc));
		return rc;
	}
	enum mark_state state = store_mark_read(&s->mark, &t);
	if (state == MARK_BAD || state == MARK_NEWER)
		return bad_mark(s, state, errors);
	rc = store_file_check(&s->paths, errors);
	if (rc == -ENOENT && state == MARK_GOOD) {
		fprintf(errors, "%s: damaged: it is missing, and %s knows of it\n", s->paths.db,
			s->paths.mark);
		return -EUCLEAN;
	}
	s->had_log = access(s->paths.log, F_OK) == 0;
	if (rc == -ENOENT)
		rc = store_db_create(&s->paths, errors);
	if (rc == 0)
		rc = open_db(s, state, &t, errors);
	return rc;
}

// A new one is there after a power cut, too.
static int sync_parent(const char *dir)
{
	char path[PATH_MAX + 8];
	snprintf(path, sizeof(path), "%s/..", dir);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) != 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

static int make_dir(const char *dir, FILE *errors)
{
	struct stat st;
	int rc = mkdir(dir, 0700) == 0 ? sync_parent(dir) : errno != EEXIST ? -errno : 0;
	if (rc == 0 && stat(dir, &st) != 0)
		rc = -errno;
	else if (rc == 0 && !S_ISDIR(st.st_mode))
		rc = -ENOTDIR;
	if (rc)
		fprintf(errors, "%s: %s\n", dir, strerror(-rc));
	return rc;
}

// From here on it may be written, and is copied back at close.
static int begin(struct store_files *s, FILE *errors)
{
	struct mark_text t = {.txn = s->db.txn};
	memcpy(t.id, s->db.id, sizeof(t.id));
	int rc = store_mark_write(&s->mark, &t, true);
	if (rc == 0)
		rc = store_db_prepare(&s->db);
	if (rc)
		fprintf(errors, "%s: %s\n", s->paths.mark, strerror(-rc));
	s->whole = rc == 0;
	return rc;
}

int store_files_open(const char *dir, FILE *errors, struct store_files *out)
{
	*out = (struct store_files){.mark.lock_fd = -1};
	int rc = store_paths_set(dir, &out->paths);
	if (rc == 0)
		rc = make_dir(dir, errors);
	if (rc == 0)
		rc = open_files(out, errors);
	if (rc == -EUCLEAN)
		way_out(out, errors);
	if (rc == 0)
		rc = begin(out, errors);
	out->refused = rc == -EUCLEAN || rc == -EPROTONOSUPPORT;
	if (rc)
		store_files_close(out);
	return rc;
}

void store_files_close(struct store_files *f)
{
	struct stat st;
	if (f->db.db)
		store_db_close(&f->db, !f->whole);
	// SQLite makes an empty log when it looks for one.
	if (f->refused && !f->had_log && stat(f->paths.log, &st) == 0 && st.st_size == 0)
		unlink(f->paths.log);
	store_mark_close(&f->mark);
}

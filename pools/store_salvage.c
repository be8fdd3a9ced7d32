// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What can be read of a damaged store: every page is looked at, each in the newest state that the file
// or the log has of it, and every row in it whose checksum is right counts. Nothing is written.
#include "pools/store_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_HEAD   32
#define FRAME_HEAD 24
#define FRAME      (FRAME_HEAD + STORE_PAGE)

struct found_row {
	struct htab_node node;
	struct ip_addr addr;
	uint64_t txn;
	size_t len;
	uint8_t body[];
};

struct salvage {
	char db[PATH_MAX], log[PATH_MAX], mark[PATH_MAX];
	FILE *errors;
	int db_fd, log_fd;
	uint32_t pages;   // the highest number that either has
	uint32_t *frames; // of the log by page, the newest; 0: in the file
	struct mark_text marked;
	struct store_db meta;
	bool mark_good, described, no_memory;
	struct htab rows;
	uint8_t page[STORE_PAGE], other[STORE_PAGE];
};

// The directory, or the file, under whatever name it was moved to.
static int set_paths(const char *path, struct salvage *s)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return -errno;
	if (strlen(path) + 32 > PATH_MAX)
		return -ENAMETOOLONG;
	const char *slash = strrchr(path, '/');
	int dir_len = slash ? (int)(slash - path) + 1 : 0;
	if (S_ISDIR(st.st_mode)) {
		snprintf(s->db, PATH_MAX, "%.4000s/" LEASE_STORE_FILE, path);
		snprintf(s->mark, PATH_MAX, "%.4000s/leases.mark", path);
	} else {
		snprintf(s->db, PATH_MAX, "%.4000s", path);
		snprintf(s->mark, PATH_MAX, "%.*sleases.mark", dir_len, path);
	}
	snprintf(s->log, PATH_MAX, "%.4000s-wal", s->db);
	return 0;
}

static int open_plain(const char *path, int *out)
{
	struct stat st;
	*out = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (*out < 0)
		return -errno;
	if (fstat(*out, &st) == 0 && S_ISREG(st.st_mode))
		return 0;
	close(*out);
	*out = -1;
	return -EINVAL;
}

// Nobody writes meanwhile; and what was acknowledged last.
static int read_mark(struct salvage *s)
{
	uint8_t bytes[128];
	int fd;
	if (open_plain(s->mark, &fd) != 0)
		return 0; // one that is missing takes no row away
	int rc = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK ? -EBUSY : 0;
	ssize_t n = pread(fd, bytes, sizeof(bytes), 0);
	s->mark_good = n > 0 && store_mark_parse(bytes, (size_t)n, &s->marked) == MARK_GOOD;
	close(fd);
	if (rc)
		fprintf(s->errors, "%s: a running sallyportd has this store\n", s->db);
	return rc;
}

static uint32_t file_pages(int fd, size_t head, size_t each)
{
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0 || (uint64_t)st.st_size < head)
		return 0;
	uint64_t n = ((uint64_t)st.st_size - head + each - 1) / each; // the last one may be cut
	return n < UINT32_MAX / 2 ? (uint32_t)n : UINT32_MAX / 2;
}

// A short page ends in zeros.
static bool read_page(int fd, uint64_t offset, uint8_t out[static STORE_PAGE])
{
	memset(out, 0, STORE_PAGE);
	return fd >= 0 && pread(fd, out, STORE_PAGE, (off_t)offset) > 0;
}

static bool page_at(struct salvage *s, uint32_t n, uint8_t out[static STORE_PAGE])
{
	if (n == 0 || n > s->pages)
		return false;
	uint32_t frame = s->frames[n];
	if (frame)
		return read_page(
			s->log_fd, LOG_HEAD + (uint64_t)(frame - 1) * FRAME + FRAME_HEAD, out);
	return read_page(s->db_fd, (uint64_t)(n - 1) * STORE_PAGE, out);
}

static const uint8_t *other_page(void *ctx, uint32_t n)
{
	struct salvage *s = ctx;
	return page_at(s, n, s->other) ? s->other : NULL;
}

struct frame_head {
	uint32_t page, commit, salt[2];
};

static bool read_frame(const struct salvage *s, uint32_t frame, struct frame_head *out)
{
	uint8_t bytes[FRAME_HEAD];
	off_t at = LOG_HEAD + (off_t)(frame - 1) * FRAME;
	struct rd r = rd_of(bytes, sizeof(bytes));
	return pread(s->log_fd, bytes, sizeof(bytes), at) == (ssize_t)sizeof(bytes) &&
	       rd_u32(&r, &out->page) && rd_u32(&r, &out->commit) && rd_u32(&r, &out->salt[0]) &&
	       rd_u32(&r, &out->salt[1]);
}

static bool same_salts(const struct frame_head *a, const struct frame_head *b)
{
	return memcmp(a->salt, b->salt, sizeof(a->salt)) == 0;
}

static struct frame_head log_salts(const struct salvage *s)
{
	uint8_t bytes[8] = {0};
	struct frame_head f = {0};
	struct rd r = rd_of(bytes, sizeof(bytes));
	if (pread(s->log_fd, bytes, sizeof(bytes), 16) < 0 || !rd_u32(&r, &f.salt[0]) ||
		!rd_u32(&r, &f.salt[1]))
		memset(f.salt, 0, sizeof(f.salt));
	return f;
}

// Frames of this life of the log have the salts of its head and of its first frame, of which one may be
// damaged; what follows them is of an older life.
static int index_log(struct salvage *s)
{
	uint32_t frames = file_pages(s->log_fd, LOG_HEAD, FRAME);
	uint32_t in_file = file_pages(s->db_fd, 0, STORE_PAGE);
	uint32_t most = in_file + frames + 1;
	struct frame_head head = log_salts(s), first, f;
	s->frames = calloc((size_t)most + 1, sizeof(*s->frames));
	if (!s->frames)
		return -ENOMEM;
	s->pages = in_file;
	if (frames == 0 || !read_frame(s, 1, &first))
		return 0;
	for (uint32_t i = 1; i <= frames && read_frame(s, i, &f); i++) {
		if (!same_salts(&f, &first) && !same_salts(&f, &head))
			continue;
		if (f.page == 0 || f.page > most)
			continue;
		s->frames[f.page] = i;
		if (f.page > s->pages)
			s->pages = f.page;
	}
	return 0;
}

static void keep_row(struct salvage *s, const struct store_found *f)
{
	static const uint8_t key[16] = "salvage";
	uint64_t hash = siphash(key, &f->addr, sizeof(f->addr));
	struct htab_node *n = htab_first(&s->rows, hash);
	for (; n; n = htab_next(n)) {
		struct found_row *old = container_of(n, struct found_row, node);
		if (!ip_eq(&old->addr, &f->addr))
			continue;
		if (old->txn >= f->txn)
			return;
		htab_remove(&s->rows, n);
		free(old);
		break;
	}
	struct found_row *r = malloc(sizeof(*r) + f->len);
	if (!r) {
		s->no_memory = true;
		return;
	}
	*r = (struct found_row){.addr = f->addr, .txn = f->txn, .len = f->len};
	memcpy(r->body, f->body, f->len);
	htab_insert(&s->rows, &r->node, hash);
}

static bool try_row(struct salvage *s, size_t offset)
{
	struct store_pages pages = {other_page, s};
	struct store_found found;
	if (!store_cell_row(&pages, s->page, offset, &found))
		return false;
	keep_row(s, &found);
	return true;
}

static void try_meta(struct salvage *s, size_t offset)
{
	struct store_db m;
	if (!store_cell_meta(s->page, offset, &m))
		return;
	if (s->described && m.txn < s->meta.txn)
		return;
	s->meta = m;
	s->described = true;
}

// By the page's own list of its cells; false: it is not one of rows, or not in order.
static bool listed_rows(struct salvage *s)
{
	bool inner = s->page[0] == 0x02;
	struct rd r = rd_of(s->page, STORE_PAGE);
	uint16_t count, cell;
	if ((!inner && s->page[0] != 0x0a) || !rd_skip(&r, 3) || !rd_u16(&r, &count) ||
		!rd_skip(&r, inner ? 7 : 3))
		return false;
	bool good = true;
	while (count--) {
		if (!rd_u16(&r, &cell) || cell < 8 || cell >= STORE_PAGE - 4)
			return false;
		good &= try_row(s, (size_t)cell + (inner ? 4 : 0));
	}
	return good;
}

// A page that is not in order is looked through at every byte.
static void look_through(struct salvage *s)
{
	for (size_t i = 0; i < STORE_PAGE - 8; i++) {
		if (s->page[i] == 0)
			continue;
		(void)try_row(s, i);
		try_meta(s, i);
	}
}

static void read_all(struct salvage *s)
{
	for (uint32_t n = 1; n <= s->pages; n++)
		if (page_at(s, n, s->page) && !listed_rows(s))
			look_through(s);
}

static int give_rows(struct salvage *s, const struct lease_salvage_to *to)
{
	struct htab_node *n = NULL;
	size_t cursor = 0;
	int rc = 0;
	while (rc == 0 && (n = htab_walk(&s->rows, &cursor, n))) {
		struct found_row *f = container_of(n, struct found_row, node);
		struct lease_row row = {.addr = f->addr};
		if (store_row_decode((struct view){f->body, f->len}, &row))
			rc = to->row(to->ctx, &row);
	}
	return rc;
}

static void report(struct salvage *s, struct lease_salvage *out)
{
	out->readable = s->rows.count;
	out->unreadable = UINT64_MAX;
	if (!s->described) {
		fprintf(s->errors, "%s: nobody knows how many rows there were\n", s->db);
		return;
	}
	out->unreadable = s->meta.rows > out->readable ? s->meta.rows - out->readable : 0;
	if (s->mark_good && memcmp(s->marked.id, s->meta.id, STORE_ID_LEN) == 0 &&
		s->marked.txn > s->meta.txn)
		out->lost = s->marked.txn - s->meta.txn;
	if (out->unreadable)
		fprintf(s->errors, "%s: %llu of %llu rows are not readable\n", s->db,
			(unsigned long long)out->unreadable, (unsigned long long)s->meta.rows);
	if (out->lost)
		fprintf(s->errors, "%s: of the last %llu transactions nothing is found\n", s->db,
			(unsigned long long)out->lost);
}

static void salvage_free(struct salvage *s)
{
	struct htab_node *n, *next;
	size_t cursor = 0;
	if (s->rows.buckets) {
		for (n = htab_walk(&s->rows, &cursor, NULL); n; n = next) {
			next = htab_walk(&s->rows, &cursor, n);
			free(container_of(n, struct found_row, node));
		}
		htab_fini(&s->rows);
	}
	if (s->db_fd >= 0)
		close(s->db_fd);
	if (s->log_fd >= 0)
		close(s->log_fd);
	free(s->frames);
	free(s);
}

static int open_all(const char *path, struct salvage *s)
{
	int rc = set_paths(path, s);
	if (rc == 0)
		rc = read_mark(s);
	if (rc)
		return rc;
	rc = open_plain(s->db, &s->db_fd);
	int log = open_plain(s->log, &s->log_fd);
	if (rc && !(rc == -ENOENT && log == 0)) {
		fprintf(s->errors, "%s: %s\n", s->db, strerror(-rc));
		return rc;
	}
	rc = htab_init(&s->rows, 1024);
	return rc ? rc : index_log(s);
}

int lease_store_salvage(
	const char *path, const struct lease_salvage_to *to, struct lease_salvage *out)
{
	*out = (struct lease_salvage){0};
	struct salvage *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->db_fd = s->log_fd = -1;
	s->errors = to->errors;
	int rc = open_all(path, s);
	if (rc == 0) {
		read_all(s);
		report(s, out);
		rc = s->no_memory ? -ENOMEM : give_rows(s, to);
	}
	salvage_free(s);
	return rc;
}

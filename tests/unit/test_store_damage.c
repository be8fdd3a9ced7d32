// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A damaged store: either every row that was acknowledged is there, or it is refused with words that
// name the file, and left as it is. Never fewer rows in silence.
#include "tests/unit/store_fixture.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ROWS     120
#define FILE_MAX (1u << 20)
#define FILES    3

static const char *const names[FILES] = {"leases.db", "leases.db-wal", "leases.mark"};

// The files of a store, to be damaged.
struct image {
	size_t len[FILES];
	bool there[FILES];
	uint8_t *bytes[FILES];
};

static struct image closed, killed, foreign; // in good order; while it ran; of another store
static struct row_map whole;
static struct store_case c;

static void path_of(const char *dir, size_t file, char out[static 128])
{
	snprintf(out, 128, "%s/%s", dir, names[file]);
}

static void image_read(const char *dir, struct image *out)
{
	char path[128];
	for (size_t i = 0; i < FILES; i++) {
		path_of(dir, i, path);
		int fd = open(path, O_RDONLY);
		out->there[i] = fd >= 0;
		out->len[i] = 0;
		if (!out->bytes[i])
			out->bytes[i] = malloc(FILE_MAX);
		assert_non_null(out->bytes[i]);
		if (fd < 0)
			continue;
		ssize_t n = read(fd, out->bytes[i], FILE_MAX);
		assert_in_range(n, 0, FILE_MAX - 1);
		out->len[i] = (size_t)n;
		close(fd);
	}
}

static void file_write(const char *dir, size_t file, const uint8_t *bytes, size_t len)
{
	char path[128];
	path_of(dir, file, path);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static void image_write(const char *dir, const struct image *im)
{
	char path[128];
	for (size_t i = 0; i < FILES; i++) {
		path_of(dir, i, path);
		if (im->there[i])
			file_write(dir, i, im->bytes[i], im->len[i]);
		else
			unlink(path);
	}
}

static void fill(const char *dir, struct image *running, struct image *ended)
{
	struct store_case s = {.wake_fd = c.wake_fd};
	snprintf(s.dir, sizeof(s.dir), "%s", dir);
	assert_int_equal(case_reopen(&s), 0);
	for (uint32_t n = 0; n < ROWS; n++) {
		uint64_t ticket = put_version(&s.j, n, n % 9 + 1);
		if (n % 10 == 9)
			assert_true(case_wait(&s, ticket));
	}
	uint64_t ticket = drop_row(&s.j, 7);
	assert_true(case_wait(&s, ticket));
	if (running)
		image_read(dir, running);
	case_close(&s);
	if (ended)
		image_read(dir, ended);
}

// In memory where that can be had: nothing here is about the disk.
static int group_setup(void **state)
{
	char dir[64];
	case_init(&c);
	if (access("/dev/shm", W_OK) == 0) {
		snprintf(dir, sizeof(dir), "/dev/shm/sallyport-store.XXXXXX");
		if (mkdtemp(dir)) {
			rmdir(c.dir);
			memcpy(c.dir, dir, sizeof(dir));
		}
	}
	fill(c.dir, &killed, &closed);
	assert_int_equal(case_reopen(&c), 0);
	case_load(&c, &whole);
	case_close(&c);
	assert_int_equal(whole.rows, ROWS - 1);
	image_write(c.dir, &(struct image){0});
	fill(c.dir, &foreign, NULL);
	return 0;
}

static int group_teardown(void **state)
{
	struct image *const all[] = {&closed, &killed, &foreign};
	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < FILES; k++)
			free(all[i]->bytes[k]);
	case_fini(&c);
	return 0;
}

// Of what salvage finds nothing is wrong.
static unsigned salvaged(struct lease_salvage *out)
{
	static struct row_map m;
	char errors[4096] = "";
	FILE *f = fmemopen(errors, sizeof(errors), "w");
	memset(&m, 0, sizeof(m));
	struct lease_salvage_to to = {row_note, &m, f};
	int rc = lease_store_salvage(c.dir, &to, out);
	fclose(f);
	assert_int_equal(rc, 0);
	assert_int_equal(m.strange, 0);
	assert_int_equal(m.rows, out->readable);
	return m.rows;
}

struct verdict {
	unsigned loaded, refused;
	unsigned fewest; // rows that salvage found of a store that was refused
};

static void files_equal(const struct image *before)
{
	static struct image now;
	image_read(c.dir, &now);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(now.there[i], before->there[i]);
		if (!now.there[i])
			continue;
		assert_int_equal(now.len[i], before->len[i]);
		assert_memory_equal(now.bytes[i], before->bytes[i], now.len[i]);
	}
}

static void judge(struct verdict *v, const struct image *before)
{
	static struct row_map m;
	struct lease_salvage salvage;
	int rc = case_reopen(&c);
	if (rc == 0) {
		case_load(&c, &m);
		assert_memory_equal(m.version, whole.version, sizeof(m.version));
		case_close(&c);
		v->loaded++;
		return;
	}
	v->refused++;
	assert_non_null(strstr(c.errors, c.dir));
	if (rc == -EUCLEAN)
		assert_non_null(strstr(c.errors, "sallyport leases export --file"));
	files_equal(before);
	if (!before->there[0])
		return;
	unsigned rows = salvaged(&salvage);
	v->fewest = rows < v->fewest ? rows : v->fewest;
}

static void flip(const struct image *im, size_t file, size_t at, uint8_t mask, struct verdict *v)
{
	im->bytes[file][at] ^= mask;
	image_write(c.dir, im);
	judge(v, im);
	im->bytes[file][at] ^= mask;
}

static void flips_of(const struct image *im, const char *what, uint64_t *seed)
{
	static const uint8_t masks[] = {0x01, 0x80, 0xff, 0x20};
	for (size_t file = 0; file < FILES; file++) {
		struct verdict v = {.fewest = ROWS};
		size_t step = im->len[file] / 200 + 1;
		for (size_t at = draw(seed) % step; at < im->len[file]; at += 1 + draw(seed) % step)
			flip(im, file, at, masks[draw(seed) % 4], &v);
		// What pages and frames begin with.
		size_t each = file == 1 ? 4096 + 24 : 4096;
		for (size_t at = file == 1 ? 32 : 0; at < im->len[file];
			at += each * (1 + file * 6))
			for (size_t k = at; k < at + 40 && k < im->len[file]; k++)
				flip(im, file, k, masks[draw(seed) % 4], &v);
		if (v.loaded + v.refused)
			printf("# %s, a byte of %s: %u loaded whole, %u refused, of these at least "
			       "%u of %u rows were found\n",
				what, names[file], v.loaded, v.refused, v.fewest, ROWS - 1);
		if (file == 0 && im == &closed)
			assert_true(v.refused > 0 && v.fewest >= ROWS - 2);
	}
}

static void flipped_bytes(void **state)
{
	uint64_t seed = new_seed();
	flips_of(&closed, "closed", &seed);
	flips_of(&killed, "killed", &seed);
}

static void cut_of(const struct image *im, uint64_t *seed)
{
	for (size_t file = 0; file < FILES; file++) {
		struct image cut = *im;
		struct verdict v = {.fewest = ROWS};
		for (size_t i = 0; i < 120 && im->len[file]; i++) {
			const size_t edges[] = {0, 1, 99, 100, 512, 4095, 4096, im->len[file] - 1};
			cut.len[file] = i < 8 ? edges[i] : draw(seed) % im->len[file];
			if (cut.len[file] >= im->len[file])
				continue;
			image_write(c.dir, &cut);
			judge(&v, &cut);
		}
		// Not one cut takes only what nobody needs, unless the log has all of it.
		if (im == &closed || file > 0)
			assert_int_equal(v.loaded, 0);
	}
}

static void truncated_files(void **state)
{
	uint64_t seed = new_seed();
	cut_of(&closed, &seed);
	cut_of(&killed, &seed);
}

// Each file missing, garbage, zeros, or another store's.
static void wrong_files(void **state)
{
	uint64_t seed = new_seed();
	static uint8_t garbage[FILE_MAX], zeros[FILE_MAX];
	for (size_t i = 0; i < FILE_MAX; i++)
		garbage[i] = (uint8_t)draw(&seed);
	for (size_t file = 0; file < FILES; file++) {
		struct verdict v = {0};
		for (int kind = 0; kind < 4; kind++) {
			struct image im = file == 1 ? killed : closed;
			im.there[file] = kind > 0;
			if (kind == 1)
				im.bytes[file] = garbage;
			else if (kind == 2)
				im.bytes[file] = zeros;
			else if (kind == 3)
				im.bytes[file] = foreign.bytes[file],
				im.len[file] = foreign.len[file];
			image_write(c.dir, &im);
			judge(&v, &im);
		}
		assert_int_equal(v.refused, 4);
	}
	// A log where there was none.
	struct verdict v = {0};
	struct image im = closed;
	im.there[1] = true;
	im.bytes[1] = foreign.bytes[1];
	im.len[1] = foreign.len[1];
	image_write(c.dir, &im);
	judge(&v, &im);
	assert_int_equal(v.refused, 1);
}

static int refused(const char *word)
{
	int rc = case_reopen(&c);
	assert_true(rc < 0);
	assert_non_null(strstr(c.errors, c.dir));
	assert_non_null(strstr(c.errors, word));
	return rc;
}

// What stands in the place of a file.
static void wrong_kinds(void **state)
{
	char path[128], other[160];
	for (size_t file = 0; file < FILES; file += 2) {
		image_write(c.dir, &(struct image){0});
		path_of(c.dir, file, path);
		assert_int_equal(mkdir(path, 0700), 0);
		refused(names[file]);
		rmdir(path);
		snprintf(other, sizeof(other), "%s/elsewhere", c.dir);
		assert_int_equal(symlink(other, path), 0);
		refused(names[file]);
		unlink(path);
	}
	image_write(c.dir, &closed);
	path_of(c.dir, 0, path);
	snprintf(other, sizeof(other), "%s-journal", path);
	int fd = open(other, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(refused("-journal"), -EUCLEAN);
	unlink(other);
	char dir[64];
	memcpy(dir, c.dir, sizeof(dir));
	snprintf(c.dir, sizeof(c.dir), "%.40s/leases.db", dir);
	assert_int_equal(refused("leases.db"), -ENOTDIR);
	memcpy(c.dir, dir, sizeof(dir));
}

static void newer_format(void **state)
{
	char path[128];
	sqlite3 *db;
	image_write(c.dir, &closed);
	path_of(c.dir, 0, path);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=2", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(refused("of a newer sallyportd"), -EPROTONOSUPPORT);
	image_write(c.dir, &closed);
	sqlite3_open(path, &db);
	assert_int_equal(
		sqlite3_exec(db, "CREATE INDEX i ON lease (name)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(refused("tables"), -EUCLEAN);
}

// Root may do everything: as somebody else.
static int as_nobody(mode_t dir_mode, mode_t file_mode)
{
	char path[128];
	int status;
	image_write(c.dir, &closed);
	for (size_t i = 0; i < FILES; i++) {
		path_of(c.dir, i, path);
		assert_true(!closed.there[i] || chmod(path, file_mode) == 0);
	}
	assert_int_equal(chmod(c.dir, dir_mode), 0);
	pid_t child = fork();
	if (child == 0) {
		bool other = setgid(65534) == 0 && setuid(65534) == 0;
		int rc = other ? case_reopen(&c) : 0;
		_exit(strstr(c.errors, c.dir) ? -rc : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(chmod(c.dir, 0700), 0);
	for (size_t i = 0; i < FILES; i++) {
		path_of(c.dir, i, path);
		assert_true(!closed.there[i] || chmod(path, 0600) == 0);
	}
	return WEXITSTATUS(status);
}

static void wrong_permissions(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(as_nobody(0700, 0600), EACCES); // not his directory
	assert_int_equal(as_nobody(0755, 0600), EACCES); // not his files
	assert_int_equal(as_nobody(0555, 0644), EACCES); // he may only read
	// Too open is no error: it is closed.
	char path[128];
	struct stat st;
	struct verdict v = {0};
	image_write(c.dir, &closed);
	path_of(c.dir, 0, path);
	assert_int_equal(chmod(path, 0644), 0);
	judge(&v, &closed);
	assert_int_equal(v.loaded, 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

// Power fails between any two steps of making a store.
static void made_by_halves(void **state)
{
	static struct image fresh;
	struct row_map m;
	image_write(c.dir, &(struct image){0});
	assert_int_equal(case_reopen(&c), 0);
	case_close(&c);
	image_read(c.dir, &fresh);
	for (int step = 0; step < 4; step++) {
		struct image im = fresh;
		char path[160];
		im.there[0] = step >= 2;
		im.len[2] = step == 3 ? im.len[2] : 0;
		image_write(c.dir, &im);
		snprintf(path, sizeof(path), "%s/leases.db.new", c.dir);
		if (step == 1)
			close(open(path, O_WRONLY | O_CREAT, 0600));
		assert_int_equal(case_reopen(&c), 0);
		case_load(&c, &m);
		assert_int_equal(m.rows, 0);
		assert_true(case_wait(&c, put_version(&c.j, 1, 1)));
		case_close(&c);
		assert_int_equal(access(path, F_OK), -1);
	}
}

static void salvage_finds_all(void **state)
{
	struct lease_salvage out;
	const struct image *const images[] = {&closed, &killed};
	for (size_t i = 0; i < 2; i++) {
		image_write(c.dir, images[i]);
		assert_int_equal(salvaged(&out), ROWS - 1);
		assert_int_equal(out.unreadable, 0);
		assert_int_equal(out.lost, 0);
	}
	// Without its first page, which says what kind of file it is.
	image_write(c.dir, &closed);
	file_write(c.dir, 0, closed.bytes[0], closed.len[0]);
	char path[128];
	path_of(c.dir, 0, path);
	int fd = open(path, O_WRONLY);
	static const uint8_t zeros[4096];
	assert_int_equal(pwrite(fd, zeros, sizeof(zeros), 0), sizeof(zeros));
	close(fd);
	assert_int_equal(case_reopen(&c), -EUCLEAN);
	assert_int_equal(salvaged(&out), ROWS - 1);
	assert_int_equal(out.unreadable, 0);
	// The file by its name, beside nothing.
	static struct row_map m;
	struct lease_salvage_to to = {row_note, &m, stderr};
	assert_int_equal(lease_store_salvage(path, &to, &out), 0);
	assert_int_equal(out.readable, ROWS - 1);
	// Half of it.
	assert_int_equal(truncate(path, (off_t)closed.len[0] / 2), 0);
	unsigned half = salvaged(&out);
	assert_in_range(half, 1, ROWS - 2);
	assert_int_equal(half + out.unreadable, ROWS - 1);
	// Without the log that was acknowledged.
	struct image im = killed;
	im.there[1] = false;
	image_write(c.dir, &im);
	assert_int_equal(salvaged(&out), 0);
	assert_true(out.lost > 0);
}

static void salvage_of_a_store_in_use(void **state)
{
	struct lease_salvage out;
	static struct row_map m;
	char errors[256] = "";
	image_write(c.dir, &closed);
	assert_int_equal(case_reopen(&c), 0);
	FILE *f = fmemopen(errors, sizeof(errors), "w");
	struct lease_salvage_to to = {row_note, &m, f};
	assert_int_equal(lease_store_salvage(c.dir, &to, &out), -EBUSY);
	fclose(f);
	assert_non_null(strstr(errors, "running sallyportd"));
	case_close(&c);
	assert_int_equal(lease_store_salvage("/nowhere/at/all", &to, &out), -ENOENT);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(flipped_bytes),
	cmocka_unit_test(truncated_files),
	cmocka_unit_test(wrong_files),
	cmocka_unit_test(wrong_kinds),
	cmocka_unit_test(newer_format),
	cmocka_unit_test(wrong_permissions),
	cmocka_unit_test(made_by_halves),
	cmocka_unit_test(salvage_finds_all),
	cmocka_unit_test(salvage_of_a_store_in_use),
};

int main(void)
{
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

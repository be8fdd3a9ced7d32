// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// SIGKILL leaves the system's cache of the disk, a power cut does not. So the store's writes and syncs
// are recorded, and a disk is made of them as a cut at any point may leave it: all that a sync had
// covered, and of the rest any sectors. What was acknowledged must be there, and nothing strange; and
// the same must fail as soon as one kind of sync is left out.
#include "tests/unit/store_fixture.h"
#include "tests/unit/store_vfs.h"

#include <fcntl.h>

#define SECTOR    512
#define ROWS      400
#define BATCHES   500
#define BATCH_MAX 12
#define FILE_MAX  (8u << 20)
#define WINDOW    64 // events that a sync which is left out leaves unwritten

static const char *const names[DISK_FILES] = {"leases.db", "leases.db-wal", "leases.mark"};

struct image {
	size_t len;
	uint8_t *bytes;
};

struct wish {
	uint32_t n, version; // 0: dropped
};

// What was wished at once, and between which events that was and was acknowledged.
struct batch {
	struct wish wishes[BATCH_MAX];
	size_t count, begin, end;
};

static struct batch batches[BATCHES];
static struct image first[DISK_FILES]; // when the recording began
static struct store_case c;

static void image_apply(struct image *im, const struct disk_event *e)
{
	if (e->act == DISK_TRUNCATE) {
		if ((size_t)e->at > im->len)
			memset(im->bytes + im->len, 0, (size_t)e->at - im->len);
		im->len = (size_t)e->at;
	} else if (e->act == DISK_WRITE) {
		size_t end = (size_t)e->at + e->len;
		assert_true(end <= FILE_MAX);
		if ((size_t)e->at > im->len)
			memset(im->bytes + im->len, 0, (size_t)e->at - im->len);
		memcpy(im->bytes + e->at, e->bytes, e->len);
		im->len = end > im->len ? end : im->len;
	}
}

// Some of the sectors of a write, each as a whole.
static void image_tear(
	struct image *im, const struct disk_event *e, unsigned percent, uint64_t *seed)
{
	size_t at = (size_t)e->at, end = at + e->len;
	if (e->act == DISK_TRUNCATE && draw(seed) % 100 < percent)
		image_apply(im, e);
	while (e->act == DISK_WRITE && at < end) {
		size_t stop = (at / SECTOR + 1) * SECTOR;
		stop = stop < end ? stop : end;
		struct disk_event part = {DISK_WRITE, e->file, (sqlite3_int64)at, stop - at,
			e->bytes + (at - (size_t)e->at)};
		if (draw(seed) % 100 < percent)
			image_apply(im, &part);
		at = stop;
	}
}

static void image_copy(struct image *to, const struct image *from)
{
	to->len = from->len;
	memcpy(to->bytes, from->bytes, from->len);
}

static void image_new(struct image *im)
{
	im->len = 0;
	im->bytes = malloc(FILE_MAX);
	assert_non_null(im->bytes);
}

static void images_read(void)
{
	char path[128];
	for (size_t i = 0; i < DISK_FILES; i++) {
		snprintf(path, sizeof(path), "%s/%s", c.dir, names[i]);
		int fd = open(path, O_RDONLY);
		ssize_t n = fd >= 0 ? read(fd, first[i].bytes, FILE_MAX) : 0;
		assert_true(n >= 0);
		first[i].len = (size_t)n;
		if (fd >= 0)
			close(fd);
	}
}

static void image_write(size_t file, const struct image *im)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", c.dir, names[file]);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, im->bytes, im->len), im->len);
	close(fd);
}

static void draw_batch(struct batch *b, uint32_t version, uint64_t *seed)
{
	b->count = draw(seed) % BATCH_MAX + 1;
	for (size_t i = 0; i < b->count; i++) {
		b->wishes[i].version = draw(seed) % 4 ? version : 0;
		bool again;
		do { // each row once
			b->wishes[i].n = (uint32_t)(draw(seed) % ROWS);
			again = false;
			for (size_t k = 0; k < i; k++)
				again |= b->wishes[k].n == b->wishes[i].n;
		} while (again);
	}
}

static void record(uint64_t *seed)
{
	case_init(&c);
	assert_int_equal(case_reopen(&c), 0);
	images_read();
	disk_record(true);
	for (uint32_t b = 0; b < BATCHES; b++) {
		struct batch *batch = &batches[b];
		uint64_t ticket = 0;
		if (b % 100 == 99) { // an end in good order, and a start
			case_close(&c);
			assert_int_equal(case_reopen(&c), 0);
		}
		draw_batch(batch, b + 1, seed);
		batch->begin = disk_position();
		for (size_t i = 0; i < batch->count; i++) {
			struct wish w = batch->wishes[i];
			ticket =
				w.version ? put_version(&c.j, w.n, w.version) : drop_row(&c.j, w.n);
		}
		assert_true(case_wait(&c, ticket));
		batch->end = disk_position();
	}
	case_close(&c);
	disk_record(false);
}

static int group_setup(void **state)
{
	char dir[64] = "/dev/shm/sallyport-cuts.XXXXXX";
	uint64_t seed = new_seed();
	size_t syncs = 0, in_db = 0;
	disk_register();
	for (size_t i = 0; i < DISK_FILES; i++)
		image_new(&first[i]);
	record(&seed);
	for (size_t i = 0; i < disk.count; i++) {
		syncs += disk.events[i].act == DISK_SYNC;
		in_db += disk.events[i].act == DISK_SYNC && disk.events[i].file == DISK_DB;
	}
	printf("# recorded: %zu writes and syncs, %zu syncs, %zu of them after the log was copied "
	       "back\n",
		disk.count, syncs, in_db);
	assert_true(syncs >= BATCHES && in_db >= 3);
	if (mkdtemp(dir)) { // opened thousands of times, not for the disk's sake
		nftw(c.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
		memcpy(c.dir, dir, sizeof(dir));
	}
	return 0;
}

static int group_teardown(void **state)
{
	for (size_t i = 0; i < DISK_FILES; i++)
		free(first[i].bytes);
	disk_forget();
	case_fini(&c);
	return 0;
}

struct replay {
	struct image durable[DISK_FILES], cut[DISK_FILES];
	size_t pending[DISK_FILES]; // the first event that no sync covers
	size_t next;                // event
	size_t acknowledged;        // batches
	uint32_t want[ROWS];        // versions after these
	int ignored;                // file whose syncs are left out; -1: none
	unsigned cuts, lost, refused;
};

static void replay_init(struct replay *r, int ignored)
{
	*r = (struct replay){.ignored = ignored};
	for (size_t i = 0; i < DISK_FILES; i++) {
		image_new(&r->durable[i]);
		image_new(&r->cut[i]);
		image_copy(&r->durable[i], &first[i]);
	}
}

static void replay_fini(struct replay *r)
{
	for (size_t i = 0; i < DISK_FILES; i++) {
		free(r->durable[i].bytes);
		free(r->cut[i].bytes);
	}
}

static void make_durable(struct replay *r, size_t file, size_t end)
{
	for (size_t i = r->pending[file]; i < end; i++)
		if (disk.events[i].file == file)
			image_apply(&r->durable[file], &disk.events[i]);
	r->pending[file] = end > r->pending[file] ? end : r->pending[file];
}

// Up to an event: what was synced is durable, what was acknowledged is wanted.
static void advance(struct replay *r, size_t to)
{
	for (; r->next < to; r->next++) {
		const struct disk_event *e = &disk.events[r->next];
		if (e->act != DISK_SYNC)
			continue;
		if ((int)e->file != r->ignored)
			make_durable(r, e->file, r->next);
		else if (r->next > WINDOW)
			make_durable(r, e->file, r->next - WINDOW);
	}
	while (r->acknowledged < BATCHES && batches[r->acknowledged].end <= to) {
		const struct batch *b = &batches[r->acknowledged++];
		for (size_t i = 0; i < b->count; i++)
			r->want[b->wishes[i].n] = b->wishes[i].version;
	}
}

// All, none, some, or what came first of what was not synced.
static void tear(struct replay *r, size_t file, uint64_t *seed)
{
	static const unsigned percents[] = {0, 50, 90, 100};
	unsigned percent = percents[draw(seed) % 4];
	size_t end = r->next;
	if (draw(seed) % 3 == 0 && end > r->pending[file])
		end = r->pending[file] + draw(seed) % (end - r->pending[file] + 1);
	image_copy(&r->cut[file], &r->durable[file]);
	for (size_t i = r->pending[file]; i < end; i++)
		if (disk.events[i].file == file)
			image_tear(&r->cut[file], &disk.events[i], percent, seed);
	image_write(file, &r->cut[file]);
}

// A row is as it was acknowledged last, or as it was wished since.
static bool row_may_be(const struct replay *r, uint32_t n, uint32_t version)
{
	if (version == r->want[n])
		return true;
	if (r->acknowledged == BATCHES || batches[r->acknowledged].begin > r->next)
		return false;
	const struct batch *b = &batches[r->acknowledged];
	for (size_t i = 0; i < b->count; i++)
		if (b->wishes[i].n == n && b->wishes[i].version == version)
			return true;
	return false;
}

static void cut(struct replay *r, uint64_t *seed)
{
	static struct row_map m;
	unsigned wrong = 0;
	for (size_t file = 0; file < DISK_FILES; file++)
		tear(r, file, seed);
	r->cuts++;
	if (case_reopen(&c) != 0) {
		if (r->ignored < 0)
			printf("# cut at %zu: %s", r->next, c.errors);
		r->refused++;
		return;
	}
	case_load(&c, &m);
	for (uint32_t n = 0; n < ROWS; n++)
		wrong += !row_may_be(r, n, m.version[n]);
	r->lost += wrong > 0;
	case_close(&c);
}

static struct replay replay(int ignored, size_t cuts)
{
	struct replay r;
	uint64_t seed = new_seed();
	replay_init(&r, ignored);
	for (size_t i = 0; i < cuts; i++) {
		// Everywhere, and now and then right behind an acknowledgement.
		size_t at = (disk.count - 1) * i / cuts + draw(&seed) % (disk.count / cuts + 1);
		if (draw(&seed) % 2 == 0 && r.acknowledged < BATCHES &&
			batches[r.acknowledged].end < at)
			at = batches[r.acknowledged].end;
		if (at < r.next)
			at = r.next;
		advance(&r, at);
		cut(&r, &seed);
	}
	replay_fini(&r);
	printf("# %u cuts: %u with rows that were lost or strange, %u refused\n", r.cuts, r.lost,
		r.refused);
	return r;
}

static void nothing_acknowledged_is_lost(void **state)
{
	struct replay r = replay(-1, 2000);
	assert_int_equal(r.cuts, 2000);
	assert_int_equal(r.lost, 0);
	assert_int_equal(r.refused, 0);
}

// Proof of the test: leases that were acknowledged are found missing, by it or by the store.
static void a_missing_sync_is_caught(void **state)
{
	struct replay log = replay(DISK_LOG, 200);
	assert_true(log.lost + log.refused > log.cuts / 20);
	struct replay db = replay(DISK_DB, 600);
	assert_true(db.lost + db.refused > 0);
}

// And without what the store knows of its own losses: rows are missing, as a client would see it.
static void a_missing_sync_loses_rows(void **state)
{
	struct replay r;
	uint64_t seed = new_seed();
	replay_init(&r, DISK_LOG);
	for (size_t i = 10; i < BATCHES; i += 5) {
		advance(&r, batches[i].end);
		// The mark did not reach the disk either.
		r.pending[DISK_MARK] = r.next;
		cut(&r, &seed);
	}
	replay_fini(&r);
	printf("# %u cuts without the log's syncs and the mark: rows were lost in %u\n", r.cuts,
		r.lost);
	assert_true(r.lost > 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(nothing_acknowledged_is_lost),
	cmocka_unit_test(a_missing_sync_is_caught),
	cmocka_unit_test(a_missing_sync_loses_rows),
};

int main(void)
{
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

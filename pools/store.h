// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The embedded lease store: a journal whose rows survive SIGKILL, a power cut and a full disk. One
// thread, the lease writer, makes one transaction of all that has come in while it wrote the last.
#pragma once

#include <stdio.h>

#include "pools/journal.h"

struct lease_store;

struct lease_store_params {
	const char *dir;   // main.state_dir; made if it is not there
	int wake_fd;       // eventfd, written when something has settled; -1: none
	const int *cores;  // of the lease writer
	size_t core_count; // 0: any
};

// 0; -EUCLEAN: damaged; -EBUSY: another process has it; or another error. What is wrong and what to do
// about it is written to errors, a line each. A store that is damaged is left as it is.
// Blocks: before the control thread runs.
MUST_USE int lease_store_open(
	const struct lease_store_params *p, FILE *errors, struct lease_store **out);
// The store is DIR/leases.db, an SQLite database, beside it leases.db-wal, its log, and leases.mark: the
// lock, and the number of the last transaction that was acknowledged.
#define LEASE_STORE_FILE "leases.db"

// Every row, in no order; borrowed for the call. Stops at the first result that is not 0 and returns
// it. -EUCLEAN as above. Before the first put(); row() itself may drop() and put().
MUST_USE int lease_store_load(
	struct lease_store *s, int (*row)(void *ctx, const struct lease_row *row), void *ctx);
void lease_store_journal(struct lease_store *s, struct lease_journal *out);
// Writes what it has, waits for that, ends the writer.
void lease_store_close(struct lease_store *s);

// All tickets up to `ticket` (and above the last one told) were written durably, or were not: the disk
// is full or broken, the rows are kept and written when it works again. False: nothing new.
// To be called when wake_fd says so, and every second or so besides: a disk that has neither written
// nor failed for LEASE_STORE_PATIENCE_NS is found out here. Control thread.
#define LEASE_STORE_PATIENCE_NS 2000000000ull
struct lease_settled {
	uint64_t ticket;
	bool durable;
};
bool lease_store_settled(struct lease_store *s, struct lease_settled *out);

struct lease_store_stats {
	uint64_t rows, bytes;              // in the store
	uint64_t commits, written;         // transactions; puts and drops in them
	uint64_t failed_commits;           // each is tried again
	uint64_t waiting;                  // puts and drops that are not durable yet
	uint64_t commit_ns, commit_max_ns; // the last, and the longest
	bool degraded;                     // the last commit failed
};
void lease_store_stats(const struct lease_store *s, struct lease_store_stats *out);

// What can be read of a store that may be damaged, and that no process has open; nothing is written.
// path is the directory or the file, which may have been moved, its log beside it. Rows are borrowed for the call of row(), each address once, those alone whose checksum is right;
// a result of row() that is not 0 ends it. What is wrong goes to errors, a line each.
// 0, also if not one row could be read; -EBUSY: a process has it; or another error.
struct lease_salvage {
	uint64_t readable;
	uint64_t unreadable; // UINT64_MAX: nobody knows
	uint64_t lost;       // transactions that were acknowledged and that nothing is found of
};
struct lease_salvage_to {
	int (*row)(void *ctx, const struct lease_row *row);
	void *ctx;
	FILE *errors;
};
MUST_USE int lease_store_salvage(
	const char *path, const struct lease_salvage_to *to, struct lease_salvage *out);

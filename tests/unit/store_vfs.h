// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A disk between SQLite and the system's own: it writes down what passes, and fails when told to.
// Registered as the default one, so that the store does not know of it. One a process.
#pragma once

#include "tests/cmocka_all.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum disk_file { DISK_DB, DISK_LOG, DISK_MARK, DISK_FILES };
enum disk_act { DISK_WRITE, DISK_TRUNCATE, DISK_SYNC };

struct disk_event {
	enum disk_act act;
	enum disk_file file;
	sqlite3_int64 at; // of DISK_TRUNCATE the length
	size_t len;
	uint8_t *bytes;
};

static struct {
	sqlite3_vfs vfs, *real;
	pthread_mutex_t lock;
	bool recording;
	struct disk_event *events;
	size_t count, cap;
	atomic_int write_error; // an SQLite result; 0: none
	atomic_int sync_error;
	atomic_uint sync_delay_us;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct disk_handle {
	sqlite3_file base;
	enum disk_file file;
	sqlite3_file *real;
};

static inline sqlite3_file *disk_real(sqlite3_file *f)
{
	return ((struct disk_handle *)(void *)f)->real;
}

static inline enum disk_file disk_which(sqlite3_file *f)
{
	return ((struct disk_handle *)(void *)f)->file;
}

static inline enum disk_file disk_named(const char *name)
{
	return strstr(name, "-wal") ? DISK_LOG : strstr(name, ".mark") ? DISK_MARK : DISK_DB;
}

static inline void disk_note(
	enum disk_file file, enum disk_act act, sqlite3_int64 at, const void *bytes, size_t len)
{
	pthread_mutex_lock(&disk.lock);
	if (disk.recording) {
		if (disk.count == disk.cap) {
			disk.cap = disk.cap ? disk.cap * 2 : 1024;
			disk.events = realloc(disk.events, disk.cap * sizeof(*disk.events));
			assert_non_null(disk.events);
		}
		struct disk_event *e = &disk.events[disk.count++];
		*e = (struct disk_event){act, file, at, len, len ? malloc(len) : NULL};
		if (len)
			memcpy(e->bytes, bytes, len);
	}
	pthread_mutex_unlock(&disk.lock);
}

static inline size_t disk_position(void)
{
	pthread_mutex_lock(&disk.lock);
	size_t n = disk.count;
	pthread_mutex_unlock(&disk.lock);
	return n;
}

static inline int disk_close(sqlite3_file *f)
{
	sqlite3_file *real = disk_real(f);
	int rc = real->pMethods->xClose(real);
	free(real);
	return rc;
}

static inline int disk_read(sqlite3_file *f, void *out, int len, sqlite3_int64 at)
{
	return disk_real(f)->pMethods->xRead(disk_real(f), out, len, at);
}

static inline int disk_write(sqlite3_file *f, const void *bytes, int len, sqlite3_int64 at)
{
	int rc = atomic_load(&disk.write_error);
	if (rc == 0)
		rc = disk_real(f)->pMethods->xWrite(disk_real(f), bytes, len, at);
	if (rc == 0)
		disk_note(disk_which(f), DISK_WRITE, at, bytes, (size_t)len);
	return rc;
}

static inline int disk_truncate(sqlite3_file *f, sqlite3_int64 len)
{
	int rc = disk_real(f)->pMethods->xTruncate(disk_real(f), len);
	if (rc == 0)
		disk_note(disk_which(f), DISK_TRUNCATE, len, NULL, 0);
	return rc;
}

static inline int disk_sync(sqlite3_file *f, int flags)
{
	unsigned delay = atomic_load(&disk.sync_delay_us);
	int rc = atomic_load(&disk.sync_error);
	if (delay)
		usleep(delay);
	if (rc == 0)
		rc = disk_real(f)->pMethods->xSync(disk_real(f), flags);
	if (rc == 0)
		disk_note(disk_which(f), DISK_SYNC, 0, NULL, 0);
	return rc;
}

static inline int disk_size(sqlite3_file *f, sqlite3_int64 *out)
{
	return disk_real(f)->pMethods->xFileSize(disk_real(f), out);
}

static inline int disk_lock(sqlite3_file *f, int level)
{
	return disk_real(f)->pMethods->xLock(disk_real(f), level);
}

static inline int disk_unlock(sqlite3_file *f, int level)
{
	return disk_real(f)->pMethods->xUnlock(disk_real(f), level);
}

static inline int disk_reserved(sqlite3_file *f, int *out)
{
	return disk_real(f)->pMethods->xCheckReservedLock(disk_real(f), out);
}

static inline int disk_control(sqlite3_file *f, int op, void *arg)
{
	return disk_real(f)->pMethods->xFileControl(disk_real(f), op, arg);
}

static inline int disk_sector(sqlite3_file *f)
{
	return disk_real(f)->pMethods->xSectorSize(disk_real(f));
}

static inline int disk_character(sqlite3_file *f)
{
	return disk_real(f)->pMethods->xDeviceCharacteristics(disk_real(f));
}

static inline int disk_open(
	sqlite3_vfs *vfs, const char *name, sqlite3_file *out, int flags, int *out_flags)
{
	// Version 1: no memory that several processes share, which the store does without.
	static const sqlite3_io_methods methods = {
		.iVersion = 1,
		.xClose = disk_close,
		.xRead = disk_read,
		.xWrite = disk_write,
		.xTruncate = disk_truncate,
		.xSync = disk_sync,
		.xFileSize = disk_size,
		.xLock = disk_lock,
		.xUnlock = disk_unlock,
		.xCheckReservedLock = disk_reserved,
		.xFileControl = disk_control,
		.xSectorSize = disk_sector,
		.xDeviceCharacteristics = disk_character,
	};
	struct disk_handle *h = (struct disk_handle *)(void *)out;
	h->base.pMethods = NULL;
	h->real = calloc(1, (size_t)disk.real->szOsFile);
	if (!h->real)
		return SQLITE_NOMEM;
	int rc = disk.real->xOpen(disk.real, name, h->real, flags, out_flags);
	if (rc != SQLITE_OK) {
		free(h->real);
		return rc;
	}
	h->file = disk_named(name);
	h->base.pMethods = &methods;
	return SQLITE_OK;
}

// The next file of this name begins empty: the same as a cut, that no sync covers.
static inline int disk_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
	int rc = disk.real->xDelete(disk.real, name, sync_dir);
	if (rc == 0)
		disk_note(disk_named(name), DISK_TRUNCATE, 0, NULL, 0);
	return rc;
}

static inline void disk_register(void)
{
	disk.real = sqlite3_vfs_find(NULL);
	assert_non_null(disk.real);
	disk.vfs = *disk.real;
	disk.vfs.pNext = NULL;
	disk.vfs.zName = "disk";
	disk.vfs.szOsFile = (int)sizeof(struct disk_handle);
	disk.vfs.xOpen = disk_open;
	disk.vfs.xDelete = disk_delete;
	assert_int_equal(sqlite3_vfs_register(&disk.vfs, 1), SQLITE_OK);
}

static inline void disk_record(bool on)
{
	pthread_mutex_lock(&disk.lock);
	disk.recording = on;
	pthread_mutex_unlock(&disk.lock);
}

static inline void disk_forget(void)
{
	for (size_t i = 0; i < disk.count; i++)
		free(disk.events[i].bytes);
	free(disk.events);
	disk.events = NULL;
	disk.count = disk.cap = 0;
}

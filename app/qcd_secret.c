// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "app/qcd_secret.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

LOG_SUBSYSTEM("app");

#define NEW_FILE QCD_SECRET_FILE ".new"

static int open_dir(const char *dir)
{
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int read_all(int fd, uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = read(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EINVAL;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_all(int fd, const uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

// A link, a device, somebody else's, or one that others can read is none of ours.
static int check(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077)
		return -EPERM;
	return st.st_size == QCD_SECRET_LEN ? 0 : -EINVAL;
}

static int load(int dir, struct secret *s)
{
	int fd = openat(dir, QCD_SECRET_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int rc = check(fd);
	if (rc == 0)
		rc = read_all(fd, s->bytes, s->len);
	close(fd);
	return rc;
}

// Whole under its name, or not there at all.
static int store(int dir, const struct secret *s)
{
	if (unlinkat(dir, NEW_FILE, 0) < 0 && errno != ENOENT)
		return -errno;
	int fd = openat(dir, NEW_FILE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int rc = write_all(fd, s->bytes, s->len);
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && renameat(dir, NEW_FILE, dir, QCD_SECRET_FILE) < 0)
		rc = -errno;
	if (rc < 0)
		(void)unlinkat(dir, NEW_FILE, 0);
	else if (fsync(dir) < 0)
		rc = -errno;
	return rc;
}

static int load_or_make(int dir, const struct random_source *random, struct secret *s)
{
	int rc = load(dir, s);
	if (rc != -ENOENT)
		return rc;
	random_fill(random, s->bytes, s->len);
	return store(dir, s);
}

int qcd_secret_load(const char *dir, const struct random_source *random, struct secret *out)
{
	SECRET_CLEANUP struct secret s = {0};
	int fd = -1, rc = secret_init(&s, QCD_SECRET_LEN);
	if (rc == 0)
		rc = fd = open_dir(dir);
	if (rc >= 0)
		rc = load_or_make(fd, random, &s);
	if (fd >= 0)
		close(fd);
	if (rc < 0)
		log_warning("%s/%s: %s: no quick crash detection", dir, QCD_SECRET_FILE,
			rc == -EINVAL  ? "not 32 bytes"
			: rc == -EPERM ? "not ours alone (mode 0600, no link)"
				       : strerror(-rc));
	else
		secret_move(out, &s);
	return rc;
}

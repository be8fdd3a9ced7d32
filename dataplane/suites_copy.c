// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// intel-ipsec-mb before 1.4 stores to one word of the process (imb_errno) with every call, from whatever
// thread: its line moves from core to core with every packet, and two workers do no more than one and a half
// of what one does. There is no call that leaves the word alone. But each copy of the library has its own:
// so each worker gets a copy, of the very file that the process has loaded.
#include "dataplane/suites_table.h"

#include "base/log.h"
#include "base/sanitize.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

LOG_SUBSYSTEM("dataplane");

// The sanitizers' run time must be found before the library's own symbols.
#define MAY_COPY (!WITH_ASAN && !WITH_TSAN)

bool dp_mb_copies(void)
{
	return MAY_COPY && imb_get_version() < IMB_VERSION(1, 4, 0);
}

// The loader knows a file that it has seen; what lies in memory is another one. -1: none.
static int file_copy(void)
{
	Dl_info info;
	struct stat st;
	off_t at = 0;
	int from = dladdr((void *)(uintptr_t)alloc_mb_mgr, &info)
			   ? open(info.dli_fname, O_RDONLY | O_CLOEXEC)
			   : -1;
	int to = from < 0 ? -1 : memfd_create("intel-ipsec-mb", MFD_CLOEXEC);
	bool ok = to >= 0 && fstat(from, &st) == 0;
	while (ok && at < st.st_size)
		ok = sendfile(to, from, &at, (size_t)(st.st_size - at)) > 0;
	if (from >= 0)
		close(from);
	if (!ok && to >= 0)
		close(to);
	return ok ? to : -1;
}

// False: not to be had.
static bool load_copy(struct dp_library *lib)
{
	char path[64];
	int fd = file_copy();
	if (fd < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	// Its calls of its own functions must not find those of the first one. The loader knows a name that
	// it has seen, too: the descriptor stays open, so that no other copy has its number.
	*lib = (struct dp_library){dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND), fd};
	if (!lib->handle)
		close(fd);
	return lib->handle;
}

static void copy(struct dp_library *lib)
{
	static bool told;
	if (!dp_mb_copies() || load_copy(lib))
		return;
	if (!told)
		log_warning(
			"intel-ipsec-mb %s shares a cache line among all threads, and cannot be "
			"loaded once for each worker: they scale only from 1.4 on",
			imb_get_version_str());
	told = true;
}

typedef void (*any_function)(void);

// A function of the copy, or the library's own.
static any_function function(const struct dp_library *lib, const char *name, any_function own)
{
	if (!lib->handle)
		return own;
	any_function f = (any_function)dlsym(lib->handle, name);
	if (!f)
		log_error("intel-ipsec-mb has no %s", name);
	return f;
}

IMB_MGR *dp_mb_new(bool apart, struct dp_library *lib)
{
	*lib = (struct dp_library){NULL, -1};
	if (apart)
		copy(lib);
	IMB_MGR *(*alloc)(uint64_t) =
		(IMB_MGR * (*)(uint64_t)) function(lib, "alloc_mb_mgr", (any_function)alloc_mb_mgr);
	void (*init)(IMB_MGR *, IMB_ARCH *) = (void (*)(IMB_MGR *, IMB_ARCH *))function(
		lib, "init_mb_mgr_auto", (any_function)init_mb_mgr_auto);
	IMB_MGR *m = alloc && init ? alloc(0) : NULL;
	if (m)
		init(m, NULL);
	else
		dp_mb_free(NULL, lib);
	return m;
}

void dp_mb_free(IMB_MGR *m, struct dp_library *lib)
{
	void (*give_back)(IMB_MGR *) = (void (*)(IMB_MGR *))(
		m ? function(lib, "free_mb_mgr", (any_function)free_mb_mgr) : NULL);
	if (give_back)
		give_back(m);
	if (!lib->handle)
		return;
	dlclose(lib->handle);
	close(lib->fd);
	*lib = (struct dp_library){NULL, -1};
}

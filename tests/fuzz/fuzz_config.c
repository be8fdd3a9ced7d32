// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Any text either loads or is refused with a message; it opens no file and leaves nothing behind.
#include "config/loader.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __lsan_is_turned_off(void);

// libconfig loses a string at many a syntax error, and each loss would be looked for through all
// memory. The unit tests watch over leaks of the loader's own.
int __lsan_is_turned_off(void)
{
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *sink;
	char *text = malloc(size + 1);
	struct cfg *c = NULL;
	if (!sink)
		sink = fopen("/dev/null", "w");
	if (!text || !sink)
		abort();
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	int rc = cfg_load_text_alone("fuzz", text, sink, &c);
	if ((rc == 0) != (c != NULL))
		abort();
	if (c && c->main.worker_count == 0)
		abort();
	cfg_free(c);
	free(text);
	return 0;
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Writing packets as pcapng (draft-ietf-opsawg-pcapng): one section, interfaces with nanosecond time,
// packets with a comment each.
#pragma once

#include "base/cursor.h"

#include <stdio.h>

enum pcapng_link { PCAPNG_ETHERNET = 1, PCAPNG_RAW_IP = 101 };

// The section's header; then interfaces, numbered 0, 1, ... as they come; then packets. Errors are the
// stream's (ferror()).
void pcapng_begin(FILE *out, const char *application);
void pcapng_interface(FILE *out, enum pcapng_link link, const char *name);

struct pcapng_packet {
	uint32_t interface;
	uint64_t unix_ns;
	uint32_t len; // of the whole packet; bytes may be fewer
	struct view bytes;
	const char *comment; // or NULL
};

void pcapng_packet(FILE *out, const struct pcapng_packet *p);

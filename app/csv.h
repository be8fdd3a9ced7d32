// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Comma-separated values, RFC 4180.
#pragma once

#include "base/cursor.h"

#include <stdio.h>

#define CSV_FIELDS_MAX 16
#define CSV_RECORD_MAX 8192 // bytes

struct csv {
	FILE *in;
	unsigned line; // that is read
};

struct csv_record {
	unsigned line;                // that it begins in
	size_t count;                 // of fields
	char *fields[CSV_FIELDS_MAX]; // in text
	char text[CSV_RECORD_MAX];
};

// The next record; empty lines are none. 1, 0 at the end, or -EINVAL and what is wrong in *why; the next
// call goes on behind that line.
MUST_USE int csv_read(struct csv *c, struct csv_record *r, const char **why);

// One field, with quotes where it needs them; "," behind it, or the end of the record.
void csv_write(FILE *out, const char *field, bool last);

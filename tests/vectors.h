// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Published vectors, read at test time from tests/vectors/: "[section]" lines, then "name = hex".
#pragma once

#include "base/cursor.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define VECTOR_FIELDS_MAX 32
#define VECTOR_BYTES_MAX  1024

struct vector_field {
	char name[64];
	char text[2 * VECTOR_BYTES_MAX];
	uint8_t bytes[VECTOR_BYTES_MAX];
	size_t len;
};

struct vector {
	char section[64];
	struct vector_field fields[VECTOR_FIELDS_MAX];
	size_t count;
};

static inline size_t hex_to(const char *hex, uint8_t *out, size_t cap)
{
	size_t n = 0;
	for (; isxdigit((unsigned char)hex[0]) && isxdigit((unsigned char)hex[1]) && n < cap;
		hex += 2) {
		char pair[3] = {hex[0], hex[1], 0};
		out[n++] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

// From the directory that the environment's SALLYPORT_VECTORS names. NULL: no such file.
static inline FILE *vectors_open(const char *name)
{
	char path[512];
	const char *dir = getenv("SALLYPORT_VECTORS");
	snprintf(path, sizeof(path), "%s/%s", dir ? dir : "tests/vectors", name);
	return fopen(path, "r");
}

// The next section of the file; false at its end.
static inline bool vectors_next(FILE *f, struct vector *v)
{
	static char line[4096];
	memset(v, 0, sizeof(*v));
	for (;;) {
		long at = ftell(f);
		if (!fgets(line, sizeof(line), f))
			return v->section[0] != 0;
		if (line[0] == '[') {
			if (v->section[0]) {
				fseek(f, at, SEEK_SET);
				return true;
			}
			sscanf(line, "[%63[^]]", v->section);
			continue;
		}
		struct vector_field *x = &v->fields[v->count];
		if (line[0] == '#' || v->count == VECTOR_FIELDS_MAX ||
			sscanf(line, "%63[^ =] = %2047s", x->name, x->text) < 1)
			continue;
		x->len = hex_to(x->text, x->bytes, sizeof(x->bytes));
		v->count++;
	}
}

static inline const struct vector_field *vector_field(const struct vector *v, const char *name)
{
	for (size_t i = 0; i < v->count; i++)
		if (strcmp(v->fields[i].name, name) == 0)
			return &v->fields[i];
	fprintf(stderr, "vector [%s] has no %s\n", v->section, name);
	abort();
}

static inline struct view vector_get(const struct vector *v, const char *name)
{
	const struct vector_field *x = vector_field(v, name);
	return (struct view){x->bytes, x->len};
}

// Up to eight bytes, big endian.
static inline uint64_t vector_number(const struct vector *v, const char *name)
{
	uint64_t n = 0;
	struct view b = vector_get(v, name);
	for (size_t i = 0; i < b.len; i++)
		n = n << 8 | b.p[i];
	return n;
}

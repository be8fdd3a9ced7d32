// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Everything that is wrong with a file, collected and printed in the order of its lines.
#pragma once

#include <libconfig.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct diag {
	const char *file; // borrowed
	unsigned line;
	bool warning;
	char *text; // owned
};

struct diags {
	const char *name; // of settings that carry no file name
	const char *dir;  // where included files lie; NULL: the working directory
	struct diag *items;
	size_t count, cap;
	size_t errors;
	bool oom;
};

// At a setting's file and line; at may be NULL: the file's first line.
__attribute__((format(printf, 3, 4))) void diag_error(
	struct diags *d, const config_setting_t *at, const char *format, ...);
__attribute__((format(printf, 3, 4))) void diag_warning(
	struct diags *d, const config_setting_t *at, const char *format, ...);
__attribute__((format(printf, 4, 5))) void diag_error_at(
	struct diags *d, const char *file, unsigned line, const char *format, ...);

// "file:line: error: ..." lines, sorted by line within each file. out may be NULL.
void diag_print(struct diags *d, FILE *out);
void diag_fini(struct diags *d);

// How many single-character edits (exchange of neighbours counts one) lead from a to b; names
// longer than 63 are never near.
unsigned diag_distance(const char *a, const char *b);
// Near enough to be a slip of the pen.
bool diag_near(const char *written, const char *known);

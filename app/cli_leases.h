// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Leases on the command line: there may be millions, so they are asked for in pages and printed as they
// come. Private to the command line.
#pragma once

#include "app/cli.h"
#include "base/addr.h"

// A lease of a file.
struct cli_lease {
	unsigned line;
	uint8_t prefix_len; // 0: a single address
	struct ip_addr addr;
	char *pool, *owner, *key; // key: hexadecimal digits; all in one piece, at pool
};

struct cli_leases {
	struct cli_lease *rows;
	size_t count, cap;
	size_t ownerless; // rows of nobody's, left out
	size_t bad;       // lines that do not read
};

// Every line of the file; what is wrong with one goes to errors as "name:line: ...". identities: where
// there is an owner alone, it is an IKE identity and not a user. False: no memory.
MUST_USE bool cli_leases_read(
	FILE *in, const char *name, bool identities, struct cli_leases *out, FILE *errors);
void cli_leases_free(struct cli_leases *l);

// The heading of an export, and a row.
void cli_leases_heading(FILE *out);
struct cli_export {
	const char *pool, *address, *state, *owner, *key, *origin;
	unsigned prefix_len;
	int64_t since; // since 1970; 0: nobody knows
};
void cli_leases_row(FILE *out, const struct cli_export *e);

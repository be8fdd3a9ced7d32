// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The table of options: one row each, from which the file is read and checked and the reference
// is printed. Private to config/.
#pragma once

#include "config/config.h"

enum opt_kind {
	OPT_GROUP, // { }, its options are fields of the same object
	OPT_LIST,  // ( { }, { } ), one object each
	OPT_BOOL,
	OPT_U16,
	OPT_U32,
	OPT_U64,
	OPT_ENUM,  // one of words
	OPT_FLAGS, // several of words, one bool field each
	OPT_STRING,
	OPT_PATH,        // relative to the directory of the configuration file
	OPT_SECRET,      // text
	OPT_SECRET_FILE, // path of a file whose first line is the secret
	OPT_MAC,
	OPT_ADDR,
	OPT_PREFIX,
	OPT_IF_ADDR, // address with prefix length, host bits kept
	OPT_RANGE,
	OPT_SELECTOR,
	OPT_IKE_PROPOSAL,
	OPT_ESP_PROPOSAL,
};

struct opt_word {
	const char *word; // a number's text for options that are numbers in the file
	size_t value;     // of the enum; OPT_FLAGS: offset of the bool in the object
	bool later;       // known, but what it asks for is not built
};

enum opt_later {
	LATER_NO,
	LATER_CHECK, // words' later marks are reported by the check of the whole connection
};

#define OPT_NOWHERE SIZE_MAX // read and checked, not kept

struct option {
	const char *path; // "ports[].mtu"
	enum opt_kind kind;
	bool array;    // [ value, ... ]
	bool required; // no default
	bool number;   // OPT_FLAGS: the words are integers in the file
	bool or_zero;  // 0 is allowed below min
	enum opt_later later;
	uint64_t min, max; // of numbers; length of strings in characters
	uint32_t min_items, max_items;
	uint16_t fixed;               // the array lies in the object, with a uint16_t count
	const struct opt_word *words; // of an OPT_U16: instead of a number
	size_t offset;                // of the value or the array's pointer in the object
	size_t count_offset; // size_t; OPT_MAC, OPT_GROUP: the bool that says it is set, 0: none
	size_t size;         // OPT_LIST: bytes of one object
	const char *def;     // as in the file, array items separated by spaces; NULL: none
	const char *help;
};

extern const struct option opt_table[];
extern const size_t opt_count;

// The row of a direct member of the group that has this pattern ("" is the file, "ports[]"), or
// NULL. opt_next() walks these rows: NULL starts, NULL ends.
const struct option *opt_find(const char *group, const char *name);
const struct option *opt_next(const char *group, const struct option *after);

// What an operator calls it: the path behind the last list ("mtu", "local.id").
const char *opt_label(const struct option *o);

// "an integer", "a string", ...
const char *opt_type_text(const struct option *o);

const struct opt_word *opt_word(const struct opt_word *words, const char *text);

// Bytes of one value in the object.
size_t opt_size(const struct option *o);

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Messages and bodies that the tests of controlplane/wire share. Each is copied to memory of its
// very size, so that a sanitizer sees a read past its end.
#pragma once

#include <stdlib.h>

#include "controlplane/wire/wire.h"
#include "tests/cmocka_all.h"

#define V(...)                                                                         \
	(struct view)                                                                  \
	{                                                                              \
		(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}) \
	}
#define VS(text)                                          \
	(struct view)                                     \
	{                                                 \
		(const uint8_t *)(text), sizeof(text) - 1 \
	}
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static inline struct view exact_copy(struct view v)
{
	uint8_t *p = malloc(v.len ? v.len : 1);
	assert_non_null(p);
	if (v.len)
		memcpy(p, v.p, v.len);
	return (struct view){p, v.len};
}

static inline void free_view(struct view v)
{
	free((void *)(uintptr_t)v.p);
}

typedef enum wire_error (*body_fn)(struct view body);

// Every prefix of a good body that is shorter than shortest is refused with that error; those from
// shortest on are none of this function's business.
static inline void refuse_truncated(
	struct view good, size_t shortest, body_fn parse, enum wire_error error)
{
	for (size_t len = 0; len < shortest; len++) {
		struct view cut = exact_copy((struct view){good.p, len});
		assert_int_equal(parse(cut), error);
		free_view(cut);
	}
}

// A 16-bit length field at offset at: each wrong value is refused.
static inline void refuse_lengths(struct view good, size_t at, body_fn parse)
{
	unsigned length = (unsigned)(good.p[at] << 8 | good.p[at + 1]);
	unsigned values[] = {0, 1, 3, length - 1, length + 1, 0xdead, 0xffff};
	for (size_t i = 0; i < COUNT(values); i++) {
		struct view bad = exact_copy(good);
		((uint8_t *)(uintptr_t)bad.p)[at] = (uint8_t)(values[i] >> 8);
		((uint8_t *)(uintptr_t)bad.p)[at + 1] = (uint8_t)values[i];
		assert_int_not_equal(parse(bad), WIRE_OK);
		free_view(bad);
	}
}

static inline struct proposal proposal_of(const char *text, bool esp)
{
	struct proposal p;
	char why[96];
	assert_int_equal(proposal_parse(text, esp, &p, why, sizeof(why)), 0);
	return p;
}

// The first payload's body of a finished chain.
static inline struct view first_body(struct wire_builder *b)
{
	struct view bytes = wire_build_done(b);
	assert_non_null(bytes.p);
	struct wire_chain c = wire_chain_of(bytes, b->first);
	struct wire_payload p;
	assert_int_equal(wire_chain_next(&c, &p), WIRE_OK);
	return p.body;
}

static inline struct ip_addr addr_of(const char *text)
{
	struct ip_addr a;
	assert_int_equal(ip_parse(text, &a), 0);
	return a;
}

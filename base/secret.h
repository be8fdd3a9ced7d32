// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Keys and passwords: on the heap, wiped when released, compared in constant time.
#pragma once

#include "base/cursor.h"

// The bytes are owned by the struct; {NULL, 0} is the empty secret. Never printed.
struct secret {
	uint8_t *bytes;
	size_t len; // bytes
};

// Overwrite memory in a way that the compiler may not remove.
void secret_wipe(void *p, size_t len);

// Constant time in len; both arguments hold len bytes.
MUST_USE bool secret_equal(const void *a, const void *b, size_t len);

// A secret of len zero bytes. 0 or -ENOMEM. The caller releases it with secret_fini().
MUST_USE int secret_init(struct secret *s, size_t len);

// A secret with a copy of the bytes. 0 or -ENOMEM.
MUST_USE int secret_copy(struct secret *s, const void *bytes, size_t len);

// Wipe and free; the secret is empty afterwards. Empty secrets are fine.
void secret_fini(struct secret *s);

// Take the contents of src, which is empty afterwards; what dst held is wiped.
void secret_move(struct secret *dst, struct secret *src);

static inline struct view secret_view(const struct secret *s)
{
	return (struct view){s->bytes, s->len};
}

#define SECRET_CLEANUP __attribute__((cleanup(secret_fini)))

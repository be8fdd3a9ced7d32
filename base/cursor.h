// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Byte cursors: every wire format is read with struct rd and written with struct wr.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MUST_USE __attribute__((warn_unused_result))

// A borrowed, read-only run of bytes.
struct view {
	const uint8_t *p;
	size_t len; // bytes
};

// Reader: the bytes [p, end). A failed read consumes nothing; reads chain with ||.
struct rd {
	const uint8_t *p;
	const uint8_t *end;
};

static inline struct rd rd_of(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	return (struct rd){p, len ? p + len : p};
}

static inline struct rd rd_view(struct view v)
{
	return rd_of(v.p, v.len);
}

static inline size_t rd_left(const struct rd *r)
{
	return (size_t)(r->end - r->p);
}

static inline bool rd_empty(const struct rd *r)
{
	return r->p == r->end;
}

MUST_USE static inline bool rd_bytes(struct rd *r, size_t len, struct view *out)
{
	if (rd_left(r) < len)
		return false;
	*out = (struct view){r->p, len};
	r->p += len;
	return true;
}

MUST_USE static inline bool rd_copy(struct rd *r, void *dst, size_t len)
{
	if (rd_left(r) < len)
		return false;
	if (len)
		memcpy(dst, r->p, len);
	r->p += len;
	return true;
}

MUST_USE static inline bool rd_skip(struct rd *r, size_t len)
{
	if (rd_left(r) < len)
		return false;
	r->p += len;
	return true;
}

// A sub-reader over the next len bytes; the caller checks that it ends empty.
MUST_USE static inline bool rd_sub(struct rd *r, size_t len, struct rd *out)
{
	if (rd_left(r) < len)
		return false;
	*out = (struct rd){r->p, r->p + len};
	r->p += len;
	return true;
}

MUST_USE static inline bool rd_u8(struct rd *r, uint8_t *v)
{
	if (rd_left(r) < 1)
		return false;
	*v = *r->p++;
	return true;
}

// Network byte order to host byte order, here and below.
MUST_USE static inline bool rd_u16(struct rd *r, uint16_t *v)
{
	if (rd_left(r) < 2)
		return false;
	*v = (uint16_t)(r->p[0] << 8 | r->p[1]);
	r->p += 2;
	return true;
}

MUST_USE static inline bool rd_u32(struct rd *r, uint32_t *v)
{
	if (rd_left(r) < 4)
		return false;
	*v = (uint32_t)r->p[0] << 24 | (uint32_t)r->p[1] << 16 | (uint32_t)r->p[2] << 8 | r->p[3];
	r->p += 4;
	return true;
}

MUST_USE static inline bool rd_u64(struct rd *r, uint64_t *v)
{
	uint32_t hi, lo;
	if (rd_left(r) < 8)
		return false;
	if (!rd_u32(r, &hi) || !rd_u32(r, &lo))
		return false;
	*v = (uint64_t)hi << 32 | lo;
	return true;
}

static inline struct view rd_rest(struct rd *r)
{
	struct view v = {r->p, rd_left(r)};
	r->p = r->end;
	return v;
}

// Writer over a caller's buffer. The first write that does not fit sets overflow, and every
// later one is ignored, so that a builder checks once, at its end.
struct wr {
	uint8_t *base;
	size_t len; // bytes written
	size_t cap; // bytes
	bool overflow;
};

static inline struct wr wr_of(void *buf, size_t cap)
{
	return (struct wr){.base = buf, .cap = cap};
}

static inline uint8_t *wr_room(struct wr *w, size_t len)
{
	if (w->overflow || w->cap - w->len < len) {
		w->overflow = true;
		return NULL;
	}
	uint8_t *p = w->base + w->len;
	w->len += len;
	return p;
}

static inline void wr_bytes(struct wr *w, const void *src, size_t len)
{
	uint8_t *p = wr_room(w, len);
	if (p && len)
		memcpy(p, src, len);
}

static inline void wr_view(struct wr *w, struct view v)
{
	wr_bytes(w, v.p, v.len);
}

static inline void wr_zero(struct wr *w, size_t len)
{
	uint8_t *p = wr_room(w, len);
	if (p && len)
		memset(p, 0, len);
}

static inline void wr_u8(struct wr *w, uint8_t v)
{
	wr_bytes(w, &v, 1);
}

// Host byte order to network byte order, here and below.
static inline void wr_u16(struct wr *w, uint16_t v)
{
	wr_bytes(w, (uint8_t[]){(uint8_t)(v >> 8), (uint8_t)v}, 2);
}

static inline void wr_u32(struct wr *w, uint32_t v)
{
	wr_bytes(w,
		(uint8_t[]){(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v},
		4);
}

static inline void wr_u64(struct wr *w, uint64_t v)
{
	wr_u32(w, (uint32_t)(v >> 32));
	wr_u32(w, (uint32_t)v);
}

// The present end, to be patched or measured from later.
static inline size_t wr_mark(const struct wr *w)
{
	return w->len;
}

static inline void wr_patch_u8(struct wr *w, size_t mark, uint8_t v)
{
	if (!w->overflow && mark < w->len)
		w->base[mark] = v;
}

static inline void wr_patch_u16(struct wr *w, size_t mark, uint16_t v)
{
	if (!w->overflow && mark + 2 <= w->len) {
		w->base[mark] = (uint8_t)(v >> 8);
		w->base[mark + 1] = (uint8_t)v;
	}
}

static inline void wr_patch_u32(struct wr *w, size_t mark, uint32_t v)
{
	wr_patch_u16(w, mark, (uint16_t)(v >> 16));
	wr_patch_u16(w, mark + 2, (uint16_t)v);
}

// What was written so far.
static inline struct view wr_done(const struct wr *w)
{
	return (struct view){w->base, w->overflow ? 0 : w->len};
}

static inline bool view_eq(struct view a, struct view b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

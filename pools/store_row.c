// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A row as bytes, in memory while it waits and for its checksum.
#include "pools/store_parts.h"

static void wr_part(struct wr *w, const void *bytes, size_t len)
{
	if (len > UINT16_MAX)
		w->overflow = true;
	wr_u16(w, (uint16_t)len);
	wr_bytes(w, bytes, len);
}

static void wr_text(struct wr *w, const char *text, size_t max)
{
	size_t len = text ? strnlen(text, max) : 0;
	wr_part(w, text, len);
	wr_u8(w, 0);
}

size_t store_row_encode(const struct lease_row *row, uint8_t out[static STORE_BODY_MAX])
{
	struct wr w = wr_of(out, STORE_BODY_MAX);
	if (row->owner.len > POOL_OWNER_MAX + 4 || row->extra.len > LEASE_EXTRA_MAX)
		return 0;
	wr_u8(&w, row->prefix_len);
	wr_u8(&w, (uint8_t)row->origin);
	wr_u8(&w, row->anonymous);
	wr_u64(&w, (uint64_t)row->written_s);
	wr_text(&w, row->pool, STORE_POOL_MAX);
	wr_part(&w, row->owner.p, row->owner.len);
	wr_text(&w, row->name, POOL_OWNER_MAX);
	wr_part(&w, row->extra.p, row->extra.len);
	return wr_done(&w).len;
}

static bool rd_part(struct rd *r, struct view *out)
{
	uint16_t len;
	return rd_u16(r, &len) && rd_bytes(r, len, out);
}

static bool rd_text(struct rd *r, const char **out)
{
	struct view v;
	uint8_t nul;
	if (!rd_part(r, &v) || !rd_u8(r, &nul) || nul != 0)
		return false;
	*out = (const char *)v.p;
	return true;
}

bool store_row_decode(struct view body, struct lease_row *out)
{
	struct rd r = rd_view(body);
	uint8_t origin, anonymous;
	uint64_t written;
	if (!rd_u8(&r, &out->prefix_len) || !rd_u8(&r, &origin) || !rd_u8(&r, &anonymous) ||
		!rd_u64(&r, &written) || !rd_text(&r, &out->pool) || !rd_part(&r, &out->owner) ||
		!rd_text(&r, &out->name) || !rd_part(&r, &out->extra))
		return false;
	out->origin = (enum lease_origin)origin;
	out->anonymous = anonymous != 0;
	out->written_s = (int64_t)written;
	return rd_empty(&r);
}

// The key is no secret: the sum is against accidents, not against whoever may write the file.
uint64_t store_check(const struct ip_addr *addr, uint64_t txn, struct view body)
{
	static const uint8_t key[16] = "sallyport lease";
	uint8_t bytes[sizeof(*addr) + sizeof(txn) + STORE_BODY_MAX];
	struct wr w = wr_of(bytes, sizeof(bytes));
	wr_u8(&w, addr->family);
	wr_bytes(&w, addr->bytes, sizeof(addr->bytes));
	wr_u64(&w, txn);
	wr_view(&w, body);
	return siphash(key, bytes, w.len);
}

bool store_addr_parse(const char *text, struct ip_addr *out)
{
	char again[IP_TEXT_MAX];
	return ip_parse(text, out) == 0 && strcmp(ip_text(out, again), text) == 0;
}

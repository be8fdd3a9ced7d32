// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Rows from the cells of SQLite's pages: what its description of the file format calls records, in
// index pages. Any byte may be damaged: a row counts if its checksum is right.
#include "pools/store_parts.h"

#define COLUMNS_MAX 12

struct column {
	uint64_t type; // serial type
	struct view v;
};

struct record {
	struct column columns[COLUMNS_MAX];
	size_t count;
};

// Seven bits a byte, the highest first; a ninth byte has eight.
static bool rd_varint(struct rd *r, uint64_t *out)
{
	uint64_t v = 0;
	for (int i = 0; i < 9; i++) {
		uint8_t b;
		if (!rd_u8(r, &b))
			return false;
		if (i == 8) {
			*out = v << 8 | b;
			return true;
		}
		v = v << 7 | (b & 127);
		if (!(b & 128))
			break;
	}
	*out = v;
	return true;
}

static bool type_len(uint64_t type, size_t *out)
{
	static const uint8_t fixed[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};
	if (type < sizeof(fixed))
		*out = fixed[type];
	else if (type >= 12 && type < 12 + 2 * (uint64_t)STORE_RECORD_MAX)
		*out = (size_t)(type - 12) / 2;
	else
		return false;
	return true;
}

static bool parse_record(struct view bytes, struct record *out)
{
	struct rd r = rd_view(bytes), head;
	uint64_t head_len;
	*out = (struct record){0};
	if (!rd_varint(&r, &head_len))
		return false;
	size_t own = (size_t)(r.p - bytes.p);
	if (head_len < own || !rd_sub(&r, (size_t)head_len - own, &head))
		return false;
	while (!rd_empty(&head)) {
		size_t len;
		struct column *c = &out->columns[out->count];
		if (out->count++ == COLUMNS_MAX || !rd_varint(&head, &c->type) ||
			!type_len(c->type, &len) || !rd_bytes(&r, len, &c->v))
			return false;
	}
	return rd_empty(&r);
}

static int64_t integer(const struct column *c)
{
	if (c->type == 9)
		return 1;
	if (c->type == 0 || c->type >= 7)
		return 0;
	uint64_t v = c->v.p[0] & 128 ? UINT64_MAX : 0;
	for (size_t i = 0; i < c->v.len; i++)
		v = v << 8 | c->v.p[i];
	return (int64_t)v;
}

static bool copy_text(const struct column *c, char *out, size_t cap)
{
	if (c->type < 13 || c->type % 2 == 0 || c->v.len >= cap)
		return false;
	memcpy(out, c->v.p, c->v.len);
	out[c->v.len] = '\0';
	return strlen(out) == c->v.len;
}

// How much of an index page's cell stands in the page itself.
static size_t local_len(size_t payload)
{
	const size_t most = (STORE_PAGE - 12) * 64 / 255 - 23;
	const size_t least = (STORE_PAGE - 12) * 32 / 255 - 23;
	if (payload <= most)
		return payload;
	size_t n = least + (payload - least) % (STORE_PAGE - 4);
	return n <= most ? n : least;
}

// The rest of it: pages, each with the number of the next in front.
static bool overflow(const struct store_pages *p, uint32_t next, uint8_t *out, size_t len)
{
	while (len) {
		const uint8_t *page = next ? p->get(p->ctx, next) : NULL;
		if (!page)
			return false;
		struct rd r = rd_of(page, STORE_PAGE);
		size_t n = len < STORE_PAGE - 4 ? len : STORE_PAGE - 4;
		if (!rd_u32(&r, &next) || !rd_copy(&r, out, n))
			return false;
		out += n;
		len -= n;
	}
	return true;
}

static bool row_of(const struct record *rec, struct store_found *out)
{
	const struct column *c = rec->columns;
	char addr[IP_TEXT_MAX], pool[STORE_POOL_MAX + 1], name[POOL_OWNER_MAX + 1];
	if (rec->count != 11 || !copy_text(&c[0], addr, sizeof(addr)) ||
		!copy_text(&c[5], pool, sizeof(pool)) || !copy_text(&c[7], name, sizeof(name)) ||
		!store_addr_parse(addr, &out->addr))
		return false;
	struct lease_row row = {
		.prefix_len = (uint8_t)integer(&c[1]),
		.origin = (enum lease_origin)(uint8_t)integer(&c[2]),
		.anonymous = integer(&c[3]) != 0,
		.written_s = integer(&c[4]),
		.pool = pool,
		.owner = c[6].v,
		.name = name,
		.extra = c[8].v,
	};
	out->txn = (uint64_t)integer(&c[9]);
	out->len = store_row_encode(&row, out->body);
	return out->len && (uint64_t)integer(&c[10]) == store_check(&out->addr, out->txn,
								(struct view){out->body, out->len});
}

bool store_cell_row(const struct store_pages *p, const uint8_t page[static STORE_PAGE],
	size_t offset, struct store_found *out)
{
	uint8_t bytes[STORE_RECORD_MAX];
	struct record rec;
	struct rd r = rd_of(page + offset, STORE_PAGE - offset);
	uint64_t len;
	uint32_t next = 0;
	if (!rd_varint(&r, &len) || len < 24 || len > sizeof(bytes))
		return false;
	size_t here = local_len((size_t)len);
	if (!rd_copy(&r, bytes, here) || (here < len && !rd_u32(&r, &next)) ||
		!overflow(p, next, bytes + here, (size_t)len - here))
		return false;
	return parse_record((struct view){bytes, (size_t)len}, &rec) && row_of(&rec, out);
}

bool store_cell_meta(const uint8_t page[static STORE_PAGE], size_t offset, struct store_db *out)
{
	struct rd r = rd_of(page + offset, STORE_PAGE - offset);
	uint64_t len, row;
	struct view v;
	struct record rec;
	const struct column *c = rec.columns;
	if (!rd_varint(&r, &len) || len > 256 || !rd_varint(&r, &row) ||
		!rd_bytes(&r, (size_t)len, &v) || !parse_record(v, &rec) || rec.count != 7 ||
		c[1].v.len != STORE_ID_LEN || integer(&c[2]) != STORE_FORMAT)
		return false;
	memcpy(out->id, c[1].v.p, STORE_ID_LEN);
	out->txn = (uint64_t)integer(&c[3]);
	out->rows = (uint64_t)integer(&c[4]);
	out->sum = (uint64_t)integer(&c[5]);
	return (uint64_t)integer(&c[6]) == store_db_meta_check(out);
}

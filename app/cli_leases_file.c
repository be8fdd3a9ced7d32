// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Files of leases: what an export writes and an import reads.
#include "app/cli_leases.h"

#include "app/csv.h"
#include "pools/pools.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum field { POOL, ADDRESS, PREFIX_LEN, STATE, OWNER, KEY, ORIGIN, SINCE, FIELDS };

static const char *const names[FIELDS] = {
	[POOL] = "pool",
	[ADDRESS] = "address",
	[PREFIX_LEN] = "prefix_len",
	[STATE] = "state",
	[OWNER] = "owner",
	[KEY] = "identity_key",
	[ORIGIN] = "origin",
	[SINCE] = "since",
};

void cli_leases_heading(FILE *out)
{
	for (size_t i = 0; i < FIELDS; i++)
		csv_write(out, names[i], i == FIELDS - 1);
}

void cli_leases_row(FILE *out, const struct cli_export *e)
{
	char bits[8], since[32] = "";
	struct tm tm;
	time_t at = (time_t)e->since;
	snprintf(bits, sizeof(bits), "%u", e->prefix_len);
	if (at && gmtime_r(&at, &tm))
		strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", &tm);
	const char *fields[FIELDS] = {[POOL] = e->pool,
		[ADDRESS] = e->address,
		[PREFIX_LEN] = bits,
		[STATE] = e->state,
		[OWNER] = e->owner,
		[KEY] = e->key,
		[ORIGIN] = e->origin,
		[SINCE] = since};
	for (size_t i = 0; i < FIELDS; i++)
		csv_write(out, fields[i] ? fields[i] : "", i == FIELDS - 1);
}

// ---- Reading ----

struct reader {
	struct cli_leases *to;
	const char *name;
	FILE *errors;
	bool identities;
	bool begun;
	int column[FIELDS]; // of the file; -1: it has none
};

static void complain(struct reader *r, unsigned line, const char *text)
{
	r->to->bad++;
	fprintf(r->errors, "%s:%u: %s\n", r->name, line, text);
}

// By its first record: a heading, or as many columns as an export has, or address and owner.
static bool begin(struct reader *r, const struct csv_record *rec)
{
	bool heading = false;
	for (size_t f = 0; f < FIELDS; f++) {
		r->column[f] = rec->count == FIELDS ? (int)f : -1;
		for (size_t i = 0; i < rec->count; i++)
			heading = heading || strcmp(rec->fields[i], names[ADDRESS]) == 0;
	}
	if (!heading && rec->count == 2) {
		r->column[ADDRESS] = 0;
		r->column[OWNER] = 1;
	}
	for (size_t f = 0; heading && f < FIELDS; f++) {
		r->column[f] = -1;
		for (size_t i = 0; i < rec->count; i++)
			if (strcmp(rec->fields[i], names[f]) == 0)
				r->column[f] = (int)i;
	}
	r->begun = true;
	return !heading;
}

static const char *get(const struct reader *r, const struct csv_record *rec, enum field f)
{
	int at = r->column[f];
	return at >= 0 && (size_t)at < rec->count ? rec->fields[at] : "";
}

static char *hex(char *to, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to += sprintf(to, "%02x", p[i]);
	return to;
}

// RFC 7296 3.5: the type of an identity that is written so, and its data.
static size_t identity(const char *text, uint8_t *to)
{
	struct ip_addr a;
	if (ip_parse(text, &a) == 0) {
		to[0] = a.family == IP_V4 ? 1 : 5;
		memcpy(to + 1, a.bytes, ip_len(a.family));
		return 1 + ip_len(a.family);
	}
	to[0] = strchr(text, '@') ? 3 : 2;
	memcpy(to + 1, text, strlen(text));
	return 1 + strlen(text);
}

// The pools' key of an owner of whom the name alone is known: see owner_key_of().
static void key_of(const char *owner, bool is_identity, char *to)
{
	uint8_t id[POOL_OWNER_MAX + 1];
	size_t len = strlen(owner);
	uint8_t user[2] = {(uint8_t)((len + 1) >> 8), (uint8_t)(len + 1)};
	if (is_identity) {
		to = hex(to, (const uint8_t[]){0, 0}, 2);
		(void)hex(to, id, identity(owner, id));
	} else {
		to = hex(to, user, 2);
		(void)hex(to, (const uint8_t *)owner, len);
	}
}

static bool keep(struct cli_leases *l, const struct cli_lease *row, const char *pool,
	const char *owner, const char *key)
{
	if (l->count == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 1024;
		struct cli_lease *more = reallocarray(l->rows, cap, sizeof(*more));
		if (!more)
			return false;
		l->rows = more;
		l->cap = cap;
	}
	size_t a = strlen(pool) + 1, b = strlen(owner) + 1, c = strlen(key) + 1;
	char *text = malloc(a + b + c);
	if (!text)
		return false;
	struct cli_lease *to = &l->rows[l->count++];
	*to = *row;
	to->pool = memcpy(text, pool, a);
	to->owner = memcpy(text + a, owner, b);
	to->key = memcpy(text + a + b, key, c);
	return true;
}

static bool bits_of(const char *text, uint8_t family, uint8_t *out)
{
	char *end;
	long v = strtol(text, &end, 10);
	if (*end || v < 0 || v > (long)ip_bits(family))
		return false;
	*out = (uint8_t)v;
	return true;
}

// What is wrong with a record, or NULL.
static const char *wrong(
	const struct reader *r, const struct csv_record *rec, struct cli_lease *row)
{
	const char *key = get(r, rec, KEY);
	if (ip_parse(get(r, rec, ADDRESS), &row->addr))
		return "not an IP address";
	if (!bits_of(get(r, rec, PREFIX_LEN), row->addr.family, &row->prefix_len))
		return "not a prefix length";
	if (strlen(get(r, rec, OWNER)) > POOL_OWNER_MAX)
		return "the owner's name is too long";
	if (strlen(get(r, rec, POOL)) > 63)
		return "not the name of a pool";
	if (strlen(key) % 2 || key[strspn(key, "0123456789abcdefABCDEF")] ||
		strlen(key) > 2 * (POOL_OWNER_MAX + 4))
		return "identity_key is not hexadecimal digits";
	return NULL;
}

static bool take(struct reader *r, const struct csv_record *rec)
{
	char made[2 * (POOL_OWNER_MAX + 4) + 1];
	struct cli_lease row = {.line = rec->line};
	if (r->column[ADDRESS] < 0 || (r->column[OWNER] < 0 && r->column[KEY] < 0)) {
		complain(r, rec->line, "not a file of leases: address and owner are needed");
		return true;
	}
	const char *owner = get(r, rec, OWNER), *key = get(r, rec, KEY);
	const char *why = wrong(r, rec, &row);
	if (why) {
		complain(r, rec->line, why);
		return true;
	}
	// An anonymous peer's cannot be kept for anybody.
	if (!*key && (r->column[KEY] >= 0 || !*owner)) {
		r->to->ownerless++;
		return true;
	}
	if (!*key) {
		key_of(owner, r->identities, made);
		key = made;
	}
	return keep(r->to, &row, get(r, rec, POOL), owner, key);
}

static int by_address(const void *a, const void *b)
{
	const struct cli_lease *const *x = a, *const *y = b;
	int c = ip_cmp(&(*x)->addr, &(*y)->addr);
	return c ? c : ((*x)->line > (*y)->line) - ((*x)->line < (*y)->line);
}

// An address that is named twice is whose it is first.
static bool refuse_twice(struct reader *r)
{
	struct cli_leases *l = r->to;
	struct cli_lease **order = calloc(l->count + 1, sizeof(*order));
	size_t kept = 0;
	if (!order)
		return false;
	for (size_t i = 0; i < l->count; i++)
		order[i] = &l->rows[i];
	qsort(order, l->count, sizeof(*order), by_address);
	for (size_t i = 1; i < l->count; i++)
		if (ip_eq(&order[i]->addr, &order[i - 1]->addr)) {
			complain(r, order[i]->line, "the address stands in an earlier line, too");
			free(order[i]->pool);
			order[i]->pool = NULL;
		}
	for (size_t i = 0; i < l->count; i++)
		if (l->rows[i].pool)
			l->rows[kept++] = l->rows[i];
	l->count = kept;
	free(order);
	return true;
}

bool cli_leases_read(
	FILE *in, const char *name, bool identities, struct cli_leases *out, FILE *errors)
{
	struct reader r = {.to = out, .name = name, .errors = errors, .identities = identities};
	struct csv csv = {.in = in};
	struct csv_record rec;
	const char *why;
	int rc;
	*out = (struct cli_leases){0};
	while ((rc = csv_read(&csv, &rec, &why)) != 0) {
		if (rc < 0)
			complain(&r, rec.line, why);
		else if ((r.begun || begin(&r, &rec)) && !take(&r, &rec))
			return false;
	}
	return refuse_twice(&r);
}

void cli_leases_free(struct cli_leases *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->rows[i].pool);
	free(l->rows);
}

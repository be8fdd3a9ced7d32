// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Leases that an export carries to another headend: every owner, whatever bytes he is made of, finds there what he
// had here, and nobody else does.
#include "tests/unit/pools_fixture.h"

#include "app/cli_leases.h"
#include "app/mgmt_parse.h"
#include "app/mgmt_rows.h"

#include <errno.h>

#define POOLS                                                                      \
	"{ name = \"one\"; ranges = [ \"192.0.2.0/26\" ]; },"                      \
	"{ name = \"six\"; ranges = [ \"2001:db8:1::/64\" ]; },"                   \
	"{ name = \"net\"; ranges = [ \"10.128.0.0/16\" ]; prefix_length = 28; }," \
	"{ name = \"site\"; ranges = [ \"2001:db8:100::/40\" ]; prefix_length = 56; }"
#define POOL_COUNT 4

static const struct {
	const char *user, *name;
	const char *id;
	size_t id_len;
} owners[] = {
	{"alice", "alice", NULL, 0},
	{"a,b\"c\"\nd\r\n,", "a,b\"c\"\nd\r\n,", NULL, 0},
	{"J\xc3\xbcrgen \xe2\x82\xac", "J\xc3\xbcrgen \xe2\x82\xac", NULL, 0},
	{"\xff\xfe\x80", "\xff\xfe\x80", NULL, 0}, // no UTF-8
	{" =1+1\t\x01\x7f\\", " =1+1\t\x01\x7f\\", NULL, 0},
	{NULL, "gw.example", "\2gw.example", 11},
	{NULL, "key id", "\13\0\0,\"\n\xff\0", 8}, // KEY_ID: any bytes
	{"bert", "bert", "\13\0", 2},
	{"bert", "bert", "\13\0\0", 3},
};
#define OWNERS (sizeof(owners) / sizeof(owners[0]))

struct headend {
	struct fixture f;
	struct lease leases[POOL_COUNT][OWNERS];
};

static enum address_status ask(struct headend *h, size_t pool, size_t owner, struct lease *out)
{
	struct address_request rq = {.pool = &h->f.cfg->pools[pool],
		.owner = {.user = owners[owner].user,
			.name = owners[owner].name,
			.identity = {(const uint8_t *)owners[owner].id, owners[owner].id_len}}};
	return h->f.source.acquire(h->f.source.ctx, &rq, out);
}

static struct headend *headend_new(void)
{
	struct headend *h = calloc(1, sizeof(*h));
	fixture_init(&h->f, POOLS, 3);
	return h;
}

static void headend_free(struct headend *h)
{
	fixture_fini(&h->f);
	free(h);
}

// As the headend answers and the command writes.
static char *export_of(struct headend *h)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	cli_leases_heading(f);
	for (size_t i = 0; i < POOL_COUNT; i++) {
		struct mgmt_lease_row row = {0};
		uint64_t cursor = 0;
		while (pools_lease_next(h->f.pools, i, &cursor, &row.info)) {
			json_t *said = mgmt_lease_short(&row, h->f.now_ns, 2000000000);
			char *wire = json_dumps(said, JSON_COMPACT);
			json_t *j = json_loads(wire, 0, NULL);
			assert_non_null(j);
			cli_leases_row(f,
				&(struct cli_export){.pool = h->f.cfg->pools[i].name,
					.address = json_string_value(json_array_get(j, 0)),
					.prefix_len =
						(unsigned)json_integer_value(json_array_get(j, 1)),
					.state = json_string_value(json_array_get(j, 2)),
					.owner = json_string_value(json_array_get(j, 3)),
					.key = json_string_value(json_array_get(j, 4)),
					.origin = json_string_value(json_array_get(j, 5)),
					.since = json_integer_value(json_array_get(j, 6))});
			json_decref(j);
			json_decref(said);
			free(wire);
		}
	}
	fclose(f);
	return text;
}

static int import_row(struct headend *h, const struct cli_lease *l, bool check)
{
	char addr[IP_TEXT_MAX], why[128];
	struct mgmt_call c = {0};
	json_t *j = json_pack("{s[[ssiss]]}", "leases", l->pool, ip_text(&l->addr, addr),
		l->prefix_len, l->owner, l->key);
	assert_non_null(j);
	assert_int_equal(mgmt_parse_import(j, &c, why, sizeof(why)), 0);
	int rc = pools_import(h->f.pools, &c.imports[0].row, check);
	free(c.imports);
	json_decref(j);
	return rc;
}

static struct cli_leases read_of(const char *text)
{
	struct cli_leases l;
	FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	assert_true(cli_leases_read(in, "f", false, &l, stderr));
	fclose(in);
	assert_int_equal(l.bad, 0);
	return l;
}

// Some in use, some lingering, one of nobody's.
static struct headend *first_headend(void)
{
	struct headend *h = headend_new();
	struct lease l;
	for (size_t i = 0; i < POOL_COUNT; i++)
		for (size_t k = 0; k < OWNERS; k++) {
			assert_int_equal(ask(h, i, k, &h->leases[i][k]), ADDRESS_OK);
			assert_true(h->f.source.renew(h->f.source.ctx, &h->leases[i][k], 1 + k));
			if (k % 2)
				h->f.source.release(h->f.source.ctx, &h->leases[i][k]);
		}
	struct address_request nobody = request_of(&h->f, NULL);
	assert_int_equal(h->f.source.acquire(h->f.source.ctx, &nobody, &l), ADDRESS_OK);
	assert_true(h->f.source.renew(h->f.source.ctx, &l, 99));
	return h;
}

static void everybody_finds_his_own(void **state)
{
	struct headend *from = first_headend(), *to = headend_new();
	char *text = export_of(from);
	struct cli_leases l = read_of(text);
	struct pool_stats s;
	assert_int_equal(l.count, POOL_COUNT * OWNERS);
	assert_int_equal(l.ownerless, 1);
	for (size_t i = 0; i < l.count; i++)
		assert_int_equal(import_row(to, &l.rows[i], true), 0);
	assert_true(pools_stats(to->f.pools, 0, &s) && s.lingering == 0);
	// Twice: what he has already is his.
	for (size_t i = 0; i < 2 * l.count; i++)
		assert_int_equal(import_row(to, &l.rows[i % l.count], false), 0);
	// Exported from there it is the same, but that all of it lingers.
	char *again = export_of(to);
	struct cli_leases back = read_of(again);
	assert_int_equal(back.count, l.count);
	assert_null(strstr(again, ",active,"));
	for (size_t i = 0; i < POOL_COUNT; i++)
		for (size_t k = 0; k < OWNERS; k++) {
			struct lease has;
			assert_int_equal(ask(to, i, k, &has), ADDRESS_OK);
			assert_true(has.adopted);
			assert_true(ip_eq(&has.addr, &from->leases[i][k].addr));
			assert_int_equal(has.prefix_len, from->leases[i][k].prefix_len);
		}
	cli_leases_free(&back);
	cli_leases_free(&l);
	free(again);
	free(text);
	headend_free(from);
	headend_free(to);
}

// Who has it, live or lingering, keeps it, and the import says so; a check says the same.
static void somebody_else_has_it(void **state)
{
	struct headend *from = first_headend(), *to = headend_new();
	char *text = export_of(from);
	struct cli_leases l = read_of(text);
	struct lease his, has;
	struct address_request rq = request_of(&to->f, "zoe");
	rq.want = from->leases[0][0].addr;
	assert_int_equal(to->f.source.acquire(to->f.source.ctx, &rq, &his), ADDRESS_OK);
	assert_true(ip_eq(&his.addr, &rq.want));
	for (int lingers = 0; lingers < 2; lingers++) {
		size_t refused = 0;
		for (size_t i = 0; i < l.count; i++) {
			int rc = import_row(to, &l.rows[i], true);
			assert_int_equal(import_row(to, &l.rows[i], false), rc);
			assert_int_equal(rc, ip_eq(&l.rows[i].addr, &rq.want) ? -EEXIST : 0);
			refused += rc != 0;
		}
		assert_int_equal(refused, 1);
		if (lingers)
			break;
		assert_true(to->f.source.renew(to->f.source.ctx, &his, 7));
		to->f.source.release(to->f.source.ctx, &his);
	}
	// alice has not, who was to have it; zoe comes back to it.
	assert_int_equal(ask(to, 0, 0, &has), ADDRESS_OK);
	assert_false(ip_eq(&has.addr, &rq.want));
	assert_int_equal(to->f.source.acquire(to->f.source.ctx, &rq, &his), ADDRESS_OK);
	assert_true(his.adopted && ip_eq(&his.addr, &rq.want));
	cli_leases_free(&l);
	free(text);
	headend_free(from);
	headend_free(to);
}

static void what_is_nobodys_to_give(void **state)
{
	static const struct {
		const char *addr;
		uint8_t bits;
		const char *key;
		int rc;
	} rows[] = {
		{"192.0.2.64", 32, "000261", -ERANGE},  // behind the range
		{"10.128.0.8", 28, "000261", -ERANGE},  // within a network
		{"10.128.0.16", 32, "000261", -ERANGE}, // not of that length
		{"2001:db8:100:80::", 56, "000261", -ERANGE},
		{"192.0.2.1", 32, "00", -EINVAL}, // no key
		{"192.0.2.1", 32, "ffff", 0},     // nobody's, but a key
		{"192.0.2.2", 32, "0000", 0},
		{"10.128.0.16", 28, "000261", 0},
	};
	struct headend *to = headend_new();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cli_lease l = {.prefix_len = rows[i].bits,
			.addr = ip_of(rows[i].addr),
			.pool = (char *)(uintptr_t) "",
			.owner = (char *)(uintptr_t) "x",
			.key = (char *)(uintptr_t)rows[i].key};
		assert_int_equal(import_row(to, &l, true), rows[i].rc);
		assert_int_equal(import_row(to, &l, false), rows[i].rc);
	}
	headend_free(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everybody_finds_his_own),
		cmocka_unit_test(somebody_else_has_it),
		cmocka_unit_test(what_is_nobodys_to_give),
	};
	return cmocka_run_group_tests_name("leases_carried", tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Files of leases.
#include "tests/cmocka_all.h"

#include "app/cli_leases.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

#define HEADING "pool,address,prefix_len,state,owner,identity_key,origin,since\n"

static char *read_text(const char *text, bool identities, char **errors)
{
	struct cli_leases l;
	char *out = NULL, addr[IP_TEXT_MAX];
	size_t len, errors_len;
	FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	FILE *said = open_memstream(errors, &errors_len), *f = open_memstream(&out, &len);
	assert_true(cli_leases_read(in, "f", identities, &l, said));
	for (size_t i = 0; i < l.count; i++)
		fprintf(f, "%u %s/%u %s %s %s\n", l.rows[i].line, ip_text(&l.rows[i].addr, addr),
			l.rows[i].prefix_len, *l.rows[i].pool ? l.rows[i].pool : "-",
			*l.rows[i].owner ? l.rows[i].owner : "-", l.rows[i].key);
	if (l.ownerless)
		fprintf(f, "ownerless %zu\n", l.ownerless);
	cli_leases_free(&l);
	fclose(in);
	fclose(said);
	fclose(f);
	return out;
}

static const struct {
	const char *text;
	bool identities;
	const char *want, *errors;
} rows[] = {
	{HEADING "ire,10.0.0.1,32,active,user1,000661,pool,2026-01-01T00:00:00Z\n", false,
		"2 10.0.0.1/32 ire user1 000661\n", ""},
	// As an export, without its heading.
	{"ire,10.0.0.1,32,active,user1,000661,pool,\n", false, "1 10.0.0.1/32 ire user1 000661\n",
		""},
	// Nobody's is left out.
	{HEADING "ire,10.0.0.1,32,quarantined,,,pool,\nire,10.0.0.2,32,active,u,00,pool,\n", false,
		"3 10.0.0.2/32 ire u 00\nownerless 1\n", ""},
	// A user's key: his length and one, then he; an identity's: none, then RFC 7296's type and data.
	{"10.0.0.1,alice\n2001:db8::1,bob\n", false,
		"1 10.0.0.1/0 - alice 0006616c696365\n2 2001:db8::1/0 - bob 0004626f62\n", ""},
	{"10.0.0.1,gw.example\n10.0.0.2,a@b\n10.0.0.3,192.0.2.1\n10.0.0.4,2001:db8::1\n", true,
		"1 10.0.0.1/0 - gw.example 00000267772e6578616d706c65\n2 10.0.0.2/0 - a@b 000003614062\n"
		"3 10.0.0.3/0 - 192.0.2.1 000001c0000201\n"
		"4 10.0.0.4/0 - 2001:db8::1 00000520010db8000000000000000000000001\n",
		""},
	{"owner,address\nalice,10.0.0.1\n", false, "2 10.0.0.1/0 - alice 0006616c696365\n", ""},
	{"10.0.0.1,a\n10.0.0.x,b\n10.0.0.1,c\n,d\n10.0.0.4,\n\"10.0.0.5\n", false,
		"1 10.0.0.1/0 - a 000261\nownerless 1\n",
		"f:2: not an IP address\nf:4: not an IP address\nf:6: a quote is not closed\n"
		"f:3: the address stands in an earlier line, too\n"},
	{HEADING "ire,10.0.0.1,33,active,u,00,pool,\nire,10.0.0.1,x,active,u,00,pool,\n"
		 "ire,10.0.0.1,32,active,u,0,pool,\nire,10.0.0.1,32,active,u,zz,pool,\n",
		false, "",
		"f:2: not a prefix length\nf:3: not a prefix length\n"
		"f:4: identity_key is not hexadecimal digits\nf:5: identity_key is not hexadecimal "
		"digits\n"},
	{"10.0.0.1\n", false, "", "f:1: not a file of leases: address and owner are needed\n"},
};

static void files(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *errors, *got = read_text(rows[i].text, rows[i].identities, &errors);
		assert_string_equal(errors, rows[i].errors);
		assert_string_equal(got, rows[i].want);
		free(got);
		free(errors);
	}
}

static void an_export_is_read(void **state)
{
	char *text = NULL, *errors;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	(void)state;
	cli_leases_heading(f);
	cli_leases_row(f, &(struct cli_export){"a,\"b", "10.0.0.0", "lingering", "x\ny", "0a0b",
				  "pool", 28, 86400});
	fclose(f);
	assert_string_equal(text, HEADING "\"a,\"\"b\",10.0.0.0,28,lingering,\"x\ny\",0a0b,pool,"
					  "1970-01-02T00:00:00Z\n");
	char *got = read_text(text, false, &errors);
	assert_string_equal(got, "2 10.0.0.0/28 a,\"b x\ny 0a0b\n");
	free(got);
	free(errors);
	free(text);
}

// Whatever stands there: each line is taken as a lease, left out or complained of, and what is taken is one.
static void any_bytes(void **state)
{
	static const char good[] =
		HEADING "ire,10.0.0.1,32,active,\"u,\"\"1\",000661,pool,\n"
			"ire6,2001:db8::1,128,lingering,\"two\nlines\",000702ff00ffff,pool,\n"
			"net,10.128.0.0,28,active,J\xc3\xbcrgen,00074a,aaa,2026-01-01T00:00:00Z\n";
	static const char letters[] = "\",\n\r0:f.x";
	uint64_t x;
	(void)state;
	random_fill(&random_system, &x, sizeof(x));
	printf("# SEED=%#llx\n", (unsigned long long)(x |= 1));
	for (unsigned n = 0; n < 20000; n++) {
		char text[sizeof(good)], *errors = NULL;
		size_t len = sizeof(good) - 1, errors_len, lines = 1;
		struct cli_leases l;
		memcpy(text, good, sizeof(good));
		for (unsigned i = 0; i < 1 + n % 8; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			size_t at = (x >> 40) % len;
			text[at] =
				x & 1 ? letters[(x >> 8) % (sizeof(letters) - 1)] : (char)(x >> 16);
			len = x % 32 == 7 ? at + 1 : len;
		}
		for (size_t i = 0; i < len; i++)
			lines += text[i] == '\n';
		FILE *in = fmemopen(text, len, "r"), *said = open_memstream(&errors, &errors_len);
		assert_true(cli_leases_read(in, "f", n & 1, &l, said));
		assert_true(l.count + l.bad + l.ownerless <= lines);
		for (size_t i = 0; i < l.count; i++) {
			assert_true(
				l.rows[i].addr.family == IP_V4 || l.rows[i].addr.family == IP_V6);
			assert_true(l.rows[i].prefix_len <= ip_bits(l.rows[i].addr.family));
			assert_true(*l.rows[i].key && strlen(l.rows[i].key) % 2 == 0);
		}
		fclose(in);
		fclose(said);
		assert_int_equal(l.bad > 0, errors_len > 0);
		cli_leases_free(&l);
		free(errors);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files),
		cmocka_unit_test(an_export_is_read),
		cmocka_unit_test(any_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

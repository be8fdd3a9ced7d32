// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Files of leases.
#include "tests/cmocka_all.h"

#include "app/cli_leases.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files),
		cmocka_unit_test(an_export_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

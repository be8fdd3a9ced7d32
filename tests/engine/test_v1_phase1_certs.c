// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Certificates in IKEv1's phase 1 that prove nothing.
#include "tests/engine/v1_pair.h"

#include <time.h>

#define DAY 86400

static const struct {
	const char *client, *gw, *counter;
	int ca;
	time_t from, to;
} certs[] = {
	{"email:client@example", "DNS:gw.example", "ike_cert_untrusted", OTHER_CA, 0, 0},
	{"email:client@example", "DNS:gw.example", "ike_cert_expired", CA, -20 * DAY, -10 * DAY},
	{"email:client@example", "DNS:gw.example", "ike_cert_expired", CA, 10 * DAY, 20 * DAY},
	{"email:other@example", "DNS:other.example", "ike_cert_name", CA, 0, 0},
};
#define CERTS (sizeof(certs) / sizeof(certs[0]))

// Certificates are on disk. Ours is named, so that it is presented whatever stands in it.
static struct v1 with_issued(struct v1_setup *s)
{
	char gw[256], client[256];
	struct v1 v = {.b = bench_new(), .setup = *s};
	snprintf(gw, sizeof(gw), "id = \"gw.example\"; auth = \"cert\"; cert = \"%s\";",
		pki_path("gw.pem"));
	snprintf(client, sizeof(client), "id = \"client@example\"; auth = \"cert\"; cert = \"%s\";",
		pki_path("client.pem"));
	s->gw_local = gw;
	if (s->method != V1_HYBRID)
		s->client_local = client;
	v.w = v1_watch_new(v.b);
	v.gw = v1_add_gw(v.b, "gw", GW_ADDR, s);
	v.client = v1_add_client(v.b, "client", CLIENT_ADDR, s);
	v1_connect(&v);
	bench_run(v.b, 500);
	return v;
}

static void issue_row(const char *name, size_t i, const char *san)
{
	time_t now = time(NULL);
	pki_issue(name, san, KEY_RSA, certs[i].ca, certs[i].from ? now + certs[i].from : 0,
		certs[i].to ? now + certs[i].to : 0);
}

static void bad_client(void **state)
{
	for (int aggressive = 0; aggressive < 2; aggressive++) {
		for (size_t i = 0; i < CERTS; i++) {
			struct v1_setup s = {.method = V1_RSA, .aggressive = aggressive};
			v1_issue(&s);
			issue_row("client", i, certs[i].client);
			struct v1 v = with_issued(&s);
			if (bench_counter(v.gw, certs[i].counter) != 1)
				fail_msg("%zu: %s", i, certs[i].counter);
			assert_int_equal(v.gw->engine->sa_count, 0);
			v1_free(&v);
		}
	}
}

// The gateway's certificate counts as well, and in hybrid mode it alone.
static void bad_gateway(void **state)
{
	for (int k = 0; k < 4; k++) {
		for (size_t i = 0; i < CERTS; i++) {
			struct v1_setup s = {
				.method = k & 1 ? V1_HYBRID : V1_RSA, .aggressive = (k & 2) != 0};
			v1_issue(&s);
			issue_row("gw", i, certs[i].gw);
			struct v1 v = with_issued(&s);
			if (bench_counter(v.client, certs[i].counter) != 1)
				fail_msg("%d %zu: %s", k, i, certs[i].counter);
			assert_int_equal(v.client->engine->sa_count, 0);
			v1_free(&v);
		}
	}
}

// It proves who it is, but somebody else was called.
static void other_gateway(void **state)
{
	struct v1_setup s = {
		.method = V1_RSA, .client_remote = "id = \"gw2.example\"; auth = \"cert\";"};
	struct v1 v = v1_new(&s);
	v1_connect(&v);
	bench_run(v.b, 500);
	bench_expect(v.client, "ike_no_peer", 1);
	assert_int_equal(v.client->engine->sa_count, 0);
	v1_free(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_client),
		cmocka_unit_test(bad_gateway),
		cmocka_unit_test(other_gateway),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/certs.h"
#include "tests/cmocka_all.h"

#include "controlplane/crypto/internal.h"

#include <errno.h>
#include <unistd.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

enum { CA1, CA2, SUB, GW1, GW2, CERTS };

static struct {
	char dir[64];
	EVP_PKEY *keys[CERTS];
	X509 *certs[CERTS];
	char paths[CERTS][96], key_paths[CERTS][96];
	char extra[96];
} files;

static int setup(void **state)
{
	static const struct {
		struct test_cert cert;
		int issuer;
	} rows[CERTS] = {
		[CA1] = {{.cn = "ca1", .ca = true, .path_len = -1}, CA1},
		[CA2] = {{.cn = "ca2", .ca = true, .path_len = -1}, CA2},
		[SUB] = {{.cn = "sub", .ca = true, .path_len = -1}, CA1},
		[GW1] = {{.cn = "gw1", .san = "DNS:gw.example,IP:192.0.2.1"}, SUB},
		[GW2] = {{.cn = "gw2", .san = "DNS:gw.example,email:gw@example"}, CA2},
	};
	snprintf(files.dir, sizeof(files.dir), "/tmp/test_credentials.XXXXXX");
	assert_non_null(mkdtemp(files.dir));
	snprintf(files.extra, sizeof(files.extra), "%s/extra.pem", files.dir);
	for (int i = 0; i < CERTS; i++) {
		int by = rows[i].issuer;
		files.keys[i] = test_key_new(i == GW2 ? KEY_RSA : KEY_P256);
		files.certs[i] = test_cert_new(&rows[i].cert, files.keys[i],
			by == i ? NULL : files.certs[by], files.keys[by]);
		snprintf(files.paths[i], sizeof(files.paths[i]), "%s/%d.pem", files.dir, i);
		snprintf(files.key_paths[i], sizeof(files.key_paths[i]), "%s/%d.key", files.dir, i);
		X509 *chain[] = {files.certs[i], i == GW1 ? files.certs[SUB] : NULL, NULL};
		test_certs_write(files.paths[i], chain);
		test_key_write(files.key_paths[i], files.keys[i]);
	}
	return 0;
}

static int teardown(void **state)
{
	for (int i = 0; i < CERTS; i++) {
		EVP_PKEY_free(files.keys[i]);
		X509_free(files.certs[i]);
		unlink(files.paths[i]);
		unlink(files.key_paths[i]);
	}
	unlink(files.extra);
	return rmdir(files.dir);
}

static void spki_hash(const X509 *cert, uint8_t out[20])
{
	uint8_t *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	assert_true(len > 0);
	assert_int_equal(EVP_Q_digest(NULL, "SHA1", NULL, der, (size_t)len, out, NULL), 1);
	OPENSSL_free(der);
}

static void good(void **state)
{
	char *cas[] = {files.paths[CA1], files.paths[CA2]};
	struct cfg_certificate certs[] = {
		{files.paths[GW1], files.key_paths[GW1]}, {files.paths[GW2], files.key_paths[GW2]}};
	struct cfg_connection conns[] = {
		{.name = "a", .local = {.id = "gw.example", .auth = CFG_AUTH_CERT}},
		{.name = "b", .local = {.id = "192.0.2.1", .auth = CFG_AUTH_CERT}},
		{.name = "c",
			.local = {.id = "C=CH, O=sallyport, CN=gw2", .auth = CFG_AUTH_CERT},
			.remote = {.auth = CFG_AUTH_CERT}},
	};
	struct cfg cfg = {.ca = {cas, 2},
		.certificates = certs,
		.certificate_count = 2,
		.connections = conns,
		.connection_count = 3};
	struct ike_credentials *c;
	char *text = NULL;
	size_t text_len;
	FILE *errors = open_memstream(&text, &text_len);
	assert_int_equal(ike_credentials_new(&cfg, errors, &c), 0);
	fclose(errors);
	assert_string_equal(text, "");
	free(text);

	// CERTREQ: both CAs.
	uint8_t hashes[CERTS][20];
	for (int i = 0; i < CERTS; i++)
		spki_hash(files.certs[i], hashes[i]);
	struct view req = ike_credentials_certreq(c);
	assert_int_equal(ike_credentials_ca_count(c), 2);
	assert_int_equal(req.len, 40);
	assert_memory_equal(req.p, hashes[CA1], 20);
	assert_memory_equal(req.p + 20, hashes[CA2], 20);

	const struct {
		const char *path;
		int hash; // -1: none, -2: a stranger's
		const char *id;
		int want; // -1: none
	} rows[] = {
		{NULL, -1, "gw.example", GW1},
		{NULL, -1, "GW.Example", GW1},
		{NULL, CA1, "gw.example", GW1},
		{NULL, SUB, "gw.example", GW1},
		{NULL, CA2, "gw.example", GW2},
		{NULL, -2, "gw.example", GW1},
		{NULL, CA1, "gw@example", GW2},
		{NULL, CA2, "192.0.2.1", GW1},
		{NULL, -1, "C=CH, O=sallyport, CN=gw2", GW2},
		{NULL, -1, "other.example", -1},
		{NULL, -1, "C=CH", -1},
		{files.paths[GW2], CA1, "gw.example", GW2},
		{files.paths[GW2], -1, "other.example", GW2},
		{"elsewhere.pem", -1, "gw.example", -1},
	};
	for (size_t i = 0; i < LEN(rows); i++) {
		uint8_t asked[60] = {0};
		if (rows[i].hash >= 0)
			memcpy(asked + 20, hashes[rows[i].hash], 20);
		struct view v = {asked, rows[i].hash == -1 ? 0 : sizeof(asked)};
		const struct ike_certificate *cert =
			ike_credentials_find(c, rows[i].path, v, rows[i].id);
		assert_int_equal(cert != NULL, rows[i].want >= 0);
		if (cert)
			assert_string_equal(cert->path, files.paths[rows[i].want]);
	}

	const struct ike_certificate *gw1 =
		ike_credentials_find(c, NULL, (struct view){0}, "gw.example");
	struct view leaf = test_cert_der(files.certs[GW1]), sub = test_cert_der(files.certs[SUB]);
	char dn[IKE_DN_TEXT_MAX];
	assert_true(view_eq(gw1->leaf, leaf));
	assert_int_equal(gw1->chain_count, 1);
	assert_true(view_eq(gw1->chain[0], sub));
	assert_true(ike_dn_text(gw1->subject, dn));
	assert_string_equal(dn, "C=CH, O=sallyport, CN=gw1");
	assert_int_equal(EVP_PKEY_eq(gw1->key, files.keys[GW1]), 1);
	test_der_free(&leaf);
	test_der_free(&sub);
	ike_credentials_free(c);
}

// Each mistake alone: a line on errors, -EINVAL (or a warning and success), nothing leaked.
static void mistakes(void **state)
{
	static const char junk[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
	EVP_PKEY *tiny = test_key_new(KEY_RSA_1024);
	struct test_cert spec = {.cn = "tiny", .san = "DNS:gw.example"};
	X509 *tiny_cert = test_cert_new(&spec, tiny, NULL, tiny);
	char tiny_path[96], tiny_key[96], secret_key[96];
	snprintf(tiny_path, sizeof(tiny_path), "%s/tiny.pem", files.dir);
	snprintf(tiny_key, sizeof(tiny_key), "%s/tiny.key", files.dir);
	snprintf(secret_key, sizeof(secret_key), "%s/secret.key", files.dir);
	test_certs_write(tiny_path, (X509 *[]){tiny_cert, NULL});
	test_key_write(tiny_key, tiny);
	FILE *f = fopen(secret_key, "w");
	assert_int_equal(PEM_write_PKCS8PrivateKey(
				 f, files.keys[GW1], EVP_aes_128_cbc(), "pw", 2, NULL, NULL),
		1);
	fclose(f);
	f = fopen(files.extra, "w");
	fputs(junk, f);
	fclose(f);
	const struct {
		char *cert, *key, *ca;
		const char *id;
		enum cfg_auth remote;
		int want;
		const char *says;
	} rows[] = {
		{files.paths[GW1], files.key_paths[GW1], NULL, "gw.example", CFG_AUTH_PSK, 0, ""},
		{files.paths[GW1], files.key_paths[GW2], NULL, "gw.example", CFG_AUTH_PSK, -EINVAL,
			"does not fit certificate"},
		{"/nowhere.pem", files.key_paths[GW1], NULL, "gw.example", CFG_AUTH_PSK, -EINVAL,
			"/nowhere.pem: error: cannot be opened: No such file"},
		{files.paths[GW1], "/nowhere.key", NULL, "gw.example", CFG_AUTH_PSK, -EINVAL,
			"/nowhere.key: error: cannot be opened"},
		{files.key_paths[GW1], files.key_paths[GW1], NULL, "gw.example", CFG_AUTH_PSK,
			-EINVAL, "error: no PEM certificate"},
		{files.extra, files.key_paths[GW1], NULL, "gw.example", CFG_AUTH_PSK, -EINVAL,
			"error: malformed certificate"},
		{files.paths[GW1], files.paths[GW1], NULL, "gw.example", CFG_AUTH_PSK, -EINVAL,
			"error: no PEM private key"},
		{files.paths[GW1], secret_key, NULL, "gw.example", CFG_AUTH_PSK, -EINVAL,
			"error: no PEM private key without a password"},
		{tiny_path, tiny_key, NULL, "gw.example", CFG_AUTH_PSK, -EINVAL, "key too small"},
		{NULL, NULL, files.paths[GW1], "gw.example", CFG_AUTH_PSK, -EINVAL,
			"holds a certificate that is no CA's"},
		{NULL, NULL, "/nowhere.ca", "gw.example", CFG_AUTH_PSK, -EINVAL,
			"/nowhere.ca: error: cannot be opened"},
		{NULL, NULL, NULL, "gw.example", CFG_AUTH_PSK, -EINVAL,
			"c: error: local.auth is \"cert\", and no certificate"},
		{files.paths[GW1], files.key_paths[GW1], NULL, "gw.example", CFG_AUTH_CERT, -EINVAL,
			"c: error: remote.auth is \"cert\", and no CA"},
		{files.paths[GW1], files.key_paths[GW1], NULL, "vpn.example", CFG_AUTH_PSK, 0,
			"c: warning: local.id \"vpn.example\" is neither"},
	};
	for (size_t i = 0; i < LEN(rows); i++) {
		char *ca = rows[i].ca;
		char id[32], name[] = "c";
		snprintf(id, sizeof(id), "%s", rows[i].id);
		struct cfg_certificate cert = {rows[i].cert, rows[i].key};
		struct cfg_connection conn = {.name = name,
			.local = {.id = id, .auth = CFG_AUTH_CERT},
			.remote = {.auth = rows[i].remote}};
		struct cfg cfg = {.ca = {&ca, ca != NULL},
			.certificates = &cert,
			.certificate_count = cert.cert != NULL,
			.connections = &conn,
			.connection_count = 1};
		struct ike_credentials *c = NULL;
		char *text = NULL;
		size_t text_len;
		FILE *errors = open_memstream(&text, &text_len);
		assert_int_equal(ike_credentials_new(&cfg, errors, &c), rows[i].want);
		fclose(errors);
		if (rows[i].says[0])
			assert_non_null(strstr(text, rows[i].says));
		else
			assert_string_equal(text, "");
		assert_int_equal(c != NULL, rows[i].want == 0);
		free(text);
		ike_credentials_free(c);
	}
	// Without a place for the lines.
	struct cfg_certificate cert = {tiny_path, tiny_key};
	struct cfg cfg = {.certificates = &cert, .certificate_count = 1};
	struct ike_credentials *c;
	assert_int_equal(ike_credentials_new(&cfg, NULL, &c), -EINVAL);
	ike_credentials_free(NULL);
	unlink(tiny_path);
	unlink(tiny_key);
	unlink(secret_key);
	X509_free(tiny_cert);
	EVP_PKEY_free(tiny);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(mistakes),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Peers' certificate chains: who is trusted, under which name, and why not.
#include "tests/certs.h"
#include "tests/cmocka_all.h"

#include "controlplane/crypto/internal.h"

#include <unistd.h>

#define LEN(a)  (sizeof(a) / sizeof((a)[0]))
#define TEXT(s) ((struct view){(const uint8_t *)(s), strlen(s)})

// root -> sub -> leaves; a stranger's root of the same name; all EC keys but where it matters.
static struct {
	char dir[64];
	EVP_PKEY *root_key, *sub_key, *leaf_key, *stranger_key;
	X509 *root, *sub, *stranger;
	struct view sub_der;
	struct ike_credentials *creds;
} pki;

static struct ike_credentials *credentials_of(X509 *ca)
{
	char path[96];
	X509 *certs[] = {ca, NULL};
	char *items[] = {path};
	struct cfg cfg = {.ca = {items, 1}};
	struct ike_credentials *c;
	snprintf(path, sizeof(path), "%s/ca.pem", pki.dir);
	test_certs_write(path, certs);
	assert_int_equal(ike_credentials_new(&cfg, stderr, &c), 0);
	unlink(path);
	return c;
}

static int setup(void **state)
{
	snprintf(pki.dir, sizeof(pki.dir), "/tmp/test_crypto_peer.XXXXXX");
	assert_non_null(mkdtemp(pki.dir));
	pki.root_key = test_key_new(KEY_P256);
	pki.sub_key = test_key_new(KEY_P384);
	pki.leaf_key = test_key_new(KEY_ED25519);
	pki.stranger_key = test_key_new(KEY_P256);
	struct test_cert root = {.cn = "root", .ca = true, .path_len = -1, .usage = "keyCertSign"};
	struct test_cert sub = {.cn = "sub", .ca = true, .path_len = 0, .usage = "keyCertSign"};
	pki.root = test_cert_new(&root, pki.root_key, NULL, pki.root_key);
	pki.sub = test_cert_new(&sub, pki.sub_key, pki.root, pki.root_key);
	pki.stranger = test_cert_new(&root, pki.stranger_key, NULL, pki.stranger_key);
	pki.sub_der = test_cert_der(pki.sub);
	pki.creds = credentials_of(pki.root);
	return 0;
}

static int teardown(void **state)
{
	EVP_PKEY *const keys[] = {pki.root_key, pki.sub_key, pki.leaf_key, pki.stranger_key};
	for (size_t i = 0; i < LEN(keys); i++)
		EVP_PKEY_free(keys[i]);
	X509_free(pki.root);
	X509_free(pki.sub);
	X509_free(pki.stranger);
	test_der_free(&pki.sub_der);
	ike_credentials_free(pki.creds);
	return rmdir(pki.dir);
}

static long later_s; // the peer's clock against ours

static enum ike_crypto_error verify_der(const struct ike_credentials *creds, struct view leaf,
	const struct view *subs, size_t sub_count, uint8_t type, struct view id)
{
	struct ike_peer_chain chain = {.leaf = leaf,
		.intermediates = subs,
		.intermediate_count = sub_count,
		.id_type = type,
		.id_data = id,
		.wall_s = time(NULL) + later_s};
	EVP_PKEY *key = (EVP_PKEY *)1;
	enum ike_crypto_error e = ike_peer_verify(creds, &chain, &key);
	assert_int_equal(key != NULL, e == IKE_CRYPTO_OK);
	EVP_PKEY_free(key);
	return e;
}

// A leaf below sub (or the root), with the sub certificate sent along.
static enum ike_crypto_error verify(X509 *leaf, uint8_t type, struct view id)
{
	struct view der = test_cert_der(leaf);
	enum ike_crypto_error e = verify_der(pki.creds, der, &pki.sub_der, 1, type, id);
	test_der_free(&der);
	return e;
}

#define SAN "DNS:client.example,email:user@Example.org,IP:192.0.2.9,IP:2001:db8::9"

static X509 *leaf_made(const struct test_cert *c)
{
	return test_cert_new(c, pki.leaf_key, pki.sub, pki.sub_key);
}

static void names(void **state)
{
	static const uint8_t v4[] = {192, 0, 2, 9}, v4_other[] = {192, 0, 2, 8};
	static const uint8_t v6[16] = {0x20, 1, 0xd, 0xb8, [15] = 9};
	struct test_cert c = {.cn = "client.example", .san = SAN};
	X509 *leaf = leaf_made(&c);
	SECRET_CLEANUP struct secret dn = {0}, part = {0}, swapped = {0};
	assert_int_equal(ike_dn_from_text("C=CH, O=sallyport, CN=client.example", &dn), 0);
	assert_int_equal(ike_dn_from_text("O=sallyport, CN=client.example", &part), 0);
	assert_int_equal(ike_dn_from_text("CN=client.example, O=sallyport, C=CH", &swapped), 0);
	const struct {
		uint8_t type;
		struct view id;
		bool good;
	} rows[] = {
		{IKE_ID_FQDN, TEXT("client.example"), true},
		{IKE_ID_FQDN, TEXT("CLIENT.Example"), true},
		{IKE_ID_FQDN, TEXT("client.exampl"), false},
		{IKE_ID_FQDN, TEXT("client.example."), false},
		{IKE_ID_FQDN, TEXT("*.example"), false},
		{IKE_ID_FQDN, {(const uint8_t *)"client.example\0.evil", 20}, false},
		{IKE_ID_FQDN, {(const uint8_t *)"client.example\0", 15}, false},
		{IKE_ID_FQDN, TEXT("user@Example.org"), false},
		{IKE_ID_FQDN, {NULL, 0}, false},
		{IKE_ID_RFC822, TEXT("user@example.ORG"), true},
		{IKE_ID_RFC822, TEXT("User@example.org"), false},
		{IKE_ID_RFC822, TEXT("client.example"), false},
		{IKE_ID_IPV4, {v4, 4}, true},
		{IKE_ID_IPV4, {v4_other, 4}, false},
		{IKE_ID_IPV4, {v4, 3}, false},
		{IKE_ID_IPV4, {v6, 16}, false},
		{IKE_ID_IPV6, {v6, 16}, true},
		{IKE_ID_IPV6, {v4, 4}, false},
		{IKE_ID_DN, secret_view(&dn), true},
		{IKE_ID_DN, secret_view(&part), false},
		{IKE_ID_DN, secret_view(&swapped), false},
		{IKE_ID_DN, {dn.bytes, dn.len - 1}, false},
		{IKE_ID_DN, TEXT("C=CH, O=sallyport, CN=client.example"), false},
		{IKE_ID_DN, {(const uint8_t *)"\x30\x00", 2}, false},
		{IKE_ID_DN, {(const uint8_t *)"\x30", 1}, false},
		{IKE_ID_KEY_ID, TEXT("client.example"), false},
		{IKE_ID_GN, TEXT("client.example"), false},
		{0, TEXT("client.example"), false},
	};
	for (size_t i = 0; i < LEN(rows); i++)
		assert_int_equal(verify(leaf, rows[i].type, rows[i].id),
			rows[i].good ? IKE_CRYPTO_OK : IKE_CRYPTO_CERT_NAME);
	// Something behind a whole DN.
	uint8_t longer[256];
	memcpy(longer, dn.bytes, dn.len);
	longer[dn.len] = 0;
	assert_int_equal(
		verify(leaf, IKE_ID_DN, (struct view){longer, dn.len + 1}), IKE_CRYPTO_CERT_NAME);
	X509_free(leaf);
	// The common name is not a name to be known by.
	c.san = NULL;
	leaf = leaf_made(&c);
	assert_int_equal(verify(leaf, IKE_ID_FQDN, TEXT("client.example")), IKE_CRYPTO_CERT_NAME);
	assert_int_equal(verify(leaf, IKE_ID_DN, secret_view(&dn)), IKE_CRYPTO_OK);
	X509_free(leaf);
}

static void validity_and_usage(void **state)
{
	time_t now = time(NULL);
	const struct {
		struct test_cert cert;
		enum ike_crypto_error want;
	} rows[] = {
		{{.usage = "digitalSignature"}, IKE_CRYPTO_OK},
		{{.usage = "nonRepudiation,keyEncipherment"}, IKE_CRYPTO_OK},
		{{.usage = "keyEncipherment"}, IKE_CRYPTO_CERT_USAGE},
		{{.from = now - 7200, .to = now - 60}, IKE_CRYPTO_CERT_EXPIRED},
		{{.from = now + 60, .to = now + 7200}, IKE_CRYPTO_CERT_NOT_YET_VALID},
		{{.md = "SHA1"}, IKE_CRYPTO_CERT_WEAK_KEY},
		{{.md = "SHA512"}, IKE_CRYPTO_OK},
	};
	for (size_t i = 0; i < LEN(rows); i++) {
		struct test_cert c = rows[i].cert;
		c.cn = "client";
		c.san = "DNS:client.example";
		X509 *leaf = leaf_made(&c);
		assert_int_equal(verify(leaf, IKE_ID_FQDN, TEXT("client.example")), rows[i].want);
		X509_free(leaf);
	}
}

// The clock that counts is the one given.
static void given_clock(void **state)
{
	struct test_cert c = {.cn = "client", .san = "DNS:client.example"};
	struct view id = TEXT("client.example");
	X509 *leaf = leaf_made(&c);
	later_s = 2 * 86400;
	assert_int_equal(verify(leaf, IKE_ID_FQDN, id), IKE_CRYPTO_CERT_EXPIRED);
	later_s = -2 * 86400;
	assert_int_equal(verify(leaf, IKE_ID_FQDN, id), IKE_CRYPTO_CERT_NOT_YET_VALID);
	later_s = 0;
	assert_int_equal(verify(leaf, IKE_ID_FQDN, id), IKE_CRYPTO_OK);
	X509_free(leaf);
}

// A zero octet within a SAN that a careless CA signed: no identity, even where it is equal.
static void zero_octet(void **state)
{
	static const uint8_t name[] = "client.example\0.evil.example";
	struct test_cert c = {.cn = "client"};
	X509 *leaf = leaf_made(&c);
	GENERAL_NAMES *sans = GENERAL_NAMES_new();
	GENERAL_NAME *san = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	assert_int_equal(ASN1_STRING_set(text, name, sizeof(name) - 1), 1);
	GENERAL_NAME_set0_value(san, GEN_DNS, text);
	sk_GENERAL_NAME_push(sans, san);
	assert_int_equal(X509_add1_ext_i2d(leaf, NID_subject_alt_name, sans, 0, 0), 1);
	assert_true(X509_sign(leaf, pki.sub_key, EVP_sha256()) > 0);
	assert_int_equal(verify(leaf, IKE_ID_FQDN, (struct view){name, sizeof(name) - 1}),
		IKE_CRYPTO_CERT_NAME);
	assert_int_equal(verify(leaf, IKE_ID_FQDN, TEXT("client.example")), IKE_CRYPTO_CERT_NAME);
	GENERAL_NAMES_free(sans);
	X509_free(leaf);
}

static void trust(void **state)
{
	struct test_cert c = {.cn = "client", .san = "DNS:client.example"};
	struct view id = TEXT("client.example");
	X509 *leaf = leaf_made(&c);
	X509 *own = test_cert_new(&c, pki.leaf_key, NULL, pki.leaf_key);
	X509 *direct = test_cert_new(&c, pki.leaf_key, pki.root, pki.root_key);
	// The stranger's root has the same name as ours.
	X509 *forged = test_cert_new(&c, pki.leaf_key, pki.stranger, pki.stranger_key);
	struct view der = test_cert_der(leaf), forged_der = test_cert_der(forged);
	struct view stranger_der = test_cert_der(pki.stranger);
	assert_int_equal(verify(leaf, IKE_ID_FQDN, id), IKE_CRYPTO_OK);
	assert_int_equal(verify(direct, IKE_ID_FQDN, id), IKE_CRYPTO_OK);
	assert_int_equal(verify(own, IKE_ID_FQDN, id), IKE_CRYPTO_CERT_UNTRUSTED);
	assert_int_equal(verify(forged, IKE_ID_FQDN, id), IKE_CRYPTO_CERT_UNTRUSTED);
	assert_int_equal(
		verify_der(pki.creds, der, NULL, 0, IKE_ID_FQDN, id), IKE_CRYPTO_CERT_UNTRUSTED);
	// A root that the peer brings along is not trusted.
	assert_int_equal(verify_der(pki.creds, forged_der, &stranger_der, 1, IKE_ID_FQDN, id),
		IKE_CRYPTO_CERT_UNTRUSTED);
	// An intermediate that we list is a trust anchor.
	struct ike_credentials *sub_only = credentials_of(pki.sub);
	assert_int_equal(verify_der(sub_only, der, NULL, 0, IKE_ID_FQDN, id), IKE_CRYPTO_OK);
	ike_credentials_free(sub_only);
	struct cfg none = {0};
	struct ike_credentials *empty;
	assert_int_equal(ike_credentials_new(&none, NULL, &empty), 0);
	assert_int_equal(
		verify_der(empty, der, &pki.sub_der, 1, IKE_ID_FQDN, id), IKE_CRYPTO_NO_CA);
	ike_credentials_free(empty);
	test_der_free(&der);
	test_der_free(&forged_der);
	test_der_free(&stranger_der);
	X509_free(leaf);
	X509_free(own);
	X509_free(direct);
	X509_free(forged);
}

// A leaf below a CA of the given kind, which stands below the root.
static enum ike_crypto_error below(const struct test_cert *ca, EVP_PKEY *ca_key,
	const struct test_cert *leaf, EVP_PKEY *leaf_key)
{
	X509 *issuer = test_cert_new(ca, ca_key, pki.root, pki.root_key);
	X509 *cert = test_cert_new(leaf, leaf_key, issuer, ca_key);
	struct view der = test_cert_der(cert), issuer_der = test_cert_der(issuer);
	enum ike_crypto_error e =
		verify_der(pki.creds, der, &issuer_der, 1, IKE_ID_FQDN, TEXT("client.example"));
	test_der_free(&der);
	test_der_free(&issuer_der);
	X509_free(cert);
	X509_free(issuer);
	return e;
}

static void issuers(void **state)
{
	EVP_PKEY *tiny = test_key_new(KEY_RSA_1024),
		 *k1 = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1");
	EVP_PKEY *key = pki.sub_key, *leaf_key = pki.leaf_key;
	struct test_cert leaf = {.cn = "client", .san = "DNS:client.example"};
	struct test_cert ca = {.cn = "ca", .ca = true, .path_len = -1}, other = ca;
	assert_int_equal(below(&ca, key, &leaf, leaf_key), IKE_CRYPTO_OK);
	// CVE-2026-35331: name constraints.
	other.name_constraints = "critical,permitted;DNS:example";
	assert_int_equal(below(&other, key, &leaf, leaf_key), IKE_CRYPTO_OK);
	other.name_constraints = "critical,permitted;DNS:other.test";
	assert_int_equal(below(&other, key, &leaf, leaf_key), IKE_CRYPTO_CERT_CONSTRAINTS);
	other.name_constraints = "critical,excluded;DNS:client.example";
	assert_int_equal(below(&other, key, &leaf, leaf_key), IKE_CRYPTO_CERT_CONSTRAINTS);
	// An end entity that issues, and a CA whose key usage forbids it.
	struct test_cert no_ca = {.cn = "no ca"};
	assert_int_equal(below(&no_ca, key, &leaf, leaf_key), IKE_CRYPTO_CERT_CHAIN);
	other = ca;
	other.usage = "digitalSignature";
	assert_int_not_equal(below(&other, key, &leaf, leaf_key), IKE_CRYPTO_OK);
	other = ca;
	other.to = time(NULL) - 60;
	assert_int_equal(below(&other, key, &leaf, leaf_key), IKE_CRYPTO_CERT_EXPIRED);
	// CVE-2018-6459 and others: tiny keys, at both ends; a curve of no AUTH method.
	assert_int_equal(below(&ca, tiny, &leaf, leaf_key), IKE_CRYPTO_CERT_WEAK_KEY);
	assert_int_equal(below(&ca, key, &leaf, tiny), IKE_CRYPTO_CERT_WEAK_KEY);
	assert_int_equal(below(&ca, key, &leaf, k1), IKE_CRYPTO_CERT_KEY);
	EVP_PKEY_free(tiny);
	EVP_PKEY_free(k1);
}

// sub has path length 0: no CA below it.
static void path_length(void **state)
{
	struct test_cert ca = {.cn = "too deep", .ca = true, .path_len = -1};
	struct test_cert c = {.cn = "client", .san = "DNS:client.example"};
	X509 *deep = test_cert_new(&ca, pki.stranger_key, pki.sub, pki.sub_key);
	X509 *leaf = test_cert_new(&c, pki.leaf_key, deep, pki.stranger_key);
	struct view der = test_cert_der(leaf), subs[] = {pki.sub_der, test_cert_der(deep)};
	assert_int_equal(verify_der(pki.creds, der, subs, 2, IKE_ID_FQDN, TEXT("client.example")),
		IKE_CRYPTO_CERT_CONSTRAINTS);
	test_der_free(&der);
	test_der_free(&subs[1]);
	X509_free(leaf);
	X509_free(deep);
}

static void malformed(void **state)
{
	struct test_cert c = {.cn = "client", .san = "DNS:client.example"};
	struct view id = TEXT("client.example");
	X509 *leaf = leaf_made(&c);
	struct view der = test_cert_der(leaf);
	// Every length, in memory of exactly that size.
	for (size_t n = 0; n < der.len; n++) {
		uint8_t *cut = malloc(n ? n : 1);
		memcpy(cut, der.p, n);
		assert_int_equal(verify_der(pki.creds, (struct view){cut, n}, &pki.sub_der, 1,
					 IKE_ID_FQDN, id),
			n ? IKE_CRYPTO_CERT_FORMAT : IKE_CRYPTO_NO_CERTIFICATE);
		free(cut);
	}
	// One byte behind it; each byte altered, which no signature survives.
	uint8_t *copy = malloc(der.len + 1);
	memcpy(copy, der.p, der.len);
	copy[der.len] = 0;
	assert_int_equal(verify_der(pki.creds, (struct view){copy, der.len + 1}, &pki.sub_der, 1,
				 IKE_ID_FQDN, id),
		IKE_CRYPTO_CERT_FORMAT);
	for (size_t i = 0; i < der.len; i++) {
		copy[i] ^= 0x41;
		assert_int_not_equal(verify_der(pki.creds, (struct view){copy, der.len},
					     &pki.sub_der, 1, IKE_ID_FQDN, id),
			IKE_CRYPTO_OK);
		copy[i] ^= 0x41;
	}
	free(copy);
	// Counts and sizes.
	static uint8_t big[IKE_CERT_MAX + 1];
	struct view many[IKE_CHAIN_MAX + 1];
	for (size_t i = 0; i <= IKE_CHAIN_MAX; i++)
		many[i] = pki.sub_der;
	assert_int_equal(verify_der(pki.creds, der, many, IKE_CHAIN_MAX, IKE_ID_FQDN, id), 0);
	assert_int_equal(verify_der(pki.creds, der, many, IKE_CHAIN_MAX + 1, IKE_ID_FQDN, id),
		IKE_CRYPTO_CERT_COUNT);
	assert_int_equal(
		verify_der(pki.creds, (struct view){big, sizeof(big)}, NULL, 0, IKE_ID_FQDN, id),
		IKE_CRYPTO_CERT_SIZE);
	many[1] = many[2] = (struct view){big, IKE_CERT_MAX};
	assert_int_equal(
		verify_der(pki.creds, der, many, 3, IKE_ID_FQDN, id), IKE_CRYPTO_CERT_SIZE);
	many[1] = (struct view){big, 100};
	assert_int_equal(
		verify_der(pki.creds, der, many, 2, IKE_ID_FQDN, id), IKE_CRYPTO_CERT_FORMAT);
	many[1].len = 0;
	assert_int_equal(
		verify_der(pki.creds, der, many, 2, IKE_ID_FQDN, id), IKE_CRYPTO_CERT_FORMAT);
	test_der_free(&der);
	X509_free(leaf);
}

static void dn_texts(void **state)
{
	static const char *const good[] = {"C=CH, O=sallyport, CN=gw", "CN=a\\, b\\+c",
		"CN=x + OU=y", "CN=\\C3\\A9t\\C3\\A9",
		"DC=example, UID=me, emailAddress=me@example.org"};
	static const char *const bad[] = {"", "CN", "CN=", "=x", "CN=a,", "CN=a,,O=b", "CN=a\\",
		"XYZ=a", "C=CHE", "CN=\\ff\\fe", ", CN=a"};
	char text[IKE_DN_TEXT_MAX];
	struct secret der, again;
	for (size_t i = 0; i < LEN(good); i++) {
		assert_int_equal(ike_dn_from_text(good[i], &der), IKE_CRYPTO_OK);
		assert_true(ike_dn_text(secret_view(&der), text));
		assert_string_equal(text, good[i]);
		secret_fini(&der);
	}
	for (size_t i = 0; i < LEN(bad); i++) {
		assert_int_equal(ike_dn_from_text(bad[i], &der), IKE_CRYPTO_AUTH_FORMAT);
		assert_null(der.bytes);
	}
	assert_int_equal(ike_dn_from_text("  c=CH ,o = Sally  Port,E=a@b", &der), 0);
	assert_int_equal(ike_dn_from_text("C=CH, O=sally port, emailAddress=a@b", &again), 0);
	assert_true(ike_dn_equal(secret_view(&der), secret_view(&again)));
	assert_false(ike_dn_equal(secret_view(&der), (struct view){again.bytes, again.len - 1}));
	secret_fini(&again);
	// Cut to fit, and the cut is no overflow.
	char longer[700] = "O=";
	for (int i = 0; i < 10; i++)
		strcat(longer, i ? ", OU=0123456789012345678901234567890123456789012345678901234567"
				 : "x");
	assert_int_equal(ike_dn_from_text(longer, &again), 0);
	assert_true(ike_dn_text(secret_view(&again), text));
	assert_int_equal(strlen(text), IKE_DN_TEXT_MAX - 1);
	secret_fini(&again);
	// CVE-2013-6075: too short, and with something behind.
	for (size_t n = 0; n < der.len; n++) {
		assert_false(ike_dn_text((struct view){der.bytes, n}, text));
		assert_string_equal(text, "");
	}
	secret_fini(&der);
	assert_false(ike_dn_text((struct view){(const uint8_t *)"\x30\x00\x00", 3}, text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(validity_and_usage),
		cmocka_unit_test(given_clock),
		cmocka_unit_test(zero_octet),
		cmocka_unit_test(trust),
		cmocka_unit_test(issuers),
		cmocka_unit_test(path_length),
		cmocka_unit_test(malformed),
		cmocka_unit_test(dn_texts),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

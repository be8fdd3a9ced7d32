// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Keys and certificates made at run time. Failures end the test.
#pragma once

#include "base/cursor.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CERTS_CHECK(condition)                                                          \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

enum test_key {
	KEY_RSA,
	KEY_RSA_1024,
	KEY_RSA_PSS,
	KEY_P256,
	KEY_P384,
	KEY_P521,
	KEY_ED25519,
	KEY_ED448,
	KEY_COUNT,
};

// What takes long to make comes round again: each differs from the six before it.
#define TEST_KEYS_KEPT 7u
static inline EVP_PKEY *test_key_kept(void)
{
	static EVP_PKEY *kept[TEST_KEYS_KEPT];
	static unsigned next;
	EVP_PKEY **at = &kept[next++ % TEST_KEYS_KEPT];
	if (!*at)
		*at = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	CERTS_CHECK(*at && EVP_PKEY_up_ref(*at) == 1);
	return *at;
}

// Of the caller.
static inline EVP_PKEY *test_key_new(enum test_key kind)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *ctx;
	switch (kind) {
	case KEY_RSA:
		key = test_key_kept();
		break;
	case KEY_RSA_1024:
		key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
		break;
	case KEY_RSA_PSS:
		ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
		CERTS_CHECK(
			ctx && EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_keygen(ctx, &key) == 1);
		EVP_PKEY_CTX_free(ctx);
		break;
	case KEY_P256:
		key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
		break;
	case KEY_P384:
		key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
		break;
	case KEY_P521:
		key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521");
		break;
	case KEY_ED25519:
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		break;
	case KEY_ED448:
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
		break;
	default:
		break;
	}
	CERTS_CHECK(key);
	return key;
}

struct test_cert {
	const char *cn;    // the subject is C=CH, O=sallyport, CN=cn
	const char *san;   // "DNS:gw.example,IP:192.0.2.1", or NULL
	const char *usage; // keyUsage, or NULL
	const char *name_constraints;
	bool ca;
	long path_len;   // of a CA, -1: none
	const char *md;  // NULL: SHA256, or the key's own
	time_t from, to; // 0: an hour ago, in a day
};

static inline void test_cert_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	CERTS_CHECK(e && X509_add_ext(cert, e, -1) == 1);
	X509_EXTENSION_free(e);
}

// issuer NULL: signed by itself, and issuer_key is then its own.
static inline X509 *test_cert_new(
	const struct test_cert *c, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
	static long serial = 1;
	X509 *cert = X509_new();
	X509_NAME *name = X509_NAME_new();
	time_t now = time(NULL);
	CERTS_CHECK(cert && name);
	const char *parts[][2] = {{"C", "CH"}, {"O", "sallyport"}, {"CN", c->cn}};
	for (size_t i = 0; i < 3; i++)
		CERTS_CHECK(X509_NAME_add_entry_by_txt(name, parts[i][0], MBSTRING_UTF8,
				    (const unsigned char *)parts[i][1], -1, -1, 0) == 1);
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	X509_set_subject_name(cert, name);
	X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : name);
	X509_NAME_free(name);
	ASN1_TIME_set(X509_getm_notBefore(cert), c->from ? c->from : now - 3600);
	ASN1_TIME_set(X509_getm_notAfter(cert), c->to ? c->to : now + 86400);
	X509_set_pubkey(cert, key);
	X509 *above = issuer ? issuer : cert;
	char basic[48] = "critical,CA:TRUE";
	if (c->ca && c->path_len >= 0)
		snprintf(basic, sizeof(basic), "critical,CA:TRUE,pathlen:%ld", c->path_len);
	if (c->ca)
		test_cert_extension(cert, above, NID_basic_constraints, basic);
	if (c->san)
		test_cert_extension(cert, above, NID_subject_alt_name, c->san);
	if (c->usage)
		test_cert_extension(cert, above, NID_key_usage, c->usage);
	if (c->name_constraints)
		test_cert_extension(cert, above, NID_name_constraints, c->name_constraints);
	int type = EVP_PKEY_get_base_id(issuer_key);
	const EVP_MD *md = type == EVP_PKEY_ED25519 || type == EVP_PKEY_ED448
				   ? NULL
				   : EVP_get_digestbyname(c->md ? c->md : "SHA256");
	CERTS_CHECK(X509_sign(cert, issuer_key, md) > 0);
	return cert;
}

// DER; freed by OPENSSL_free().
static inline struct view test_cert_der(X509 *cert)
{
	uint8_t *der = NULL;
	int len = i2d_X509(cert, &der);
	CERTS_CHECK(len > 0);
	return (struct view){der, (size_t)len};
}

static inline void test_der_free(struct view *v)
{
	OPENSSL_free((void *)(uintptr_t)v->p);
	*v = (struct view){0};
}

// PEM of the certificates up to a NULL.
static inline void test_certs_write(const char *path, X509 *const *certs)
{
	FILE *f = fopen(path, "w");
	CERTS_CHECK(f);
	for (; *certs; certs++)
		CERTS_CHECK(PEM_write_X509(f, *certs) == 1);
	fclose(f);
}

static inline void test_key_write(const char *path, EVP_PKEY *key)
{
	FILE *f = fopen(path, "w");
	CERTS_CHECK(f && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
	fclose(f);
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Two CAs in a directory of their own, certificates below them, and pairs that use those.
#pragma once

#include "tests/certs.h"
#include "tests/engine/pair.h"

#include <unistd.h>

enum { CA, OTHER_CA };

struct pki {
	char dir[64];
	EVP_PKEY *ca_key[2];
	X509 *ca[2];
};

static struct pki pki;

static inline const char *pki_path(const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *p = paths[next++ % 8];
	snprintf(p, sizeof(paths[0]), "%s/%s", pki.dir, name);
	return p;
}

static inline int pki_setup(void **state)
{
	snprintf(pki.dir, sizeof(pki.dir), "/tmp/test_pki.XXXXXX");
	assert_non_null(mkdtemp(pki.dir));
	for (int i = 0; i < 2; i++) {
		struct test_cert c = {.cn = i ? "other ca" : "ca", .ca = true, .path_len = -1};
		pki.ca_key[i] = test_key_new(KEY_P256);
		pki.ca[i] = test_cert_new(&c, pki.ca_key[i], NULL, pki.ca_key[i]);
		X509 *list[] = {pki.ca[i], NULL};
		test_certs_write(pki_path(i ? "other.pem" : "ca.pem"), list);
	}
	return 0;
}

static inline int pki_teardown(void **state)
{
	char command[128];
	for (int i = 0; i < 2; i++) {
		X509_free(pki.ca[i]);
		EVP_PKEY_free(pki.ca_key[i]);
	}
	snprintf(command, sizeof(command), "rm -r %s", pki.dir);
	return system(command);
}

static inline void pki_issue(
	const char *name, const char *san, enum test_key kind, int ca, time_t from, time_t to)
{
	char file[64];
	struct test_cert c = {.cn = name, .san = san, .from = from, .to = to};
	EVP_PKEY *key = test_key_new(kind);
	X509 *cert = test_cert_new(&c, key, pki.ca[ca], pki.ca_key[ca]);
	X509 *list[] = {cert, NULL};
	snprintf(file, sizeof(file), "%s.pem", name);
	test_certs_write(pki_path(file), list);
	snprintf(file, sizeof(file), "%s.key", name);
	test_key_write(pki_path(file), key);
	X509_free(cert);
	EVP_PKEY_free(key);
}

#define CERT_LOCAL_GW  "id = \"gw.example\"; auth = \"cert\";"
#define CERT_REMOTE_GW "id = \"*\"; auth = \"cert\";"
#define CERT_LOCAL     "id = \"client@example\"; auth = \"cert\";"
#define CERT_REMOTE    "id = \"gw.example\"; auth = \"cert\";"

static inline char *cert_credentials(const char *name, const char *ca, const char *more)
{
	char *text, cert[64], key[64];
	snprintf(cert, sizeof(cert), "%s.pem", name);
	snprintf(key, sizeof(key), "%s.key", name);
	assert_true(
		asprintf(&text,
			"certificates = ( { cert = \"%s\"; key = \"%s\"; } ); ca = [ \"%s\" ]; %s",
			pki_path(cert), pki_path(key), pki_path(ca), more) > 0);
	return text;
}

static inline struct pair cert_pair(const char *gw_cert, const char *client_cert)
{
	char *g = cert_credentials(gw_cert, "ca.pem", "");
	char *c = cert_credentials(client_cert, "ca.pem", "");
	struct side gw = {.credentials = g, .local = CERT_LOCAL_GW, .remote = CERT_REMOTE_GW};
	struct side client = {.credentials = c, .local = CERT_LOCAL, .remote = CERT_REMOTE};
	struct pair p = pair_new(&gw, &client);
	free(g);
	free(c);
	return p;
}

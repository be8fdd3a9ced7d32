// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Our own certificates and keys, and the CAs that peers' chains must lead to. Read once, immutable
// afterwards.
#include "controlplane/crypto/ikev1.h"
#include "controlplane/crypto/internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <errno.h>
#include <stdlib.h>

#define SPKI_HASH_LEN 20 // bytes, SHA-1 (RFC 7296 3.7)

struct entry {
	struct ike_certificate cert; // what others see
	X509 *leaf;
	STACK_OF(X509) * chain;
	struct view views[IKE_CHAIN_MAX];
	uint8_t issuers[IKE_CHAIN_MAX + 1][SPKI_HASH_LEN]; // of every certificate above the leaf
	size_t issuer_count;
	// The names of those who issued the leaf and what is above it; the last one's certificate need
	// not be at hand. Owned by the certificates.
	const X509_NAME *above[IKE_CHAIN_MAX + 2];
	size_t above_count;
};

struct ike_credentials {
	struct entry *entries;
	size_t entry_count;
	X509_STORE *store;
	STACK_OF(X509) * cas;
	uint8_t *certreq; // SPKI_HASH_LEN bytes a CA
};

static bool spki_hash(const X509 *cert, uint8_t out[static SPKI_HASH_LEN])
{
	uint8_t *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	bool ok = len > 0 && crypto_md(CRYPTO_HASH_SHA1) &&
		  EVP_Digest(der, (size_t)len, out, NULL, crypto_md(CRYPTO_HASH_SHA1), NULL) == 1;
	OPENSSL_free(der);
	return ok;
}

// A mistake as a line "PATH: error: ..."; false, for the caller to return.
__attribute__((format(printf, 3, 4))) static bool problem(
	FILE *errors, const char *path, const char *format, ...)
{
	va_list ap;
	ERR_clear_error();
	if (!errors)
		return false;
	fprintf(errors, "%s: ", path);
	va_start(ap, format);
	vfprintf(errors, format, ap);
	va_end(ap);
	fputc('\n', errors);
	return false;
}

// A daemon does not ask for passwords.
static int no_password(char *buf, int size, int writing, void *user)
{
	return -1;
}

static bool certs_read(const char *path, FILE *errors, STACK_OF(X509) * out)
{
	BIO *bio = BIO_new_file(path, "r");
	if (!bio)
		return problem(errors, path, "error: cannot be opened: %s", strerror(errno));
	int count = 0;
	X509 *cert;
	ERR_clear_error();
	while ((cert = PEM_read_bio_X509(bio, NULL, no_password, NULL))) {
		if (sk_X509_push(out, cert) <= 0) {
			X509_free(cert);
			break;
		}
		count++;
	}
	// The end of the file is told as an error of its own.
	unsigned long e = ERR_peek_last_error();
	bool end = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
	BIO_free(bio);
	if (!end)
		return problem(
			errors, path, "error: malformed certificate behind number %d", count);
	ERR_clear_error();
	return count > 0 || problem(errors, path, "error: no PEM certificate");
}

static EVP_PKEY *key_read(const char *path, FILE *errors)
{
	BIO *bio = BIO_new_file(path, "r");
	if (!bio) {
		problem(errors, path, "error: cannot be opened: %s", strerror(errno));
		return NULL;
	}
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	BIO_free(bio);
	if (!key)
		problem(errors, path, "error: no PEM private key without a password");
	return key;
}

static bool der_keep(X509 *cert, struct view *out)
{
	uint8_t *der = NULL;
	int len = i2d_X509(cert, &der);
	*out = (struct view){der, len > 0 ? (size_t)len : 0};
	return len > 0;
}

static bool views_keep(struct entry *e)
{
	uint8_t *subject = NULL;
	int len = i2d_X509_NAME(X509_get_subject_name(e->leaf), &subject);
	e->cert.subject = (struct view){subject, len > 0 ? (size_t)len : 0};
	bool ok = len > 0 && der_keep(e->leaf, &e->cert.leaf);
	for (int i = 0; ok && i < sk_X509_num(e->chain); i++) {
		ok = der_keep(sk_X509_value(e->chain, i), &e->views[i]);
		e->cert.chain_count = (size_t)i + 1;
	}
	e->cert.chain = e->views;
	return ok;
}

static X509 *issuer_in(STACK_OF(X509) * stack, X509 *cert)
{
	for (int i = 0; i < sk_X509_num(stack); i++)
		if (X509_check_issued(sk_X509_value(stack, i), cert) == X509_V_OK)
			return sk_X509_value(stack, i);
	return NULL;
}

// The hashes and names by which a peer may ask for a CA above this certificate in its CERTREQ.
static void issuers_find(struct entry *e, STACK_OF(X509) * cas)
{
	X509 *at = e->leaf;
	while (e->issuer_count < IKE_CHAIN_MAX + 1) {
		e->above[e->above_count++] = X509_get_issuer_name(at);
		X509 *issuer = issuer_in(e->chain, at);
		if (!issuer)
			issuer = issuer_in(cas, at);
		if (!issuer || issuer == at || !spki_hash(issuer, e->issuers[e->issuer_count]))
			return;
		e->issuer_count++;
		at = issuer;
	}
}

static bool entry_check(const struct entry *e, const char *key_path, FILE *errors)
{
	const char *path = e->cert.path;
	if (X509_check_private_key(e->leaf, e->cert.key) != 1)
		return problem(errors, key_path, "error: does not fit certificate \"%s\"", path);
	enum ike_crypto_error rc = crypto_key_check(e->cert.key);
	if (rc)
		return problem(errors, key_path, "error: %s", ike_crypto_error_text(rc));
	if (X509_cmp_current_time(X509_get0_notAfter(e->leaf)) < 0)
		problem(errors, path, "warning: certificate has expired");
	return true;
}

static bool entry_load(struct entry *e, const struct cfg_certificate *cfg, FILE *errors)
{
	e->cert.path = strdup(cfg->cert);
	e->chain = sk_X509_new_null();
	if (!e->cert.path || !e->chain)
		return problem(errors, cfg->cert, "error: out of memory");
	bool ok = certs_read(cfg->cert, errors, e->chain);
	e->cert.key = key_read(cfg->key, errors);
	if (!ok || !e->cert.key)
		return false;
	e->leaf = sk_X509_shift(e->chain);
	if (sk_X509_num(e->chain) > IKE_CHAIN_MAX)
		return problem(errors, cfg->cert,
			"error: more than %d certificates behind the first", IKE_CHAIN_MAX);
	if (!entry_check(e, cfg->key, errors))
		return false;
	return views_keep(e) || problem(errors, cfg->cert, "error: out of memory");
}

static bool ca_load(struct ike_credentials *c, const char *path, FILE *errors)
{
	STACK_OF(X509) *found = sk_X509_new_null();
	bool ok = found && certs_read(path, errors, found);
	while (sk_X509_num(found) > 0) {
		X509 *ca = sk_X509_shift(found);
		if (X509_check_ca(ca) == 0)
			ok = problem(errors, path, "error: holds a certificate that is no CA's");
		if (X509_cmp_current_time(X509_get0_notAfter(ca)) < 0)
			problem(errors, path, "warning: CA certificate has expired");
		if (X509_STORE_add_cert(c->store, ca) != 1 || sk_X509_push(c->cas, ca) <= 0) {
			X509_free(ca);
			ok = problem(errors, path, "error: out of memory");
		}
	}
	sk_X509_free(found);
	return ok;
}

static bool certreq_make(struct ike_credentials *c)
{
	size_t count = ike_credentials_ca_count(c);
	c->certreq = calloc(count ? count : 1, SPKI_HASH_LEN);
	for (size_t i = 0; c->certreq && i < count; i++)
		if (!spki_hash(sk_X509_value(c->cas, (int)i), c->certreq + i * SPKI_HASH_LEN))
			return false;
	return c->certreq != NULL;
}

static const struct entry *entry_with_id(
	const struct ike_credentials *c, const char *path, const char *id)
{
	for (size_t i = 0; i < c->entry_count; i++)
		if ((!path || strcmp(path, c->entries[i].cert.path) == 0) &&
			crypto_cert_has_text_id(c->entries[i].leaf, id))
			return &c->entries[i];
	return NULL;
}

static bool connection_check(
	const struct ike_credentials *c, const struct cfg_connection *conn, FILE *errors)
{
	bool ok = true;
	if (conn->local.auth == CFG_AUTH_CERT && c->entry_count == 0)
		ok = problem(errors, conn->name,
			"error: local.auth is \"cert\", and no "
			"certificate is configured");
	else if (conn->local.auth == CFG_AUTH_CERT &&
		 !entry_with_id(c, conn->local.cert, conn->local.id))
		problem(errors, conn->name,
			"warning: local.id \"%s\" is neither a subjectAltName nor the subject of "
			"%s, peers will refuse it",
			conn->local.id, conn->local.cert ? conn->local.cert : "any certificate");
	if (conn->remote.auth == CFG_AUTH_CERT && ike_credentials_ca_count(c) == 0)
		ok = problem(errors, conn->name,
			"error: remote.auth is \"cert\", and no CA is configured");
	return ok;
}

static bool load_all(struct ike_credentials *c, const struct cfg *cfg, FILE *errors)
{
	bool ok = true;
	for (size_t i = 0; i < cfg->ca.count; i++)
		ok &= ca_load(c, cfg->ca.items[i], errors);
	for (size_t i = 0; i < cfg->certificate_count; i++) {
		ok &= entry_load(&c->entries[i], &cfg->certificates[i], errors);
		c->entry_count = i + 1;
	}
	if (!ok || !certreq_make(c))
		return false;
	for (size_t i = 0; i < c->entry_count; i++)
		issuers_find(&c->entries[i], c->cas);
	for (size_t i = 0; i < cfg->connection_count; i++)
		ok &= connection_check(c, &cfg->connections[i], errors);
	return ok;
}

int ike_credentials_new(const struct cfg *cfg, FILE *errors, struct ike_credentials **out)
{
	struct ike_credentials *c = calloc(1, sizeof(*c));
	*out = NULL;
	if (!c)
		return -ENOMEM;
	size_t count = cfg->certificate_count ? cfg->certificate_count : 1;
	c->entries = calloc(count, sizeof(*c->entries));
	c->store = X509_STORE_new();
	c->cas = sk_X509_new_null();
	int rc = c->entries && c->store && c->cas ? 0 : -ENOMEM;
	if (rc == 0 && !load_all(c, cfg, errors))
		rc = -EINVAL;
	ERR_clear_error();
	if (rc)
		ike_credentials_free(c);
	else
		*out = c;
	return rc;
}

static void view_free(struct view *v)
{
	OPENSSL_free((void *)(uintptr_t)v->p);
	*v = (struct view){0};
}

static void entry_free(struct entry *e)
{
	free((void *)(uintptr_t)e->cert.path);
	view_free(&e->cert.leaf);
	view_free(&e->cert.subject);
	for (size_t i = 0; i < IKE_CHAIN_MAX; i++)
		view_free(&e->views[i]);
	EVP_PKEY_free(e->cert.key);
	X509_free(e->leaf);
	sk_X509_pop_free(e->chain, X509_free);
}

void ike_credentials_free(struct ike_credentials *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->entry_count; i++)
		entry_free(&c->entries[i]);
	free(c->entries);
	X509_STORE_free(c->store);
	sk_X509_pop_free(c->cas, X509_free);
	free(c->certreq);
	free(c);
}

static bool issued_below(const struct entry *e, struct view hashes)
{
	struct rd r = rd_view(hashes);
	struct view one;
	while (rd_bytes(&r, SPKI_HASH_LEN, &one))
		for (size_t i = 0; i < e->issuer_count; i++)
			if (memcmp(one.p, e->issuers[i], SPKI_HASH_LEN) == 0)
				return true;
	return false;
}

const struct ike_certificate *ike_credentials_find(
	const struct ike_credentials *c, const char *path, struct view hashes, const char *own_id)
{
	const struct entry *fallback = NULL;
	for (size_t i = 0; i < c->entry_count; i++) {
		const struct entry *e = &c->entries[i];
		if (path && strcmp(path, e->cert.path) == 0)
			return &e->cert;
		if (path || !crypto_cert_has_text_id(e->leaf, own_id))
			continue;
		if (hashes.len < SPKI_HASH_LEN || issued_below(e, hashes))
			return &e->cert;
		if (!fallback)
			fallback = e;
	}
	return fallback ? &fallback->cert : NULL;
}

static bool entry_fits(const struct entry *e, const struct ikev1_cert_wanted *want)
{
	return (!want->auth || ikev1_key_fits(e->cert.key, want->auth)) &&
	       (want->path ? strcmp(want->path, e->cert.path) == 0
			   : crypto_cert_has_text_id(e->leaf, want->own_id));
}

// NULL: not one whole Name.
static X509_NAME *name_parse(struct view der)
{
	const uint8_t *p = der.p;
	X509_NAME *name = der.len ? d2i_X509_NAME(NULL, &p, (long)der.len) : NULL;
	if (name && p != der.p + der.len) {
		X509_NAME_free(name);
		name = NULL;
	}
	return name;
}

static bool named_above(const struct entry *e, const X509_NAME *name)
{
	for (size_t i = 0; i < e->above_count; i++)
		if (X509_NAME_cmp(e->above[i], name) == 0)
			return true;
	return false;
}

const struct ike_certificate *ikev1_credentials_find(
	const struct ike_credentials *c, const struct ikev1_cert_wanted *want)
{
	const struct entry *first = NULL, *found = NULL;
	for (size_t i = 0; i < c->entry_count && !first; i++)
		if (entry_fits(&c->entries[i], want))
			first = &c->entries[i];
	for (size_t n = 0; first && !found && n < want->name_count; n++) {
		X509_NAME *name = name_parse(want->names[n]);
		for (size_t i = 0; name && !found && i < c->entry_count; i++)
			if (named_above(&c->entries[i], name) && entry_fits(&c->entries[i], want))
				found = &c->entries[i];
		X509_NAME_free(name);
	}
	ERR_clear_error();
	if (!found)
		found = first;
	return found ? &found->cert : NULL;
}

struct view ike_credentials_ca_name(const struct ike_credentials *c, size_t i)
{
	const uint8_t *der = NULL;
	size_t len = 0;
	if (i >= ike_credentials_ca_count(c) ||
		X509_NAME_get0_der(
			X509_get_subject_name(sk_X509_value(c->cas, (int)i)), &der, &len) != 1)
		return (struct view){0};
	return (struct view){der, len};
}

struct view ike_credentials_certreq(const struct ike_credentials *c)
{
	return (struct view){c->certreq, ike_credentials_ca_count(c) * SPKI_HASH_LEN};
}

size_t ike_credentials_ca_count(const struct ike_credentials *c)
{
	return (size_t)sk_X509_num(c->cas);
}

X509_STORE *ike_credentials_store(const struct ike_credentials *c)
{
	return c->store;
}

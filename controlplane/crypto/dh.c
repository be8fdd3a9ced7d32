// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/crypto/internal.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include <pthread.h>
#include <stdlib.h>

enum dh_kind { DH_KIND_X, DH_KIND_ECP, DH_KIND_MODP };

// x25519 and x448: name is the key type; ECP: the curve. MODP groups are given by their prime.
static const struct group {
	uint16_t id;
	enum dh_kind kind;
	const char *name;
	BIGNUM *(*prime)(BIGNUM *);
	// MODP: bits of the private exponent, at least twice the group's strength as RFC 7919 5.2
	// and RFC 3526 8 estimate it. A full-length one costs up to twelve times as much.
	int private_bits;
} groups[] = {
	{DH_X25519, DH_KIND_X, "X25519", NULL, 0},
	{DH_X448, DH_KIND_X, "X448", NULL, 0},
	{DH_ECP_256, DH_KIND_ECP, "P-256", NULL, 0},
	{DH_ECP_384, DH_KIND_ECP, "P-384", NULL, 0},
	{DH_ECP_521, DH_KIND_ECP, "P-521", NULL, 0},
	{DH_MODP_2048, DH_KIND_MODP, NULL, BN_get_rfc3526_prime_2048, 225},
	{DH_MODP_3072, DH_KIND_MODP, NULL, BN_get_rfc3526_prime_3072, 275},
	{DH_MODP_4096, DH_KIND_MODP, NULL, BN_get_rfc3526_prime_4096, 325},
	{DH_MODP_1536, DH_KIND_MODP, NULL, BN_get_rfc3526_prime_1536, 200},
	{DH_MODP_1024, DH_KIND_MODP, NULL, BN_get_rfc2409_prime_1024, 160},
	{DH_MODP_768, DH_KIND_MODP, NULL, BN_get_rfc2409_prime_768, 160},
};

#define GROUP_COUNT (sizeof(groups) / sizeof(groups[0]))

struct ike_dh {
	const struct group *group;
	const struct alg_dh *alg;
	EVP_PKEY *key; // NULL before generate
	uint8_t *pub;
	size_t pub_len;
};

static const struct group *group_find(uint16_t id)
{
	for (size_t i = 0; i < GROUP_COUNT; i++)
		if (groups[i].id == id)
			return &groups[i];
	return NULL;
}

// What describes the group to the library, with a key's values where they are not NULL.
static EVP_PKEY *modp_from(const struct group *g, const BIGNUM *pub, const BIGNUM *priv)
{
	EVP_PKEY *key = NULL;
	BIGNUM *p = g->prime(NULL), *two = BN_new();
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
	bool ok = p && two && bld && ctx && BN_set_word(two, 2) == 1 &&
		  OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_FFC_P, p) == 1 &&
		  OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_FFC_G, two) == 1 &&
		  (!pub || OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PUB_KEY, pub) == 1) &&
		  (!priv || OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, priv) == 1) &&
		  (params = OSSL_PARAM_BLD_to_param(bld)) != NULL &&
		  EVP_PKEY_fromdata_init(ctx) == 1;
	int selection = priv  ? EVP_PKEY_KEYPAIR
			: pub ? EVP_PKEY_PUBLIC_KEY
			      : EVP_PKEY_KEY_PARAMETERS;
	if (!ok || EVP_PKEY_fromdata(ctx, &key, selection, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	BN_free(two);
	BN_free(p);
	return key;
}

struct ike_dh *ike_dh_new(uint16_t id)
{
	const struct group *g = group_find(id);
	const struct alg_dh *alg = alg_dh(id);
	if (!g || !alg)
		return NULL;
	struct ike_dh *dh = calloc(1, sizeof(*dh));
	if (!dh)
		return NULL;
	dh->group = g;
	dh->alg = alg;
	return dh;
}

void ike_dh_free(struct ike_dh *dh)
{
	if (!dh)
		return;
	EVP_PKEY_free(dh->key);
	OPENSSL_free(dh->pub);
	free(dh);
}

uint16_t ike_dh_group(const struct ike_dh *dh)
{
	return dh->group->id;
}

struct view ike_dh_public(const struct ike_dh *dh)
{
	if (!dh->pub)
		return (struct view){0};
	// A point is encoded with the octet 4 in front, which IKE leaves out (RFC 5903 7).
	size_t skip = dh->group->kind == DH_KIND_ECP;
	return (struct view){dh->pub + skip, dh->pub_len - skip};
}

// The key pair of dh is complete: keeps the public value in wire format.
static enum ike_crypto_error public_keep(struct ike_dh *dh)
{
	OPENSSL_free(dh->pub);
	dh->pub = NULL;
	dh->pub_len = EVP_PKEY_get1_encoded_public_key(dh->key, &dh->pub);
	if (dh->pub_len == 0 || ike_dh_public(dh).len != dh->alg->public_len)
		return IKE_CRYPTO_INTERNAL;
	return IKE_CRYPTO_OK;
}

static EVP_PKEY *modp_keygen(const struct group *g)
{
	EVP_PKEY *key = NULL;
	int bits = g->private_bits;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_int(OSSL_PKEY_PARAM_DH_PRIV_LEN, &bits),
		OSSL_PARAM_construct_end(),
	};
	PKEY_CLEANUP EVP_PKEY *group = modp_from(g, NULL, NULL);
	PKEY_CTX_CLEANUP EVP_PKEY_CTX *ctx =
		group ? EVP_PKEY_CTX_new_from_pkey(NULL, group, NULL) : NULL;
	if (!ctx || EVP_PKEY_keygen_init(ctx) != 1 || EVP_PKEY_CTX_set_params(ctx, params) != 1 ||
		EVP_PKEY_keygen(ctx, &key) != 1)
		return NULL;
	return key;
}

enum ike_crypto_error ike_dh_generate(struct ike_dh *dh)
{
	EVP_PKEY_free(dh->key);
	dh->key = NULL;
	if (dh->group->kind == DH_KIND_X)
		dh->key = EVP_PKEY_Q_keygen(NULL, NULL, dh->group->name);
	else if (dh->group->kind == DH_KIND_ECP)
		dh->key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", dh->group->name);
	else
		dh->key = modp_keygen(dh->group);
	return dh->key ? public_keep(dh) : IKE_CRYPTO_INTERNAL;
}

// A point in wire format to a key; NULL if it is not on the curve.
static EVP_PKEY *ecp_peer(const struct group *g, struct view xy)
{
	uint8_t point[1 + 132] = {4};
	char name[16];
	EVP_PKEY *key = NULL;
	if (xy.len > sizeof(point) - 1)
		return NULL;
	memcpy(point + 1, xy.p, xy.len);
	snprintf(name, sizeof(name), "%s", g->name);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + xy.len),
		OSSL_PARAM_construct_end(),
	};
	PKEY_CTX_CLEANUP EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	// Decoding the point checks both coordinates against the field and the curve's equation.
	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return NULL;
	return key;
}

// RFC 6989 2.1: "It MUST check that 1 < r < p-1" (safe primes). NULL: it is not.
static EVP_PKEY *modp_peer(const struct group *g, struct view value)
{
	EVP_PKEY *key = NULL;
	BIGNUM *y = BN_bin2bn(value.p, (int)value.len, NULL);
	BIGNUM *last = g->prime(NULL);
	if (y && last && BN_sub_word(last, 1) == 1 && BN_cmp(y, BN_value_one()) > 0 &&
		BN_cmp(y, last) < 0)
		key = modp_from(g, y, NULL);
	BN_free(last);
	BN_free(y);
	return key;
}

static EVP_PKEY *peer_key(const struct ike_dh *dh, struct view value)
{
	if (dh->group->kind == DH_KIND_ECP)
		return ecp_peer(dh->group, value);
	if (dh->group->kind == DH_KIND_MODP)
		return modp_peer(dh->group, value);
	return EVP_PKEY_new_raw_public_key_ex(NULL, dh->group->name, NULL, value.p, value.len);
}

static bool all_zero(const struct secret *s)
{
	uint8_t any = 0;
	for (size_t i = 0; i < s->len; i++)
		any |= s->bytes[i];
	return any == 0;
}

enum ike_crypto_error ike_dh_derive(
	struct ike_dh *dh, struct view peer_public, struct secret *shared)
{
	*shared = (struct secret){0};
	if (!dh->key)
		return IKE_CRYPTO_INTERNAL;
	if (peer_public.len != dh->alg->public_len)
		return IKE_CRYPTO_DH_LENGTH;
	PKEY_CLEANUP EVP_PKEY *peer = peer_key(dh, peer_public);
	if (!peer)
		return IKE_CRYPTO_DH_VALUE;
	if (secret_init(shared, dh->alg->secret_len) != 0)
		return IKE_CRYPTO_NO_MEMORY;
	PKEY_CTX_CLEANUP EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, dh->key, NULL);
	size_t len = shared->len;
	enum ike_crypto_error e = IKE_CRYPTO_OK;
	// The value was checked above; the library's own check costs another exponentiation.
	if (!ctx || EVP_PKEY_derive_init(ctx) != 1 ||
		EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) != 1)
		e = IKE_CRYPTO_INTERNAL;
	// RFC 7296 2.14: the secret is "padded with zeros if necessary to make it the length of the
	// modulus".
	else if (dh->group->kind == DH_KIND_MODP && EVP_PKEY_CTX_set_dh_pad(ctx, 1) != 1)
		e = IKE_CRYPTO_INTERNAL;
	else if (EVP_PKEY_derive(ctx, shared->bytes, &len) != 1)
		// With the curves of RFC 7748 this means a point of small order.
		e = dh->group->kind == DH_KIND_X ? IKE_CRYPTO_DH_ZERO : IKE_CRYPTO_DH_VALUE;
	else if (len != shared->len)
		e = IKE_CRYPTO_INTERNAL;
	else if (all_zero(shared))
		e = IKE_CRYPTO_DH_ZERO;
	if (e)
		secret_fini(shared);
	return e;
}

static EVP_PKEY *ecp_import(const struct group *g, struct view priv, struct view xy)
{
	EVP_PKEY *key = NULL;
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	BIGNUM *d = BN_bin2bn(priv.p, (int)priv.len, NULL);
	uint8_t point[1 + 132] = {4};
	if (xy.len <= sizeof(point) - 1)
		memcpy(point + 1, xy.p, xy.len);
	PKEY_CTX_CLEANUP EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	if (bld && d && ctx && xy.len <= sizeof(point) - 1 &&
		OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, g->name, 0) == 1 &&
		OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + xy.len) ==
			1 &&
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d) == 1 &&
		(params = OSSL_PARAM_BLD_to_param(bld)) != NULL &&
		EVP_PKEY_fromdata_init(ctx) == 1 &&
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1)
		key = NULL;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	BN_clear_free(d);
	return key;
}

enum ike_crypto_error ike_dh_import(
	struct ike_dh *dh, struct view private_value, struct view public_value)
{
	EVP_PKEY_free(dh->key);
	dh->key = NULL;
	if (dh->group->kind == DH_KIND_X) {
		dh->key = EVP_PKEY_new_raw_private_key_ex(
			NULL, dh->group->name, NULL, private_value.p, private_value.len);
	} else if (dh->group->kind == DH_KIND_ECP) {
		dh->key = ecp_import(dh->group, private_value, public_value);
	} else {
		BIGNUM *x = BN_bin2bn(private_value.p, (int)private_value.len, NULL);
		BIGNUM *y = BN_bin2bn(public_value.p, (int)public_value.len, NULL);
		if (x && y)
			dh->key = modp_from(dh->group, y, x);
		BN_clear_free(x);
		BN_free(y);
	}
	return dh->key ? public_keep(dh) : IKE_CRYPTO_INTERNAL;
}

int ike_dh_private_bits(const struct ike_dh *dh)
{
	BIGNUM *x = NULL;
	int bits = 0;
	if (dh->key && EVP_PKEY_get_bn_param(dh->key, OSSL_PKEY_PARAM_PRIV_KEY, &x) == 1)
		bits = BN_num_bits(x);
	BN_clear_free(x);
	return bits;
}

static bool usable[GROUP_COUNT];
static pthread_once_t usable_once = PTHREAD_ONCE_INIT;

static void usable_fill(void)
{
	for (size_t i = 0; i < GROUP_COUNT; i++) {
		struct ike_dh *dh = ike_dh_new(groups[i].id);
		usable[i] = dh && ike_dh_generate(dh) == IKE_CRYPTO_OK;
		ike_dh_free(dh);
	}
}

bool crypto_dh_usable(uint16_t id)
{
	const struct group *g = group_find(id);
	pthread_once(&usable_once, usable_fill);
	return g && usable[g - groups];
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Jobs own what they work on: each input is wiped before the job runs.
#include "tests/certs.h"
#include "tests/cmocka_all.h"

#include "controlplane/crypto/crypto.h"

#include <unistd.h>

static struct {
	struct ike_credentials *creds;
	const struct ike_certificate *cert;
} ours;

static int setup(void **state)
{
	char dir[] = "/tmp/test_crypto_jobs.XXXXXX", ca_path[64], path[64], key_path[64];
	assert_non_null(mkdtemp(dir));
	snprintf(ca_path, sizeof(ca_path), "%s/ca.pem", dir);
	snprintf(path, sizeof(path), "%s/gw.pem", dir);
	snprintf(key_path, sizeof(key_path), "%s/gw.key", dir);
	EVP_PKEY *ca_key = test_key_new(KEY_P256), *key = test_key_new(KEY_P256);
	struct test_cert ca = {.cn = "ca", .ca = true, .path_len = -1};
	struct test_cert gw = {.cn = "gw", .san = "DNS:gw.example"};
	X509 *ca_cert = test_cert_new(&ca, ca_key, NULL, ca_key);
	X509 *cert = test_cert_new(&gw, key, ca_cert, ca_key);
	test_certs_write(ca_path, (X509 *[]){ca_cert, NULL});
	test_certs_write(path, (X509 *[]){cert, NULL});
	test_key_write(key_path, key);
	char *cas[] = {ca_path};
	struct cfg_certificate certs[] = {{path, key_path}};
	struct cfg cfg = {.ca = {cas, 1}, .certificates = certs, .certificate_count = 1};
	assert_int_equal(ike_credentials_new(&cfg, stderr, &ours.creds), 0);
	ours.cert = ike_credentials_find(ours.creds, NULL, (struct view){0}, "gw.example");
	assert_non_null(ours.cert);
	unlink(ca_path);
	unlink(path);
	unlink(key_path);
	X509_free(ca_cert);
	X509_free(cert);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	return rmdir(dir);
}

static int teardown(void **state)
{
	ike_credentials_free(ours.creds);
	return 0;
}

static void run(void *job)
{
	struct ike_job *j = job;
	j->run(j);
}

static void dh(void **state)
{
	static const uint16_t groups[] = {DH_X25519, DH_ECP_256, DH_MODP_2048};
	for (size_t i = 0; i < 3; i++) {
		struct ike_dh_job *gen = ike_dh_job_generate(groups[i]);
		assert_non_null(gen);
		assert_int_equal(gen->base.error, IKE_CRYPTO_INTERNAL); // until it ran
		run(gen);
		assert_int_equal(gen->base.error, IKE_CRYPTO_OK);
		assert_int_equal(gen->shared.len, 0);
		struct ike_dh *own = ike_dh_job_take(gen);
		ike_job_free(&gen->base.job);

		uint8_t copy[256];
		struct view pub = ike_dh_public(own);
		memcpy(copy, pub.p, pub.len);
		struct ike_dh_job *resp =
			ike_dh_job_respond(groups[i], (struct view){copy, pub.len});
		memset(copy, 0, sizeof(copy));
		run(resp);
		assert_int_equal(resp->base.error, IKE_CRYPTO_OK);
		assert_int_equal(resp->shared.len, alg_dh(groups[i])->secret_len);

		struct ike_dh_job *derive = ike_dh_job_derive(own, ike_dh_public(resp->dh));
		run(derive);
		assert_int_equal(derive->base.error, IKE_CRYPTO_OK);
		assert_true(view_eq(secret_view(&derive->shared), secret_view(&resp->shared)));
		ike_job_free(&resp->base.job);
		ike_job_free(&derive->base.job);
	}
	assert_null(ike_dh_job_generate(1025));
	assert_null(ike_dh_job_respond(1025, (struct view){(const uint8_t *)"x", 1}));
	assert_null(ike_dh_job_respond(DH_X25519, (struct view){NULL, 0}));
	assert_null(ike_dh_job_derive(ike_dh_new(DH_X25519), (struct view){NULL, 0}));
	ike_job_free(NULL);
	// A bad value fails in the job.
	uint8_t zero[32] = {0};
	struct ike_dh_job *bad = ike_dh_job_respond(DH_X25519, (struct view){zero, 32});
	run(bad);
	assert_int_equal(bad->base.error, IKE_CRYPTO_DH_ZERO);
	assert_int_equal(bad->shared.len, 0);
	ike_job_free(&bad->base.job);
	bad = ike_dh_job_respond(DH_ECP_256, (struct view){zero, 32});
	run(bad);
	assert_int_equal(bad->base.error, IKE_CRYPTO_DH_LENGTH);
	ike_job_free(&bad->base.job); // never submitted, never taken apart
}

static void sign_and_verify(void **state)
{
	uint8_t octets[40], auth[IKE_AUTH_MAX], der[2048];
	memset(octets, 9, sizeof(octets));
	struct ike_sign_job *s = ike_sign_job_new(
		ours.cert, IKE_HASHES_OURS, false, (struct view){octets, sizeof(octets)});
	memset(octets, 0, sizeof(octets));
	run(s);
	assert_int_equal(s->base.error, IKE_CRYPTO_OK);
	assert_int_equal(s->value.method, IKE_AUTH_SIGNATURE);

	memset(octets, 9, sizeof(octets));
	for (int altered = 0; altered < 4; altered++) {
		memcpy(auth, s->value.bytes, s->value.len);
		memcpy(der, ours.cert->leaf.p, ours.cert->leaf.len);
		auth[s->value.len - 1] ^= altered == 1;
		struct view many[IKE_CHAIN_MAX + 1] = {{der, 1}};
		struct ike_verify_input in = {
			.chain = {.leaf = {der, ours.cert->leaf.len},
				.intermediates = many,
				.intermediate_count = altered == 3 ? IKE_CHAIN_MAX + 1 : 0,
				.id_type = IKE_ID_FQDN,
				.id_data = {(const uint8_t *)(altered == 2 ? "no.example"
									   : "gw.example"),
					10},
				.wall_s = time(NULL)},
			.method = s->value.method,
			.auth = {auth, s->value.len},
			.octets = {octets, sizeof(octets)},
		};
		static const enum ike_crypto_error want[] = {IKE_CRYPTO_OK,
			IKE_CRYPTO_AUTH_SIGNATURE, IKE_CRYPTO_CERT_NAME, IKE_CRYPTO_CERT_COUNT};
		struct ike_verify_job *v = ike_verify_job_new(ours.creds, &in);
		assert_int_equal(v->base.error, IKE_CRYPTO_INTERNAL);
		memset(auth, 0, sizeof(auth));
		memset(der, 0, sizeof(der));
		memset(&in, 0, sizeof(in));
		run(v);
		assert_int_equal(v->base.error, want[altered]);
		ike_job_free(&v->base.job);
	}
	ike_job_free(&s->base.job);
}

// The texts and counters of all reasons are there, and differ.
static void reasons(void **state)
{
	for (int i = 0; i < IKE_CRYPTO_ERROR_COUNT; i++) {
		const char *name = ike_crypto_error_name((enum ike_crypto_error)i);
		assert_int_equal(strncmp(name, "ike_crypto_", 11), 0);
		assert_true(strlen(ike_crypto_error_text((enum ike_crypto_error)i)) > 5);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(
				name, ike_crypto_error_name((enum ike_crypto_error)j));
	}
	assert_string_equal(ike_crypto_error_name(IKE_CRYPTO_BAD_ICV), "ike_crypto_bad_icv");
	assert_string_equal(ike_crypto_error_text(IKE_CRYPTO_ERROR_COUNT), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dh),
		cmocka_unit_test(sign_and_verify),
		cmocka_unit_test(reasons),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

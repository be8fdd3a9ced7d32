// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/crypto/ikev1.h"
#include "controlplane/crypto/internal.h"

#include <stddef.h>
#include <stdlib.h>

_Static_assert(offsetof(struct ike_crypto_job, job) == 0, "an ike_job is its ike_crypto_job");
_Static_assert(offsetof(struct ike_dh_job, base) == 0, "IKE_JOB_AS casts");
_Static_assert(offsetof(struct ike_sign_job, base) == 0, "IKE_JOB_AS casts");
_Static_assert(offsetof(struct ike_verify_job, base) == 0, "IKE_JOB_AS casts");

static void job_init(struct ike_crypto_job *base, void (*run)(struct ike_job *),
	void (*release)(struct ike_crypto_job *))
{
	base->job.run = run;
	base->release = release;
	// A job that comes back unrun has not succeeded.
	base->error = IKE_CRYPTO_INTERNAL;
}

void ike_job_free(struct ike_job *job)
{
	if (!job)
		return;
	struct ike_crypto_job *base = IKE_JOB_AS(ike_crypto_job, job);
	base->release(base);
	free(base);
}

static void dh_run(struct ike_job *job)
{
	struct ike_dh_job *j = IKE_JOB_AS(ike_dh_job, job);
	j->base.error = IKE_CRYPTO_OK;
	if (ike_dh_public(j->dh).len == 0)
		j->base.error = ike_dh_generate(j->dh);
	if (j->base.error == IKE_CRYPTO_OK && j->peer_public.len)
		j->base.error = ike_dh_derive(j->dh, secret_view(&j->peer_public), &j->shared);
}

static void dh_release(struct ike_crypto_job *base)
{
	struct ike_dh_job *j = IKE_JOB_AS(ike_dh_job, base);
	ike_dh_free(j->dh);
	secret_fini(&j->peer_public);
	secret_fini(&j->shared);
}

static struct ike_dh_job *dh_job(struct ike_dh *dh, struct view peer_public)
{
	struct ike_dh_job *j = dh ? calloc(1, sizeof(*j)) : NULL;
	if (!j || secret_copy(&j->peer_public, peer_public.p, peer_public.len) != 0) {
		ike_dh_free(dh);
		free(j);
		return NULL;
	}
	job_init(&j->base, dh_run, dh_release);
	j->dh = dh;
	return j;
}

struct ike_dh_job *ike_dh_job_generate(uint16_t group)
{
	return dh_job(ike_dh_new(group), (struct view){0});
}

struct ike_dh_job *ike_dh_job_respond(uint16_t group, struct view peer_public)
{
	// An empty value would turn this into a mere generation.
	return peer_public.len ? dh_job(ike_dh_new(group), peer_public) : NULL;
}

struct ike_dh_job *ike_dh_job_derive(struct ike_dh *dh, struct view peer_public)
{
	if (peer_public.len == 0) {
		ike_dh_free(dh);
		return NULL;
	}
	return dh_job(dh, peer_public);
}

struct ike_dh *ike_dh_job_take(struct ike_dh_job *job)
{
	struct ike_dh *dh = job->dh;
	job->dh = NULL;
	return dh;
}

static void sign_run(struct ike_job *job)
{
	struct ike_sign_job *j = IKE_JOB_AS(ike_sign_job, job);
	struct view octets = secret_view(&j->octets);
	j->base.error = j->ikev1 ? ikev1_sign(j->key, j->ikev1_auth, octets, &j->value)
				 : ike_sign(j->key, j->hashes, j->allow_sha1, octets, &j->value);
}

static void sign_release(struct ike_crypto_job *base)
{
	struct ike_sign_job *j = IKE_JOB_AS(ike_sign_job, base);
	EVP_PKEY_free(j->key);
	secret_fini(&j->octets);
}

struct ike_sign_job *ike_sign_job_new(
	const struct ike_certificate *cert, uint32_t hashes, bool allow_sha1, struct view octets)
{
	struct ike_sign_job *j = calloc(1, sizeof(*j));
	if (!j || secret_copy(&j->octets, octets.p, octets.len) != 0 ||
		EVP_PKEY_up_ref(cert->key) != 1) {
		if (j)
			secret_fini(&j->octets);
		free(j);
		return NULL;
	}
	job_init(&j->base, sign_run, sign_release);
	j->key = cert->key;
	j->hashes = hashes;
	j->allow_sha1 = allow_sha1;
	return j;
}

struct ike_sign_job *ikev1_sign_job_new(
	const struct ike_certificate *cert, uint16_t auth, struct view hash)
{
	struct ike_sign_job *j = ike_sign_job_new(cert, 0, false, hash);
	if (j) {
		j->ikev1 = true;
		j->ikev1_auth = auth;
	}
	return j;
}

static void verify_run(struct ike_job *job)
{
	struct ike_verify_job *j = IKE_JOB_AS(ike_verify_job, job);
	PKEY_CLEANUP EVP_PKEY *key = NULL;
	j->base.error = ike_peer_verify(j->credentials, &j->chain, &key);
	if (j->base.error == IKE_CRYPTO_OK && j->ikev1)
		j->base.error = ikev1_verify(key, j->ikev1_auth, j->auth, j->octets);
	else if (j->base.error == IKE_CRYPTO_OK)
		j->base.error = ike_verify(key, j->method, j->auth, j->octets, j->allow_sha1);
}

static void verify_release(struct ike_crypto_job *base)
{
	secret_fini(&IKE_JOB_AS(ike_verify_job, base)->copies);
}

// The bytes of v, behind what w holds already.
static struct view copied(struct wr *w, struct view v)
{
	size_t at = wr_mark(w);
	wr_view(w, v);
	return (struct view){w->base + at, v.len};
}

struct ike_verify_job *ike_verify_job_new(
	const struct ike_credentials *credentials, const struct ike_verify_input *in)
{
	struct ike_verify_job *j = calloc(1, sizeof(*j));
	// One more than allowed is kept as a count alone, for the check to refuse.
	size_t count = in->chain.intermediate_count;
	size_t kept = count > IKE_CHAIN_MAX ? 0 : count;
	size_t len = in->chain.leaf.len + in->chain.id_data.len + in->auth.len + in->octets.len;
	for (size_t i = 0; i < kept; i++)
		len += in->chain.intermediates[i].len;
	if (!j || secret_init(&j->copies, len) != 0) {
		free(j);
		return NULL;
	}
	struct wr w = wr_of(j->copies.bytes, len);
	job_init(&j->base, verify_run, verify_release);
	j->credentials = credentials;
	j->chain = in->chain;
	j->chain.leaf = copied(&w, in->chain.leaf);
	j->chain.id_data = copied(&w, in->chain.id_data);
	for (size_t i = 0; i < kept; i++)
		j->intermediates[i] = copied(&w, in->chain.intermediates[i]);
	j->chain.intermediates = j->intermediates;
	j->method = in->method;
	j->auth = copied(&w, in->auth);
	j->octets = copied(&w, in->octets);
	j->allow_sha1 = in->allow_sha1;
	return j;
}

struct ike_verify_job *ikev1_verify_job_new(
	const struct ike_credentials *credentials, const struct ikev1_verify_input *in)
{
	const struct ike_verify_input common = {
		.chain = in->chain, .auth = in->sig, .octets = in->hash};
	struct ike_verify_job *j = ike_verify_job_new(credentials, &common);
	if (j) {
		j->ikev1 = true;
		j->ikev1_auth = in->auth;
	}
	return j;
}

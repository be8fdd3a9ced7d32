// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The AUTH payload both ways (RFC 7296 2.15, RFC 7427), by PSK or certificate.
#include "controlplane/ikev2/proof.h"

#include "controlplane/handshake.h"
#include "controlplane/index.h"

#include <errno.h>

int ike_proof_kind(uint8_t method)
{
	switch (method) {
	case IKE_AUTH_PSK:
		return CFG_AUTH_PSK;
	case IKE_AUTH_RSA_SHA1:
	case IKE_AUTH_ECDSA_256:
	case IKE_AUTH_ECDSA_384:
	case IKE_AUTH_ECDSA_521:
	case IKE_AUTH_SIGNATURE:
		return CFG_AUTH_CERT;
	}
	return -1;
}

static enum ike_verdict refuse(struct ike_exchange *x, enum ike_reason why)
{
	return ike_fail_fatal(x, why, x->initiator ? 0 : IKEV2_NOTIFY_AUTHENTICATION_FAILED);
}

// The octets of one side: of the IKE SA's initiator or of its responder.
static struct ike_auth_input auth_input(
	const struct ike_sa *sa, bool of_initiator, const struct ike_id *id)
{
	return (struct ike_auth_input){
		.prf = sa->suite.prf,
		.sk_p = of_initiator ? sa->keys.sk_pi : sa->keys.sk_pr,
		.message = secret_view(of_initiator ? &sa->init_i : &sa->init_r),
		.nonce = secret_view(of_initiator ? &sa->nonce_r : &sa->nonce_i),
		.id_body = ike_id_view(id),
	};
}

// ---- the peer --------------------------------------------------------------------------------

static enum ike_verdict verify_psk(
	struct ike_exchange *x, struct ike_proof *p, const struct wire_auth *auth)
{
	static const uint8_t nobody[32];
	struct ike_sa *sa = x->sa;
	struct ike_auth_input in = auth_input(sa, !sa->initiator, &p->peer);
	bool bound = false;
	const struct cfg_psk *psk = NULL;
	if (p->conn)
		psk = ike_psk_find(
			sa->engine->index, ike_id_view(&p->peer), &sa->remote.addr, &bound);
	// Without a key the same work is done on one that nobody has.
	struct view key = psk ? secret_view(&psk->secret) : (struct view){nobody, sizeof(nobody)};
	bool good = ike_auth_psk_verify(&in, key, auth->data) == IKE_CRYPTO_OK;
	if (!p->conn)
		return refuse(x, IKE_REASON_NO_PEER);
	if (!psk)
		return refuse(x, IKE_REASON_NO_PSK);
	if (!good)
		return refuse(x, IKE_REASON_BAD_PSK);
	p->proven = bound;
	return IKE_DONE;
}

static enum ike_verdict verify_cert(
	struct ike_exchange *x, struct ike_proof *p, const struct wire_auth *auth, int next_step)
{
	struct ike_engine *e = x->sa->engine;
	struct view chain[WIRE_CERTS_MAX];
	size_t n = ike_cert_chain(x->in.certs, x->in.cert_count, chain);
	struct wire_id id;
	if (!p->conn)
		return refuse(x, IKE_REASON_NO_PEER);
	if (n == 0)
		return refuse(x, IKE_REASON_NO_CERT);
	if (wire_id_parse(ike_id_view(&p->peer), &id) != WIRE_OK)
		return refuse(x, IKE_REASON_BAD_ID);
	struct ike_auth_input in = auth_input(x->sa, !x->sa->initiator, &p->peer);
	struct secret octets SECRET_CLEANUP = {NULL, 0};
	if (ike_signed_octets(&in, &octets) != IKE_CRYPTO_OK)
		return refuse(x, IKE_REASON_CRYPTO);
	struct ike_verify_input v = {
		.chain = {chain[0], chain + 1, n - 1, id.type, id.data,
			e->p.clock->wall_s(e->p.clock->ctx)},
		.method = auth->method,
		.auth = auth->data,
		.octets = secret_view(&octets),
		.allow_sha1 = x->sa->peer_hashes == 0,
	};
	struct ike_verify_job *job = ike_verify_job_new(e->p.credentials, &v);
	return ike_wait_job(x, job ? &job->base.job : NULL, next_step);
}

enum ike_verdict ike_proof_verify(struct ike_exchange *x, struct ike_proof *p, int next_step)
{
	struct wire_auth auth;
	if (wire_auth_parse(x->in.auth, &auth) != WIRE_OK)
		return ike_fail_fatal(x, IKE_REASON_MALFORMED, IKEV2_NOTIFY_INVALID_SYNTAX);
	int kind = ike_proof_kind(auth.method);
	if (p->conn && kind != (int)p->conn->remote.auth)
		p->conn = NULL;
	if (kind == CFG_AUTH_PSK)
		return verify_psk(x, p, &auth);
	if (kind == CFG_AUTH_CERT)
		return verify_cert(x, p, &auth, next_step);
	return refuse(x, IKE_REASON_NO_PEER);
}

enum ike_verdict ike_proof_verified(struct ike_exchange *x, struct ike_proof *p)
{
	if (x->got != IKE_GOT_JOB || !x->job)
		return refuse(x, IKE_REASON_JOB_TIMEOUT);
	enum ike_crypto_error error = IKE_JOB_AS(ike_crypto_job, x->job)->error;
	if (error != IKE_CRYPTO_OK)
		return refuse(x, ike_cert_reason(error));
	p->proven = true;
	return IKE_DONE;
}

// ---- ourselves -------------------------------------------------------------------------------

// The CA hashes of the peer's CERTREQs for X.509 certificates, n x 20 bytes, as far as they fit.
static struct view wanted_cas(const struct ike_message *m, uint8_t *buf, size_t cap)
{
	struct wr w = wr_of(buf, cap);
	for (uint8_t i = 0; i < m->certreq_count; i++) {
		struct wire_cert c;
		if (wire_certreq_parse(m->certreqs[i], &c) != WIRE_OK ||
			c.encoding != IKEV2_CERT_X509_SIGNATURE || c.data.len % 20 != 0 ||
			c.data.len > w.cap - w.len)
			continue;
		wr_view(&w, c.data);
	}
	return wr_done(&w);
}

static enum ike_verdict make_psk(struct ike_exchange *x, struct ike_proof *p)
{
	struct ike_sa *sa = x->sa;
	bool bound;
	struct ike_auth_input in = auth_input(sa, sa->initiator, &p->own);
	const struct cfg_psk *psk =
		ike_psk_find(sa->engine->index, ike_id_view(&p->peer), &sa->remote.addr, &bound);
	if (!psk)
		return refuse(x, IKE_REASON_NO_PSK);
	if (ike_auth_psk(&in, secret_view(&psk->secret), p->value.bytes) != IKE_CRYPTO_OK)
		return refuse(x, IKE_REASON_OWN_AUTH);
	p->value.method = IKE_AUTH_PSK;
	p->value.len = alg_prf(sa->suite.prf)->len;
	return IKE_DONE;
}

static enum ike_verdict make_signature(struct ike_exchange *x, struct ike_proof *p, int next_step)
{
	struct ike_sa *sa = x->sa;
	struct ike_auth_input in = auth_input(sa, sa->initiator, &p->own);
	struct secret octets SECRET_CLEANUP = {NULL, 0};
	if (ike_signed_octets(&in, &octets) != IKE_CRYPTO_OK)
		return refuse(x, IKE_REASON_OWN_AUTH);
	// A peer without RFC 7427 knows SHA-1 with RSA only.
	struct ike_sign_job *job = ike_sign_job_new(
		p->certificate, sa->peer_hashes, sa->peer_hashes == 0, secret_view(&octets));
	return ike_wait_job(x, job ? &job->base.job : NULL, next_step);
}

enum ike_verdict ike_proof_make(struct ike_exchange *x, struct ike_proof *p, int next_step)
{
	uint8_t hashes[20 * 64];
	const struct ike_credentials *creds = x->sa->engine->p.credentials;
	bool cert = p->conn->local.auth == CFG_AUTH_CERT;
	if (cert) {
		p->certificate = ike_credentials_find(creds, p->conn->local.cert,
			wanted_cas(&x->in, hashes, sizeof(hashes)),
			p->conn->local.id ? p->conn->local.id : "");
		if (!p->certificate)
			return refuse(x, IKE_REASON_NO_OWN_CERT);
	}
	if (!ike_own_identity(x->sa, p->conn, p->certificate, &p->own))
		return refuse(x, IKE_REASON_OWN_AUTH);
	return cert ? make_signature(x, p, next_step) : make_psk(x, p);
}

enum ike_verdict ike_proof_signed(struct ike_exchange *x, struct ike_proof *p)
{
	if (x->got != IKE_GOT_JOB || !x->job)
		return refuse(x, IKE_REASON_JOB_TIMEOUT);
	struct ike_sign_job *job = IKE_JOB_AS(ike_sign_job, x->job);
	if (job->base.error != IKE_CRYPTO_OK)
		return refuse(x, IKE_REASON_OWN_AUTH);
	p->value = job->value;
	return IKE_DONE;
}

// ---- payloads --------------------------------------------------------------------------------

void ike_proof_put_id(struct ike_exchange *x, const struct ike_proof *p)
{
	wire_put_raw(&x->out.b, x->sa->initiator ? IKEV2_PAYLOAD_IDI : IKEV2_PAYLOAD_IDR,
		ike_id_view(&p->own));
}

void ike_proof_put_certs(struct ike_exchange *x, const struct ike_proof *p)
{
	if (!p->certificate)
		return;
	wire_put_cert(&x->out.b, IKEV2_CERT_X509_SIGNATURE, p->certificate->leaf);
	for (size_t i = 0; i < p->certificate->chain_count; i++)
		wire_put_cert(&x->out.b, IKEV2_CERT_X509_SIGNATURE, p->certificate->chain[i]);
}

void ike_proof_put_auth(struct ike_exchange *x, const struct ike_proof *p)
{
	wire_put_auth(&x->out.b, p->value.method, (struct view){p->value.bytes, p->value.len});
}

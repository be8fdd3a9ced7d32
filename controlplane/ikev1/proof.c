// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Who is who in phase 1: methods, HASH and SIG both ways (RFC 2409 5), certificates.
#include "controlplane/ikev1/phase1.h"

#include "controlplane/handshake.h"
#include "controlplane/index.h"

#define CERTREQS_MAX 8
#define CERTREQ_ROOM 600 // bytes of CA names in our message; more of them become "any"

// ---- methods -----------------------------------------------------------------------------------

// What each side needs. RSA encryption (4, 5) and DSS are not here: CVE-2018-0131. The XAUTH forms in
// which the responder is the client are not either: who asks for a password answers here, and never
// calls.
static const struct method {
	uint16_t auth;
	enum cfg_auth initiator, responder;
	bool xauth;
} methods[] = {
	{IKEV1_AUTH_PSK, CFG_AUTH_PSK, CFG_AUTH_PSK, false},
	{IKEV1_AUTH_XAUTH_INIT_PSK, CFG_AUTH_PSK, CFG_AUTH_PSK, true},
	{IKEV1_AUTH_RSA, CFG_AUTH_CERT, CFG_AUTH_CERT, false},
	{IKEV1_AUTH_XAUTH_INIT_RSA, CFG_AUTH_CERT, CFG_AUTH_CERT, true},
	{IKEV1_AUTH_ECDSA_256, CFG_AUTH_CERT, CFG_AUTH_CERT, false},
	{IKEV1_AUTH_ECDSA_384, CFG_AUTH_CERT, CFG_AUTH_CERT, false},
	{IKEV1_AUTH_ECDSA_521, CFG_AUTH_CERT, CFG_AUTH_CERT, false},
	{IKEV1_AUTH_HYBRID_INIT_RSA, CFG_AUTH_NONE, CFG_AUTH_CERT, true},
};
#define METHODS (sizeof(methods) / sizeof(methods[0]))

static const struct method *method_of(uint16_t auth)
{
	for (size_t i = 0; i < METHODS; i++)
		if (methods[i].auth == auth)
			return &methods[i];
	return NULL;
}

bool ikev1_signs(uint16_t auth, bool initiator)
{
	const struct method *m = method_of(auth);
	return m && (initiator ? m->initiator : m->responder) == CFG_AUTH_CERT;
}

bool ikev1_uses_psk(uint16_t auth)
{
	const struct method *m = method_of(auth);
	return m && m->responder == CFG_AUTH_PSK;
}

static const struct ike_certificate *certificate(const struct ike_credentials *creds,
	const struct cfg_connection *conn, uint16_t auth, const struct ikev1_phase1 *p)
{
	struct ikev1_cert_wanted want = {.path = conn->local.cert,
		.own_id = conn->local.id ? conn->local.id : "",
		.auth = auth,
		.names = p ? p->wanted : NULL,
		.name_count = p ? p->wanted_count : 0};
	return creds ? ikev1_credentials_find(creds, &want) : NULL;
}

// A peer that takes a plain method on a connection that asks for a user is asked all the same:
// racoon and others announce XAUTH by vendor ID alone.
bool ikev1_method_ok(
	const struct ike_credentials *creds, const struct cfg_connection *conn, uint16_t auth)
{
	const struct method *m = method_of(auth);
	enum cfg_user_auth user = conn->remote.user_auth;
	if (!m || m->initiator != conn->remote.auth || m->responder != conn->local.auth)
		return false;
	if (user != CFG_USER_NONE && user != CFG_USER_XAUTH)
		return false;
	if (m->xauth && user != CFG_USER_XAUTH)
		return false;
	if (m->responder != CFG_AUTH_CERT)
		return true;
	return certificate(creds, conn, auth, NULL) &&
	       (m->initiator != CFG_AUTH_CERT || ike_credentials_ca_count(creds) > 0);
}

uint32_t ikev1_methods_ok(const struct ike_credentials *creds, const struct cfg_connection *conn)
{
	uint32_t ok = 0;
	for (size_t i = 0; i < METHODS; i++)
		if (ikev1_method_ok(creds, conn, methods[i].auth))
			ok |= 1u << i;
	return ok;
}

bool ikev1_method_among(uint32_t ok, uint16_t auth)
{
	const struct method *m = method_of(auth);
	return m && ok & 1u << (m - methods);
}

// With a user to log in the XAUTH forms, where the key has one.
uint8_t ikev1_methods_to_offer(struct ike_exchange *x, uint16_t out[static 4])
{
	const struct cfg_connection *conn = x->sa->conn;
	struct ikev1_phase1 *p = ikev1_phase1_of(x);
	for (int xauth = conn->local.user != NULL; xauth >= 0; xauth--) {
		for (size_t i = 0; i < METHODS; i++) {
			const struct method *m = &methods[i];
			if (m->xauth != (xauth != 0) || m->initiator != conn->local.auth ||
				m->responder != conn->remote.auth)
				continue;
			if (m->initiator == CFG_AUTH_CERT) {
				p->certificate =
					certificate(x->sa->engine->p.credentials, conn, m->auth, p);
				if (!p->certificate)
					continue;
			}
			out[0] = m->auth;
			return 1;
		}
	}
	return 0;
}

// ---- HASH_I and HASH_R -------------------------------------------------------------------------

static struct view auth_hash(
	struct ike_exchange *x, bool of_initiator, uint8_t out[static IKEV1_HASH_MAX])
{
	struct ike_sa *sa = x->sa;
	struct ikev1_sa *v1 = sa->v1;
	struct ikev1_phase1 *p = ikev1_phase1_of(x);
	bool ours = of_initiator == sa->initiator;
	struct ikev1_hash_input in = {.prf = ikev1_hash_prf(v1->auth, sa->suite.prf),
		.skeyid = v1->keys.skeyid,
		.ke_i = secret_view(&v1->ke_i),
		.ke_r = secret_view(&v1->ke_r),
		.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.sa_i = secret_view(&v1->sa_i),
		.id_body = ike_id_view(ours ? &p->own : &p->peer)};
	if (ikev1_hash_auth(&in, of_initiator, out) != IKE_CRYPTO_OK)
		return (struct view){NULL, 0};
	return (struct view){out, alg_prf(in.prf)->len};
}

// ---- the peer ----------------------------------------------------------------------------------

// RFC 2409 5.4, 5.5; in hybrid mode the client's HASH shows that it has the keys, not who it is.
static enum ike_verdict verify_hash(struct ike_exchange *x, struct view want)
{
	struct ikev1_sa *v1 = x->sa->v1;
	struct ikev1_phase1 *p = ikev1_phase1_of(x);
	struct view got = x->in1.hash;
	bool good = got.len == want.len && secret_equal(got.p, want.p, want.len);
	if (!good)
		return ikev1_refuse(x, IKE_REASON_V1_BAD_HASH_AUTH);
	if (p->stranger)
		return ikev1_refuse(x, IKE_REASON_NO_PEER);
	v1->peer.proven = v1->psk && ike_psk_proves(v1->psk, ike_id_view(&v1->peer.id));
	return IKE_DONE;
}

static enum ike_verdict verify_signature(struct ike_exchange *x, struct view hash)
{
	struct ike_engine *e = x->sa->engine;
	struct ikev1_sa *v1 = x->sa->v1;
	struct view chain[WIRE_CERTS_MAX];
	struct wire_id id;
	size_t n = ike_cert_chain(x->in1.certs, x->in1.cert_count, chain);
	if (ikev1_phase1_of(x)->stranger || !e->p.credentials)
		return ikev1_refuse(x, IKE_REASON_NO_PEER);
	if (n == 0)
		return ikev1_refuse(x, IKE_REASON_NO_CERT);
	if (wire_id_parse(ike_id_view(&v1->peer.id), &id) != WIRE_OK)
		return ikev1_refuse(x, IKE_REASON_BAD_ID);
	struct ikev1_verify_input in = {
		.chain = {chain[0], chain + 1, n - 1, id.type, id.data,
			e->p.clock->wall_s(e->p.clock->ctx)},
		.auth = v1->auth,
		.sig = x->in1.sig,
		.hash = hash,
	};
	struct ike_verify_job *job = ikev1_verify_job_new(e->p.credentials, &in);
	return ike_wait_job(x, job ? &job->base.job : NULL, IKEV1_VERIFIED);
}

enum ike_verdict ikev1_proof_verify(struct ike_exchange *x)
{
	uint8_t buf[IKEV1_HASH_MAX];
	bool initiator = !x->sa->initiator;
	struct view hash = auth_hash(x, initiator, buf);
	bool sig = ikev1_signs(x->sa->v1->auth, initiator);
	if (!hash.len)
		return ikev1_refuse(x, IKE_REASON_CRYPTO);
	if (sig ? !x->in1.sig.p : !x->in1.hash.p)
		return ikev1_refuse(x, IKE_REASON_RULES);
	return sig ? verify_signature(x, hash) : verify_hash(x, hash);
}

enum ike_verdict ikev1_proof_verified(struct ike_exchange *x)
{
	if (x->got != IKE_GOT_JOB || !x->job)
		return ikev1_refuse(x, IKE_REASON_JOB_TIMEOUT);
	enum ike_crypto_error error = IKE_JOB_AS(ike_crypto_job, x->job)->error;
	if (error != IKE_CRYPTO_OK)
		return ikev1_refuse(x, ike_cert_reason(error));
	x->sa->v1->peer.proven = true;
	return IKE_DONE;
}

// ---- ourselves ---------------------------------------------------------------------------------

enum ike_reason ikev1_proof_self(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ikev1_phase1 *p = ikev1_phase1_of(x);
	p->certificate = NULL;
	if (ikev1_signs(sa->v1->auth, sa->initiator)) {
		p->certificate = certificate(sa->engine->p.credentials, sa->conn, sa->v1->auth, p);
		if (!p->certificate)
			return IKE_REASON_NO_OWN_CERT;
	}
	return ike_own_identity(sa, sa->conn, p->certificate, &p->own) ? IKE_REASON_NONE
								       : IKE_REASON_OWN_AUTH;
}

enum ike_verdict ikev1_proof_make(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ikev1_phase1 *p = ikev1_phase1_of(x);
	uint8_t buf[IKEV1_HASH_MAX];
	struct view hash = auth_hash(x, sa->initiator, buf);
	if (!hash.len)
		return ikev1_refuse(x, IKE_REASON_OWN_AUTH);
	if (ikev1_signs(sa->v1->auth, sa->initiator)) {
		struct ike_sign_job *job = ikev1_sign_job_new(p->certificate, sa->v1->auth, hash);
		return ike_wait_job(x, job ? &job->base.job : NULL, IKEV1_SIGNED);
	}
	memcpy(p->proof.bytes, hash.p, hash.len);
	p->proof.len = (uint16_t)hash.len;
	return IKE_DONE;
}

enum ike_verdict ikev1_proof_signed(struct ike_exchange *x)
{
	if (x->got != IKE_GOT_JOB || !x->job)
		return ikev1_refuse(x, IKE_REASON_JOB_TIMEOUT);
	struct ike_sign_job *job = IKE_JOB_AS(ike_sign_job, x->job);
	if (job->base.error != IKE_CRYPTO_OK)
		return ikev1_refuse(x, IKE_REASON_OWN_AUTH);
	ikev1_phase1_of(x)->proof = job->value;
	return IKE_DONE;
}

// ---- payloads ----------------------------------------------------------------------------------

void ikev1_put_id(struct ike_exchange *x)
{
	wire_put_raw(&x->out.b, IKEV1_PAYLOAD_ID, ike_id_view(&ikev1_phase1_of(x)->own));
}

void ikev1_put_proof(struct ike_exchange *x)
{
	const struct ikev1_phase1 *p = ikev1_phase1_of(x);
	bool sig = ikev1_signs(x->sa->v1->auth, x->sa->initiator);
	x->sa->v1->proof_ns = x->sa->engine->now_ns;
	if (sig && p->certificate) {
		ikev1_put_cert(&x->out.b, p->certificate->leaf);
		for (size_t i = 0; i < p->certificate->chain_count; i++)
			ikev1_put_cert(&x->out.b, p->certificate->chain[i]);
	}
	wire_put_raw(&x->out.b, sig ? IKEV1_PAYLOAD_SIG : IKEV1_PAYLOAD_HASH,
		(struct view){p->proof.bytes, p->proof.len});
}

void ikev1_read_certreqs(struct ike_exchange *x)
{
	struct ikev1_phase1 *p = ikev1_phase1_of(x);
	for (uint8_t i = 0; i < x->in1.certreq_count && p->wanted_count < WIRE_CERTREQS_MAX; i++) {
		struct wire_cert c;
		if (wire_certreq_parse(x->in1.certreqs[i], &c) != WIRE_OK ||
			c.encoding != IKEV2_CERT_X509_SIGNATURE || c.data.len == 0 ||
			c.data.len > IKEV1_WANTED_BYTES - p->wanted_len)
			continue;
		uint8_t *at = p->wanted_bytes + p->wanted_len;
		memcpy(at, c.data.p, c.data.len);
		p->wanted_len += c.data.len;
		p->wanted[p->wanted_count++] = (struct view){at, c.data.len};
	}
}

void ikev1_put_certreqs(struct ike_exchange *x)
{
	const struct ike_credentials *c = x->sa->engine->p.credentials;
	size_t count = c ? ike_credentials_ca_count(c) : 0, bytes = 0;
	for (size_t i = 0; i < count && i <= CERTREQS_MAX; i++)
		bytes += ike_credentials_ca_name(c, i).len;
	if (count > CERTREQS_MAX || bytes > CERTREQ_ROOM) {
		ikev1_put_certreq(&x->out.b, (struct view){NULL, 0});
		return;
	}
	for (size_t i = 0; i < count; i++)
		ikev1_put_certreq(&x->out.b, ike_credentials_ca_name(c, i));
}

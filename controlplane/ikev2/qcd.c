// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/ikev2/qcd.h"

// RFC 6290 5: "Tokens MUST be at least 16 octets long, and no more than 128 octets long". The shortest
// one keeps the answer that shows it smaller than what it answers.
#define TOKEN_LEN     16
#define TOKEN_LEN_MAX 128
#define TOKENS_MAX    4 // RFC 6290 4.5: "at least four" in one message

static bool enabled(const struct ike_engine *e)
{
	return e->p.qcd_secret.len > 0;
}

// RFC 6290 5.1: of the secret and both SPIs, so that it can be made again after a restart. And of our
// role: who asks with the roles exchanged names an IKE SA that is not here by the SPIs of one that is.
static bool make_token(const struct ike_engine *e, bool initiator, uint64_t spi_i, uint64_t spi_r,
	uint8_t token[static TOKEN_LEN])
{
	uint8_t full[IKE_PRF_MAX], name[17];
	struct wr w = wr_of(name, sizeof(name));
	wr_u64(&w, spi_i);
	wr_u64(&w, spi_r);
	wr_u8(&w, initiator);
	struct view part = wr_done(&w);
	if (ike_prf(PRF_HMAC_SHA2_256, e->p.qcd_secret, &part, 1, full) != IKE_CRYPTO_OK)
		return false;
	memcpy(token, full, TOKEN_LEN);
	secret_wipe(full, sizeof(full));
	return true;
}

static void put_token(struct wire_builder *b, const struct ike_engine *e, bool initiator,
	uint64_t spi_i, uint64_t spi_r)
{
	uint8_t token[TOKEN_LEN];
	if (!make_token(e, initiator, spi_i, spi_r, token))
		return;
	// RFC 6290 4.1: "Protocol ID (1 octet) MUST be 1".
	wire_open(b, IKEV2_PAYLOAD_NOTIFY);
	wr_u8(&b->w, IKEV2_PROTOCOL_IKE);
	wr_u8(&b->w, 0);
	wr_u16(&b->w, IKEV2_NOTIFY_QUICK_CRASH_DETECTION);
	wr_bytes(&b->w, token, sizeof(token));
	wire_close(b);
	secret_wipe(token, sizeof(token));
}

// ---- protected: tokens are given ---------------------------------------------------------------

// The peer's, kept with the IKE SA; a later one replaces it.
static void keep_token(struct ike_sa *sa, const struct ike_message *m)
{
	const struct wire_notify *n = wire_notify_find(m, IKEV2_NOTIFY_QUICK_CRASH_DETECTION);
	struct secret token = {0};
	if (!n || !enabled(sa->engine))
		return;
	if (n->data.len < TOKEN_LEN || n->data.len > TOKEN_LEN_MAX) {
		ike_count(sa->engine, IKE_REASON_QCD_LENGTH);
		return;
	}
	if (secret_copy(&token, n->data.p, n->data.len) < 0)
		return; // without it a crash is found out by and by
	secret_move(&sa->qcd_token, &token);
}

static void put_token_of(struct ike_exchange *x, const struct ike_sa *sa)
{
	put_token(&x->out.b, sa->engine, sa->initiator, sa->spi_i, sa->spi_r);
}

static void auth_put(struct ike_exchange *x)
{
	if (enabled(x->sa->engine))
		put_token_of(x, x->sa);
}

static void auth_read(struct ike_exchange *x)
{
	keep_token(x->sa, &x->in);
}

// RFC 6290 4.3: who answers has both new SPIs; who began does it in an exchange of its own.
static void rekey_put(struct ike_exchange *x, struct ike_sa *sa)
{
	if (!x->initiator && enabled(sa->engine))
		put_token_of(x, sa);
}

static void rekey_read(struct ike_exchange *x, struct ike_sa *sa)
{
	if (x->initiator)
		keep_token(sa, &x->in);
}

static enum ike_verdict renewal_build(struct ike_exchange *x)
{
	put_token_of(x, x->sa);
	return IKE_DONE;
}

static enum ike_verdict renewal_response(struct ike_exchange *x)
{
	return IKE_DONE;
}

static void inherit(struct ike_sa *sa, struct ike_sa *old)
{
	struct ike_task t = {
		.name = "crash detection token",
		.type = IKEV2_EXCHANGE_INFORMATIONAL,
		.build = renewal_build,
		.response = renewal_response,
	};
	// A peer that gave none has no use for one.
	if (sa->initiator && enabled(sa->engine) && old->qcd_token.len && ike_task_add(sa, &t) < 0)
		ike_count(sa->engine, IKE_REASON_NO_MEMORY);
}

// RFC 6290 4.4: "A token taker MUST accept such gratuitous QCD_TOKEN notifications as long as they are
// carried in protected exchanges."
static enum ike_verdict informational(struct ike_exchange *x)
{
	keep_token(x->sa, &x->in);
	return IKE_DONE;
}

static void release(struct ike_sa *sa)
{
	secret_fini(&sa->qcd_token);
}

// An empty request would be smaller than the answer that shows the token.
static void probe_put(struct ike_exchange *x)
{
	static const char name[] = "sallyport";
	// RFC 7296 3.12: "A Vendor ID payload may be sent as part of any message."
	if (x->sa->qcd_token.len)
		wire_put_vendor(&x->out.b, (struct view){(const uint8_t *)name, sizeof(name) - 1});
}

// ---- in clear: tokens are shown ----------------------------------------------------------------

// RFC 6290 9.1: "A token maker MUST NOT send a QCD token in an unprotected message for an existing IKE
// SA": those of other headends behind the same address bear their number.
static bool was_ours(const struct ike_engine *e, const struct ike_header *h)
{
	uint64_t spi = ike_header_initiator(h) ? h->spi_r : h->spi_i;
	return spi && h->spi_i && spi >> 60 == e->p.cfg->main.node_id;
}

static bool is_protected(const struct ike_datagram *d, const struct ike_header *h)
{
	struct ike_message outer;
	struct view payloads = {d->bytes.p + IKE_HEADER_LEN, d->bytes.len - IKE_HEADER_LEN};
	return wire_message_parse(payloads, h->next_payload, &outer) == WIRE_OK &&
	       wire_rules_check_outer(&outer) == WIRE_OK;
}

static void show(struct ike_engine *e, const struct ike_datagram *d, const struct ike_header *h)
{
	uint8_t buf[128];
	struct wire_builder b;
	struct ike_header reply = *h;
	reply.flags = IKE_FLAG_RESPONSE | (ike_header_initiator(h) ? 0 : IKE_FLAG_INITIATOR);
	wire_build_message(&b, buf, sizeof(buf), &reply);
	wire_put_notify(&b, IKEV2_NOTIFY_INVALID_IKE_SPI, (struct view){NULL, 0});
	put_token(&b, e, !ike_header_initiator(h), h->spi_i, h->spi_r);
	struct view bytes = wire_build_done(&b);
	if (bytes.len == 0 || bytes.len > d->bytes.len) {
		ike_count(e, IKE_REASON_NO_REPLY_AMPLIFY);
		return;
	}
	ike_count(e, IKE_REASON_QCD_SHOWN);
	ike_send(e, d, bytes);
}

void ikev2_qcd_show(struct ike_engine *e, const struct ike_datagram *d, const struct ike_header *h)
{
	uint32_t suppressed;
	if (!enabled(e) || ike_header_response(h) || !was_ours(e, h) || !is_protected(d, h))
		return;
	if (log_limit_pass(&e->qcd_replies, e->now_ns, &suppressed))
		show(e, d, h);
	else
		ike_count(e, IKE_REASON_QCD_LIMITED);
}

// RFC 6290 4.5: "The token is considered verified if any of the QCD_TOKEN notifications matches."
static bool verifies(const struct ike_sa *sa, const struct ike_message *m, unsigned *seen)
{
	bool good = false;
	for (uint8_t i = 0; i < m->notify_count && *seen < TOKENS_MAX; i++) {
		const struct wire_notify *n = &m->notifies[i];
		if (n->type != IKEV2_NOTIFY_QUICK_CRASH_DETECTION)
			continue;
		++*seen;
		good |= sa->qcd_token.len > 0 && n->data.len == sa->qcd_token.len &&
			secret_equal(n->data.p, sa->qcd_token.bytes, n->data.len);
	}
	return good;
}

bool ikev2_qcd_shown(struct ike_sa *sa, const struct ike_header *h, const struct ike_message *m)
{
	unsigned seen = 0;
	if (!enabled(sa->engine) || !ike_header_response(h) || m->count[IKEV2_PAYLOAD_SK] ||
		m->count[IKEV2_PAYLOAD_SKF])
		return false;
	bool good = verifies(sa, m, &seen);
	if (!seen)
		return false;
	// RFC 6290 4.5: "If the QCD_TOKEN cannot be validated, a response MUST NOT be sent".
	ike_refused(
		sa->engine, sa, &sa->remote, good ? IKE_REASON_QCD_CRASHED : IKE_REASON_QCD_BAD);
	if (good)
		ike_sa_close(sa, IKE_REASON_QCD_CRASHED);
	return true;
}

const struct ikev2_extension ikev2_qcd = {
	.name = "quick crash detection",
	.auth_put = auth_put,
	.auth_read = auth_read,
	.rekey_put = rekey_put,
	.rekey_read = rekey_read,
	.inherit = inherit,
	.informational = informational,
	.release = release,
	.probe_put = probe_put,
};

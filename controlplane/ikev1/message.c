// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKEv1's protection of messages: HASH(1), (2) and (3) over them, CBC around them (RFC 2409 5, 5.5,
// 5.7 and appendix B).
#include "controlplane/ikev1/ikev1.h"

#include <stdlib.h>

LOG_SUBSYSTEM("ike");

static bool form_encrypted(enum ikev1_form form)
{
	switch (form) {
	case IKEV1_FORM_SA:
	case IKEV1_FORM_KE:
	case IKEV1_FORM_AGGRESSIVE_1:
	case IKEV1_FORM_AGGRESSIVE_2:
	case IKEV1_FORM_CLEAR:
		return false;
	default:
		return true;
	}
}

// The forms whose first payload is a HASH over the message.
static bool form_hashed(enum ikev1_form form)
{
	return form >= IKEV1_FORM_QUICK_1 && form != IKEV1_FORM_CLEAR;
}

// RFC 2409 5.5, 5.7: HASH(1) = prf(SKEYID_a, M-ID | rest), HASH(2) = prf(SKEYID_a, M-ID | Ni_b | rest),
// HASH(3) = prf(SKEYID_a, 0 | M-ID | Ni_b | Nr_b). nonces may be NULL where none are known.
static bool hash_of(const struct ike_sa *sa, enum ikev1_form form, uint32_t message_id,
	const struct ikev1_part *nonces, struct view rest, uint8_t out[static IKEV1_HASH_MAX])
{
	uint8_t head[5] = {0}; // a zero byte, the message id
	struct wr w = wr_of(head + 1, 4);
	struct view parts[3] = {{head + 1, 4}, rest, {NULL, 0}};
	size_t n = 2;
	wr_u32(&w, message_id);
	if (form == IKEV1_FORM_QUICK_2 || form == IKEV1_FORM_QUICK_3) {
		if (!nonces)
			return false;
		parts[1] = secret_view(&nonces->ni);
		parts[2] = rest;
		n = 3;
	}
	if (form == IKEV1_FORM_QUICK_3) {
		parts[0] = (struct view){head, 5};
		parts[2] = secret_view(&nonces->nr);
	}
	return ike_prf(sa->suite.prf, sa->v1->keys.skeyid_a, parts, n, out) == IKE_CRYPTO_OK;
}

// ---- out ------------------------------------------------------------------------------------------

static size_t block_of(const struct ike_sa *sa)
{
	const struct alg_encr *a = alg_encr(sa->suite.encr.id, sa->suite.encr.key_bits);
	return a ? a->block : 1;
}

static void put_hash(struct wr *w, uint8_t next, const uint8_t *hash, size_t len)
{
	wr_u8(w, next);
	wr_u8(w, 0);
	wr_u16(w, (uint16_t)(IKE_PAYLOAD_HDR + len));
	wr_bytes(w, hash, len);
}

// Header and payloads into data, in clear; the length in the header is that of the padded message.
static void write_clear(struct ike_exchange *x, struct wr *w, size_t total)
{
	const struct ike_sa *sa = x->sa;
	struct view rest = wr_done(&x->out.b.w);
	bool hashed = form_hashed(x->v1.out);
	uint8_t hash[IKEV1_HASH_MAX];
	struct ike_header h = {.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.next_payload = hashed ? IKEV1_PAYLOAD_HASH : x->out.b.first,
		.major = IKE_MAJOR_1,
		.exchange = x->type,
		.flags = form_encrypted(x->v1.out) ? IKEV1_FLAG_ENCRYPTED : 0,
		.message_id = x->message_id,
		.length = (uint32_t)total};
	wire_header_build(w, &h);
	if (hashed) {
		if (!hash_of(sa, x->v1.out, x->message_id, &x->v1, rest, hash))
			w->overflow = true;
		put_hash(w, x->out.b.first, hash, alg_prf(sa->suite.prf)->len);
	}
	// HASH(3) is all that a third quick mode message says; what else was built goes with it.
	wr_view(w, rest);
}

struct ike_sent *ikev1_seal(struct ike_exchange *x, enum ike_reason *why)
{
	struct ike_sa *sa = x->sa;
	bool encrypted = form_encrypted(x->v1.out);
	const struct alg_prf *prf = alg_prf(sa->suite.prf);
	uint8_t *data;
	*why = IKE_REASON_NO_KEYS;
	if (encrypted && (!sa->has_keys || !prf))
		return NULL;
	*why = IKE_REASON_NO_MEMORY;
	struct view built = wire_build_done(&x->out.b);
	if (!built.p && x->out.b.w.overflow)
		return NULL;
	size_t body = built.len + (form_hashed(x->v1.out) ? IKE_PAYLOAD_HDR + prf->len : 0);
	size_t block = encrypted ? block_of(sa) : 1;
	size_t padded = (body + block - 1) / block * block;
	struct ike_sent *s = ike_sent_new(1, IKE_HEADER_LEN + padded, &data);
	if (!s)
		return NULL;
	struct wr w = wr_of(data, IKE_HEADER_LEN + padded);
	write_clear(x, &w, IKE_HEADER_LEN + padded);
	wr_zero(&w, padded - body);
	*why = IKE_REASON_CRYPTO;
	if (w.overflow || (encrypted && ikev1_encrypt(&sa->suite, sa->v1->keys.encr, x->v1.iv,
						data + IKE_HEADER_LEN, padded) != IKE_CRYPTO_OK)) {
		ike_sent_free(s);
		return NULL;
	}
	s->datagrams[0] = (struct view){data, w.len};
	return s;
}

// ---- in -------------------------------------------------------------------------------------------

static enum ike_reason decrypt(struct ikev1_opening *o, struct view body)
{
	struct ike_sa *sa = o->sa;
	struct ike_engine *e = sa->engine;
	if (!sa->has_keys)
		return IKE_REASON_NO_KEYS;
	if (o->x)
		memcpy(o->iv, o->x->v1.iv, sizeof(o->iv));
	else if (ikev1_iv_phase2(&sa->suite, sa->v1->iv, o->h->message_id, o->iv) != IKE_CRYPTO_OK)
		return IKE_REASON_CRYPTO;
	if (body.len > IKE_FRAGMENT_BYTES_MAX)
		return IKE_REASON_BAD_LENGTH;
	enum ike_crypto_error err =
		ikev1_decrypt(&sa->suite, sa->v1->keys.encr, o->iv, body, e->plain);
	o->plain = (struct view){e->plain, body.len};
	if (err == IKE_CRYPTO_OK)
		return IKE_REASON_NONE;
	return err == IKE_CRYPTO_SHORT ? IKE_REASON_V1_GARBLED : IKE_REASON_CRYPTO;
}

static bool hash_good(const struct ikev1_opening *o, const struct ikev1_message *m)
{
	uint8_t hash[IKEV1_HASH_MAX];
	size_t len = alg_prf(o->sa->suite.prf)->len;
	struct view rest = {o->plain.p + m->after_hash, m->end - m->after_hash};
	if (o->form == IKEV1_FORM_QUICK_3)
		rest = (struct view){NULL, 0};
	if (!m->after_hash || m->hash.len != len ||
		!hash_of(o->sa, o->form, o->h->message_id, o->x ? &o->x->v1 : NULL, rest, hash))
		return false;
	bool good = secret_equal(hash, m->hash.p, len);
	secret_wipe(hash, sizeof(hash));
	return good;
}

// The counters do not say which payload it was.
static enum ike_reason bad_payload(
	const struct ikev1_opening *o, enum wire_error err, uint8_t culprit)
{
	char text[IKE_SA_TEXT_MAX];
	log_debug("%s %s message, payload %s (%u): %s", ike_sa_text(o->sa, text),
		ikev1_exchange_name(o->h->exchange), ikev1_payload_name(culprit), culprit,
		wire_error_text(err));
	return ike_reason_of(err);
}

enum ike_reason ikev1_open(
	struct ikev1_opening *o, const struct ike_datagram *d, struct ikev1_message *m)
{
	struct view body = {d->bytes.p + IKE_HEADER_LEN, d->bytes.len - IKE_HEADER_LEN};
	bool encrypted = o->h->flags & IKEV1_FLAG_ENCRYPTED;
	enum ike_reason why = IKE_REASON_NONE;
	uint8_t culprit = 0;
	o->plain = body;
	// RFC 2409 5: aggressive mode's last message may come in clear as well.
	if (encrypted != form_encrypted(o->form) && o->form != IKEV1_FORM_AGGRESSIVE_3)
		return encrypted ? IKE_REASON_BAD_FLAGS : IKE_REASON_NOT_PROTECTED;
	if (o->x)
		memcpy(o->iv, o->x->v1.iv, sizeof(o->iv));
	if (encrypted)
		why = decrypt(o, body);
	if (why)
		return why;
	enum wire_error err = ikev1_message_parse(o->plain, o->h->next_payload, m);
	if (err != WIRE_OK)
		return encrypted ? IKE_REASON_V1_GARBLED : bad_payload(o, err, m->culprit);
	if (!encrypted && m->end < o->plain.len)
		ike_count(o->sa->engine, IKE_REASON_V1_TRAILING);
	if (form_hashed(o->form) && !hash_good(o, m))
		return IKE_REASON_V1_HASH;
	err = ikev1_rules_check(m, o->form, &culprit);
	return err == WIRE_OK ? IKE_REASON_NONE : bad_payload(o, err, culprit);
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKEv1's SA payload, RFC 2408 3.4 to 3.6: proposals, transforms, and their attributes (RFC 2409
// appendix A, RFC 2407 4.5).
#include "controlplane/wire/ikev1_parts.h"

#define MORE_PROPOSALS    2
#define MORE_TRANSFORMS   3
#define PROPOSAL_LEN      8  // bytes, without SPI
#define TRANSFORM_LEN     8  // bytes, without attributes
#define ISAKMP_SPI_MAX    16 // bytes
#define GROUP_TYPE_MODP   1
#define GROUP_TYPE_ECP    2
#define ESN_64_BIT        1
#define LIFE_SEEN(type)   (1u << (16 + (type))) // in reading.seen, beside the attributes' numbers
#define ATTRIBUTE_NUMBERS 16

// The attributes of one transform, as they are read.
struct reading {
	struct ikev1_transform *t;
	bool phase1;
	uint32_t seen;
	uint16_t life_type; // of a life type whose duration is due
	uint16_t encr;
	uint16_t key_bits; // 0: not said
};

static bool take_life_type(struct reading *r, uint64_t value)
{
	bool known = value == IKEV1_LIFE_SECONDS || value == IKEV1_LIFE_KILOBYTES;
	if (r->life_type || !known || (r->seen & LIFE_SEEN(value)))
		return false;
	r->life_type = (uint16_t)value;
	r->seen |= LIFE_SEEN(value);
	return true;
}

// RFC 2407 4.5: "An SA Life Duration attribute MUST always follow an SA Life Type which describes the
// units of duration."
static bool take_life_duration(struct reading *r, uint64_t value)
{
	if (!r->life_type)
		return false;
	if (r->life_type == IKEV1_LIFE_SECONDS)
		r->t->life_s = value;
	else
		r->t->life_kb = value;
	r->life_type = 0;
	return true;
}

static bool take_group(struct reading *r, uint64_t value)
{
	if (value > UINT16_MAX || !alg_dh((uint16_t)value))
		return false;
	r->t->suite.dh = (uint16_t)value;
	return true;
}

static bool take_key_length(struct reading *r, uint64_t value)
{
	if (value == 0 || value > UINT16_MAX)
		return false;
	r->key_bits = (uint16_t)value;
	return true;
}

static bool take_ike(struct reading *r, uint16_t type, uint64_t value)
{
	struct suite *s = &r->t->suite;
	switch (type) {
	case IKEV1_IKE_ENCR:
		r->encr = ikev1_alg_id(IKEV1_REG_IKE_ENCR, value);
		return r->encr != 0;
	case IKEV1_IKE_HASH:
		s->prf = ikev1_alg_id(IKEV1_REG_IKE_HASH, value);
		s->integ = ikev1_alg_id(IKEV1_REG_IKE_HASH_INTEG, value);
		return s->prf != 0;
	case IKEV1_IKE_AUTH:
		r->t->auth = (uint16_t)value;
		return value <= UINT16_MAX;
	case IKEV1_IKE_GROUP:
		return take_group(r, value);
	case IKEV1_IKE_GROUP_TYPE: // the group's number says it all
		return value == GROUP_TYPE_MODP || value == GROUP_TYPE_ECP;
	case IKEV1_IKE_KEY_LENGTH:
		return take_key_length(r, value);
	default:
		// Parameters of private groups; a PRF of its own, which none was ever assigned for.
		return false;
	}
}

static bool take_esp(struct reading *r, uint16_t type, uint64_t value)
{
	switch (type) {
	case IKEV1_ESP_GROUP:
		return take_group(r, value);
	case IKEV1_ESP_ENCAP:
		r->t->encap = (uint16_t)value;
		return value <= UINT16_MAX;
	case IKEV1_ESP_AUTH:
		r->t->suite.integ = ikev1_alg_id(IKEV1_REG_ESP_AUTH, value);
		return r->t->suite.integ != 0;
	case IKEV1_ESP_KEY_LENGTH:
		return take_key_length(r, value);
	case IKEV1_ESP_ESN: // RFC 4304 3
		r->t->suite.esn = true;
		return value == ESN_64_BIT;
	default:
		return false;
	}
}

static bool take(struct reading *r, const struct ikev1_attr *a)
{
	uint64_t value;
	bool life_type = a->type == (r->phase1 ? IKEV1_IKE_LIFE_TYPE : IKEV1_ESP_LIFE_TYPE);
	bool duration = a->type == (r->phase1 ? IKEV1_IKE_LIFE_DURATION : IKEV1_ESP_LIFE_DURATION);
	if (!ikev1_attr_value(a, &value))
		return false;
	if (life_type)
		return take_life_type(r, value);
	if (duration)
		return take_life_duration(r, value);
	if (a->type >= ATTRIBUTE_NUMBERS || (r->seen & 1u << a->type))
		return false;
	r->seen |= 1u << a->type;
	return r->phase1 ? take_ike(r, a->type, value) : take_esp(r, a->type, value);
}

static bool take_encr(struct reading *r)
{
	const struct alg_encr *alg = alg_encr(r->encr, r->key_bits);
	// A length with a cipher that has but one must at least be true.
	if (!alg || (alg->fixed_key && r->key_bits && r->key_bits != alg->key_bits))
		return false;
	r->t->suite.encr = (struct proposal_encr){alg->id, alg->key_bits};
	if (r->phase1)
		return r->t->suite.prf != 0;
	// An AEAD comes without an authentication algorithm (RFC 4106); no other cipher does.
	return (alg->icv_len != 0) == (r->t->suite.integ == INTEG_NONE);
}

// RFC 2409 4, of cipher, hash, method and group: "All of these attributes are mandatory and MUST be
// negotiated."
static bool whole(struct reading *r)
{
	bool ike = r->t->id == IKEV1_TRANSFORM_KEY_IKE && r->t->auth && r->t->suite.dh != DH_NONE;
	return r->life_type == 0 && (!r->phase1 || ike) && take_encr(r);
}

// False: the bytes are no whole attributes. What is not understood makes the transform unusable.
static bool read_attributes(struct ikev1_transform *t, bool phase1)
{
	struct rd attrs = rd_view(t->attrs);
	struct reading r = {.t = t, .phase1 = phase1};
	struct ikev1_attr a;
	if (!phase1)
		r.encr = ikev1_alg_id(IKEV1_REG_ESP_ENCR, t->id);
	while (!rd_empty(&attrs)) {
		if (!ikev1_attr_read(&attrs, &a))
			return false;
		if (!take(&r, &a))
			t->unusable = true;
	}
	if (!whole(&r))
		t->unusable = true;
	return true;
}

static bool parse_transform(struct rd *r, bool last, bool phase1, struct ikev1_transform *t)
{
	uint8_t more, reserved;
	uint16_t length, reserved2;
	struct rd body;
	*t = (struct ikev1_transform){0};
	if (!rd_u8(r, &more) || !rd_u8(r, &reserved) || !rd_u16(r, &length))
		return false;
	if (more != (last ? 0 : MORE_TRANSFORMS) || length < TRANSFORM_LEN ||
		!rd_sub(r, (size_t)length - 4, &body))
		return false;
	if (!rd_u8(&body, &t->number) || !rd_u8(&body, &t->id) || !rd_u16(&body, &reserved2))
		return false;
	t->attrs = rd_rest(&body);
	return read_attributes(t, phase1);
}

// RFC 2408 3.5: in phase 1 the SPI's size "MAY be from zero (0) to sixteen (16)" and its content
// "MUST be ignored".
static bool parse_spi(struct rd *r, bool phase1, struct ikev1_proposal *p)
{
	if (phase1) {
		p->unusable = p->protocol != IKEV1_PROTOCOL_ISAKMP || p->spi_len > ISAKMP_SPI_MAX;
		return rd_skip(r, p->spi_len);
	}
	if (p->protocol != IKEV1_PROTOCOL_ESP || p->spi_len != 4) {
		p->unusable = true;
		return rd_skip(r, p->spi_len);
	}
	if (!rd_u32(r, &p->spi))
		return false;
	p->unusable = p->spi == 0;
	return true;
}

static enum wire_error parse_transforms(
	struct rd *r, bool phase1, struct ikev1_sa_offer *out, struct ikev1_proposal *p)
{
	if (p->count > IKEV1_TRANSFORMS_MAX - out->transform_count)
		return WIRE_TOO_MANY_TRANSFORMS;
	p->first = out->transform_count;
	for (uint8_t i = 0; i < p->count; i++) {
		struct ikev1_transform *t = &out->transforms[out->transform_count++];
		if (!parse_transform(r, i + 1 == p->count, phase1, t))
			return WIRE_MALFORMED_SA;
	}
	return rd_empty(r) ? WIRE_OK : WIRE_MALFORMED_SA;
}

static enum wire_error parse_proposal(struct rd *r, bool phase1, struct ikev1_sa_offer *out)
{
	struct ikev1_proposal *p = &out->items[out->count];
	uint8_t more, reserved;
	uint16_t length;
	struct rd body;
	*p = (struct ikev1_proposal){0};
	if (!rd_u8(r, &more) || !rd_u8(r, &reserved) || !rd_u16(r, &length) ||
		length < PROPOSAL_LEN || !rd_sub(r, (size_t)length - 4, &body))
		return WIRE_MALFORMED_SA;
	if (more != (rd_empty(r) ? 0 : MORE_PROPOSALS))
		return WIRE_MALFORMED_SA;
	if (!rd_u8(&body, &p->number) || !rd_u8(&body, &p->protocol) ||
		!rd_u8(&body, &p->spi_len) || !rd_u8(&body, &p->count) ||
		!parse_spi(&body, phase1, p))
		return WIRE_MALFORMED_SA;
	out->count++;
	return parse_transforms(&body, phase1, out, p);
}

// RFC 2408 4.2: proposals of one number are to be had together.
static void refuse_joined(struct ikev1_sa_offer *o)
{
	for (uint8_t i = 0; i < o->count; i++)
		for (uint8_t j = 0; j < o->count; j++)
			if (i != j && o->items[i].number == o->items[j].number)
				o->items[i].unusable = true;
}

enum wire_error ikev1_sa_parse(struct view body, bool phase1, struct ikev1_sa_offer *out)
{
	struct rd r = rd_view(body);
	uint32_t doi, situation;
	out->count = 0;
	out->transform_count = 0;
	if (!rd_u32(&r, &doi) || !rd_u32(&r, &situation) || doi != IKEV1_DOI_IPSEC ||
		situation != IKEV1_SIT_IDENTITY_ONLY || rd_empty(&r))
		return WIRE_MALFORMED_SA;
	while (!rd_empty(&r)) {
		if (out->count == IKEV1_PROPOSALS_MAX)
			return WIRE_TOO_MANY_PROPOSALS;
		enum wire_error e = parse_proposal(&r, phase1, out);
		if (e != WIRE_OK)
			return e;
	}
	refuse_joined(out);
	return WIRE_OK;
}

bool ikev1_lifetime_parse(struct view data, bool phase1, struct ikev1_lifetime *out)
{
	struct rd r = rd_view(data);
	struct ikev1_transform t = {0};
	struct reading reading = {.t = &t, .phase1 = phase1};
	struct ikev1_attr a;
	if (rd_empty(&r))
		return false;
	while (!rd_empty(&r))
		if (!ikev1_attr_read(&r, &a) || !take(&reading, &a))
			return false;
	if (reading.life_type)
		return false;
	*out = (struct ikev1_lifetime){t.life_s, t.life_kb};
	return true;
}

// ---- Build ----

// An SA payload as it grows. Offsets of the latest proposal and transform; SIZE_MAX: none yet.
struct sa_out {
	struct wire_builder *b;
	size_t proposal, transform;
	uint8_t proposals;
	uint8_t transforms; // of the latest proposal
	uint8_t total;
};

static struct sa_out open_sa(struct wire_builder *b)
{
	wire_open(b, IKEV1_PAYLOAD_SA);
	wr_u32(&b->w, IKEV1_DOI_IPSEC);
	wr_u32(&b->w, IKEV1_SIT_IDENTITY_ONLY);
	return (struct sa_out){.b = b, .proposal = SIZE_MAX, .transform = SIZE_MAX};
}

static void open_proposal(struct sa_out *o, uint8_t number, uint8_t protocol, uint32_t spi)
{
	struct wr *w = &o->b->w;
	bool esp = protocol == IKEV1_PROTOCOL_ESP;
	if (o->proposal != SIZE_MAX)
		wr_patch_u8(w, o->proposal, MORE_PROPOSALS);
	o->proposal = wr_mark(w);
	o->transform = SIZE_MAX;
	o->transforms = 0;
	o->proposals++;
	wr_u32(w, 0);
	wr_u8(w, number);
	wr_u8(w, protocol);
	wr_u8(w, esp ? 4 : 0);
	wr_u8(w, 0);
	if (esp)
		wr_u32(w, spi);
}

static void open_transform(struct sa_out *o, uint8_t number, uint8_t id)
{
	struct wr *w = &o->b->w;
	if (o->transform != SIZE_MAX)
		wr_patch_u8(w, o->transform, MORE_TRANSFORMS);
	o->transform = wr_mark(w);
	o->transforms++;
	o->total++;
	wr_u32(w, 0);
	wr_u8(w, number);
	wr_u8(w, id);
	wr_u16(w, 0);
}

// The lengths of the transform and of the proposal so far.
static void close_transform(struct sa_out *o)
{
	struct wr *w = &o->b->w;
	wr_patch_u16(w, o->transform + 2, (uint16_t)(wr_mark(w) - o->transform));
	wr_patch_u16(w, o->proposal + 2, (uint16_t)(wr_mark(w) - o->proposal));
	wr_patch_u8(w, o->proposal + 7, o->transforms);
}

static void put_limit(struct wire_builder *b, bool phase1, uint16_t unit, uint32_t value)
{
	uint16_t type = phase1 ? IKEV1_IKE_LIFE_TYPE : IKEV1_ESP_LIFE_TYPE;
	uint16_t duration = phase1 ? IKEV1_IKE_LIFE_DURATION : IKEV1_ESP_LIFE_DURATION;
	uint8_t four[4];
	struct wr w = wr_of(four, sizeof(four));
	wr_u32(&w, value);
	ikev1_put_attr_basic(b, type, unit);
	if (value <= UINT16_MAX)
		ikev1_put_attr_basic(b, duration, (uint16_t)value);
	else
		ikev1_put_attr(b, duration, wr_done(&w));
}

static void put_life(struct wire_builder *b, bool phase1, uint32_t life_s)
{
	put_limit(b, phase1, IKEV1_LIFE_SECONDS, life_s);
}

static uint32_t of_32_bits(uint64_t value)
{
	return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

size_t ikev1_lifetime_data(uint8_t *buf, size_t cap, bool phase1, const struct ikev1_lifetime *life)
{
	struct wire_builder b;
	wire_build_begin(&b, buf, cap);
	if (life->seconds)
		put_life(&b, phase1, of_32_bits(life->seconds));
	if (life->kilobytes)
		put_limit(&b, phase1, IKEV1_LIFE_KILOBYTES, of_32_bits(life->kilobytes));
	return wire_build_done(&b).len;
}

static void put_key_length(struct wire_builder *b, uint16_t type, const struct proposal_encr *e)
{
	const struct alg_encr *alg = alg_encr(e->id, e->key_bits);
	if (alg && !alg->fixed_key)
		ikev1_put_attr_basic(b, type, alg->key_bits);
}

static void put_ike_transform(
	struct sa_out *o, const struct suite *s, uint16_t auth, const struct ikev1_ike_offer *offer)
{
	uint16_t cipher = ikev1_alg_number(IKEV1_REG_IKE_ENCR, s->encr.id);
	uint16_t hash = ikev1_alg_number(IKEV1_REG_IKE_HASH, s->prf);
	bool group = offer->group == DH_NONE || offer->group == s->dh;
	if (!cipher || !hash || !group || o->total == IKEV1_TRANSFORMS_MAX)
		return;
	if (!o->proposals)
		open_proposal(o, 1, IKEV1_PROTOCOL_ISAKMP, 0);
	open_transform(o, (uint8_t)(o->transforms + 1), IKEV1_TRANSFORM_KEY_IKE);
	ikev1_put_attr_basic(o->b, IKEV1_IKE_ENCR, cipher);
	put_key_length(o->b, IKEV1_IKE_KEY_LENGTH, &s->encr);
	ikev1_put_attr_basic(o->b, IKEV1_IKE_HASH, hash);
	ikev1_put_attr_basic(o->b, IKEV1_IKE_GROUP, s->dh);
	ikev1_put_attr_basic(o->b, IKEV1_IKE_AUTH, auth);
	if (offer->life_s)
		put_life(o->b, true, offer->life_s);
	close_transform(o);
}

static void put_ike_proposal(struct sa_out *o, const struct proposal *p, uint16_t auth,
	const struct ikev1_ike_offer *offer)
{
	for (uint8_t e = 0; e < p->encr_count; e++)
		for (uint8_t h = 0; h < p->prf_count; h++)
			for (uint8_t g = 0; g < p->dh_count; g++) {
				struct suite s = {
					.encr = p->encr[e], .prf = p->prf[h], .dh = p->dh[g]};
				put_ike_transform(o, &s, auth, offer);
			}
}

// An SA payload that offers nothing must not leave.
static void close_sa(struct sa_out *o)
{
	if (!o->total)
		o->b->w.overflow = true;
	wire_close(o->b);
}

void ikev1_build_ike(struct wire_builder *b, const struct ikev1_ike_offer *offer)
{
	struct sa_out o = open_sa(b);
	for (uint8_t a = 0; a < offer->auth_count; a++)
		for (size_t i = 0; i < offer->count; i++)
			put_ike_proposal(&o, &offer->mine[i], offer->auths[a], offer);
	close_sa(&o);
}

static void put_esp_transform(struct sa_out *o, bool *opened, const struct suite *s,
	const struct ikev1_esp_offer *offer, uint16_t encap)
{
	uint16_t id = ikev1_alg_number(IKEV1_REG_ESP_ENCR, s->encr.id);
	uint16_t auth = ikev1_alg_number(IKEV1_REG_ESP_AUTH, s->integ);
	if (!id || (s->integ != INTEG_NONE && !auth) || o->total == IKEV1_TRANSFORMS_MAX)
		return;
	if (!*opened)
		open_proposal(o, (uint8_t)(o->proposals + 1), IKEV1_PROTOCOL_ESP, offer->spi);
	*opened = true;
	open_transform(o, (uint8_t)(o->transforms + 1), (uint8_t)id);
	put_key_length(o->b, IKEV1_ESP_KEY_LENGTH, &s->encr);
	if (s->integ != INTEG_NONE)
		ikev1_put_attr_basic(o->b, IKEV1_ESP_AUTH, auth);
	ikev1_put_attr_basic(o->b, IKEV1_ESP_ENCAP, encap);
	if (s->dh != DH_NONE)
		ikev1_put_attr_basic(o->b, IKEV1_ESP_GROUP, s->dh);
	if (s->esn)
		ikev1_put_attr_basic(o->b, IKEV1_ESP_ESN, ESN_64_BIT);
	if (offer->life_s)
		put_life(o->b, false, offer->life_s);
	close_transform(o);
}

static bool has_group(const struct proposal *p, uint16_t dh)
{
	for (uint8_t i = 0; i < p->dh_count; i++)
		if (p->dh[i] == dh)
			return true;
	return dh == DH_NONE;
}

static void put_esp_transforms(struct sa_out *o, bool *opened, const struct proposal *p,
	const struct ikev1_esp_offer *offer, uint16_t encap)
{
	uint8_t integs = p->aead ? 1 : p->integ_count;
	for (uint8_t e = 0; e < p->encr_count; e++)
		for (uint8_t i = 0; i < integs; i++)
			for (int esn = offer->esn; esn >= 0; esn--) {
				struct suite s = {.encr = p->encr[e],
					.integ = p->aead ? INTEG_NONE : p->integ[i],
					.dh = offer->dh,
					.esn = esn};
				put_esp_transform(o, opened, &s, offer, encap);
			}
}

static void put_esp_proposal(
	struct sa_out *o, const struct proposal *p, const struct ikev1_esp_offer *offer)
{
	bool opened = false;
	if (!has_group(p, offer->dh) || o->proposals == IKEV1_PROPOSALS_MAX)
		return;
	put_esp_transforms(o, &opened, p, offer, offer->encap);
	if (offer->encap_else)
		put_esp_transforms(o, &opened, p, offer, offer->encap_else);
}

void ikev1_build_esp(struct wire_builder *b, const struct ikev1_esp_offer *offer)
{
	struct sa_out o = open_sa(b);
	for (size_t i = 0; i < offer->count; i++)
		put_esp_proposal(&o, &offer->mine[i], offer);
	close_sa(&o);
}

void ikev1_build_choice(struct wire_builder *b, const struct ikev1_choice *c, uint32_t spi)
{
	struct sa_out o = open_sa(b);
	open_proposal(&o, c->proposal.number, c->proposal.protocol, spi);
	open_transform(&o, c->transform.number, c->transform.id);
	wr_view(&b->w, c->transform.attrs);
	close_transform(&o);
	close_sa(&o);
}

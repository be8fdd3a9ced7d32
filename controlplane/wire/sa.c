// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The SA payload, RFC 7296 3.3: proposals, transforms and their attributes, both ways.
#include "controlplane/wire/wire.h"

#define MORE_PROPOSALS  2
#define MORE_TRANSFORMS 3
#define ATTRIBUTE_TV    0x8000 // the value stands in the length's place
#define KEY_LENGTH      14
#define TRANSFORM_LEN   8 // bytes, without attributes

// Attributes of one transform. RFC 7296 3.3.6: an attribute that is not understood makes the
// transform unacceptable, not the message.
static bool parse_attributes(struct rd *r, struct wire_transform *t)
{
	while (!rd_empty(r)) {
		uint16_t type, value;
		struct view ignored;
		if (!rd_u16(r, &type) || !rd_u16(r, &value))
			return false;
		if (!(type & ATTRIBUTE_TV) && !rd_bytes(r, value, &ignored))
			return false;
		if (type != (ATTRIBUTE_TV | KEY_LENGTH) || t->key_length ||
			t->type != TRANSFORM_ENCR) {
			t->unusable = true;
			continue;
		}
		t->key_length = true;
		t->key_bits = value;
	}
	return true;
}

static bool parse_transform(struct rd *r, bool last, struct wire_transform *t)
{
	uint8_t more, reserved;
	uint16_t length;
	struct rd body;
	*t = (struct wire_transform){0};
	if (!rd_u8(r, &more) || !rd_u8(r, &reserved) || !rd_u16(r, &length))
		return false;
	if (more != (last ? 0 : MORE_TRANSFORMS) || length < TRANSFORM_LEN ||
		!rd_sub(r, length - 4, &body))
		return false;
	return rd_u8(&body, &t->type) && rd_u8(&body, &reserved) && rd_u16(&body, &t->id) &&
	       parse_attributes(&body, t);
}

static bool parse_spi(struct rd *r, struct wire_proposal *p)
{
	uint32_t spi4;
	switch (p->spi_len) {
	case 0:
		return true;
	case 4:
		if (!rd_u32(r, &spi4))
			return false;
		p->spi = spi4;
		return true;
	case 8:
		return rd_u64(r, &p->spi);
	default:
		p->unusable = true;
		return rd_skip(r, p->spi_len);
	}
}

static enum wire_error parse_transforms(
	struct rd *r, uint8_t count, struct wire_proposals *out, struct wire_proposal *p)
{
	p->first = out->transform_count;
	p->count = count;
	if (count > WIRE_TRANSFORMS_MAX - out->transform_count)
		return WIRE_TOO_MANY_TRANSFORMS;
	for (uint8_t i = 0; i < count; i++) {
		struct wire_transform *t = &out->transforms[out->transform_count++];
		if (!parse_transform(r, i + 1 == count, t))
			return WIRE_MALFORMED_SA;
		// RFC 7296 3.3.6: "a Transform Type it does not understand ... MUST consider this
		// proposal unacceptable".
		if (t->type < TRANSFORM_ENCR || t->type > TRANSFORM_ESN)
			p->unusable = true;
	}
	return rd_empty(r) ? WIRE_OK : WIRE_MALFORMED_SA;
}

static enum wire_error parse_proposal(struct rd *r, struct wire_proposals *out)
{
	struct wire_proposal *p = &out->items[out->count];
	uint8_t more, reserved, transforms;
	uint16_t length;
	struct rd body;
	*p = (struct wire_proposal){0};
	if (!rd_u8(r, &more) || !rd_u8(r, &reserved) || !rd_u16(r, &length) || length < 8 ||
		!rd_sub(r, length - 4, &body))
		return WIRE_MALFORMED_SA;
	if (more != (rd_empty(r) ? 0 : MORE_PROPOSALS))
		return WIRE_MALFORMED_SA;
	if (!rd_u8(&body, &p->number) || !rd_u8(&body, &p->protocol) ||
		!rd_u8(&body, &p->spi_len) || !rd_u8(&body, &transforms) || !parse_spi(&body, p))
		return WIRE_MALFORMED_SA;
	out->count++;
	return parse_transforms(&body, transforms, out, p);
}

enum wire_error wire_sa_parse(struct view body, struct wire_proposals *out)
{
	struct rd r = rd_view(body);
	out->count = 0;
	out->transform_count = 0;
	if (rd_empty(&r))
		return WIRE_MALFORMED_SA;
	while (!rd_empty(&r)) {
		if (out->count == WIRE_PROPOSALS_MAX)
			return WIRE_TOO_MANY_PROPOSALS;
		enum wire_error e = parse_proposal(&r, out);
		if (e != WIRE_OK)
			return e;
	}
	return WIRE_OK;
}

// ---- Build ----

struct proposal_out {
	struct wr *w;
	size_t start;          // of the proposal
	size_t last_transform; // start of the latest one; SIZE_MAX: none yet
	uint8_t transforms;
};

static struct proposal_out open_proposal(
	struct wr *w, uint8_t number, uint8_t protocol, uint8_t spi_len, uint64_t spi)
{
	struct proposal_out o = {w, wr_mark(w), SIZE_MAX, 0};
	wr_u8(w, 0);
	wr_u8(w, 0);
	wr_u16(w, 0);
	wr_u8(w, number);
	wr_u8(w, protocol);
	wr_u8(w, spi_len);
	wr_u8(w, 0);
	if (spi_len == 8)
		wr_u64(w, spi);
	else if (spi_len == 4)
		wr_u32(w, (uint32_t)spi);
	return o;
}

static void put_transform(struct proposal_out *o, const struct wire_transform *t)
{
	if (o->last_transform != SIZE_MAX)
		wr_patch_u8(o->w, o->last_transform, MORE_TRANSFORMS);
	o->last_transform = wr_mark(o->w);
	o->transforms++;
	wr_u8(o->w, 0);
	wr_u8(o->w, 0);
	wr_u16(o->w, (uint16_t)(TRANSFORM_LEN + (t->key_length ? 4 : 0)));
	wr_u8(o->w, t->type);
	wr_u8(o->w, 0);
	wr_u16(o->w, t->id);
	if (t->key_length) {
		wr_u16(o->w, ATTRIBUTE_TV | KEY_LENGTH);
		wr_u16(o->w, t->key_bits);
	}
}

static void put_plain(struct proposal_out *o, uint8_t type, uint16_t id)
{
	put_transform(o, &(struct wire_transform){.type = type, .id = id});
}

static void close_proposal(struct proposal_out *o, bool last)
{
	wr_patch_u8(o->w, o->start, last ? 0 : MORE_PROPOSALS);
	wr_patch_u16(o->w, o->start + 2, (uint16_t)(wr_mark(o->w) - o->start));
	wr_patch_u8(o->w, o->start + 7, o->transforms);
}

static void put_encr(struct proposal_out *o, const struct proposal_encr *encr)
{
	const struct alg_encr *alg = alg_encr(encr->id, encr->key_bits);
	bool key_length = alg && !alg->fixed_key;
	put_transform(o, &(struct wire_transform){.type = TRANSFORM_ENCR,
				 .id = encr->id,
				 .key_length = key_length,
				 .key_bits = key_length ? alg->key_bits : 0});
}

static void put_groups(
	struct proposal_out *o, const struct proposal *p, const struct wire_sa_policy *policy)
{
	bool ike = policy->protocol == IKEV2_PROTOCOL_IKE;
	if (!ike && (policy->pfs == WIRE_PFS_IGNORE || policy->pfs == WIRE_PFS_NO))
		return;
	for (uint8_t i = 0; i < p->dh_count; i++)
		put_plain(o, TRANSFORM_DH, p->dh[i]);
	if (!ike && policy->pfs == WIRE_PFS_OPTIONAL && p->dh_count)
		put_plain(o, TRANSFORM_DH, DH_NONE);
}

void wire_build_sa(struct wire_builder *b, const struct proposal *mine, size_t count,
	const struct wire_sa_policy *policy, uint64_t spi)
{
	wire_open(b, IKEV2_PAYLOAD_SA);
	for (size_t i = 0; i < count; i++) {
		const struct proposal *p = &mine[i];
		struct proposal_out o = open_proposal(
			&b->w, (uint8_t)(i + 1), policy->protocol, policy->spi_len, spi);
		for (uint8_t j = 0; j < p->encr_count; j++)
			put_encr(&o, &p->encr[j]);
		if (policy->protocol == IKEV2_PROTOCOL_IKE)
			for (uint8_t j = 0; j < p->prf_count; j++)
				put_plain(&o, TRANSFORM_PRF, p->prf[j]);
		for (uint8_t j = 0; j < p->integ_count && !p->aead; j++)
			put_plain(&o, TRANSFORM_INTEG, p->integ[j]);
		put_groups(&o, p, policy);
		if (policy->protocol == IKEV2_PROTOCOL_ESP) {
			if (policy->esn)
				put_plain(&o, TRANSFORM_ESN, 1);
			put_plain(&o, TRANSFORM_ESN, 0);
		}
		close_proposal(&o, i + 1 == count);
	}
	wire_close(b);
}

void wire_build_choice(struct wire_builder *b, const struct wire_choice *c, uint64_t spi)
{
	wire_open(b, IKEV2_PAYLOAD_SA);
	struct proposal_out o = open_proposal(&b->w, c->number, c->protocol, c->spi_len, spi);
	for (uint8_t i = 0; i < c->transform_count; i++)
		put_transform(&o, &c->transforms[i]);
	close_proposal(&o, true);
	wire_close(b);
}

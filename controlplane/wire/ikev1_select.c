// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The choice of an IKEv1 transform, RFC 2408 4.2, RFC 2409 5 and 5.5.
#include "controlplane/wire/ikev1.h"

static bool listed(const uint16_t *list, uint8_t count, uint16_t id)
{
	for (uint8_t i = 0; i < count; i++)
		if (list[i] == id)
			return true;
	return false;
}

static bool encr_listed(const struct proposal *mine, const struct proposal_encr *theirs)
{
	const struct alg_encr *alg = alg_encr(theirs->id, theirs->key_bits);
	for (uint8_t i = 0; i < mine->encr_count; i++)
		if (alg_encr(mine->encr[i].id, mine->encr[i].key_bits) == alg)
			return true;
	return false;
}

static bool ike_fits(const struct proposal *mine, const struct suite *s)
{
	return !mine->aead && encr_listed(mine, &s->encr) &&
	       listed(mine->prf, mine->prf_count, s->prf) &&
	       listed(mine->dh, mine->dh_count, s->dh);
}

static bool esp_fits(const struct proposal *mine, const struct suite *s)
{
	bool integ = mine->aead ? s->integ == INTEG_NONE
				: listed(mine->integ, mine->integ_count, s->integ);
	bool group = s->dh == DH_NONE || listed(mine->dh, mine->dh_count, s->dh);
	return encr_listed(mine, &s->encr) && integ && group;
}

// Index of the first of ours that fits, or -1.
typedef bool (*fits_fn)(const struct proposal *mine, const struct suite *s);
static int first_fit(const struct proposal *mine, size_t count, fits_fn fits, const struct suite *s)
{
	for (size_t i = 0; i < count && i <= UINT8_MAX; i++)
		if (fits(&mine[i], s))
			return (int)i;
	return -1;
}

// The peer's transforms, proposal by proposal.
struct walk {
	const struct ikev1_sa_offer *offer;
	uint8_t item, next;
	const struct ikev1_proposal *proposal;
};

static const struct ikev1_transform *walk_next(struct walk *w)
{
	for (; w->item < w->offer->count; w->item++, w->next = 0) {
		w->proposal = &w->offer->items[w->item];
		while (!w->proposal->unusable && w->next < w->proposal->count) {
			uint8_t at = (uint8_t)(w->proposal->first + w->next++);
			if (!w->offer->transforms[at].unusable)
				return &w->offer->transforms[at];
		}
	}
	return NULL;
}

enum wire_error ikev1_select_ike(const struct proposal *mine, size_t count,
	const struct ikev1_sa_offer *peer, ikev1_auth_ok auth_ok, void *ctx,
	struct ikev1_choice *out)
{
	struct walk w = {.offer = peer};
	const struct ikev1_transform *t;
	while ((t = walk_next(&w))) {
		int ours = first_fit(mine, count, ike_fits, &t->suite);
		if (ours < 0 || !auth_ok(ctx, t->auth))
			continue;
		*out = (struct ikev1_choice){*w.proposal, *t, (uint8_t)ours};
		return WIRE_OK;
	}
	return WIRE_NO_PROPOSAL;
}

// RFC 3947 5.1: UDP-encapsulated modes are for where there is a NAT, and only there; a plain tunnel
// would not get through one.
bool ikev1_encap_transport(uint16_t encap)
{
	return encap == IKEV1_ENCAP_TRANSPORT || encap == IKEV1_ENCAP_UDP_TRANSPORT ||
	       encap == IKEV1_ENCAP_UDP_TRANSPORT_DRAFT;
}

static bool encap_fits(const struct ikev1_esp_policy *policy, uint16_t encap)
{
	if (policy->transport)
		return ikev1_encap_transport(encap) &&
		       policy->encap_udp == (encap != IKEV1_ENCAP_TRANSPORT);
	if (policy->encap_udp)
		return encap == IKEV1_ENCAP_UDP_TUNNEL || encap == IKEV1_ENCAP_UDP_TUNNEL_DRAFT;
	return encap == IKEV1_ENCAP_TUNNEL;
}

static bool group_fits(const struct ikev1_esp_policy *policy, uint16_t dh)
{
	bool group = dh != DH_NONE;
	if (dh != policy->ke_group)
		return false;
	switch (policy->pfs) {
	case WIRE_PFS_REQUIRED:
		return group;
	case WIRE_PFS_OPTIONAL:
		return true;
	default:
		return !group;
	}
}

static bool policy_fits(const struct ikev1_esp_policy *policy, const struct ikev1_transform *t)
{
	return encap_fits(policy, t->encap) && group_fits(policy, t->suite.dh) &&
	       (policy->esn || !t->suite.esn);
}

static bool same_suite(const struct suite *a, const struct suite *b)
{
	return a->encr.id == b->encr.id && a->encr.key_bits == b->encr.key_bits &&
	       a->prf == b->prf && a->integ == b->integ && a->dh == b->dh && a->esn == b->esn;
}

// The same suite with ESN, offered further down.
static void prefer_esn(const struct ikev1_esp_policy *policy, const struct ikev1_sa_offer *peer,
	struct ikev1_choice *c)
{
	struct walk w = {.offer = peer};
	const struct ikev1_transform *t;
	struct suite wanted = c->transform.suite;
	wanted.esn = true;
	while ((t = walk_next(&w)))
		if (policy_fits(policy, t) && same_suite(&t->suite, &wanted)) {
			*c = (struct ikev1_choice){*w.proposal, *t, c->mine};
			return;
		}
}

enum wire_error ikev1_select_esp(const struct proposal *mine, size_t count,
	const struct ikev1_esp_policy *policy, const struct ikev1_sa_offer *peer,
	struct ikev1_choice *out)
{
	struct walk w = {.offer = peer};
	const struct ikev1_transform *t;
	while ((t = walk_next(&w))) {
		int ours = first_fit(mine, count, esp_fits, &t->suite);
		if (ours < 0 || !policy_fits(policy, t))
			continue;
		*out = (struct ikev1_choice){*w.proposal, *t, (uint8_t)ours};
		if (policy->esn && !t->suite.esn)
			prefer_esn(policy, peer, out);
		return WIRE_OK;
	}
	return WIRE_NO_PROPOSAL;
}

// The one transform of an answer, or NULL.
static const struct ikev1_transform *single(const struct ikev1_sa_offer *answer)
{
	struct walk w = {.offer = answer};
	if (answer->count != 1 || answer->transform_count != 1)
		return NULL;
	return walk_next(&w);
}

// A peer may keep its own lifetime where it is the shorter one.
static bool life_fits(uint32_t ours, const struct ikev1_transform *t)
{
	return ours == 0 || t->life_s <= ours;
}

enum wire_error ikev1_check_ike(const struct ikev1_ike_offer *offer,
	const struct ikev1_sa_offer *answer, struct ikev1_choice *out)
{
	const struct ikev1_transform *t = single(answer);
	if (!t)
		return WIRE_BAD_CHOICE;
	int ours = first_fit(offer->mine, offer->count, ike_fits, &t->suite);
	bool group = offer->group == DH_NONE || offer->group == t->suite.dh;
	if (ours < 0 || !group || !listed(offer->auths, offer->auth_count, t->auth) ||
		!life_fits(offer->life_s, t))
		return WIRE_BAD_CHOICE;
	*out = (struct ikev1_choice){answer->items[0], *t, (uint8_t)ours};
	return WIRE_OK;
}

enum wire_error ikev1_check_esp(const struct ikev1_esp_offer *offer,
	const struct ikev1_sa_offer *answer, struct ikev1_choice *out)
{
	const struct ikev1_transform *t = single(answer);
	if (!t)
		return WIRE_BAD_CHOICE;
	int ours = first_fit(offer->mine, offer->count, esp_fits, &t->suite);
	if (ours < 0 || t->suite.dh != offer->dh || (t->suite.esn && !offer->esn) ||
		(t->encap != offer->encap && (t->encap == 0 || t->encap != offer->encap_else)) ||
		!life_fits(offer->life_s, t))
		return WIRE_BAD_CHOICE;
	*out = (struct ikev1_choice){answer->items[0], *t, (uint8_t)ours};
	return WIRE_OK;
}

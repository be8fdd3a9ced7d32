// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The choice of a proposal, RFC 7296 2.7 and 3.3.6.
#include "controlplane/wire/wire.h"

// One of ours against one of the peer's.
struct match {
	const struct proposal *mine;
	const struct wire_sa_policy *policy;
	const struct wire_transform *transforms; // the peer's
	uint8_t count;
	struct wire_choice *choice;
};

// How much we like a transform: our list's index, or -1.
typedef int (*rank_fn)(const struct match *m, const struct wire_transform *t);

static int rank_in(const uint16_t *list, uint8_t count, uint16_t id)
{
	for (uint8_t i = 0; i < count; i++)
		if (list[i] == id)
			return i;
	return -1;
}

static int rank_encr(const struct match *m, const struct wire_transform *t)
{
	const struct alg_encr *theirs = alg_encr(t->id, t->key_length ? t->key_bits : 0);
	// A length with a cipher that has but one (RFC 7296 3.3.5 forbids it) must at least be true.
	if (!theirs || (theirs->fixed_key && t->key_bits && t->key_bits != theirs->key_bits))
		return -1;
	for (uint8_t i = 0; i < m->mine->encr_count; i++)
		if (alg_encr(m->mine->encr[i].id, m->mine->encr[i].key_bits) == theirs)
			return i;
	return -1;
}

static int rank_prf(const struct match *m, const struct wire_transform *t)
{
	return rank_in(m->mine->prf, m->mine->prf_count, t->id);
}

static int rank_integ(const struct match *m, const struct wire_transform *t)
{
	if (m->mine->aead)
		return t->id == INTEG_NONE ? 0 : -1;
	return t->id == INTEG_NONE ? -1 : rank_in(m->mine->integ, m->mine->integ_count, t->id);
}

static int rank_group(const struct match *m, const struct wire_transform *t)
{
	bool child = m->policy->protocol == IKEV2_PROTOCOL_ESP;
	if (t->id == DH_NONE)
		return child && m->policy->pfs != WIRE_PFS_REQUIRED ? PROPOSAL_MAX : -1;
	if (child && m->policy->pfs != WIRE_PFS_OPTIONAL && m->policy->pfs != WIRE_PFS_REQUIRED)
		return -1;
	return rank_in(m->mine->dh, m->mine->dh_count, t->id);
}

static int rank_esn(const struct match *m, const struct wire_transform *t)
{
	return t->id > 1 ? -1 : (t->id == 1) == m->policy->esn ? 0 : 1;
}

static uint8_t offered(const struct match *m, uint8_t type)
{
	uint8_t n = 0;
	for (uint8_t i = 0; i < m->count; i++)
		n = (uint8_t)(n + (m->transforms[i].type == type));
	return n;
}

// The peer's transform of that type that is to be taken, or NULL. ESN goes by our preference, a
// group of the peer's KE payload before the order.
static const struct wire_transform *best(const struct match *m, uint8_t type, rank_fn rank)
{
	const struct wire_transform *found = NULL;
	int lowest = 0;
	bool by_rank = m->policy->prefer_mine || type == TRANSFORM_ESN;
	for (uint8_t i = 0; i < m->count; i++) {
		const struct wire_transform *t = &m->transforms[i];
		int r = t->type == type && !t->unusable ? rank(m, t) : -1;
		if (r < 0)
			continue;
		if (type == TRANSFORM_DH && t->id == m->policy->ke_group && t->id != DH_NONE)
			return t;
		if (!found || (by_rank && r < lowest)) {
			found = t;
			lowest = r;
		}
	}
	return found;
}

// A type that must or may be in the proposal: absent_ok says whether its absence is an answer. True
// and the id (untouched if absent) where the negotiation can go on.
static bool take(const struct match *m, uint8_t type, rank_fn rank, bool absent_ok, uint16_t *id)
{
	if (!offered(m, type))
		return absent_ok;
	const struct wire_transform *t = best(m, type, rank);
	if (!t)
		return false;
	m->choice->transforms[m->choice->transform_count++] = *t;
	*id = t->id;
	return true;
}

static bool take_encr(const struct match *m)
{
	const struct wire_transform *t = best(m, TRANSFORM_ENCR, rank_encr);
	if (!t)
		return false;
	m->choice->transforms[m->choice->transform_count++] = *t;
	const struct alg_encr *alg = alg_encr(t->id, t->key_length ? t->key_bits : 0);
	m->choice->suite.encr = (struct proposal_encr){alg->id, alg->key_bits};
	return true;
}

static bool match_ike(const struct match *m)
{
	struct suite *s = &m->choice->suite;
	return take_encr(m) && take(m, TRANSFORM_PRF, rank_prf, false, &s->prf) &&
	       take(m, TRANSFORM_INTEG, rank_integ, m->mine->aead, &s->integ) &&
	       take(m, TRANSFORM_DH, rank_group, false, &s->dh) && !offered(m, TRANSFORM_ESN);
}

static bool match_esp(const struct match *m)
{
	struct suite *s = &m->choice->suite;
	uint16_t esn = 0;
	bool no_group = m->policy->pfs != WIRE_PFS_REQUIRED;
	if (!take_encr(m) || !take(m, TRANSFORM_INTEG, rank_integ, m->mine->aead, &s->integ))
		return false;
	// RFC 7296 1.2: SA payloads of IKE_AUTH "cannot contain Transform Type 4 ... with any value
	// other than NONE". Some peers put groups there; they have no meaning then.
	if (!take(m, TRANSFORM_DH, rank_group, no_group, &s->dh) &&
		m->policy->pfs != WIRE_PFS_IGNORE)
		return false;
	if (!take(m, TRANSFORM_ESN, rank_esn, true, &esn))
		return false;
	s->esn = esn == 1;
	return !offered(m, TRANSFORM_PRF);
}

static bool fits(const struct match *m, const struct wire_proposal *p)
{
	if (p->unusable || p->protocol != m->policy->protocol || p->spi_len != m->policy->spi_len)
		return false;
	if (p->spi_len && p->spi == 0)
		return false;
	*m->choice = (struct wire_choice){
		.number = p->number, .protocol = p->protocol, .spi_len = p->spi_len, .spi = p->spi};
	return p->protocol == IKEV2_PROTOCOL_IKE ? match_ike(m) : match_esp(m);
}

static bool fits_pair(const struct proposal *mine, const struct wire_sa_policy *policy,
	const struct wire_proposals *peer, uint8_t theirs, struct wire_choice *out)
{
	const struct wire_proposal *p = &peer->items[theirs];
	struct match m = {mine, policy, &peer->transforms[p->first], p->count, out};
	return fits(&m, p);
}

enum wire_error wire_select(const struct proposal *mine, size_t count,
	const struct wire_sa_policy *policy, const struct wire_proposals *peer,
	struct wire_choice *out)
{
	size_t outer = policy->prefer_mine ? count : peer->count;
	size_t inner = policy->prefer_mine ? peer->count : count;
	for (size_t i = 0; i < outer; i++)
		for (size_t j = 0; j < inner; j++) {
			size_t ours = policy->prefer_mine ? i : j;
			size_t theirs = policy->prefer_mine ? j : i;
			if (!fits_pair(&mine[ours], policy, peer, (uint8_t)theirs, out))
				continue;
			out->mine = (uint8_t)ours;
			return WIRE_OK;
		}
	return WIRE_NO_PROPOSAL;
}

enum wire_error wire_check_choice(const struct proposal *mine, size_t count,
	const struct wire_sa_policy *policy, const struct wire_proposals *answer,
	struct wire_choice *out)
{
	if (answer->count != 1)
		return WIRE_BAD_CHOICE;
	const struct wire_proposal *p = &answer->items[0];
	if (p->number == 0 || p->number > count)
		return WIRE_BAD_CHOICE;
	const struct proposal *ours = &mine[p->number - 1];
	if (!fits_pair(ours, policy, answer, 0, out))
		return WIRE_BAD_CHOICE;
	out->mine = (uint8_t)(p->number - 1);
	// RFC 7296 3.3.6: "exactly one transform of each type included in the proposal". What the
	// answer holds beyond one of a type was not taken.
	if (out->transform_count != p->count)
		return WIRE_BAD_CHOICE;
	if (out->suite.esn && !policy->esn)
		return WIRE_BAD_CHOICE;
	return WIRE_OK;
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Which payloads each IKEv1 message holds, as data. RFC 2409 5.1, 5.4, 5.5, 5.7;
// draft-dukes-ike-mode-cfg-02 3.2; RFC 3947 3.2, 5.2.
#include "controlplane/wire/ikev1.h"

#define MANY      WIRE_PAYLOADS_MAX
#define BIT(form) (1u << IKEV1_FORM_##form)
#define P(name)   IKEV1_PAYLOAD_##name

enum {
	AGGRESSIVE_12 = BIT(AGGRESSIVE_1) | BIT(AGGRESSIVE_2),
	AGGRESSIVE_23 = BIT(AGGRESSIVE_2) | BIT(AGGRESSIVE_3),
	PROOFS = BIT(AUTH) | AGGRESSIVE_23, // by HASH or SIG
	PHASE1 = BIT(SA) | BIT(KE) | BIT(AUTH) | AGGRESSIVE_12 | BIT(AGGRESSIVE_3),
	QUICK_12 = BIT(QUICK_1) | BIT(QUICK_2),
	HASHED = QUICK_12 | BIT(QUICK_3) | BIT(TRANSACTION) | BIT(INFORMATIONAL),
	INFORMATION = BIT(INFORMATIONAL) | BIT(CLEAR),
};

// Certificates and requests for them may stand in any message of phase 1 (RFC 2409 5.1, 5.4).
// Notifies come with phase 1 (INITIAL-CONTACT) and quick mode (RESPONDER-LIFETIME, CONNECTED).
static const struct rule {
	unsigned forms;
	uint8_t payload;
	uint8_t min, max;
} rules[] = {
	{BIT(SA) | AGGRESSIVE_12 | QUICK_12, P(SA), 1, 1},
	{BIT(KE) | AGGRESSIVE_12, P(KE), 1, 1},
	{QUICK_12, P(KE), 0, 1},
	{BIT(KE) | AGGRESSIVE_12 | QUICK_12, P(NONCE), 1, 1},
	{BIT(AUTH) | AGGRESSIVE_12, P(ID), 1, 1},
	{QUICK_12, P(ID), 0, 2},
	{PHASE1, P(CERT), 0, MANY},
	{PHASE1, P(CERTREQ), 0, MANY},
	{HASHED, P(HASH), 1, 1},
	{PROOFS, P(HASH), 0, 1},
	{PROOFS, P(SIG), 0, 1},
	{BIT(KE) | AGGRESSIVE_23, P(NAT_D), 0, MANY},
	{BIT(KE) | AGGRESSIVE_23, P(NAT_D_DRAFT), 0, MANY},
	{QUICK_12, P(NAT_OA), 0, 2},
	{QUICK_12, P(NAT_OA_DRAFT), 0, 2},
	{BIT(TRANSACTION), P(ATTRIBUTES), 1, 1},
	{PHASE1 | QUICK_12 | BIT(QUICK_3) | INFORMATION, P(NOTIFY), 0, MANY},
	{INFORMATION, P(DELETE), 0, MANY},
};

#define RULES (sizeof(rules) / sizeof(rules[0]))

// A vendor ID may stand anywhere (RFC 2408 3.16). RFC 2408 3.1: types 14 to 127 are reserved: they
// would be IKEv2's, or a multicast DOI's. Private types are skipped, as peers expect.
#define PRIVATE_MIN 128
static bool ignored(uint8_t payload)
{
	bool known =
		payload == P(NAT_D_DRAFT) || payload == P(NAT_OA_DRAFT) || payload == P(FRAGMENT);
	return payload == P(VENDOR) || (payload >= PRIVATE_MIN && !known);
}

static const struct rule *find_rule(enum ikev1_form form, uint8_t payload)
{
	for (size_t i = 0; i < RULES; i++)
		if ((rules[i].forms & 1u << form) && rules[i].payload == payload)
			return &rules[i];
	return NULL;
}

static enum wire_error check_count(const struct rule *rule, uint8_t count)
{
	if (count < (rule ? rule->min : 0))
		return WIRE_PAYLOAD_MISSING;
	if (count > (rule ? rule->max : 0))
		return rule ? WIRE_PAYLOAD_REPEATED : WIRE_PAYLOAD_UNEXPECTED;
	return WIRE_OK;
}

// What there must be one of.
static enum wire_error check_either(
	const struct ikev1_message *m, enum ikev1_form form, uint8_t *payload)
{
	unsigned proofs = (unsigned)m->count[P(HASH)] + m->count[P(SIG)];
	if ((1u << form & PROOFS) && proofs != 1) {
		*payload = proofs ? P(SIG) : P(HASH);
		return proofs ? WIRE_PAYLOAD_UNEXPECTED : WIRE_PAYLOAD_MISSING;
	}
	if ((1u << form & INFORMATION) && !m->count[P(NOTIFY)] && !m->count[P(DELETE)]) {
		*payload = P(NOTIFY);
		return WIRE_PAYLOAD_MISSING;
	}
	// RFC 2409 5.5: "[, IDci, IDcr ]": both or none.
	if ((1u << form & QUICK_12) && m->count[P(ID)] == 1) {
		*payload = P(ID);
		return WIRE_PAYLOAD_MISSING;
	}
	return WIRE_OK;
}

// RFC 2409 5.5: "a HASH payload MUST immediately follow the ISAKMP header". So too in an
// informational message, and in a transaction, where the attributes follow it at once.
static enum wire_error check_order(
	const struct ikev1_message *m, enum ikev1_form form, uint8_t *payload)
{
	*payload = P(HASH);
	if ((1u << form & HASHED) && m->first != P(HASH))
		return WIRE_PAYLOAD_UNEXPECTED;
	*payload = P(ATTRIBUTES);
	if (form == IKEV1_FORM_TRANSACTION &&
		m->attributes.p != m->hash.p + m->hash.len + IKE_PAYLOAD_HDR)
		return WIRE_PAYLOAD_UNEXPECTED;
	return WIRE_OK;
}

static enum wire_error check_counts(
	const struct ikev1_message *m, enum ikev1_form form, uint8_t *payload)
{
	enum wire_error e = WIRE_OK;
	for (unsigned type = 1; type <= UINT8_MAX && e == WIRE_OK; type++) {
		*payload = (uint8_t)type;
		if (!ignored(*payload))
			e = check_count(find_rule(form, *payload), m->count[type]);
	}
	return e;
}

enum wire_error ikev1_rules_check(
	const struct ikev1_message *m, enum ikev1_form form, uint8_t *culprit)
{
	uint8_t payload = 0;
	enum wire_error e = check_counts(m, form, &payload);
	if (e == WIRE_OK)
		e = check_either(m, form, &payload);
	if (e == WIRE_OK)
		e = check_order(m, form, &payload);
	if (culprit)
		*culprit = e == WIRE_OK ? 0 : payload;
	return e;
}

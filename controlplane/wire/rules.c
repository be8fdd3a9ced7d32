// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Which payloads each form of each exchange holds, as data. RFC 7296 1.2, 1.3, 1.4, 2.16, appendix
// C; RFC 6023 (childless); RFC 9242 (IKE_INTERMEDIATE).
#include "controlplane/wire/wire.h"

#define MANY WIRE_PAYLOADS_MAX

enum { REQ = 1, RSP = 2, BOTH = REQ | RSP };

struct rule {
	uint8_t variant; // enum wire_variant
	uint8_t way;
	uint8_t payload;
	uint8_t min, max;
};

#define P(name) IKEV2_PAYLOAD_##name

// Notify and Vendor are allowed everywhere, unknown payloads are ignored (RFC 7296 2.5): neither has
// a row, but for a least number.
static const struct rule rules[] = {
	{WIRE_V_SA_INIT, BOTH, P(SA), 1, 1},
	{WIRE_V_SA_INIT, BOTH, P(KE), 1, 1},
	{WIRE_V_SA_INIT, BOTH, P(NONCE), 1, 1},
	{WIRE_V_SA_INIT, RSP, P(CERTREQ), 0, MANY},

	{WIRE_V_NOTIFY_ONLY, RSP, P(NOTIFY), 1, MANY},

	{WIRE_V_AUTH_FIRST, REQ, P(IDI), 1, 1},
	{WIRE_V_AUTH_FIRST, REQ, P(IDR), 0, 1},
	{WIRE_V_AUTH_FIRST, RSP, P(IDR), 1, 1},
	{WIRE_V_AUTH_FIRST, BOTH, P(CERT), 0, MANY},
	{WIRE_V_AUTH_FIRST, REQ, P(CERTREQ), 0, MANY},
	// Absent: the request asks for EAP, or the response does EAP-only (RFC 5998).
	{WIRE_V_AUTH_FIRST, BOTH, P(AUTH), 0, 1},
	{WIRE_V_AUTH_FIRST, RSP, P(EAP), 0, 1},
	{WIRE_V_AUTH_FIRST, BOTH, P(CP), 0, 1},
	{WIRE_V_AUTH_FIRST, BOTH, P(SA), 0, 1},
	{WIRE_V_AUTH_FIRST, BOTH, P(TSI), 0, 1},
	{WIRE_V_AUTH_FIRST, BOTH, P(TSR), 0, 1},

	{WIRE_V_AUTH_EAP, BOTH, P(EAP), 1, 1},

	{WIRE_V_AUTH_LAST, BOTH, P(AUTH), 1, 1},
	{WIRE_V_AUTH_LAST, RSP, P(CP), 0, 1},
	{WIRE_V_AUTH_LAST, RSP, P(SA), 0, 1},
	{WIRE_V_AUTH_LAST, RSP, P(TSI), 0, 1},
	{WIRE_V_AUTH_LAST, RSP, P(TSR), 0, 1},

	{WIRE_V_CHILD, BOTH, P(SA), 1, 1},
	{WIRE_V_CHILD, BOTH, P(NONCE), 1, 1},
	{WIRE_V_CHILD, BOTH, P(KE), 0, 1},
	{WIRE_V_CHILD, BOTH, P(TSI), 1, 1},
	{WIRE_V_CHILD, BOTH, P(TSR), 1, 1},
	{WIRE_V_CHILD, BOTH, P(CP), 0, 1},

	{WIRE_V_IKE_REKEY, BOTH, P(SA), 1, 1},
	{WIRE_V_IKE_REKEY, BOTH, P(NONCE), 1, 1},
	{WIRE_V_IKE_REKEY, BOTH, P(KE), 1, 1},

	{WIRE_V_INFORMATIONAL, BOTH, P(DELETE), 0, MANY},
	{WIRE_V_INFORMATIONAL, BOTH, P(CP), 0, 1},

	{WIRE_V_INTERMEDIATE, BOTH, P(KE), 0, 1},
};

#define RULES (sizeof(rules) / sizeof(rules[0]))

// RFC 7296 1.2: a child SA of IKE_AUTH is asked for by all three, or (RFC 6023) by none.
static const uint8_t together[] = {P(SA), P(TSI), P(TSR)};

static const uint8_t known[] = {
#define NUMBER(n, name) n,
	IKEV2_PAYLOADS(NUMBER)
#undef NUMBER
};

static enum wire_variant auth_variant(const struct ike_message *m, bool response)
{
	if (response ? m->id_r.p != NULL : m->id_i.p != NULL)
		return WIRE_V_AUTH_FIRST;
	if (m->eap.p)
		return WIRE_V_AUTH_EAP;
	if (m->auth.p && !m->count[P(IDR)] && (response || !m->sa.p))
		return WIRE_V_AUTH_LAST;
	return response && m->count[P(NOTIFY)] ? WIRE_V_NOTIFY_ONLY : WIRE_V_AUTH_FIRST;
}

static enum wire_variant child_variant(const struct ike_message *m, bool response)
{
	if (response && !m->sa.p && m->count[P(NOTIFY)])
		return WIRE_V_NOTIFY_ONLY;
	if (m->ts_i.p || m->ts_r.p || wire_notify_find(m, IKEV2_NOTIFY_REKEY_SA))
		return WIRE_V_CHILD;
	return WIRE_V_IKE_REKEY;
}

enum wire_variant wire_variant(const struct ike_message *m, uint8_t exchange, bool response)
{
	switch (exchange) {
	case IKEV2_EXCHANGE_IKE_SA_INIT:
		return response && !m->sa.p && m->count[P(NOTIFY)] ? WIRE_V_NOTIFY_ONLY
								   : WIRE_V_SA_INIT;
	case IKEV2_EXCHANGE_IKE_AUTH:
		return auth_variant(m, response);
	case IKEV2_EXCHANGE_CREATE_CHILD_SA:
		return child_variant(m, response);
	case IKEV2_EXCHANGE_IKE_INTERMEDIATE:
		return WIRE_V_INTERMEDIATE;
	default:
		return WIRE_V_INFORMATIONAL;
	}
}

static enum wire_error check_count(uint8_t count, uint8_t min, uint8_t max)
{
	if (count < min)
		return WIRE_PAYLOAD_MISSING;
	if (count > max)
		return max ? WIRE_PAYLOAD_REPEATED : WIRE_PAYLOAD_UNEXPECTED;
	return WIRE_OK;
}

// The rule of a payload in a variant, or NULL.
static const struct rule *find_rule(enum wire_variant v, uint8_t way, uint8_t payload)
{
	for (size_t i = 0; i < RULES; i++)
		if (rules[i].variant == v && (rules[i].way & way) && rules[i].payload == payload)
			return &rules[i];
	return NULL;
}

static enum wire_error check_payload(
	const struct ike_message *m, enum wire_variant v, uint8_t way, uint8_t payload)
{
	const struct rule *rule = find_rule(v, way, payload);
	bool anywhere = payload == P(NOTIFY) || payload == P(VENDOR);
	if (!rule && anywhere)
		return WIRE_OK;
	return check_count(m->count[payload], rule ? rule->min : 0, rule ? rule->max : 0);
}

static enum wire_error check_together(const struct ike_message *m, uint8_t *payload)
{
	uint8_t present = 0;
	for (size_t i = 0; i < sizeof(together); i++) {
		present = (uint8_t)(present + (m->count[together[i]] != 0));
		if (!m->count[together[i]])
			*payload = together[i];
	}
	return present == 0 || present == sizeof(together) ? WIRE_OK : WIRE_PAYLOAD_MISSING;
}

enum wire_error wire_rules_check(
	const struct ike_message *m, uint8_t exchange, bool response, uint8_t *culprit)
{
	enum wire_variant v = wire_variant(m, exchange, response);
	enum wire_error e = WIRE_OK;
	uint8_t payload = 0;
	for (size_t i = 0; i < sizeof(known) && e == WIRE_OK; i++) {
		payload = known[i];
		e = check_payload(m, v, response ? RSP : REQ, payload);
	}
	if (e == WIRE_OK && exchange == IKEV2_EXCHANGE_IKE_AUTH)
		e = check_together(m, &payload);
	// A responder proves itself with AUTH, or only by EAP (RFC 5998).
	if (e == WIRE_OK && v == WIRE_V_AUTH_FIRST && response && !m->auth.p && !m->eap.p) {
		payload = P(AUTH);
		e = WIRE_PAYLOAD_MISSING;
	}
	if (culprit)
		*culprit = e == WIRE_OK ? 0 : payload;
	return e;
}

// RFC 7296 3.14: SK "MUST be the last payload in the message. Often, it is the only payload". No
// exchange here uses what may stand before it, so only what is ignored anyway is let through.
enum wire_error wire_rules_check_outer(const struct ike_message *m)
{
	if (!m->count[P(SK)] && !m->count[P(SKF)])
		return WIRE_PAYLOAD_MISSING;
	for (size_t i = 0; i < sizeof(known); i++) {
		uint8_t type = known[i];
		bool fits =
			type == P(SK) || type == P(SKF) || type == P(NOTIFY) || type == P(VENDOR);
		if (!fits && m->count[type])
			return WIRE_PAYLOAD_UNEXPECTED;
	}
	return WIRE_OK;
}

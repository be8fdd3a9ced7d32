// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/wire/wire.h"

enum wire_error wire_chain_next(struct wire_chain *c, struct wire_payload *out)
{
	uint8_t next, flags;
	uint16_t length;
	struct rd r = c->rest;
	if (c->seen == WIRE_PAYLOADS_MAX)
		return WIRE_TOO_MANY_PAYLOADS;
	if (!rd_u8(&r, &next) || !rd_u8(&r, &flags) || !rd_u16(&r, &length))
		return WIRE_TRUNCATED;
	if (length < IKE_PAYLOAD_HDR)
		return WIRE_PAYLOAD_LENGTH;
	// RFC 7296 2.5: reserved bits are ignored.
	*out = (struct wire_payload){
		.type = c->next, .next = next, .critical = flags & IKE_CRITICAL};
	if (!rd_bytes(&r, length - IKE_PAYLOAD_HDR, &out->body))
		return WIRE_TRUNCATED;
	// RFC 7296 3.14: the next payload field of SK is the first payload inside it.
	bool last = c->next == IKEV2_PAYLOAD_SK || c->next == IKEV2_PAYLOAD_SKF;
	*c = (struct wire_chain){r, last ? 0 : next, (uint8_t)(c->seen + 1)};
	return WIRE_OK;
}

static void keep(struct view *slot, struct view body)
{
	if (!slot->p)
		*slot = body;
}

static void keep_in(struct view *list, uint8_t *count, uint8_t max, struct view body)
{
	if (*count < max)
		list[(*count)++] = body;
}

static enum wire_error add_notify(struct ike_message *m, struct view body)
{
	struct wire_notify n;
	enum wire_error e = wire_notify_parse(body, &n);
	if (e == WIRE_OK && m->notify_count < WIRE_NOTIFIES_MAX)
		m->notifies[m->notify_count++] = n;
	return e;
}

static enum wire_error add_delete(struct ike_message *m, struct view body)
{
	struct wire_delete d;
	enum wire_error e = wire_delete_parse(body, &d);
	if (e == WIRE_OK && m->delete_count < WIRE_DELETES_MAX)
		m->deletes[m->delete_count++] = d;
	return e;
}

// Where a payload goes that comes once at most; NULL for others.
static struct view *single(struct ike_message *m, uint8_t type)
{
	switch (type) {
	case IKEV2_PAYLOAD_SA:
		return &m->sa;
	case IKEV2_PAYLOAD_KE:
		return &m->ke;
	case IKEV2_PAYLOAD_IDI:
		return &m->id_i;
	case IKEV2_PAYLOAD_IDR:
		return &m->id_r;
	case IKEV2_PAYLOAD_AUTH:
		return &m->auth;
	case IKEV2_PAYLOAD_NONCE:
		return &m->nonce;
	case IKEV2_PAYLOAD_TSI:
		return &m->ts_i;
	case IKEV2_PAYLOAD_TSR:
		return &m->ts_r;
	case IKEV2_PAYLOAD_SK:
		return &m->sk;
	case IKEV2_PAYLOAD_SKF:
		return &m->skf;
	case IKEV2_PAYLOAD_CP:
		return &m->cp;
	case IKEV2_PAYLOAD_EAP:
		return &m->eap;
	default:
		return NULL;
	}
}

static enum wire_error add_payload(struct ike_message *m, const struct wire_payload *p)
{
	struct view *slot = single(m, p->type);
	if (slot) {
		if (p->type == IKEV2_PAYLOAD_SK || p->type == IKEV2_PAYLOAD_SKF)
			m->sk_first = p->next;
		keep(slot, p->body);
		return WIRE_OK;
	}
	switch (p->type) {
	case IKEV2_PAYLOAD_CERT:
		keep_in(m->certs, &m->cert_count, WIRE_CERTS_MAX, p->body);
		return WIRE_OK;
	case IKEV2_PAYLOAD_CERTREQ:
		keep_in(m->certreqs, &m->certreq_count, WIRE_CERTREQS_MAX, p->body);
		return WIRE_OK;
	case IKEV2_PAYLOAD_VENDOR:
		keep_in(m->vendors, &m->vendor_count, WIRE_VENDORS_MAX, p->body);
		return WIRE_OK;
	case IKEV2_PAYLOAD_NOTIFY:
		return add_notify(m, p->body);
	case IKEV2_PAYLOAD_DELETE:
		return add_delete(m, p->body);
	default:
		// RFC 7296 2.5: "if the critical flag is set and the payload type is unrecognized,
		// the message MUST be rejected"; not set: "MUST be ignored".
		m->unsupported = p->critical ? p->type : 0;
		return p->critical ? WIRE_UNSUPPORTED_CRITICAL : WIRE_OK;
	}
}

enum wire_error wire_message_parse(
	struct view bytes, uint8_t first_payload, struct ike_message *out)
{
	struct wire_chain c = wire_chain_of(bytes, first_payload);
	*out = (struct ike_message){0};
	while (c.next) {
		struct wire_payload p;
		out->culprit = c.next;
		enum wire_error e = wire_chain_next(&c, &p);
		if (e == WIRE_OK)
			e = add_payload(out, &p);
		if (e != WIRE_OK)
			return e;
		out->count[p.type < 63 ? p.type : 63]++;
		out->payload_count++;
	}
	out->culprit = 0;
	return rd_empty(&c.rest) ? WIRE_OK : WIRE_TRAILING;
}

const struct wire_notify *wire_notify_find(const struct ike_message *m, uint16_t type)
{
	for (uint8_t i = 0; i < m->notify_count; i++)
		if (m->notifies[i].type == type)
			return &m->notifies[i];
	return NULL;
}

const struct wire_notify *wire_notify_error(const struct ike_message *m)
{
	for (uint8_t i = 0; i < m->notify_count; i++)
		if (ikev2_notify_is_error(m->notifies[i].type))
			return &m->notifies[i];
	return NULL;
}

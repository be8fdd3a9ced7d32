// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The chain of an IKEv1 message, RFC 2408 3.2, with its notifies and deletes.
#include "controlplane/wire/ikev1.h"

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

// RFC 2408 3.14.
static enum wire_error add_notify(struct ikev1_message *m, struct view body)
{
	struct rd r = rd_view(body);
	struct ikev1_notification n;
	uint8_t spi_len;
	if (!rd_u32(&r, &n.doi) || !rd_u8(&r, &n.protocol) || !rd_u8(&r, &spi_len) ||
		!rd_u16(&r, &n.type) || !rd_bytes(&r, spi_len, &n.spi))
		return WIRE_MALFORMED_NOTIFY;
	n.data = rd_rest(&r);
	if (m->notify_count < WIRE_NOTIFIES_MAX)
		m->notifies[m->notify_count++] = n;
	return WIRE_OK;
}

// RFC 2408 3.15: "each SPI MUST be for the same protocol", so of one size: the cookies' 16 bytes for
// ISAKMP, 4 for ESP and AH.
static bool delete_spi_len_fits(const struct ikev1_delete *d)
{
	switch (d->protocol) {
	case IKEV1_PROTOCOL_ISAKMP:
		return d->spi_len == 16;
	case IKEV1_PROTOCOL_ESP:
	case IKEV1_PROTOCOL_AH:
		return d->spi_len == 4;
	default:
		return true;
	}
}

static enum wire_error add_delete(struct ikev1_message *m, struct view body)
{
	struct rd r = rd_view(body);
	struct ikev1_delete d;
	if (!rd_u32(&r, &d.doi) || !rd_u8(&r, &d.protocol) || !rd_u8(&r, &d.spi_len) ||
		!rd_u16(&r, &d.count) || !rd_bytes(&r, (size_t)d.spi_len * d.count, &d.spis) ||
		!rd_empty(&r) || !delete_spi_len_fits(&d))
		return WIRE_MALFORMED_DELETE;
	if (m->delete_count < WIRE_DELETES_MAX)
		m->deletes[m->delete_count++] = d;
	return WIRE_OK;
}

// Where a payload goes of which the first alone is kept; NULL for others.
static struct view *single(struct ikev1_message *m, uint8_t type)
{
	switch (type) {
	case IKEV1_PAYLOAD_SA:
		return &m->sa;
	case IKEV1_PAYLOAD_KE:
		return &m->ke;
	case IKEV1_PAYLOAD_NONCE:
		return &m->nonce;
	case IKEV1_PAYLOAD_HASH:
		return &m->hash;
	case IKEV1_PAYLOAD_SIG:
		return &m->sig;
	case IKEV1_PAYLOAD_ATTRIBUTES:
		return &m->attributes;
	case IKEV1_PAYLOAD_FRAGMENT:
		return &m->fragment;
	default:
		return NULL;
	}
}

static void add_list(struct ikev1_message *m, const struct wire_payload *p)
{
	switch (p->type) {
	case IKEV1_PAYLOAD_ID:
		keep_in(m->ids, &m->id_count, IKEV1_IDS_MAX, p->body);
		break;
	case IKEV1_PAYLOAD_CERT:
		keep_in(m->certs, &m->cert_count, WIRE_CERTS_MAX, p->body);
		break;
	case IKEV1_PAYLOAD_CERTREQ:
		keep_in(m->certreqs, &m->certreq_count, WIRE_CERTREQS_MAX, p->body);
		break;
	case IKEV1_PAYLOAD_VENDOR:
		keep_in(m->vendors, &m->vendor_count, WIRE_VENDORS_MAX, p->body);
		break;
	case IKEV1_PAYLOAD_NAT_D_DRAFT:
		m->natd_draft = true;
		keep_in(m->natd, &m->natd_count, IKEV1_NATD_MAX, p->body);
		break;
	case IKEV1_PAYLOAD_NAT_D:
		keep_in(m->natd, &m->natd_count, IKEV1_NATD_MAX, p->body);
		break;
	case IKEV1_PAYLOAD_NAT_OA:
	case IKEV1_PAYLOAD_NAT_OA_DRAFT:
		keep_in(m->natoa, &m->natoa_count, sizeof(m->natoa) / sizeof(m->natoa[0]), p->body);
		break;
	default:
		break; // counted alone
	}
}

static enum wire_error add_payload(struct ikev1_message *m, const struct wire_payload *p)
{
	struct view *slot = single(m, p->type);
	if (p->type == IKEV1_PAYLOAD_NOTIFY)
		return add_notify(m, p->body);
	if (p->type == IKEV1_PAYLOAD_DELETE)
		return add_delete(m, p->body);
	if (slot)
		keep(slot, p->body);
	else
		add_list(m, p);
	return WIRE_OK;
}

static enum wire_error next_payload(struct ikev1_message *m, struct wire_chain *c)
{
	struct wire_payload p;
	enum wire_error e = wire_chain_next(c, &p);
	if (e != WIRE_OK)
		return e;
	c->next = p.next; // no type ends a chain of this version: 46 and 53 are not SK and SKF
	m->count[p.type]++;
	m->payload_count++;
	return add_payload(m, &p);
}

enum wire_error ikev1_message_parse(
	struct view bytes, uint8_t first_payload, struct ikev1_message *out)
{
	struct wire_chain c = wire_chain_of(bytes, first_payload);
	*out = (struct ikev1_message){.first = first_payload};
	while (c.next) {
		out->culprit = c.next;
		enum wire_error e = next_payload(out, &c);
		if (e != WIRE_OK)
			return e;
		out->end = bytes.len - rd_left(&c.rest);
		if (out->payload_count == 1 && first_payload == IKEV1_PAYLOAD_HASH)
			out->after_hash = out->end;
	}
	out->culprit = 0;
	return WIRE_OK;
}

const struct ikev1_notification *ikev1_notify_find(const struct ikev1_message *m, uint16_t type)
{
	for (uint8_t i = 0; i < m->notify_count; i++)
		if (m->notifies[i].type == type)
			return &m->notifies[i];
	return NULL;
}

uint32_t ikev1_delete_spi(const struct ikev1_delete *d, uint16_t i)
{
	uint32_t spi;
	if (d->spi_len != 4 || i >= d->count)
		return 0;
	struct rd r = rd_of(d->spis.p + (size_t)i * 4, 4);
	return rd_u32(&r, &spi) ? spi : 0;
}

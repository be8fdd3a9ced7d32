// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Messages of an IKE SA: protecting and cutting into fragments, opening, sending.
#include "controlplane/exchange.h"

#include <stdlib.h>

#define IPV4_UDP_LEN 28 // bytes of IP and UDP header
#define IPV6_UDP_LEN 48
#define MARKER_LEN   4 // non-ESP marker, RFC 3948 2.2

void ike_sent_free(struct ike_sent *s)
{
	free(s);
}

void ike_send(struct ike_engine *e, const struct ike_datagram *to, struct view bytes)
{
	struct ike_datagram d = *to;
	d.bytes = bytes;
	ike_count(e, IKE_REASON_SENT);
	e->p.transport.send(e->p.transport.ctx, &d);
}

void ike_sent_send(struct ike_engine *e, const struct ike_sent *s, const struct ike_datagram *to)
{
	for (uint16_t i = 0; i < s->count; i++)
		ike_send(e, to, s->datagrams[i]);
}

struct ike_datagram ike_sa_path(const struct ike_sa *sa)
{
	return (struct ike_datagram){
		.local = sa->local, .remote = sa->remote, .origin = sa->origin};
}

void ike_send_notify(struct ike_engine *e, const struct ike_datagram *from,
	const struct ike_header *h, uint16_t type, struct view data)
{
	uint8_t buf[IKE_HEADER_LEN + IKE_PAYLOAD_HDR + 4 + 64];
	struct ike_header reply = *h;
	struct wire_builder b;
	reply.major = IKE_MAJOR_2;
	reply.minor = 0;
	reply.flags = IKE_FLAG_RESPONSE | (h->flags & IKE_FLAG_INITIATOR ? 0 : IKE_FLAG_INITIATOR);
	wire_build_message(&b, buf, sizeof(buf), &reply);
	wire_put_notify(&b, type, data);
	struct view bytes = wire_build_done(&b);
	if (bytes.len == 0 || bytes.len > from->bytes.len) {
		ike_count(e, IKE_REASON_NO_REPLY_AMPLIFY);
		return;
	}
	ike_send(e, from, bytes);
}

static struct ike_header header_of(
	const struct ike_sa *sa, uint8_t exchange, uint32_t message_id, bool is_response)
{
	return (struct ike_header){.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.major = IKE_MAJOR_2,
		.exchange = exchange,
		.flags = (uint8_t)((sa->initiator ? IKE_FLAG_INITIATOR : 0) |
				   (is_response ? IKE_FLAG_RESPONSE : 0)),
		.message_id = message_id};
}

struct ike_sent *ike_sent_new(uint16_t count, size_t bytes, uint8_t **data)
{
	size_t head = sizeof(struct ike_sent) + count * sizeof(struct view);
	struct ike_sent *s = malloc(head + bytes);
	if (s) {
		s->count = count;
		*data = (uint8_t *)s + head;
	}
	return s;
}

static struct ike_sent *clear_message(
	const struct ike_header *h, struct view payloads, uint8_t first)
{
	uint8_t *data;
	size_t len = IKE_HEADER_LEN + payloads.len;
	struct ike_sent *s = ike_sent_new(1, len, &data);
	if (!s)
		return NULL;
	struct ike_header header = *h;
	struct wr w = wr_of(data, len);
	header.next_payload = first;
	header.length = (uint32_t)len;
	wire_header_build(&w, &header);
	wr_view(&w, payloads);
	s->datagrams[0] = (struct view){data, len};
	return s;
}

// Bytes that one IKE message may have on this IKE SA's path before it is cut; 0: no fragmentation.
static size_t datagram_room(const struct ike_sa *sa)
{
	size_t headers = sa->remote.addr.family == IP_V6 ? IPV6_UDP_LEN : IPV4_UDP_LEN;
	if (!sa->peer_fragments || !sa->conn || sa->conn->fragment_size == 0)
		return 0;
	if (sa->local.port == IKE_NAT_T_PORT)
		headers += MARKER_LEN;
	return sa->conn->fragment_size > headers ? sa->conn->fragment_size - headers : 0;
}

struct cut {
	uint16_t total;    // fragments; 1: none
	size_t plain_each; // bytes of plaintext in each but the last
	size_t bytes;      // of all datagrams
};

#define SK_OVERHEAD  (IKE_HEADER_LEN + IKE_PAYLOAD_HDR)
#define SKF_OVERHEAD (SK_OVERHEAD + 4)

// RFC 7383 2.5: how the message is cut. False: it cannot be.
static bool plan(const struct ike_sa *sa, size_t plain_len, struct cut *cut)
{
	size_t whole = SK_OVERHEAD + ike_sealed_len(&sa->crypt, plain_len);
	size_t room = datagram_room(sa);
	*cut = (struct cut){1, plain_len, whole};
	if (room == 0 || whole <= room)
		return whole <= DATAGRAM_MAX;
	size_t each = room > SKF_OVERHEAD ? ike_sealed_room(&sa->crypt, room - SKF_OVERHEAD) : 0;
	if (each == 0 || (plain_len + each - 1) / each > WIRE_FRAGMENTS_MAX)
		return whole <= DATAGRAM_MAX; // IP has to cut it
	cut->total = (uint16_t)((plain_len + each - 1) / each);
	cut->plain_each = each;
	size_t last = plain_len - each * (cut->total - 1u);
	cut->bytes = cut->total * (size_t)SKF_OVERHEAD +
		     (cut->total - 1u) * ike_sealed_len(&sa->crypt, each) +
		     ike_sealed_len(&sa->crypt, last);
	return true;
}

// What stands in the header of an SK or SKF payload.
struct part {
	uint8_t first; // inner payload
	uint16_t number, total;
};

// One datagram into buf, a writer's room; the datagram, or empty with the reason in *why.
static struct view seal_one(struct ike_sa *sa, const struct ike_header *h, struct wr *buf,
	struct view plain, struct part part, enum ike_reason *why)
{
	struct wire_builder b;
	size_t body_len = ike_sealed_len(&sa->crypt, plain.len);
	wire_build_message(&b, buf->base + buf->len, buf->cap - buf->len, h);
	uint8_t *body = part.total == 1
				? wire_put_sk(&b, part.first, body_len)
				: wire_put_skf(&b, part.first, part.number, part.total, body_len);
	struct view message = wire_build_done(&b);
	*why = IKE_REASON_CRYPTO;
	if (!body || message.len == 0)
		return (struct view){NULL, 0};
	if (plain.len)
		memcpy(body + ike_seal_iv_len(&sa->crypt), plain.p, plain.len);
	uint8_t *start = buf->base + buf->len;
	enum ike_crypto_error e = ike_seal(&sa->crypt, start, (size_t)(body - start), plain.len);
	if (e != IKE_CRYPTO_OK) {
		*why = e == IKE_CRYPTO_IV_EXHAUSTED ? IKE_REASON_IV_EXHAUSTED : IKE_REASON_CRYPTO;
		return (struct view){NULL, 0};
	}
	buf->len += message.len;
	return message;
}

static struct ike_sent *sealed_message(struct ike_sa *sa, const struct ike_header *h,
	struct view plain, uint8_t first, enum ike_reason *why)
{
	struct cut cut;
	uint8_t *data;
	*why = IKE_REASON_CRYPTO;
	if (!plan(sa, plain.len, &cut))
		return NULL;
	struct ike_sent *s = ike_sent_new(cut.total, cut.bytes, &data);
	if (!s) {
		*why = IKE_REASON_NO_MEMORY;
		return NULL;
	}
	struct wr room = wr_of(data, cut.bytes);
	for (uint16_t i = 0; i < cut.total; i++) {
		size_t at = i * cut.plain_each;
		size_t len = plain.len - at < cut.plain_each ? plain.len - at : cut.plain_each;
		struct view part = {plain.p ? plain.p + at : NULL, len};
		s->datagrams[i] = seal_one(sa, h, &room, part,
			(struct part){first, (uint16_t)(i + 1), cut.total}, why);
		if (s->datagrams[i].len == 0) {
			ike_sent_free(s);
			return NULL;
		}
	}
	if (cut.total > 1)
		ike_count(sa->engine, IKE_REASON_FRAGMENTED);
	return s;
}

struct ike_sent *ike_message_seal(struct ike_sa *sa, uint8_t exchange, uint32_t message_id,
	bool is_response, const struct wire_builder *payloads, enum ike_reason *why)
{
	struct wire_builder b = *payloads;
	struct ike_header h = header_of(sa, exchange, message_id, is_response);
	bool overflow = b.w.overflow;
	struct view plain = wire_build_done(&b);
	*why = IKE_REASON_NO_MEMORY;
	if (overflow || (plain.len == 0 && b.first != 0))
		return NULL;
	if (exchange == IKEV2_EXCHANGE_IKE_SA_INIT)
		return clear_message(&h, plain, b.first);
	*why = IKE_REASON_NO_KEYS;
	if (!sa->has_keys)
		return NULL;
	return sealed_message(sa, &h, plain, b.first, why);
}

// The ICV, then the plaintext into e->plain.
static bool open_body(struct ike_sa *sa, struct view d, size_t aad_len, struct view *plain)
{
	struct ike_engine *e = sa->engine;
	size_t len;
	switch (ike_open(&sa->crypt, d, aad_len, e->plain, &len)) {
	case IKE_CRYPTO_OK:
		*plain = (struct view){e->plain, len};
		return true;
	case IKE_CRYPTO_SHORT:
	case IKE_CRYPTO_BAD_ICV:
	case IKE_CRYPTO_BAD_PADDING:
		ike_count(e, IKE_REASON_DECRYPT);
		return false;
	default:
		ike_count(e, IKE_REASON_CRYPTO);
		return false;
	}
}

static enum ike_opened open_fragment(struct ike_sa *sa, struct view d, const struct ike_header *h,
	const struct ike_message *outer, struct view *plain, uint8_t *first)
{
	struct wire_skf f;
	struct view content;
	if (wire_skf_parse(outer->skf, &f) != WIRE_OK) {
		ike_count(sa->engine, IKE_REASON_FRAGMENT_BAD);
		return IKE_OPEN_DROP;
	}
	if (!ike_fragment_wanted(sa, h, &f))
		return IKE_OPEN_DROP;
	if (!open_body(sa, d, (size_t)(f.content.p - d.p), &content))
		return IKE_OPEN_DROP;
	return ike_fragment_add(sa, h, &f, outer->sk_first, content, plain, first);
}

enum ike_opened ike_message_open(struct ike_sa *sa, struct view d, const struct ike_header *h,
	const struct ike_message *outer, struct view *plain, uint8_t *first)
{
	if (outer->skf.p)
		return open_fragment(sa, d, h, outer, plain, first);
	if (!open_body(sa, d, (size_t)(outer->sk.p - d.p), plain))
		return IKE_OPEN_DROP;
	*first = outer->sk_first;
	ike_fragments_drop(sa); // RFC 7383 2.6.1: the whole message has come instead
	return IKE_OPENED;
}

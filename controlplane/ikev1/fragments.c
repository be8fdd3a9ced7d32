// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Cisco's and Microsoft's fragmentation of IKEv1: the whole message, header included, in FRAGMENT
// payloads of messages in clear. Nothing proves a fragment, so everything about it is bounded: one
// message an IKE SA at a time, by number in O(1), bytes, time, and over all IKE SAs together.
#include "controlplane/ikev1/ikev1.h"

#include <stdlib.h>

#define FRAGMENT_HEADER (IKE_HEADER_LEN + IKE_PAYLOAD_HDR + 4) // bytes before a fragment's content

struct ikev1_fragments {
	struct ike_sa *sa;
	uint16_t id;
	uint8_t last; // number of the last one; 0: not here yet
	uint8_t have;
	size_t bytes;
	struct view parts[IKEV1_FRAGMENTS_MAX]; // owned
	struct wheel_timer timeout;
};

void ikev1_fragments_drop(struct ike_sa *sa)
{
	struct ikev1_fragments *f = sa->v1->fragments;
	if (!f)
		return;
	for (int i = 0; i < IKEV1_FRAGMENTS_MAX; i++)
		free((void *)(uintptr_t)f->parts[i].p);
	sa->engine->fragment_bytes -= f->bytes;
	wheel_cancel(&sa->engine->wheel, &f->timeout);
	free(f);
	sa->v1->fragments = NULL;
}

static void timed_out(struct wheel_timer *t, void *arg)
{
	ikev1_fragments_drop(arg);
}

static struct ikev1_fragments *begin(struct ike_sa *sa, uint16_t id)
{
	struct ike_engine *e = sa->engine;
	struct ikev1_fragments *f = sa->v1->fragments;
	if (f && f->id == id)
		return f;
	ikev1_fragments_drop(sa);
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->sa = sa;
	f->id = id;
	wheel_set(&e->wheel, &f->timeout, e->now_ns + IKE_FRAGMENT_NS, timed_out, sa);
	sa->v1->fragments = f;
	return f;
}

static enum ike_reason wanted(const struct ike_sa *sa, const struct ikev1_fragment *in)
{
	const struct ikev1_fragments *f = sa->v1->fragments;
	// Strangers have half of it, so that they cannot stop those who are known.
	size_t room = sa->half_open ? IKE_FRAGMENTS_ALL_MAX / 2 : IKE_FRAGMENTS_ALL_MAX;
	bool same = f && f->id == in->id;
	// Aggressive mode's second message may come in fragments: the vendor ID is inside.
	if (sa->initiator ? !sa->conn || !sa->conn->fragment_size : !sa->v1->peer_fragments)
		return IKE_REASON_FRAGMENT_NOT_AGREED;
	if (in->number == 0)
		return IKE_REASON_FRAGMENT_BAD;
	if (in->number > IKEV1_FRAGMENTS_MAX || sa->engine->fragment_bytes + in->content.len > room)
		return IKE_REASON_FRAGMENT_LIMIT;
	if (!same)
		return IKE_REASON_NONE;
	if (f->bytes + in->content.len > IKE_FRAGMENT_BYTES_MAX)
		return IKE_REASON_FRAGMENT_LIMIT;
	if (f->parts[in->number - 1].p)
		return IKE_REASON_FRAGMENT_REPEATED;
	if (f->last && (in->last || in->number > f->last))
		return IKE_REASON_FRAGMENT_TOTAL;
	if (in->last)
		for (unsigned i = in->number; i < IKEV1_FRAGMENTS_MAX; i++)
			if (f->parts[i].p)
				return IKE_REASON_FRAGMENT_TOTAL;
	return IKE_REASON_NONE;
}

static bool store(struct ikev1_fragments *f, const struct ikev1_fragment *in)
{
	uint8_t *copy = malloc(in->content.len ? in->content.len : 1);
	if (!copy)
		return false;
	if (in->content.len)
		memcpy(copy, in->content.p, in->content.len);
	f->parts[in->number - 1] = (struct view){copy, in->content.len};
	f->bytes += in->content.len;
	f->sa->engine->fragment_bytes += in->content.len;
	f->have++;
	if (in->last)
		f->last = in->number;
	return true;
}

static struct view join(struct ikev1_fragments *f)
{
	uint8_t *all = malloc(f->bytes ? f->bytes : 1);
	struct wr w = wr_of(all, all ? f->bytes : 0);
	for (uint8_t i = 0; i < f->last; i++)
		wr_view(&w, f->parts[i]);
	return all ? (struct view){all, w.len} : (struct view){NULL, 0};
}

struct view ikev1_fragment_in(struct ike_sa *sa, const struct ike_datagram *d)
{
	struct ike_engine *e = sa->engine;
	struct rd r = rd_view(d->bytes);
	struct wire_payload p;
	struct ikev1_fragment in;
	struct view none = {NULL, 0};
	if (!rd_skip(&r, IKE_HEADER_LEN))
		return none;
	struct wire_chain c = wire_chain_of(rd_rest(&r), IKEV1_PAYLOAD_FRAGMENT);
	enum wire_error err = wire_chain_next(&c, &p);
	if (err == WIRE_OK)
		err = ikev1_fragment_parse(p.body, &in);
	enum ike_reason why = err == WIRE_OK                   ? wanted(sa, &in)
			      : err == WIRE_TOO_MANY_FRAGMENTS ? IKE_REASON_FRAGMENT_LIMIT
							       : IKE_REASON_FRAGMENT_BAD;
	if (why) {
		ike_count(e, why);
		return none;
	}
	struct ikev1_fragments *f = begin(sa, in.id);
	if (!f || !store(f, &in)) {
		ike_count(e, IKE_REASON_NO_MEMORY);
		return none;
	}
	if (!f->last || f->have < f->last)
		return none;
	struct view whole = join(f);
	ike_count(e, whole.p ? IKE_REASON_REASSEMBLED : IKE_REASON_NO_MEMORY);
	ikev1_fragments_drop(sa);
	return whole;
}

// ---- out ------------------------------------------------------------------------------------------

static size_t room_of(const struct ike_sa *sa)
{
	size_t headers = sa->remote.addr.family == IP_V6 ? 48 : 28; // IP and UDP
	if (sa->local.port == IKE_NAT_T_PORT)
		headers += 4;
	if (!sa->v1->peer_fragments || !sa->conn || sa->conn->fragment_size <= headers)
		return 0;
	return sa->conn->fragment_size - headers;
}

// Message id 0 and no flags, as all known implementations write them.
static struct view put_fragment(
	struct wr *w, const struct ike_sa *sa, uint8_t exchange, const struct ikev1_fragment *f)
{
	size_t at = w->len;
	struct ike_header h = {.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.next_payload = IKEV1_PAYLOAD_FRAGMENT,
		.major = IKE_MAJOR_1,
		.exchange = exchange,
		.length = (uint32_t)(FRAGMENT_HEADER + f->content.len)};
	wire_header_build(w, &h);
	wr_u16(w, 0); // no next payload
	wr_u16(w, (uint16_t)(IKE_PAYLOAD_HDR + 4 + f->content.len));
	wr_u16(w, f->id);
	wr_u8(w, f->number);
	wr_u8(w, f->last);
	wr_view(w, f->content);
	return (struct view){w->base + at, w->len - at};
}

struct ike_sent *ikev1_fragments_out(struct ike_sa *sa, struct ike_sent *s)
{
	struct view whole = s->datagrams[0];
	size_t room = room_of(sa);
	if (room <= FRAGMENT_HEADER || whole.len <= room)
		return s;
	size_t each = room - FRAGMENT_HEADER;
	size_t n = (whole.len + each - 1) / each;
	uint8_t *data;
	if (n > IKEV1_FRAGMENTS_MAX)
		return s; // IP has to cut it
	struct ike_sent *cut = ike_sent_new((uint16_t)n, whole.len + n * FRAGMENT_HEADER, &data);
	if (cut) {
		struct wr w = wr_of(data, whole.len + n * FRAGMENT_HEADER);
		uint16_t id = (uint16_t)(random_u64(sa->engine->p.random) | 1);
		for (size_t i = 0; i < n; i++) {
			size_t at = i * each, len = whole.len - at < each ? whole.len - at : each;
			struct ikev1_fragment f = {
				id, (uint8_t)(i + 1), i + 1 == n, {whole.p + at, len}};
			cut->datagrams[i] = put_fragment(&w, sa, whole.p[18], &f);
		}
		ike_count(sa->engine, IKE_REASON_FRAGMENTED);
	}
	ike_sent_free(s);
	return cut;
}

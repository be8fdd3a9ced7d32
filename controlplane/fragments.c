// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Reassembly of IKE fragments (RFC 7383 2.6): one message an IKE SA at a time, verified fragments
// only, bounded in number, bytes, time, and over all IKE SAs.
#include "controlplane/exchange.h"

#include <stdlib.h>

struct ike_fragments {
	struct ike_engine *engine;
	struct ike_sa *sa;
	uint32_t message_id;
	bool is_response;
	uint16_t total, have;
	uint8_t first; // type of the message's first payload, from fragment 1
	size_t bytes;
	struct view parts[WIRE_FRAGMENTS_MAX]; // owned; p NULL: not here yet
	struct wheel_timer timeout;
};

void ike_fragments_drop(struct ike_sa *sa)
{
	struct ike_fragments *f = sa->fragments;
	if (!f)
		return;
	for (int i = 0; i < WIRE_FRAGMENTS_MAX; i++) {
		if (!f->parts[i].p)
			continue;
		uint8_t *p = (uint8_t *)(uintptr_t)f->parts[i].p;
		secret_wipe(p, f->parts[i].len);
		free(p);
	}
	f->engine->fragment_bytes -= f->bytes;
	wheel_cancel(&f->engine->wheel, &f->timeout);
	free(f);
	sa->fragments = NULL;
}

static void timed_out(struct wheel_timer *t, void *arg)
{
	ike_fragments_drop(arg);
}

// The reassembly under way, if it is of this message.
static struct ike_fragments *current(struct ike_sa *sa, const struct ike_header *h)
{
	struct ike_fragments *f = sa->fragments;
	bool same = f && f->message_id == h->message_id && f->is_response == ike_header_response(h);
	return same ? f : NULL;
}

bool ike_fragment_wanted(struct ike_sa *sa, const struct ike_header *h, const struct wire_skf *s)
{
	struct ike_engine *e = sa->engine;
	struct ike_fragments *f = current(sa, h);
	enum ike_reason why = IKE_REASON_NONE;
	// Strangers have half of it, so that they cannot stop those who are known.
	size_t room = sa->half_open ? IKE_FRAGMENTS_ALL_MAX / 2 : IKE_FRAGMENTS_ALL_MAX;
	if (!sa->peer_fragments)
		why = IKE_REASON_FRAGMENT_NOT_AGREED;
	else if (s->number == 0 || s->number > s->total)
		why = IKE_REASON_FRAGMENT_BAD;
	else if (s->total > WIRE_FRAGMENTS_MAX)
		why = IKE_REASON_FRAGMENT_LIMIT;
	else if (f && s->total < f->total)
		// RFC 7383 2.6: "If the value of Total Fragments is less than in the stored ones, this
		// fragment is dropped": the peer has cut finer since.
		why = IKE_REASON_FRAGMENT_TOTAL;
	else if (f && s->total == f->total && f->parts[s->number - 1].p)
		why = IKE_REASON_FRAGMENT_REPEATED;
	else if (e->fragment_bytes + s->content.len > room)
		why = IKE_REASON_FRAGMENT_LIMIT;
	if (why)
		ike_count(e, why);
	return !why;
}

static struct ike_fragments *begin(
	struct ike_sa *sa, const struct ike_header *h, const struct wire_skf *s)
{
	struct ike_engine *e = sa->engine;
	ike_fragments_drop(sa);
	struct ike_fragments *f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->engine = e;
	f->sa = sa;
	f->message_id = h->message_id;
	f->is_response = ike_header_response(h);
	f->total = s->total;
	wheel_set(&e->wheel, &f->timeout, e->now_ns + IKE_FRAGMENT_NS, timed_out, sa);
	sa->fragments = f;
	return f;
}

static bool store(struct ike_fragments *f, uint16_t number, struct view content)
{
	uint8_t *copy = malloc(content.len ? content.len : 1);
	if (!copy)
		return false;
	if (content.len)
		memcpy(copy, content.p, content.len);
	f->parts[number - 1] = (struct view){copy, content.len};
	f->bytes += content.len;
	f->engine->fragment_bytes += content.len;
	f->have++;
	return true;
}

enum ike_opened ike_fragment_add(struct ike_sa *sa, const struct ike_header *h,
	const struct wire_skf *s, uint8_t first_payload, struct view content, struct view *plain,
	uint8_t *first)
{
	struct ike_engine *e = sa->engine;
	struct ike_fragments *f = current(sa, h);
	if (!f || s->total > f->total)
		f = begin(sa, h, s);
	if (f && f->bytes + content.len > IKE_FRAGMENT_BYTES_MAX) {
		ike_count(e, IKE_REASON_FRAGMENT_LIMIT);
		ike_fragments_drop(sa);
		return IKE_OPEN_DROP;
	}
	if (!f || !store(f, s->number, content)) {
		ike_count(e, IKE_REASON_NO_MEMORY);
		return IKE_OPEN_DROP;
	}
	if (s->number == 1)
		f->first = first_payload;
	if (f->have < f->total)
		return IKE_OPEN_MORE;
	struct wr w = wr_of(e->plain, IKE_FRAGMENT_BYTES_MAX);
	for (uint16_t i = 0; i < f->total; i++)
		wr_view(&w, f->parts[i]);
	*first = f->first;
	*plain = wr_done(&w);
	ike_count(e, IKE_REASON_REASSEMBLED);
	ike_fragments_drop(sa);
	return IKE_OPENED;
}

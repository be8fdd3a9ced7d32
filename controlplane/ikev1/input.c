// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// An IKEv1 datagram's way in: IKE SA, fragments, exchange, repeats, protection, handler.
#include "controlplane/ikev1/ikev1.h"

#include <stdlib.h>

static uint64_t hash_of(const struct ike_engine *e, struct view v)
{
	return siphash(e->hash_key, v.p, v.len);
}

static bool phase1_type(uint8_t exchange)
{
	return exchange == IKEV1_EXCHANGE_MAIN || exchange == IKEV1_EXCHANGE_AGGRESSIVE;
}

static bool phase2_type(uint8_t exchange)
{
	return exchange == IKEV1_EXCHANGE_INFORMATIONAL || exchange == IKEV1_EXCHANGE_TRANSACTION ||
	       exchange == IKEV1_EXCHANGE_QUICK;
}

// After XAUTH's good status, before its ACK.
static const struct ikev1_row quick_in_login = {
	IKE_SA_LOGIN, IKEV1_EXCHANGE_QUICK, IKEV1_FORM_QUICK_1, ikev1_quick_request};

// ---- a message for its handler ---------------------------------------------------------------------

static bool keep_bytes(struct ike_exchange *x, struct view v)
{
	uint8_t *copy = malloc(v.len ? v.len : 1);
	if (!copy)
		return false;
	if (v.len)
		memcpy(copy, v.p, v.len);
	if (x->in_buf)
		secret_wipe(x->in_buf, x->in_len);
	free(x->in_buf);
	x->in_buf = copy;
	x->in_len = v.len;
	return true;
}

// What was opened becomes x's present message; its bytes are parsed once more where they stay.
static bool take(
	struct ike_exchange *x, const struct ikev1_opening *o, const struct ike_datagram *d)
{
	if (!keep_bytes(x, o->plain) || ikev1_message_parse((struct view){x->in_buf, x->in_len},
						o->h->next_payload, &x->in1) != WIRE_OK)
		return false;
	memcpy(x->v1.iv_in, o->iv, sizeof(x->v1.iv_in));
	x->from = *d;
	x->from.bytes = (struct view){NULL, 0};
	x->from_len = d->bytes.len;
	x->hash = hash_of(x->sa->engine, d->bytes);
	return true;
}

static void handle(struct ike_exchange *x, struct ikev1_next now)
{
	x->v1.current = now;
	x->v1.next = (struct ikev1_next){0};
	x->v1.expired_before = x->v1.expired;
	x->v1.expired = NULL;
	x->handler = now.handler;
	x->phase = IKE_PHASE_HANDLER;
	x->step = 0;
	x->got = IKE_GOT_NOTHING;
	x->out.b = (struct wire_builder){0};
	ike_exchange_run(x);
}

// The next message of an exchange that is under way.
static void message_next(
	struct ike_exchange *x, const struct ike_datagram *d, const struct ike_header *h)
{
	struct ike_sa *sa = x->sa;
	struct ike_engine *e = sa->engine;
	struct ikev1_message m;
	struct ikev1_next now = x->v1.next;
	struct ikev1_opening o = {.sa = sa, .x = x, .h = h, .form = now.form};
	uint64_t hash = hash_of(e, d->bytes);
	if (hash == x->hash && x->phase != IKE_PHASE_SENT) {
		ike_count(e, IKE_REASON_REPEATED_PENDING);
		return;
	}
	if (hash == x->v1.last_in) {
		ike_count(e, IKE_REASON_REPEATED_REQUEST);
		ikev1_resend(x, d);
		return;
	}
	if (x->phase != IKE_PHASE_SENT || !now.handler || x->type != h->exchange) {
		ike_count(e, IKE_REASON_V1_OUT_OF_TURN);
		return;
	}
	bool answer = sa->initiator && sa->spi_r == 0;
	enum ike_reason why = ikev1_open(&o, d, &m);
	if (!why && answer && h->spi_r == 0)
		why = IKE_REASON_ZERO_SPI;
	if (!why && !take(x, &o, d))
		why = IKE_REASON_NO_MEMORY;
	if (o.plain.p == e->plain)
		secret_wipe(e->plain, o.plain.len);
	if (why) {
		ike_refused(e, sa, &d->remote, why);
		return;
	}
	if (answer)
		sa->spi_r = h->spi_r;
	handle(x, now);
}

// ---- the first message of an exchange ----------------------------------------------------------------

static bool seen(const struct ikev1_sa *v1, uint32_t message_id)
{
	for (int i = 0; i < IKEV1_SEEN_MAX; i++)
		if (message_id && (v1->seen.ids[i] == message_id ||
					  v1->seen_informational.ids[i] == message_id))
			return true;
	return false;
}

// Quick mode says that the peer has heard that its login is over, though its ACK was lost. False: x is
// gone, perhaps the ISAKMP SA too.
static bool login_done(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	if (sa->state != IKE_SA_LOGIN || x->type != IKEV1_EXCHANGE_QUICK)
		return true;
	if (ikev1_login_implied(sa))
		return true;
	if (sa->state != IKE_SA_DEAD)
		ike_exchange_end(x);
	return false;
}

static void message_first(struct ike_sa *sa, const struct ike_datagram *d,
	const struct ike_header *h, const struct ikev1_row *row)
{
	struct ike_engine *e = sa->engine;
	struct ikev1_message m;
	struct ikev1_opening o = {.sa = sa, .h = h, .form = row->form};
	enum ike_reason why = IKE_REASON_NONE;
	if (sa->v1->exchange_count >= IKEV1_EXCHANGES_MAX)
		why = IKE_REASON_V1_EXCHANGES;
	else
		why = ikev1_open(&o, d, &m);
	struct ike_exchange *x =
		why ? NULL : ike_exchange_new(sa, h->exchange, false, h->message_id);
	if (!why && (!x || !take(x, &o, d)))
		why = IKE_REASON_NO_MEMORY;
	if (o.plain.p == e->plain)
		secret_wipe(e->plain, o.plain.len);
	if (!why) {
		if (login_done(x))
			handle(x, (struct ikev1_next){row->handler, row->form});
		return;
	}
	ike_refused(e, sa, &d->remote, why);
	if (x)
		ike_exchange_end(x);
}

// ---- phase 1 begins ------------------------------------------------------------------------------------

// A repeated first message is known by its cookie and source.
static bool repeated(
	struct ike_engine *e, const struct ike_datagram *d, uint64_t key, uint64_t spi_i)
{
	struct ike_sa *sa = ike_sa_by_init(e, key, spi_i);
	if (!sa || sa->version != IKE_MAJOR_1)
		return false;
	struct ike_exchange *x = LIST_FIRST(&sa->v1->exchanges);
	uint64_t hash = hash_of(e, d->bytes);
	if (x && phase1_type(x->type) && x->phase == IKE_PHASE_SENT && x->v1.last_in == hash) {
		ike_count(e, IKE_REASON_REPEATED_REQUEST);
		ikev1_resend(x, d);
	} else {
		ike_count(e, x && x->hash == hash ? IKE_REASON_REPEATED_PENDING
						  : IKE_REASON_INIT_CONFLICT);
	}
	return true;
}

static enum ike_reason admit(
	struct ike_engine *e, const struct ike_datagram *d, const struct ike_header *h)
{
	struct ikev1_message m;
	struct view body = {d->bytes.p + IKE_HEADER_LEN, d->bytes.len - IKE_HEADER_LEN};
	enum ikev1_form form =
		h->exchange == IKEV1_EXCHANGE_MAIN ? IKEV1_FORM_SA : IKEV1_FORM_AGGRESSIVE_1;
	if (h->flags & IKEV1_FLAG_ENCRYPTED)
		return IKE_REASON_BAD_FLAGS;
	if (d->bytes.len > IKE_INIT_BYTES_MAX)
		return IKE_REASON_INIT_TOO_LONG;
	enum wire_error err = ikev1_message_parse(body, h->next_payload, &m);
	if (err == WIRE_OK)
		err = ikev1_rules_check(&m, form, NULL);
	if (err != WIRE_OK)
		return ike_reason_of(err);
	if (e->shutting_down)
		return IKE_REASON_SHUTTING_DOWN;
	if (e->p.sink->congested(e->p.sink->ctx))
		return IKE_REASON_CONGESTED;
	return ike_half_open_room_ikev1(e, ike_source_slot(e, &d->remote.addr));
}

static void phase1_first(
	struct ike_engine *e, const struct ike_datagram *d, const struct ike_header *h)
{
	uint64_t key = ike_init_key(e, d, h->spi_i);
	if (!phase1_type(h->exchange) || h->message_id != 0) {
		ike_count(e, h->exchange == IKEV1_EXCHANGE_INFORMATIONAL
				     ? IKE_REASON_V1_CLEAR_INFORMATIONAL
				     : IKE_REASON_UNKNOWN_SPI);
		return;
	}
	if (repeated(e, d, key, h->spi_i))
		return;
	enum ike_reason why = admit(e, d, h);
	if (why) {
		ike_refused(e, NULL, &d->remote, why);
		return;
	}
	struct ike_sa *sa = ike_sa_new(e, IKE_MAJOR_1, false);
	if (!sa) {
		ike_count(e, IKE_REASON_NO_MEMORY);
		return;
	}
	sa->spi_i = h->spi_i;
	sa->v1->mode = h->exchange;
	sa->v1->began = d->remote;
	ike_sa_half_open(sa, d, key);
	message_first(sa, d, h, ikev1_row_find(sa, h->exchange));
	if (sa->state <= IKE_SA_PHASE1 && LIST_EMPTY(&sa->v1->exchanges))
		ike_sa_close(sa, IKE_REASON_NO_MEMORY);
}

// ---- before its time -------------------------------------------------------------------------------------

bool ikev1_queue_due(const struct ike_sa *sa)
{
	return ikev1_is(sa) && sa->v1->queued.from.bytes.p &&
	       ikev1_row_find(sa, sa->v1->queued.from.bytes.p[18]);
}

// Peers go on as soon as they are satisfied: a message of phase 2 may overtake phase 1's last one,
// or come while the login waits for a server. One is kept.
static void keep_for_later(struct ike_sa *sa, const struct ike_datagram *d)
{
	struct ike_engine *e = sa->engine;
	struct ike_datagram *q = &sa->v1->queued.from;
	uint8_t *copy =
		q->bytes.p || d->bytes.len > IKE_INIT_BYTES_MAX ? NULL : malloc(d->bytes.len);
	if (!copy) {
		ike_count(e, IKE_REASON_V1_QUEUE_FULL);
		return;
	}
	memcpy(copy, d->bytes.p, d->bytes.len);
	*q = *d;
	q->bytes.p = copy;
	ike_count(e, IKE_REASON_V1_QUEUED);
}

static void dispatch(struct ike_sa *sa, const struct ike_datagram *d, const struct ike_header *h);

void ikev1_queue_run(struct ike_sa *sa)
{
	struct ike_header h;
	struct ike_datagram d = sa->v1->queued.from;
	if (!ikev1_queue_due(sa))
		return;
	sa->v1->queued.from.bytes = (struct view){NULL, 0};
	if (wire_header_parse(d.bytes, &h) == WIRE_OK)
		dispatch(sa, &d, &h);
	free((void *)(uintptr_t)d.bytes.p);
}

// ---- dispatch --------------------------------------------------------------------------------------------

static struct ike_exchange *exchange_find(const struct ike_sa *sa, const struct ike_header *h)
{
	struct ike_exchange *x;
	LIST_FOREACH (x, &sa->v1->exchanges, v1.link)
		if (x->message_id == h->message_id &&
			(h->message_id || phase1_type(x->type) == phase1_type(h->exchange)))
			return x;
	return NULL;
}

// The last message that an exchange took, once more; it is over.
static bool done_again(struct ike_sa *sa, const struct ike_datagram *d, const struct ike_header *h)
{
	struct ikev1_sa *v1 = sa->v1;
	uint64_t hash = hash_of(sa->engine, d->bytes);
	struct ikev1_done *all[IKEV1_DONE_MAX + 1] = {&v1->phase1_done};
	for (int i = 0; i < IKEV1_DONE_MAX; i++)
		all[i + 1] = &v1->done[i];
	for (int i = 0; i <= IKEV1_DONE_MAX; i++) {
		struct ike_exchange again = {.sa = sa, .from = ike_sa_path(sa)};
		if (!all[i]->last_in || all[i]->last_in != hash)
			continue;
		ike_count(sa->engine, IKE_REASON_REPEATED_REQUEST);
		again.v1.sent = all[i]->sent;
		// Where nothing answered it, what we said next may be what the peer waits for.
		if (!again.v1.sent && sa->out_progress && sa->out_progress->phase == IKE_PHASE_SENT)
			again.v1.sent = sa->out_progress->v1.sent;
		ikev1_resend(&again, d);
		return true;
	}
	return false;
}

// Nothing that comes in clear is believed; an initiator gives up sooner.
static void informational_in_clear(struct ike_sa *sa)
{
	ike_count(sa->engine, IKE_REASON_V1_CLEAR_INFORMATIONAL);
	if (sa->initiator && !sa->has_keys)
		sa->init_refused = true;
}

static void dispatch(struct ike_sa *sa, const struct ike_datagram *d, const struct ike_header *h)
{
	struct ike_engine *e = sa->engine;
	bool informational = h->exchange == IKEV1_EXCHANGE_INFORMATIONAL;
	if (informational && !(h->flags & IKEV1_FLAG_ENCRYPTED)) {
		informational_in_clear(sa);
		return;
	}
	struct ike_exchange *x = exchange_find(sa, h);
	if (x) {
		message_next(x, d, h);
		return;
	}
	if (done_again(sa, d, h))
		return;
	const struct ikev1_row *row = ikev1_row_find(sa, h->exchange);
	if (phase1_type(h->exchange))
		ike_count(e, IKE_REASON_V1_OUT_OF_TURN);
	else if (seen(sa->v1, h->message_id) &&
		 (informational || h->exchange == IKEV1_EXCHANGE_QUICK))
		ike_count(e, IKE_REASON_V1_QUICK_FOURTH);
	else if (seen(sa->v1, h->message_id) || (h->message_id == 0 && !informational))
		ike_count(e, IKE_REASON_V1_MESSAGE_ID);
	else if (row)
		message_first(sa, d, h, row);
	else if (h->exchange == IKEV1_EXCHANGE_QUICK && ikev1_login_accepted(sa))
		message_first(sa, d, h, &quick_in_login);
	else if (sa->state < IKE_SA_ESTABLISHED && phase2_type(h->exchange) &&
		 (h->flags & IKEV1_FLAG_ENCRYPTED))
		keep_for_later(sa, d);
	else
		ike_count(e, IKE_REASON_WRONG_STATE);
}

// IKEv1's header does not say which cookie is whose: ours is found, the other one must fit.
static struct ike_sa *sa_of(struct ike_engine *e, const struct ike_header *h)
{
	struct ike_sa *sa = ike_sa_find(e, h->spi_r);
	if (sa && sa->version == IKE_MAJOR_1 && !sa->initiator && sa->spi_i == h->spi_i)
		return sa;
	sa = ike_sa_find(e, h->spi_i);
	if (sa && sa->version == IKE_MAJOR_1 && sa->initiator &&
		(sa->spi_r == h->spi_r || sa->spi_r == 0))
		return sa;
	return NULL;
}

// Some peers set the encryption flag on fragments, which never are encrypted.
static void fragment(struct ike_sa *sa, const struct ike_datagram *d)
{
	struct ike_engine *e = sa->engine;
	struct ike_datagram whole = *d;
	struct ike_header inner;
	whole.bytes = ikev1_fragment_in(sa, d);
	if (!whole.bytes.p)
		return;
	if (wire_header_parse(whole.bytes, &inner) == WIRE_OK && inner.major == IKE_MAJOR_1 &&
		inner.length == whole.bytes.len && inner.next_payload != IKEV1_PAYLOAD_FRAGMENT &&
		sa_of(e, &inner) == sa)
		dispatch(sa, &whole, &inner);
	else
		ike_count(e, IKE_REASON_FRAGMENT_BAD);
	free((void *)(uintptr_t)whole.bytes.p);
}

void ikev1_input(struct ike_engine *e, const struct ike_datagram *d, const struct ike_header *h)
{
	struct ike_sa *sa = sa_of(e, h);
	struct ike_datagram cut = *d;
	if (h->length < d->bytes.len) {
		ike_count(e, IKE_REASON_V1_TRAILING);
		cut.bytes.len = h->length;
		d = &cut;
	}
	if (!sa && h->spi_r == 0) {
		phase1_first(e, d, h);
		return;
	}
	if (!sa || sa->state == IKE_SA_DEAD || sa->state == IKE_SA_EXPIRED) {
		ike_count(e, IKE_REASON_UNKNOWN_SPI);
		return;
	}
	if (h->next_payload != IKEV1_PAYLOAD_FRAGMENT) {
		dispatch(sa, d, h);
		return;
	}
	fragment(sa, d);
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A datagram's way in: header, IKE SA, window, protection, parse, rules, state table, handler.
#include "controlplane/exchange.h"
#include "controlplane/ikev1/ikev1.h"
#include "controlplane/ikev2/qcd.h"

#include <stdlib.h>

static uint64_t hash_of(const struct ike_engine *e, struct view v)
{
	return siphash(e->hash_key, v.p, v.len);
}

enum ike_reason ike_reason_of(enum wire_error err)
{
	switch (err) {
	case WIRE_SHORT_HEADER:
		return IKE_REASON_SHORT;
	case WIRE_BAD_LENGTH:
		return IKE_REASON_BAD_LENGTH;
	case WIRE_BAD_MAJOR:
		return IKE_REASON_BAD_VERSION;
	case WIRE_BAD_SPI:
		return IKE_REASON_ZERO_SPI;
	case WIRE_UNSUPPORTED_CRITICAL:
		return IKE_REASON_CRITICAL_PAYLOAD;
	case WIRE_PAYLOAD_MISSING:
	case WIRE_PAYLOAD_REPEATED:
	case WIRE_PAYLOAD_UNEXPECTED:
		return IKE_REASON_RULES;
	default:
		return IKE_REASON_MALFORMED;
	}
}

// Parse x->in_buf from byte skip on, check the rules, find the row; then the handler or the refusal.
static void handle(struct ike_exchange *x, size_t skip, uint8_t first)
{
	struct ike_sa *sa = x->sa;
	struct view payloads = {x->in_buf + skip, x->in_len - skip};
	enum wire_error err = wire_message_parse(payloads, first, &x->in);
	x->row = ike_row_find(sa, x->type, x->initiator);
	if (err == WIRE_OK && x->row)
		err = wire_rules_check(&x->in, x->type, x->initiator, NULL);
	if (err != WIRE_OK) {
		bool critical = err == WIRE_UNSUPPORTED_CRITICAL;
		uint8_t unknown = x->in.unsupported;
		// RFC 7296 2.21.3: INVALID_SYNTAX ends the IKE SA on both sides. An unknown critical
		// payload ends it only where it is not established yet.
		x->fatal = !critical || sa->state < IKE_SA_ESTABLISHED;
		ike_exchange_act(x, ike_fail_data(x, ike_reason_of(err), wire_error_notify(err),
					    &unknown, critical ? 1 : 0));
	} else if (!x->row) {
		ike_exchange_act(
			x, ike_fail_fatal(x, IKE_REASON_WRONG_STATE, IKEV2_NOTIFY_INVALID_SYNTAX));
	} else if (x->initiator && sa->has_keys &&
		   wire_notify_find(&x->in, IKEV2_NOTIFY_INVALID_SYNTAX)) {
		x->peer_ended = true;
		ike_exchange_act(x, ike_fail_fatal(x, IKE_REASON_PEER_SYNTAX, 0));
	} else {
		if (!x->initiator)
			x->handler = x->row->handler;
		ike_exchange_run(x);
	}
}

static bool keep_bytes(struct ike_exchange *x, struct view v)
{
	x->in_buf = malloc(v.len ? v.len : 1);
	if (!x->in_buf)
		return false;
	if (v.len)
		memcpy(x->in_buf, v.p, v.len);
	x->in_len = v.len;
	return true;
}

// The bytes of a new request become its exchange.
static void request_begin(struct ike_sa *sa, const struct ike_datagram *d,
	const struct ike_header *h, uint64_t hash, struct view bytes, size_t skip, uint8_t first)
{
	struct ike_exchange *x = ike_exchange_new(sa, h->exchange, false, h->message_id);
	if (!x || !keep_bytes(x, bytes)) {
		ike_count(sa->engine, IKE_REASON_NO_MEMORY);
		if (x)
			ike_exchange_end(x);
		return;
	}
	x->from = *d;
	x->from_len = d->bytes.len;
	x->from.bytes = (struct view){NULL, 0};
	x->hash = hash;
	handle(x, skip, first);
}

static void response_arrived(struct ike_sa *sa, struct view bytes, size_t skip, uint8_t first)
{
	struct ike_engine *e = sa->engine;
	struct ike_exchange *x = sa->out_progress;
	if (!keep_bytes(x, bytes)) {
		ike_count(e, IKE_REASON_NO_MEMORY); // the request is sent again
		return;
	}
	wheel_cancel(&e->wheel, &sa->retransmit);
	ike_sent_free(sa->request);
	sa->request = NULL;
	sa->next_out = x->message_id + 1;
	x->phase = IKE_PHASE_RESPONSE;
	x->handler = x->task->response;
	x->step = 0;
	x->got = IKE_GOT_NOTHING;
	x->out.b = (struct wire_builder){0};
	handle(x, skip, first);
}

// ---- IKE_SA_INIT, in clear ----

// The first answer is settled without state: cookies and limits. True: go on.
static bool admit(struct ike_engine *e, const struct ike_datagram *d, const struct ike_header *h,
	const struct ike_message *m, uint16_t slot, bool *proved)
{
	const struct wire_notify *n = wire_notify_find(m, IKEV2_NOTIFY_COOKIE);
	struct view nonce;
	if (n && n->data.len > IKEV2_COOKIE_MAX) {
		ike_refused(e, NULL, &d->remote, IKE_REASON_COOKIE_TOO_LONG);
		ike_send_notify(e, d, h, IKEV2_NOTIFY_INVALID_SYNTAX, (struct view){NULL, 0});
		return false;
	}
	if (!m->nonce.p || wire_nonce_parse(m->nonce, &nonce) != WIRE_OK)
		nonce = (struct view){NULL, 0};
	*proved = n && nonce.len && ike_cookie_check(e, d, h->spi_i, nonce, n->data);
	if (n && !*proved)
		ike_count(e, IKE_REASON_COOKIE_BAD);
	if (!*proved && ike_cookie_needed(e, slot)) {
		if (nonce.len)
			ike_cookie_demand(e, d, h, nonce);
		else
			ike_count(e, IKE_REASON_MALFORMED);
		return false;
	}
	enum ike_reason full = ike_half_open_room(e, slot);
	if (full)
		ike_refused(e, NULL, &d->remote, full);
	return !full;
}

static void init_new(struct ike_engine *e, const struct ike_datagram *d, const struct ike_header *h,
	uint64_t key, bool proved)
{
	struct ike_sa *sa = ike_sa_new(e, IKE_MAJOR_2, false);
	if (!sa) {
		ike_count(e, IKE_REASON_NO_MEMORY);
		return;
	}
	sa->spi_i = h->spi_i;
	sa->cookie_proved = proved;
	ike_sa_half_open(sa, d, key);
	request_begin(sa, d, h, hash_of(e, d->bytes), d->bytes, IKE_HEADER_LEN, h->next_payload);
	if (sa->state == IKE_SA_NEW && !sa->in_progress)
		ike_sa_close(sa, IKE_REASON_NO_MEMORY);
}

// A repeated IKE_SA_INIT is known by initiator SPI and source; it costs no second DH.
static bool init_repeated(struct ike_engine *e, const struct ike_datagram *d,
	const struct ike_header *h, uint64_t key)
{
	struct ike_sa *sa = ike_sa_by_init(e, key, h->spi_i);
	if (!sa || sa->version != IKE_MAJOR_2)
		return false;
	uint64_t hash = hash_of(e, d->bytes);
	if (sa->in_progress && sa->in_progress->type == IKEV2_EXCHANGE_IKE_SA_INIT) {
		ike_count(e, sa->in_progress->hash == hash ? IKE_REASON_REPEATED_PENDING
							   : IKE_REASON_INIT_CONFLICT);
	} else if (sa->last_response && sa->last_response_id == 0 &&
		   sa->last_request_hash == hash) {
		ike_count(e, IKE_REASON_REPEATED_REQUEST);
		ike_sent_send(e, sa->last_response, d);
	} else {
		ike_count(e, IKE_REASON_INIT_CONFLICT);
	}
	return true;
}

static void init_request(
	struct ike_engine *e, const struct ike_datagram *d, const struct ike_header *h)
{
	struct ike_message m;
	bool proved;
	uint64_t key = ike_init_key(e, d, h->spi_i);
	if (!ike_header_initiator(h) || h->message_id != 0) {
		ike_count(e, h->message_id ? IKE_REASON_BAD_MESSAGE_ID : IKE_REASON_BAD_FLAGS);
		return;
	}
	if (init_repeated(e, d, h, key))
		return;
	if (d->bytes.len > IKE_INIT_BYTES_MAX) {
		ike_refused(e, NULL, &d->remote, IKE_REASON_INIT_TOO_LONG);
		return;
	}
	struct view payloads = {d->bytes.p + IKE_HEADER_LEN, d->bytes.len - IKE_HEADER_LEN};
	enum wire_error err = wire_message_parse(payloads, h->next_payload, &m);
	if (err != WIRE_OK && err != WIRE_UNSUPPORTED_CRITICAL) {
		ike_refused(e, NULL, &d->remote, ike_reason_of(err));
		return;
	}
	if (e->shutting_down || e->p.sink->congested(e->p.sink->ctx)) {
		ike_count(e, e->shutting_down ? IKE_REASON_SHUTTING_DOWN : IKE_REASON_CONGESTED);
		return;
	}
	if (admit(e, d, h, &m, ike_source_slot(e, &d->remote.addr), &proved))
		init_new(e, d, h, key, proved);
}

// RFC 7296 2.21.1: "Because all error notifications are completely unauthenticated, the recipient
// should continue trying for some time before giving up." Only these two are acted on.
static bool init_retry(const struct ike_message *m)
{
	return wire_notify_find(m, IKEV2_NOTIFY_COOKIE) ||
	       wire_notify_find(m, IKEV2_NOTIFY_INVALID_KE_PAYLOAD);
}

static void init_response(
	struct ike_sa *sa, const struct ike_datagram *d, const struct ike_header *h)
{
	struct ike_engine *e = sa->engine;
	struct ike_exchange *x = sa->out_progress;
	struct ike_message m;
	struct view payloads = {d->bytes.p + IKE_HEADER_LEN, d->bytes.len - IKE_HEADER_LEN};
	if (sa->state != IKE_SA_INIT_SENT || !x || x->phase != IKE_PHASE_SENT ||
		h->message_id != 0) {
		ike_count(e, IKE_REASON_REPEATED_RESPONSE);
		return;
	}
	// Anyone could have sent it: what is not even well formed does not end the attempt.
	enum wire_error err = wire_message_parse(payloads, h->next_payload, &m);
	if (err == WIRE_OK)
		err = wire_rules_check(&m, h->exchange, true, NULL);
	if (err != WIRE_OK) {
		ike_refused(e, sa, &d->remote, ike_reason_of(err));
		return;
	}
	if (!m.sa.p && !init_retry(&m)) {
		ike_refused(e, sa, &d->remote, IKE_REASON_INIT_REFUSED);
		sa->init_refused = true;
		return;
	}
	if (m.sa.p && h->spi_r == 0) {
		ike_refused(e, sa, &d->remote, IKE_REASON_ZERO_SPI);
		return;
	}
	x->from = *d;
	x->from.bytes = (struct view){NULL, 0};
	x->peer_spi = h->spi_r;
	response_arrived(sa, d->bytes, IKE_HEADER_LEN, h->next_payload);
}

// ---- protected messages ----

// The last response once more, to whoever repeats its request. A copy of a request can come from
// anybody who saw it, with any source address: where that is not the peer's, nothing larger than
// the copy leaves, or not often.
static void respond_again(struct ike_sa *sa, const struct ike_datagram *d)
{
	struct ike_engine *e = sa->engine;
	size_t len = 0;
	for (uint16_t i = 0; i < sa->last_response->count; i++)
		len += sa->last_response->datagrams[i].len;
	if (len > d->bytes.len && !endpoint_eq(&d->remote, &sa->remote)) {
		if (sa->elsewhere_left == 0) {
			ike_count(e, IKE_REASON_REPEATED_ELSEWHERE);
			return;
		}
		sa->elsewhere_left--;
	}
	ike_count(e, IKE_REASON_REPEATED_REQUEST);
	ike_sent_send(e, sa->last_response, d);
}

// RFC 7383 2.6.1: a peer that had no answer may cut the same request in another way. Fragment 1 of
// it, if authentic, asks for the response as well as a repeated datagram does.
static bool cut_again(struct ike_sa *sa, struct view d, const struct wire_skf *f)
{
	size_t len;
	return f && f->number == 1 &&
	       ike_open(&sa->crypt, d, (size_t)(f->content.p - d.p), sa->engine->plain, &len) ==
		       IKE_CRYPTO_OK;
}

// A request with the id of the last one gets the same response, if it is the same.
static void request_again(
	struct ike_sa *sa, const struct ike_datagram *d, uint64_t hash, const struct wire_skf *f)
{
	struct ike_engine *e = sa->engine;
	if (hash != sa->last_request_hash && !cut_again(sa, d->bytes, f)) {
		ike_count(e, f && f->number > 1 ? IKE_REASON_FRAGMENT_REPEATED
						: IKE_REASON_REPEAT_DIFFERS);
		return;
	}
	respond_again(sa, d);
}

// True: the request is the next one.
static bool window(struct ike_sa *sa, const struct ike_datagram *d, const struct ike_header *h,
	uint64_t hash, const struct wire_skf *f)
{
	struct ike_engine *e = sa->engine;
	if (h->message_id == sa->next_in) {
		if (!sa->in_progress)
			return true;
		bool same = sa->in_progress->hash == hash || (f && f->number > 1);
		ike_count(e, same ? IKE_REASON_REPEATED_PENDING : IKE_REASON_REPEAT_DIFFERS);
	} else if (h->message_id > sa->next_in) {
		ike_count(e, IKE_REASON_MESSAGE_ID_AHEAD);
	} else if (sa->last_response && h->message_id == sa->last_response_id) {
		request_again(sa, d, hash, f);
	} else {
		ike_count(e, IKE_REASON_MESSAGE_ID_OLD);
	}
	return false;
}

static bool response_expected(struct ike_sa *sa, const struct ike_header *h)
{
	struct ike_exchange *x = sa->out_progress;
	if (!x || x->phase != IKE_PHASE_SENT || x->message_id != h->message_id) {
		ike_count(sa->engine, IKE_REASON_REPEATED_RESPONSE);
		return false;
	}
	if (x->type != h->exchange) {
		ike_count(sa->engine, IKE_REASON_RESPONSE_EXCHANGE);
		return false;
	}
	return true;
}

// What of the outside decides before anything is decrypted. False: counted.
static bool protected_outside(struct ike_sa *sa, const struct ike_datagram *d,
	const struct ike_header *h, struct ike_message *outer)
{
	struct ike_engine *e = sa->engine;
	struct view payloads = {d->bytes.p + IKE_HEADER_LEN, d->bytes.len - IKE_HEADER_LEN};
	if (!sa->has_keys) {
		ike_count(e, IKE_REASON_NO_KEYS);
		return false;
	}
	if (sa->state < IKE_SA_ESTABLISHED &&
		!ike_row_find(sa, h->exchange, ike_header_response(h))) {
		ike_count(e, IKE_REASON_WRONG_STATE);
		return false;
	}
	if (wire_message_parse(payloads, h->next_payload, outer) != WIRE_OK) {
		ike_count(e, IKE_REASON_MALFORMED);
		return false;
	}
	if (wire_rules_check_outer(outer) != WIRE_OK) {
		if (ikev2_qcd_shown(sa, h, outer))
			return false;
		// RFC 7296 2.21.4: an error notify in clear is no reason to end anything.
		ike_count(e, wire_notify_error(outer) ? IKE_REASON_IGNORED_NOTIFY
						      : IKE_REASON_NOT_PROTECTED);
		return false;
	}
	return true;
}

static void protected_message(
	struct ike_sa *sa, const struct ike_datagram *d, const struct ike_header *h)
{
	struct ike_engine *e = sa->engine;
	struct ike_message outer;
	struct wire_skf skf;
	struct view plain;
	uint8_t first;
	if (!protected_outside(sa, d, h, &outer))
		return;
	bool cut = outer.skf.p && wire_skf_parse(outer.skf, &skf) == WIRE_OK;
	bool is_response = ike_header_response(h);
	uint64_t hash = hash_of(e, d->bytes);
	if (is_response ? !response_expected(sa, h) : !window(sa, d, h, hash, cut ? &skf : NULL))
		return;
	enum ike_opened opened = ike_message_open(sa, d->bytes, h, &outer, &plain, &first);
	if (opened == IKE_OPEN_DROP)
		return;
	if (cut && skf.number == 1)
		sa->first_fragment_hash = hash;
	if (opened == IKE_OPEN_MORE)
		return;
	ike_sa_heard(sa, d);
	if (is_response)
		response_arrived(sa, plain, 0, first);
	else
		request_begin(sa, d, h, cut ? sa->first_fragment_hash : hash, plain, 0, first);
	secret_wipe(e->plain, plain.len);
}

// ---- dispatch ----

// RFC 7296 2.5: a higher major version is told ours, a few times a second at most.
static void other_version(
	struct ike_engine *e, const struct ike_datagram *d, const struct ike_header *h)
{
	uint32_t suppressed;
	ike_count(e, IKE_REASON_BAD_VERSION);
	if (h->major <= IKE_MAJOR_2 || ike_header_response(h))
		return;
	if (log_limit_pass(&e->version_replies, e->now_ns, &suppressed))
		ike_send_notify(
			e, d, h, IKEV2_NOTIFY_INVALID_MAJOR_VERSION, (struct view){NULL, 0});
}

// An IKE SA that has ended answers the request that ended it once more, and nothing else.
static void after_the_end(
	struct ike_sa *sa, const struct ike_datagram *d, const struct ike_header *h)
{
	struct ike_engine *e = sa->engine;
	bool again = sa->last_response && !ike_header_response(h) &&
		     h->message_id == sa->last_response_id &&
		     hash_of(e, d->bytes) == sa->last_request_hash;
	if (again)
		respond_again(sa, d);
	else
		ike_count(e, IKE_REASON_UNKNOWN_SPI);
}

static void dispatch(struct ike_engine *e, const struct ike_datagram *d, const struct ike_header *h)
{
	bool init = h->exchange == IKEV2_EXCHANGE_IKE_SA_INIT;
	bool from_initiator = ike_header_initiator(h);
	if (init && !ike_header_response(h)) {
		init_request(e, d, h);
		return;
	}
	struct ike_sa *sa = ike_sa_find(e, from_initiator ? h->spi_r : h->spi_i);
	uint64_t peer_spi = from_initiator ? h->spi_i : h->spi_r;
	if (!sa || sa->version != IKE_MAJOR_2 || sa->initiator == from_initiator) {
		ike_count(e, IKE_REASON_UNKNOWN_SPI);
		if (!sa && !init)
			ikev2_qcd_show(e, d, h);
		return;
	}
	bool known_spi = peer_spi == (sa->initiator ? sa->spi_r : sa->spi_i);
	if (sa->state == IKE_SA_DEAD)
		after_the_end(sa, d, h);
	else if (init)
		init_response(sa, d, h);
	else if (!known_spi)
		ike_count(e, IKE_REASON_UNKNOWN_SPI);
	else
		protected_message(sa, d, h);
}

static void input(struct ike_engine *e, const struct ike_datagram *d)
{
	struct ike_header h;
	if (d->bytes.len == 1 && d->bytes.p[0] == 0xff) { // RFC 3948 2.3
		ike_count(e, IKE_REASON_KEEPALIVE);
		return;
	}
	enum wire_error err = wire_header_parse(d->bytes, &h);
	bool header = err != WIRE_SHORT_HEADER && err != WIRE_BAD_LENGTH;
	if (header && h.major == IKE_MAJOR_1 && e->ikev1 && err != WIRE_BAD_SPI)
		ikev1_input(e, d, &h);
	else if (header && h.major != IKE_MAJOR_2 && err != WIRE_BAD_SPI)
		other_version(e, d, &h);
	else if (err == WIRE_OK || err == WIRE_BAD_EXCHANGE)
		dispatch(e, d, &h); // an unknown exchange is refused if it proves authentic
	else
		ike_count(e, ike_reason_of(err));
}

void ike_input(struct ike_engine *e, const struct ike_datagram *d)
{
	ike_enter(e);
	ike_count(e, IKE_REASON_RECEIVED);
	input(e, d);
	ike_leave(e);
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Informational exchanges of IKEv1: DELETE in every order and from either side, notifies, and an
// ISAKMP SA that ends before its children.
#include "tests/engine/v1_say.h"

#include <errno.h>

static struct ike_child *child_of(struct ike_session *s)
{
	return LIST_FIRST(&s->children);
}

static void expect_gone(struct v1 *v)
{
	assert_true(bench_empty(v->gw));
	assert_int_equal(pool_in_use(v->gw, 0), 0);
}

// The client's own side ends without a word, if it has not ended already.
static void silence_client(struct v1 *v)
{
	struct ike_sa *sa;
	ike_enter(v->client->engine);
	while ((sa = v1_any_sa(v->client)))
		ike_sa_close(sa, IKE_REASON_CLOSED);
	ike_leave(v->client->engine);
	bench_run(v->b, 5);
}

// ---- DELETE of the peer ------------------------------------------------------------------------

enum part { END, ESP, ESP_BOTH, ISAKMP, SEND, WAIT };

static void deletes_in_every_order(void **state)
{
	static const struct {
		const char *what;
		enum part parts[8];
		bool expires; // for good: nobody deleted the child
	} rows[] = {
		{"ESP, ISAKMP", {ESP, SEND, ISAKMP, SEND}, false},
		{"as vpnc: both SPIs", {ESP_BOTH, SEND, ISAKMP, SEND}, false},
		{"ISAKMP, ESP", {ISAKMP, SEND, ESP, SEND}, false},
		{"ISAKMP, later ESP", {ISAKMP, SEND, WAIT, ESP_BOTH, SEND}, false},
		{"ESP and ISAKMP in one", {ESP, ISAKMP, SEND}, false},
		{"ISAKMP and ESP in one", {ISAKMP, ESP, SEND}, false},
		{"everything twice", {ESP, ESP, ISAKMP, ISAKMP, SEND}, false},
		{"ISAKMP alone", {ISAKMP, SEND}, true},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct v1 v = v1_new(&(struct v1_setup){0});
		struct v1_ready r = v1_ready_child(&v);
		uint32_t spi_in = child_of(r.client_session)->spi_in;
		uint32_t spi_out = child_of(r.client_session)->spi_out;
		struct ike_sa copy = *r.client; // goes on speaking with these keys
		struct v1_say *s = NULL;
		print_message("# %s\n", rows[i].what);
		for (const enum part *p = rows[i].parts; *p != END; p++) {
			if (*p == WAIT) {
				bench_run(v.b, 1000);
				continue;
			}
			if (!s)
				s = v1_say_begin(&v, v.client, &copy);
			if (*p == ESP)
				v1_say_esp(s, spi_in, 0);
			else if (*p == ESP_BOTH)
				v1_say_esp(s, spi_in, spi_out);
			else if (*p == ISAKMP)
				v1_say_isakmp(s);
			if (*p == SEND) {
				v1_say(s);
				s = NULL;
			}
		}
		bench_expect(v.gw, "ike_deleted_by_peer", 1);
		bench_expect(v.gw, "ike_child_deleted", !rows[i].expires);
		bench_expect(v.gw, "ikev1_delete_unknown", 0);
		if (rows[i].expires) {
			assert_int_equal(bench_session_count(v.gw), 1);
			bench_run(v.b, 3000);
			assert_int_equal(r.gw->state, IKE_SA_EXPIRED);
		} else {
			expect_gone(&v);
		}
		silence_client(&v);
		v1_free(&v);
	}
}

// The children alone: the client may make others.
static void esp_alone(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){0});
	struct v1_ready r = v1_ready_child(&v);
	assert_int_equal(ike_delete_child(v.client->engine, r.client_session->id,
				 child_of(r.client_session)->spi_in),
		0);
	bench_run(v.b, 50);
	assert_int_equal(r.gw_session->child_count, 0);
	assert_int_equal(v.gw->engine->child_count, 0);
	assert_int_equal(r.gw->state, IKE_SA_ESTABLISHED);
	assert_int_equal(v1_ready_add(&v, &r, 0), 0);
	bench_run(v.b, 500);
	assert_true(v1_traffic(&v));
	v1_down(&v);
}

static void deletes_of_others(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){0});
	struct v1_ready r = v1_ready_child(&v);
	struct v1_say *s = v1_say_begin(&v, v.client, r.client);
	v1_say_esp(s, 0x12345678, 0);
	v1_say(s);
	bench_expect(v.gw, "ikev1_delete_unknown", 1);
	s = v1_say_begin(&v, v.client, r.client);
	ikev1_put_delete_isakmp(&s->b, r.client->spi_i, r.client->spi_r ^ 1);
	v1_say(s);
	bench_expect(v.gw, "ikev1_delete_unknown", 2);
	bench_expect(v.gw, "ike_deleted_by_peer", 0);
	// A child of another session, by its inbound SPI at the gateway.
	struct v1 o = v;
	o.client = v1_add_client(v.b, "other", "198.51.100.9", &v.setup);
	struct v1_ready other = v1_ready_child(&o);
	s = v1_say_begin(&v, v.client, r.client);
	v1_say_esp(s, child_of(other.gw_session)->spi_in, 0);
	v1_say(s);
	bench_expect(v.gw, "ikev1_delete_unknown", 3);
	assert_int_equal(other.gw_session->child_count, 1);
	assert_true(v1_traffic(&v));
	assert_int_equal(ike_delete_session(o.client->engine, other.client_session->id), 0);
	bench_run(v.b, 100);
	v1_down(&v);
}

// CVE-2023-38712: DELETE and a notify, or DELETE twice, in one message.
static void delete_with_notify(void **state)
{
	for (int first = 0; first < 2; first++) {
		struct v1 v = v1_new(&(struct v1_setup){0});
		struct v1_ready r = v1_ready_child(&v);
		uint32_t spi = child_of(r.client_session)->spi_in;
		uint8_t sequence[4] = {0, 0, 0, 7};
		struct v1_say *s = v1_say_begin(&v, v.client, r.client);
		if (first)
			v1_say_notify(s, IKEV1_NOTIFY_R_U_THERE, sequence, 4);
		v1_say_esp(s, spi, spi);
		v1_say_isakmp(s);
		v1_say_isakmp(s);
		v1_say_esp(s, spi, 0);
		if (!first)
			v1_say_notify(s, IKEV1_NOTIFY_R_U_THERE, sequence, 4);
		v1_say(s);
		bench_expect(v.gw, "ikev1_dpd_answered", 1);
		bench_expect(v.gw, "ike_child_deleted", 1);
		expect_gone(&v);
		silence_client(&v);
		v1_free(&v);
	}
}

// Nothing of what is not proven is believed, and nothing is answered.
static void unproven(void **state)
{
	static const struct {
		const char *what, *counter;
		struct v1_made how;
	} rows[] = {
		{"bad hash", "ikev1_hash", {.bad_hash = true}},
		{"no hash", "ikev1_hash", {.no_hash = true}},
		{"in clear", "ikev1_clear_informational", {.clear = true}},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct v1 v = v1_new(&(struct v1_setup){0});
		struct v1_ready r = v1_ready_child(&v);
		unsigned before = v1_sent(v.w, v.gw, 0);
		struct v1_say *s = v1_say_begin(&v, v.client, r.client);
		print_message("# %s\n", rows[i].what);
		v1_say_esp(s, child_of(r.client_session)->spi_in, 0);
		v1_say_isakmp(s);
		v1_say_notify(s, IKEV1_NOTIFY_R_U_THERE, "abcd", 4);
		v1_say_as(s, &rows[i].how);
		bench_expect(v.gw, rows[i].counter, 1);
		assert_int_equal(v1_sent(v.w, v.gw, 0), before);
		assert_true(v1_traffic(&v));
		v1_down(&v);
	}
}

static void replayed(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){0});
	struct v1_ready r = v1_ready_child(&v);
	struct v1_say *s = v1_say_begin(&v, v.client, r.client);
	v1_say_notify(s, IKEV1_NOTIFY_R_U_THERE, "\0\0\1\0", 4);
	bench_keep(v.b, 1);
	v1_say(s);
	bench_expect(v.gw, "ikev1_dpd_answered", 1);
	for (int i = 0; i < 3; i++) {
		bench_replay(v.b);
		bench_run(v.b, 20);
	}
	bench_expect(v.gw, "ike_repeated_request", 3);
	bench_expect(v.gw, "ikev1_dpd_answered", 1);
	// Long after, when its message id is forgotten.
	for (int i = 1; i <= IKEV1_SEEN_MAX + 2; i++) {
		uint8_t sequence[4] = {0, 0, 1, (uint8_t)i};
		s = v1_say_begin(&v, v.client, r.client);
		v1_say_notify(s, IKEV1_NOTIFY_R_U_THERE, sequence, 4);
		v1_say(s);
	}
	bench_expect(v.gw, "ikev1_dpd_answered", IKEV1_SEEN_MAX + 3);
	bench_replay(v.b);
	bench_run(v.b, 20);
	bench_expect(v.gw, "ikev1_dpd_answered", IKEV1_SEEN_MAX + 3);
	bench_expect(v.gw, "ikev1_dpd_bad", 1);
	v1_down(&v);
}

// ---- notifies ----------------------------------------------------------------------------------

// Windows says a fourth time that it is content.
static void fourth_message(void **state)
{
	static const struct {
		uint8_t exchange;
		uint16_t notify;
	} rows[] = {{IKEV1_EXCHANGE_QUICK, IKEV1_NOTIFY_CONNECTED},
		{IKEV1_EXCHANGE_INFORMATIONAL, IKEV1_NOTIFY_CONNECTED},
		{IKEV1_EXCHANGE_INFORMATIONAL, IKEV1_NOTIFY_INITIAL_CONTACT}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct v1 v = v1_new(&(struct v1_setup){0});
		struct v1_ready r = v1_ready_child(&v);
		const struct v1_message *one = v1_nth(v.w, v.client, IKEV1_EXCHANGE_QUICK, 1);
		struct v1_say *s = v1_say_begin(&v, v.client, r.client);
		v1_say_notify(s, rows[i].notify, NULL, 0);
		v1_say_as(s, &(struct v1_made){.exchange = rows[i].exchange,
				     .message_id = one->h.message_id});
		bench_expect(v.gw, "ikev1_quick_fourth", 1);
		assert_true(v1_traffic(&v));
		v1_down(&v);
	}
}

static void ignored_notifies(void **state)
{
	static const uint16_t types[] = {IKEV1_NOTIFY_INVALID_SPI, IKEV1_NOTIFY_NO_PROPOSAL_CHOSEN,
		IKEV1_NOTIFY_REPLAY_STATUS, IKEV1_NOTIFY_CONNECTED, IKEV1_NOTIFY_UNITY_LOAD_BALANCE,
		IKEV1_NOTIFY_RESPONDER_LIFETIME, IKEV1_NOTIFY_AUTHENTICATION_FAILED, 12345, 40000};
	struct v1 v = v1_new(&(struct v1_setup){0});
	struct v1_ready r = v1_ready_child(&v);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct v1_say *s = v1_say_begin(&v, v.client, r.client);
		v1_say_notify(s, types[i], "abcd", 4);
		v1_say(s);
		bench_expect(v.gw, "ikev1_notify_ignored", i + 1);
	}
	assert_true(v1_traffic(&v));
	v1_down(&v);
}

// An error about another SA does not end our quick mode, one about it does.
static void error_notify_while_waiting(void **state)
{
	static const struct {
		bool spi, ours, ends;
	} rows[] = {{true, false, false}, {true, true, true}, {false, false, true}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct v1 v = v1_new(&(struct v1_setup){0});
		struct v1_ready r = v1_ready(&v);
		struct ikev1_sa_offer offer;
		uint8_t spi[4];
		v1_hold(v.w, v.gw, IKEV1_EXCHANGE_QUICK);
		assert_int_equal(v1_ready_add(&v, &r, 0), 0);
		bench_run(v.b, 50);
		const struct v1_message *one = v1_nth(v.w, v.client, IKEV1_EXCHANGE_QUICK, 1);
		assert_int_equal(ikev1_sa_parse(one->m.sa, false, &offer), WIRE_OK);
		struct wr w = wr_of(spi, sizeof(spi));
		wr_u32(&w, offer.items[0].spi ^ (rows[i].ours ? 0 : 1));
		struct v1_say *s = v1_say_begin(&v, v.gw, r.gw);
		ikev1_put_notify(&s->b, &(struct ikev1_notification){.doi = IKEV1_DOI_IPSEC,
						.protocol = IKEV1_PROTOCOL_ESP,
						.type = IKEV1_NOTIFY_NO_PROPOSAL_CHOSEN,
						.spi = {spi, rows[i].spi ? 4 : 0}});
		v1_say(s);
		bench_expect(v.client, "ike_child_refused", rows[i].ends);
		bench_expect(v.client, "ikev1_notify_ignored", !rows[i].ends);
		v1_release(v.w);
		bench_run(v.b, 200);
		assert_int_equal(r.client_session->child_count, rows[i].ends ? 0 : 1);
		v1_down(&v);
	}
}

static void responder_lifetime_alone(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){0});
	struct v1_ready r = v1_ready_child(&v);
	uint8_t spi[4], data[16];
	struct wr w = wr_of(spi, sizeof(spi));
	wr_u32(&w, child_of(r.gw_session)->spi_in);
	size_t len = ikev1_lifetime_data(
		data, sizeof(data), false, &(struct ikev1_lifetime){.seconds = 100});
	bench_run(v.b, 50000);
	struct v1_say *s = v1_say_begin(&v, v.gw, r.gw);
	ikev1_put_notify(&s->b, &(struct ikev1_notification){.doi = IKEV1_DOI_IPSEC,
					.protocol = IKEV1_PROTOCOL_ESP,
					.type = IKEV1_NOTIFY_RESPONDER_LIFETIME,
					.spi = {spi, 4},
					.data = {data, len}});
	v1_say(s);
	bench_run(v.b, 48000);
	assert_int_equal(r.client_session->child_count, 1);
	bench_run(v.b, 3000);
	assert_int_equal(r.client_session->child_count, 0);
	v1_down(&v);
}

// The client says that it has nothing else: an older session of the same owner ends.
static void initial_contact(void **state)
{
	struct v1_setup setup = {.gw_more = "unique = \"replace\";"};
	struct v1 v = v1_new(&setup), o = v;
	v1_ready_child(&v);
	o.client = v1_add_client(v.b, "other", "198.51.100.9", &setup);
	struct v1_ready other = v1_ready_child(&o);
	assert_int_equal(bench_session_count(v.gw), 2);
	struct v1_say *s = v1_say_begin(&o, o.client, other.client);
	v1_say_notify(s, IKEV1_NOTIFY_INITIAL_CONTACT, NULL, 0);
	v1_say(s);
	bench_expect(v.gw, "ike_initial_contact", 1);
	assert_int_equal(bench_session_count(v.gw), 1);
	assert_int_equal(bench_session(v.gw).id, other.gw_session->id);
	s = v1_say_begin(&o, o.client, other.client);
	v1_say_notify(s, IKEV1_NOTIFY_INITIAL_CONTACT, NULL, 0);
	v1_say(s);
	bench_expect(v.gw, "ikev1_notify_ignored", 1);
	silence_client(&v);
	assert_int_equal(ike_delete_session(o.client->engine, other.client_session->id), 0);
	bench_run(v.b, 100);
	expect_gone(&v);
	v1_free(&v);
}

// ---- ours --------------------------------------------------------------------------------------

static void we_delete(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){0});
	struct v1_ready r = v1_ready_child(&v);
	assert_int_equal(
		ike_delete_child(v.gw->engine, r.gw_session->id, child_of(r.gw_session)->spi_in),
		0);
	bench_run(v.b, 50);
	assert_int_equal(r.client_session->child_count, 0);
	assert_int_equal(v1_ready_add(&v, &r, 0), 0);
	bench_run(v.b, 200);
	assert_int_equal(ike_delete_session(v.gw->engine, r.gw_session->id), 0);
	bench_run(v.b, 50);
	assert_non_null(v1_nth_delete(v.w, v.gw, IKEV1_PROTOCOL_ESP, 2));
	assert_true(v1_are_empty(&v));
	expect_gone(&v);
	v1_free(&v);
}

// Each DELETE in a message of its own; Cisco's clients hear of the ISAKMP SA first, others last.
static void order_of_our_deletes(void **state)
{
	for (int unity = 0; unity < 2; unity++) {
		struct v1 v = v1_new(&(struct v1_setup){0});
		struct v1_ready r = v1_ready_child(&v);
		r.gw->v1->peer_unity = unity;
		assert_int_equal(ike_delete_session(v.gw->engine, r.gw_session->id), 0);
		bench_run(v.b, 50);
		const struct v1_message *isakmp =
			v1_nth(v.w, v.gw, IKEV1_EXCHANGE_INFORMATIONAL, unity ? 1 : 2);
		const struct v1_message *esp =
			v1_nth(v.w, v.gw, IKEV1_EXCHANGE_INFORMATIONAL, unity ? 2 : 1);
		assert_non_null(esp);
		assert_non_null(isakmp);
		assert_int_equal(esp->m.delete_count, 1);
		assert_int_equal(esp->m.deletes[0].protocol, IKEV1_PROTOCOL_ESP);
		assert_int_equal(isakmp->m.delete_count, 1);
		assert_int_equal(isakmp->m.deletes[0].protocol, IKEV1_PROTOCOL_ISAKMP);
		assert_true(esp->hash_ok && isakmp->hash_ok);
		bench_run(v.b, 3000);
		expect_gone(&v);
		silence_client(&v);
		v1_free(&v);
	}
}

// ---- an ISAKMP SA that is over -----------------------------------------------------------------

// As when a client deletes it, or its time is over, and its children carry on.
static struct v1_ready expired(struct v1 *v, const struct v1_setup *setup)
{
	*v = v1_new(setup);
	struct v1_ready r = v1_ready_child(v);
	struct v1_say *s = v1_say_begin(v, v->client, r.client);
	v1_say_isakmp(s);
	v1_say(s);
	bench_run(v->b, 2500);
	assert_int_equal(r.gw->state, IKE_SA_EXPIRED);
	bench_expect(v->gw, "ikev1_expired", 1);
	return r;
}

static void expired_is_silent_and_carries_traffic(void **state)
{
	struct v1 v;
	struct v1_ready r = expired(&v, &(struct v1_setup){0});
	assert_false(bench_sink_knows(&v.gw->sink, r.gw->spi_r));
	assert_int_equal(r.gw->v1->keys.encr.len, 0);
	assert_false(r.gw->has_keys);
	assert_int_equal(pool_in_use(v.gw, 0), 1);
	assert_int_equal(bench_session(v.gw).state, IKE_SESSION_EXPIRED);
	assert_true(v1_traffic(&v));
	// CVE-2009-0790: a question about an ISAKMP SA that is over is not answered.
	unsigned before = v1_sent(v.w, v.gw, 0);
	for (uint16_t type = IKEV1_NOTIFY_R_U_THERE; type <= IKEV1_NOTIFY_R_U_THERE_ACK; type++) {
		struct v1_say *s = v1_say_begin(&v, v.client, r.client);
		v1_say_notify(s, type, "abcd", 4);
		v1_say(s);
	}
	assert_int_equal(v1_ready_add(&v, &r, 0), 0); // nor a quick mode
	bench_run(v.b, 20000);
	assert_int_equal(v1_sent(v.w, v.gw, 0), before);
	assert_true(v1_traffic(&v));
	assert_int_equal(ike_probe(v.gw->engine, r.gw_session->id), -ENOTSUP);
	assert_int_equal(ike_add_child(v.gw->engine, r.gw_session->id, "lan"), -ENOTCONN);
	assert_int_equal(
		ike_rekey_child(v.gw->engine, r.gw_session->id, child_of(r.gw_session)->spi_in),
		-ENOTSUP); // it has an address of ours: the client comes back by itself
	silence_client(&v);
	ike_enter(v.gw->engine);
	ike_sa_close(r.gw, IKE_REASON_CLOSED);
	ike_leave(v.gw->engine);
	bench_run(v.b, 20);
	expect_gone(&v);
	v1_free(&v);
}

enum end { BY_LIFETIME, BY_LIMIT, BY_OPERATOR, BY_CLEARING, BY_SHUTDOWN, BY_CHILD };

static void clear_all(struct v1 *v)
{
	struct ike_clearing c = {.what = IKE_CLEAR_ALL};
	while (!c.done)
		ike_clear(v->gw->engine, &c);
}

static void expired_ends(void **state)
{
	static const char *const names[] = {
		"lifetime", "limit", "operator", "clearing", "shutdown", "child deleted"};
	for (enum end end = BY_LIFETIME; end <= BY_CHILD; end++) {
		struct v1 v;
		struct v1_ready r =
			expired(&v, &(struct v1_setup){.gw_more = "lifetime: { child_hard_s = 400; "
								  "child_rekey_s = 300; };"});
		uint32_t spi = child_of(r.gw_session)->spi_in;
		struct sa_event limit = {.type = SA_EVENT_HARD_LIMIT, .child = spi, .dir = SA_OUT};
		print_message("# %s\n", names[end]);
		unsigned before = v1_sent(v.w, v.gw, 0);
		if (end == BY_LIFETIME) {
			bench_run(v.b, 390000);
			assert_int_equal(bench_session_count(v.gw), 1);
			bench_run(v.b, 10000);
		} else if (end == BY_LIMIT) {
			bench_sink_event(&v.gw->sink, &limit);
		} else if (end == BY_OPERATOR) {
			assert_int_equal(ike_delete_session(v.gw->engine, r.gw_session->id), 0);
		} else if (end == BY_CLEARING) {
			clear_all(&v);
		} else if (end == BY_SHUTDOWN) {
			ike_shutdown(v.gw->engine, v.b->now_ns + 5 * NS_PER_S);
		} else {
			assert_int_equal(ike_delete_child(v.gw->engine, r.gw_session->id, spi), 0);
		}
		bench_run(v.b, 1500);
		expect_gone(&v);
		assert_int_equal(v1_sent(v.w, v.gw, 0), before);
		silence_client(&v);
		v1_free(&v);
	}
}

// Those that nobody has confirmed go with it, those without a limit of their own get one.
static void expired_leaves_no_loose_ends(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){0});
	v.gw->cfg->connections[0].lifetime.child_hard_s = 0;
	v.client->cfg->connections[0].lifetime.child_hard_s = 0;
	struct v1_ready r = v1_ready_child(&v);
	struct ike_child *confirmed = child_of(r.gw_session);
	assert_false(confirmed->hard.set);
	v1_drop(v.w, v.client, IKEV1_EXCHANGE_QUICK, 2);
	ike_enter(v.client->engine);
	assert_int_equal(ikev1_rekey_child(r.client, child_of(r.client_session)), 0);
	ike_leave(v.client->engine);
	bench_run(v.b, 100);
	assert_int_equal(child_of(r.gw_session)->state, IKE_CHILD_READY);
	ike_enter(v.gw->engine);
	ikev1_sa_expire(r.gw, IKE_REASON_HARD_LIFETIME, false);
	ike_leave(v.gw->engine);
	assert_int_equal(r.gw->state, IKE_SA_EXPIRED);
	assert_int_equal(r.gw_session->child_count, 1);
	assert_ptr_equal(child_of(r.gw_session), confirmed);
	assert_true(confirmed->hard.set);
	silence_client(&v);
	bench_run(v.b, 28802000);
	expect_gone(&v);
	v1_free(&v);
}

// The peer's mapping in its NAT changes, and ours is kept open.
static void expired_behind_nat(void **state)
{
	struct v1 v;
	struct v1_ready r = expired(&v, &(struct v1_setup){0});
	struct sa_event moved = {.type = SA_EVENT_PEER_MOVED,
		.child = LIST_FIRST(&r.gw_session->children)->spi_in,
		.session = r.gw_session->id,
		.remote = bench_at("203.0.113.9", 33333)};
	r.gw->nat_remote = true;
	bench_sink_event(&v.gw->sink, &moved);
	bench_run(v.b, 10);
	assert_int_equal(bench_session(v.gw).remote.port, 33333);
	assert_int_equal(v.gw->sink.moves, 1);
	silence_client(&v);
	clear_all(&v);
	bench_run(v.b, 100);
	expect_gone(&v);
	v1_free(&v);
}

// ISAKMP's own lifetime.
static void hard_lifetime(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){
		.gw_more = "lifetime: { ike_hard_s = 300; ike_rekey_s = 200; };"});
	struct v1_ready r = v1_ready_child(&v);
	bench_run(v.b, 299000);
	assert_int_equal(r.gw->state, IKE_SA_ESTABLISHED);
	bench_run(v.b, 29000); // who is late gets through
	assert_int_equal(r.gw->state, IKE_SA_ESTABLISHED);
	bench_run(v.b, 4000);
	// It is deleted at the client as well, which treats it likewise.
	assert_int_equal(r.gw->state, IKE_SA_EXPIRED);
	assert_int_equal(r.client->state, IKE_SA_EXPIRED);
	assert_true(v1_traffic(&v));
	assert_int_equal(ike_delete_session(v.client->engine, r.client_session->id), 0);
	clear_all(&v);
	bench_run(v.b, 100);
	assert_true(v1_are_empty(&v));
	v1_free(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deletes_in_every_order),
		cmocka_unit_test(esp_alone),
		cmocka_unit_test(deletes_of_others),
		cmocka_unit_test(delete_with_notify),
		cmocka_unit_test(unproven),
		cmocka_unit_test(replayed),
		cmocka_unit_test(fourth_message),
		cmocka_unit_test(ignored_notifies),
		cmocka_unit_test(error_notify_while_waiting),
		cmocka_unit_test(responder_lifetime_alone),
		cmocka_unit_test(initial_contact),
		cmocka_unit_test(we_delete),
		cmocka_unit_test(order_of_our_deletes),
		cmocka_unit_test(expired_is_silent_and_carries_traffic),
		cmocka_unit_test(expired_ends),
		cmocka_unit_test(expired_leaves_no_loose_ends),
		cmocka_unit_test(expired_behind_nat),
		cmocka_unit_test(hard_lifetime),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

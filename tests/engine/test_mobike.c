// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Peers that move (RFC 4555), both roles.
#include "tests/engine/mobike_pair.h"

// ---- agreement -------------------------------------------------------------------------------------

static void negotiation(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
		p.gw->cfg->connections[0].mobike = i & 1;
		p.client->cfg->connections[0].mobike = i & 2;
		bench_pair_up(&p);
		assert_int_equal(bench_session(p.gw).mobike, i == 3);
		assert_int_equal(bench_session(p.client).mobike, i == 3);
		// RFC 4555 3.3: also without a NAT.
		assert_int_equal(bench_session(p.gw).local.port, i & 2 ? 4500 : 500);
		assert_int_equal(path_of(p.gw)->encap, SA_ENCAP_NONE);
		bench_free(p.b);
	}
}

static void addresses_are_told(void **state)
{
	for (int responder_only = 0; responder_only < 2; responder_only++) {
		struct bench_pair p = mobike_pair();
		bench_address_add(p.gw, GW_2);
		bench_address_add(p.gw, "2001:db8::1");
		p.gw->cfg->connections[0].responder_only = responder_only;
		bench_pair_up(&p);
		const struct ike_mobike *gw = p.gw_sa->mobike, *client = p.client_sa->mobike;
		assert_int_equal(gw->peer_count, 4);
		assert_int_equal(client->peer_count, responder_only ? 1 : 3);
		assert_true(ip_eq(&gw->peers[0], &p.client->addr));
		assert_true(ip_eq(&client->peers[0], &p.gw->addr));
		assert_true(client->initiator && !gw->initiator);
		bench_free(p.b);
	}
}

// ---- moving ----------------------------------------------------------------------------------------

static void moves(void **state)
{
	struct bench_pair p = mobike_up();
	unsigned gw_moves = p.gw->sink.moves;
	assert_int_equal(move_node(p.client, CLIENT_2), 0);
	// The client's own side at once, the gateway's when the client has answered from there.
	expect_path(p.client, CLIENT_2, GW_1);
	bench_run(p.b, 100);
	expect_path(p.gw, GW_1, CLIENT_2);
	assert_int_equal(p.gw->sink.moves, gw_moves + 1);
	struct ike_session_info s = bench_session(p.gw);
	assert_true(is_at(&s.remote, CLIENT_2) && !s.nat && s.mobike);
	bench_expect(p.gw, "ike_mobike_update", 1);
	bench_expect(p.gw, "ike_mobike_check", 1);
	bench_expect(p.client, "ike_mobike_update_sent", 1);
	expect_one_session(&p);
	// And back.
	assert_int_equal(move_node(p.client, CLIENT_1), 0);
	bench_run(p.b, 100);
	expect_path(p.gw, GW_1, CLIENT_1);
	expect_path(p.client, CLIENT_1, GW_1);
	expect_one_session(&p);
	bench_free(p.b);
}

static enum bench_fate drop_check(struct bench *b, struct bench_packet *p, void *arg)
{
	struct ike_header h = bench_header(p);
	struct bench_node *gw = arg;
	bool from_gw = ip_eq(&p->from.addr, &gw->addr);
	return from_gw && !ike_header_response(&h) ? BENCH_DROP : BENCH_PASS;
}

// RFC 4555 3.7: "By default, the return routability check SHOULD be done before updating the IPsec SAs."
static void unproven_address_gets_no_traffic(void **state)
{
	struct bench_pair p = mobike_up();
	bench_filter_add(p.b, drop_check, p.gw);
	assert_int_equal(move_node(p.client, CLIENT_2), 0);
	bench_run(p.b, 3000);
	expect_path(p.gw, GW_1, CLIENT_1);
	assert_true(is_at(&p.gw_sa->remote, CLIENT_2));
	// ESP from there does not get past the check either.
	p.gw_sa->nat_remote = true;
	struct sa_event ev = {.type = SA_EVENT_PEER_MOVED,
		.child = bench_session(p.gw).children[0].spi_in,
		.remote = p.gw_sa->remote};
	for (int i = 0; i < 2; i++, ev.remote.port++) {
		bench_sink_event(&p.gw->sink, &ev);
		bench_run(p.b, 10);
		expect_path(p.gw, GW_1, CLIENT_1);
	}
	bench_filters_clear(p.b);
	bench_run(p.b, 6000);
	expect_path(p.gw, GW_1, CLIENT_2);
	expect_one_session(&p);
	bench_free(p.b);
}

static void nat_appears_and_goes(void **state)
{
	struct bench_pair p = mobike_up();
	assert_int_equal(move_node(p.client, INSIDE), 0);
	bench_run(p.b, 100);
	expect_path(p.gw, GW_1, OUTSIDE);
	assert_int_equal(path_of(p.gw)->remote.port, p.b->nats[0].ports[0][1]);
	assert_int_equal(path_of(p.gw)->encap, SA_ENCAP_UDP);
	assert_int_equal(path_of(p.client)->encap, SA_ENCAP_UDP);
	assert_true(bench_session(p.gw).nat && bench_session(p.client).nat);
	assert_true(p.client_sa->nat_local && p.gw_sa->nat_remote);
	assert_true(p.client_sa->keepalive.set);
	bench_run(p.b, 25000);
	assert_true(bench_counter(p.gw, "ike_keepalive") >= 1);
	assert_int_equal(move_node(p.client, CLIENT_2), 0);
	bench_run(p.b, 100);
	expect_path(p.gw, GW_1, CLIENT_2);
	assert_int_equal(path_of(p.gw)->encap, SA_ENCAP_NONE);
	assert_int_equal(path_of(p.client)->encap, SA_ENCAP_NONE);
	assert_false(bench_session(p.gw).nat || bench_session(p.client).nat);
	assert_false(p.client_sa->keepalive.set);
	expect_one_session(&p);
	bench_free(p.b);
}

static enum bench_fate drop_nth(struct bench *b, struct bench_packet *p, void *arg)
{
	int *left = arg;
	return (*left)-- == 0 ? BENCH_DROP : BENCH_PASS;
}

static void every_message_lost_once(void **state)
{
	for (int n = 0; n < 8; n++) {
		struct bench_pair p = mobike_up();
		int left = n;
		bench_filter_add(p.b, drop_nth, &left);
		assert_int_equal(move_node(p.client, n % 2 ? INSIDE : CLIENT_2), 0);
		bench_run(p.b, 5000);
		expect_path(p.gw, GW_1, n % 2 ? OUTSIDE : CLIENT_2);
		expect_path(p.client, n % 2 ? INSIDE : CLIENT_2, GW_1);
		assert_int_equal(path_of(p.gw)->encap, path_of(p.client)->encap);
		expect_one_session(&p);
		bench_free(p.b);
	}
}

// RFC 4555 3.5: the last one counts, whatever of the one before was under way.
static void moves_again_meanwhile(void **state)
{
	for (uint64_t wait = 0; wait < 8; wait++) {
		struct bench_pair p = mobike_up();
		assert_int_equal(move_node(p.client, CLIENT_2), 0);
		bench_run(p.b, wait);
		assert_int_equal(move_node(p.client, CLIENT_3), 0);
		bench_run(p.b, wait);
		assert_int_equal(move_node(p.client, wait % 2 ? INSIDE : CLIENT_1), 0);
		bench_run(p.b, 2000);
		expect_path(p.gw, GW_1, wait % 2 ? OUTSIDE : CLIENT_1);
		expect_path(p.client, wait % 2 ? INSIDE : CLIENT_1, GW_1);
		assert_int_equal(path_of(p.gw)->encap, path_of(p.client)->encap);
		assert_false(p.gw_sa->mobike->checking || p.client_sa->mobike->updating);
		expect_one_session(&p);
		bench_free(p.b);
	}
}

static enum bench_fate drop_to(struct bench *b, struct bench_packet *p, void *arg)
{
	const struct ip_addr *dead = arg;
	return ip_eq(&p->to.addr, dead) || ip_eq(&p->from.addr, dead) ? BENCH_DROP : BENCH_PASS;
}

// A check that has gone to two addresses proves neither of them (RFC 4555 3.7).
static void check_of_two_addresses(void **state)
{
	struct bench_pair p = mobike_up();
	struct ip_addr dead = bench_at(CLIENT_2, 0).addr;
	bench_filter_add(p.b, drop_check, p.gw);
	assert_int_equal(move_node(p.client, CLIENT_2), 0);
	bench_run(p.b, 20);
	bench_filters_clear(p.b);
	bench_filter_add(p.b, drop_to, &dead);
	bench_expect(p.gw, "ike_mobike_check", 1);
	assert_int_equal(move_node(p.client, CLIENT_3), 0);
	bench_run(p.b, 200);
	bench_expect(p.gw, "ike_mobike_check", 2);
	expect_path(p.gw, GW_1, CLIENT_3);
	expect_one_session(&p);
	bench_free(p.b);
}

// What we have asked and was not answered goes to the new address at once.
static void request_follows_the_peer(void **state)
{
	struct bench_pair p = mobike_up();
	struct ip_addr dead = bench_at(CLIENT_1, 0).addr;
	bench_filter_add(p.b, drop_to, &dead);
	assert_int_equal(ike_rekey_ike(p.gw->engine, bench_session(p.gw).id), 0);
	bench_run(p.b, 20000); // tries are far between now
	assert_int_equal(move_node(p.client, CLIENT_2), 0);
	bench_run(p.b, 100);
	bench_expect(p.gw, "ike_ike_rekeyed", 1);
	bench_expect(p.client, "ike_ike_rekeyed", 1);
	bench_run(p.b, 1000);
	expect_path(p.gw, GW_1, CLIENT_2);
	expect_one_session(&p);
	bench_free(p.b);
}

// The first initiator decides, whoever has rekeyed the IKE SA since (RFC 4555 1.3).
static void rekeying_keeps_it(void **state)
{
	for (int by_gw = 0; by_gw < 2; by_gw++) {
		struct bench_pair p = mobike_up();
		struct bench_node *by = by_gw ? p.gw : p.client;
		assert_int_equal(ike_rekey_ike(by->engine, bench_session(by).id), 0);
		bench_run(p.b, 200);
		assert_true(bench_session(p.gw).mobike && bench_session(p.client).mobike);
		assert_true(bench_session(p.client).initiator);
		assert_int_equal(move_node(p.gw, GW_1), -ENOTSUP);
		assert_int_equal(move_node(p.client, CLIENT_2), 0);
		bench_run(p.b, 100);
		expect_path(p.gw, GW_1, CLIENT_2);
		expect_one_session(&p);
		bench_free(p.b);
	}
}

// A rekeying of either side begins while the move, or its check, is under way.
static void rekeying_meanwhile(void **state)
{
	for (uint64_t wait = 0; wait < 12; wait++) {
		struct bench_pair p = mobike_up();
		struct bench_node *by = wait % 2 ? p.gw : p.client;
		assert_int_equal(move_node(p.client, CLIENT_2), 0);
		bench_run(p.b, wait / 2);
		assert_int_equal(ike_rekey_ike(by->engine, bench_session(by).id), 0);
		bench_run(p.b, 5000);
		expect_path(p.gw, GW_1, CLIENT_2);
		expect_path(p.client, CLIENT_2, GW_1);
		assert_true(bench_session(p.gw).mobike && bench_session(p.client).mobike);
		expect_one_session(&p);
		bench_free(p.b);
	}
}

// The client moves while its rekeying is under way.
static void moves_while_rekeying(void **state)
{
	for (uint64_t wait = 0; wait < 12; wait++) {
		struct bench_pair p = mobike_up();
		struct bench_node *by = wait % 2 ? p.gw : p.client;
		assert_int_equal(ike_rekey_ike(by->engine, bench_session(by).id), 0);
		bench_run(p.b, wait / 2);
		int rc = move_node(p.client, INSIDE);
		assert_true(rc == 0 || rc == -EBUSY);
		bench_run(p.b, 5000);
		expect_path(p.gw, GW_1, rc ? CLIENT_1 : OUTSIDE);
		expect_path(p.client, rc ? CLIENT_1 : INSIDE, GW_1);
		assert_int_equal(path_of(p.gw)->encap, path_of(p.client)->encap);
		expect_one_session(&p);
		bench_free(p.b);
	}
}

static enum bench_fate drop_large_response(struct bench *b, struct bench_packet *p, void *arg)
{
	struct ike_header h = bench_header(p);
	bool it = h.exchange == IKEV2_EXCHANGE_CREATE_CHILD_SA && ike_header_response(&h);
	return it && is_at(&p->to, CLIENT_1) ? BENCH_DROP : BENCH_PASS;
}

// RFC 4555 3.5: what was not answered is sent again from the new address, and is answered there.
static void repeats_from_the_new_address(void **state)
{
	struct bench_pair p = mobike_up();
	bench_filter_add(p.b, drop_large_response, NULL);
	assert_int_equal(ike_rekey_ike(p.client->engine, bench_session(p.client).id), 0);
	bench_run(p.b, 100);
	bench_expect(p.gw, "ike_ike_rekeyed", 1);
	// As if the response were larger than its request.
	struct ike_sa *old = p.gw_sa;
	struct view whole = old->last_response->datagrams[0];
	uint8_t *data;
	struct ike_sent *s = ike_sent_new(2, 2 * whole.len, &data);
	assert_non_null(s);
	for (int i = 0; i < 2; i++) {
		memcpy(data + i * whole.len, whole.p, whole.len);
		s->datagrams[i] = (struct view){data + i * whole.len, whole.len};
	}
	ike_sent_free(old->last_response);
	old->last_response = s;
	assert_int_equal(move_node(p.client, CLIENT_2), 0);
	bench_run(p.b, 100);
	bench_expect(p.client, "ike_ike_rekeyed", 1);
	bench_expect(p.gw, "ike_repeated_elsewhere", 0);
	bench_run(p.b, 1000);
	expect_path(p.gw, GW_1, CLIENT_2);
	expect_one_session(&p);
	bench_free(p.b);
}

// From one family to the other.
static void moves_to_ipv6(void **state)
{
	struct bench_pair p = mobike_pair();
	bench_address_add(p.gw, "2001:db8::1");
	bench_address_add(p.client, "2001:db8:5::5");
	bench_pair_up(&p);
	assert_int_equal(move_node(p.client, "2001:db8:5::5"), 0);
	expect_path(p.client, CLIENT_1, GW_1); // the peer's other address has to answer first
	bench_run(p.b, 100);
	expect_path(p.client, "2001:db8:5::5", "2001:db8::1");
	expect_path(p.gw, "2001:db8::1", "2001:db8:5::5");
	assert_int_equal(path_of(p.gw)->encap, SA_ENCAP_NONE);
	expect_one_session(&p);
	assert_int_equal(move_node(p.client, CLIENT_2), 0);
	bench_run(p.b, 100);
	expect_path(p.gw, GW_1, CLIENT_2);
	expect_one_session(&p);
	bench_free(p.b);
}

static void refused_address(void **state)
{
	struct bench_pair p = mobike_up();
	struct ip_prefix only = {.addr = bench_at(CLIENT_1, 0).addr, .bits = 32};
	struct cfg_connection *conn = &p.gw->cfg->connections[0];
	conn->remote.addresses = &only;
	conn->remote.address_count = 1;
	assert_int_equal(move_node(p.client, CLIENT_2), 0);
	bench_run(p.b, 100);
	conn->remote.addresses = NULL;
	conn->remote.address_count = 0;
	bench_expect(p.gw, "ike_mobike_unacceptable", 1);
	bench_expect(p.gw, "ike_mobike_update", 0);
	bench_expect(p.client, "ike_mobike_refused", 1);
	expect_path(p.gw, GW_1, CLIENT_1);
	expect_path(p.client, CLIENT_1, GW_1);
	expect_one_session(&p);
	bench_free(p.b);
}

static void orders_that_cannot_be(void **state)
{
	struct bench_pair p = mobike_up();
	struct sa_origin origin = {0};
	struct endpoint v6 = bench_at("2001:db8::5", 0), v4 = bench_at(CLIENT_2, 0);
	assert_int_equal(ike_move(p.client->engine, 999, &origin, &v4), -ENOENT);
	assert_int_equal(move_node(p.gw, GW_1), -ENOTSUP); // the peer's to decide
	assert_int_equal(
		ike_move(p.client->engine, bench_session(p.client).id, &origin, &v6), -ENOTSUP);
	assert_int_equal(ike_delete_session(p.client->engine, bench_session(p.client).id), 0);
	assert_int_equal(move_node(p.client, CLIENT_2), -EPERM);
	bench_run(p.b, 100);
	bench_free(p.b);
	p = bench_pair_new(BENCH_GATEWAY_WITH(BENCH_PROPOSAL, " mobike = false;"), BENCH_CLIENT);
	bench_pair_up(&p);
	assert_int_equal(move_node(p.client, CLIENT_1), -ENOTSUP);
	bench_free(p.b);
}

// ---- by itself -------------------------------------------------------------------------------------

// One of our addresses stops working: another one is found while the traffic's child SAs live.
static void own_address_fails(void **state)
{
	struct bench_pair p = mobike_up();
	struct ip_addr dead = bench_at(CLIENT_1, 0).addr;
	bench_filter_add(p.b, drop_to, &dead);
	assert_int_equal(ike_probe(p.client->engine, bench_session(p.client).id), 0);
	bench_run(p.b, 6000);
	assert_true(bench_counter(p.client, "ike_mobike_paths") >= 1);
	const struct tunnel_path *t = path_of(p.client);
	assert_false(is_at(&t->local, CLIENT_1));
	assert_false(is_at(&path_of(p.gw)->remote, CLIENT_1));
	bench_expect(p.gw, "ike_mobike_update", 1);
	expect_one_session(&p);
	bench_free(p.b);
}

// One of the peer's: it has to answer at the other one before traffic goes there.
static void peers_address_fails(void **state)
{
	struct bench_pair p = mobike_pair();
	struct ip_addr dead = bench_at(GW_1, 0).addr;
	bench_address_add(p.gw, GW_2);
	bench_pair_up(&p);
	bench_filter_add(p.b, drop_to, &dead);
	assert_int_equal(ike_probe(p.client->engine, bench_session(p.client).id), 0);
	bench_run(p.b, 20000);
	assert_true(is_at(&path_of(p.client)->remote, GW_2));
	assert_true(is_at(&path_of(p.gw)->local, GW_2));
	expect_one_session(&p);
	bench_free(p.b);
}

static enum bench_fate drop_all_but(struct bench *b, struct bench_packet *p, void *arg)
{
	const char *const *pair = arg;
	bool there = is_at(&p->from, pair[0]) && is_at(&p->to, pair[1]);
	bool back = is_at(&p->from, pair[1]) && is_at(&p->to, pair[0]);
	return there || back ? BENCH_PASS : BENCH_DROP;
}

// Of many pairs the only one that works is found, whichever it is.
static void one_of_many_paths(void **state)
{
	static const char *const gws[] = {GW_1, GW_2, "192.0.2.98", "192.0.2.97"};
	static const char *const clients[] = {CLIENT_1, CLIENT_2, CLIENT_3, "203.0.113.7"};
	for (int i = 1; i < 16; i += 2) {
		const char *pair[] = {clients[i % 4], gws[i / 4]};
		struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
		for (int k = 1; k < 4; k++) {
			bench_address_add(p.gw, gws[k]);
			bench_address_add(p.client, clients[k]);
		}
		bench_pair_up(&p);
		bench_filter_add(p.b, drop_all_but, pair);
		assert_int_equal(ike_probe(p.client->engine, bench_session(p.client).id), 0);
		bench_run(p.b, 40000);
		expect_path(p.client, pair[0], pair[1]);
		expect_path(p.gw, pair[1], pair[0]);
		expect_one_session(&p);
		bench_free(p.b);
	}
}

// Nothing works: the session ends as without MOBIKE, and no sooner.
static void all_paths_fail(void **state)
{
	struct bench_pair p = mobike_up();
	p.gw->deaf = true;
	assert_int_equal(ike_probe(p.client->engine, bench_session(p.client).id), 0);
	bench_run(p.b, 100000);
	assert_int_equal(bench_session_count(p.client), 1);
	bench_run(p.b, 100000);
	assert_true(bench_empty(p.client));
	bench_expect(p.client, "ike_peer_dead", 1);
	bench_free(p.b);
}

static unsigned probes_with_payloads;

static enum bench_fate count_probes(struct bench *b, struct bench_packet *p, void *arg)
{
	struct bench_node *from = arg;
	struct ike_header h = bench_header(p);
	bool probe = h.exchange == IKEV2_EXCHANGE_INFORMATIONAL && !ike_header_response(&h);
	if (probe && bench_node_at(b, &p->from.addr) == from && p->len > 80)
		probes_with_payloads++;
	return BENCH_PASS;
}

// RFC 4555 3.8: behind a NAT whose mapping changes the initiator finds out by its probes. The gateway's
// stay empty.
static void mapping_changes(void **state)
{
	struct bench_pair p = mobike_up();
	assert_int_equal(move_node(p.client, INSIDE), 0);
	bench_run(p.b, 100);
	uint64_t before = bench_counter(p.gw, "ike_mobike_update");
	// Unchanged: nothing is to be told.
	assert_int_equal(ike_probe(p.client->engine, bench_session(p.client).id), 0);
	bench_run(p.b, 100);
	bench_expect(p.gw, "ike_mobike_update", before);
	bench_nat_forget(p.b);
	assert_int_equal(ike_probe(p.client->engine, bench_session(p.client).id), 0);
	bench_run(p.b, 100);
	bench_expect(p.gw, "ike_mobike_update", before + 1);
	assert_int_equal(path_of(p.gw)->remote.port, p.b->nats[0].ports[0][1]);
	assert_int_equal(p.gw_sa->remote.port, p.b->nats[0].ports[0][1]);
	probes_with_payloads = 0;
	bench_filter_add(p.b, count_probes, p.gw);
	assert_int_equal(ike_probe(p.gw->engine, bench_session(p.gw).id), 0);
	bench_run(p.b, 100);
	assert_int_equal(probes_with_payloads, 0);
	expect_one_session(&p);
	bench_free(p.b);
}

// ---- ESP -------------------------------------------------------------------------------------------

static void esp_event(struct bench_pair *p, uint32_t child, const struct endpoint *from)
{
	struct sa_event ev = {.type = SA_EVENT_PEER_MOVED, .child = child, .remote = *from};
	bench_sink_event(&p->gw->sink, &ev);
	bench_run(p->b, 5);
}

// RFC 4555 3.8: the newest ESP packet moves ESP, not IKE; yet a request of ours finds the peer.
static void esp_shows_the_mapping(void **state)
{
	struct bench_pair p = mobike_up();
	assert_int_equal(move_node(p.client, INSIDE), 0);
	bench_run(p.b, 100);
	uint32_t child = bench_session(p.gw).children[0].spi_in;
	struct endpoint old = p.gw_sa->remote, other = old;
	other.port += 7;
	unsigned before = p.gw->sink.moves;
	esp_event(&p, child, &other);
	assert_true(endpoint_eq(&path_of(p.gw)->remote, &other));
	assert_true(endpoint_eq(&p.gw_sa->remote, &old));
	struct ike_session_info shown = bench_session(p.gw);
	assert_true(endpoint_eq(&shown.remote, &other));
	esp_event(&p, child, &other);
	assert_int_equal(p.gw->sink.moves, before + 1);
	esp_event(&p, child, &old); // and back
	assert_true(endpoint_eq(&path_of(p.gw)->remote, &old));
	// The NAT has forgotten; ESP shows the new mapping, by which a probe of ours reaches the client.
	bench_nat_forget(p.b);
	ike_enter(p.client->engine);
	struct ike_datagram to = ike_sa_path(p.client_sa);
	ike_send(p.client->engine, &to, (struct view){(const uint8_t[]){0xff}, 1});
	ike_leave(p.client->engine);
	other.port = p.b->nats[0].ports[0][1];
	esp_event(&p, child, &other);
	assert_int_equal(ike_probe(p.gw->engine, bench_session(p.gw).id), 0);
	bench_run(p.b, 2000);
	assert_true(bench_quiet(p.gw));
	expect_one_session(&p);
	bench_free(p.b);
}

// Nobody moves without a NAT, nor by what was kept back of a child SA that was replaced.
static void esp_that_moves_nobody(void **state)
{
	struct bench_pair p = mobike_up();
	uint32_t child = bench_session(p.gw).children[0].spi_in;
	struct endpoint other = bench_at("203.0.113.66", 4500);
	unsigned before = p.gw->sink.moves;
	esp_event(&p, child, &other);
	assert_int_equal(p.gw->sink.moves, before);
	p.gw_sa->nat_remote = true;
	struct ike_child *c = ike_child_by_spi_in(p.gw->engine, child);
	enum ike_child_state was = c->state;
	c->state = IKE_CHILD_REKEYED;
	esp_event(&p, child, &other);
	assert_int_equal(p.gw->sink.moves, before);
	c->state = was;
	esp_event(&p, 0x7777, &other); // of no child SA
	assert_int_equal(p.gw->sink.moves, before);
	esp_event(&p, child, &other);
	assert_int_equal(p.gw->sink.moves, before + 1);
	p.gw_sa->nat_remote = false;
	bench_free(p.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(negotiation),
		cmocka_unit_test(addresses_are_told),
		cmocka_unit_test(moves),
		cmocka_unit_test(unproven_address_gets_no_traffic),
		cmocka_unit_test(nat_appears_and_goes),
		cmocka_unit_test(every_message_lost_once),
		cmocka_unit_test(moves_again_meanwhile),
		cmocka_unit_test(check_of_two_addresses),
		cmocka_unit_test(request_follows_the_peer),
		cmocka_unit_test(rekeying_keeps_it),
		cmocka_unit_test(rekeying_meanwhile),
		cmocka_unit_test(moves_while_rekeying),
		cmocka_unit_test(repeats_from_the_new_address),
		cmocka_unit_test(moves_to_ipv6),
		cmocka_unit_test(refused_address),
		cmocka_unit_test(orders_that_cannot_be),
		cmocka_unit_test(own_address_fails),
		cmocka_unit_test(peers_address_fails),
		cmocka_unit_test(one_of_many_paths),
		cmocka_unit_test(all_paths_fail),
		cmocka_unit_test(mapping_changes),
		cmocka_unit_test(esp_shows_the_mapping),
		cmocka_unit_test(esp_that_moves_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKE fragmentation (RFC 7383), both ways.
#include "tests/engine/bench.h"
#include "tests/engine/configs.h"

#include "controlplane/exchange.h"

#define SMALL         " fragment_size = 576;"
#define SMALL_GATEWAY BENCH_GATEWAY_WITH(BENCH_PROPOSAL, SMALL)
#define SMALL_CLIENT  BENCH_CLIENT_WITH(BENCH_PROPOSAL, SMALL)

// A request that fills about n bytes, cut as the client's IKE SA cuts; the datagrams, not sent.
static struct ike_sent *big_request(struct bench_pair *p, size_t n)
{
	static uint8_t buf[IKE_OUT_MAX], text[1000];
	struct wire_builder b;
	enum ike_reason why;
	memset(text, 'x', sizeof(text));
	wire_build_begin(&b, buf, sizeof(buf));
	while (b.w.len < n) {
		size_t left = n - b.w.len;
		wire_put_vendor(&b, (struct view){text, left < sizeof(text) ? left : sizeof(text)});
	}
	struct ike_sent *s = ike_message_seal(
		p->client_sa, IKEV2_EXCHANGE_INFORMATIONAL, p->gw_sa->next_in, false, &b, &why);
	assert_non_null(s);
	return s;
}

static void put(struct bench_pair *p, struct view d)
{
	struct endpoint from = {p->client->addr, 500}, to = {p->gw->addr, 500};
	bench_inject(p->b, &from, &to, d.p, d.len);
	bench_run(p->b, 2);
}

static enum bench_fate no_large_packets(struct bench *b, struct bench_packet *p, void *arg)
{
	size_t *largest = arg;
	if (p->len > *largest)
		*largest = p->len;
	return BENCH_PASS;
}

#define MANY_PROPOSALS                                                                          \
	"\"aes128-sha256-ecp521\", \"aes256-sha256-ecp521\", \"aes128-sha384-ecp521\","         \
	" \"aes256-sha384-ecp521\", \"aes128-sha512-ecp521\", \"aes256-sha512-ecp521\","        \
	" \"aes128-sha1-ecp521\", \"aes256-sha1-ecp521\", \"aes128ctr-sha256-ecp521\","         \
	" \"aes256ctr-sha256-ecp521\", \"aes128ctr-sha384-ecp521\", \"aes128ctr-sha1-ecp521\"," \
	" \"aes192-sha256-ecp521\", \"aes192-sha384-ecp521\", \"aes192-sha512-ecp521\","        \
	" \"aes128gcm16\""

// Its IKE_AUTH request does not fit into one fragment.
static const char many[] = BENCH_PSK
	"connections = ( { name = \"home\"; ike_versions = [ 2 ];"
	" ike_proposals = [ " BENCH_PROPOSAL " ]; fragment_size = 576;"
	" local = { id = \"client@example\"; auth = \"psk\"; };"
	" remote = { id = \"gw.example\"; auth = \"psk\"; };"
	" children = ( { name = \"lan\"; local_ts = [ \"0.0.0.0/0\" ];"
	" remote_ts = [ \"10.99.0.0/24\" ]; esp_proposals = [ " MANY_PROPOSALS " ]; } ); } );\n";

static void auth_in_fragments(void **state)
{
	size_t largest = 0;
	struct bench_pair p = bench_pair_new(SMALL_GATEWAY, many);
	bench_filter_add(p.b, no_large_packets, &largest);
	bench_pair_up(&p);
	bench_expect(p.client, "ike_fragmented", 1);
	bench_expect(p.gw, "ike_reassembled", 1);
	assert_true(largest > 300 && largest <= 576 - 28);
	bench_free(p.b);
}

// In any order, each repeated: one message.
static void any_order(void **state)
{
	struct bench_pair p = bench_pair_new(SMALL_GATEWAY, SMALL_CLIENT);
	bench_pair_up(&p);
	struct ike_sent *s = big_request(&p, 4000);
	uint64_t sent = p.gw->sent;
	assert_true(s->count >= 7);
	for (int i = s->count - 1; i >= 0; i--) {
		put(&p, s->datagrams[i]);
		if (i > 0)
			put(&p, s->datagrams[i]);
	}
	bench_expect(p.gw, "ike_reassembled", 1);
	bench_expect(p.gw, "ike_fragment_repeated", s->count - 1u);
	assert_int_equal(p.gw->sent, sent + 1);
	assert_int_equal(p.gw->engine->fragment_bytes, 0);
	// RFC 7383 2.6.1: of a repeated message only fragment 1 has the response sent again.
	for (int i = 0; i < s->count; i++)
		put(&p, s->datagrams[i]);
	assert_int_equal(p.gw->sent, sent + 2);
	bench_expect(p.gw, "ike_repeated_request", 1);
	ike_sent_free(s);
	bench_free(p.b);
}

// A wrong ICV does not cost the fragments that are there.
static void bad_icv_changes_nothing(void **state)
{
	struct bench_pair p = bench_pair_new(SMALL_GATEWAY, SMALL_CLIENT);
	bench_pair_up(&p);
	struct ike_sent *s = big_request(&p, 1500);
	uint64_t sent = p.gw->sent;
	for (int i = 0; i < s->count; i++) {
		uint8_t bad[2048];
		memcpy(bad, s->datagrams[i].p, s->datagrams[i].len);
		bad[s->datagrams[i].len - 1] ^= 1;
		put(&p, (struct view){bad, s->datagrams[i].len});
		put(&p, s->datagrams[i]);
	}
	bench_expect(p.gw, "ike_decrypt", s->count);
	bench_expect(p.gw, "ike_reassembled", 1);
	assert_int_equal(p.gw->sent, sent + 1);
	ike_sent_free(s);
	bench_free(p.b);
}

// Fragment numbers: in clear before the ciphertext, so they are checked first.
static void bad_numbers(void **state)
{
	static const uint8_t numbers[][4] = {{0, 0, 0, 4}, {0, 5, 0, 4}, {0, 1, 0, 0}, {0, 0, 0, 0},
		{0xff, 0xff, 0xff, 0xff}, {0, 1, 0xff, 0xff}, {0, 1, 0, 65}};
	struct bench_pair p = bench_pair_new(SMALL_GATEWAY, SMALL_CLIENT);
	bench_pair_up(&p);
	struct ike_sent *s = big_request(&p, 1500);
	uint64_t sent = p.gw->sent;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint8_t bad[2048];
		memcpy(bad, s->datagrams[0].p, s->datagrams[0].len);
		memcpy(bad + IKE_HEADER_LEN + IKE_PAYLOAD_HDR, numbers[i], 4);
		put(&p, (struct view){bad, s->datagrams[0].len});
	}
	assert_int_equal(bench_counter(p.gw, "ike_fragment_bad") +
				 bench_counter(p.gw, "ike_fragment_limit") +
				 bench_counter(p.gw, "ike_malformed"),
		7);
	assert_int_equal(p.gw->sent, sent);
	assert_int_equal(p.gw->engine->fragment_bytes, 0);
	ike_sent_free(s);
	bench_free(p.b);
}

// The peer cuts finer: RFC 7383 2.6, the reassembly starts again and older fragments are dropped.
static void finer_cut(void **state)
{
	struct bench_pair p = bench_pair_new(SMALL_GATEWAY, BENCH_CLIENT);
	bench_pair_up(&p);
	struct ike_sent *coarse = big_request(&p, 2500);
	struct cfg_connection finer = *p.client_sa->conn;
	const struct cfg_connection *conn = p.client_sa->conn;
	finer.fragment_size = 576;
	p.client_sa->conn = &finer;
	struct ike_sent *fine = big_request(&p, 2500);
	p.client_sa->conn = conn;
	assert_true(coarse->count >= 2 && fine->count > coarse->count);
	uint64_t sent = p.gw->sent;
	put(&p, coarse->datagrams[0]);
	put(&p, fine->datagrams[0]);
	for (int i = 1; i < coarse->count; i++)
		put(&p, coarse->datagrams[i]);
	bench_expect(p.gw, "ike_fragment_total", coarse->count - 1u);
	assert_int_equal(p.gw->sent, sent);
	for (int i = 1; i < fine->count; i++)
		put(&p, fine->datagrams[i]);
	bench_expect(p.gw, "ike_reassembled", 1);
	assert_int_equal(p.gw->sent, sent + 1);
	// The response got lost, and the request comes again in its other cut: the same response.
	for (int i = 0; i < coarse->count; i++)
		put(&p, coarse->datagrams[i]);
	assert_int_equal(p.gw->sent, sent + 2);
	ike_sent_free(coarse);
	ike_sent_free(fine);
	bench_free(p.b);
}

static void unfinished_is_forgotten(void **state)
{
	struct bench_pair p = bench_pair_new(SMALL_GATEWAY, SMALL_CLIENT);
	bench_pair_up(&p);
	struct ike_sent *s = big_request(&p, 1500);
	put(&p, s->datagrams[0]);
	assert_true(p.gw->engine->fragment_bytes > 0);
	bench_run(p.b, 31000);
	assert_int_equal(p.gw->engine->fragment_bytes, 0);
	ike_sent_free(s);
	bench_free(p.b);
}

static void not_agreed(void **state)
{
	struct bench_pair p = bench_pair_new(
		BENCH_GATEWAY_WITH(BENCH_PROPOSAL, " fragment_size = 0;"), SMALL_CLIENT);
	bench_pair_up(&p);
	assert_false(p.client_sa->peer_fragments);
	p.client_sa->peer_fragments = true;
	struct ike_sent *s = big_request(&p, 1500);
	put(&p, s->datagrams[0]);
	bench_expect(p.gw, "ike_fragment_not_agreed", 1);
	ike_sent_free(s);
	bench_free(p.b);
}

// The largest message that the caps allow, and one beyond.
static void limits(void **state)
{
	struct bench_pair p = bench_pair_new(SMALL_GATEWAY, SMALL_CLIENT);
	bench_pair_up(&p);
	uint64_t sent = p.gw->sent;
	struct ike_sent *s = big_request(&p, 25000);
	for (size_t n = 26000; s->count < WIRE_FRAGMENTS_MAX && n < 40000; n += 100) {
		ike_sent_free(s);
		s = big_request(&p, n);
		assert_true(s->count > 1);
	}
	assert_int_equal(s->count, WIRE_FRAGMENTS_MAX);
	for (int i = 0; i < s->count; i++)
		put(&p, s->datagrams[i]);
	bench_expect(p.gw, "ike_reassembled", 1);
	assert_int_equal(p.gw->sent, sent + 1);
	ike_sent_free(s);
	bench_free(p.b);
}

// Half-open IKE SAs may fill half of the memory for fragments; an established one goes on.
static void strangers_have_half_of_it(void **state)
{
	struct bench_pair p = bench_pair_new(SMALL_GATEWAY, many);
	bench_pair_up(&p);
	uint64_t whole = bench_counter(p.gw, "ike_reassembled");
	p.gw->engine->fragment_bytes += IKE_FRAGMENTS_ALL_MAX / 2;
	assert_true(bench_connect_from(p.client, p.gw, "home", 1500, 500) > 0);
	bench_run(p.b, 200);
	assert_true(bench_counter(p.gw, "ike_fragment_limit") > 0);
	bench_expect(p.gw, "ike_established", 1);
	struct ike_sent *s = big_request(&p, 10000);
	for (int i = 0; i < s->count; i++)
		put(&p, s->datagrams[i]);
	bench_expect(p.gw, "ike_reassembled", whole + 1);
	ike_sent_free(s);
	p.gw->engine->fragment_bytes -= IKE_FRAGMENTS_ALL_MAX / 2;
	bench_free(p.b);
}

// One fragment as the peer with that protection cuts it, of the next request, len bytes of
// content. The datagram stands in buf, DATAGRAM_MAX bytes.
static struct view fragment_of(const struct ike_sa *sa, struct ike_crypt *peer, uint16_t number,
	uint16_t total, size_t len, uint8_t *buf)
{
	struct wire_builder b;
	struct ike_header h = {.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.major = IKE_MAJOR_2,
		.exchange = sa->state == IKE_SA_ESTABLISHED ? IKEV2_EXCHANGE_INFORMATIONAL
							    : IKEV2_EXCHANGE_IKE_AUTH,
		.flags = IKE_FLAG_INITIATOR,
		.message_id = sa->next_in};
	wire_build_message(&b, buf, DATAGRAM_MAX, &h);
	uint8_t *body = wire_put_skf(&b, number == 1 ? IKEV2_PAYLOAD_VENDOR : 0, number, total,
		ike_sealed_len(peer, len));
	struct view message = wire_build_done(&b);
	assert_non_null(body);
	memset(body + ike_seal_iv_len(peer), 'x', len);
	assert_int_equal(ike_seal(peer, buf, (size_t)(body - buf), len), IKE_CRYPTO_OK);
	return message;
}

// 64 KiB of one message, and not a byte more: all of it is dropped, and the message may start again.
static void bytes_of_a_message(void **state)
{
	static uint8_t buf[DATAGRAM_MAX];
	struct bench_pair p = bench_pair_new(SMALL_GATEWAY, SMALL_CLIENT);
	bench_pair_up(&p);
	struct ike_crypt *peer = &p.client_sa->crypt;
	for (uint16_t i = 1; i <= 4; i++) {
		put(&p, fragment_of(p.gw_sa, peer, i, 6, IKE_FRAGMENT_BYTES_MAX / 4, buf));
		assert_int_equal(p.gw->engine->fragment_bytes, i * IKE_FRAGMENT_BYTES_MAX / 4);
	}
	bench_expect(p.gw, "ike_fragment_limit", 0);
	put(&p, fragment_of(p.gw_sa, peer, 5, 6, 1, buf));
	bench_expect(p.gw, "ike_fragment_limit", 1);
	assert_int_equal(p.gw->engine->fragment_bytes, 0);
	put(&p, fragment_of(p.gw_sa, peer, 1, 6, 100, buf));
	assert_int_equal(p.gw->engine->fragment_bytes, 100);
	bench_free(p.b);
}

// An IKE SA of the gateway as after IKE_SA_INIT with a peer that announced fragmentation, and the
// peer's end of its protection.
static struct ike_sa *bare_sa(struct bench_pair *p, struct ike_crypt *peer)
{
	static const uint8_t bytes[32] = {1};
	struct ike_engine *e = p->gw->engine;
	ike_enter(e);
	struct ike_sa *sa = ike_sa_new(e, IKE_MAJOR_2, false);
	assert_non_null(sa);
	sa->spi_i = 1 + e->sa_count;
	sa->local = p->gw_sa->local;
	sa->remote = p->gw_sa->remote;
	sa->conn = p->gw_sa->conn;
	sa->suite = p->gw_sa->suite;
	sa->peer_fragments = true;
	sa->next_in = 1;
	assert_int_equal(
		secret_copy(&sa->nonce_i, bytes, 32) + secret_copy(&sa->nonce_r, bytes, 32), 0);
	assert_int_equal(ike_sa_keys(sa, (struct view){bytes, 32}, NULL), IKE_CRYPTO_OK);
	assert_int_equal(ike_crypt_init(peer, &sa->suite, &sa->keys, true), IKE_CRYPTO_OK);
	ike_sa_state_set(sa, IKE_SA_INIT_DONE);
	ike_leave(e);
	return sa;
}

// 32 MiB over all IKE SAs: what is beyond is dropped, what is there stays, and ends by its time.
static void bytes_of_all(void **state)
{
	enum { PART = 60000, FIT = IKE_FRAGMENTS_ALL_MAX / PART };
	static uint8_t buf[DATAGRAM_MAX];
	struct bench_pair p = bench_pair_new(SMALL_GATEWAY, SMALL_CLIENT);
	bench_pair_up(&p);
	size_t held = 0;
	for (unsigned i = 1; i <= FIT + 10; i++) {
		struct ike_crypt peer;
		struct ike_sa *sa = bare_sa(&p, &peer);
		put(&p, fragment_of(sa, &peer, 1, 2, PART, buf));
		if (i <= FIT)
			held += PART;
		assert_int_equal(p.gw->engine->fragment_bytes, held);
	}
	assert_true(held <= IKE_FRAGMENTS_ALL_MAX && held + PART > IKE_FRAGMENTS_ALL_MAX);
	bench_expect(p.gw, "ike_fragment_limit", 10);
	bench_run(p.b, 32000);
	assert_int_equal(p.gw->engine->fragment_bytes, 0);
	put(&p, fragment_of(p.gw_sa, &p.client_sa->crypt, 1, 2, PART, buf));
	assert_int_equal(p.gw->engine->fragment_bytes, PART);
	bench_free(p.b);
}

static void lossy(void **state)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct bench *b = bench_new_seeded(seed);
		struct bench_node *gw = bench_add(b, "gw", "192.0.2.1", SMALL_GATEWAY);
		struct bench_node *client = bench_add(b, "client", "198.51.100.2", SMALL_CLIENT);
		bench_lossy(b, 15, 20, 30);
		bench_connect(client, gw, "home");
		assert_true(bench_run_until(b, bench_established, client, 120000));
		bench_run(b, 1000);
		assert_true(bench_established(gw));
		bench_free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auth_in_fragments),
		cmocka_unit_test(any_order),
		cmocka_unit_test(bad_icv_changes_nothing),
		cmocka_unit_test(bad_numbers),
		cmocka_unit_test(finer_cut),
		cmocka_unit_test(unfinished_is_forgotten),
		cmocka_unit_test(not_agreed),
		cmocka_unit_test(limits),
		cmocka_unit_test(strangers_have_half_of_it),
		cmocka_unit_test(bytes_of_a_message),
		cmocka_unit_test(bytes_of_all),
		cmocka_unit_test(lossy),
	};
	return cmocka_run_group_tests_name("engine_fragments", tests, NULL, NULL);
}

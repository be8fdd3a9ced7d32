// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A whole engine as the peer sees it. The input is a program of up to 24 steps: raw datagrams,
// messages and fragments sealed with the real keys of an IKE SA (so that the bytes are the
// decrypted payload chain of a request or response), time, loss of the data plane, and things that
// the operator does. The first byte says where the IKE SA stands at the start: none, half-open, or
// established in either role. Invariants are those of the bench's data plane (no SA twice, everything
// given back at the end), and of the replies, which are opened as the peer would: each is well formed,
// and what names an SPI of ours leaves when that inbound SA can receive.
#include "controlplane/exchange.h"
#include "tests/engine/bench.h"
#include "tests/engine/configs.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#define STEPS_MAX 24

// A pool that one input can use up, and that is made in no time.
#undef BENCH_POOLS
#define BENCH_POOLS \
	"pools = ( { name = \"p4\"; ranges = [ \"10.1.0.1-10.1.0.6\" ]; linger_s = 60; } );\n"

enum { START_NONE, START_HALF_OPEN, START_RESPONDER, START_INITIATOR, START_COUNT };

enum {
	STEP_RAW,      // source, length (2), bytes
	STEP_RAW_SPIS, // the same, with the IKE SA's SPIs and a fitting length written in
	STEP_REQUEST,  // exchange, id, first payload, length (2), plaintext
	STEP_RESPONSE, // the same
	STEP_FRAGMENT, // exchange, id, first payload, number, total, length (2), plaintext
	STEP_TIME,     // below 240: units of 4 ms, above: of 2 s
	STEP_OPERATOR, // what
	STEP_SINK,     // how the data plane behaves from now on
	STEP_COUNT
};

static struct cfg *cfg;
static const struct endpoint gw_end = {{IP_V4, {192, 0, 2, 1}}, 500};
static const struct endpoint peers[] = {{{IP_V4, {198, 51, 100, 2}}, 500},
	{{IP_V4, {198, 51, 100, 2}}, 4500}, {{IP_V4, {198, 51, 100, 3}}, 500},
	{{IP_V4, {203, 0, 113, 9}}, 20001}};

struct run {
	struct bench *b;
	struct bench_node *gw;
	struct ike_engine *e;
	uint64_t our_spi;      // of the IKE SA that the steps are about
	struct ike_crypt peer; // the peer's end of its protection
	struct secret block;   // the keys that peer points into
	uint64_t spi_i, spi_r;
	bool peer_initiated;
	uint32_t next_reply; // replies below this message id have been looked at
};

static const uint8_t id_body[] = {IKEV2_ID_FQDN, 0, 0, 0, 'c', '.', 'x'};

// The peer's copy of the keys, which outlives the IKE SA.
static void take_keys(struct run *r, struct ike_sa *sa)
{
	struct ike_keys copy = sa->keys;
	if (secret_copy(&r->block, sa->keys.block.bytes, sa->keys.block.len) < 0)
		abort();
	struct view *v[] = {&copy.sk_d, &copy.sk_ai, &copy.sk_ar, &copy.sk_ei, &copy.sk_er,
		&copy.sk_pi, &copy.sk_pr};
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		if (v[i]->len)
			v[i]->p = r->block.bytes + (v[i]->p - sa->keys.block.bytes);
	CHECK(ike_crypt_init(&r->peer, &sa->suite, &copy, !sa->initiator) == IKE_CRYPTO_OK);
	r->spi_i = sa->spi_i;
	r->spi_r = sa->spi_r;
	r->our_spi = sa->initiator ? sa->spi_i : sa->spi_r;
	r->peer_initiated = !sa->initiator;
}

// An IKE SA as after IKE_SA_INIT, or after IKE_AUTH without a child SA.
static void start(struct run *r, int kind)
{
	static const uint8_t shared[32] = {1}, nonce[32] = {2}, message[64] = {3};
	struct ike_sa *sa = ike_sa_new(r->e, IKE_MAJOR_2, kind == START_INITIATOR);
	*(sa->initiator ? &sa->spi_r : &sa->spi_i) = 0x1234567890abcdefull;
	sa->local = gw_end;
	sa->remote = peers[0];
	sa->conn = &cfg->connections[0];
	sa->suite = (struct suite){
		.encr = {ENCR_AES_GCM_16, 128}, .prf = PRF_HMAC_SHA2_256, .dh = DH_X25519};
	sa->peer_fragments = true;
	if (secret_copy(&sa->nonce_i, nonce, 32) < 0 || secret_copy(&sa->nonce_r, nonce, 32) < 0 ||
		secret_copy(&sa->init_i, message, 64) < 0 ||
		secret_copy(&sa->init_r, message, 64) < 0)
		abort();
	CHECK(ike_sa_keys(sa, (struct view){shared, 32}, NULL) == IKE_CRYPTO_OK);
	take_keys(r, sa);
	sa->next_in = sa->initiator ? 0 : 1;
	sa->next_out = sa->initiator ? 2 : 0;
	ike_sa_state_set(sa, IKE_SA_INIT_DONE);
	if (kind == START_HALF_OPEN)
		return;
	struct ike_session *s = ike_session_new(sa, sa->conn);
	struct ike_peer peer = {.id = {id_body, sizeof(id_body)}, .proven = true};
	if (!s || ike_session_identify(s, &peer) < 0)
		abort();
	ike_sa_established(sa);
	ike_session_established(s);
}

// An SA payload in a reply: its SPI can receive. RFC 7296 1.2 has the peer send from here on.
static void check_child(struct run *r, struct view body)
{
	static struct wire_proposals choice;
	CHECK(wire_sa_parse(body, &choice) == WIRE_OK && choice.count == 1);
	if (choice.items[0].protocol != IKEV2_PROTOCOL_ESP)
		return;
	struct bench_sa *sa = bench_sink_find(&r->gw->sink, (uint32_t)choice.items[0].spi, SA_IN);
	CHECK(sa && sa->installed);
}

// Sees what the gateway sends. A reply that is repeated may name an SA that has gone since.
static enum bench_fate check_reply(struct bench *b, struct bench_packet *p, void *arg)
{
	static struct ike_message outer, inner;
	static uint8_t plain[DATAGRAM_MAX];
	struct run *r = arg;
	struct ike_header h = bench_header(p);
	size_t len;
	if (!ike_header_response(&h) || h.exchange == IKEV2_EXCHANGE_IKE_SA_INIT ||
		r->block.len == 0 || h.spi_i != r->spi_i || h.spi_r != r->spi_r ||
		h.message_id < r->next_reply)
		return BENCH_PASS;
	struct view chain = {p->bytes + IKE_HEADER_LEN, p->len - IKE_HEADER_LEN};
	CHECK(wire_message_parse(chain, h.next_payload, &outer) == WIRE_OK && !outer.sa.p);
	if (!outer.sk.p) // of another version, or a fragment
		return BENCH_PASS;
	CHECK(ike_open(&r->peer, (struct view){p->bytes, p->len}, (size_t)(outer.sk.p - p->bytes),
		      plain, &len) == IKE_CRYPTO_OK);
	CHECK(wire_message_parse((struct view){plain, len}, outer.sk_first, &inner) == WIRE_OK);
	if (inner.sa.p)
		check_child(r, inner.sa);
	r->next_reply = h.message_id + 1;
	return BENCH_PASS;
}

static struct view take(struct rd *r, size_t len)
{
	struct view v = {r->p, 0};
	if (len > rd_left(r))
		len = rd_left(r);
	if (rd_bytes(r, len, &v))
		return v;
	return (struct view){NULL, 0};
}

static uint8_t take_u8(struct rd *r)
{
	uint8_t v = 0;
	return rd_u8(r, &v) ? v : 0;
}

static struct view take_bytes(struct rd *r)
{
	uint16_t len = 0;
	if (!rd_u16(r, &len))
		return (struct view){NULL, 0};
	return take(r, len);
}

static void deliver(struct run *r, uint8_t source, struct view bytes)
{
	struct endpoint to = gw_end;
	const struct endpoint *from = &peers[source % 4];
	to.port = from->port == 500 ? 500 : 4500;
	struct ike_datagram d = {.local = to, .remote = *from, .bytes = bytes};
	ike_input(r->e, &d);
}

static void raw(struct run *r, struct rd *in, bool with_spis)
{
	uint8_t source = take_u8(in);
	struct view v = take_bytes(in);
	uint8_t *copy = malloc(v.len + 1); // as long as it says
	if (!copy)
		abort();
	if (v.len)
		memcpy(copy, v.p, v.len);
	if (with_spis && v.len >= IKE_HEADER_LEN) {
		struct wr w = wr_of(copy, 16);
		wr_u64(&w, r->spi_i);
		wr_u64(&w, r->spi_r);
		w = wr_of(copy + 24, 4);
		wr_u32(&w, (uint32_t)v.len);
	}
	deliver(r, source, (struct view){copy, v.len});
	free(copy);
}

static uint32_t id_of(struct run *r, bool is_response, uint8_t offset)
{
	struct ike_sa *sa = ike_sa_find(r->e, r->our_spi);
	if (!sa)
		return offset;
	uint32_t id = is_response && sa->out_progress ? sa->out_progress->message_id : sa->next_in;
	return id + (offset < 0xf0 ? 0 : offset - 0xf8u);
}

static void sealed(struct run *r, struct rd *in, bool is_response, bool fragment)
{
	static const uint8_t exchanges[] = {IKEV2_EXCHANGE_IKE_AUTH, IKEV2_EXCHANGE_CREATE_CHILD_SA,
		IKEV2_EXCHANGE_INFORMATIONAL, IKEV2_EXCHANGE_IKE_INTERMEDIATE, 99};
	static uint8_t buf[DATAGRAM_MAX];
	uint8_t exchange = exchanges[take_u8(in) % 5], offset = take_u8(in), first = take_u8(in);
	uint8_t number = fragment ? take_u8(in) : 0, total = fragment ? take_u8(in) : 0;
	struct view plain = take_bytes(in);
	struct wire_builder b;
	struct ike_header h = {.spi_i = r->spi_i,
		.spi_r = r->spi_r,
		.major = IKE_MAJOR_2,
		.exchange = exchange,
		.flags = (uint8_t)((r->peer_initiated ? IKE_FLAG_INITIATOR : 0) |
				   (is_response ? IKE_FLAG_RESPONSE : 0)),
		.message_id = id_of(r, is_response, offset)};
	if (plain.len > 30000 || r->block.len == 0)
		return;
	wire_build_message(&b, buf, sizeof(buf), &h);
	size_t body_len = ike_sealed_len(&r->peer, plain.len);
	uint8_t *body = fragment ? wire_put_skf(&b, first, number, total, body_len)
				 : wire_put_sk(&b, first, body_len);
	struct view message = wire_build_done(&b);
	if (!body || message.len == 0)
		return;
	if (plain.len)
		memcpy(body + ike_seal_iv_len(&r->peer), plain.p, plain.len);
	CHECK(ike_seal(&r->peer, buf, (size_t)(body - buf), plain.len) == IKE_CRYPTO_OK);
	deliver(r, 0, message);
}

static void operator_does(struct run *r, uint8_t what)
{
	struct ike_session_info info;
	if (!ike_session_next(r->e, 0, &info))
		return;
	uint32_t child = info.child_count ? info.children[0].spi_in : 1;
	int ignored = 0;
	switch (what % 6) {
	case 0:
		ignored = ike_probe(r->e, info.id);
		break;
	case 1:
		ignored = ike_rekey_ike(r->e, info.id);
		break;
	case 2:
		ignored = ike_rekey_child(r->e, info.id, child);
		break;
	case 3:
		ignored = ike_add_child(r->e, info.id, "lan");
		break;
	case 4:
		ignored = ike_delete_child(r->e, info.id, child);
		break;
	default:
		ignored = ike_delete_session(r->e, info.id);
		break;
	}
	(void)ignored; // -EBUSY, -ENOENT: as it may be
}

static void step(struct run *r, struct rd *in)
{
	uint8_t op = take_u8(in), how;
	switch (op % STEP_COUNT) {
	case STEP_RAW:
	case STEP_RAW_SPIS:
		raw(r, in, op % STEP_COUNT == STEP_RAW_SPIS);
		break;
	case STEP_REQUEST:
	case STEP_RESPONSE:
		sealed(r, in, op % STEP_COUNT == STEP_RESPONSE, false);
		break;
	case STEP_FRAGMENT:
		sealed(r, in, op & 0x80, true);
		break;
	case STEP_TIME:
		how = take_u8(in);
		r->b->now_ns += (how < 240 ? how * 4ull : (how - 239) * 2000ull) * NS_PER_MS;
		break;
	case STEP_OPERATOR:
		operator_does(r, take_u8(in));
		break;
	default:
		how = take_u8(in);
		r->gw->sink.hold_installs = how & 1;
		r->gw->sink.fail_add = how & 2 ? 1 : 0;
		r->gw->sink.fail_spi = how & 4 ? 1 : 0;
		r->gw->sink.fail_route = how & 8 ? 1 : 0;
		r->gw->hold_jobs = how & 16;
		r->gw->fail_jobs = how & 32 ? 1 : 0;
		break;
	}
	bench_settle(r->b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_of(data, size);
	struct run r = {0};
	if (!cfg) {
		log_set_level(LOG_ERROR);
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		cfg = bench_config(BENCH_GATEWAY);
	}
	if (size == 0)
		return 0;
	r.b = bench_new_seeded(1);
	r.gw = bench_add_shared(r.b, "gw", "192.0.2.1", cfg);
	r.e = r.gw->engine;
	r.b->allow_reply_before_install = true; // check_reply() is exact
	bench_filter_add(r.b, check_reply, &r);
	uint8_t kind = take_u8(&in) % START_COUNT;
	if (kind != START_NONE) {
		ike_enter(r.e);
		start(&r, kind);
		ike_leave(r.e);
	}
	for (int i = 0; i < STEPS_MAX && !rd_empty(&in); i++)
		step(&r, &in);
	secret_fini(&r.block);
	bench_free(r.b);
	return 0;
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKEv1's conversation with an engine before anybody is authenticated. The input is a program of up
// to 6 steps: raw datagrams, messages of a recorded conversation with some bytes changed, messages
// that are sealed with the keys of phase 1 (so that the bytes are the decrypted payloads, with a
// HASH that is right or not), fragments, time, and failures of the data plane. The first byte says how far
// the peer is at the start: nothing was sent; main mode with keys; or phase 1 done with the group's
// key, XAUTH under way.
//
// Invariants: without a proof there is no session; a responder sends nothing by itself to a peer that
// has proven nothing, and never more datagrams than it got; every reply is a whole message; all
// leases and SAs are given back.
//
// The engine lives on as long as nothing but half-open IKE SAs came of an input: its making costs
// more than all the rest. DH is real, and done for one input in eight (by the sum of its bytes): for the
// others the helpers' queue is full, the first byte says nothing, and two steps are enough.
#include "controlplane/exchange.h"
#include "controlplane/ikev1/ikev1.h"
#include "tests/engine/bench.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdlib.h>

#define STEPS_MAX 6 // 2 without DH
#define SECRET    "the secret of the group"
#define GROUP     "group"

enum { START_NONE, START_KEYS, START_LOGIN };

enum {
	STEP_RAW,      // source, length (2), bytes
	STEP_RAW_SPIS, // the same, with the IKE SA's SPIs and a fitting length written in
	STEP_RECORDED, // source, which, changes (offset (2), value)
	STEP_SEALED,   // exchange, how, first payload, length (2), payloads
	STEP_FRAGMENT, // source, number, flags, length (2), bytes
	STEP_TIME,     // below 240: units of 4 ms, above: of 2 s
	STEP_SINK,     // how the data plane and the helpers behave from now on
	STEP_COUNT
};

enum { MAIN_1, MAIN_3, AGGRESSIVE_1, RECORDED_COUNT };

static const char config[] =
	"pools = ( { name = \"p4\"; ranges = [ \"10.1.0.1-10.1.0.6\" ]; linger_s = 60; } );\n"
	"credentials: { psk = ( { id = \"" GROUP "\"; secret = \"" SECRET "\"; },"
	" { addresses = [ \"198.51.100.0/24\" ]; secret = \"another secret, by address\"; } );"
	" users = ( { name = \"u\"; password = \"p\"; } ); };\n"
	"connections = ( { name = \"group\"; ike_versions = [ 1 ]; aggressive = true;"
	" ike_proposals = [ \"aes128-sha256-ecp256\" ]; local = { id = \"gw.example\"; auth ="
	" \"psk\"; }; remote = { id = \"" GROUP "\"; auth = \"psk\"; user_auth = \"xauth\"; };"
	" mode_config = [ \"initiate\", \"respond\" ]; pools = [ \"p4\" ];"
	" children = ( { name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ];"
	" esp_proposals = [ \"aes128-sha256\" ]; } ); },"
	"{ name = \"main\"; ike_versions = [ 1 ]; ike_proposals = [ \"aes128-sha256-ecp256\" ];"
	" local = { id = \"gw.example\"; auth = \"psk\"; };"
	" remote = { id = \"*\"; auth = \"psk\"; addresses = [ \"198.51.100.0/24\" ]; };"
	" mode_config = [ \"respond\" ]; pools = [ \"p4\" ];"
	" children = ( { name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ];"
	" esp_proposals = [ \"aes128-sha256\" ]; } ); } );\n";

static const struct endpoint gw_end = {{IP_V4, {192, 0, 2, 1}}, 500};
static const struct endpoint peers[] = {{{IP_V4, {198, 51, 100, 2}}, 500},
	{{IP_V4, {198, 51, 100, 2}}, 4500}, {{IP_V4, {198, 51, 100, 3}}, 500},
	{{IP_V4, {203, 0, 113, 9}}, 20001}};
static const uint8_t id_body[] = {11, 17, 1, 244, 'g', 'r', 'o', 'u', 'p'};

// ---- the conversation, made once ----

static struct {
	uint8_t bytes[1024];
	size_t len;
} recorded[RECORDED_COUNT];

static void put_vendors(struct wire_builder *b)
{
	static const enum ikev1_vendor ids[] = {IKEV1_VID_XAUTH, IKEV1_VID_UNITY, IKEV1_VID_DPD,
		IKEV1_VID_NATT_RFC3947, IKEV1_VID_FRAGMENTATION};
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		ikev1_put_vendor(b, ikev1_vendor_bytes(ids[i]));
}

static void put_offer(struct wire_builder *b, uint16_t auth)
{
	struct proposal p;
	char why[128];
	if (proposal_parse("aes128-sha256-ecp256", false, &p, why, sizeof(why)) < 0)
		abort();
	struct ikev1_ike_offer offer = {
		.mine = &p, .count = 1, .auths = {auth}, .auth_count = 1, .life_s = 3600};
	ikev1_build_ike(b, &offer);
}

static void put_key(struct wire_builder *b)
{
	static const uint8_t nonce[20] = {7};
	static struct ike_dh *dh;
	if (!dh && (!(dh = ike_dh_new(DH_ECP_256)) || ike_dh_generate(dh) != IKE_CRYPTO_OK))
		abort();
	ikev1_put_ke(b, ike_dh_public(dh));
	ikev1_put_nonce(b, (struct view){nonce, sizeof(nonce)});
}

static void put_natd(struct wire_builder *b)
{
	static const uint8_t hash[32] = {3};
	ikev1_put_natd(b, false, (struct view){hash, sizeof(hash)});
	ikev1_put_natd(b, false, (struct view){hash, sizeof(hash)});
}

static void record(int which, uint8_t exchange)
{
	struct wire_builder b;
	struct ike_header h = {
		.spi_i = 0x1234567890abcdefull, .major = IKE_MAJOR_1, .exchange = exchange};
	wire_build_message(&b, recorded[which].bytes, sizeof(recorded[which].bytes), &h);
	if (which != MAIN_3)
		put_offer(&b, which == MAIN_1 ? IKEV1_AUTH_PSK : IKEV1_AUTH_XAUTH_INIT_PSK);
	if (which != MAIN_1)
		put_key(&b);
	if (which == AGGRESSIVE_1)
		wire_put_raw(&b, IKEV1_PAYLOAD_ID, (struct view){id_body, sizeof(id_body)});
	if (which == MAIN_3)
		put_natd(&b);
	else
		put_vendors(&b);
	recorded[which].len = wire_build_done(&b).len;
	CHECK(recorded[which].len != 0);
}

// ---- one run ----

static struct cfg *cfg;
static struct bench *b;
static struct bench_node *gw;
static unsigned jobs_left;
static struct ike_jobs real_jobs;

struct run {
	struct rd in;
	uint8_t kind;
	bool dh; // it may be done
	uint64_t delivered, sent_at_start;
};

static int submit(void *ctx, struct ike_job *job)
{
	if (jobs_left == 0)
		return -EAGAIN;
	jobs_left--;
	return real_jobs.submit(real_jobs.ctx, job);
}

static enum bench_fate check_reply(struct bench *bench, struct bench_packet *p, void *arg)
{
	struct ike_header h;
	(void)bench;
	(void)arg;
	if (p->len > 17 && p->bytes[17] >> 4 != IKE_MAJOR_1) // "another version"
		return BENCH_DROP;
	CHECK(wire_header_parse((struct view){p->bytes, p->len}, &h) == WIRE_OK);
	return BENCH_DROP; // nobody is there
}

static void engine_make(void)
{
	b = bench_new_seeded(1);
	gw = bench_add_shared(b, "gw", "192.0.2.1", cfg);
	b->allow_reply_before_install = true; // several exchanges may cross
	bench_filter_add(b, check_reply, NULL);
	real_jobs = gw->engine->p.jobs;
	gw->engine->p.jobs.submit = submit;
}

static struct ike_sa *newest(void)
{
	return LIST_FIRST(&gw->engine->all_sas);
}

static uint8_t take_u8(struct run *r)
{
	uint8_t v = 0;
	return rd_u8(&r->in, &v) ? v : 0;
}

static uint16_t take_u16(struct run *r)
{
	uint16_t v = 0;
	return rd_u16(&r->in, &v) ? v : 0;
}

static struct view take_bytes(struct run *r)
{
	struct view v = {r->in.p, 0};
	size_t len = take_u16(r);
	if (len > rd_left(&r->in))
		len = rd_left(&r->in);
	return rd_bytes(&r->in, len, &v) ? v : (struct view){NULL, 0};
}

static void deliver(struct run *r, uint8_t source, struct view bytes)
{
	const struct endpoint *from = &peers[source % 4];
	struct endpoint to = gw_end;
	uint8_t *copy = malloc(bytes.len ? bytes.len : 1); // as long as it says
	if (!copy)
		abort();
	if (bytes.len)
		memcpy(copy, bytes.p, bytes.len);
	to.port = from->port == 500 ? 500 : 4500;
	struct ike_datagram d = {.local = to, .remote = *from, .bytes = {copy, bytes.len}};
	r->delivered++;
	ike_input(gw->engine, &d);
	free(copy);
	bench_settle(b);
}

static void write_spis(uint8_t *bytes, size_t len)
{
	struct ike_sa *sa = newest();
	struct wr w = wr_of(bytes, 16);
	wr_u64(&w, sa ? sa->spi_i : 0x1234567890abcdefull);
	wr_u64(&w, sa ? sa->spi_r : 0);
	w = wr_of(bytes + 24, 4);
	wr_u32(&w, (uint32_t)len);
}

static void raw(struct run *r, bool with_spis)
{
	static uint8_t buf[DATAGRAM_MAX];
	uint8_t source = take_u8(r);
	struct view v = take_bytes(r);
	if (v.len > sizeof(buf))
		v.len = sizeof(buf);
	if (v.len)
		memcpy(buf, v.p, v.len);
	if (with_spis && v.len >= IKE_HEADER_LEN)
		write_spis(buf, v.len);
	deliver(r, source, (struct view){buf, v.len});
}

static void send_recorded(struct run *r, uint8_t source, int which, unsigned changes)
{
	static uint8_t buf[sizeof(recorded[0].bytes)];
	size_t len = recorded[which].len;
	memcpy(buf, recorded[which].bytes, len);
	if (which == MAIN_3)
		write_spis(buf, len);
	while (changes-- > 0) {
		uint16_t at = take_u16(r);
		buf[at % len] = take_u8(r);
	}
	deliver(r, source, (struct view){buf, len});
}

static struct ike_exchange *exchange_of(struct ike_sa *sa, uint32_t message_id)
{
	struct ike_exchange *x;
	LIST_FOREACH (x, &sa->v1->exchanges, v1.link) {
		if (x->message_id == message_id)
			return x;
	}
	return NULL;
}

// Ciphertext as the peer would make it. False: there are no keys.
static bool seal(struct ike_sa *sa, uint32_t message_id, uint8_t *body, size_t *len)
{
	struct ike_exchange *x = exchange_of(sa, message_id);
	uint8_t iv[IKEV1_IV_MAX];
	if (!sa->v1->keys.encr.len)
		return false;
	if (x)
		memcpy(iv, x->v1.iv, sizeof(iv));
	else if (ikev1_iv_phase2(&sa->suite, sa->v1->iv, message_id, iv) != IKE_CRYPTO_OK)
		return false;
	while (*len % 16)
		body[(*len)++] = 0;
	return *len &&
	       ikev1_encrypt(&sa->suite, sa->v1->keys.encr, iv, body, *len) == IKE_CRYPTO_OK;
}

static size_t put_hash(const struct ike_sa *sa, uint8_t *body, uint32_t message_id, uint8_t first,
	struct view rest)
{
	uint8_t id[4];
	struct wr w = wr_of(id, 4);
	wr_u32(&w, message_id);
	struct view parts[] = {{id, 4}, rest};
	w = wr_of(body, 4);
	wr_u8(&w, first);
	wr_u8(&w, 0);
	wr_u16(&w, (uint16_t)(4 + alg_prf(sa->suite.prf)->len));
	CHECK(ike_prf(sa->suite.prf, sa->v1->keys.skeyid_a, parts, 2, body + 4) == IKE_CRYPTO_OK);
	return 4u + alg_prf(sa->suite.prf)->len;
}

static void sealed_message(struct run *r, struct ike_sa *sa, uint8_t exchange, uint32_t message_id,
	uint8_t first, struct view payloads, bool hash)
{
	static uint8_t buf[8192];
	uint8_t *body = buf + IKE_HEADER_LEN;
	size_t len = 0;
	if (payloads.len > 4000 || !sa->v1->keys.encr.len)
		return;
	if (hash)
		len = put_hash(sa, body, message_id, first, payloads);
	if (payloads.len)
		memcpy(body + len, payloads.p, payloads.len);
	len += payloads.len;
	if (!seal(sa, message_id, body, &len))
		return;
	struct ike_header h = {.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.next_payload = hash ? IKEV1_PAYLOAD_HASH : first,
		.major = IKE_MAJOR_1,
		.exchange = exchange,
		.flags = IKEV1_FLAG_ENCRYPTED,
		.message_id = message_id,
		.length = (uint32_t)(IKE_HEADER_LEN + len)};
	struct wr w = wr_of(buf, IKE_HEADER_LEN);
	wire_header_build(&w, &h);
	deliver(r, 0, (struct view){buf, IKE_HEADER_LEN + len});
}

// how: bit 0 a right HASH; 0x30: message id 0, that of an exchange under way, or a new one.
static void sealed(struct run *r)
{
	static const uint8_t exchanges[] = {IKEV1_EXCHANGE_TRANSACTION, IKEV1_EXCHANGE_MAIN,
		IKEV1_EXCHANGE_AGGRESSIVE, IKEV1_EXCHANGE_INFORMATIONAL, IKEV1_EXCHANGE_QUICK, 99};
	uint8_t exchange = exchanges[take_u8(r) % 6], how = take_u8(r), first = take_u8(r);
	struct view payloads = take_bytes(r);
	struct ike_sa *sa = newest();
	if (!sa || !sa->v1)
		return;
	struct ike_exchange *x = LIST_FIRST(&sa->v1->exchanges);
	uint32_t id = (how & 0x30) == 0 ? 0 : (how & 0x10) && x ? x->message_id : 0x10000u + how;
	sealed_message(r, sa, exchange, id, first, payloads, how & 1);
}

static void fragment(struct run *r)
{
	static uint8_t buf[DATAGRAM_MAX];
	uint8_t source = take_u8(r), number = take_u8(r), flags = take_u8(r);
	struct view v = take_bytes(r);
	if (v.len > 2000)
		v.len = 2000;
	size_t len = IKE_HEADER_LEN + 8 + v.len;
	struct wr w = wr_of(buf, sizeof(buf));
	struct ike_header h = {.next_payload = IKEV1_PAYLOAD_FRAGMENT,
		.major = IKE_MAJOR_1,
		.exchange = flags & 0x40 ? IKEV1_EXCHANGE_AGGRESSIVE : IKEV1_EXCHANGE_MAIN,
		.flags = flags & 0x80 ? IKEV1_FLAG_ENCRYPTED : 0};
	wire_header_build(&w, &h);
	wr_u8(&w, 0);
	wr_u8(&w, 0);
	wr_u16(&w, (uint16_t)(8 + v.len));
	wr_u16(&w, flags & 0x0e);
	wr_u8(&w, number);
	wr_u8(&w, flags & 1);
	wr_view(&w, v);
	write_spis(buf, len);
	deliver(r, source, (struct view){buf, len});
}

static void sink(uint8_t how)
{
	gw->sink.hold_installs = how & 1;
	gw->sink.fail_add = how & 2 ? 1 : 0;
	gw->sink.fail_spi = how & 4 ? 1 : 0;
	gw->sink.fail_route = how & 8 ? 1 : 0;
	gw->hold_jobs = how & 16;
}

static void step(struct run *r)
{
	uint8_t op = take_u8(r), how;
	switch (op % STEP_COUNT) {
	case STEP_RAW:
	case STEP_RAW_SPIS:
		raw(r, op % STEP_COUNT == STEP_RAW_SPIS);
		break;
	case STEP_RECORDED:
		how = take_u8(r);
		send_recorded(r, how, take_u8(r) % RECORDED_COUNT, how >> 4 & 7);
		break;
	case STEP_SEALED:
		sealed(r);
		break;
	case STEP_FRAGMENT:
		fragment(r);
		break;
	case STEP_TIME:
		how = take_u8(r);
		b->now_ns += (how < 240 ? how * 4ull : (how - 239) * 2000ull) * NS_PER_MS;
		bench_settle(b);
		break;
	default:
		sink(take_u8(r));
		bench_settle(b);
		break;
	}
}

// Aggressive mode's third message, with the group's key: the user is still to come.
static void prove_group(struct run *r)
{
	struct ike_sa *sa = newest();
	uint8_t body[4 + IKEV1_HASH_MAX];
	if (!sa || !sa->v1 || !sa->v1->keys.encr.len)
		return;
	struct ikev1_hash_input in = {.prf = sa->suite.prf,
		.skeyid = sa->v1->keys.skeyid,
		.ke_i = secret_view(&sa->v1->ke_i),
		.ke_r = secret_view(&sa->v1->ke_r),
		.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.sa_i = secret_view(&sa->v1->sa_i),
		.id_body = {id_body, sizeof(id_body)}};
	struct wr w = wr_of(body, 4);
	wr_u8(&w, 0);
	wr_u8(&w, 0);
	wr_u16(&w, (uint16_t)(4 + alg_prf(sa->suite.prf)->len));
	CHECK(ikev1_hash_auth(&in, true, body + 4) == IKE_CRYPTO_OK);
	sealed_message(r, sa, IKEV1_EXCHANGE_AGGRESSIVE, 0, IKEV1_PAYLOAD_HASH,
		(struct view){body, 4u + alg_prf(sa->suite.prf)->len}, false);
	sa = newest();
	CHECK(sa && sa->state == IKE_SA_LOGIN);
}

static void start(struct run *r)
{
	jobs_left = r->dh;
	if (r->kind == START_KEYS) {
		send_recorded(r, 0, MAIN_1, 0);
		send_recorded(r, 0, MAIN_3, 0);
	} else if (r->kind == START_LOGIN) {
		send_recorded(r, 0, AGGRESSIVE_1, 0);
		prove_group(r);
	}
	jobs_left = r->dh && r->kind == START_NONE;
}

static bool somebody_came(void)
{
	struct ike_status st;
	ike_status(gw->engine, &st);
	return st.sessions || st.children;
}

static void check(const struct run *r)
{
	if (r->kind == START_LOGIN)
		return;
	CHECK(!somebody_came());
	CHECK(gw->sent - r->sent_at_start <= r->delivered);
}

// Half-open ones are closed, and their memory of what was said last runs out.
static void engine_clear(void)
{
	struct ike_sa *sa, *next;
	struct pool_stats pool;
	sink(0);
	bench_settle(b);
	ike_enter(gw->engine);
	for (sa = newest(); sa; sa = next) {
		next = LIST_NEXT(sa, all);
		ike_sa_close(sa, IKE_REASON_HALF_OPEN_TIMEOUT);
	}
	ike_leave(gw->engine);
	CHECK(pools_stats(gw->pools, 0, &pool) && pool.in_use == 0);
	b->now_ns += 200 * NS_PER_S;
	bench_settle(b);
	b->random = b->seed;
}

static unsigned sum_of(const uint8_t *data, size_t size)
{
	unsigned sum = 0;
	for (size_t i = 0; i < size; i++)
		sum += data[i];
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t kinds[16] = {[13] = START_KEYS, START_KEYS, START_LOGIN};
	struct run r = {.in = rd_of(data, size)};
	if (!cfg) {
		log_set_level(LOG_ERROR);
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		cfg = bench_config(config);
		record(MAIN_1, IKEV1_EXCHANGE_MAIN);
		record(MAIN_3, IKEV1_EXCHANGE_MAIN);
		record(AGGRESSIVE_1, IKEV1_EXCHANGE_AGGRESSIVE);
	}
	if (size == 0)
		return 0;
	if (!b)
		engine_make();
	r.kind = kinds[take_u8(&r) % 16];
	r.dh = sum_of(data, size) % 8 == 0;
	if (!r.dh)
		r.kind = START_NONE;
	r.sent_at_start = gw->sent;
	start(&r);
	for (int i = r.dh ? 0 : STEPS_MAX - 2; i < STEPS_MAX && !rd_empty(&r.in); i++)
		step(&r);
	check(&r);
	if (somebody_came()) {
		bench_free(b); // everything must have been given back
		b = NULL;
	} else {
		engine_clear();
	}
	return 0;
}

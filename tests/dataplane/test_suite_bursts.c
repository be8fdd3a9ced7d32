// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Every suite of the tables against OpenSSL, as bursts: both directions, with and without extended
// sequence numbers, all lengths, all suites in one call; and what is changed on the way is refused.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_oracle.h"
#include "tests/dataplane/fixture.h"

#include "dataplane/suites_table.h"

#define ROWS_MAX 96
#define ROOM     2048 // bytes of one packet
#define HIGH     0x12345678u

struct packet {
	struct sa_spec spec;
	struct dp_sa *sa;
	uint8_t bytes[ROOM];
	uint8_t plain[ROOM];
	size_t len;      // of plain
	size_t text_len; // rounded up to the suite's
};

static struct dp_crypto crypto;
static struct packet packets[ROWS_MAX];
static struct esp_op ops[ROWS_MAX];
static size_t rows;
static size_t first; // of the rows that bursts are made of

static void add_row(const struct cipher_row *c, const struct auth_row *a)
{
	assert_true(rows < ROWS_MAX);
	struct packet *p = &packets[rows++];
	p->spec = (struct sa_spec){.encr = {c->id, c->key_bits},
		.integ = a->id,
		.spi = 0x70000000u + (uint32_t)rows,
		.encr_key_len = c->key_len + c->salt_len,
		.integ_key_len = a->key_len};
	random_fill(&random_system, p->spec.encr_key, p->spec.encr_key_len);
	random_fill(&random_system, p->spec.integ_key, p->spec.integ_key_len);
	p->sa = dp_chunk_new(dp_sa_stride(), SOCKET_ID_ANY);
	assert_non_null(p->sa);
}

static void expand_all(void)
{
	for (size_t i = 0; i < rows; i++)
		assert_int_equal(dp_keys_expand(crypto.mgr, &packets[i].spec, packets[i].sa), 0);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(dp_crypto_init(&crypto, &random_system), 0);
	for (size_t i = 0; i < dp_cipher_count; i++)
		for (size_t k = 0; k < dp_auth_count; k++)
			if ((dp_ciphers[i].how == HOW_SPLIT) == (dp_auths[k].id != INTEG_NONE))
				add_row(&dp_ciphers[i], &dp_auths[k]);
	expand_all();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < rows; i++)
		dp_chunk_free(packets[i].sa, dp_sa_stride());
	dp_crypto_fini(&crypto);
	return 0;
}

static const char *name(const struct packet *p)
{
	static char text[SUITE_TEXT_MAX];
	struct suite s = {.encr = p->spec.encr, .integ = p->spec.integ, .esn = p->spec.esn};
	return suite_text(&s, text);
}

// The next packet of this row's SA: header, room for the IV, len bytes of text and its padding.
static void lay(size_t row, bool out, bool esn, uint32_t seq, size_t len)
{
	struct packet *p = &packets[row];
	struct dp_sa *sa = p->sa;
	p->spec.esn = esn;
	sa->flags = (uint8_t)((esn ? DP_SA_ESN : 0) | (out ? DP_SA_OUT : 0));
	p->len = len;
	p->text_len = RTE_ALIGN_CEIL(len, (size_t)sa->align);
	random_fill(&random_system, p->plain, p->text_len);
	ops[row] = (struct esp_op){.sa = sa,
		.esp = p->bytes,
		.text_len = (uint16_t)p->text_len,
		.seq = esn ? (uint64_t)HIGH << 32 | seq : seq};
}

static uint32_t high_of(const struct packet *p)
{
	return p->spec.esn ? HIGH : 0;
}

static void sealed_is_opened_by_openssl(size_t row)
{
	struct packet *p = &packets[row];
	uint8_t plain[ROOM];
	size_t total = 8 + p->sa->iv_len + p->text_len + p->sa->icv_len;
	if (!ops[row].ok)
		fail_msg("%s, %zu bytes: refused", name(p), p->len);
	if (oracle_open(&p->spec, high_of(p), p->bytes, total, plain) != p->text_len)
		fail_msg("%s, %zu bytes: OpenSSL says it is not authentic", name(p), p->len);
	if (memcmp(plain, p->plain, p->text_len) != 0)
		fail_msg("%s, %zu bytes: OpenSSL reads another text", name(p), p->len);
}

static void seal_all(bool esn, uint32_t seq, const size_t *lens)
{
	for (size_t i = first; i < rows; i++) {
		struct packet *p = &packets[i];
		lay(i, true, esn, seq, lens[i]);
		memset(p->bytes, 0xee, sizeof(p->bytes));
		set_be32(p->bytes, p->spec.spi);
		set_be32(p->bytes + 4, seq);
		memcpy(p->bytes + 8 + p->sa->iv_len, p->plain, p->text_len);
	}
	dp_seal_burst(&crypto, ops + first, (unsigned)(rows - first));
	for (size_t i = first; i < rows; i++) {
		struct packet *p = &packets[i];
		size_t end = 8u + p->sa->iv_len + p->text_len + p->sa->icv_len;
		sealed_is_opened_by_openssl(i);
		// Only as much as dp_seal_burst() says may be overwritten behind the ICV.
		assert_int_equal(
			p->bytes[RTE_MAX(end, 8u + p->sa->iv_len + p->text_len + 32)], 0xee);
	}
}

// A burst as the oracle sends it, ready for dp_open_burst().
static void receive_all(bool esn, uint32_t seq, const size_t *lens)
{
	for (size_t i = first; i < rows; i++) {
		struct packet *p = &packets[i];
		lay(i, false, esn, seq, lens[i]);
		oracle_seal(&p->spec, ops[i].seq, p->plain, p->text_len, NULL, p->bytes);
	}
}

static void open_all(bool esn, uint32_t seq, const size_t *lens)
{
	receive_all(esn, seq, lens);
	dp_open_burst(&crypto, ops + first, (unsigned)(rows - first));
	for (size_t i = first; i < rows; i++) {
		struct packet *p = &packets[i];
		if (!ops[i].ok)
			fail_msg("%s, %zu bytes: OpenSSL's packet is refused", name(p), p->len);
		if (memcmp(p->bytes + 8 + p->sa->iv_len, p->plain, p->text_len) != 0)
			fail_msg("%s, %zu bytes: another text than OpenSSL's", name(p), p->len);
	}
}

static const size_t lengths[] = {2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 15, 16, 17, 20, 24, 28, 31, 32,
	33, 44, 47, 48, 49, 63, 64, 65, 79, 80, 81, 96, 111, 112, 113, 127, 128, 129, 144, 191, 192,
	193, 239, 240, 241, 255, 256, 257, 319, 320, 321, 383, 384, 511, 512, 513, 575, 576, 577,
	767, 768, 769, 1000, 1023, 1024, 1025, 1279, 1280, 1281, 1400, 1419, 1420, 1421, 1439, 1440,
	1441, 1483, 1484, 1485, 1498, 1499, 1500};

// Every row with every length: in one call as many lengths as there are rows.
static void every_length(size_t step, void (*burst)(bool esn, uint32_t seq, const size_t *lens))
{
	size_t lens[ROWS_MAX];
	uint32_t seq = 1;
	for (int esn = 0; esn < 2; esn++)
		for (size_t k = 0; k < RTE_DIM(lengths); k += step) {
			for (size_t i = 0; i < rows; i++)
				lens[i] = lengths[(k + 7 * i) % RTE_DIM(lengths)];
			burst(esn, seq++, lens);
		}
	assert_int_equal(crypto.refused, 0);
}

static void openssl_opens_what_is_sealed(void **state)
{
	(void)state;
	every_length(1, seal_all);
}

static void what_openssl_seals_is_opened(void **state)
{
	(void)state;
	every_length(1, open_all);
}

// The library has code of its own for each of these, with lanes and key schedules of their own. AES-GCM,
// whose functions are chosen when a worker starts, stays out.
static void every_processors_code(void **state)
{
	static const struct {
		const char *name;
		void (*init)(IMB_MGR *mgr);
		uint64_t needs;
	} processors[] = {
		{"SSE", init_mb_mgr_sse, 0},
		{"AVX2", init_mb_mgr_avx2, IMB_FEATURE_AVX2},
		{"AVX-512", init_mb_mgr_avx512, IMB_FEATURE_AVX512_SKX},
	};
	uint64_t has = crypto.mgr->features;
	(void)state;
	while (dp_ciphers[packets[first].sa->cipher].how == HOW_GCM)
		first++;
	assert_true(first < rows);
	for (size_t k = 0; k < RTE_DIM(processors); k++) {
		if ((has & processors[k].needs) != processors[k].needs)
			continue;
		print_message("# %s\n", processors[k].name);
		processors[k].init(crypto.mgr);
		expand_all();
		every_length(16, seal_all);
		every_length(16, open_all);
	}
	first = 0;
	init_mb_mgr_auto(crypto.mgr, NULL);
	expand_all();
}

// 64 packets of one suite in a burst, and bursts of two suites by turns.
static void bursts_of_few_suites(void **state)
{
	(void)state;
	enum { BURST = 64 };
	static uint8_t bytes[BURST][ROOM];
	struct esp_op burst[BURST];
	for (size_t a = 0; a < rows; a++) {
		size_t b = (a * 31 + 17) % rows;
		for (size_t i = 0; i < BURST; i++) {
			size_t row = a & 1 || i & 1 ? a : b,
			       len = lengths[(a + i) % RTE_DIM(lengths)];
			struct packet *p = &packets[row];
			lay(row, false, false, (uint32_t)i + 1, len);
			oracle_seal(&p->spec, i + 1, p->plain, p->text_len, NULL, bytes[i]);
			burst[i] = ops[row];
			burst[i].esp = bytes[i];
		}
		dp_open_burst(&crypto, burst, BURST);
		for (size_t i = 0; i < BURST; i++)
			assert_true(burst[i].ok);
	}
}

// ---- What must be refused ----

// Everything that a row's packet has: each time another part of it is changed. Nothing but the changed
// packets of a burst is refused.
static void refused_by_turns(void (*change)(size_t row, size_t turn), size_t turns, bool esn)
{
	size_t lens[ROWS_MAX];
	for (size_t turn = 0; turn < turns; turn++) {
		for (size_t i = 0; i < rows; i++)
			lens[i] = 40 + (i * 13 + turn) % 90;
		receive_all(esn, (uint32_t)turn + 1, lens);
		for (size_t i = turn % 2; i < rows; i += 2)
			change(i, turn / 2);
		dp_open_burst(&crypto, ops, (unsigned)rows);
		for (size_t i = 0; i < rows; i++)
			if (ops[i].ok != (i % 2 != turn % 2))
				fail_msg("%s, turn %zu: %s", name(&packets[i]), turn,
					ops[i].ok ? "taken" : "refused");
	}
}

static void change_icv(size_t row, size_t turn)
{
	struct packet *p = &packets[row];
	size_t bit = turn % (p->sa->icv_len * 8u);
	p->bytes[8 + p->sa->iv_len + p->text_len + bit / 8] ^= (uint8_t)(1 << bit % 8);
}

static void change_text(size_t row, size_t turn)
{
	struct packet *p = &packets[row];
	p->bytes[8 + p->sa->iv_len + turn * 5 % p->text_len] ^= 0x10;
}

static void change_header(size_t row, size_t turn)
{
	struct packet *p = &packets[row];
	size_t covered = 8u + p->sa->iv_len;
	p->bytes[turn % covered] ^= 1;
	// The sequence number of an SA with ESN is the caller's, from the packet's.
	if (turn % covered >= 4 && turn % covered < 8)
		ops[row].seq ^= (uint64_t)1 << (7 - turn % covered) * 8;
}

static void change_high_bits(size_t row, size_t turn)
{
	ops[row].seq ^= (uint64_t)1 << (32 + turn % 32);
}

static void a_changed_icv_is_refused(void **state)
{
	(void)state;
	for (int esn = 0; esn < 2; esn++)
		refused_by_turns(change_icv, 2 * 32 * 8, esn);
}

static void a_changed_text_is_refused(void **state)
{
	(void)state;
	for (int esn = 0; esn < 2; esn++)
		refused_by_turns(change_text, 40, esn);
}

static void a_changed_header_is_refused(void **state)
{
	(void)state;
	for (int esn = 0; esn < 2; esn++)
		refused_by_turns(change_header, 2 * 24, esn);
}

// RFC 4303 2.2.1: the high bits are not sent, and all of them are authenticated.
static void wrong_high_bits_are_refused(void **state)
{
	(void)state;
	refused_by_turns(change_high_bits, 2 * 32, true);
}

int main(void)
{
	fx_eal();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(openssl_opens_what_is_sealed),
		cmocka_unit_test(what_openssl_seals_is_opened),
		cmocka_unit_test(every_processors_code),
		cmocka_unit_test(bursts_of_few_suites),
		cmocka_unit_test(a_changed_icv_is_refused),
		cmocka_unit_test(a_changed_text_is_refused),
		cmocka_unit_test(a_changed_header_is_refused),
		cmocka_unit_test(wrong_high_bits_are_refused),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

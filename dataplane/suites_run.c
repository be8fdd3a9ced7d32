// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Bursts through the suites: what a worker does with keys that are expanded.
#include "dataplane/gcm.h"
#include "dataplane/suites_jobs.h"

#include "base/secret.h"

#include <errno.h>

#define ESP_HDR 8

static inline void prefetch_keys(const struct dp_sa *sa, uint32_t text_len)
{
	const uint8_t *k = (const uint8_t *)sa + DP_SA_KEYS;
	const struct cipher_row *row = &dp_ciphers[sa->cipher];
	uint32_t size = offsetof(struct keys_split, hmac) + dp_auths[sa->auth].keys_len, from = 256;
	if (likely(cipher_is_direct(row))) {
		dp_gcm_prefetch(k, row->key_len > 16, text_len);
		return;
	}
	for (uint32_t off = 0; off < 256; off += 64)
		rte_prefetch0(k + off);
	if (row->how == HOW_CHACHA || row->how == HOW_CCM)
		return;
	if ((sa->flags & DP_SA_OUT) && row->mode != IMB_CIPHER_DES3) {
		from = offsetof(struct keys_split, hmac) & ~63u;
	}
	for (uint32_t off = from; off < size; off += 64)
		rte_prefetch0(k + off);
}

void dp_keys_prefetch(const struct dp_sa *sa, uint32_t text_len)
{
	prefetch_keys(sa, text_len);
}

// ---- Per worker ----

static int crypto_init(struct dp_crypto *c, const struct random_source *random, bool apart)
{
	memset(c, 0, sizeof(*c));
	c->mgr = dp_mb_new(apart, &c->lib);
	if (!c->mgr)
		return -ENOMEM;
	c->gcm_seal[0] = c->mgr->gcm128_enc;
	c->gcm_seal[1] = c->mgr->gcm192_enc;
	c->gcm_seal[2] = c->mgr->gcm256_enc;
	c->gcm_open[0] = c->mgr->gcm128_dec;
	c->gcm_open[1] = c->mgr->gcm192_dec;
	c->gcm_open[2] = c->mgr->gcm256_dec;
	// With AVX-512, 2.0.0 mixes up the buffers of DES jobs in one burst (intel-ipsec-mb
	// issue 169); 1.3 does not.
	c->des_alone = imb_get_version() >= IMB_VERSION(2, 0, 0);
#ifdef IMB_FEATURE_SELF_TEST_PASS
	if ((c->mgr->features & IMB_FEATURE_SELF_TEST) &&
		!(c->mgr->features & IMB_FEATURE_SELF_TEST_PASS)) {
		dp_mb_free(c->mgr, &c->lib);
		c->mgr = NULL;
		return -ENODEV;
	}
#endif
	uint8_t key[16];
	struct keys_aes keys;
	random_fill(random, key, sizeof(key));
	random_fill(random, c->iv_counter, sizeof(c->iv_counter));
	dp_expand_aes(c->mgr, key, sizeof(key), &keys);
	memcpy(c->iv_keys, keys.enc, sizeof(c->iv_keys));
	secret_wipe(key, sizeof(key));
	secret_wipe(&keys, sizeof(keys));
	return 0;
}

int dp_crypto_init(struct dp_crypto *c, const struct random_source *random)
{
	return crypto_init(c, random, false);
}

int dp_crypto_init_apart(struct dp_crypto *c, const struct random_source *random)
{
	return crypto_init(c, random, true);
}

void dp_crypto_fini(struct dp_crypto *c)
{
	if (c->mgr)
		dp_mb_free(c->mgr, &c->lib);
	secret_wipe(c, sizeof(*c));
}

// ---- Running ----

static void put_be64(uint8_t *p, uint64_t v)
{
	v = rte_cpu_to_be_64(v);
	memcpy(p, &v, sizeof(v));
}

// RFC 4106 5, RFC 4309 5, RFC 7634 2.1: SPI and sequence number, with ESN all 64 bits of it.
static uint32_t make_aad(struct esp_op *op)
{
	memcpy(op->aad, op->esp, 4);
	if (op->sa->flags & DP_SA_ESN) {
		put_be64(op->aad + 4, op->seq);
		return 12;
	}
	memcpy(op->aad + 4, op->esp + 4, 4);
	return 8;
}

// The IV on the wire: the sequence number for the counter modes, whose only demand is that it never
// comes twice under one key; for CBC it is unpredictable.
static void write_iv(struct dp_crypto *c, struct esp_op *op)
{
	static const uint8_t zero[16];
	uint8_t *iv = op->esp + ESP_HDR;
	const struct cipher_row *row = &dp_ciphers[op->sa->cipher];
	if (row->salt_len) {
		put_be64(iv, op->seq);
	} else if (row->iv_len) {
		c->iv_counter[0]++;
		IMB_AES128_CFB_ONE(c->mgr, iv, zero, c->iv_counter, c->iv_keys, row->iv_len);
	}
}

// What the cipher takes: salt and IV, or the IV alone.
static void load_iv(struct esp_op *op)
{
	const uint8_t *iv = op->esp + ESP_HDR;
	const struct cipher_row *row = &dp_ciphers[op->sa->cipher];
	if (row->salt_len) {
		memcpy(op->iv, &op->sa->salt, 4);
		memcpy(op->iv + row->salt_len, iv, 8);
	} else {
		memcpy(op->iv, iv, row->iv_len);
	}
}

void dp_gcm_choose(const struct dp_crypto *c, const struct dp_sa *sa, bool seal, struct gcm_row *g)
{
	const struct cipher_row *row = &dp_ciphers[sa->cipher];
	g->kind = dp_gcm_kind(sa);
	g->esn = sa->flags & DP_SA_ESN;
	g->aad_len = g->esn ? 12 : 8;
	g->direct = row->how == HOW_GCM;
	g->long_key = row->key_len > 16;
	g->icv_len = row->icv_len;
	if (g->direct)
		g->run = (seal ? c->gcm_seal : c->gcm_open)[(row->key_len >> 3) - 2];
}

// The suites that no job is needed for.
static bool run_direct(struct dp_crypto *c, struct esp_op *op, uint8_t *tag)
{
	switch (dp_ciphers[op->sa->cipher].how) {
	case HOW_GMAC:
		dp_run_gmac(c, op, tag);
		break;
	default:
		return false;
	}
	op->ok = true;
	return true;
}

static void fill_chacha(IMB_JOB *j, struct esp_op *op, bool seal)
{
	union keys *k = dp_sa_keys(op->sa);
	j->enc_keys = k->chacha;
	j->dec_keys = k->chacha;
	j->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
	j->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
	j->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	j->u.CHACHA20_POLY1305.aad = op->aad;
	j->u.CHACHA20_POLY1305.aad_len_in_bytes = make_aad(op);
	j->hash_start_src_offset_in_bytes = j->cipher_start_src_offset_in_bytes;
	j->msg_len_to_hash_in_bytes = op->text_len;
	j->iv_len_in_bytes = 12;
	j->auth_tag_output_len_in_bytes = 16;
}

static void job_done(struct dp_crypto *c, IMB_JOB *j)
{
	struct esp_op *op = j->user_data;
	op->ok = j->status == IMB_STATUS_COMPLETED;
	c->refused += !op->ok;
}

static void submit(struct dp_crypto *c, struct esp_op *op, bool seal)
{
	const struct cipher_row *row = &dp_ciphers[op->sa->cipher];
	IMB_JOB *j = IMB_GET_NEXT_JOB(c->mgr);
	j->key_len_in_bytes = row->key_len;
	j->src = op->esp;
	j->dst = op->esp + ESP_HDR + row->iv_len;
	j->cipher_start_src_offset_in_bytes = ESP_HDR + row->iv_len;
	j->msg_len_to_cipher_in_bytes = op->text_len;
	j->iv = op->iv;
	j->auth_tag_output = op->icv;
	j->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
	j->user_data = op;
	op->ok = false;
	if (row->how == HOW_CHACHA)
		fill_chacha(j, op, seal);
	else if (row->how == HOW_CCM)
		dp_job_ccm(j, op, make_aad(op), seal);
	else
		dp_job_split(j, op, seal);
	for (j = IMB_SUBMIT_JOB(c->mgr); j; j = IMB_GET_COMPLETED_JOB(c->mgr))
		job_done(c, j);
}

static void flush(struct dp_crypto *c)
{
	for (IMB_JOB *j = IMB_FLUSH_JOB(c->mgr); j; j = IMB_FLUSH_JOB(c->mgr))
		job_done(c, j);
}

static bool runs_alone(const struct dp_crypto *c, const struct esp_op *op)
{
	return c->des_alone && cipher_is_des(&dp_ciphers[op->sa->cipher]);
}

// Behind the others of the burst, whose lanes are empty by then, one at a time.
static void run_alone(struct dp_crypto *c, struct esp_op *ops, unsigned n, bool seal)
{
	for (unsigned i = 0; i < n; i++) {
		if (!runs_alone(c, &ops[i]))
			continue;
		submit(c, &ops[i], seal);
		flush(c);
	}
}

// Constant time; lengths are multiples of 4.
static bool icv_equal(const uint8_t *a, const uint8_t *b, uint32_t len)
{
	uint32_t diff = 0;
	for (uint32_t i = 0; i < len; i += 4) {
		uint32_t x, y;
		memcpy(&x, a + i, 4);
		memcpy(&y, b + i, 4);
		diff |= x ^ y;
	}
	return diff == 0;
}

static inline uint8_t *icv_place(const struct esp_op *op)
{
	return op->esp + ESP_HDR + op->sa->iv_len + op->text_len;
}

// What wrap.h has left there for a packet that it did in one go.
static __rte_noinline void make_nonce(struct esp_op *op)
{
	memcpy(op->iv, &op->sa->salt, 4);
	put_be64(op->iv + 4, op->seq);
	(void)make_aad(op);
}

static inline void seal_gcm(struct dp_crypto *c, const struct gcm_row *g, struct esp_op *op)
{
	uint8_t *text = op->esp + ESP_HDR + GCM_IV_LEN;
	if (unlikely(!op->framed))
		make_nonce(op);
	dp_store64(op->esp + ESP_HDR, dp_load64(op->iv + 4));
	g->run(dp_sa_keys(op->sa), &c->gcm, text, text, op->text_len, op->iv, op->aad,
		dp_gcm_aad_len(op->sa), text + op->text_len, g->icv_len);
	op->ok = true;
}

static inline void open_gcm(struct dp_crypto *c, const struct gcm_row *g, struct esp_op *op)
{
	uint8_t tag[16] __attribute__((aligned(16)));
	dp_gcm_open(c, g, op, tag);
	op->ok = likely(g->icv_len == sizeof(tag)) ? dp_tag_equal(tag, icv_place(op))
						   : icv_equal(tag, icv_place(op), g->icv_len);
}

// Before each packet's cipher. False: it is not AES-GCM.
static inline bool turn(struct dp_crypto *c, struct gcm_row *g, const struct esp_op *op,
	const struct esp_op *end, bool seal)
{
	if (unlikely(dp_gcm_kind(op->sa) != g->kind))
		dp_gcm_choose(c, op->sa, seal, g);
	dp_gcm_ahead(c, g, op, end);
	dp_gcm_warm(c);
	return g->direct;
}

// Jobs that have been submitted come back, and those that must be alone are done. A burst of AES-GCM has
// none (rest: packets of other suites). False: nothing to do.
static bool run_rest(struct dp_crypto *c, struct esp_op *ops, unsigned n, unsigned rest, bool seal)
{
	if (likely(!rest))
		return false;
	flush(c);
	run_alone(c, ops, n, seal);
	return true;
}

void dp_seal_burst(struct dp_crypto *c, struct esp_op *ops, unsigned n)
{
	struct esp_op *end = ops + n;
	struct gcm_row g = {.kind = DP_GCM_NO_KIND};
	unsigned rest = 0;
	dp_gcm_begin(c, ops, n);
	for (struct esp_op *op = ops; op < end; op++) {
		if (likely(turn(c, &g, op, end, true))) {
			seal_gcm(c, &g, op);
			continue;
		}
		rest++;
		write_iv(c, op);
		load_iv(op);
		if (!run_direct(c, op, icv_place(op)) && !runs_alone(c, op))
			submit(c, op, true);
	}
	if (!run_rest(c, ops, n, rest, true))
		return;
	for (unsigned i = 0; i < n; i++)
		if (!cipher_is_direct(&dp_ciphers[ops[i].sa->cipher]))
			memcpy(icv_place(&ops[i]), ops[i].icv, ops[i].sa->icv_len);
}

void dp_open_burst(struct dp_crypto *c, struct esp_op *ops, unsigned n)
{
	struct esp_op *end = ops + n;
	struct gcm_row g = {.kind = DP_GCM_NO_KIND};
	unsigned rest = 0;
	dp_gcm_begin(c, ops, n);
	for (struct esp_op *op = ops; op < end; op++) {
		if (likely(turn(c, &g, op, end, false))) {
			open_gcm(c, &g, op);
			continue;
		}
		rest++;
		load_iv(op);
		memcpy(op->sent, icv_place(op), op->sa->icv_len);
		if (!run_direct(c, op, op->icv) && !runs_alone(c, op))
			submit(c, op, false);
	}
	if (!run_rest(c, ops, n, rest, false))
		return;
	for (unsigned i = 0; i < n; i++)
		if (dp_ciphers[ops[i].sa->cipher].how != HOW_GCM)
			ops[i].ok =
				ops[i].ok && icv_equal(ops[i].icv, ops[i].sent, ops[i].sa->icv_len);
}

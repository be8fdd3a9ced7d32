// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Bursts through the suites: what a worker does with keys that are expanded.
#include "dataplane/suites_jobs.h"

#include "base/secret.h"

#include <rte_prefetch.h>

#include <errno.h>

#define ESP_HDR 8

// The hash powers of GCM stand at one end of the schedule: a short packet uses the last ones.
void dp_keys_prefetch(const struct dp_sa *sa, uint32_t text_len)
{
	const uint8_t *k = (const uint8_t *)sa + DP_SA_KEYS;
	uint32_t size = offsetof(struct keys_split, hmac) + dp_auths[sa->auth].keys_len;
	for (uint32_t off = 0; off < 256; off += 64)
		rte_prefetch0(k + off);
	if (dp_ciphers[sa->cipher].how == HOW_CHACHA || dp_ciphers[sa->cipher].how == HOW_CCM)
		return;
	uint32_t from = 256;
	if (cipher_is_direct(&dp_ciphers[sa->cipher])) {
		uint32_t powers = (text_len + 15) / 16 + 2;
		size = sizeof(struct gcm_key_data);
		if (powers * 16 < size - 256)
			from = (size - powers * 16) & ~63u;
	} else if ((sa->flags & DP_SA_OUT) && dp_ciphers[sa->cipher].mode != IMB_CIPHER_DES3) {
		from = offsetof(struct keys_split, hmac) & ~63u;
	}
	for (uint32_t off = from; off < size; off += 64)
		rte_prefetch0(k + off);
}

// ---- Per worker ----

int dp_crypto_init(struct dp_crypto *c, const struct random_source *random)
{
	memset(c, 0, sizeof(*c));
	c->mgr = alloc_mb_mgr(0);
	if (!c->mgr)
		return -ENOMEM;
	init_mb_mgr_auto(c->mgr, NULL);
	// With AVX-512, 2.0.0 mixes up the buffers of DES jobs in one burst (intel-ipsec-mb
	// issue 169); 1.3 does not.
	c->des_alone = imb_get_version() >= IMB_VERSION(2, 0, 0);
#ifdef IMB_FEATURE_SELF_TEST_PASS
	if ((c->mgr->features & IMB_FEATURE_SELF_TEST) &&
		!(c->mgr->features & IMB_FEATURE_SELF_TEST_PASS)) {
		free_mb_mgr(c->mgr);
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

void dp_crypto_fini(struct dp_crypto *c)
{
	if (c->mgr)
		free_mb_mgr(c->mgr);
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

static void run_gcm(struct dp_crypto *c, struct esp_op *op, bool seal, uint8_t *tag)
{
	const struct cipher_row *row = &dp_ciphers[op->sa->cipher];
	const struct gcm_key_data *key = dp_sa_keys(op->sa);
	uint8_t *text = op->esp + ESP_HDR + row->iv_len;
	uint32_t aad_len = make_aad(op), len = op->text_len, icv = row->icv_len;
	IMB_MGR *m = c->mgr;
	aes_gcm_enc_dec_t f;

	if (row->key_len == 16)
		f = seal ? m->gcm128_enc : m->gcm128_dec;
	else if (row->key_len == 24)
		f = seal ? m->gcm192_enc : m->gcm192_dec;
	else
		f = seal ? m->gcm256_enc : m->gcm256_dec;
	f(key, &c->gcm, text, text, len, op->iv, op->aad, aad_len, tag, icv);
}

// The suites that no job is needed for.
static bool run_direct(struct dp_crypto *c, struct esp_op *op, bool seal, uint8_t *tag)
{
	switch (dp_ciphers[op->sa->cipher].how) {
	case HOW_GCM:
		run_gcm(c, op, seal, tag);
		break;
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

static uint8_t *icv_place(const struct esp_op *op)
{
	return op->esp + ESP_HDR + op->sa->iv_len + op->text_len;
}

void dp_seal_burst(struct dp_crypto *c, struct esp_op *ops, unsigned n)
{
	unsigned jobs = 0, alone = 0;
	for (unsigned i = 0; i < n; i++) {
		struct esp_op *op = &ops[i];
		write_iv(c, op);
		load_iv(op);
		if (run_direct(c, op, true, icv_place(op))) {
			continue;
		} else if (runs_alone(c, op)) {
			alone++;
		} else {
			submit(c, op, true);
			jobs++;
		}
	}
	if (!jobs && !alone)
		return;
	flush(c);
	if (alone)
		run_alone(c, ops, n, true);
	for (unsigned i = 0; i < n; i++)
		if (!cipher_is_direct(&dp_ciphers[ops[i].sa->cipher]))
			memcpy(icv_place(&ops[i]), ops[i].icv, ops[i].sa->icv_len);
}

void dp_open_burst(struct dp_crypto *c, struct esp_op *ops, unsigned n)
{
	unsigned jobs = 0, alone = 0;
	for (unsigned i = 0; i < n; i++) {
		struct esp_op *op = &ops[i];
		load_iv(op);
		memcpy(op->sent, icv_place(op), op->sa->icv_len);
		if (run_direct(c, op, false, op->icv)) {
			continue;
		} else if (runs_alone(c, op)) {
			alone++;
		} else {
			submit(c, op, false);
			jobs++;
		}
	}
	if (jobs)
		flush(c);
	if (alone)
		run_alone(c, ops, n, false);
	for (unsigned i = 0; i < n; i++)
		ops[i].ok = ops[i].ok && icv_equal(ops[i].icv, ops[i].sent, ops[i].sa->icv_len);
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The loops that are timed: one direct call a packet where the library has one, else jobs, whose
// lanes are flushed once, at the end.
#include "perf/bench_bound.h"

#include <rte_prefetch.h>

static void prefetch_lines(const uint8_t *p, uint32_t from, uint32_t to)
{
	for (uint32_t off = from & ~63u; off < to; off += 64)
		rte_prefetch0(p + off);
}

// Of GCM's schedule a packet takes the round keys, which are at the front, and as many of the hash
// key's powers as it has blocks, from the back.
static void prefetch_gcm(const struct bench_bound *x, const struct bound_op *op)
{
	uint32_t size = sizeof(struct gcm_key_data), powers = (op->len / 16 + 3) * 16;
	uint32_t keys = 16 * (x->suite->encr.key_bits / 32 + 7);
	prefetch_lines(op->key, 0, keys);
	prefetch_lines(op->key, powers + keys < size ? size - powers : keys, size);
}

static void prefetch_split(const struct bench_bound *x, const struct bound_op *op, bool seal)
{
	uint32_t keys = 16 * (x->suite->encr.key_bits / 32 + 7);
	bool inverse = !seal && x->mode == IMB_CIPHER_CBC;
	uint32_t at = inverse ? offsetof(struct bound_split, dec) : 0;
	if (x->mode != IMB_CIPHER_NULL)
		prefetch_lines(op->key, at, at + keys);
	prefetch_lines(op->key, offsetof(struct bound_split, inner), sizeof(struct bound_split));
}

static inline void ahead(
	const struct bench_bound *x, const struct bound_op *op, bool seal, enum bound_kind kind)
{
	if (kind == BOUND_GCM)
		prefetch_gcm(x, op);
	else if (kind == BOUND_CHACHA)
		rte_prefetch0(op->key);
	else
		prefetch_split(x, op, seal);
	rte_prefetch0(op->text);
	rte_prefetch0(op->text + 64);
}

static aes_gcm_enc_dec_t gcm_call(const struct bench_bound *x, bool seal)
{
	const IMB_MGR *m = x->mgr;
	if (x->suite->encr.key_bits == 256)
		return seal ? m->gcm256_enc : m->gcm256_dec;
	if (x->suite->encr.key_bits == 192)
		return seal ? m->gcm192_enc : m->gcm192_dec;
	return seal ? m->gcm128_enc : m->gcm128_dec;
}

static void run_gcm(struct bench_bound *x, bool seal, unsigned distance)
{
	aes_gcm_enc_dec_t call = gcm_call(x, seal);
	for (unsigned i = 0; i < BENCH_ROUND; i++) {
		struct bound_op *op = &x->ops[i];
		if (distance && i + distance < BENCH_ROUND)
			ahead(x, op + distance, seal, BOUND_GCM);
		call((const void *)op->key, &x->gcm, op->text, op->text, op->len, op->iv, op->aad,
			12, op->tag, x->suite->icv_len);
	}
}

static void run_chacha(struct bench_bound *x, bool seal, unsigned distance)
{
	IMB_MGR *m = x->mgr;
	for (unsigned i = 0; i < BENCH_ROUND; i++) {
		struct bound_op *op = &x->ops[i];
		if (distance && i + distance < BENCH_ROUND)
			ahead(x, op + distance, seal, BOUND_CHACHA);
		IMB_CHACHA20_POLY1305_INIT(m, op->key, &x->chacha, op->iv, op->aad, 12);
		if (seal) {
			IMB_CHACHA20_POLY1305_ENC_UPDATE(
				m, op->key, &x->chacha, op->text, op->text, op->len);
			IMB_CHACHA20_POLY1305_ENC_FINALIZE(m, &x->chacha, op->tag, 16);
		} else {
			IMB_CHACHA20_POLY1305_DEC_UPDATE(
				m, op->key, &x->chacha, op->text, op->text, op->len);
			IMB_CHACHA20_POLY1305_DEC_FINALIZE(m, &x->chacha, op->tag, 16);
		}
	}
}

static void fill_job(const struct bench_bound *x, struct bound_op *op, bool seal, IMB_JOB *j)
{
	const struct bound_split *k = (const void *)op->key;
	uint32_t head = ESP_HDR_LEN + x->suite->iv_len;
	j->cipher_mode = x->mode;
	j->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
	j->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	j->hash_alg = x->hash;
	j->enc_keys = k->enc;
	j->dec_keys = k->dec;
	j->key_len_in_bytes = x->suite->encr.key_bits / 8;
	j->src = op->text - head;
	j->dst = op->text;
	j->cipher_start_src_offset_in_bytes = head;
	j->msg_len_to_cipher_in_bytes = op->len;
	j->hash_start_src_offset_in_bytes = 0;
	j->msg_len_to_hash_in_bytes = head + op->len + 4;
	j->iv = op->iv;
	j->iv_len_in_bytes = x->mode == IMB_CIPHER_CBC ? 16 : x->mode == IMB_CIPHER_CNTR ? 12 : 0;
	j->auth_tag_output = op->tag;
	j->auth_tag_output_len_in_bytes = x->suite->icv_len;
	j->u.HMAC._hashed_auth_key_xor_ipad = k->inner;
	j->u.HMAC._hashed_auth_key_xor_opad = k->outer;
	j->user_data = op;
}

static void run_jobs(struct bench_bound *x, bool seal, unsigned distance)
{
	for (unsigned i = 0; i < BENCH_ROUND; i++) {
		struct bound_op *op = &x->ops[i];
		if (distance && i + distance < BENCH_ROUND)
			ahead(x, op + distance, seal, BOUND_SPLIT);
		fill_job(x, op, seal, IMB_GET_NEXT_JOB(x->mgr));
		for (IMB_JOB *j = IMB_SUBMIT_JOB(x->mgr); j; j = IMB_GET_COMPLETED_JOB(x->mgr))
			;
	}
	while (IMB_FLUSH_JOB(x->mgr))
		;
}

uint64_t bench_bound_run(struct bench_lane *l, unsigned distance)
{
	struct bench_bound *x = l->bound;
	bool seal = l->store.direction == BENCH_OUT;
	uint64_t t = rte_rdtsc_precise();
	if (x->kind == BOUND_GCM)
		run_gcm(x, seal, distance);
	else if (x->kind == BOUND_CHACHA)
		run_chacha(x, seal, distance);
	else
		run_jobs(x, seal, distance);
	return rte_rdtsc_precise() - t;
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// intel-ipsec-mb alone: the same texts in the same buffers, under keys of its own for each tunnel,
// on hugepages as close together as they can be. Everything that is no crypto is done before.
//
// Each prefetch distance has a copy of the keys: they are used once in a round of all variants, as the
// gateway's are, and lie in whatever cache its keys lie in by then.
#include "perf/bench_bound.h"

#include "tests/dataplane/esp_oracle.h"

#include <rte_malloc.h>
#include <rte_prefetch.h>

#include <stdlib.h>

const unsigned bench_distances[BENCH_DISTANCES] = {0, 2, 4, 8};

// ---- Keys ----

static void one_block(IMB_MGR *m, uint16_t integ, const uint8_t *block, uint8_t *state)
{
	switch (integ) {
	case INTEG_HMAC_MD5_96:
		IMB_MD5_ONE_BLOCK(m, block, state);
		break;
	case INTEG_HMAC_SHA1_96:
		IMB_SHA1_ONE_BLOCK(m, block, state);
		break;
	case INTEG_HMAC_SHA2_256_128:
		IMB_SHA256_ONE_BLOCK(m, block, state);
		break;
	case INTEG_HMAC_SHA2_384_192:
		IMB_SHA384_ONE_BLOCK(m, block, state);
		break;
	default:
		IMB_SHA512_ONE_BLOCK(m, block, state);
		break;
	}
}

static void expand_hmac(
	const struct bench_bound *x, const struct bench_tunnel *t, struct bound_split *out)
{
	uint8_t block[128];
	memset(block, 0x36, sizeof(block));
	for (unsigned i = 0; i < x->suite->integ_key_len; i++)
		block[i] ^= t->integ_key[i];
	one_block(x->mgr, x->suite->integ, block, out->inner);
	for (unsigned i = 0; i < sizeof(block); i++)
		block[i] ^= 0x36 ^ 0x5c;
	one_block(x->mgr, x->suite->integ, block, out->outer);
}

static void expand_aes(IMB_MGR *m, const uint8_t *key, unsigned bits, struct bound_split *out)
{
	if (bits == 256)
		IMB_AES_KEYEXP_256(m, key, out->enc, out->dec);
	else if (bits == 192)
		IMB_AES_KEYEXP_192(m, key, out->enc, out->dec);
	else
		IMB_AES_KEYEXP_128(m, key, out->enc, out->dec);
}

static void expand_gcm(IMB_MGR *m, const uint8_t *key, unsigned bits, struct gcm_key_data *out)
{
	if (bits == 256)
		IMB_AES256_GCM_PRE(m, key, out);
	else if (bits == 192)
		IMB_AES192_GCM_PRE(m, key, out);
	else
		IMB_AES128_GCM_PRE(m, key, out);
}

static void expand(struct bench_bound *x, const struct bench_tunnel *t, uint8_t *out)
{
	if (x->kind == BOUND_GCM) {
		expand_gcm(x->mgr, t->key, x->suite->encr.key_bits, (void *)out);
	} else if (x->kind == BOUND_CHACHA) {
		memcpy(out, t->key, 32);
	} else {
		struct bound_split *s = (void *)out;
		if (x->mode != IMB_CIPHER_NULL)
			expand_aes(x->mgr, t->key, x->suite->encr.key_bits, s);
		expand_hmac(x, t, s);
	}
}

// ---- Set-up ----

static void choose_split(struct bench_bound *x)
{
	switch (x->suite->encr.id) {
	case ENCR_AES_CBC:
		x->mode = IMB_CIPHER_CBC;
		break;
	case ENCR_AES_CTR:
		x->mode = IMB_CIPHER_CNTR;
		break;
	case ENCR_NULL:
		x->mode = IMB_CIPHER_NULL;
		break;
	default:
		bench_die("%s: no bound for this cipher", x->suite->name);
	}
	switch (x->suite->integ) {
	case INTEG_HMAC_MD5_96:
		x->hash = IMB_AUTH_MD5;
		break;
	case INTEG_HMAC_SHA1_96:
		x->hash = IMB_AUTH_HMAC_SHA_1;
		break;
	case INTEG_HMAC_SHA2_256_128:
		x->hash = IMB_AUTH_HMAC_SHA_256;
		break;
	case INTEG_HMAC_SHA2_384_192:
		x->hash = IMB_AUTH_HMAC_SHA_384;
		break;
	case INTEG_HMAC_SHA2_512_256:
		x->hash = IMB_AUTH_HMAC_SHA_512;
		break;
	default:
		bench_die("%s: no bound for this integrity algorithm", x->suite->name);
	}
}

static void choose(struct bench_bound *x)
{
	size_t size;
	switch (x->suite->encr.id) {
	case ENCR_AES_GCM_8:
	case ENCR_AES_GCM_12:
	case ENCR_AES_GCM_16:
		x->kind = BOUND_GCM;
		size = sizeof(struct gcm_key_data);
		break;
	case ENCR_CHACHA20_POLY1305:
		x->kind = BOUND_CHACHA;
		size = 32;
		break;
	default:
		x->kind = BOUND_SPLIT;
		size = sizeof(struct bound_split);
		choose_split(x);
		break;
	}
	x->stride = RTE_ALIGN_CEIL(size, 64);
}

static uint8_t *keys_new(struct bench_bound *x, const struct bench_lane *l)
{
	const struct bench *b = l->b;
	uint8_t *keys = rte_zmalloc("bench_keys", x->count * x->stride, 64);
	if (!keys)
		bench_die("no memory for the library's keys");
	for (uint32_t i = 0; i < x->count; i++)
		expand(x, &b->tunnels[l->id + i * b->lane_count], keys + i * x->stride);
	return keys;
}

struct bench_bound *bench_bound_new(const struct bench_lane *l)
{
	const struct bench *b = l->b;
	struct bench_bound *x = rte_zmalloc("bench_bound", sizeof(*x), 64);
	if (!x)
		bench_die("no memory");
	x->suite = &b->suite;
	x->lane = l;
	x->mgr = alloc_mb_mgr(0);
	if (!x->mgr)
		bench_die("no memory");
	init_mb_mgr_auto(x->mgr, NULL);
	choose(x);
	x->count = (b->tunnel_count - l->id + b->lane_count - 1) / b->lane_count;
	for (unsigned i = 0; i < BENCH_DISTANCES; i++)
		x->keys[i] = keys_new(x, l);
	return x;
}

void bench_bound_free(struct bench_bound *x)
{
	if (!x)
		return;
	free_mb_mgr(x->mgr);
	for (unsigned i = 0; i < BENCH_DISTANCES; i++)
		rte_free(x->keys[i]);
	rte_free(x);
}

// ---- A round's packets ----

static void put_be64(uint8_t *p, uint64_t v)
{
	set_be32(p, (uint32_t)(v >> 32));
	set_be32(p + 4, (uint32_t)v);
}

// The text lies where it does for the gateway: the inner packet's place, or behind the IV.
static uint8_t *text_of(
	const struct bench_bound *x, const struct bench_packet *k, struct rte_mbuf *m)
{
	if (x->lane->store.direction == BENCH_OUT)
		return dp_data(m) + RTE_ETHER_HDR_LEN;
	(void)k;
	return dp_data(m) + RTE_ETHER_HDR_LEN + IP4_HDR + ESP_HDR_LEN + x->suite->iv_len;
}

// RFC 4303 2.4 padding for what is sealed; ESP header and IV before it, as the gateway writes them.
static void wrap(const struct bench_bound *x, const struct bench_packet *k, struct bound_op *op)
{
	uint32_t spi = BENCH_PEER_SPI + k->tunnel, pad = op->len - k->inner_len - 2u;
	uint8_t *p = op->text + k->inner_len, *esp = op->text - x->suite->iv_len - ESP_HDR_LEN;
	for (uint32_t i = 0; i < pad; i++)
		p[i] = (uint8_t)(i + 1);
	p[pad] = (uint8_t)pad;
	p[pad + 1] = 4;
	set_be32(esp, spi);
	set_be32(esp + 4, op->seq);
	memset(esp + ESP_HDR_LEN, 0, x->suite->iv_len);
	if (x->suite->iv_len)
		set_be32(esp + ESP_HDR_LEN + x->suite->iv_len - 4, op->seq);
}

static void prepare(const struct bench_bound *x, unsigned n, const uint8_t *keys, bool one_key,
	struct bound_op *op)
{
	const struct bench_store *s = &x->lane->store;
	const struct bench_packet *k = &s->packets[n];
	const struct bench *b = x->lane->b;
	bool out = s->direction == BENCH_OUT;
	uint32_t nth = one_key ? 0 : (k->tunnel - x->lane->id) / b->lane_count;
	uint32_t tunnel = x->lane->id + nth * b->lane_count;
	unsigned salt = x->suite->encr_key_len - 4u;

	op->key = keys + nth * x->stride;
	op->text = text_of(x, k, x->lane->mbufs[n % BENCH_ROUND]);
	op->len = RTE_ALIGN_CEIL(k->inner_len + 2u, (uint32_t)x->suite->align);
	op->seq = out ? n + 1 : (uint32_t)k->seq;
	if (out)
		wrap(x, k, op);
	const uint8_t *iv = op->text - x->suite->iv_len, *esp = iv - ESP_HDR_LEN;
	bool salted = x->mode != IMB_CIPHER_CBC && x->suite->iv_len;
	if (salted)
		memcpy(op->iv, b->tunnels[tunnel].key + salt, 4);
	memcpy(op->iv + (salted ? 4 : 0), iv, x->suite->iv_len);
	memcpy(op->aad, esp, 4);
	put_be64(op->aad + 4, op->seq);
	if (x->kind ==
		BOUND_SPLIT) // RFC 4303 2.2.1: high bits of the sequence number, for the hash
		memset(op->text + op->len, 0, 4);
}

void bench_bound_write(struct bench_lane *l, unsigned slice, unsigned copy, bool one_key)
{
	struct bench_bound *x = l->bound;
	for (unsigned i = 0; i < BENCH_ROUND; i++) {
		unsigned n = slice * BENCH_ROUND + i;
		bench_write_one(l, l->mbufs[i], &l->store.packets[n]);
		prepare(x, n, x->keys[copy], one_key, &x->ops[i]);
	}
}

// ---- Whether it did what it should ----

static bool right(const struct bench_bound *x, unsigned n)
{
	const struct bound_op *op = &x->ops[n % BENCH_ROUND];
	const struct bench_packet *k = &x->lane->store.packets[n];
	bool out = x->lane->store.direction == BENCH_OUT;
	struct sa_spec spec = bench_spec(x->lane->b, k->tunnel, out ? SA_OUT : SA_IN);
	uint8_t esp[BENCH_SIZE_MAX + 128], got[BENCH_SIZE_MAX + 128];
	unsigned head = ESP_HDR_LEN + x->suite->iv_len;
	memcpy(esp, op->text - head, head + op->len);
	if (!out) {
		// Opened in place: what OpenSSL seals of it is what came, and so is the ICV.
		const uint8_t *frame = bench_frame(&x->lane->store, k);
		const uint8_t *sent = frame + RTE_ETHER_HDR_LEN + IP4_HDR + head;
		size_t len =
			oracle_seal(&spec, k->seq, op->text, op->len, sent - x->suite->iv_len, got);
		return len == head + op->len + x->suite->icv_len &&
		       memcmp(got + head, sent, op->len + x->suite->icv_len) == 0 &&
		       memcmp(op->tag, sent + op->len, x->suite->icv_len) == 0;
	}
	memcpy(esp + head + op->len, op->tag, x->suite->icv_len);
	return oracle_open(&spec, 0, esp, head + op->len + x->suite->icv_len, got) == op->len;
}

bool bench_bound_right(const struct bench_lane *l, unsigned slice)
{
	for (unsigned i = 0; i < BENCH_SAMPLES; i++)
		if (!right(l->bound, slice * BENCH_ROUND + i * (BENCH_ROUND / BENCH_SAMPLES)))
			return false;
	return true;
}

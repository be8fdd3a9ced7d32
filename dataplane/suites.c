// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/suites.h"

#include "base/secret.h"

#include <rte_prefetch.h>

#include <errno.h>

#define ESP_HDR 8

struct keys_aes {
	uint8_t enc[16 * 15] __attribute__((aligned(16)));
	uint8_t dec[16 * 15] __attribute__((aligned(16)));
};

// Three for 3DES, which the library finds by an array of pointers; DES has the first alone.
struct keys_des {
	uint64_t schedule[3][IMB_DES_KEY_SCHED_SIZE / 8] __attribute__((aligned(16)));
	const void *pass[3];
};

// What follows the cipher's keys where integrity is a separate algorithm. The states of SHA-384
// and SHA-512 are the longest: 64 bytes.
struct keys_hmac {
	uint8_t inner[64] __attribute__((aligned(16)));
	uint8_t outer[64] __attribute__((aligned(16)));
};

struct keys_split {
	union {
		struct keys_aes aes;
		struct keys_des des;
	};
	struct keys_hmac hmac;
};

union keys {
	struct gcm_key_data gcm;
	struct keys_split split;
	uint8_t chacha[32];
};

enum how { HOW_GCM, HOW_CHACHA, HOW_SPLIT };

struct cipher_row {
	uint16_t id, key_bits;
	enum how how;
	IMB_CIPHER_MODE mode; // not HOW_GCM
	uint8_t key_len, salt_len, iv_len, icv_len;
	uint8_t align;
};

// RFC 4303 2.4: plaintext and trailer end on a 4-byte boundary at least. A cipher with a salt is a
// counter mode, one with an IV alone is CBC.
static const struct cipher_row ciphers[] = {
	{ENCR_AES_GCM_16, 128, HOW_GCM, 0, 16, 4, 8, 16, 4},
	{ENCR_AES_GCM_16, 192, HOW_GCM, 0, 24, 4, 8, 16, 4},
	{ENCR_AES_GCM_16, 256, HOW_GCM, 0, 32, 4, 8, 16, 4},
	{ENCR_AES_GCM_12, 128, HOW_GCM, 0, 16, 4, 8, 12, 4},
	{ENCR_AES_GCM_12, 192, HOW_GCM, 0, 24, 4, 8, 12, 4},
	{ENCR_AES_GCM_12, 256, HOW_GCM, 0, 32, 4, 8, 12, 4},
	{ENCR_AES_GCM_8, 128, HOW_GCM, 0, 16, 4, 8, 8, 4},
	{ENCR_AES_GCM_8, 192, HOW_GCM, 0, 24, 4, 8, 8, 4},
	{ENCR_AES_GCM_8, 256, HOW_GCM, 0, 32, 4, 8, 8, 4},
	{ENCR_CHACHA20_POLY1305, 0, HOW_CHACHA, IMB_CIPHER_CHACHA20_POLY1305, 32, 4, 8, 16, 4},
	{ENCR_AES_CBC, 128, HOW_SPLIT, IMB_CIPHER_CBC, 16, 0, 16, 0, 16},
	{ENCR_AES_CBC, 192, HOW_SPLIT, IMB_CIPHER_CBC, 24, 0, 16, 0, 16},
	{ENCR_AES_CBC, 256, HOW_SPLIT, IMB_CIPHER_CBC, 32, 0, 16, 0, 16},
	{ENCR_AES_CTR, 128, HOW_SPLIT, IMB_CIPHER_CNTR, 16, 4, 8, 0, 4},
	{ENCR_AES_CTR, 192, HOW_SPLIT, IMB_CIPHER_CNTR, 24, 4, 8, 0, 4},
	{ENCR_AES_CTR, 256, HOW_SPLIT, IMB_CIPHER_CNTR, 32, 4, 8, 0, 4},
	{ENCR_3DES, 0, HOW_SPLIT, IMB_CIPHER_DES3, 24, 0, 8, 0, 8},
	{ENCR_DES, 0, HOW_SPLIT, IMB_CIPHER_DES, 8, 0, 8, 0, 8},
	{ENCR_NULL, 0, HOW_SPLIT, IMB_CIPHER_NULL, 0, 0, 0, 0, 4},
};

struct auth_row {
	uint16_t id;
	IMB_HASH_ALG alg;
	uint8_t key_len, block_len, icv_len;
};

static const struct auth_row auths[] = {
	{INTEG_NONE, IMB_AUTH_NULL, 0, 0, 0},
	{INTEG_HMAC_SHA1_96, IMB_AUTH_HMAC_SHA_1, 20, 64, 12},
	{INTEG_HMAC_SHA2_256_128, IMB_AUTH_HMAC_SHA_256, 32, 64, 16},
	{INTEG_HMAC_SHA2_384_192, IMB_AUTH_HMAC_SHA_384, 48, 128, 24},
	{INTEG_HMAC_SHA2_512_256, IMB_AUTH_HMAC_SHA_512, 64, 128, 32},
	{INTEG_HMAC_MD5_96, IMB_AUTH_MD5, 16, 64, 12},
};

static const struct cipher_row *cipher_find(const struct proposal_encr *e)
{
	for (size_t i = 0; i < RTE_DIM(ciphers); i++) {
		const struct cipher_row *c = &ciphers[i];
		if (c->id == e->id && (c->key_bits == 0 || c->key_bits == e->key_bits ||
					      (e->key_bits == 0 && c->key_bits == 128)))
			return c;
	}
	return NULL;
}

static bool is_des(const struct cipher_row *c)
{
	return c->mode == IMB_CIPHER_DES || c->mode == IMB_CIPHER_DES3;
}

static const struct auth_row *auth_find(uint16_t id)
{
	for (size_t i = 0; i < RTE_DIM(auths); i++)
		if (auths[i].id == id)
			return &auths[i];
	return NULL;
}

size_t dp_sa_stride(void)
{
	return RTE_ALIGN_CEIL(DP_SA_KEYS + sizeof(union keys), 64);
}

// ---- Key expansion ----

static void expand_gcm(IMB_MGR *mgr, const uint8_t *key, size_t len, struct gcm_key_data *out)
{
	if (len == 16)
		IMB_AES128_GCM_PRE(mgr, key, out);
	else if (len == 24)
		IMB_AES192_GCM_PRE(mgr, key, out);
	else
		IMB_AES256_GCM_PRE(mgr, key, out);
}

static void expand_aes(IMB_MGR *mgr, const uint8_t *key, size_t len, struct keys_aes *out)
{
	if (len == 16)
		IMB_AES_KEYEXP_128(mgr, key, out->enc, out->dec);
	else if (len == 24)
		IMB_AES_KEYEXP_192(mgr, key, out->enc, out->dec);
	else if (len == 32)
		IMB_AES_KEYEXP_256(mgr, key, out->enc, out->dec);
}

// One key, or three; their parity bits are not looked at.
static void expand_des(IMB_MGR *mgr, const uint8_t *key, size_t len, struct keys_des *out)
{
	for (size_t i = 0; i < len / IMB_DES_BLOCK_SIZE; i++) {
		IMB_DES_KEYSCHED(mgr, out->schedule[i], key + i * IMB_DES_BLOCK_SIZE);
		out->pass[i] = out->schedule[i];
	}
}

static void expand_cipher(
	IMB_MGR *mgr, const struct cipher_row *c, const uint8_t *key, struct keys_split *out)
{
	if (is_des(c))
		expand_des(mgr, key, c->key_len, &out->des);
	else
		expand_aes(mgr, key, c->key_len, &out->aes);
}

static void one_block(IMB_MGR *mgr, IMB_HASH_ALG alg, const uint8_t *block, uint8_t *state)
{
	switch (alg) {
	case IMB_AUTH_MD5:
		IMB_MD5_ONE_BLOCK(mgr, block, state);
		break;
	case IMB_AUTH_HMAC_SHA_1:
		IMB_SHA1_ONE_BLOCK(mgr, block, state);
		break;
	case IMB_AUTH_HMAC_SHA_256:
		IMB_SHA256_ONE_BLOCK(mgr, block, state);
		break;
	case IMB_AUTH_HMAC_SHA_384:
		IMB_SHA384_ONE_BLOCK(mgr, block, state);
		break;
	default:
		IMB_SHA512_ONE_BLOCK(mgr, block, state);
		break;
	}
}

// RFC 2104: the hash states after the key's block, so that a packet costs two blocks less.
static void expand_hmac(
	IMB_MGR *mgr, const struct auth_row *a, const uint8_t *key, struct keys_hmac *out)
{
	uint8_t block[128];
	memset(block, 0x36, sizeof(block));
	for (size_t i = 0; i < a->key_len; i++)
		block[i] ^= key[i];
	one_block(mgr, a->alg, block, out->inner);
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] ^= 0x36 ^ 0x5c;
	one_block(mgr, a->alg, block, out->outer);
	secret_wipe(block, sizeof(block));
}

int dp_keys_expand(IMB_MGR *mgr, const struct sa_spec *spec, struct dp_sa *sa)
{
	const struct cipher_row *c = cipher_find(&spec->encr);
	const struct auth_row *a = auth_find(spec->integ);
	if (!c || !a || (c->how == HOW_SPLIT) != (a->id != INTEG_NONE))
		return -ENOTSUP;
	if (spec->encr_key_len != c->key_len + c->salt_len || spec->integ_key_len != a->key_len)
		return -EINVAL;

	union keys *k = dp_sa_keys(sa);
	if (c->how == HOW_GCM) {
		expand_gcm(mgr, spec->encr_key, c->key_len, &k->gcm);
	} else if (c->how == HOW_CHACHA) {
		memcpy(k->chacha, spec->encr_key, sizeof(k->chacha));
	} else {
		expand_cipher(mgr, c, spec->encr_key, &k->split);
		expand_hmac(mgr, a, spec->integ_key, &k->split.hmac);
	}
	memcpy(&sa->salt, spec->encr_key + c->key_len, c->salt_len);
	sa->cipher = (uint8_t)(c - ciphers);
	sa->auth = (uint8_t)(a - auths);
	sa->iv_len = c->iv_len;
	sa->icv_len = c->icv_len + a->icv_len;
	sa->align = c->align;
	return 0;
}

// The hash powers of GCM stand at one end of the schedule: a short packet uses the last ones.
void dp_keys_prefetch(const struct dp_sa *sa, uint32_t text_len)
{
	const uint8_t *k = (const uint8_t *)sa + DP_SA_KEYS;
	uint32_t size = sizeof(struct keys_split);
	for (uint32_t off = 0; off < 256; off += 64)
		rte_prefetch0(k + off);
	if (ciphers[sa->cipher].how == HOW_CHACHA)
		return;
	uint32_t from = 256;
	if (ciphers[sa->cipher].how == HOW_GCM) {
		uint32_t powers = (text_len + 15) / 16 + 2;
		size = sizeof(struct gcm_key_data);
		if (powers * 16 < size - 256)
			from = (size - powers * 16) & ~63u;
	} else if ((sa->flags & DP_SA_OUT) && ciphers[sa->cipher].mode != IMB_CIPHER_DES3) {
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
	expand_aes(c->mgr, key, sizeof(key), &keys);
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

static void put_be32(uint8_t *p, uint32_t v)
{
	v = rte_cpu_to_be_32(v);
	memcpy(p, &v, sizeof(v));
}

// RFC 4106 5, RFC 7634 2.1: SPI and sequence number, with ESN all 64 bits of it.
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
	const struct cipher_row *row = &ciphers[op->sa->cipher];
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
	const struct cipher_row *row = &ciphers[op->sa->cipher];
	if (row->salt_len) {
		memcpy(op->iv, &op->sa->salt, 4);
		memcpy(op->iv + 4, iv, 8);
	} else {
		memcpy(op->iv, iv, row->iv_len);
	}
}

static void run_gcm(struct dp_crypto *c, struct esp_op *op, bool seal, uint8_t *tag)
{
	const struct cipher_row *row = &ciphers[op->sa->cipher];
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

static void set_cipher_keys(IMB_JOB *j, const struct cipher_row *row, const struct keys_split *k)
{
	j->iv_len_in_bytes = row->salt_len + row->iv_len;
	if (row->mode == IMB_CIPHER_DES3) {
		j->enc_keys = j->dec_keys = k->des.pass;
	} else if (row->mode == IMB_CIPHER_DES) {
		j->enc_keys = j->dec_keys = k->des.schedule[0];
	} else {
		j->enc_keys = k->aes.enc;
		j->dec_keys = k->aes.dec;
	}
}

// RFC 4303 2.2.1: with ESN the high bits are part of what is authenticated, behind the text, but
// not sent. They stand in the ICV's place while the hash runs.
static void fill_split(IMB_JOB *j, struct esp_op *op, bool seal)
{
	const struct cipher_row *row = &ciphers[op->sa->cipher];
	const struct auth_row *a = &auths[op->sa->auth];
	union keys *k = dp_sa_keys(op->sa);
	uint32_t covered = ESP_HDR + row->iv_len + op->text_len;

	set_cipher_keys(j, row, &k->split);
	j->cipher_mode = row->mode;
	j->hash_alg = a->alg;
	j->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	j->u.HMAC._hashed_auth_key_xor_ipad = k->split.hmac.inner;
	j->u.HMAC._hashed_auth_key_xor_opad = k->split.hmac.outer;
	j->auth_tag_output_len_in_bytes = a->icv_len;
	if (op->sa->flags & DP_SA_ESN) {
		put_be32(op->esp + covered, (uint32_t)(op->seq >> 32));
		covered += 4;
	}
	j->hash_start_src_offset_in_bytes = 0;
	j->msg_len_to_hash_in_bytes = covered;
}

static void job_done(struct dp_crypto *c, IMB_JOB *j)
{
	struct esp_op *op = j->user_data;
	op->ok = j->status == IMB_STATUS_COMPLETED;
	c->refused += !op->ok;
}

static void submit(struct dp_crypto *c, struct esp_op *op, bool seal)
{
	const struct cipher_row *row = &ciphers[op->sa->cipher];
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
	else
		fill_split(j, op, seal);
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
	return c->des_alone && is_des(&ciphers[op->sa->cipher]);
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
		if (ciphers[op->sa->cipher].how == HOW_GCM) {
			run_gcm(c, op, true, icv_place(op));
			op->ok = true;
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
		if (ciphers[ops[i].sa->cipher].how != HOW_GCM)
			memcpy(icv_place(&ops[i]), ops[i].icv, ops[i].sa->icv_len);
}

void dp_open_burst(struct dp_crypto *c, struct esp_op *ops, unsigned n)
{
	unsigned jobs = 0, alone = 0;
	for (unsigned i = 0; i < n; i++) {
		struct esp_op *op = &ops[i];
		load_iv(op);
		memcpy(op->sent, icv_place(op), op->sa->icv_len);
		if (ciphers[op->sa->cipher].how == HOW_GCM) {
			run_gcm(c, op, false, op->icv);
			op->ok = true;
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

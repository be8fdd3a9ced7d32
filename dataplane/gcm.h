// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// AES-GCM, packet by packet, inline: most packets, for which a function call and an operation that is
// written and read again would be a tenth of their cost. One direct call of the library a packet.
#pragma once

#include "dataplane/suites_table.h"
#include "dataplane/warm.h"

#include <rte_vect.h>

#define DP_KEYS_AHEAD 4u // packets whose keys are on their way while one is worked on

#define GCM_IV_LEN 8
#define GCM_AROUND (ESP_HDR_LEN + GCM_IV_LEN + 16) // of a plain SA
#define GCM_TEXT   25 // bytes that hold an IPv4 header, whatever the trailer's padding up to three

// What AES-GCM takes of one kind of SAs: their cipher, and whether they have ESN. It mostly is the last packet's.
struct gcm_row {
	aes_gcm_enc_dec_t run;
	uint64_t icv_len, aad_len;
	uint32_t kind;
	bool direct; // it is AES-GCM
	bool long_key;
	bool esn;
};

#define DP_GCM_NO_KIND UINT32_MAX

// Cipher and ESN, as one load gives them.
static_assert(
	offsetof(struct dp_sa, flags) == offsetof(struct dp_sa, cipher) + 2, "within one word");

static inline uint32_t dp_gcm_kind(const struct dp_sa *sa)
{
	return dp_load32(&sa->cipher) & (0xffu | (uint32_t)DP_SA_ESN << 16);
}

void dp_gcm_choose(const struct dp_crypto *c, const struct dp_sa *sa, bool seal, struct gcm_row *g);

// All of GCM's schedule, which 48 blocks need. One instruction a line: an unrolled loop is what costs.
static inline void dp_gcm_prefetch_all(const uint8_t *k)
{
#pragma GCC unroll 32
	for (uint32_t off = 0; off < sizeof(struct gcm_key_data); off += 64)
		rte_prefetch0(k + off);
}

// The hash powers of GCM stand at one end of the schedule: a short packet uses the last ones.
static inline void dp_gcm_prefetch(const uint8_t *k, bool long_key, uint32_t text_len)
{
	const uint32_t size = sizeof(struct gcm_key_data), last = (size - 1) & ~63u;
	uint32_t powers = ((text_len + 15) & ~15u) + 32;
	if (powers >= size - 256) {
		dp_gcm_prefetch_all(k);
		return;
	}
	rte_prefetch0(k);
	rte_prefetch0(k + 64);
	rte_prefetch0(k + 128);
	if (long_key) // 13 or 15 round keys
		rte_prefetch0(k + 192);
	rte_prefetch0(k + last - 64);
	rte_prefetch0(k + last);
	if (likely(powers <= size - last + 64))
		return;
	for (uint32_t from = (size - powers) & ~63u; from < last - 64; from += 64)
		rte_prefetch0(k + from);
}

// RFC 4106 5: SPI and sequence number, with ESN all 64 bits of it.
static inline uint32_t dp_gcm_aad_len(const struct dp_sa *sa)
{
	static_assert(DP_SA_ESN == 1, "a bit, which counts");
	return 8 + 4u * (sa->flags & DP_SA_ESN);
}

// IV (salt, IV, zero) and AAD (SPI, sequence number, with ESN all 64 bits of it), 16 bytes each. They are
// put together in registers and stored at once: what is stored in pieces and read whole a moment later
// waits for the stores.
static inline void dp_gcm_run(struct dp_crypto *c, const struct gcm_row *g, struct esp_op *op,
	__m128i iv, __m128i aad, uint8_t *tag)
{
	uint8_t *text = op->esp + ESP_HDR_LEN + GCM_IV_LEN;
	__m128i in[2];
	_mm_store_si128(&in[0], iv);
	_mm_store_si128(&in[1], aad);
	g->run(dp_sa_keys(op->sa), &c->gcm, text, text, op->text_len, (const uint8_t *)&in[0],
		(const uint8_t *)&in[1], g->aad_len, tag, g->icv_len);
}

// The tag that it should have.
static inline void dp_gcm_open(
	struct dp_crypto *c, const struct gcm_row *g, struct esp_op *op, uint8_t *tag)
{
	__m128i esp = _mm_loadu_si128((const __m128i *)(const void *)op->esp), aad = esp;
	if (likely(g->esn)) // SPI, high bits, low bits
		aad = _mm_insert_epi32(_mm_shuffle_epi32(esp, 0x50),
			(int)rte_cpu_to_be_32((uint32_t)(op->seq >> 32)), 1);
	dp_gcm_run(
		c, g, op, _mm_insert_epi32(_mm_srli_si128(esp, 4), (int)op->sa->salt, 0), aad, tag);
}

// Constant time, 16 bytes.
static inline bool dp_tag_equal(const uint8_t *a, const uint8_t *b)
{
	__m128i x = _mm_loadu_si128((const __m128i *)(const void *)a);
	__m128i y = _mm_loadu_si128((const __m128i *)(const void *)b);
	return _mm_movemask_epi8(_mm_cmpeq_epi8(x, y)) == 0xffff;
}

// The keys of the one before, and all of them that this one needs, are on their way.
static inline bool dp_same_keys(const struct esp_op *before, const struct esp_op *op)
{
	return before->sa == op->sa && before->text_len >= op->text_len;
}

// Keys of a burst's first packets, as far as they were not asked for with the burst before; those of the others
// are asked for while a packet before is worked on.
static inline void dp_gcm_begin(const struct dp_crypto *c, const struct esp_op *ops, unsigned n)
{
	unsigned had = c->warm ? c->warm->had : 0;
	if (c->warm)
		c->warm->had = 0;
	for (unsigned i = 0; had != (1u << DP_KEYS_AHEAD) - 1 && i < RTE_MIN(n, DP_KEYS_AHEAD); i++)
		if (!(had >> i & 1) && !(i && dp_same_keys(&ops[i - 1], &ops[i])))
			dp_keys_prefetch(ops[i].sa, ops[i].text_len);
}

// Before a packet's cipher: keys of one that comes later in its burst.
static inline void dp_gcm_keys(const struct gcm_row *g, const struct esp_op *next)
{
	if (dp_same_keys(next - 1, next))
		return;
	if (likely(next->sa->cipher == (uint8_t)g->kind && g->direct))
		dp_gcm_prefetch(dp_sa_keys(next->sa), g->long_key, next->text_len);
	else
		dp_keys_prefetch(next->sa, next->text_len);
}

// The same, or of one in the next burst.
static inline void dp_gcm_ahead(struct dp_crypto *c, const struct gcm_row *g,
	const struct esp_op *op, const struct esp_op *end)
{
	const struct esp_op *next = op + DP_KEYS_AHEAD;
	if (unlikely(next >= end)) {
		if (likely(c->warm))
			dp_warm_keys(c->warm, (unsigned)(next - end));
	} else {
		dp_gcm_keys(g, next);
	}
}

// And some memory of the burst that comes next.
static inline void dp_gcm_warm(struct dp_crypto *c)
{
	if (likely(c->warm) && dp_warm_due(c->warm))
		dp_warm_step(c->warm);
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What stands around an outbound packet: trailer, ESP header, outer IPv4 header. For packets as most
// are, IPv4 for an SA that has nothing of its own to be done, all of it is written in one go, as soon
// as the SA is known; what is left is the cipher.
#pragma once

#include "dataplane/fast.h"

#define PAD_BLOCK 16u // bytes of padding that are written at once
#define IV_MAX    16u
#define ICV_MAX   32u

// RFC 4303 2.4: padding is 1, 2, 3, ... PAD_BLOCK bytes are written at once, so there is room for them;
// no suite has longer blocks.
static inline void dp_put_trailer(uint8_t *p, uint32_t inner, uint32_t text, uint8_t next)
{
	static const uint8_t ramp[PAD_BLOCK] = {
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	uint16_t end = (uint16_t)((text - inner - 2) | (uint32_t)next << 8);
	memcpy(p + inner, ramp, PAD_BLOCK);
	memcpy(p + text - 2, &end, sizeof(end));
}

// SPI and the sequence number's low half. seq_be: all of it, as it stands in a packet.
static inline void dp_put_esp(uint8_t *esp, uint32_t spi, uint64_t seq_be)
{
	dp_store32(esp, spi);
	dp_store32(esp + 4, (uint32_t)(seq_be >> 32));
}

// The checksum, as the upper half of the result, over words that are 64 bits with no carry to come; in
// whatever byte order they are. Either half of the sum of a word and itself turned by half has the sum of
// its halves, the upper one with the carry of the lower one.
static inline uint32_t dp_sum_end(uint64_t words)
{
	uint64_t twice = words + (words << 32 | words >> 32);
	uint32_t sum = (uint32_t)(twice >> 32);
	return ~(sum + (sum << 16 | sum >> 16)) & 0xffff0000;
}

// RFC 6864 4.1: what is atomic, as its DF is set, may have any id, here 0; 4.2: others must not repeat one
// for the same source, destination and protocol while one of them may be under way. Several SAs, and workers,
// may have the same ends: so the ids are a worker's, and each worker has its own ones (dp_ids). marks: the
// header's first eight bytes, for flags.
static inline uint32_t dp_next_id(struct dp_ids *ids, uint64_t marks)
{
	uint32_t clear = (uint32_t)(marks >> DP_DF_BIT & 1) - 1, id = ids->next;
	ids->next = (uint16_t)(id + (clear & ids->step));
	return clear & id;
}

// The outer IPv4 header, and UDP's, whose checksum is sent as zero (RFC 3948 2.1); without UDP as many bytes
// are written, and ESP's header comes over them. RFC 6040 4.1: the ECN field goes along; RFC 4301 8.1: DF is
// copied, set or cleared. inner: the inner header's first eight bytes.
static inline void dp_put_v4(
	struct dp_ids *ids, const struct dp_sa_out *o, uint8_t *h, uint64_t inner, uint32_t total)
{
	uint64_t marks = (inner & o->keep) | o->first, id = dp_next_id(ids, marks);
	uint64_t word = marks | (uint64_t)(__builtin_bswap32(total) & 0xffff0000) | id << 32;
	dp_store64(h, word);
	dp_store64(h + 8, o->head[0] | dp_sum_end(word + o->sum));
	dp_store64(h + 16, o->head[1]);
	dp_store32(h + 24, __builtin_bswap32(total - IP4_HDR) >> 16);
}

// ---- In one go ----

// What AES-GCM takes beside key and text: IV (salt, IV) and AAD (SPI, sequence number, with ESN all 64 bits
// of it). Long before the cipher reads them: what is stored in pieces and read whole a moment later waits for
// the stores.
static inline void dp_put_nonce(struct esp_op *op, const struct dp_sa *sa, uint64_t seq_be)
{
	uint32_t low = (uint32_t)(seq_be >> 32);
	dp_store32(op->iv, sa->salt);
	dp_store64(op->iv + 4, seq_be);
	dp_store32(op->aad, sa->spi);
	dp_store32(op->aad + 4, sa->flags & DP_SA_ESN ? (uint32_t)seq_be : low);
	dp_store32(op->aad + 8, low);
}

// An IPv4 packet that has been checked, len bytes at ip, at bytes into the mbuf's buffer; hop: it has to
// take one.
struct dp_plain {
	struct rte_mbuf *m;
	uint8_t *ip;
	uint32_t at, len;
	bool hop;
};

// It lies within the selectors of an SA that has nothing of its own to be done, whose next hop is known.
static inline bool dp_plain_sa(const struct dp_worker *w, const struct dp_sa *sa, const uint8_t *ip)
{
	return likely(sa->out.hop_gen == w->neigh_gen) && likely(dp_sa_holds_v4(sa, ip));
}

// There is room in its buffer for the longest headers and trailer that there are.
static inline bool dp_plain_room(const struct dp_plain *p)
{
	const uint32_t before = RTE_ETHER_HDR_LEN + IP4_HDR + UDP_HDR + ESP_HDR_LEN + IV_MAX;
	const uint32_t behind = PAD_BLOCK + 2 + ICV_MAX;
	return likely(p->at >= before) && likely(p->at + p->len + behind <= p->m->buf_len);
}

// The packet for this SA, if it is plain, complete but for its cipher; a mark of the trace goes. False:
// nothing has been done.
static inline bool dp_wrap_plain(
	struct dp_worker *w, struct esp_op *op, struct dp_sa *sa, const struct dp_plain *p)
{
	uint32_t text = RTE_ALIGN_CEIL(p->len + 2, (uint32_t)sa->align);
	uint32_t lead = sa->out.lead, total = text + lead + sa->icv_len;
	uint64_t seq = dp_get(&sa->seq) + 1;
	if (unlikely(!dp_plain_sa(w, sa, p->ip) || total > sa->out.mtu || !dp_plain_room(p)))
		return false;
	if (unlikely((uint32_t)seq == 0)) // the last one is behind it, or with ESN most likely not
		return false;
	if (p->hop)
		dp_hop_v4(p->ip);
	uint8_t *esp = p->ip - sa->iv_len - ESP_HDR_LEN, *h = p->ip - lead;
	uint64_t seq_be = __builtin_bswap64(seq);
	dp_set(&sa->seq, seq);
	dp_put_trailer(p->ip, p->len, text, IP_V4);
	dp_put_v4(&w->ids, &sa->out, h, dp_load64(p->ip), total);
	dp_put_esp(esp, sa->spi, seq_be);
	op->m = p->m;
	op->sa = sa;
	op->esp = esp;
	op->seq = seq;
	op->text_len = (uint16_t)text;
	op->framed = true;
	dp_put_nonce(op, sa, seq_be);
	op->out = sa->out.port;
	dp_tx_frame_at(&w->neighs[sa->out.hop], p->m, h - RTE_ETHER_HDR_LEN,
		p->at - RTE_ETHER_HDR_LEN - lead, total);
	dp_sa_count(w, sa, p->len);
	return true;
}

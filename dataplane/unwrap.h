// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What is checked of an inbound packet before its cipher, for packets as most are: an outer IPv4 header
// without options, and an SA with no bit of enum dp_sa_special. What is left are the cipher and what it
// uncovers (esp_in.c).
#pragma once

#include "dataplane/frame.h"
#include "dataplane/gcm.h"

// A number that is none above the newest one. False: it is too old, or has been there.
bool dp_not_seen(struct esp_op *op, uint64_t top, uint32_t lo);

// As dp_esp_in() would check it. False: nothing is decided.
static inline bool dp_unwrap_plain(struct esp_op *op, struct dp_sa *sa, const struct dp_sealed *p)
{
	uint32_t spi = dp_load32(p->esp), lo = get_be32(p->esp + 4);
	int text = p->len - GCM_AROUND;
	if (unlikely(text < GCM_TEXT) || unlikely(text & 3) || unlikely(spi == 0) ||
		unlikely(spi != sa->spi) || unlikely(sa->special))
		return false;
	uint64_t top = dp_get(&sa->seq);
	uint32_t ahead = lo - (uint32_t)top;
	op->m = p->m;
	op->sa = sa;
	op->esp = p->esp;
	op->seq = top + ahead;
	op->text_len = (uint16_t)text;
	op->upper = (uint16_t)p->upper;
	return likely((int32_t)ahead > 0) && likely((sa->flags & DP_SA_ESN) || !(op->seq >> 32))
		       ? true
		       : dp_not_seen(op, top, lo);
}

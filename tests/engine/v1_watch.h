// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Listens to the IKEv1 conversations of a bench: every message as it is sent, decrypted with keys
// that the sender's engine has, with a cipher state of its own (so that it finds what the engines
// would forgive each other), and what tests do to messages by their contents. Fragments are put
// together. It also sends messages of the test's making, sealed with the real keys.
#pragma once

#include "controlplane/ikev1/ikev1.h"
#include "tests/engine/bench.h"

// One message. Repeats of the one before in the same exchange are listed too.
struct v1_message {
	STAILQ_ENTRY(v1_message) link;
	uint64_t at_ms; // after the bench's start
	struct bench_node *from;
	struct endpoint src, dst; // before any NAT
	struct ike_header h;
	size_t len;         // bytes on the wire, of all its fragments
	unsigned fragments; // datagrams that it was cut into; 0: none
	bool encrypted, repeat;
	bool opened;  // m and cfg hold what is inside
	bool hash_ok; // of an informational or transaction message, or quick mode's first
	struct ikev1_message m;
	struct ikev1_cfg cfg; // type 0: no ATTRIBUTES payload
	uint8_t plain[];      // what the views of m and cfg point into
};
STAILQ_HEAD(v1_messages, v1_message);

struct v1_watch;

// First of the bench's filters. Freed by v1_watch_free(), before or after bench_free().
struct v1_watch *v1_watch_new(struct bench *b);
void v1_watch_free(struct v1_watch *w);
// An ISAKMP SA whose phase 1 was not heard: its last IV is taken from sa.
void v1_watch_keyed(struct v1_watch *w, const struct ike_sa *sa);
// Forgets what was heard, not the cipher states.
void v1_watch_forget(struct v1_watch *w);

// ---- what was sent ----

// exchange: IKEV1_EXCHANGE_*, 0: any. from NULL: anybody.
unsigned v1_sent(const struct v1_watch *w, const struct bench_node *from, uint8_t exchange);
unsigned v1_sent_datagrams(const struct v1_watch *w, const struct bench_node *from);
uint64_t v1_sent_bytes(const struct v1_watch *w, const struct bench_node *from);
// The nth (from 1), repeats not counted. NULL: there were not so many.
const struct v1_message *v1_nth(
	const struct v1_watch *w, const struct bench_node *from, uint8_t exchange, unsigned n);
// The nth configuration or XAUTH message of that type (IKEV1_CFG_*) that holds the attribute (0:
// whatever it holds).
const struct v1_message *v1_nth_cfg(const struct v1_watch *w, const struct bench_node *from,
	uint8_t type, uint16_t attribute, unsigned n);
// The nth message that holds a notify of that type; that holds a DELETE of that protocol.
const struct v1_message *v1_nth_notify(
	const struct v1_watch *w, const struct bench_node *from, uint16_t type, unsigned n);
const struct v1_message *v1_nth_delete(
	const struct v1_watch *w, const struct bench_node *from, uint8_t protocol, unsigned n);
// All of it, for people.
void v1_print(const struct v1_watch *w);

// ---- what happens to messages ----

// Sees every message before it leaves. Of a fragmented one: the whole, with its last fragment.
typedef enum bench_fate (*v1_filter)(struct v1_watch *w, const struct v1_message *m, void *arg);
void v1_filter_add(struct v1_watch *w, v1_filter fn, void *arg);
void v1_filters_clear(struct v1_watch *w);
// The nth datagram (from 1, from now on) of that exchange (0: any) that this side sends, repeats
// counted, is lost.
void v1_drop(struct v1_watch *w, const struct bench_node *from, uint8_t exchange, unsigned n);
// All that this side sends in that exchange is kept back; v1_release() sends it, in order.
void v1_hold(struct v1_watch *w, const struct bench_node *from, uint8_t exchange);
unsigned v1_held(const struct v1_watch *w);
void v1_release(struct v1_watch *w);

// ---- messages of the test's making ----

struct v1_made {
	struct bench_node *from; // it seems to come from here
	struct ike_sa *sa;       // of that node: addresses, cookies, keys
	uint8_t exchange;
	uint32_t message_id; // one that was heard: goes on with its IV. 0: a new one is drawn
	const struct wire_builder *payloads; // without HASH
	// Ni and Nr before the payloads, for HASH(2) and HASH(3) of quick mode; else empty
	struct view hash_prefix;
	bool no_hash, bad_hash, clear;
	const void *trailing; // bytes behind the last payload, before the padding
	size_t trailing_len;
};
// The message id.
uint32_t v1_make(struct v1_watch *w, const struct v1_made *made);

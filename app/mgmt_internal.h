// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Between the management thread (mgmt.c), the control thread's side (mgmt_call.c) and the JSON of
// requests (mgmt_parse.c) and replies (mgmt_json.c). A call belongs to one thread at a time: who took it from a queue owns it.
#pragma once

#include "app/mgmt.h"

#include <pthread.h>

#define SESSIONS_PER_PORTION 128
#define ROWS_PER_PORTION     64
#define LEASES_PER_PORTION   128  // that are shown or cleared
#define LEASES_PER_LOOK      512  // that are looked at
#define RECORDS_PER_LOOK     8192 // and places for leases, most of which may have none
#define IMPORTS_MAX          128  // of one request

enum mgmt_what {
	MGMT_SESSIONS,
	MGMT_SAS,
	MGMT_CONNECTIONS,
	MGMT_POOLS,
	MGMT_PORTS,
	MGMT_COUNTERS,
	MGMT_WORKERS,
	MGMT_STATUS, // the last that is shown
	MGMT_CLEAR,
	MGMT_INITIATE,
	MGMT_REKEY,
	MGMT_REAUTHENTICATE,
	MGMT_TRACE_START,
	MGMT_TRACE_STOP,
	MGMT_TRACE_SHOW,
	MGMT_LEASES,
	MGMT_CLEAR_LEASES,
	MGMT_IMPORT,
	MGMT_RELOAD,
};

#define LEASE_STATE_ANY -1

struct mgmt_pool_row {
	struct pool_stats stats;
	struct ip_range *ranges; // a copy, on the heap
	size_t range_count;
};

// Owner and key are copies, in one piece on the heap.
struct mgmt_lease_row {
	struct lease_info info;
	char *text;
};

// One lease of an import: what its strings and bytes point to lies behind the array of them.
struct mgmt_import {
	struct lease_row row;
	int verdict; // 0, or why not: -errno
};

struct mgmt_connection_row {
	struct ike_connection_info info;
	char last_error[128]; // what info points to, for the management thread
};

struct mgmt_trace_row {
	struct dp_trace_row row; // its bytes are a copy, on the heap
	char summary[160];
};

struct mgmt_counter_row {
	const char *name; // static
	uint64_t value;
};

// A question to the control thread, and its answer. Strings within the rows are static or belong
// to the configuration; those of a session lie in its own allocation.
struct mgmt_call {
	struct mgmt_call *next;
	enum mgmt_what what;
	uint64_t cursor; // sessions: the id after which to go on; rows: the index to go on from

	const char *why; // static: it was refused

	// MGMT_INITIATE: towards address (family 0: any); id is the session's then
	char connection[64];

	// MGMT_REKEY, MGMT_REAUTHENTICATE: of session id
	uint32_t spi; // ours, inbound; 0: the IKE SA

	// MGMT_TRACE_START: taken by the provider, else freed with the call
	struct dp_trace_spec trace;
	// MGMT_TRACE_STOP: how many packets; MGMT_TRACE_SHOW: with their bytes
	uint32_t traced;
	bool bytes;

	// MGMT_LEASES, MGMT_CLEAR_LEASES: of pool (empty: any), owner user (empty: any), at address
	char pool[64];
	int state; // enum lease_state, or LEASE_STATE_ANY
	bool keys, all;
	size_t pool_index; // that cursor is of
	uint64_t limit;    // rows; 0: all
	uint64_t shown;    // so far
	bool paged;        // there is more behind the limit

	// MGMT_IMPORT
	struct mgmt_import *imports;
	size_t import_count;
	bool check;

	// MGMT_RELOAD
	struct mgmt_reload *reload;

	// MGMT_CLEAR
	enum ike_clear by;
	uint64_t id;
	char user[POOL_OWNER_MAX];
	struct ip_addr address;
	uint64_t clear_last; // the youngest session that is meant
	size_t cleared;      // so far

	uint64_t now_ns;
	bool end; // nothing follows this portion
	bool failed;
	size_t count; // rows
	union {
		struct ike_session_info *sessions[SESSIONS_PER_PORTION];
		struct mgmt_connection_row connections[ROWS_PER_PORTION];
		struct mgmt_pool_row pools[ROWS_PER_PORTION];
		struct mgmt_lease_row leases[LEASES_PER_PORTION];
		struct dp_port_info ports[ROWS_PER_PORTION];
		struct dp_worker_info workers[ROWS_PER_PORTION];
		struct mgmt_counter_row counters[ROWS_PER_PORTION];
		struct mgmt_trace_row trace[ROWS_PER_PORTION];
		struct mgmt_status status;
	} rows;
};

struct mgmt_queue {
	pthread_mutex_t lock; // held for a few pointer writes only
	struct mgmt_call *head;
	struct mgmt_call **tail;
	int wake_fd;
};

void mgmt_queue_init(struct mgmt_queue *q, int wake_fd);
void mgmt_queue_put(struct mgmt_queue *q, struct mgmt_call *c);
struct mgmt_call *mgmt_queue_get(struct mgmt_queue *q);

// Control thread: fill in the next portion.
void mgmt_call_answer(struct mgmt_call *c, const struct mgmt_provider *p);
// Release what the answer holds; the call can be asked again. At its end what the request held, too.
void mgmt_call_reset(struct mgmt_call *c);
// Release both.
void mgmt_call_fini(struct mgmt_call *c);

// The same for leases (mgmt_leases.c).
void mgmt_leases_answer(struct mgmt_call *c, const struct mgmt_provider *p);
void mgmt_leases_clear(struct mgmt_call *c, const struct mgmt_provider *p);
void mgmt_leases_import(struct mgmt_call *c, const struct mgmt_provider *p);
// "offered", ...
const char *mgmt_lease_state(enum lease_state s);

// Growing text that belongs to one client.
struct mgmt_text {
	char *p;
	size_t len, cap;
	bool failed; // no memory: what follows is ignored
};

void mgmt_text_add(struct mgmt_text *t, const char *bytes, size_t len);

// The reply of one request as it grows by portions.
struct mgmt_reply {
	struct mgmt_text text; // what is formatted; the owner takes from its front
	bool opened;           // the key and the opening bracket are written
	bool elements;         // at least one is written: the next one needs a comma
};

// One request (len bytes, no NUL needed) into c. 0, or -EINVAL and a sentence in why[cap].
MUST_USE int mgmt_parse(const char *bytes, size_t len, struct mgmt_call *c, char *why, size_t cap);

// Append the portion: before the first one the reply's opening, after the last (c->end) its closing
// and a newline.
void mgmt_format(const struct mgmt_call *c, const char *const *handoff_names, struct mgmt_reply *r);
void mgmt_format_error(const char *why, struct mgmt_reply *r);

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What a process that may be killed at any moment says of its leases, and a plain model of them, which
// the one who listens keeps: who holds which address, who may, and what must still be there after a
// crash. For test_lease_crash.c and test_lease_lots.c.
#pragma once

#include "tests/cmocka_all.h"

#include "pools/journal.h"

#include <stdio.h>
#include <string.h>

#define OWNERS   100 // 0: nobody in particular, an anonymous peer
#define NOBODY   (-1)
#define LINGER_S 300
#define OFFER_S  300 // with the default of half_open_timeout_s
#define TOKENS   4096
#define STORY    8192

// Pool "a" (two sizes), pool "b", and addresses that only AAA gives.
#define A_FIRST   0x0a000001u
#define A_SIZE    48u
#define A_SMALLER 32u
#define B_FIRST   0x0a000101u
#define B_SIZE    16u
#define AAA_FIRST 0xc6336401u
#define AAA_SIZE  8u
#define ADDRESSES (A_SIZE + B_SIZE + AAA_SIZE)

enum report_kind {
	R_ROW,      // a row of the last life: addr, owner, origin
	R_READY,    // all rows were said, and will be restored: small
	R_ASK,      // about to ask: token, owner, pool, want, exact, adopt
	R_GRANT,    // an answer: token, addr, adopted
	R_REFUSED,  // the other one: token
	R_ENDED,    // the same, what waited for its row was ended meanwhile: token, addr
	R_ACTIVE,   // addr is in use
	R_STALE,    // addr was to be used, but the grant has ended
	R_FORGET,   // addr was granted, and nothing more will be done about it
	R_RELEASE,  // about to release addr
	R_RELEASED, // done
	R_TIME,     // about to let time pass until now_s
	R_TIMED,    // done
	R_CLEAR,    // about to clear addr
	R_CLEARED,  // done, its holders told
	R_RELOAD,   // about to load the other ranges: small
	R_FAILED,   // something did not work: addr is the error
};

struct report {
	uint32_t kind, token;
	uint32_t addr; // IPv4
	int32_t owner;
	uint64_t now_s;
	uint8_t pool, origin;
	bool exact, adopt, adopted, small;
	uint8_t unused[2];
};

struct model_lease {
	int owner;        // NOBODY: never given; 0: anonymous
	unsigned holders; // grants of this life that were told and not released
	bool active;      // one of them was used
	bool was_active;  // or of an earlier time
	bool gone;        // it may be free by now
	bool freed;       // it is, since `freed_at`
	bool forgotten;   // its only holder will never say anything
	uint8_t origin;
	uint64_t since_s, until_s; // asked for; lingers until
	uint64_t late_s;           // or until then, with a time that began anew at a reload
	uint64_t freed_at;         // number of the report
	bool row;                  // said in R_ROW of this life
};

struct model_ask {
	bool pending;
	bool must; // he has lingering addresses, one of which must be his answer
	struct report r;
	uint32_t granted;
	uint64_t at; // number of the report
};

struct model {
	struct model_lease leases[ADDRESSES];
	struct model_ask asks[TOKENS];
	unsigned pending[OWNERS];
	unsigned pending_count;
	bool small;
	bool ready; // this life has said R_READY
	uint64_t now_s, number;
	uint64_t durable;              // what was freed before this report is so durably
	uint64_t cleared;              // number of the last R_CLEAR
	uint64_t reloaded, reloaded_s; // number of the last R_RELOAD, and when it was
	uint64_t grants, refusals, rows, kept, lives;
	struct report story[STORY]; // the latest, for who reads of a failure
};

void model_init(struct model *m);
// The test fails, in words, where the report contradicts the model.
void model_take(struct model *m, const struct report *r);
// A process has ended in order: what it had dropped is durable.
void model_closed(struct model *m);

uint32_t model_addr(unsigned i);
unsigned model_index(uint32_t addr);
// What was said lately of this address, or by its requests.
void model_story(const struct model *m, uint32_t addr);

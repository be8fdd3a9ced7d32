// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Two whole data planes, wired together outside, each with a network inside; tunnels and child SAs
// between them as two control planes would make them. Their NICs hash; the test steps the workers.
//
//   10.99.0.1..32 --- [10.99.0.254  0  192.0.2.1] === [192.0.2.2  1  10.98.0.254] --- 10.98.0.1..32
#pragma once

#include "tests/dataplane/fixture.h"

#define PAIR_HOSTS  32 // on each side
#define PAIR_EVENTS 64

struct pair_side {
	struct cfg cfg;
	struct cfg_port ports[2];
	struct ip_prefix addresses[2];
	struct dp *dp;
	struct nic *nic[2];
	uint32_t tunnel;
	uint64_t sent, received; // clear packets into and out of its inside port
	unsigned events[SA_EVENT_NO_CHILD + 1];
	uint64_t returned_packets[2];      // of SAs that came back, by enum sa_dir
	struct sa_event last[PAIR_EVENTS]; // the latest ones, in a ring
	unsigned event_count;
	// Who stands for the control plane, if anybody: told what arrives; work() is called at each turn and
	// says whether it has moved something.
	void *control;
	void (*ike)(void *control, const struct ike_datagram *d);
	void (*event)(void *control, const struct sa_event *ev);
	unsigned (*work)(void *control);
};

struct pair {
	struct pair_side side[2];
	uint64_t now_ns;
};

extern struct pair pair;

// A child SA by the side that sees it: its inbound SPI, which names it, and the worker of that.
struct pair_child {
	uint32_t spi[2];
	unsigned worker[2];
};

// EAL is up (fx_eal()).
void pair_start(unsigned workers, enum nic_hash outside, enum nic_hash inside);
void pair_stop(void);
// What left each outside port arrives at the other's; returns how many frames. Clear packets that left
// inside are counted.
unsigned pair_wires(void);
// One poll of one worker, and of a control thread.
void pair_step(unsigned side, unsigned worker);
void pair_poll(unsigned side);
// All of it until nothing moves.
void pair_run(void);

// The tunnels between them, by native ESP, both of that worker; with each other's network as route.
void pair_tunnels(const struct tunnel_spec *as, unsigned worker);
// Both directions at both sides (AES-GCM), not yet switched to.
struct pair_child pair_child_new(unsigned worker0, unsigned worker1);
// Outbound packets of this side use it from now on.
void pair_switch(const struct pair_child *c, unsigned side);
// Among its latest events this side has that one of the child.
bool pair_told(const struct pair_child *c, unsigned side, enum sa_event_type what);
void pair_del(const struct pair_child *c, unsigned side, enum sa_dir dir);
// Made, and used by both sides.
struct pair_child pair_child_up(unsigned worker0, unsigned worker1);

// A packet of a side's host to a host of the other side, both 1 to PAIR_HOSTS.
void pair_send(unsigned side, unsigned from, unsigned to);
// Of both sides, all causes but frames for ports with fewer queues.
uint64_t pair_handoffs(void);
uint64_t pair_handoffs_by(unsigned side, enum dp_handoff cause);
uint64_t pair_drops(void);
// Prints what was dropped.
void pair_tell_drops(void);

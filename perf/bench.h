// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The parts of esp_bench: a data plane with a full table of tunnels (bench_gateway.c) between two
// ports of the bench's own (bench_ports.c), packets for it (bench_traffic.c), the library alone
// (bench_bound.c), rounds of both in turn (bench_measure.c), and the answers (bench_json.c).
#pragma once

#include "dataplane/sink.h"
#include "dataplane/worker.h"

#include "base/algs.h"

#include <rte_cycles.h>

#define BENCH_OUTSIDE     0
#define BENCH_INSIDE      1
#define BENCH_ROUND       4096 // packets
#define BENCH_LIST        16   // entries of a list option
#define BENCH_IMIX        0    // as a size: 7 of 64, 4 of 576, 1 of 1500 bytes
#define BENCH_LANES       16
#define BENCH_SAMPLES     16 // packets of a round that OpenSSL looks at
#define BENCH_ROUNDS      21 // where no other number is asked for
#define BENCH_ROUNDS_MIN  7
#define BENCH_ROUNDS_MAX  63
#define BENCH_SIZE_MIN    40
#define BENCH_SIZE_MAX    8900
#define BENCH_TUNNELS_MAX 65000
#define BENCH_PEER_SPI    0xc0000000u // and the tunnel's number

enum bench_direction { BENCH_IN, BENCH_OUT };
enum bench_order { BENCH_RANDOM, BENCH_ROUNDROBIN, BENCH_ZIPF };
// Of a row: void where it is not fine; the values are exit statuses.
enum bench_outcome { BENCH_FINE = 0, BENCH_LOST = 1, BENCH_DOUBTFUL = 3, BENCH_LATE = 4 };
enum bench_mode { BENCH_CYCLES, BENCH_HANDOFF, BENCH_SCALE, BENCH_UPDATES, BENCH_LATENCY };

struct bench_list {
	unsigned v[BENCH_LIST], n;
};

struct bench_options {
	enum bench_mode mode;
	bool json, stages;
	bool direction[2]; // by enum bench_direction
	char *suites[BENCH_LIST];
	unsigned suite_count;
	struct bench_list sizes, tunnels;
	unsigned workers;
	enum bench_order order;
	unsigned rate;    // BENCH_UPDATES: a second
	unsigned rounds;  // measured ones
	unsigned seconds; // that the process may take; 0: as many as it needs
};

// Ends the process with a message where the command line is wrong.
void bench_options_parse(int argc, char **argv, struct bench_options *o);
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern const char *const bench_order_name[];

struct bench_suite {
	const char *name;
	struct proposal_encr encr;
	uint16_t integ;
	uint8_t encr_key_len, integ_key_len;
	uint8_t iv_len, icv_len, align;
};

void bench_suite_parse(const char *name, struct bench_suite *out);

// ---- Tunnels ----

struct bench_tunnel {
	uint32_t id, spi;
	uint64_t seq; // last one of the packets that were made for the inbound side
	uint8_t key[SA_ENCR_KEY_MAX], integ_key[SA_INTEG_KEY_MAX];
};

// What the fake ports hand out and take: one queue a worker and port. A queue has a line of its own.
struct bench_rx {
	struct rte_mbuf **next, **end;
} __attribute__((aligned(64)));

struct bench_tx {
	struct rte_mbuf **at, **end; // NULL: what comes is freed
} __attribute__((aligned(64)));

// A packet as it lies in a lane's store, with its Ethernet header.
struct bench_packet {
	uint32_t at; // in units of 64 bytes
	uint16_t len, inner_len;
	uint32_t tunnel;
	uint32_t hash; // what the NIC would have computed
	uint64_t seq;  // BENCH_IN
};

struct bench_store {
	uint8_t *bytes;
	size_t size;
	struct bench_packet *packets;
	unsigned count; // a multiple of BENCH_ROUND
	enum bench_direction direction;
	uint64_t inner_bytes;
};

struct bench_bound;

// A worker and all that is fed to it.
struct bench_lane {
	struct bench *b;
	unsigned id;
	struct dp_worker *w;
	struct bench_rx rx[2];
	struct bench_tx tx[2];
	struct rte_mbuf *mbufs[BENCH_ROUND], *sent[2 * BENCH_ROUND];
	struct bench_store store;
	struct bench_bound *bound;
	uint32_t *zipf; // cumulated, by the lane's tunnels
	uint64_t random;
	unsigned variant, slice; // of the run
	uint64_t cycles;         // that it took
	uint64_t least_work;     // bench_quiet()
	unsigned sent_count;
	bool disturbed; // others used the core meanwhile
	bool fault;     // packets lost, or not what they should be
};

struct bench {
	struct bench_options o;
	struct bench_suite suite;
	struct cfg cfg;
	struct cfg_port ports[2];
	struct cfg_pool pool;
	struct ip_prefix addresses[2];
	struct ip_addr gateway;
	struct ip_range range;
	struct dp *dp;
	unsigned tunnel_count, lane_count;
	enum bench_direction direction; // of the row under way
	unsigned size;
	uint64_t hurry_ns, late_ns; // when no run is repeated any more; when no row begins
	unsigned left_out;          // rows, for lack of time
	_Atomic unsigned arrived;   // lanes at their meetings so far
	struct bench_tunnel *tunnels;
	struct bench_lane *lanes[BENCH_LANES];
};

// EAL, once. Largest: of the sizes and tunnels that will be asked for.
void bench_eal_start(struct bench *b);
// A data plane with tunnels for one suite, settled; and its end.
void bench_gateway_start(struct bench *b, const struct bench_suite *suite, unsigned tunnels);
void bench_gateway_stop(struct bench *b);
// Control thread and workers until nothing moves; what they send is thrown away.
void bench_settle(struct bench *b);
// Keys, SPI, sequence numbers of a direction, for the oracle and for sa_add().
struct sa_spec bench_spec(const struct bench *b, uint32_t tunnel, enum sa_dir dir);
// A child of the tunnel with new keys, in use from now on.
void bench_child_add(struct bench *b, uint32_t tunnel, struct bench_tunnel *t);
uint64_t bench_lost(struct bench *b); // drops and punts of all workers so far

// The two ports' bursts are the bench's from now on.
void bench_ports_take(struct bench *b);
// The lane's next poll receives these by this port, and keeps what is sent.
void bench_ports_feed(struct bench_lane *l, int port, struct rte_mbuf **m, unsigned n);
void bench_ports_idle(struct bench_lane *l);
unsigned bench_ports_sent(const struct bench_lane *l, int port);

// ---- Traffic ----

uint32_t bench_outer_of(uint32_t tunnel); // the peer's address
uint32_t bench_inner_of(uint32_t tunnel); // the client's
// Packets for a row, in the bench's order; sequence numbers go on where the last ones ended.
void bench_store_fill(struct bench_lane *l, enum bench_direction d, unsigned size, unsigned count);
void bench_store_free(struct bench_lane *l);
static inline const uint8_t *bench_frame(const struct bench_store *s, const struct bench_packet *p)
{
	return s->bytes + (size_t)p->at * 64;
}
// A slice of a store into the lane's mbufs, as a NIC leaves them; and one packet of it.
void bench_write(struct bench_lane *l, const struct bench_lane *from, unsigned slice);
void bench_write_one(
	const struct bench_lane *from, struct rte_mbuf *m, const struct bench_packet *k);
// What the gateway sent is one of the slice's packets, as OpenSSL has it.
bool bench_sample_right(const struct bench_lane *l, unsigned slice, struct rte_mbuf *m);

// ---- The library alone ----

#define BENCH_DISTANCES 4

struct bench_bound *bench_bound_new(const struct bench_lane *l);
void bench_bound_free(struct bench_bound *x);
// In bench_write()'s place: each packet is made ready as soon as it is in its mbuf, so that its lines are
// in the cache that they are in for the gateway. copy: of the keys, below BENCH_DISTANCES. one_key: the
// first tunnel's for all.
void bench_bound_write(struct bench_lane *l, unsigned slice, unsigned copy, bool one_key);
// The packets through the library, prefetching that many packets ahead; cycles.
uint64_t bench_bound_run(struct bench_lane *l, unsigned distance);
// After a run: what was sealed, or opened, is what OpenSSL says.
bool bench_bound_right(const struct bench_lane *l, unsigned slice);
extern const unsigned bench_distances[BENCH_DISTANCES];

// ---- Rows ----

struct bench_stage {
	const char *name;
	double cycles;
};

struct bench_row {
	enum bench_direction direction;
	const char *suite;
	unsigned size, tunnels, workers;
	enum bench_order order;
	double gateway, bound; // cycles a packet
	double one_key;        // the bound with one key, 0: not measured
	double one_key_share;  // of the bound with many
	double mpps, gbps;
	double disturbed; // share of the runs
	struct bench_stage stages[DP_STAGES];
	unsigned stage_count;
};

bool bench_hurries(const struct bench *b); // its time runs out: nothing is repeated
// Not fine: the row is void, and stderr says why.
MUST_USE enum bench_outcome bench_measure(struct bench *b, struct bench_row *row);
// The core does a fixed piece of work as fast as it ever did on this lane.
bool bench_quiet(struct bench_lane *l);
double bench_median(double *values, unsigned n); // sorts

// A packet through each inbound SA: its first one is reported, which no later one is.
void bench_introduce(struct bench *b);
// On all lanes at once: lane 0 on this thread, the others on their lcores; returns when all have.
void bench_on_all(struct bench *b, int (*f)(void *));
// Until all lanes are here.
void bench_meet(struct bench *b);

// ---- Other things than cycles: each prints its own results ----

MUST_USE enum bench_outcome bench_handoff(struct bench *b);
MUST_USE enum bench_outcome bench_scale(struct bench *b);
MUST_USE enum bench_outcome bench_updates(struct bench *b);
MUST_USE enum bench_outcome bench_latency(struct bench *b);

// Libraries and machine, as one JSON object.
void bench_about(void);
void bench_json_begin(void);
// A size as in the options, between these quotes where it is a word.
const char *bench_size_text(unsigned size, const char *quote, char buf[static 16]);
// The keys that all objects begin with; the caller goes on with its own and "}".
void bench_json_head(const struct bench *b);
void bench_json_row(const struct bench_row *r);
void bench_json_end(void);
void bench_text_row(const struct bench_row *r);

static inline uint32_t bench_draw(uint64_t *state, uint32_t n)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)((*state >> 32) * n >> 32);
}

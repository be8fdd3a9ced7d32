// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A bench for IKE engines: several in one process, on a wire in memory that can lose, repeat,
// reorder, delay, capture and mangle; a clock that only the bench moves; randomness from a seed
// that is printed; real pools; and a data plane that records, and fails the test where the
// contract of sa_msg.h is broken (double add, switch before install, reply before install, ...).
//
//	struct bench *b = bench_new();
//	struct bench_node *gw = bench_add(b, "gw", "192.0.2.1", GW_CONFIG);
//	struct bench_node *c = bench_add(b, "c", "198.51.100.2", CLIENT_CONFIG);
//	uint64_t id = bench_connect(c, gw, "home");
//	assert_true(bench_run_until(b, bench_established, c, 5000));
//	bench_expect(gw, "ike_established", 1);
//	bench_free(b); // everything must have been given back
//
// All failures are cmocka's: the bench runs inside a test.
#pragma once

#include "controlplane/engine.h"
#include "controlplane/session.h"
#include "tests/cmocka_all.h"

#define BENCH_WORKERS 2
#define BENCH_LATENCY (1 * NS_PER_MS)

struct bench;

// ---- the recording data plane (bench_sink.c) ----

struct bench_sa {
	LIST_ENTRY(bench_sa) link;
	struct htab_node node;
	struct sa_spec spec;
	bool installed; // SA_EVENT_INSTALLED was delivered
	bool switched;  // SA_OUT
	uint64_t order; // of switching
	bool used;      // SA_IN: had a packet
	struct sa_counters counters;
};

struct bench_tunnel {
	LIST_ENTRY(bench_tunnel) link;
	struct htab_node node;
	uint32_t id;
	struct tunnel_spec spec;
	uint64_t family;
	struct ip_prefix routes[256];
	unsigned route_count, moves;
};

struct bench_event {
	STAILQ_ENTRY(bench_event) link;
	uint64_t due_ns;
	struct sa_event ev;
};

struct bench_spi {
	struct htab_node node;
	uint32_t spi;
	uint16_t worker;
	bool added;
};

struct bench_route {
	struct htab_node node;
	struct ip_prefix dst;
	uint32_t tunnel;
};

struct bench_ike_spi {
	struct htab_node node;
	uint64_t spi;
};

struct bench_sink {
	struct sa_sink sink;
	struct bench_node *node;
	LIST_HEAD(, bench_sa) sas;
	LIST_HEAD(, bench_tunnel) tunnels;
	STAILQ_HEAD(, bench_event) events;
	struct htab sa_table, tunnel_table, spis, routes;
	struct htab ike_spis; // known ones
	uint32_t next_tunnel, next_spi;
	uint64_t next_order;
	// The test's: how the data plane behaves
	uint64_t install_delay_ns; // until SA_EVENT_INSTALLED
	bool hold_installs;        // they never come
	bool congested;
	int fail_spi, fail_add, fail_route; // so many next calls fail
	// What happened
	unsigned adds, dels, switches, tunnel_count, moves;
};

// ---- a machine ----

struct bench_node {
	struct bench *bench;
	const char *name;
	struct ip_addr addr;
	struct ip_addr others[4]; // more addresses, bench_address_add()
	unsigned other_count;
	struct cfg *cfg;
	bool shared; // cfg is the caller's; no credentials
	struct pools *pools;
	struct address_source addresses;
	const struct lease_journal *journal; // the pools'; NULL: none. The caller's
	struct ike_credentials *credentials;
	struct clock_source clock;
	struct ike_engine *engine; // NULL after bench_kill()
	struct bench_sink sink;
	// The test's: how jobs behave
	uint64_t job_delay_ns;
	bool hold_jobs; // they never come back while this is set
	int fail_jobs;  // so many next submissions find no room
	STAILQ_HEAD(, bench_job) jobs;
	uint32_t jobs_run;
	struct sa_origin origin; // of datagrams that arrive here
	uint64_t sent, sent_bytes;
	bool deaf; // everything to it is lost
};

// ---- the wire ----

struct bench_packet {
	STAILQ_ENTRY(bench_packet) link;
	uint64_t due_ns;
	uint64_t number; // 1, 2, ... of all packets
	uint32_t esp;    // an inner packet under this SPI, without bytes; 0: a datagram of IKE
	struct endpoint from, to;
	size_t len;
	uint8_t bytes[DATAGRAM_MAX];
};

enum bench_fate {
	BENCH_PASS,
	BENCH_DROP,
	BENCH_DOUBLE, // twice
	BENCH_DELAY,  // by 2 s
};

// Sees every packet as it is sent and may change it.
typedef enum bench_fate (*bench_filter)(struct bench *b, struct bench_packet *p, void *arg);

// A NAT: what the node inside sends leaves with another address and port.
struct bench_nat {
	struct ip_addr inside, outside;
	uint16_t ports[16][2]; // inside, outside
	unsigned port_count;
	uint16_t next_port;
};

// An inner packet each way between two nodes at every moment at which something happens, and at the
// last one before: as the data plane would, by the sender's routes, selectors and newest outbound SA
// in use. Lost: it finds none, nobody has its SPI when it arrives, or its source does not lead back.
struct bench_traffic {
	struct bench_node *node[2];
	struct ip_addr inner[2];
	bool silent; // only looks whether it would arrive: no event, no counter
	uint64_t sent, lost;
	uint64_t lost_ns;   // the first one was sent
	uint32_t lost_spi;  // under this SPI; 0: without one
	unsigned lost_from; // by this node
};

#define BENCH_NODES_MAX 8

struct bench {
	LIST_ENTRY(bench) live;
	uint64_t seed, random, now_ns;
	struct clock_source clock;
	struct random_source random_source;
	struct bench_node *nodes[BENCH_NODES_MAX];
	unsigned node_count;
	STAILQ_HEAD(, bench_packet) packets;
	uint64_t packet_count;
	struct {
		bench_filter fn;
		void *arg;
	} filters[8];
	unsigned filter_count;
	struct bench_nat nats[4];
	unsigned nat_count;
	unsigned loss, repeat, reorder; // in percent
	struct bench_traffic traffic;
	bool stirred;                    // something has happened since the last inner packets
	bool allow_reply_before_install; // where exchanges of both sides cross the check is too coarse
	struct bench_packet *last;       // copy of the last packet sent
	uint64_t keep_number;            // the packet with this number is kept
	struct bench_packet *kept;
};

// Seeded from the environment's BENCH_SEED, or from a fixed number; printed when a test fails
// (bench_teardown).
struct bench *bench_new(void);
struct bench *bench_new_seeded(uint64_t seed);
// After a test that failed, and so left its benches behind: prints their seeds. Every test that is
// listed with cmocka_unit_test() ends with it.
int bench_teardown(void **state);
#undef cmocka_unit_test
#define cmocka_unit_test(f) cmocka_unit_test_teardown(f, bench_teardown)
// Ends all engines and checks that SAs, tunnels, SPIs and leases were given back.
void bench_free(struct bench *b);

// A machine with this address. config: pools, credentials, connections and optionally main (else
// BENCH_MAIN is put in front); ports are added.
struct bench_node *bench_add(
	struct bench *b, const char *name, const char *addr, const char *config);
// The same with a configuration that the caller keeps.
struct cfg *bench_config(const char *config);
struct bench_node *bench_add_shared(
	struct bench *b, const char *name, const char *addr, struct cfg *cfg);
#define BENCH_MAIN "main: { half_open_timeout_s = 30; };\n"
// Its process dies without a word and starts again with the same configuration.
void bench_kill(struct bench_node *n);
void bench_start(struct bench_node *n);

// Starts an IKE SA from port 500; the session's id. _from: from and to these ports.
uint64_t bench_connect(struct bench_node *from, struct bench_node *to, const char *connection);
uint64_t bench_connect_from(struct bench_node *from, struct bench_node *to, const char *connection,
	uint16_t local_port, uint16_t remote_port);

// Time. Everything due happens in order.
void bench_run(struct bench *b, uint64_t ms);
void bench_settle(struct bench *b); // what is due at this very moment
typedef bool (*bench_condition)(void *arg);
// False: it did not come true within so many ms.
bool bench_run_until(struct bench *b, bench_condition done, void *arg, uint64_t max_ms);
uint64_t bench_now_ms(const struct bench *b);

// Conditions; arg is a struct bench_node.
bool bench_established(void *node); // it has an established session
bool bench_empty(void *node);       // no IKE SA, no session, no SA in the data plane
bool bench_quiet(void *node);       // no exchange of its own under way

// The wire
void bench_filter_add(struct bench *b, bench_filter fn, void *arg);
void bench_filters_clear(struct bench *b);
void bench_lossy(struct bench *b, unsigned loss, unsigned repeat, unsigned reorder); // percent
void bench_nat_add(struct bench *b, const char *inside, const char *outside);
// The NAT forgets: the next packets get other ports.
void bench_nat_forget(struct bench *b);
// A datagram by hand, now.
void bench_inject(struct bench *b, const struct endpoint *from, const struct endpoint *to,
	const void *bytes, size_t len);
// One more address of its own, on its outside port.
void bench_address_add(struct bench_node *n, const char *addr);
struct bench_node *bench_node_at(struct bench *b, const struct ip_addr *addr);
struct endpoint bench_at(const char *addr, uint16_t port);
// A copy of packet number n of all packets to come (1: the next one) is kept in b->kept, and sent
// again by bench_replay().
void bench_keep(struct bench *b, uint64_t n);
void bench_replay(struct bench *b);
// Header fields of a packet.
struct ike_header bench_header(const struct bench_packet *p);

// A message of n's IKE SA with these payloads, sealed with its real keys, whatever its state.
void bench_send_sealed(struct bench_node *n, struct ike_sa *sa, uint8_t exchange,
	uint32_t message_id, bool is_response, const struct wire_builder *payloads);

// A gateway "gw" (192.0.2.1) and a client (198.51.100.2) whose connection is "home".
struct bench_pair {
	struct bench *b;
	struct bench_node *gw, *client;
	struct ike_sa *gw_sa, *client_sa; // after bench_pair_up()
};
struct bench_pair bench_pair_new(const char *gw, const char *client);
void bench_pair_up(struct bench_pair *p); // established, or the test fails

// Counters by name ("ike_decrypt"); an unknown name fails the test.
uint64_t bench_counter(const struct bench_node *n, const char *name);
void bench_expect_at(
	const struct bench_node *n, const char *name, uint64_t value, const char *file, int line);
#define bench_expect(n, name, value) bench_expect_at(n, name, value, __FILE__, __LINE__)

// The first (by id) or the only session of a node; fails the test where there is none.
struct ike_session_info bench_session(struct bench_node *n);
size_t bench_session_count(struct bench_node *n);
// The IKE SA of a session.
struct ike_sa *bench_sa_of(struct bench_node *n, uint64_t session);

// One inner packet from a to b: the newest outbound SA of a whose selectors match, and b's inbound
// SA of that SPI: same keys, suite and fitting selectors, else false. Reports FIRST_IN.
bool bench_traffic(struct bench_node *a, struct bench_node *b, const char *src, const char *dst);

// bench_traffic.c: between a's and b's addresses from now on; forgets what was counted before. a NULL:
// no more.
void bench_traffic_watch(struct bench *b, struct bench_node *a, const char *a_inner,
	struct bench_node *c, const char *c_inner);
void bench_traffic_send(struct bench *b); // one packet each way, now
void bench_traffic_arrive(struct bench *b, const struct bench_packet *p);
// Whether one of the packets due now is an inbound SA's first.
bool bench_traffic_first(struct bench *b);
// On the wire, without filters, losses and NATs.
void bench_enqueue(struct bench *b, const struct bench_packet *p, uint64_t due_ns);

// bench_sink.c
bool bench_sink_matches(
	const struct bench_sa *sa, const struct ip_addr *local, const struct ip_addr *remote);
// The tunnel that the routes name: the longest prefix wins. TUNNEL_NONE: there is none.
uint32_t bench_sink_route(const struct bench_sink *s, const struct ip_addr *dst);
// tunnel_spec.reverse_path of a packet from remote by this SA.
bool bench_sink_leads_back(
	struct bench_sink *s, const struct bench_sa *in, const struct ip_addr *remote);
bool bench_sink_fit(const struct sa_spec *in, const struct sa_spec *out); // same suite and keys
void bench_sink_received(struct bench_sink *s, struct bench_sa *in);      // one packet
void bench_sink_init(struct bench_sink *s, struct bench_node *n);
void bench_sink_fini(struct bench_sink *s, bool check);
bool bench_sink_deliver(struct bench_sink *s); // one event that is due; false: none
uint64_t bench_sink_next(const struct bench_sink *s);
void bench_sink_event(struct bench_sink *s, const struct sa_event *ev);
struct bench_sa *bench_sink_find(struct bench_sink *s, uint32_t child, enum sa_dir dir);
void bench_sink_check_reply(struct bench_sink *s, const struct endpoint *to);
bool bench_sink_knows(struct bench_sink *s, uint64_t ike_spi);
// Its SPI is known exactly if it is established or ours to initiate.
void bench_sink_check_spi(struct bench_sink *s, const struct ike_sa *sa);

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A data plane for tests: an outside and an inside port of the fakes' NIC, workers that the test
// steps itself, everything that the control thread would see recorded.
//
//   peer 198.51.100.7 --- 192.0.2.254 --- [192.0.2.1  gateway  10.99.0.1] --- host 10.99.0.5
//   its inner address 10.1.0.2 (pool 10.1.0.0/16)
#pragma once

#include "dataplane/sink.h"
#include "tests/fakes/nic.h"

#define FX_EVENTS  4096
#define FX_IKE     64
#define FX_OUTSIDE 0
#define FX_INSIDE  1
#define FX_PORTS   6  // the fixture's two, and what fx_prepare() adds
#define FX_MAX_SAS 64 // sessions that the tables are made for

struct fx {
	struct cfg cfg;
	struct cfg_port ports[FX_PORTS];
	struct cfg_pool pool[2];
	struct dp *dp;
	struct nic *nic[2];
	struct sa_event events[FX_EVENTS];
	unsigned event_count;
	unsigned ike_count;
	uint64_t ike_spi_r[FX_IKE]; // of the first so many datagrams, by ike_count
	uint64_t now_ns;
	uint64_t eal_bytes; // of DPDK's memory, what the start took
	unsigned
		owner; // the worker that has what a test gives to worker 0: 1 where fx_start() says so
};

extern struct fx fx;
extern uint16_t fx_mtu; // of both ports, for the starts that follow; 1500

// Where a test changes the configuration before it is used; NULL: as it is.
extern void (*fx_prepare)(void);

// EAL, once in a process.
void fx_eal(void);
// With so many workers; the NICs spread as told. Where FX_WORKERS=2 is in the environment one worker becomes
// two: tunnels of worker 0 are the second one's, and what the first one gets by its NIC is handed over.
void fx_start(unsigned workers, enum nic_hash outside, enum nic_hash inside);
void fx_stop(void);
// Every worker polls, then the control thread, until nothing moves.
void fx_run(void);
// One poll of one worker; where worker 0's tunnels are another's, then one of that.
void fx_step(unsigned worker);
uint64_t fx_drops(enum dp_drop why);
// The last event of this type, or NULL.
const struct sa_event *fx_event(enum sa_event_type type);
unsigned fx_event_count(enum sa_event_type type);

struct ip_addr fx_ip(const char *text);
struct ip_prefix fx_prefix(const char *text);

// A tunnel of that worker for the inner address, with encapsulation if a port is given.
uint32_t fx_tunnel(unsigned worker, const char *inner, const char *peer, uint16_t peer_port);
uint32_t fx_tunnel_on(unsigned worker, const char *inner, const struct tunnel_path *path);
uint32_t fx_tunnel_of(const struct tunnel_spec *spec, const char *inner);
struct tunnel_path fx_path(const char *peer, uint16_t peer_port);
// Port 500, ESP behind a marker.
struct tunnel_path fx_path_marked(const char *peer, uint16_t peer_port);
// A spec with random keys of the suite, 10.99.0.0/24 === inner.
struct sa_spec fx_spec(uint32_t tunnel, enum sa_dir dir, uint16_t encr, uint16_t bits,
	uint16_t integ, const char *inner);
// Both directions of a child, switched. The peer's SPI is 0xc0ffee01.
void fx_child(uint32_t tunnel, unsigned worker, uint16_t encr, uint16_t bits, uint16_t integ,
	const char *inner, struct sa_spec *in, struct sa_spec *out);
#define FX_PEER_SPI 0xc0ffee01u

// Packets. Return bytes written.
size_t fx_ipv4(uint8_t *buf, const char *src, const char *dst, uint8_t proto, size_t payload);
// With DF set: not to be fragmented.
size_t fx_ipv4_df(uint8_t *buf, const char *src, const char *dst, uint8_t proto, size_t payload);
size_t fx_ipv6(uint8_t *buf, const char *src, const char *dst, uint8_t proto, size_t payload);
// Ethernet header for one of our ports in front of an IP packet, and into the NIC.
void fx_input(int port, const uint8_t *packet, size_t len);
// The same frame in buffers of the worker's pool, so many bytes in each (0: all in one), the first of
// which begins at that offset.
void fx_input_parts(int port, const uint8_t *packet, size_t len, size_t each, uint16_t offset);
// Outer IPv4 (and UDP) around ESP, from peer, into the outside port.
void fx_input_esp(
	const char *peer, uint16_t peer_port, uint8_t tos, const uint8_t *esp, size_t len);
// UDP to port 500; the same with ESP behind a marker.
void fx_input_500(const char *peer, uint16_t peer_port, const uint8_t *payload, size_t len);
void fx_input_marked(const char *peer, uint16_t peer_port, const uint8_t *esp, size_t len);
// The IP packet of the next frame that a port sent; 0: none.
size_t fx_output(int port, uint8_t *buf, size_t cap);
// The checksum of the UDP header at that offset, with ESP behind it: RFC 3948 2.1: zero over IPv4;
// RFC 8200 8.1: "not optional" over IPv6. len: of the whole packet.
void fx_udp_sum_ok(const uint8_t *packet, size_t udp, size_t len);

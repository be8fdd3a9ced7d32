// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/dataplane/fixture.h"

#include "base/log.h"
#include "dataplane/eal.h"
#include "tests/cmocka_all.h"

#include <rte_malloc.h>

#include <stdio.h>
#include <stdlib.h>

struct fx fx;
uint16_t fx_mtu = 1500;
void (*fx_prepare)(void);
static bool handed_over; // FX_WORKERS

static const uint8_t mac_outside[6] = {2, 0, 0, 0, 1, 1}, mac_inside[6] = {2, 0, 0, 0, 2, 1};
static const uint8_t mac_peer[6] = {2, 0, 0, 0, 9, 9};

// ---- Text ----

struct ip_addr fx_ip(const char *text)
{
	struct ip_addr a;
	assert_int_equal(ip_parse(text, &a), 0);
	return a;
}

struct ip_prefix fx_prefix(const char *text)
{
	struct ip_prefix p;
	assert_int_equal(ip_prefix_parse(text, true, &p), 0);
	return p;
}

static struct ip_range range(const char *text)
{
	struct ip_range r;
	assert_int_equal(ip_range_parse(text, &r), 0);
	return r;
}

// ---- Life ----

static uint64_t fake_now(void *ctx)
{
	(void)ctx;
	return fx.now_ns;
}

static const struct clock_source fake_clock = {.now_ns = fake_now};

static void on_ike(void *ctx, const struct ike_datagram *d)
{
	(void)ctx;
	if (fx.ike_count < FX_IKE && d->bytes.len >= 16)
		fx.ike_spi_r[fx.ike_count] = get_be64(d->bytes.p + 8);
	fx.ike_count++;
}

static void on_event(void *ctx, const struct sa_event *ev)
{
	(void)ctx;
	assert_true(fx.event_count < FX_EVENTS);
	fx.events[fx.event_count++] = *ev;
}

void fx_eal(void)
{
	static struct cfg c = {
		.main = {.worker_count = 4,
			.hugepages = CFG_HUGEPAGES_OFF,
			.memory_mb = 512,
			.run_dir = (char *)(uintptr_t) "/run/sallyport-test"},
	};
	for (unsigned i = 0; i < 4; i++)
		c.main.workers[i] = 0;
	const char *more = getenv("FX_WORKERS");
	handed_over = more && atoi(more) == 2;
	log_set_level(LOG_WARNING);
	assert_int_equal(dp_eal_start(&c), 0);
}

static void port_cfg(int i, const char *name, enum cfg_role role, const uint8_t *mac,
	const char *v4, const char *v6)
{
	static struct ip_prefix addresses[2][2];
	addresses[i][0] = fx_prefix(v4);
	addresses[i][1] = fx_prefix(v6);
	fx.ports[i] = (struct cfg_port){
		.name = (char *)(uintptr_t)name,
		.role = role,
		.device = (char *)(uintptr_t)nic_device(fx.nic[i]),
		.mac_set = true,
		.addresses = addresses[i],
		.address_count = 2,
		.mtu = fx_mtu,
		.rx_descriptors = 512,
		.tx_descriptors = 512,
	};
	memcpy(fx.ports[i].mac, mac, 6);
}

static void configure(unsigned workers)
{
	static struct ip_addr gateways[2];
	static struct ip_range ranges[2];
	gateways[0] = fx_ip("192.0.2.254");
	gateways[1] = fx_ip("2001:db8:1::fe");
	ranges[0] = range("10.1.0.0/16");
	ranges[1] = range("2001:db8:77::/48");
	port_cfg(0, "outside", CFG_OUTSIDE, mac_outside, "192.0.2.1/24", "2001:db8:1::1/64");
	port_cfg(1, "inside", CFG_INSIDE, mac_inside, "10.99.0.1/24", "2001:db8:99::1/64");
	fx.ports[0].gateways = gateways;
	fx.ports[0].gateway_count = 2;
	for (int i = 0; i < 2; i++)
		fx.pool[i] = (struct cfg_pool){
			.name = (char *)(uintptr_t) "p", .ranges = &ranges[i], .range_count = 1};
	fx.cfg = (struct cfg){
		.main = {.worker_count = (uint16_t)workers, .max_sessions = FX_MAX_SAS},
		.ports = fx.ports,
		.port_count = 2,
		.pools = fx.pool,
		.pool_count = 2,
	};
	if (fx_prepare)
		fx_prepare();
}

static void neigh(uint16_t port, const char *addr)
{
	struct dp_neigh n = {.addr = fx_ip(addr), .port = port, .valid = true};
	memcpy(n.mac.addr_bytes, mac_peer, 6);
	dp_neigh_publish(fx.dp, &n);
}

static uint64_t eal_taken(void)
{
	struct rte_malloc_socket_stats s;
	uint64_t sum = 0;
	for (int i = 0; i < (int)rte_socket_count(); i++)
		if (rte_malloc_get_socket_stats(rte_socket_id_by_idx((unsigned)i), &s) == 0)
			sum += s.heap_allocsz_bytes;
	return sum;
}

void fx_start(unsigned workers, enum nic_hash outside, enum nic_hash inside)
{
	static unsigned serial;
	char name[32];
	memset(&fx, 0, sizeof(fx));
	fx.now_ns = 1000 * NS_PER_S;
	if (workers == 1 && handed_over)
		workers = 2, fx.owner = 1;
	for (int i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "fx%u_%d", serial, i);
		fx.nic[i] = nic_new(name, workers, i ? inside : outside, sizeof(struct dp_meta));
		assert_non_null(fx.nic[i]);
	}
	serial++;
	configure(workers);
	struct dp_seams seams = {.ike_input = on_ike,
		.sa_event = on_event,
		.clock = &fake_clock,
		.random = &random_system};
	uint64_t before = eal_taken();
	assert_int_equal(dp_new(&fx.cfg, &seams, &fx.dp), 0);
	fx.eal_bytes = eal_taken() - before;
	for (int i = 0; i < 2; i++)
		nic_describe(fx.nic[i], &fx.dp->ports[i]);
	neigh(FX_OUTSIDE, "192.0.2.254");
	neigh(FX_OUTSIDE, "2001:db8:1::fe");
	neigh(FX_INSIDE, "10.99.0.5");
	neigh(FX_INSIDE, "2001:db8:99::5");
	fx_run();
}

void fx_stop(void)
{
	uint8_t buf[2048];
	for (int i = 0; i < 2; i++)
		while (fx_output(i, buf, sizeof(buf)))
			;
	dp_free(fx.dp);
	fx.dp = NULL;
	for (int i = 0; i < 2; i++)
		nic_free(fx.nic[i]);
}

void fx_step(unsigned worker)
{
	dp_worker_poll_once(fx.dp->workers[worker]);
	if (worker == 0 && fx.owner)
		dp_worker_poll_once(fx.dp->workers[fx.owner]);
}

static uint16_t owner_of(unsigned worker)
{
	return (uint16_t)(worker == 0 ? fx.owner : worker);
}

void fx_run(void)
{
	unsigned moved;
	do {
		moved = 0;
		for (unsigned i = 0; i < fx.dp->worker_count; i++)
			moved += dp_worker_poll_once(fx.dp->workers[i]);
		moved += dp_poll(fx.dp, fx.now_ns);
	} while (moved);
}

uint64_t fx_drops(enum dp_drop why)
{
	uint64_t n = fx.dp->drops[why];
	for (unsigned i = 0; i < fx.dp->worker_count; i++)
		n += dp_get(&fx.dp->workers[i]->stats.drops[why]);
	return n;
}

const struct sa_event *fx_event(enum sa_event_type type)
{
	for (unsigned i = fx.event_count; i-- > 0;)
		if (fx.events[i].type == type)
			return &fx.events[i];
	return NULL;
}

unsigned fx_event_count(enum sa_event_type type)
{
	unsigned n = 0;
	for (unsigned i = 0; i < fx.event_count; i++)
		n += fx.events[i].type == type;
	return n;
}

// ---- Tunnels and SAs ----

struct tunnel_path fx_path(const char *peer, uint16_t peer_port)
{
	struct ip_addr remote = fx_ip(peer);
	struct ip_addr local = fx_ip(remote.family == IP_V4 ? "192.0.2.1" : "2001:db8:1::1");
	return (struct tunnel_path){.local = {local, 4500},
		.remote = {remote, peer_port},
		.encap = peer_port ? SA_ENCAP_UDP : SA_ENCAP_NONE,
		.port = FX_OUTSIDE};
}

struct tunnel_path fx_path_marked(const char *peer, uint16_t peer_port)
{
	struct tunnel_path path = fx_path(peer, peer_port);
	path.local.port = 500;
	path.encap = SA_ENCAP_UDP_MARKER;
	return path;
}

uint32_t fx_tunnel_of(const struct tunnel_spec *spec, const char *inner)
{
	const struct sa_sink *s = &fx.dp->sa_sink;
	struct ip_prefix dst = fx_prefix(inner);
	struct tunnel_spec owned = *spec;
	uint32_t t;
	owned.worker = owner_of(spec->worker);
	assert_int_equal(s->tunnel_add(s->ctx, &owned, &t), 0);
	assert_int_equal(s->route_add(s->ctx, t, &dst), 0);
	return t;
}

uint32_t fx_tunnel_on(unsigned worker, const char *inner, const struct tunnel_path *path)
{
	struct tunnel_spec spec = {.worker = (uint16_t)worker, .path = *path, .session = 77};
	return fx_tunnel_of(&spec, inner);
}

uint32_t fx_tunnel(unsigned worker, const char *inner, const char *peer, uint16_t peer_port)
{
	struct tunnel_path path = fx_path(peer, peer_port);
	return fx_tunnel_on(worker, inner, &path);
}

struct sa_spec fx_spec(uint32_t tunnel, enum sa_dir dir, uint16_t encr, uint16_t bits,
	uint16_t integ, const char *inner)
{
	const struct alg_encr *e = alg_encr(encr, bits);
	const struct alg_integ *a = integ ? alg_integ(integ) : NULL;
	struct ip_range remote = range(inner);
	struct ip_range local =
		range(remote.lo.family == IP_V4 ? "10.99.0.0/24" : "2001:db8:99::/64");
	struct sa_spec s = {.tunnel = tunnel,
		.dir = dir,
		.encr = {encr, bits},
		.integ = integ,
		.replay_window = 64,
		.ts_local = {selector_of_range(&local)},
		.ts_remote = {selector_of_range(&remote)},
		.ts_local_count = 1,
		.ts_remote_count = 1};
	s.encr_key_len = e ? (uint8_t)(e->key_len + e->salt_len) : 0;
	s.integ_key_len = a ? a->key_len : 0;
	random_fill(&random_system, s.encr_key, s.encr_key_len);
	random_fill(&random_system, s.integ_key, s.integ_key_len);
	return s;
}

void fx_child(uint32_t tunnel, unsigned worker, uint16_t encr, uint16_t bits, uint16_t integ,
	const char *inner, struct sa_spec *in, struct sa_spec *out)
{
	const struct sa_sink *s = &fx.dp->sa_sink;
	struct tunnel_path path = fx_path("198.51.100.7", 0);
	uint32_t spi;
	assert_int_equal(s->spi_reserve(s->ctx, owner_of(worker), &path, &spi), 0);
	*in = fx_spec(tunnel, SA_IN, encr, bits, integ, inner);
	*out = fx_spec(tunnel, SA_OUT, encr, bits, integ, inner);
	in->child = in->spi = spi;
	out->child = spi;
	out->spi = FX_PEER_SPI;
	assert_int_equal(s->sa_add(s->ctx, in), 0);
	assert_int_equal(s->sa_add(s->ctx, out), 0);
	s->sa_switch(s->ctx, spi);
	fx_run();
}

// ---- Packets ----

static void fill(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + 3);
}

size_t fx_ipv4(uint8_t *buf, const char *src, const char *dst, uint8_t proto, size_t payload)
{
	struct ip_addr s = fx_ip(src), d = fx_ip(dst);
	memset(buf, 0, IP4_HDR);
	buf[0] = 0x45;
	set_be16(buf + 2, (uint16_t)(IP4_HDR + payload));
	buf[8] = 64;
	buf[9] = proto;
	memcpy(buf + 12, s.bytes, 4);
	memcpy(buf + 16, d.bytes, 4);
	set_be16(buf + 10, (uint16_t)~ip_fold(ip_sum(buf, IP4_HDR)));
	fill(buf + IP4_HDR, payload);
	return IP4_HDR + payload;
}

size_t fx_ipv4_df(uint8_t *buf, const char *src, const char *dst, uint8_t proto, size_t payload)
{
	size_t n = fx_ipv4(buf, src, dst, proto, payload);
	buf[6] = 0x40;
	set_be16(buf + 10, 0);
	set_be16(buf + 10, (uint16_t)~ip_fold(ip_sum(buf, IP4_HDR)));
	return n;
}

size_t fx_ipv6(uint8_t *buf, const char *src, const char *dst, uint8_t proto, size_t payload)
{
	struct ip_addr s = fx_ip(src), d = fx_ip(dst);
	memset(buf, 0, IP6_HDR);
	buf[0] = 0x60;
	set_be16(buf + 4, (uint16_t)payload);
	buf[6] = proto;
	buf[7] = 64;
	memcpy(buf + 8, s.bytes, 16);
	memcpy(buf + 24, d.bytes, 16);
	fill(buf + IP6_HDR, payload);
	return IP6_HDR + payload;
}

static size_t frame_of(int port, const uint8_t *packet, size_t len, uint8_t frame[static 16384])
{
	assert_true(len + 14 <= 16384);
	memcpy(frame, port == FX_OUTSIDE ? mac_outside : mac_inside, 6);
	memcpy(frame + 6, mac_peer, 6);
	bool v6 = len > 0 && packet[0] >> 4 == 6;
	set_be16(frame + 12, v6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
	memcpy(frame + 14, packet, len);
	return len + 14;
}

void fx_input(int port, const uint8_t *packet, size_t len)
{
	uint8_t frame[16384];
	assert_true(nic_input(fx.nic[port], frame, frame_of(port, packet, len, frame)) >= 0);
}

static struct rte_mbuf *worker_mbuf(void)
{
	for (size_t i = 0; i < RTE_DIM(fx.dp->rx_pool); i++)
		if (fx.dp->rx_pool[i])
			return rte_pktmbuf_alloc(fx.dp->rx_pool[i]);
	return NULL;
}

void fx_input_parts(int port, const uint8_t *packet, size_t len, size_t each, uint16_t offset)
{
	uint8_t frame[16384];
	struct rte_mbuf *head = NULL;
	size_t all = frame_of(port, packet, len, frame);
	each = each ? each : all;
	for (size_t at = 0; at < all; at += each) {
		struct rte_mbuf *m = worker_mbuf();
		size_t n = RTE_MIN(each, all - at);
		assert_non_null(m);
		if (!head)
			m->data_off = offset;
		memcpy(rte_pktmbuf_append(m, (uint16_t)n), frame + at, n);
		if (head)
			assert_int_equal(rte_pktmbuf_chain(head, m), 0);
		else
			head = m;
	}
	assert_true(nic_input_mbuf(fx.nic[port], head) >= 0);
}

static void input_outer(const char *peer, uint16_t peer_port, uint16_t our_port, uint8_t tos,
	const uint8_t *esp, size_t len)
{
	uint8_t p[16384];
	size_t udp = peer_port ? UDP_HDR : 0, at;
	if (strchr(peer, ':'))
		at = fx_ipv6(p, peer, "2001:db8:1::1", udp ? PROTO_UDP : PROTO_ESP, len + udp);
	else
		at = fx_ipv4(p, peer, "192.0.2.1", udp ? PROTO_UDP : PROTO_ESP, len + udp);
	size_t total = at;
	at -= len + udp;
	if (at == IP6_HDR) {
		p[0] = (uint8_t)(0x60 | tos >> 4);
		p[1] = (uint8_t)(tos << 4);
	} else {
		p[1] = tos;
		set_be16(p + 10, 0);
		set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, IP4_HDR)));
	}
	if (udp) {
		set_be16(p + at, peer_port);
		set_be16(p + at + 2, our_port);
		set_be16(p + at + 4, (uint16_t)(len + UDP_HDR));
		set_be16(p + at + 6, 0);
	}
	memcpy(p + at + udp, esp, len);
	fx_input(FX_OUTSIDE, p, total);
}

void fx_input_esp(const char *peer, uint16_t peer_port, uint8_t tos, const uint8_t *esp, size_t len)
{
	input_outer(peer, peer_port, 4500, tos, esp, len);
}

void fx_input_500(const char *peer, uint16_t peer_port, const uint8_t *payload, size_t len)
{
	input_outer(peer, peer_port, 500, 0, payload, len);
}

void fx_input_marked(const char *peer, uint16_t peer_port, const uint8_t *esp, size_t len)
{
	uint8_t p[16384] = {0};
	assert_true(len + NON_IKE_MARKER <= sizeof(p));
	memcpy(p + NON_IKE_MARKER, esp, len);
	fx_input_500(peer, peer_port, p, len + NON_IKE_MARKER);
}

// RFC 4861 4: types 133 to 137.
static bool is_nd(const uint8_t *p, size_t len)
{
	return len > IP6_HDR && p[6] == PROTO_ICMP6 && p[IP6_HDR] >= 133 && p[IP6_HDR] <= 137;
}

size_t fx_output(int port, uint8_t *buf, size_t cap)
{
	struct rte_mbuf *m;
	while ((m = nic_output(fx.nic[port], NULL))) {
		const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
		uint16_t type = get_be16(p + 12);
		size_t len = rte_pktmbuf_data_len(m) - 14u;
		bool ip = type == RTE_ETHER_TYPE_IPV4 || type == RTE_ETHER_TYPE_IPV6;
		// What the gateway says by itself (ARP, ND) is other tests' matter.
		if (ip && !(type == RTE_ETHER_TYPE_IPV6 && is_nd(p + 14, len))) {
			assert_true(len <= cap);
			memcpy(buf, p + 14, len);
			rte_pktmbuf_free(m);
			return len;
		}
		rte_pktmbuf_free(m);
	}
	return 0;
}

void fx_udp_sum_ok(const uint8_t *packet, size_t udp, size_t len)
{
	uint16_t sum = get_be16(packet + udp + 6);
	if (packet[0] >> 4 == 4) {
		assert_int_equal(sum, 0);
		return;
	}
	struct ip_addr src = ip_from_bytes(IP_V6, packet + 8),
		       dst = ip_from_bytes(IP_V6, packet + 24);
	uint32_t pseudo = pkt_sum_pseudo(&src, &dst, PROTO_UDP, (uint32_t)(len - udp));
	assert_int_not_equal(sum, 0);
	assert_int_equal(pkt_sum_fold(pkt_sum(pseudo, packet + udp, len - udp)), 0);
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The ESP path against the crypto library alone: cycles a packet of a worker that classifies,
// routes, encrypts (or decrypts) and sends, beside cycles of intel-ipsec-mb's one-shot AES-GCM call
// over the same keys, sizes and order, in one run. Tunnels are taken at random, packet by packet,
// as a concentrator's are. Bursts of both are timed in turn; the medians count, so that other
// processes' time does not.
//
//   esp_bench [--tunnels N] [--size BYTES] [--bits 128|256] [--packets N] [--json]
#include "dataplane/eal.h"
#include "dataplane/sink.h"

#include "base/log.h"

#include <rte_cycles.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define OUTSIDE  0
#define INSIDE   1
#define PEER_SPI 0xc0000001u

struct options {
	unsigned tunnels, size, bits, packets;
	bool json;
};

struct tunnel {
	uint32_t spi;
	struct dp_sa *in, *out;
	uint64_t seq; // of what the bench makes for the inbound side
};

struct bench {
	struct options o;
	struct cfg cfg;
	struct cfg_port ports[2];
	struct cfg_pool pool;
	struct ip_prefix addresses[2];
	struct ip_range range;
	struct dp *dp;
	struct dp_worker *w;
	struct tunnel *tunnels;
	struct dp_crypto crypto; // to make packets with
	struct gcm_context_data gcm;
	uint64_t random;
};

struct result {
	double ours, raw; // cycles a packet
	uint64_t passed;
};

static void die(const char *what)
{
	fprintf(stderr, "esp_bench: %s\n", what);
	exit(1);
}

static uint32_t draw(struct bench *b, uint32_t n)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return (uint32_t)((b->random >> 32) * n >> 32);
}

static uint32_t inner_of(unsigned tunnel)
{
	return 0x0a010001 + tunnel; // 10.1.0.1 on
}

// ---- Set-up ----

static void on_event(void *ctx, const struct sa_event *ev)
{
	(void)ctx;
	(void)ev;
}

static void on_ike(void *ctx, const struct ike_datagram *d)
{
	(void)ctx;
	(void)d;
}

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p;
	if (ip_prefix_parse(text, true, &p))
		die(text);
	return p;
}

static void port_cfg(struct bench *b, int i, const char *name, enum cfg_role role,
	const char *device, const char *address)
{
	b->addresses[i] = prefix(address);
	b->ports[i] = (struct cfg_port){.name = strdup(name),
		.role = role,
		.device = strdup(device),
		.addresses = &b->addresses[i],
		.address_count = 1,
		.mtu = 9000,
		.rx_descriptors = 512,
		.tx_descriptors = 512};
}

static void configure(struct bench *b)
{
	port_cfg(b, OUTSIDE, "outside", CFG_OUTSIDE, "net_null0", "192.0.2.1/24");
	port_cfg(b, INSIDE, "inside", CFG_INSIDE, "net_null1", "10.99.0.1/24");
	if (ip_range_parse("10.1.0.0/16", &b->range))
		die("range");
	b->pool = (struct cfg_pool){.name = strdup("p"), .ranges = &b->range, .range_count = 1};
	b->cfg = (struct cfg){
		.main = {.worker_count = 1,
			.hugepages = CFG_HUGEPAGES_AUTO,
			.memory_mb = 256 + b->o.tunnels / 200,
			.max_sessions = b->o.tunnels,
			.run_dir = strdup("/run/sallyport-bench")},
		.ports = b->ports,
		.port_count = 2,
		.pools = &b->pool,
		.pool_count = 1,
	};
}

static void settle(struct bench *b)
{
	for (int i = 0; i < 4; i++) {
		while (dp_msg_poll(b->w))
			;
		dp_pend_flush(b->w);
		while (dp_poll(b->dp, rte_rdtsc()))
			;
	}
}

static void neighbour(struct bench *b, uint16_t port, const char *addr)
{
	struct dp_neigh n = {.port = port, .valid = true, .mac = {{2, 0, 0, 0, 0, 9}}};
	if (ip_parse(addr, &n.addr))
		die(addr);
	dp_neigh_publish(b->dp, &n);
}

// Both directions under one key, so that what is made for one can be read by the other.
static void add_child(struct bench *b, struct tunnel *t, uint32_t id,
	const struct tunnel_path *path, struct ip_addr inner)
{
	const struct sa_sink *s = dp_sink(b->dp);
	struct ip_range host = {inner, inner}, lan;
	if (ip_range_parse("10.99.0.0/24", &lan) || s->spi_reserve(s->ctx, 0, path, &t->spi))
		die("spi");
	struct sa_spec spec = {.tunnel = id,
		.child = t->spi,
		.spi = t->spi,
		.dir = SA_IN,
		.encr = {ENCR_AES_GCM_16, (uint16_t)b->o.bits},
		.encr_key_len = (uint8_t)(b->o.bits / 8 + 4),
		.replay_window = 128,
		.esn = true,
		.ts_local = {selector_of_range(&lan)},
		.ts_remote = {selector_of_range(&host)},
		.ts_local_count = 1,
		.ts_remote_count = 1};
	random_fill(&random_system, spec.encr_key, sizeof(spec.encr_key));
	if (s->sa_add(s->ctx, &spec))
		die("inbound SA");
	spec.dir = SA_OUT;
	spec.spi = PEER_SPI;
	if (s->sa_add(s->ctx, &spec))
		die("outbound SA");
	s->sa_switch(s->ctx, t->spi);
}

static void add_tunnels(struct bench *b)
{
	const struct sa_sink *s = dp_sink(b->dp);
	struct tunnel_path path = {.local = {prefix("192.0.2.1").addr, 4500},
		.remote = {prefix("192.0.2.77").addr, 4500},
		.encap = SA_ENCAP_UDP,
		.port = OUTSIDE};
	for (unsigned i = 0; i < b->o.tunnels; i++) {
		struct tunnel *t = &b->tunnels[i];
		struct tunnel_spec spec = {.path = path};
		struct ip_prefix dst = {ip_from_v4(inner_of(i)), 32};
		uint32_t id;
		if (s->tunnel_add(s->ctx, &spec, &id) || s->route_add(s->ctx, id, &dst))
			die("tunnel");
		add_child(b, t, id, &path, dst.addr);
		if (i % 200 == 199)
			settle(b);
	}
	settle(b);
	for (unsigned i = 0; i < b->o.tunnels; i++) {
		uint32_t slot = dp_spi_slot(&b->w->layout, b->tunnels[i].spi);
		b->tunnels[i].in = dp_slab_at(&b->w->in, slot);
		b->tunnels[i].out = dp_slab_at(&b->w->out, slot);
	}
}

static void set_up(struct bench *b)
{
	struct dp_seams seams = {.ike_input = on_ike,
		.sa_event = on_event,
		.clock = &clock_system,
		.random = &random_system};
	configure(b);
	if (dp_eal_start(&b->cfg) || dp_new(&b->cfg, &seams, &b->dp))
		die("the data plane does not start");
	b->w = b->dp->workers[0];
	b->tunnels = calloc(b->o.tunnels, sizeof(*b->tunnels));
	if (!b->tunnels || dp_crypto_init(&b->crypto, &random_system))
		die("memory");
	neighbour(b, OUTSIDE, "192.0.2.77");
	neighbour(b, INSIDE, "10.99.0.5");
	add_tunnels(b);
}

// ---- Packets ----

static void inner_packet(struct bench *b, uint8_t *p, uint32_t src, uint32_t dst)
{
	memset(p, 0, IP4_HDR);
	p[0] = 0x45;
	set_be16(p + 2, (uint16_t)b->o.size);
	p[8] = 64;
	p[9] = PROTO_UDP;
	set_be32(p + 12, src);
	set_be32(p + 16, dst);
	set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, IP4_HDR)));
}

static struct rte_mbuf *frame(struct bench *b, int port, uint32_t len)
{
	struct rte_mbuf *m = NULL;
	for (size_t i = 0; i < RTE_DIM(b->dp->rx_pool) && !m; i++)
		if (b->dp->rx_pool[i])
			m = rte_pktmbuf_alloc(b->dp->rx_pool[i]);
	uint8_t *p = m ? (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(len + 14)) : NULL;
	if (!p)
		die("no buffers");
	memcpy(p, b->dp->ports[port].mac.addr_bytes, 6);
	set_be16(p + 12, RTE_ETHER_TYPE_IPV4);
	return m;
}

static struct rte_mbuf *clear_frame(struct bench *b)
{
	struct rte_mbuf *m = frame(b, INSIDE, b->o.size);
	inner_packet(b, dp_data(m) + 14, 0x0a630005, inner_of(draw(b, b->o.tunnels)));
	return m;
}

static struct rte_mbuf *esp_frame(struct bench *b)
{
	unsigned which = draw(b, b->o.tunnels);
	struct tunnel *t = &b->tunnels[which];
	uint32_t text = RTE_ALIGN_CEIL(b->o.size + 2, 4u), pad = text - b->o.size - 2;
	uint32_t total = IP4_HDR + UDP_HDR + ESP_HDR_LEN + 8 + text + 16;
	struct rte_mbuf *m = frame(b, OUTSIDE, total);
	uint8_t *p = dp_data(m) + 14, *esp = p + IP4_HDR + UDP_HDR, *inner = esp + 16;
	uint32_t size = b->o.size;

	inner_packet(b, p, 0xc000024d, 0xc0000201);
	set_be16(p + 2, (uint16_t)total);
	set_be16(p + 10, 0);
	set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, IP4_HDR)));
	set_be16(p + 20, 4500);
	set_be16(p + 22, 4500);
	set_be16(p + 24, (uint16_t)(total - IP4_HDR));
	set_be32(esp, t->spi);
	set_be32(esp + 4, (uint32_t)++t->seq);
	inner_packet(b, inner, inner_of(which), 0x0a630005);
	for (uint32_t i = 0; i < pad; i++)
		inner[size + i] = (uint8_t)(i + 1);
	inner[text - 2] = (uint8_t)pad;
	inner[text - 1] = 4;
	struct esp_op op = {
		.m = m, .sa = t->in, .esp = esp, .text_len = (uint16_t)text, .seq = t->seq};
	dp_seal_burst(&b->crypto, &op, 1);
	return m;
}

// ---- Measuring ----

static uint64_t time_ours(struct bench *b, int port, struct rte_mbuf **m)
{
	uint64_t t = rte_rdtsc();
	dp_classify(b->w, &b->dp->ports[port], m, DP_BURST, DP_HANDOFF_MISPREDICTED);
	dp_run_stages(b->w);
	dp_tx_flush(b->w);
	return rte_rdtsc() - t;
}

// The library alone: keys of random tunnels, prefetched a burst ahead as the path does it.
static uint64_t time_raw(struct bench *b, bool seal, uint8_t *text, uint32_t stride)
{
	IMB_MGR *mgr = b->crypto.mgr;
	aes_gcm_enc_dec_t f = b->o.bits == 128 ? (seal ? mgr->gcm128_enc : mgr->gcm128_dec)
					       : (seal ? mgr->gcm256_enc : mgr->gcm256_dec);
	uint8_t iv[12] = {1}, aad[12] = {2}, tag[16];
	uint32_t len = RTE_ALIGN_CEIL(b->o.size + 2, 4u);
	struct dp_sa *sa[DP_BURST];
	for (unsigned i = 0; i < DP_BURST; i++)
		sa[i] = b->tunnels[draw(b, b->o.tunnels)].out;
	uint64_t t = rte_rdtsc();
	for (unsigned i = 0; i < DP_BURST; i++)
		dp_keys_prefetch(sa[i], len);
	for (unsigned i = 0; i < DP_BURST; i++)
		f(dp_sa_keys(sa[i]), &b->gcm, text + i * stride, text + i * stride, len, iv, aad,
			12, tag, 16);
	return rte_rdtsc() - t;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

// Median cycles a packet; sorts.
static double median(uint64_t *bursts, unsigned n)
{
	qsort(bursts, n, sizeof(*bursts), by_value);
	return (double)bursts[n / 2] / DP_BURST;
}

static struct result measure(struct bench *b, bool seal)
{
	struct rte_mbuf *m[DP_BURST];
	uint32_t stride = RTE_ALIGN_CEIL(b->o.size + 128, 64u);
	unsigned bursts = b->o.packets / DP_BURST;
	uint8_t *text = aligned_alloc(64, (size_t)stride * DP_BURST);
	uint64_t *ours = calloc(bursts, sizeof(*ours)), *raw = calloc(bursts, sizeof(*raw));
	dp_counter_t *count = seal ? &b->w->stats.esp_out_packets : &b->w->stats.esp_in_packets;
	if (!text || !ours || !raw)
		die("memory");
	memset(text, 0, (size_t)stride * DP_BURST);
	uint64_t before = dp_get(count);
	for (unsigned i = 0; i < bursts; i++) {
		for (unsigned k = 0; k < DP_BURST; k++)
			m[k] = seal ? clear_frame(b) : esp_frame(b);
		ours[i] = time_ours(b, seal ? INSIDE : OUTSIDE, m);
		raw[i] = time_raw(b, seal, text, stride);
		dp_pend_flush(b->w);
		dp_poll(b->dp, 0);
	}
	struct result r = {median(ours, bursts), median(raw, bursts), dp_get(count) - before};
	free(text);
	free(ours);
	free(raw);
	return r;
}

static void print_text(const struct bench *b, const char *name, const struct result *r)
{
	double hz = (double)rte_get_tsc_hz();
	printf("%s  %6.0f cycles/packet, library alone %6.0f, share of the library %.2f, "
	       "%.2f Mpps, %.2f Gbit/s\n",
		name, r->ours, r->raw, r->raw / r->ours, hz / r->ours / 1e6,
		hz / r->ours * b->o.size * 8 / 1e9);
}

static void print_json(const char *name, const struct result *r, const char *end)
{
	printf("\"%s\":{\"cycles\":%.1f,\"raw_cycles\":%.1f,\"ratio\":%.4f,\"packets\":%lu}%s",
		name, r->ours, r->raw, r->raw / r->ours, (unsigned long)r->passed, end);
}

static struct options parse(int argc, char **argv)
{
	static const struct option longs[] = {{"tunnels", 1, NULL, 't'}, {"size", 1, NULL, 's'},
		{"bits", 1, NULL, 'b'}, {"packets", 1, NULL, 'p'}, {"json", 0, NULL, 'j'},
		{NULL, 0, NULL, 0}};
	struct options o = {.tunnels = 1000, .size = 512, .bits = 128, .packets = 400000};
	int c;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 't')
			o.tunnels = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 's')
			o.size = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'b')
			o.bits = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'p')
			o.packets = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'j')
			o.json = true;
		else
			die("usage: esp_bench [--tunnels N] [--size BYTES] [--bits 128|256] "
			    "[--packets N] [--json]");
	}
	if (o.tunnels < 1 || o.tunnels > 65000 || o.size < 28 || o.size > 8900 ||
		(o.bits != 128 && o.bits != 256) || o.packets < DP_BURST)
		die("tunnels 1 to 65000, size 28 to 8900, bits 128 or 256, packets from 32");
	return o;
}

int main(int argc, char **argv)
{
	static struct bench b;
	log_set_level(LOG_WARNING);
	b.o = parse(argc, argv);
	b.random = 0x9e3779b97f4a7c15ull;
	set_up(&b);
	(void)measure(&b, true); // caches, and the CPU's clock
	struct result out = measure(&b, true), in = measure(&b, false);
	unsigned want = b.o.packets / DP_BURST * DP_BURST;
	if (out.passed != want || in.passed != want)
		die("packets were dropped");
	if (b.o.json) {
		printf("{\"tunnels\":%u,\"size\":%u,\"bits\":%u,\"tsc_hz\":%lu,\"ipsec_mb\":\"%s\",",
			b.o.tunnels, b.o.size, b.o.bits, (unsigned long)rte_get_tsc_hz(),
			imb_get_version_str());
		print_json("encrypt", &out, ",");
		print_json("decrypt", &in, "}\n");
	} else {
		printf("%u tunnels in random order, inner packets of %u bytes, AES-GCM-%u, "
		       "intel-ipsec-mb %s\n",
			b.o.tunnels, b.o.size, b.o.bits, imb_get_version_str());
		print_text(&b, "encrypt", &out);
		print_text(&b, "decrypt", &in);
	}
	dp_crypto_fini(&b.crypto);
	dp_free(b.dp);
	return 0;
}

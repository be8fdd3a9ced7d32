// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A data plane without IKE, for a peer that brings its own ESP: one tunnel with keys that both
// sides know by rule. Runs until SIGTERM.
//
// usage: esp_host CONFIG ESP-PROPOSAL ESN(0|1) PEER INNER [INNER6 UDP-PORT(0: protocol 50)]
// An INNER that is the PEER itself: transport mode.
// Prints "ready SPI" with the inbound SPI; the outbound one is SPI_OUT.
// Keys: byte i of the inbound cipher key is i, of the outbound one 0x40 + i; of the integrity keys
// 0x80 + i and 0xc0 + i.
#include "base/log.h"
#include "dataplane/dataplane.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SPI_OUT 0x5a5a0001u

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	stopped = 1;
}

struct host {
	struct dp *dp;
	bool installed;
};

static void on_ike(void *ctx, const struct ike_datagram *d)
{
}

static void on_event(void *ctx, const struct sa_event *ev)
{
	struct host *h = ctx;
	if (ev->type == SA_EVENT_INSTALLED)
		h->installed = true;
}

static void fill(uint8_t *key, size_t len, uint8_t first)
{
	for (size_t i = 0; i < len; i++)
		key[i] = (uint8_t)(first + i);
}

static void set_keys(struct sa_spec *s, const struct proposal *p)
{
	const struct alg_encr *encr = alg_encr(p->encr[0].id, p->encr[0].key_bits);
	bool in = s->dir == SA_IN;
	s->encr = p->encr[0];
	s->encr_key_len = (uint8_t)(encr->key_len + encr->salt_len);
	fill(s->encr_key, s->encr_key_len, in ? 0 : 0x40);
	s->integ = p->aead ? INTEG_NONE : p->integ[0];
	const struct alg_integ *integ = alg_integ(s->integ);
	if (!integ)
		return;
	s->integ_key_len = integ->key_len;
	fill(s->integ_key, s->integ_key_len, in ? 0x80 : 0xc0);
}

static int add_sa(
	const struct sa_sink *sink, struct sa_spec s, enum sa_dir dir, const struct proposal *p)
{
	s.dir = dir;
	s.spi = dir == SA_IN ? s.child : SPI_OUT;
	set_keys(&s, p);
	return sink->sa_add(sink->ctx, &s);
}

// Ours of the same family as the peer's.
static int set_path(struct tunnel_path *path, const struct ip_addr *peer, uint16_t udp_port)
{
	path->remote = (struct endpoint){*peer, udp_port};
	path->local.port = 4500;
	path->encap = udp_port ? SA_ENCAP_UDP : SA_ENCAP_NONE;
	return ip_parse(peer->family == IP_V4 ? "192.0.2.1" : "2001:db8:1::1", &path->local.addr);
}

// One tunnel to the peer for its inner addresses, one of each family at most; what they may talk to is
// everything.
static int build_tunnel(const struct sa_sink *sink, const struct proposal *p, bool esn,
	const struct tunnel_path *path, const struct ip_addr *inner, unsigned inner_count,
	uint32_t *spi)
{
	struct tunnel_spec t = {.worker = 0, .path = *path};
	bool transport = ip_eq(&inner[0], &path->remote.addr);
	struct sa_spec s = {
		.esn = esn, .replay_window = 64, .mode = transport ? SA_TRANSPORT : SA_TUNNEL};
	if (sink->spi_reserve(sink->ctx, 0, &t.path, spi) ||
		sink->tunnel_add(sink->ctx, &t, &s.tunnel))
		return -1;
	for (unsigned i = 0; i < inner_count; i++) {
		struct ip_range all;
		struct ip_prefix host = {inner[i], inner[i].family == IP_V4 ? 32 : 128};
		if (ip_range_parse(inner[i].family == IP_V4 ? "0.0.0.0/0" : "::/0", &all) ||
			sink->route_add(sink->ctx, s.tunnel, &host))
			return -1;
		s.ts_local[s.ts_local_count++] = selector_of_range(&all);
		s.ts_remote[s.ts_remote_count++] = selector_of_addr(&inner[i]);
	}
	s.child = *spi;
	if (add_sa(sink, s, SA_IN, p) || add_sa(sink, s, SA_OUT, p))
		return -1;
	sink->sa_switch(sink->ctx, s.child);
	return 0;
}

static void serve(struct host *h, uint32_t spi)
{
	bool told = false;
	while (!stopped) {
		while (dp_poll(h->dp, clock_now_ns(&clock_system)))
			;
		if (h->installed && !told) {
			told = true;
			printf("ready 0x%08" PRIx32 "\n", spi);
			fflush(stdout);
		}
		poll(NULL, 0, 1);
	}
}

int main(int argc, char **argv)
{
	struct host h = {0};
	struct cfg *cfg;
	struct proposal p;
	struct ip_addr peer, inner[2];
	struct tunnel_path path = {0};
	char why[128];
	uint32_t spi;
	unsigned inner_count = argc == 8 && strcmp(argv[5], argv[6]) != 0 ? 2 : 1;
	if ((argc != 6 && argc != 8) || proposal_parse(argv[2], true, &p, why, sizeof(why)) ||
		ip_parse(argv[4], &peer) || ip_parse(argv[5], &inner[0]) ||
		(argc == 8 && ip_parse(argv[6], &inner[1])) ||
		set_path(&path, &peer, argc == 8 ? (uint16_t)atoi(argv[7]) : 0) ||
		cfg_load(argv[1], stderr, &cfg))
		return 2;
	signal(SIGTERM, on_signal);
	struct dp_seams seams = {&h, on_ike, on_event, &clock_system, &random_system};
	if (dp_start(cfg, &seams, &h.dp))
		return 1;
	if (build_tunnel(dp_sink(h.dp), &p, atoi(argv[3]), &path, inner, inner_count, &spi) == 0)
		serve(&h, spi);
	dp_stop(h.dp);
	cfg_free(cfg);
	return stopped ? 0 : 1;
}

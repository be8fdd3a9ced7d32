// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/dataplane/handoff_cases.h"

#include "dataplane/rss.h"
#include "tests/cmocka_all.h"

#define HOST "10.99.0.5"

static unsigned queue_of(const char *peer, uint16_t port, uint16_t our_port)
{
	struct endpoint src = {fx_ip(peer), port}, dst = {fx_ip("192.0.2.1"), our_port};
	const struct dp_port *p = &fx.dp->ports[FX_OUTSIDE];
	return p->reta[rss_hash_ports(p->rss_key, &src, &dst) % p->reta_size];
}

unsigned hc_uplink_queue(const struct hc_client *c)
{
	return queue_of(c->peer, c->peer_port, c->marked ? 500 : 4500);
}

uint16_t hc_port_for(const char *peer, unsigned queue, uint16_t above)
{
	do
		above++;
	while (queue_of(peer, above, 4500) != queue);
	return above;
}

void hc_inner_for(char text[static IP_TEXT_MAX], unsigned queue, unsigned n)
{
	const struct dp_port *p = &fx.dp->ports[FX_INSIDE];
	for (uint32_t a = 0x0a010101;; a++) {
		struct ip_addr addr = ip_from_v4(a);
		if (p->reta[rss_hash_dst(p->rss_key, &addr) % p->reta_size] != queue || n-- > 0)
			continue;
		ip_text(&addr, text);
		return;
	}
}

static struct tunnel_path path_of(const struct hc_client *c)
{
	return c->marked ? fx_path_marked(c->peer, c->peer_port) : fx_path(c->peer, c->peer_port);
}

void hc_child_add(struct hc_client *c, const char *ts)
{
	const struct sa_sink *s = &fx.dp->sa_sink;
	struct tunnel_path path = path_of(c);
	uint32_t spi;
	c->seq = 0;
	assert_int_equal(s->spi_reserve(s->ctx, (uint16_t)c->owner, &path, &spi), 0);
	c->in = fx_spec(c->tunnel, SA_IN, ENCR_AES_GCM_16, 128, 0, ts ? ts : c->inner);
	c->out = fx_spec(c->tunnel, SA_OUT, ENCR_AES_GCM_16, 128, 0, ts ? ts : c->inner);
	// Anything may be behind the gateway: other clients, too.
	struct ip_prefix all = {.addr.family = IP_V4};
	struct ip_range range = ip_prefix_range(&all);
	c->in.ts_local[0] = c->out.ts_local[0] = selector_of_range(&range);
	c->in.replay_window = c->window ? c->window : 4096;
	c->in.child = c->in.spi = c->out.child = spi;
	c->out.spi = FX_PEER_SPI;
	assert_int_equal(s->sa_add(s->ctx, &c->in), 0);
	assert_int_equal(s->sa_add(s->ctx, &c->out), 0);
}

void hc_client_add(struct hc_client *c, const char *ts)
{
	struct tunnel_path path = path_of(c);
	c->tunnel = fx_tunnel_on(c->owner, ts ? ts : c->inner, &path);
	hc_child_add(c, ts);
	fx.dp->sa_sink.sa_switch(fx.dp->sa_sink.ctx, c->in.child);
}

size_t hc_packet(struct hc_client *c, const char *src, const char *dst, uint8_t *buf)
{
	uint8_t inner[IP4_HDR + HC_PAYLOAD], esp[512] = {0};
	size_t len = fx_ipv4(inner, src, dst, PROTO_UDP, HC_PAYLOAD);
	size_t marker = c->marked ? NON_IKE_MARKER : 0;
	len = marker + oracle_wrap(&c->in, ++c->seq, inner, len, 4, esp + marker);
	size_t total = fx_ipv4(buf, c->peer, "192.0.2.1", PROTO_UDP, len + UDP_HDR);
	set_be16(buf + IP4_HDR, c->peer_port);
	set_be16(buf + IP4_HDR + 2, c->marked ? 500 : 4500);
	set_be16(buf + IP4_HDR + 4, (uint16_t)(len + UDP_HDR));
	set_be16(buf + IP4_HDR + 6, 0);
	memcpy(buf + IP4_HDR + UDP_HDR, esp, len);
	return total;
}

void hc_send(struct hc_client *c, const char *src, const char *dst)
{
	uint8_t buf[1024];
	fx_input(FX_OUTSIDE, buf, hc_packet(c, src, dst, buf));
}

void hc_reply(const char *dst)
{
	uint8_t p[IP4_HDR + HC_PAYLOAD];
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, dst, PROTO_UDP, HC_PAYLOAD));
}

uint64_t hc_count(enum dp_handoff cause)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < fx.dp->worker_count; i++)
		n += dp_get(&fx.dp->workers[i]->stats.handoff_out[cause]);
	return n;
}

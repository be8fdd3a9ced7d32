// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/dataplane/pair.h"

#include "tests/cmocka_all.h"

#include <stdio.h>

struct pair pair;

static const char *const outside_net[2] = {"192.0.2.1/24", "192.0.2.2/24"};
static const char *const outside[2] = {"192.0.2.1", "192.0.2.2"};
static const char *const inside_net[2] = {"10.99.0.254/24", "10.98.0.254/24"};
static const char *const network[2] = {"10.99.0.0/24", "10.98.0.0/24"};

static void mac_of(unsigned side, unsigned port, uint8_t mac[static 6])
{
	const uint8_t m[6] = {2, 0, 0, (uint8_t)side, (uint8_t)port, 1};
	memcpy(mac, m, 6);
}

static uint32_t host_of(unsigned side, unsigned host)
{
	return (side ? 0x0a620000 : 0x0a630000) + host;
}

static uint64_t fake_now(void *ctx)
{
	(void)ctx;
	return pair.now_ns;
}

static const struct clock_source fake_clock = {.now_ns = fake_now};

static void on_ike(void *ctx, const struct ike_datagram *d)
{
	struct pair_side *s = ctx;
	if (s->ike)
		s->ike(s->control, d);
}

static void on_event(void *ctx, const struct sa_event *ev)
{
	struct pair_side *s = ctx;
	s->events[ev->type]++;
	if (ev->type == SA_EVENT_RETURNED)
		s->returned_packets[ev->dir] += ev->counters.packets;
	s->last[s->event_count++ % PAIR_EVENTS] = *ev;
	if (s->event)
		s->event(s->control, ev);
}

// ---- Life ----

static void port_make(unsigned side, unsigned port, unsigned workers, enum nic_hash hash)
{
	static unsigned serial;
	struct pair_side *s = &pair.side[side];
	char name[32];
	snprintf(name, sizeof(name), "pair%u", serial++);
	s->nic[port] = nic_new(name, workers, hash, sizeof(struct dp_meta));
	assert_non_null(s->nic[port]);
	s->addresses[port] = fx_prefix(port == FX_OUTSIDE ? outside_net[side] : inside_net[side]);
	s->ports[port] = (struct cfg_port){
		.name = (char *)(uintptr_t)(port == FX_OUTSIDE ? "outside" : "inside"),
		.role = port == FX_OUTSIDE ? CFG_OUTSIDE : CFG_INSIDE,
		.device = (char *)(uintptr_t)nic_device(s->nic[port]),
		.mac_set = true,
		.addresses = &s->addresses[port],
		.address_count = 1,
		.mtu = 1500,
		.rx_descriptors = 512,
		.tx_descriptors = 512,
	};
	mac_of(side, port, s->ports[port].mac);
}

static void neigh(unsigned side, uint16_t port, struct ip_addr addr, unsigned mac_side)
{
	struct dp_neigh n = {.addr = addr, .port = port, .valid = true};
	mac_of(mac_side, port, n.mac.addr_bytes);
	dp_neigh_publish(pair.side[side].dp, &n);
}

static void side_start(unsigned side, unsigned workers)
{
	struct pair_side *s = &pair.side[side];
	s->cfg = (struct cfg){
		.main = {.worker_count = (uint16_t)workers, .max_sessions = FX_MAX_SAS},
		.ports = s->ports,
		.port_count = 2,
	};
	struct dp_seams seams = {.ctx = s,
		.ike_input = on_ike,
		.sa_event = on_event,
		.clock = &fake_clock,
		.random = &random_system};
	assert_int_equal(dp_new(&s->cfg, &seams, &s->dp), 0);
	for (unsigned p = 0; p < 2; p++)
		nic_describe(s->nic[p], &s->dp->ports[p]);
	neigh(side, FX_OUTSIDE, fx_ip(outside[!side]), !side);
	for (unsigned h = 1; h <= PAIR_HOSTS;
		h++) // all of them at one address, which nobody looks at
		neigh(side, FX_INSIDE, ip_from_v4(host_of(side, h)), 7);
}

void pair_start(unsigned workers, enum nic_hash outer, enum nic_hash inner)
{
	memset(&pair, 0, sizeof(pair));
	pair.now_ns = 1000 * NS_PER_S;
	for (unsigned side = 0; side < 2; side++) {
		port_make(side, FX_OUTSIDE, workers, outer);
		port_make(side, FX_INSIDE, workers, inner);
		side_start(side, workers);
	}
	pair_run();
}

void pair_stop(void)
{
	(void)pair_wires();
	for (unsigned side = 0; side < 2; side++)
		dp_free(pair.side[side].dp);
	for (unsigned side = 0; side < 2; side++)
		for (unsigned p = 0; p < 2; p++)
			nic_free(pair.side[side].nic[p]);
	memset(&pair, 0, sizeof(pair));
}

// ---- Time ----

unsigned pair_wires(void)
{
	struct rte_mbuf *m;
	unsigned n = 0;
	for (unsigned side = 0; side < 2; side++) {
		struct pair_side *s = &pair.side[side], *o = &pair.side[!side];
		for (; (m = nic_output(s->nic[FX_OUTSIDE], NULL)); n++) {
			assert_true(nic_input(o->nic[FX_OUTSIDE], dp_data(m), m->data_len) >= 0);
			rte_pktmbuf_free(m);
		}
		for (; (m = nic_output(s->nic[FX_INSIDE], NULL)); n++) {
			// Towards a host; not what the gateway says by itself (ARP).
			s->received += get_be16(dp_data(m) + 12) == RTE_ETHER_TYPE_IPV4;
			rte_pktmbuf_free(m);
		}
	}
	return n;
}

void pair_step(unsigned side, unsigned worker)
{
	dp_worker_poll_once(pair.side[side].dp->workers[worker]);
}

void pair_poll(unsigned side)
{
	dp_poll(pair.side[side].dp, pair.now_ns);
}

void pair_run(void)
{
	unsigned moved;
	do {
		moved = 0;
		for (unsigned side = 0; side < 2; side++) {
			struct dp *d = pair.side[side].dp;
			for (unsigned i = 0; i < d->worker_count; i++)
				moved += dp_worker_poll_once(d->workers[i]);
			moved += dp_poll(d, pair.now_ns);
			if (pair.side[side].work)
				moved += pair.side[side].work(pair.side[side].control);
		}
		moved += pair_wires();
	} while (moved);
}

// ---- Tunnels and SAs ----

static struct tunnel_path path_of(unsigned side)
{
	return (struct tunnel_path){.local = {fx_ip(outside[side]), 0},
		.remote = {fx_ip(outside[!side]), 0},
		.port = FX_OUTSIDE};
}

void pair_tunnels(const struct tunnel_spec *as, unsigned worker)
{
	for (unsigned side = 0; side < 2; side++) {
		const struct sa_sink *sink = &pair.side[side].dp->sa_sink;
		struct tunnel_spec spec = *as;
		struct ip_prefix dst = fx_prefix(network[!side]);
		spec.worker = (uint16_t)worker;
		spec.path = path_of(side);
		assert_int_equal(sink->tunnel_add(sink->ctx, &spec, &pair.side[side].tunnel), 0);
		assert_int_equal(sink->route_add(sink->ctx, pair.side[side].tunnel, &dst), 0);
	}
}

static struct selector everything(unsigned side)
{
	struct ip_prefix p = fx_prefix(network[side]);
	struct ip_range r = ip_prefix_range(&p);
	return selector_of_range(&r);
}

// From one side to the other: the same keys at both.
static void direction(const struct pair_child *c, unsigned from)
{
	struct sa_spec out =
		fx_spec(pair.side[from].tunnel, SA_OUT, ENCR_AES_GCM_16, 128, 0, network[!from]);
	out.child = c->spi[from];
	out.spi = c->spi[!from];
	out.ts_local[0] = everything(from);
	out.ts_remote[0] = everything(!from);
	struct sa_spec in = out;
	in.tunnel = pair.side[!from].tunnel;
	in.dir = SA_IN;
	in.child = in.spi = c->spi[!from];
	in.ts_local[0] = everything(!from);
	in.ts_remote[0] = everything(from);
	const struct sa_sink *a = &pair.side[from].dp->sa_sink;
	const struct sa_sink *b = &pair.side[!from].dp->sa_sink;
	assert_int_equal(b->sa_add(b->ctx, &in), 0);
	assert_int_equal(a->sa_add(a->ctx, &out), 0);
}

struct pair_child pair_child_new(unsigned worker0, unsigned worker1)
{
	struct pair_child c = {.worker = {worker0, worker1}};
	for (unsigned side = 0; side < 2; side++) {
		const struct sa_sink *sink = &pair.side[side].dp->sa_sink;
		struct tunnel_path path = path_of(side);
		assert_int_equal(
			sink->spi_reserve(sink->ctx, (uint16_t)c.worker[side], &path, &c.spi[side]),
			0);
	}
	direction(&c, 0);
	direction(&c, 1);
	return c;
}

void pair_switch(const struct pair_child *c, unsigned side)
{
	const struct sa_sink *sink = &pair.side[side].dp->sa_sink;
	sink->sa_switch(sink->ctx, c->spi[side]);
}

bool pair_told(const struct pair_child *c, unsigned side, enum sa_event_type what)
{
	for (unsigned i = 0; i < PAIR_EVENTS; i++) {
		const struct sa_event *ev = &pair.side[side].last[i];
		if (ev->type == what && ev->child == c->spi[side])
			return true;
	}
	return false;
}

void pair_del(const struct pair_child *c, unsigned side, enum sa_dir dir)
{
	const struct sa_sink *sink = &pair.side[side].dp->sa_sink;
	sink->sa_del(sink->ctx, c->spi[side], dir);
}

struct pair_child pair_child_up(unsigned worker0, unsigned worker1)
{
	struct pair_child c = pair_child_new(worker0, worker1);
	pair_run();
	pair_switch(&c, 0);
	pair_switch(&c, 1);
	pair_run();
	return c;
}

// ---- Packets ----

void pair_send(unsigned side, unsigned from, unsigned to)
{
	uint8_t frame[14 + IP4_HDR + 100];
	char src[IP_TEXT_MAX], dst[IP_TEXT_MAX];
	struct ip_addr s = ip_from_v4(host_of(side, from)), d = ip_from_v4(host_of(!side, to));
	mac_of(side, FX_INSIDE, frame);
	mac_of(7, FX_INSIDE, frame + 6);
	set_be16(frame + 12, RTE_ETHER_TYPE_IPV4);
	size_t len = fx_ipv4(frame + 14, ip_text(&s, src), ip_text(&d, dst), PROTO_UDP,
		sizeof(frame) - 14 - IP4_HDR);
	assert_true(nic_input(pair.side[side].nic[FX_INSIDE], frame, 14 + len) >= 0);
	pair.side[side].sent++;
}

// ---- Counts ----

uint64_t pair_handoffs_by(unsigned side, enum dp_handoff cause)
{
	const struct dp *d = pair.side[side].dp;
	uint64_t n = 0;
	for (unsigned i = 0; i < d->worker_count; i++)
		n += dp_get(&d->workers[i]->stats.handoff_out[cause]);
	return n;
}

uint64_t pair_handoffs(void)
{
	uint64_t n = 0;
	for (unsigned side = 0; side < 2; side++)
		for (unsigned i = 0; i < DP_HANDOFF_CAUSES; i++)
			n += pair_handoffs_by(side, (enum dp_handoff)i);
	return n;
}

static uint64_t drops_of(unsigned side, unsigned why)
{
	const struct dp *d = pair.side[side].dp;
	uint64_t n = d->drops[why];
	for (unsigned i = 0; i < d->worker_count; i++)
		n += dp_get(&d->workers[i]->stats.drops[why]);
	return n;
}

uint64_t pair_drops(void)
{
	uint64_t n = 0;
	for (unsigned side = 0; side < 2; side++)
		for (unsigned why = 0; why < DP_DROP_COUNT; why++)
			n += drops_of(side, why);
	return n;
}

void pair_tell_drops(void)
{
	for (unsigned side = 0; side < 2; side++)
		for (unsigned why = 0; why < DP_DROP_COUNT; why++)
			if (drops_of(side, why))
				printf("# side %u: %s %llu\n", side, dp_drop_name[why],
					(unsigned long long)drops_of(side, why));
}

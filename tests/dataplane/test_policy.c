// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What may pass: connections' access lists in both directions, what leaves and comes in clear beside a
// tunnel, clients that are apart, and selectors under split tunnels.
#include "config/config.h"
#include "config/loader.h"
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_cases.h"

#define INNER6 "2001:db8:77::2"
#define HOST6  "2001:db8:99::5"
#define OTHER  "10.1.0.3" // another client
#define FAR    "203.0.113.9"
#define FAR6   "2001:db8:53::9"
#define RULES  4
#define SIDE   3 // selectors of one

struct rule_row {
	enum cfg_action action;
	enum cfg_direction direction; // 0: both
	const char *local[SIDE], *remote[SIDE];
};

// By the connection's index.
static const struct rule_row lists[][RULES] = {
	// 0: web alone
	{{CFG_PROTECT, 0, {"10.99.0.0/24[tcp/80-443]"}, {NULL}}, {CFG_DISCARD, 0, {NULL}, {NULL}}},
	// 1: no mail to the peer, no telnet from it
	{{CFG_DISCARD, CFG_OUT, {NULL}, {"0.0.0.0/0[tcp/25]", "::/0[tcp/25]"}},
		{CFG_DISCARD, CFG_IN, {"0.0.0.0/0[tcp/23]", "::/0[tcp/23]"}, {NULL}}},
	// 2: a range that is no prefix, and a host within it first
	{{CFG_PROTECT, 0, {"10.99.0.5"}, {NULL}},
		{CFG_DISCARD, 0, {"10.99.0.3-10.99.0.9", "2001:db8:99::3-2001:db8:99::9"}, {NULL}}},
	// 3: ICMP's type as RFC 7296 has it, a protocol by number
	{{CFG_DISCARD, 0, {"0.0.0.0/0[icmp/2048-2303]"}, {NULL}},
		{CFG_DISCARD, CFG_IN, {NULL}, {"::/0[47]"}}},
	// 4: names in clear, nothing else
	{{CFG_BYPASS, 0, {"10.99.0.0/24[udp]", "2001:db8:99::/64[udp]"},
		{"203.0.113.0/24[udp/53]", "2001:db8:53::/48[udp/53]"}}},
	// 5: one way each, all ports
	{{CFG_BYPASS, CFG_OUT, {NULL}, {"203.0.113.64/26"}},
		{CFG_BYPASS, CFG_IN, {NULL}, {"203.0.113.128/26"}}},
	// 6: the rules of 4
	{{CFG_BYPASS, 0, {"10.99.0.0/24[udp]", "2001:db8:99::/64[udp]"},
		{"203.0.113.0/24[udp/53]", "2001:db8:53::/48[udp/53]"}}},
	// 7: a network in clear, but for one host; 8: that host
	{{CFG_DISCARD, 0, {NULL}, {"203.0.113.200"}},
		{CFG_BYPASS, 0, {NULL}, {"203.0.113.192/26[tcp/443]"}}},
	{{CFG_BYPASS, CFG_OUT, {NULL}, {"203.0.113.200[tcp/443]"}}},
};
#define LISTS   RTE_DIM(lists)
#define NO_LIST LISTS // of no connection

static struct selector selectors[LISTS][RULES][2][SIDE];

static size_t parse_side(const char *const *text, struct selector *out)
{
	size_t n = 0;
	for (; n < SIDE && text[n]; n++)
		assert_int_equal(selector_parse(text[n], &out[n]), 0);
	return n;
}

static void connections(void)
{
	static struct cfg_connection c[LISTS];
	static struct cfg_rule rules[LISTS][RULES];
	for (size_t i = 0; i < LISTS; i++) {
		c[i] = (struct cfg_connection){.index = (uint16_t)i, .policy = rules[i]};
		for (size_t k = 0; k < RULES; k++) {
			const struct rule_row *r = &lists[i][k];
			struct selector(*s)[SIDE] = selectors[i][k];
			rules[i][k] = (struct cfg_rule){.action = r->action,
				.direction = r->direction ? r->direction : CFG_BOTH,
				.local = s[0],
				.local_count = parse_side(r->local, s[0]),
				.remote = s[1],
				.remote_count = parse_side(r->remote, s[1])};
			bool all = r->action == CFG_DISCARD;
			if (all || rules[i][k].local_count || rules[i][k].remote_count)
				c[i].policy_count = k + 1;
		}
	}
	fx.cfg.connections = c;
	fx.cfg.connection_count = LISTS;
}

// ---- Packets ----

enum part { WHOLE, FIRST, LATER, CUT, HIDDEN }; // HIDDEN: IPv6, options behind the fragment header

struct packet {
	const char *src, *dst;
	uint8_t proto;
	uint16_t sport, dport;
	enum part part;
};

static size_t make_v6(const struct packet *k, uint8_t *p)
{
	bool cut = k->part == FIRST || k->part == LATER || k->part == HIDDEN;
	size_t head = cut ? 8 : 0, len = k->part == CUT ? 2 : 48;
	size_t n = fx_ipv6(p, k->src, k->dst, cut ? IPV6_FRAGMENT : k->proto, head + len);
	if (cut) {
		memset(p + IP6_HDR, 0, 8);
		p[IP6_HDR] = k->part == HIDDEN ? IPV6_DST_OPTS : k->proto;
		set_be16(p + IP6_HDR + 2, k->part == FIRST ? 1 : 64);
	}
	if (k->part == WHOLE || k->part == FIRST) {
		set_be16(p + IP6_HDR + head, k->sport);
		set_be16(p + IP6_HDR + head + 2, k->dport);
	}
	return n;
}

static size_t make(const struct packet *k, uint8_t *p)
{
	if (strchr(k->src, ':'))
		return make_v6(k, p);
	size_t n = fx_ipv4(p, k->src, k->dst, k->proto, k->part == CUT ? 2 : 48);
	if (k->part == WHOLE || k->part == FIRST) {
		set_be16(p + IP4_HDR, k->sport);
		set_be16(p + IP4_HDR + 2, k->dport);
	}
	set_be16(p + 6, k->part == FIRST ? 0x2000 : k->part == LATER ? 8 : 0);
	set_be16(p + 10, 0);
	set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, IP4_HDR)));
	return n;
}

static uint64_t all_drops(void)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < DP_DROP_COUNT; i++)
		n += fx_drops((enum dp_drop)i);
	return n;
}

// What becomes of the packet: it leaves there (clear: as it is, a hop on), or is dropped for that reason
// and no other.
enum fate { ENCRYPTED, CLEAR_OUT, CLEAR_IN, DROPPED };

static void arrives(const uint8_t *p, size_t n, enum fate fate, enum dp_drop why, const char *row)
{
	uint8_t got[4096], want[4096];
	uint64_t counted = why < DP_DROP_COUNT ? fx_drops(why) : 0, all = all_drops();
	fx_run();
	bool counts = fate == DROPPED;
	if (counts && fx_drops(why) == counted)
		fail_msg("%s: not dropped by %s", row, dp_drop_name[why]);
	if (all_drops() != all + counts)
		fail_msg("%s: %llu drops", row, (unsigned long long)(all_drops() - all));
	size_t out = fx_output(FX_OUTSIDE, got, sizeof(got));
	memcpy(want, p, n);
	ip_hop(want, want[0] >> 4);
	if (fate == ENCRYPTED && out <= n)
		fail_msg("%s: %zu bytes outside, not encrypted", row, out);
	if (fate == CLEAR_OUT && (out != n || memcmp(got, want, n) != 0))
		fail_msg("%s: %zu bytes outside, not in clear", row, out);
	if ((fate == CLEAR_IN || fate == DROPPED) && out)
		fail_msg("%s: %zu bytes outside", row, out);
	out = fx_output(FX_INSIDE, got, sizeof(got));
	if (fate == CLEAR_IN ? out != n || memcmp(got, want, n) != 0 : out != 0)
		fail_msg("%s: %zu bytes inside", row, out);
}

static void tunnel(const char *inner, size_t list)
{
	uint16_t policy = list == NO_LIST ? 0 : (uint16_t)(list + 1);
	ec_make(&(struct ec_way){
		.inner = inner, .peer = EC_PEER, .port = 4500, .treat = {.policy = policy}});
}

static void unmake(uint32_t t)
{
	fx.dp->sa_sink.tunnel_del(fx.dp->sa_sink.ctx, t);
	fx_run();
}

static const char *row_name(size_t i, const struct packet *k)
{
	static char text[128];
	snprintf(text, sizeof(text), "row %zu: %s > %s proto %u", i, k->src, k->dst, k->proto);
	return text;
}

// ---- Through a tunnel ----

#define OUT4(proto, s, d, part)                      \
	SA_OUT,                                      \
	{                                            \
		EC_HOST, EC_INNER, proto, s, d, part \
	}
#define IN4(proto, s, d, part)                       \
	SA_IN,                                       \
	{                                            \
		EC_INNER, EC_HOST, proto, s, d, part \
	}
#define OUT6(proto, s, d, part)                  \
	SA_OUT,                                  \
	{                                        \
		HOST6, INNER6, proto, s, d, part \
	}
#define IN6(proto, s, d, part)                   \
	SA_IN,                                   \
	{                                        \
		INNER6, HOST6, proto, s, d, part \
	}
#define HOST_OUT(host, inner)                       \
	SA_OUT,                                     \
	{                                           \
		host, inner, PROTO_UDP, 1, 2, WHOLE \
	}
#define HOST_IN(host, inner)                        \
	SA_IN,                                      \
	{                                           \
		inner, host, PROTO_UDP, 1, 2, WHOLE \
	}

static const struct {
	size_t list;
	enum sa_dir dir;
	struct packet packet;
	bool passes;
} through[] = {
	{0, OUT4(PROTO_TCP, 80, 5000, WHOLE), true},
	{0, OUT4(PROTO_TCP, 443, 5000, WHOLE), true},
	{0, OUT4(PROTO_TCP, 79, 5000, WHOLE), false},
	{0, OUT4(PROTO_TCP, 444, 5000, WHOLE), false},
	{0, OUT4(PROTO_UDP, 80, 5000, WHOLE), false},
	{0, OUT4(PROTO_TCP, 5000, 80, WHOLE), false},
	{0, IN4(PROTO_TCP, 5000, 80, WHOLE), true},
	{0, IN4(PROTO_TCP, 80, 5000, WHOLE), false},
	{0, IN4(PROTO_ICMP, 0x0800, 0, WHOLE), false},
	{0, OUT4(PROTO_TCP, 80, 5000, FIRST), true},
	{0, OUT4(PROTO_TCP, 0, 0, LATER), false}, // its first part could be of another port
	{0, IN4(PROTO_TCP, 0, 0, LATER), false},
	{0, OUT4(PROTO_TCP, 0, 0, CUT), false},
	{0, OUT6(PROTO_TCP, 80, 5000, WHOLE), false},
	{0, IN6(PROTO_TCP, 5000, 80, WHOLE), false},
	{1, OUT4(PROTO_TCP, 5000, 25, WHOLE), false},
	{1, OUT4(PROTO_TCP, 25, 5000, WHOLE), true},
	{1, OUT4(PROTO_TCP, 5000, 23, WHOLE), true},
	{1, IN4(PROTO_TCP, 5000, 23, WHOLE), false},
	{1, IN4(PROTO_TCP, 25, 5000, WHOLE), true},
	{1, OUT4(PROTO_TCP, 5000, 25, FIRST), false},
	{1, OUT4(PROTO_TCP, 5000, 26, FIRST), true},
	{1, OUT4(PROTO_TCP, 0, 0, LATER), false},
	{1, OUT4(PROTO_UDP, 0, 0, LATER), true},
	{1, IN4(PROTO_TCP, 0, 0, LATER), false},
	{1, IN4(PROTO_UDP, 0, 0, CUT), true},
	{1, IN4(PROTO_TCP, 0, 0, CUT), false},
	{1, OUT6(PROTO_TCP, 5000, 25, WHOLE), false},
	{1, OUT6(PROTO_TCP, 5000, 26, WHOLE), true},
	{1, IN6(PROTO_TCP, 5000, 23, WHOLE), false},
	{1, IN6(PROTO_TCP, 5000, 24, WHOLE), true},
	{1, OUT6(PROTO_TCP, 5000, 25, FIRST), false},
	{1, OUT6(PROTO_TCP, 5000, 26, FIRST), true},
	{1, OUT6(PROTO_TCP, 0, 0, LATER), false},
	{1, OUT6(PROTO_UDP, 0, 0, LATER), true},
	{1, OUT6(PROTO_UDP, 0, 0, HIDDEN), false},
	{1, IN6(PROTO_UDP, 0, 0, HIDDEN), false},
	{2, HOST_OUT("10.99.0.2", EC_INNER), true},
	{2, HOST_OUT("10.99.0.3", EC_INNER), false},
	{2, HOST_OUT("10.99.0.4", EC_INNER), false},
	{2, HOST_OUT("10.99.0.5", EC_INNER), true},
	{2, HOST_OUT("10.99.0.8", EC_INNER), false},
	{2, HOST_OUT("10.99.0.9", EC_INNER), false},
	{2, HOST_OUT("10.99.0.10", EC_INNER), true},
	{2, IN4(PROTO_UDP, 0, 0, LATER), true},
	{2, HOST_IN("10.99.0.7", EC_INNER), false},
	{2, HOST_OUT("2001:db8:99::2", INNER6), true},
	{2, HOST_OUT("2001:db8:99::3", INNER6), false},
	{2, HOST_OUT("2001:db8:99::9", INNER6), false},
	{2, HOST_OUT("2001:db8:99::a", INNER6), true},
	{2, HOST_IN("2001:db8:99::5", INNER6), false},
	{3, OUT4(PROTO_ICMP, 0x0800, 0, WHOLE), false},
	{3, OUT4(PROTO_ICMP, 0x08ff, 0, WHOLE), false},
	{3, OUT4(PROTO_ICMP, 0x0000, 0, WHOLE), true},
	{3, IN4(PROTO_ICMP, 0x0900, 0, WHOLE), true},
	{3, IN4(PROTO_ICMP, 0, 0, LATER), false},
	{3, OUT6(47, 0, 0, WHOLE), true},
	{3, IN6(47, 0, 0, WHOLE), false},
	{3, IN6(47, 0, 0, LATER), false},
	{3, OUT6(PROTO_UDP, 0, 0, HIDDEN), true},
	{4, OUT4(PROTO_UDP, 5000, 53, WHOLE), true},
	{NO_LIST, OUT4(PROTO_TCP, 79, 5000, WHOLE), true},
	{NO_LIST, IN4(PROTO_TCP, 79, 5000, LATER), true},
};

static void through_a_tunnel(void **state)
{
	uint8_t p[256];
	(void)state;
	for (size_t i = 0; i < RTE_DIM(through); i++) {
		const struct packet *k = &through[i].packet;
		bool out = through[i].dir == SA_OUT, v6 = strchr(k->src, ':') != NULL;
		struct sa_counters c;
		tunnel(v6 ? INNER6 : EC_INNER, through[i].list);
		size_t n = make(k, p);
		uint8_t esp[512];
		if (out)
			fx_input(FX_INSIDE, p, n);
		else
			fx_input_esp(EC_PEER, 4500, 0, esp,
				oracle_wrap(&ec.in, 1, p, n, v6 ? PROTO_IPV6 : 4, esp));
		arrives(p, n,
			!through[i].passes ? DROPPED
			: out              ? ENCRYPTED
					   : CLEAR_IN,
			DP_DROP_policy_discard, row_name(i, k));
		const struct sa_sink *s = &fx.dp->sa_sink;
		assert_true(s->sa_stats(s->ctx, ec.in.child, SA_IN, &c));
		assert_int_equal(c.malformed + c.selector_mismatch + c.auth_failed, 0);
		unmake(ec.tunnel);
	}
}

// ---- Beside a tunnel ----

#define DNS_OUT(part)                                   \
	FX_INSIDE,                                      \
	{                                               \
		EC_HOST, FAR, PROTO_UDP, 5000, 53, part \
	}
#define DNS_IN(part)                                    \
	FX_OUTSIDE,                                     \
	{                                               \
		FAR, EC_HOST, PROTO_UDP, 53, 5000, part \
	}
#define DNS_OUT6(part)                                 \
	FX_INSIDE,                                     \
	{                                              \
		HOST6, FAR6, PROTO_UDP, 5000, 53, part \
	}
#define DNS_IN6(part)                                  \
	FX_OUTSIDE,                                    \
	{                                              \
		FAR6, HOST6, PROTO_UDP, 53, 5000, part \
	}

// With a tunnel that has the destination, of a connection with this list; without one: ALONE.
#define ALONE (NO_LIST + 1)

static const struct {
	size_t list;
	int port;
	struct packet packet;
	enum fate fate;
	enum dp_drop why;
} beside[] = {
	{ALONE, DNS_OUT(WHOLE), CLEAR_OUT, DP_DROP_NONE},
	{ALONE, DNS_OUT(FIRST), CLEAR_OUT, DP_DROP_NONE},
	{ALONE, DNS_OUT(LATER), DROPPED, DP_DROP_no_route},
	{ALONE, DNS_OUT(CUT), DROPPED, DP_DROP_no_route},
	{ALONE, DNS_IN(WHOLE), CLEAR_IN, DP_DROP_NONE},
	{ALONE, DNS_IN(LATER), DROPPED, DP_DROP_outside_clear},
	{ALONE, DNS_OUT6(WHOLE), CLEAR_OUT, DP_DROP_NONE},
	{ALONE, DNS_OUT6(LATER), DROPPED, DP_DROP_no_route},
	{ALONE, DNS_OUT6(HIDDEN), DROPPED, DP_DROP_no_route},
	{ALONE, DNS_IN6(WHOLE), CLEAR_IN, DP_DROP_NONE},
	{ALONE, DNS_IN6(LATER), DROPPED, DP_DROP_outside_clear},
	{ALONE, FX_INSIDE, {EC_HOST, FAR, PROTO_UDP, 5000, 54, WHOLE}, DROPPED, DP_DROP_no_route},
	{ALONE, FX_INSIDE, {EC_HOST, FAR, PROTO_TCP, 5000, 53, WHOLE}, DROPPED, DP_DROP_no_route},
	{ALONE, FX_INSIDE, {"10.98.0.5", FAR, PROTO_UDP, 5000, 53, WHOLE}, DROPPED,
		DP_DROP_no_route},
	{ALONE, FX_OUTSIDE, {FAR, EC_HOST, PROTO_UDP, 54, 5000, WHOLE}, DROPPED,
		DP_DROP_outside_clear},
	{ALONE, FX_OUTSIDE, {"203.0.114.1", EC_HOST, PROTO_UDP, 53, 5000, WHOLE}, DROPPED,
		DP_DROP_outside_clear},
	// never to a client, nor as one
	{ALONE, FX_OUTSIDE, {FAR, EC_INNER, PROTO_UDP, 53, 5000, WHOLE}, DROPPED,
		DP_DROP_outside_clear},
	{ALONE, FX_OUTSIDE, {EC_INNER, EC_HOST, PROTO_UDP, 53, 5000, WHOLE}, DROPPED,
		DP_DROP_outside_clear},
	// one way
	{ALONE, FX_INSIDE, {EC_HOST, "203.0.113.65", PROTO_TCP, 1, 2, WHOLE}, CLEAR_OUT,
		DP_DROP_NONE},
	{ALONE, FX_INSIDE, {EC_HOST, "203.0.113.65", PROTO_TCP, 1, 2, LATER}, CLEAR_OUT,
		DP_DROP_NONE},
	{ALONE, FX_OUTSIDE, {"203.0.113.65", EC_HOST, PROTO_TCP, 1, 2, WHOLE}, DROPPED,
		DP_DROP_outside_clear},
	{ALONE, FX_OUTSIDE, {"203.0.113.129", EC_HOST, PROTO_TCP, 1, 2, WHOLE}, CLEAR_IN,
		DP_DROP_NONE},
	{ALONE, FX_INSIDE, {EC_HOST, "203.0.113.129", PROTO_TCP, 1, 2, WHOLE}, DROPPED,
		DP_DROP_no_route},
	// the connection of the tunnel decides
	{4, DNS_OUT(WHOLE), CLEAR_OUT, DP_DROP_NONE},
	{4, DNS_OUT(LATER), ENCRYPTED, DP_DROP_NONE},
	{4, FX_INSIDE, {EC_HOST, FAR, PROTO_UDP, 5000, 54, WHOLE}, ENCRYPTED, DP_DROP_NONE},
	{4, DNS_IN(WHOLE), CLEAR_IN, DP_DROP_NONE},
	{4, FX_OUTSIDE, {FAR, EC_HOST, PROTO_UDP, 54, 5000, WHOLE}, DROPPED, DP_DROP_outside_clear},
	{4, DNS_OUT6(WHOLE), CLEAR_OUT, DP_DROP_NONE},
	{4, DNS_OUT6(LATER), ENCRYPTED, DP_DROP_NONE},
	{4, DNS_IN6(WHOLE), CLEAR_IN, DP_DROP_NONE},
	{NO_LIST, DNS_OUT(WHOLE), ENCRYPTED, DP_DROP_NONE},
	{NO_LIST, DNS_IN(WHOLE), DROPPED, DP_DROP_outside_clear},
	{2, DNS_OUT6(WHOLE), DROPPED, DP_DROP_policy_discard},
	{5, DNS_OUT(WHOLE), ENCRYPTED, DP_DROP_NONE},
	// two that have the same rules
	{6, DNS_OUT(WHOLE), CLEAR_OUT, DP_DROP_NONE},
	{6, DNS_IN6(LATER), DROPPED, DP_DROP_outside_clear},
	// what one discards the next one may let by
	{ALONE, FX_INSIDE, {EC_HOST, "203.0.113.201", PROTO_TCP, 1, 443, WHOLE}, CLEAR_OUT,
		DP_DROP_NONE},
	{ALONE, FX_INSIDE, {EC_HOST, "203.0.113.200", PROTO_TCP, 1, 443, WHOLE}, CLEAR_OUT,
		DP_DROP_NONE},
	{ALONE, FX_OUTSIDE, {"203.0.113.200", EC_HOST, PROTO_TCP, 443, 1, WHOLE}, DROPPED,
		DP_DROP_outside_clear},
	{7, FX_INSIDE, {EC_HOST, "203.0.113.200", PROTO_TCP, 1, 443, WHOLE}, DROPPED,
		DP_DROP_policy_discard},
	{8, FX_INSIDE, {EC_HOST, "203.0.113.200", PROTO_TCP, 1, 443, WHOLE}, CLEAR_OUT,
		DP_DROP_NONE},
};

static void beside_a_tunnel(void **state)
{
	uint8_t p[256];
	(void)state;
	for (size_t i = 0; i < RTE_DIM(beside); i++) {
		const struct packet *k = &beside[i].packet;
		const char *far = strchr(k->src, ':') ? "2001:db8:53::/48" : "203.0.113.0/24";
		if (beside[i].list != ALONE)
			tunnel(far, beside[i].list);
		size_t n = make(k, p);
		fx_input(beside[i].port, p, n);
		arrives(p, n, beside[i].fate, beside[i].why, row_name(i, k));
		if (beside[i].list != ALONE)
			unmake(ec.tunnel);
	}
}

// What came out of a tunnel does not leave in clear.
static void not_out_of_a_tunnel(void **state)
{
	uint8_t p[256], esp[512];
	(void)state;
	tunnel(EC_INNER, 4);
	ec.in.ts_local[0].range = ip_prefix_range(&(struct ip_prefix){.addr = {.family = IP_V4}});
	struct sa_spec in = ec_child_with(ec.in, SA_IN);
	size_t n = make(&(struct packet){EC_INNER, FAR, PROTO_UDP, 5000, 53, WHOLE}, p);
	fx_input_esp(EC_PEER, 4500, 0, esp, oracle_wrap(&in, 1, p, n, 4, esp));
	arrives(p, n, DROPPED, DP_DROP_no_route, "from a client");
	unmake(ec.tunnel);
}

// ---- Clients ----

// A tunnel whose selectors hold all of the gateway's side.
static uint32_t client(const char *inner, const char *peer, bool apart, uint64_t family)
{
	const struct sa_sink *s = &fx.dp->sa_sink;
	struct tunnel_spec spec = {.worker = (uint16_t)(inner[7] % fx.dp->worker_count),
		.path = fx_path(peer, 4500),
		.treat = {.apart = apart}};
	uint32_t spi;
	ec.tunnel = fx_tunnel_of(&spec, inner);
	s->tunnel_family(s->ctx, ec.tunnel, family);
	assert_int_equal(s->spi_reserve(s->ctx, spec.worker, &spec.path, &spi), 0);
	ec.in = fx_spec(ec.tunnel, SA_IN, ENCR_AES_GCM_16, 128, 0, inner);
	ec.out = fx_spec(ec.tunnel, SA_OUT, ENCR_AES_GCM_16, 128, 0, inner);
	struct ip_prefix all = {.addr = {.family = IP_V4}};
	ec.in.ts_local[0].range = ec.out.ts_local[0].range = ip_prefix_range(&all);
	ec.in.child = ec.in.spi = ec.out.child = spi;
	ec.out.spi = FX_PEER_SPI;
	assert_int_equal(s->sa_add(s->ctx, &ec.in), 0);
	assert_int_equal(s->sa_add(s->ctx, &ec.out), 0);
	s->sa_switch(s->ctx, spi);
	fx_run();
	return ec.tunnel;
}

static void between_clients(void **state)
{
	static const struct {
		bool from, to;
		uint64_t family_from, family_to;
		bool passes;
	} rows[] = {
		{false, false, 0, 0, true},
		{true, false, 0, 0, false},
		{false, true, 0, 0, false},
		{true, true, 0, 0, false},
		{true, true, 7, 7, true},
		{true, false, 7, 7, true},
		{true, true, 7, 8, false},
		{false, true, 7, 0, false},
		{false, false, 7, 8, true},
	};
	uint8_t p[256], esp[512];
	(void)state;
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		uint32_t to = client(OTHER, "198.51.100.8", rows[i].to, rows[i].family_to);
		uint32_t from = client(EC_INNER, EC_PEER, rows[i].from, rows[i].family_from);
		struct packet k = {EC_INNER, OTHER, PROTO_UDP, 1, 2, WHOLE};
		size_t n = make(&k, p);
		fx_input_esp(EC_PEER, 4500, 0, esp, oracle_wrap(&ec.in, 1, p, n, 4, esp));
		arrives(p, n, rows[i].passes ? ENCRYPTED : DROPPED, DP_DROP_clients_apart,
			row_name(i, &k));
		// The inside is for both, both ways.
		k = (struct packet){EC_INNER, EC_HOST, PROTO_UDP, 1, 2, WHOLE};
		n = make(&k, p);
		fx_input_esp(EC_PEER, 4500, 0, esp, oracle_wrap(&ec.in, 2, p, n, 4, esp));
		arrives(p, n, CLEAR_IN, DP_DROP_NONE, row_name(i, &k));
		k = (struct packet){EC_HOST, EC_INNER, PROTO_UDP, 1, 2, WHOLE};
		n = make(&k, p);
		fx_input(FX_INSIDE, p, n);
		arrives(p, n, ENCRYPTED, DP_DROP_NONE, row_name(i, &k));
		unmake(from);
		unmake(to);
	}
}

// Selectors alone, as a split tunnel has them: the client reaches nothing but its networks, and nothing
// else reaches it.
static void split_tunnel(void **state)
{
	static const struct {
		enum sa_dir dir;
		struct packet packet;
		enum dp_drop why;
	} rows[] = {
		{SA_IN, {EC_INNER, EC_HOST, PROTO_UDP, 1, 2, WHOLE}, DP_DROP_NONE},
		{SA_IN, {EC_INNER, "10.99.1.5", PROTO_UDP, 1, 2, WHOLE}, DP_DROP_selector},
		{SA_IN, {EC_INNER, OTHER, PROTO_UDP, 1, 2, WHOLE}, DP_DROP_selector},
		{SA_IN, {OTHER, EC_HOST, PROTO_UDP, 1, 2, WHOLE}, DP_DROP_selector},
		{SA_OUT, {EC_HOST, EC_INNER, PROTO_UDP, 1, 2, WHOLE}, DP_DROP_NONE},
		{SA_OUT, {"10.99.1.5", EC_INNER, PROTO_UDP, 1, 2, WHOLE}, DP_DROP_no_selector},
		{SA_OUT, {"10.98.0.5", EC_INNER, PROTO_UDP, 1, 2, WHOLE}, DP_DROP_no_selector},
	};
	uint8_t p[256], esp[512];
	(void)state;
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		bool passes = rows[i].why == DP_DROP_NONE, out = rows[i].dir == SA_OUT;
		tunnel(EC_INNER, NO_LIST);
		size_t n = make(&rows[i].packet, p);
		if (out)
			fx_input(FX_INSIDE, p, n);
		else
			fx_input_esp(EC_PEER, 4500, 0, esp, oracle_wrap(&ec.in, 1, p, n, 4, esp));
		arrives(p, n,
			!passes ? DROPPED
			: out   ? ENCRYPTED
				: CLEAR_IN,
			rows[i].why, row_name(i, &rows[i].packet));
		unmake(ec.tunnel);
	}
}

#define WITH(test, workers) cmocka_unit_test_setup_teardown(test, ec_start_##workers, ec_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(through_a_tunnel, one),
		WITH(through_a_tunnel, two),
		WITH(beside_a_tunnel, one),
		WITH(beside_a_tunnel, two),
		WITH(not_out_of_a_tunnel, one),
		WITH(between_clients, one),
		WITH(between_clients, two),
		WITH(split_tunnel, one),
		WITH(split_tunnel, two),
	};
	fx_prepare = connections;
	fx_eal();
	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}

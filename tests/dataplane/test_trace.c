// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Packet traces: which packets are chosen, what each stage tells of them, where it ends.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_cases.h"

#include "dataplane/trace.h"
#include "dataplane/trace_filter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define TCP 6

static int begin(const char *expression, uint32_t packets, bool whole)
{
	char why[128];
	struct trace_filter *f = malloc(sizeof(*f));
	assert_int_equal(trace_filter_compile(expression, f, why, sizeof(why)), 0);
	return dp_trace_start(
		fx.dp, &(struct dp_trace_spec){.filter = f, .packets = packets, .whole = whole});
}

// The rows as "packet:stage[(why)]", with a blank between them.
static const char *story(void)
{
	static char text[2048];
	size_t n = 0;
	struct dp_trace_row r;
	text[0] = '\0';
	for (size_t i = 0; dp_trace_row(fx.dp, i, &r); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u:%s%s%s%s", i ? " " : "",
			r.packet, dp_trace_stage_name[r.stage], r.why ? "(" : "",
			r.why ? r.why : "", r.why ? ")" : "");
	return text;
}

static struct dp_trace_row row(size_t i)
{
	struct dp_trace_row r;
	assert_true(dp_trace_row(fx.dp, i, &r));
	return r;
}

static void host_to_client(uint8_t tail)
{
	uint8_t p[128];
	size_t len = fx_ipv4(p, EC_HOST, EC_INNER, PROTO_UDP, 40);
	p[len - 1] = tail;
	fx_input(FX_INSIDE, p, len);
	fx_run();
}

static void inbound_outer_and_inner(void **state)
{
	(void)state;
	assert_int_equal(begin("host " EC_PEER, 10, true), 0);
	ec_ping_in(1);
	assert_string_equal(story(), "1:rx 1:decrypted 1:tx");
	assert_string_equal(row(0).port, "outside");
	assert_string_equal(row(2).port, "inside");
	assert_true(row(0).framed && !row(1).framed && row(2).framed);
	assert_int_equal(row(1).bytes.p[0] >> 4, 4);
	assert_int_equal(row(1).len, row(1).bytes.len);
	// The inner packet, a hop on, behind an Ethernet header.
	assert_int_equal(row(2).len, row(1).len + RTE_ETHER_HDR_LEN);
	assert_memory_equal(row(2).bytes.p + RTE_ETHER_HDR_LEN + 12, row(1).bytes.p + 12, 8);
}

// A filter about what is within ESP finds the packet once it is decrypted.
static void inner_filter(void **state)
{
	(void)state;
	assert_int_equal(begin("src host " EC_INNER, 10, false), 0);
	ec_ping_in(1);
	assert_string_equal(story(), "1:decrypted 1:tx");
}

static void outbound(void **state)
{
	(void)state;
	assert_int_equal(begin("dst host " EC_INNER " and udp", 10, false), 0);
	host_to_client(0);
	assert_string_equal(story(), "1:rx 1:to-encrypt 1:tx");
	assert_string_equal(row(2).port, "outside");
	char text[128];
	trace_summary(row(2).framed, row(2).bytes, text, sizeof(text));
	assert_string_equal(
		text, "192.0.2.1 > " EC_PEER " UDP 4500 > 4500 ESP spi 0xc0ffee01 seq 1");
}

static void others_are_left_out(void **state)
{
	(void)state;
	assert_int_equal(begin("dst host 10.1.0.77", 10, false), 0);
	host_to_client(0);
	ec_ping_in(1);
	assert_string_equal(story(), "");
}

static void drop_reason(void **state)
{
	(void)state;
	ec_ping_in(5);
	assert_int_equal(begin("", 10, false), 0);
	ec_ping_in(5); // again
	assert_string_equal(story(), "1:rx 1:drop(dp_drop_esp_replay)");
	assert_true(row(1).framed);
	assert_int_equal(row(1).len, row(0).len);
}

// A frame in segments of that size.
static struct rte_mbuf *chain(const uint8_t *frame, size_t len, size_t each)
{
	struct rte_mbuf *head = NULL;
	for (size_t at = 0; at < len; at += each) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(fx.dp->rx_pool[0]);
		size_t n = RTE_MIN(each, len - at);
		assert_non_null(m);
		memcpy(rte_pktmbuf_append(m, (uint16_t)n), frame + at, n);
		if (head)
			assert_int_equal(rte_pktmbuf_chain(head, m), 0);
		else
			head = m;
	}
	return head;
}

// What the device leaves in several segments is seen and kept as a whole.
static void in_several_segments(void **state)
{
	static const size_t sizes[] = {1, 7, 100, 1500};
	static uint8_t frame[14 + 9000];
	struct dp_worker *w = fx.dp->workers[0];
	(void)state;
	memset(frame, 0x11, sizeof(frame));
	set_be16(frame + 12, RTE_ETHER_TYPE_IPV4);
	fx_ipv4(frame + 14, EC_HOST, EC_INNER, PROTO_UDP, 9000 - IP4_HDR);
	assert_int_equal(begin("udp and dst host " EC_INNER " and greater 1000", 10, true), 0);
	dp_trace_begin(w);
	for (size_t i = 0; i < RTE_DIM(sizes); i++) {
		size_t len = sizes[i] < 100 ? 1400 : sizeof(frame);
		struct rte_mbuf *m = chain(frame, len, sizes[i]);
		dp_trace_rx(w, &fx.dp->ports[FX_INSIDE], &m, 1);
		assert_int_equal(row(i).len, len);
		assert_int_equal(row(i).bytes.len, len);
		assert_memory_equal(row(i).bytes.p, frame, len);
		rte_pktmbuf_free(m);
	}
	struct rte_mbuf *little = chain(frame, 90, 10);
	dp_trace_rx(w, &fx.dp->ports[FX_INSIDE], &little, 1);
	assert_false(dp_trace_row(fx.dp, RTE_DIM(sizes), &(struct dp_trace_row){0}));
	rte_pktmbuf_free(little);
}

static void punted(void **state)
{
	(void)state;
	uint8_t ike[64] = {1, 2, 3, 4, 5, 6, 7, 8, [17] = 0x20, [18] = 34, [19] = 8};
	assert_int_equal(begin("udp port 500", 10, false), 0);
	fx_input_500(EC_PEER, 500, ike, sizeof(ike));
	fx_run();
	assert_string_equal(story(), "1:rx 1:punt(ike_new)");
}

// What the control thread does not take it drops for a reason, too; what waited for a next hop goes on.
static void at_the_control_thread(void **state)
{
	uint8_t p[128];
	(void)state;
	assert_int_equal(begin("tcp", 10, true), 0);
	fx_input(FX_INSIDE, p, fx_ipv4(p, EC_HOST, "10.99.0.1", TCP, 40));
	fx_run();
	assert_string_equal(story(), "1:rx 1:punt(local) 1:drop(dp_drop_local_proto)");
	assert_true(row(2).framed);
	assert_int_equal(row(2).len, row(0).len);
	assert_memory_equal(row(2).bytes.p, row(0).bytes.p, row(0).len);
	assert_int_equal(dp_trace_stop(fx.dp), 1);
	assert_int_equal(begin("udp and dst host 10.99.0.77", 10, false), 0);
	ec_esp_in(1, p, fx_ipv4(p, EC_INNER, "10.99.0.77", PROTO_UDP, 40), 4);
	assert_string_equal(story(), "1:decrypted 1:punt(unresolved)");
	for (unsigned i = 0; i < 10; i++) {
		fx.now_ns += NS_PER_S;
		fx_run();
	}
	assert_string_equal(story(), "1:decrypted 1:punt(unresolved) 1:drop(dp_drop_neighbour)");
}

// A packet that waited while one trace ended and another began is not of that one.
static void of_an_earlier_trace(void **state)
{
	uint8_t p[128];
	(void)state;
	assert_int_equal(begin("udp and dst host 10.99.0.77", 10, false), 0);
	ec_esp_in(1, p, fx_ipv4(p, EC_INNER, "10.99.0.77", PROTO_UDP, 40), 4);
	assert_int_equal(dp_trace_stop(fx.dp), 1);
	assert_int_equal(begin("udp", 10, false), 0);
	for (unsigned i = 0; i < 10; i++) {
		fx.now_ns += NS_PER_S;
		fx_run();
	}
	assert_int_equal(fx_drops(DP_DROP_neighbour), 1);
	assert_string_equal(story(), "");
}

// Until its tunnel has an SA.
static void held(void **state)
{
	struct tunnel_spec spec = {.path = fx_path(EC_PEER, 4500), .session = 78, .hold = true};
	uint8_t p[128];
	uint32_t t = fx_tunnel_of(&spec, "10.1.0.9");
	(void)state;
	assert_int_equal(begin("dst host 10.1.0.9", 10, false), 0);
	fx_input(FX_INSIDE, p, fx_ipv4(p, EC_HOST, "10.1.0.9", PROTO_UDP, 40));
	fx_run();
	assert_string_equal(story(), "1:rx 1:to-encrypt 1:held");
	fx_child(t, 0, ENCR_AES_GCM_16, 128, 0, "10.1.0.9", &ec.in, &ec.out);
	assert_string_equal(story(), "1:rx 1:to-encrypt 1:held 1:to-encrypt 1:tx");
	assert_int_equal(row(1).session, 78);
}

// What is cut stays one packet; so does what is too big, and its sender is told of it.
static void cut_and_too_big(void **state)
{
	uint8_t p[1600];
	(void)state;
	assert_int_equal(begin("dst host " EC_INNER, 10, false), 0);
	fx_input(FX_INSIDE, p, fx_ipv4(p, EC_HOST, EC_INNER, PROTO_UDP, 1480));
	fx_run();
	assert_string_equal(story(), "1:rx 1:to-encrypt 1:tx 1:tx");
	assert_int_equal(dp_trace_stop(fx.dp), 1);
	assert_int_equal(begin("dst host " EC_INNER, 10, false), 0);
	fx_input(FX_INSIDE, p, fx_ipv4_df(p, EC_HOST, EC_INNER, PROTO_UDP, 1480));
	fx_run();
	assert_string_equal(story(), "1:rx 1:to-encrypt 1:punt(too_big)");
}

static void ends_by_itself(void **state)
{
	(void)state;
	assert_int_equal(begin("dst host " EC_INNER, 2, false), 0);
	for (int i = 0; i < 5; i++)
		host_to_client((uint8_t)i);
	assert_string_equal(story(), "1:rx 1:to-encrypt 1:tx 2:rx 2:to-encrypt 2:tx");
	assert_int_equal(begin("", 1, false), -EBUSY);
	assert_int_equal(dp_trace_stop(fx.dp), 2);
	assert_int_equal(dp_trace_stop(fx.dp), -ENOENT);
	host_to_client(9);
	assert_int_equal(row(5).packet, 2);
	assert_false(dp_trace_row(fx.dp, 6, &(struct dp_trace_row){0}));
}

// What a new one replaces is freed once the workers have passed a poll; the sanitizer watches.
static void one_after_the_other(void **state)
{
	(void)state;
	for (uint32_t i = 1; i < 20; i++) {
		assert_int_equal(begin("ip", i, i & 1), 0);
		host_to_client(1);
		assert_int_equal(row(0).packet, 1);
		assert_int_equal(dp_trace_stop(fx.dp), 1);
		fx_run();
	}
	assert_true(fx.dp->retired_traces == NULL);
}

static size_t resident_pages(void)
{
	size_t size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%zu %zu", &size, &resident), 2);
	fclose(f);
	return resident;
}

// From Linux 5.14 on.
static bool kernel_gives_pages(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool gives = p != MAP_FAILED && madvise(p, 4096, MADV_POPULATE_WRITE) == 0;
	munmap(p, 4096);
	return gives;
}

// 21 MiB at most: the start takes none of them, and no poll many.
static void memory_comes_by_and_by(void **state)
{
	const size_t all = ((16u << 20) + 80000 * 64) / 4096, few = all / 8;
	(void)state;
	size_t before = resident_pages();
	assert_int_equal(begin("", DP_TRACE_PACKETS_MAX, true), 0);
	assert_true(resident_pages() < before + few);
	dp_poll(fx.dp, fx.now_ns);
	assert_true(resident_pages() < before + few);
	host_to_client(1);
	for (unsigned i = 0; i < 200; i++)
		dp_poll(fx.dp, fx.now_ns);
	if (kernel_gives_pages())
		assert_true(resident_pages() > before + all - few);
	assert_int_equal(dp_poll(fx.dp, fx.now_ns), 0);
	// What was written meanwhile is there.
	assert_string_equal(story(), "1:rx 1:to-encrypt 1:tx");
	assert_int_equal(row(0).len, row(0).bytes.len);
	assert_int_equal(dp_trace_stop(fx.dp), 1);
	assert_int_equal(begin("", 1, false), 0);
	fx_run();
	assert_true(resident_pages() < before + few);
}

static void bad_starts(void **state)
{
	(void)state;
	char why[128];
	struct trace_filter f;
	assert_int_equal(begin("", 0, false), -EINVAL);
	assert_int_equal(begin("", DP_TRACE_PACKETS_MAX + 1, false), -EINVAL);
	assert_int_equal(trace_filter_compile("host and", &f, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "not a filter"));
}

// ---- No resolver ----

static unsigned asked;

// In libc's place: an address that is a number is none of the resolver's business.
int getaddrinfo(
	const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
	struct in6_addr a;
	asked += node && inet_pton(AF_INET6, node, &a) != 1;
	return EAI_FAIL;
}

// Names, and what libpcap takes for one.
static void names_are_refused(void **state)
{
	static const char *const bad[] = {"host vpn.example.net", "vpn", "net office", "face",
		"ip host 10.0.0.1 or vpn", "src 10.0.0.1 and dst vpn", "1.2.3.4.5", "ab.cd.ef",
		"1-2-3", "host 1000-2000", "host de:ad", "host \\tcp", "proto \\tcp&10",
		"port http", "udp port isakmp", "gateway 10.0.0.1", "ether host printer", "len-4",
		"\\vpn", "host(vpn)", "not vpn", "host 10.0.0.1%eth0", "(host vpn", "host -vpn",
		"a234567890123456789012345678901234567890123456789012345678901234567890"};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char why[160] = "";
		struct trace_filter f;
		assert_int_equal(trace_filter_compile(bad[i], &f, why, sizeof(why)), -EINVAL);
		if (!strstr(why, "names are not looked up"))
			fail_msg("%s: %s", bad[i], why);
	}
	assert_int_equal(asked, 0);
}

static void numbers_are_taken(void **state)
{
	static const char *const good[] = {"host 10.0.0.1", "net 10.1.0.0/16", "net 10.1",
		"net 10.1.0.0 mask 255.255.0.0", "ether host 02:00:00:00:00:01",
		"ether host 2-0-0-0-0-1", "udp port 4500 or esp", "portrange 500-4500",
		"ip proto 50", "ip proto \\udp", "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
		"ip[2:2] - ((ip[0]&0xf)<<2) - ((tcp[12]&0xf0)>>2) != 0",
		"icmp[icmptype]==icmp-echo", "ip[6:2] & 0x1fff = 0", "vlan 10 and ip",
		"less 100 and not multicast", "host 10.0.0.1 and (10.0.0.2 or 10.0.0.3)",
		"icmp6[icmp6type] == 128"};
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char why[160] = "";
		struct trace_filter f;
		if (trace_filter_compile(good[i], &f, why, sizeof(why)))
			fail_msg("%s: %s", good[i], why);
		trace_filter_free(&f);
	}
	assert_int_equal(asked, 0);
}

// Through another worker: one packet, one number.
static int start_two(void **state)
{
	(void)state;
	fx_start(2, NIC_HASH_NONE, NIC_HASH_NONE);
	return 0;
}

static void handed_over(void **state)
{
	(void)state;
	struct sa_spec in, out;
	uint32_t t = fx_tunnel(1, EC_INNER, EC_PEER, 4500);
	fx_child(t, 1, ENCR_AES_GCM_16, 128, 0, EC_INNER, &in, &out);
	assert_int_equal(begin("dst host " EC_INNER, 10, false), 0);
	host_to_client(0);
	assert_int_equal(row(0).worker, 0);
	assert_int_equal(row(1).stage, DP_TRACE_HANDOFF);
	assert_int_equal(row(2).stage, DP_TRACE_TAKEN);
	assert_int_equal(row(2).worker, 1);
	assert_int_equal(row(3).stage, DP_TRACE_TO_ENCRYPT);
	assert_int_equal(row(4).stage, DP_TRACE_TX);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(row(i).packet, 1);
}

static void summaries(void **state)
{
	(void)state;
	static const struct {
		const char *hex, *want;
		bool framed;
	} cases[] = {
		{"", "no IP header", false},
		{"", "no Ethernet header", true},
		{"45", "no IP header", false},
		{"ffffffffffff0200000000aa0806", "ARP", true},
		{"ffffffffffff0200000000aa88cc", "Ethernet type 0x88cc", true},
		{"450000140000000040320000c0000201c6336407",
			"192.0.2.1 > 198.51.100.7 ESP, cut off", false},
		{"450000140000000140110000c0000201c6336407",
			"192.0.2.1 > 198.51.100.7 fragment at 8", false},
		{"450000280000000040060000c0000201c6336407"
		 "001600500000000100000000500200000000",
			"192.0.2.1 > 198.51.100.7 TCP 22 > 80 S", false},
		{"ffffffffffff0200000000aa8100006408004500001c0000000040010000c0000201c63364070800",
			"vlan 100 192.0.2.1 > 198.51.100.7 ICMP type 8 code 0", true},
	};
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		uint8_t bytes[128];
		size_t len = strlen(cases[i].hex) / 2;
		char text[128];
		for (size_t k = 0; k < len; k++) {
			unsigned v;
			assert_int_equal(sscanf(cases[i].hex + 2 * k, "%2x", &v), 1);
			bytes[k] = (uint8_t)v;
		}
		trace_summary(cases[i].framed, (struct view){bytes, len}, text, sizeof(text));
		assert_string_equal(text, cases[i].want);
		// Room for less only cuts it off.
		char little[8];
		trace_summary(cases[i].framed, (struct view){bytes, len}, little, sizeof(little));
		assert_memory_equal(little, text, 7);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, ec_start, ec_stop)

int main(void)
{
	fx_eal();
	const struct CMUnitTest tests[] = {T(inbound_outer_and_inner), T(inner_filter), T(outbound),
		T(others_are_left_out), T(drop_reason), T(in_several_segments), T(punted),
		T(at_the_control_thread), T(of_an_earlier_trace), T(held), T(cut_and_too_big),
		T(ends_by_itself), T(one_after_the_other), T(memory_comes_by_and_by), T(bad_starts),
		cmocka_unit_test(names_are_refused), cmocka_unit_test(numbers_are_taken),
		cmocka_unit_test_setup_teardown(handed_over, start_two, ec_stop),
		cmocka_unit_test(summaries)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

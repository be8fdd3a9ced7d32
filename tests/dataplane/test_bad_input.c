// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Malformed and boundary packets, one row each (rows 78 to 93 of the catalogue of bad input by their
// numbers): its named counter moves by one, a trace tells the same reason, every other counter and the
// state of every SA stay as they were, and nothing leaves but what the row says. More about buffers in
// odd shapes: test_bounds.c; path MTU: test_pmtu.c; fragments: test_frag_in.c; sequence numbers at their
// end: test_limits.c; IVs (row 86), of which no packet from outside tells: test_esp.c.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_oracle.h"
#include "tests/dataplane/fixture.h"

#include "dataplane/trace_filter.h"

#include <stdlib.h>

#define INNER  "10.1.0.2"
#define INNER6 "2001:db8:77::2"
#define HOST   "10.99.0.5"
#define HOST6  "2001:db8:99::5"
#define DONE   100 // the last sequence number that has come in before a row
#define NEXT   (DONE + 1)

// A tunnel by each encapsulation; the last one carries IPv6.
static const struct side {
	const char *peer, *gateway, *inner, *host;
	uint16_t port; // the peer's; 0: plain ESP
} sides[] = {
	{"198.51.100.7", "192.0.2.1", INNER, HOST, 0},
	{"198.51.100.8", "192.0.2.1", "10.1.0.3", HOST, 61000},
	{"2001:db8:5::1", "2001:db8:1::1", "10.1.0.4", HOST, 0},
	{"2001:db8:5::2", "2001:db8:1::1", INNER6, HOST6, 61000},
};
#define SIDES RTE_DIM(sides)

enum { P4 = 1, U4 = 2, P6 = 4, U6 = 8, ALL = 15, PLAIN = P4 | P6, UDP = U4 | U6, IN4 = 7, IN6 = 8 };

static struct sa_spec in[SIDES], out[SIDES];
static struct {
	uint8_t bytes[4096];
	size_t len;
	int port;
	size_t each;     // bytes of each of its buffers; 0: all in one
	uint16_t offset; // of the first byte in its buffer
} pk;                    // the packet of a row
static struct {
	uint64_t done, next; // the last one that has come in; the one to come
} number;

static bool v6(const char *address)
{
	return strchr(address, ':') != NULL;
}

#include "tests/dataplane/bad_input_make.inc"
#include "tests/dataplane/bad_input_rows.inc"

// ---- What must not change ----

#define COUNTERS_MAX 256

struct snapshot {
	uint64_t counters[COUNTERS_MAX]; // of "show counters"
	struct sa_counters sa[SIDES][2];
	uint16_t mtu[SIDES];
};

static uint32_t tunnels[SIDES];
static const char *names[COUNTERS_MAX];
static size_t name_count;

static struct snapshot look(void)
{
	struct snapshot s;
	const struct sa_sink *sink = &fx.dp->sa_sink;
	const char *help;
	memset(&s, 0, sizeof(s));
	for (name_count = 0;
		dp_counter(fx.dp, name_count, &names[name_count], &s.counters[name_count], &help);
		name_count++)
		assert_true(name_count + 1 < COUNTERS_MAX);
	for (size_t i = 0; i < SIDES; i++) {
		for (int dir = SA_IN; dir <= SA_OUT; dir++)
			assert_true(sink->sa_stats(
				sink->ctx, in[i].child, (enum sa_dir)dir, &s.sa[i][dir]));
		s.mtu[i] = sink->tunnel_mtu(sink->ctx, tunnels[i]);
	}
	return s;
}

// What an authentic packet that is refused later may move: its number and what is counted by it.
static void allow(struct snapshot *want, const struct snapshot *now, size_t i, enum touches touches)
{
	enum sa_dir dir = touches == SENT ? SA_OUT : SA_IN;
	struct sa_counters *w = &want->sa[i][dir];
	const struct sa_counters *n = &now->sa[i][dir];
	w->auth_failed += touches == AUTH_FAILED;
	w->replayed += touches == REPLAYED;
	w->malformed += touches == MALFORMED || touches == AUTHENTIC_MALFORMED;
	w->selector_mismatch += touches == AUTHENTIC_SELECTOR;
	if (touches < AUTHENTIC)
		return;
	assert_int_equal(n->seq, touches == SENT   ? w->seq + 1
				 : touches == LATE ? number.done
						   : number.next);
	if (touches >= ACCEPTED)
		w->bytes = n->bytes;
	assert_int_equal(n->packets, w->packets + 1);
	w->seq = n->seq;
	w->packets = n->packets;
	w->last_used_ns = n->last_used_ns;
}

static bool left_by(int port)
{
	uint8_t got[4096];
	return fx_output(port, got, sizeof(got)) > 0;
}

static uint64_t *counter(struct snapshot *s, const char *name)
{
	for (size_t i = 0; i < name_count; i++)
		if (strcmp(names[i], name) == 0)
			return &s->counters[i];
	fail_msg("no counter %s", name);
	return NULL;
}

// What moves beside the SA's counters. What answers, resolves or hands over is not told in the row.
static void allow_counters(struct snapshot *want, struct snapshot *now, const struct row *row)
{
	++*counter(want, "dp_rx_packets");
	*counter(want, "dp_esp_in_packets") += row->touches == ACCEPTED || row->touches == LATE;
	*counter(want, "dp_esp_out_packets") += row->touches == SENT;
	if (row->drop != DP_DROP_NONE)
		++*counter(want, dp_drop_name[row->drop]);
	if (row->pmtu)
		++*counter(want, dp_pmtu_name[row->pmtu - 1]);
	// RFC 6040 4.2: what is dropped for it is told as potentially dangerous, too.
	*counter(want, "dp_ecn_alarms") += row->drop == DP_DROP_esp_ecn;
	*counter(want, "dp_tx_packets") = *counter(now, "dp_tx_packets");
	*counter(want, "dp_punts") = *counter(now, "dp_punts");
	for (size_t i = 0; fx.owner && i < name_count; i++)
		if (strncmp(names[i], "dp_handoff_", 11) == 0)
			want->counters[i] = now->counters[i];
}

static void trace_begin(void)
{
	char why[128];
	struct trace_filter *f = malloc(sizeof(*f));
	assert_int_equal(trace_filter_compile("", f, why, sizeof(why)), 0);
	assert_int_equal(
		dp_trace_start(fx.dp, &(struct dp_trace_spec){.filter = f, .packets = 1}), 0);
}

// The packet's way ends as the row says, be it at the control thread; what that one reads or answers ends there.
static void traced(const struct row *row, size_t i, bool punted)
{
	struct dp_trace_row r = {0}, last = {0};
	bool answered = punted && (row->answered || row->drop == DP_DROP_NONE);
	const char *want = row->drop == DP_DROP_NONE || answered ? NULL : dp_drop_name[row->drop];
	size_t n = 0;
	for (; dp_trace_row(fx.dp, n, &r); n++)
		last = r;
	assert_true(n >= 2);
	assert_int_equal(last.stage, want ? DP_TRACE_DROP : answered ? DP_TRACE_PUNT : DP_TRACE_TX);
	if (want && strcmp(last.why, want) != 0)
		fail_msg("row %s, side %zu: traced as %s", row->what, i, last.why);
	assert_int_equal(dp_trace_stop(fx.dp), 1);
}

static void run_row(const struct row *row, size_t i)
{
	number.done = DONE;
	number.next = NEXT;
	pk.each = pk.offset = 0;
	row->make(i, row->arg);
	struct snapshot before = look();
	trace_begin();
	if (pk.each || pk.offset)
		fx_input_parts(pk.port, pk.bytes, pk.len, pk.each,
			pk.offset ? pk.offset : RTE_PKTMBUF_HEADROOM);
	else
		fx_input(pk.port, pk.bytes, pk.len);
	fx_run();
	struct snapshot now = look(), want = before;
	allow(&want, &now, i, row->touches);
	allow_counters(&want, &now, row);
	for (size_t c = 0; c < name_count; c++)
		if (now.counters[c] != want.counters[c])
			fail_msg("row %s, side %zu: %s is %d more, want %d", row->what, i, names[c],
				(int)(now.counters[c] - before.counters[c]),
				(int)(want.counters[c] - before.counters[c]));
	if (memcmp(&now.sa, &want.sa, sizeof(now.sa)) != 0)
		fail_msg("row %s, side %zu: an SA has changed", row->what, i);
	assert_memory_equal(&now.mtu, &want.mtu, sizeof(now.mtu));
	traced(row, i, *counter(&now, "dp_punts") > *counter(&before, "dp_punts"));
	if (left_by(FX_OUTSIDE) != (row->touches == SENT))
		fail_msg("row %s, side %zu: outside", row->what, i);
	if (left_by(FX_INSIDE) !=
		(row->answered || row->touches == ACCEPTED || row->touches == LATE))
		fail_msg("row %s, side %zu: inside", row->what, i);
	assert_int_equal(fx.ike_count, 0);
	assert_null(fx_event(SA_EVENT_PEER_MOVED));
}

static int start(void)
{
	fx_start(1, NIC_HASH_NONE, NIC_HASH_NONE);
	for (size_t i = 0; i < SIDES; i++) {
		tunnels[i] = fx_tunnel(0, sides[i].inner, sides[i].peer, sides[i].port);
		fx_child(tunnels[i], 0, ENCR_AES_GCM_16, 128, 0, sides[i].inner, &in[i], &out[i]);
		for (unsigned seq = DONE - 2; seq <= DONE; seq++) {
			good_esp(i, seq);
			fx_input(pk.port, pk.bytes, pk.len);
			fx_run();
		}
		while (left_by(FX_INSIDE))
			;
	}
	return 0;
}

static void each_row(void **state)
{
	(void)state;
	unsigned runs = 0;
	for (size_t r = 0; r < RTE_DIM(rows); r++) {
		start();
		for (size_t i = 0; i < SIDES; i++) {
			if (!(rows[r].sides & 1u << i))
				continue;
			run_row(&rows[r], i);
			runs++;
		}
		fx_stop();
	}
	print_message("# %zu rows, %u packets\n", RTE_DIM(rows), runs);
	assert_true(RTE_DIM(rows) >= 60);
}

int main(void)
{
	fx_eal();
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_row)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

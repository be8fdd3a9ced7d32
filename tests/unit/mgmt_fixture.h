// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A headend that is made up behind the management socket: a thread that plays the control thread.
#pragma once

#include "tests/cmocka_all.h"

#include "app/mgmt.h"
#include "dataplane/trace_filter.h"

#include <jansson.h>

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <pthread.h>

#define NOW_NS (1000 * NS_PER_S)

static const char *const handoff_names[DP_HANDOFF_CAUSES] = {
	"mispredicted", "sticky", "roaming", "prefix", "fragment"};

struct fake {
	struct mgmt *mgmt;
	pthread_t control;
	atomic_bool stop;
	atomic_bool paused; // the control thread answers nothing
	atomic_uint portions;
	int wake_fd;
	uint64_t sessions;
	enum ike_session_state state; // of each
	uint8_t children;             // of each session with an odd id
	const char *remote_id;
	// what clear was called with
	enum ike_clear clear_by;
	uint64_t clear_id;
	char clear_user[64];
	struct ip_addr clear_address;
	struct ip_addr initiated; // to this peer
	uint64_t session;         // what rekey or reauthenticate was called with
	uint32_t child;
	struct dp_trace_spec trace; // what trace_start was called with, without its filter
	int verdict;                // what they return
	unsigned leases;            // of the first pool
	atomic_uint longest;        // rows that one turn looked at
	unsigned looked;            // in this turn
	atomic_uint most_places;    // without a lease, in one turn
	unsigned places, gap;
	unsigned cleared;      // leases
	char cleared_pool[64]; // of the last one
	struct ip_addr cleared_addr;
	unsigned imported;
	char import_name[64];     // of the last one
	const char *reload_error; // what reading a file says
	unsigned reload_turns;    // that applying it takes
	atomic_uint reloads;      // that were applied
	char dir[64];
};

static inline uint64_t fake_now(void *ctx)
{
	return NOW_NS;
}

static const struct clock_source fake_clock = {.now_ns = fake_now};

static const struct selector lan = {
	.range = {{IP_V4, {10, 99, 0, 0}}, {IP_V4, {10, 99, 0, 255}}}, .port_hi = 65535};
static const struct selector host = {
	.range = {{IP_V4, {171, 72, 1, 7}}, {IP_V4, {171, 72, 1, 7}}}, .port_hi = 65535};

static inline struct ike_child_info fake_child(void)
{
	return (struct ike_child_info){
		.name = "lan",
		.spi_in = 0x0a0b0c0d,
		.spi_out = 0xc0ffee,
		.esp = {.encr = {ENCR_AES_GCM_16, 128}, .esn = true},
		.ts_local = &lan,
		.ts_remote = &host,
		.ts_local_count = 1,
		.ts_remote_count = 1,
		.in = {.packets = 3, .bytes = 300, .seq = 3, .replayed = 1},
		.out = {.packets = 4, .bytes = 400, .seq = 4},
		.installed_ns = NOW_NS - 2 * NS_PER_S,
		.rekey_ns = NOW_NS + 3 * NS_PER_S,
		.expires_ns = NOW_NS - 1,
		.worker = 2,
	};
}

static inline int fake_trace_start(void *ctx, const struct dp_trace_spec *spec)
{
	struct fake *f = ctx;
	f->trace = *spec;
	trace_filter_free(spec->filter);
	free(spec->filter);
	return f->verdict;
}

static inline int fake_trace_stop(void *ctx)
{
	struct fake *f = ctx;
	return f->verdict ? f->verdict : 12;
}

static inline bool fake_trace_row(void *ctx, size_t i, struct dp_trace_row *out)
{
	static const uint8_t bytes[] = {0x45, 0x00, 0xab};
	(void)ctx;
	*out = (struct dp_trace_row){.unix_ns = 1000 + i,
		.packet = 1,
		.stage = i ? DP_TRACE_DROP : DP_TRACE_RX,
		.port = i ? NULL : "outside",
		.why = i ? "dp_drop_runt" : NULL,
		.len = 60,
		.bytes = {bytes, sizeof(bytes)}};
	return i < 2;
}

static inline bool fake_session_next(void *ctx, uint64_t after, struct ike_session_info *out)
{
	struct fake *f = ctx;
	static char text[2][16];
	static char *items[] = {text[0], text[1]};
	static struct cfg_strings groups = {items, 2};
	snprintf(text[0], sizeof(text[0]), "staff");
	snprintf(text[1], sizeof(text[1]), "of %u", (unsigned)after);
	if (after >= f->sessions)
		return false;
	*out = (struct ike_session_info){
		.id = after + 1,
		.connection = "clients",
		.ike_version = 2,
		.state = f->state,
		.remote_id = f->remote_id,
		.user = "user1",
		.group = "staff",
		.mode_config = "push",
		.legacy = after == 0,
		.local = {{IP_V4, {192, 0, 2, 1}}, 4500},
		.remote = {{IP_V4, {192, 0, 2, 10}}, 40000},
		.nat = true,
		.inner = {{IP_V4, {171, 72, 1, 7}}, {IP_V6, {0x20, 1, 0xd, 0xb8, [15] = 1}}},
		.inner_bits = {32, 64},
		.inner_count = 2,
		.groups = &groups,
		.worker = 1,
		.established_ns = NOW_NS - 5 * NS_PER_S,
		.initiator = after == 0,
		.mobike = after == 0,
		.responder_only = after != 0,
		.rekey_ns = NOW_NS + 60 * NS_PER_S,
		.expires_ns = NOW_NS + 3600 * NS_PER_S,
		.bytes_in = 300,
		.bytes_out = 400,
		.packets_in = 3,
		.packets_out = 4,
		.policed_in = 5,
		.policed_out = 6,
		.used_ns = NOW_NS - 3 * NS_PER_S,
		.path_mtu = 1500,
	};
	if (f->state != IKE_SESSION_CONNECTING)
		out->ike = (struct suite){
			.encr = {ENCR_AES_GCM_16, 128}, .prf = PRF_HMAC_SHA2_256, .dh = DH_X25519};
	out->child_count = out->id % 2 ? f->children : 0;
	for (size_t i = 0; i < out->child_count; i++)
		out->children[i] = fake_child();
	return true;
}

// The second one says its error from memory that does not last.
static inline bool fake_connection(void *ctx, size_t i, struct ike_connection_info *out)
{
	static char error[32];
	static const struct ike_connection_info rows[] = {
		{.name = "clients",
			.ikev1 = true,
			.ikev2 = true,
			.responder_only = true,
			.sessions = 7,
			.state = "-"},
		{.name = "branch",
			.ikev2 = true,
			.initiate = CFG_INITIATE_ON_DEMAND,
			.tunnel_interface = true,
			.policy_rules = 3,
			.client_to_client = true,
			.state = "retry",
			.peer = {{IP_V4, {198, 51, 100, 7}}, 500},
			.attempts = 3,
			.next_try_ns = NOW_NS + 8 * NS_PER_S,
			.last_error = error,
			.held = 12},
		{.name = "hub", .ikev1 = true, .initiate = CFG_INITIATE_START, .state = "up"},
		{.name = "site", .ikev2 = true, .state = "-", .last_error = ""},
	};
	snprintf(error, sizeof(error), "%s", i == 1 ? "no answer" : "something else");
	if (i >= sizeof(rows) / sizeof(rows[0]))
		return false;
	*out = rows[i];
	return true;
}

static inline bool fake_pool(void *ctx, size_t i, struct pool_stats *out)
{
	*out = (struct pool_stats){.name = i ? "ire6" : "ire",
		.size = i ? UINT64_MAX : 254,
		.free = 250,
		.in_use = 3,
		.lingering = 1,
		.quarantined = 2,
		.memory_only = 3,
		.giver_bad = 4};
	return i < 2;
}

static inline bool fake_pool_range(void *ctx, size_t i, size_t k, struct ip_range *out)
{
	(void)ctx;
	*out = k ? (struct ip_range){{IP_V4, {171, 72, 2, 0}}, {IP_V4, {171, 72, 2, 9}}}
		 : lan.range;
	return i ? k < 1 : k < 2;
}

// The n-th is 10.0.0.0 + n; every third one lingers for "b,1", every fifth is nobody's.
// There are f->gap places without a lease before each.
static inline bool fake_lease_next(
	void *ctx, size_t pool, struct lease_walk *w, struct lease_info *out)
{
	struct fake *f = ctx;
	static const uint8_t key[] = {0, 2, 'a'};
	while (w->cursor % (f->gap + 1) != f->gap && w->looks &&
		w->cursor < f->leases * (f->gap + 1)) {
		w->cursor++;
		w->looks--;
		f->places++;
	}
	uint64_t n = w->cursor / (f->gap + 1);
	w->end = pool || n >= f->leases;
	if (w->end || !w->looks)
		return false;
	f->looked++;
	w->cursor++;
	w->looks--;
	*out = (struct lease_info){.addr = ip_from_v4(0x0a000000 + (uint32_t)n),
		.prefix_len = 32,
		.state = n % 3 ? LEASE_ACTIVE : LEASE_LINGERING,
		.owner = n % 3 ? "a" : "b,1",
		.key = {key, sizeof(key)},
		.session = n % 3 ? 7 : 0,
		.since_ns = NOW_NS - 9 * NS_PER_S,
		.until_ns = n % 3 ? 0 : NOW_NS + 60 * NS_PER_S};
	if (n % 5 == 4) {
		out->anonymous = true;
		out->owner = NULL;
		out->key.len = 0;
	}
	return true;
}

static inline size_t fake_lease_clear(void *ctx, const struct lease_clearing *c)
{
	struct fake *f = ctx;
	f->cleared++;
	snprintf(f->cleared_pool, sizeof(f->cleared_pool), "%s", c->pool ? c->pool : "-");
	f->cleared_addr = c->addr;
	return c->addr.bytes[3] == 250 ? 0 : 1;
}

// 10.9.9.9 is somebody else's.
static inline int fake_lease_import(void *ctx, const struct lease_row *row, bool check)
{
	struct fake *f = ctx;
	if (row->addr.bytes[1] == 9)
		return -EEXIST;
	f->imported += !check;
	snprintf(f->import_name, sizeof(f->import_name), "%s %02x%02x /%u %s", row->name,
		row->owner.p[0], row->owner.p[row->owner.len - 1], row->prefix_len,
		row->pool ? row->pool : "-");
	return 0;
}

static inline void fake_reload_read(void *ctx, struct mgmt_reload *r)
{
	struct fake *f = ctx;
	r->error = f->reload_error;
	r->messages = strdup("f:1: warning: nothing\nf:2: warning: more");
	r->changes[0] = (struct mgmt_change){"pools[0].ranges", true};
	r->changes[1] = (struct mgmt_change){"main.idle", false};
	r->change_count = r->error ? 2 : 1;
}

static inline bool fake_reload_apply(void *ctx, struct mgmt_reload *r)
{
	struct fake *f = ctx;
	if (++r->step < f->reload_turns)
		return false;
	atomic_fetch_add(&f->reloads, 1);
	return true;
}

static inline bool fake_port(void *ctx, size_t i, struct dp_port_info *out)
{
	static char first[] = "net_tap0", second[] = "net_tap1";
	static char *const members[] = {first, second};
	*out = (struct dp_port_info){.name = "outside",
		.driver = "net_tap",
		.vlan = 10,
		.members = members,
		.member_count = 2,
		.removed = true,
		.removals = 3,
		.exception = "ssh0",
		.exception_to = 11,
		.exception_from = 12,
		.rss = "by SPI",
		.rss_right = 8,
		.rss_wrong = 9,
		.link = true,
		.speed_mbps = 10000,
		.mac = {2, 0, 0, 0, 1, 0xab},
		.mtu = 1500,
		.queues = 2,
		.rx_packets = 1,
		.tx_packets = 2,
		.rx_bytes = 3,
		.tx_bytes = 4,
		.missed = 5,
		.errors = 6,
		.no_mbuf = 7};
	return i < 1;
}

static inline bool fake_worker(void *ctx, size_t i, struct dp_worker_info *out)
{
	*out = (struct dp_worker_info){
		.id = (uint16_t)i, .lcore = 1, .handoff_out = {[DP_HANDOFF_STICKY] = 9}, .sas = 2};
	if (i == 1) {
		out->busy_cycles = 3000;
		out->busy_packets = 12;
		out->busy_polls = 8;
		out->idle_cycles = 9000;
		out->stage_cycles[DP_STAGE_ESP_IN] = 500;
		out->stage_packets = 4;
	}
	return i < 2;
}

static inline bool fake_counter(void *ctx, size_t i, const char **name, uint64_t *value)
{
	static char names[300][16];
	if (i >= 300)
		return false;
	snprintf(names[i], sizeof(names[i]), "counter_%zu", i);
	*name = names[i];
	*value = i * 10;
	return true;
}

static inline void fake_status(void *ctx, struct mgmt_status *out)
{
	*out = (struct mgmt_status){.ike = {.sessions = 7, .half_open = 1},
		.workers = 2,
		.started_ns = NOW_NS - 60 * NS_PER_S};
	const struct fake *f = ctx;
	out->leases_stored = f->leases > 0;
	out->leases = (struct lease_store_stats){
		.rows = f->leases, .waiting = 5, .commit_ns = 7000, .degraded = f->leases > 1};
}

// Found in three portions.
static inline size_t fake_clear(void *ctx, struct ike_clearing *c)
{
	struct fake *f = ctx;
	f->clear_by = c->what;
	f->clear_id = c->id;
	snprintf(f->clear_user, sizeof(f->clear_user), "%s", c->user);
	f->clear_address = *c->address;
	c->last = 77;
	c->done = c->what == IKE_CLEAR_ID || ++c->cursor == 3;
	return c->what == IKE_CLEAR_ID && c->id > f->sessions ? 0 : 1;
}

static inline uint64_t fake_initiate(
	void *ctx, const char *connection, const struct ip_addr *peer, const char **why)
{
	struct fake *f = ctx;
	f->initiated = peer ? *peer : (struct ip_addr){0};
	*why = "nobody knows it";
	return strcmp(connection, "branch") == 0 ? 42 : 0;
}

static inline int fake_rekey(void *ctx, uint64_t session, uint32_t child)
{
	struct fake *f = ctx;
	f->session = session;
	f->child = child;
	return f->verdict;
}

static inline int fake_reauthenticate(void *ctx, uint64_t session)
{
	struct fake *f = ctx;
	f->session = session;
	return f->verdict;
}

static inline void *control(void *arg)
{
	struct fake *f = arg;
	while (!atomic_load(&f->stop)) {
		struct pollfd p = {f->wake_fd, POLLIN, 0};
		uint64_t n;
		if (poll(&p, 1, 50) > 0 && read(f->wake_fd, &n, sizeof(n)) != sizeof(n))
			abort();
		while (!atomic_load(&f->paused) && mgmt_turn(f->mgmt)) {
			atomic_fetch_add(&f->portions, 1);
			f->longest = f->looked > f->longest ? f->looked : f->longest;
			f->looked = 0;
			f->most_places = f->places > f->most_places ? f->places : f->most_places;
			f->places = 0;
		}
	}
	return NULL;
}

static inline int setup(void **state)
{
	struct fake *f = calloc(1, sizeof(*f));
	f->wake_fd = eventfd(0, EFD_NONBLOCK);
	f->sessions = 1;
	f->state = IKE_SESSION_ESTABLISHED;
	f->children = 1;
	f->remote_id = "client@example";
	snprintf(f->dir, sizeof(f->dir), "/tmp/sallyport-test-mgmt-%d", getpid());
	struct mgmt_provider p = {
		.ctx = f,
		.session_next = fake_session_next,
		.connection = fake_connection,
		.pool = fake_pool,
		.pool_range = fake_pool_range,
		.lease_next = fake_lease_next,
		.lease_clear = fake_lease_clear,
		.lease_import = fake_lease_import,
		.reload_read = fake_reload_read,
		.reload_apply = fake_reload_apply,
		.port = fake_port,
		.worker = fake_worker,
		.counter = fake_counter,
		.status = fake_status,
		.clear = fake_clear,
		.initiate = fake_initiate,
		.rekey = fake_rekey,
		.reauthenticate = fake_reauthenticate,
		.trace_start = fake_trace_start,
		.trace_stop = fake_trace_stop,
		.trace_row = fake_trace_row,
		.handoff_names = handoff_names,
		.clock = &fake_clock,
	};
	if (mgmt_new(f->dir, &p, f->wake_fd, &f->mgmt))
		return -1;
	pthread_create(&f->control, NULL, control, f);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fake *f = *state;
	char lock[96];
	atomic_store(&f->stop, true);
	pthread_join(f->control, NULL);
	mgmt_free(f->mgmt);
	snprintf(lock, sizeof(lock), "%s/sallyportd.lock", f->dir);
	unlink(lock);
	// Only an empty directory can go: the socket has gone with its server.
	int rc = rmdir(f->dir);
	close(f->wake_fd);
	free(f);
	return rc;
}

static inline int dial(const struct fake *f)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = 5};
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/" MGMT_SOCKET, f->dir);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static inline void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

// One line as JSON.
static inline json_t *hear(int fd)
{
	size_t cap = 1 << 22, len = 0;
	char *line = malloc(cap);
	while (len < cap) {
		ssize_t n = recv(fd, line + len, 1, 0);
		if (n != 1 || line[len] == '\n')
			break;
		len++;
	}
	json_t *j = json_loadb(line, len, 0, NULL);
	free(line);
	return j;
}

static inline json_t *request(const struct fake *f, const char *text)
{
	int fd = dial(f);
	say(fd, text);
	json_t *j = hear(fd);
	close(fd);
	assert_non_null(j);
	return j;
}

static inline json_t *show(const struct fake *f, const char *what)
{
	char text[128];
	snprintf(text, sizeof(text), "{\"command\":\"show\",\"what\":\"%s\"}\n", what);
	return request(f, text);
}

// The value as compact text equals want; the reference to j is kept.
static inline void check_json(const json_t *j, const char *want)
{
	char *s = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
	assert_non_null(s);
	assert_string_equal(s, want);
	free(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

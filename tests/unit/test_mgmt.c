// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The management socket against a headend that is made up: a thread that plays the control thread.
#include "tests/cmocka_all.h"

#include "app/mgmt.h"

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
#include <time.h>
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
	char dir[64];
};

static uint64_t fake_now(void *ctx)
{
	return NOW_NS;
}

static const struct clock_source fake_clock = {.now_ns = fake_now};

static const struct selector lan = {
	.range = {{IP_V4, {10, 99, 0, 0}}, {IP_V4, {10, 99, 0, 255}}}, .port_hi = 65535};
static const struct selector host = {
	.range = {{IP_V4, {171, 72, 1, 7}}, {IP_V4, {171, 72, 1, 7}}}, .port_hi = 65535};

static struct ike_child_info fake_child(void)
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
	};
}

static bool fake_session_next(void *ctx, uint64_t after, struct ike_session_info *out)
{
	struct fake *f = ctx;
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
		.inner_count = 2,
		.worker = 1,
		.ike = {.encr = {ENCR_AES_GCM_16, 128}, .prf = PRF_HMAC_SHA2_256, .dh = DH_X25519},
		.established_ns = NOW_NS - 5 * NS_PER_S,
		.bytes_in = 300,
		.bytes_out = 400,
		.packets_in = 3,
		.packets_out = 4,
	};
	out->child_count = out->id % 2 ? f->children : 0;
	for (size_t i = 0; i < out->child_count; i++)
		out->children[i] = fake_child();
	return true;
}

static bool fake_pool(void *ctx, size_t i, struct pool_stats *out)
{
	*out = (struct pool_stats){.name = i ? "ire6" : "ire",
		.size = i ? UINT64_MAX : 254,
		.free = 250,
		.in_use = 3,
		.lingering = 1};
	return i < 2;
}

static bool fake_port(void *ctx, size_t i, struct dp_port_info *out)
{
	*out = (struct dp_port_info){.name = "outside",
		.driver = "net_tap",
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

static bool fake_worker(void *ctx, size_t i, struct dp_worker_info *out)
{
	*out = (struct dp_worker_info){
		.id = (uint16_t)i, .lcore = 1, .handoff_out = {[DP_HANDOFF_STICKY] = 9}, .sas = 2};
	return i < 2;
}

static bool fake_counter(void *ctx, size_t i, const char **name, uint64_t *value)
{
	static char names[300][16];
	if (i >= 300)
		return false;
	snprintf(names[i], sizeof(names[i]), "counter_%zu", i);
	*name = names[i];
	*value = i * 10;
	return true;
}

static void fake_status(void *ctx, struct mgmt_status *out)
{
	*out = (struct mgmt_status){.ike = {.sessions = 7, .half_open = 1},
		.workers = 2,
		.started_ns = NOW_NS - 60 * NS_PER_S};
}

// Found in three portions.
static size_t fake_clear(void *ctx, struct ike_clearing *c)
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

static uint64_t fake_initiate(
	void *ctx, const char *connection, const struct ip_addr *peer, const char **why)
{
	struct fake *f = ctx;
	f->initiated = *peer;
	*why = "nobody knows it";
	return strcmp(connection, "branch") == 0 ? 42 : 0;
}

static void *control(void *arg)
{
	struct fake *f = arg;
	while (!atomic_load(&f->stop)) {
		struct pollfd p = {f->wake_fd, POLLIN, 0};
		uint64_t n;
		if (poll(&p, 1, 50) > 0 && read(f->wake_fd, &n, sizeof(n)) != sizeof(n))
			abort();
		while (!atomic_load(&f->paused) && mgmt_turn(f->mgmt))
			atomic_fetch_add(&f->portions, 1);
	}
	return NULL;
}

static int setup(void **state)
{
	struct fake *f = calloc(1, sizeof(*f));
	f->wake_fd = eventfd(0, EFD_NONBLOCK);
	f->sessions = 1;
	f->state = IKE_SESSION_ESTABLISHED;
	f->children = 1;
	f->remote_id = "client@example";
	snprintf(f->dir, sizeof(f->dir), "/tmp/sallyport-test-mgmt-%d", getpid());
	struct mgmt_provider p = {f, fake_session_next, fake_pool, fake_port, fake_worker,
		fake_counter, fake_status, fake_clear, fake_initiate, handoff_names, &fake_clock};
	if (mgmt_new(f->dir, &p, f->wake_fd, &f->mgmt))
		return -1;
	pthread_create(&f->control, NULL, control, f);
	*state = f;
	return 0;
}

static int teardown(void **state)
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

static int dial(const struct fake *f)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = 5};
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/" MGMT_SOCKET, f->dir);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

// One line as JSON.
static json_t *hear(int fd)
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

static json_t *request(const struct fake *f, const char *text)
{
	int fd = dial(f);
	say(fd, text);
	json_t *j = hear(fd);
	close(fd);
	assert_non_null(j);
	return j;
}

static json_t *show(const struct fake *f, const char *what)
{
	char text[128];
	snprintf(text, sizeof(text), "{\"command\":\"show\",\"what\":\"%s\"}\n", what);
	return request(f, text);
}

// The value as compact text equals want; the reference to j is kept.
static void check_json(const json_t *j, const char *want)
{
	char *s = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
	assert_non_null(s);
	assert_string_equal(s, want);
	free(s);
}

static void test_modes(void **state)
{
	struct fake *f = *state;
	char path[96];
	struct stat st;
	assert_int_equal(stat(f->dir, &st), 0);
	assert_int_equal(st.st_mode & 0027, 0);
	snprintf(path, sizeof(path), "%s/" MGMT_SOCKET, f->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_one_process_a_directory(void **state)
{
	struct fake *f = *state;
	struct mgmt_provider p = {.clock = &fake_clock};
	struct mgmt *second = NULL;
	assert_int_equal(mgmt_new(f->dir, &p, f->wake_fd, &second), -EBUSY);
	assert_null(second);
	json_decref(show(f, "status")); // the first one's socket is still there
}

static void test_sessions(void **state)
{
	json_t *j = show(*state, "sessions");
	check_json(j,
		"{\"sessions\":[{\"id\":1,\"connection\":\"clients\",\"ike_version\":2,"
		"\"state\":\"established\",\"remote_id\":\"client@example\",\"user\":\"user1\",\"group\":\"staff\",\"mode_config\":\"push\","
		"\"remote_addr\":\"192.0.2.10\",\"remote_port\":40000,\"nat\":true,"
		"\"inner_addrs\":[\"171.72.1.7\",\"2001:db8::1\"],\"worker\":1,"
		"\"established_s\":5,\"bytes_in\":300,\"bytes_out\":400,\"packets_in\":3,"
		"\"packets_out\":4,\"ike\":\"aes128gcm16-prfsha256-x25519\",\"legacy\":true,"
		"\"child_sas\":[{\"name\":\"lan\","
		"\"spi_in\":\"0x0a0b0c0d\",\"spi_out\":\"0x00c0ffee\","
		"\"esp\":\"aes128gcm16-esn\",\"legacy\":false,\"ts_local\":[\"10.99.0.0/24\"],"
		"\"ts_remote\":[\"171.72.1.7/32\"]}]}]}");
	json_decref(j);
}

static void test_session_states(void **state)
{
	static const struct {
		enum ike_session_state state;
		const char *text;
	} rows[] = {{IKE_SESSION_CONNECTING, "connecting"},
		{IKE_SESSION_ESTABLISHED, "established"}, {IKE_SESSION_REKEYING, "rekeying"},
		{IKE_SESSION_EXPIRED, "expired"}, {IKE_SESSION_DELETING, "deleting"}};
	struct fake *f = *state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		f->state = rows[i].state;
		json_t *j = show(f, "sessions");
		json_t *s = json_array_get(json_object_get(j, "sessions"), 0);
		assert_string_equal(json_string_value(json_object_get(s, "state")), rows[i].text);
		json_decref(j);
	}
}

static void test_no_sessions(void **state)
{
	struct fake *f = *state;
	f->sessions = 0;
	json_t *j = show(f, "sessions");
	check_json(j, "{\"sessions\":[]}");
	json_decref(j);
}

static void test_long_list_comes_in_portions(void **state)
{
	struct fake *f = *state;
	f->sessions = 2000;
	json_t *j = show(f, "sessions");
	json_t *list = json_object_get(j, "sessions");
	assert_int_equal(json_array_size(list), 2000);
	for (size_t i = 0; i < 2000; i++)
		assert_int_equal(
			json_integer_value(json_object_get(json_array_get(list, i), "id")), i + 1);
	json_decref(j);
	assert_true(atomic_load(&f->portions) >= 2000 / 128);
}

static void test_sas(void **state)
{
	struct fake *f = *state;
	f->sessions = 1000; // every second one has no child SA
	f->children = 3;
	json_t *j = show(f, "sa");
	json_t *list = json_object_get(j, "sas");
	assert_int_equal(json_array_size(list), 500 * 3);
	json_t *last = json_array_get(list, 1499);
	check_json(json_object_get(last, "session"), "999");
	check_json(json_object_get(last, "spi_in"), "\"0x0a0b0c0d\"");
	check_json(json_object_get(last, "packets_out"), "4");
	check_json(json_object_get(last, "replayed"), "1");
	check_json(json_object_get(last, "esn"), "true");
	check_json(json_object_get(last, "legacy"), "false");
	check_json(json_object_get(last, "installed_s"), "2");
	json_decref(j);
}

static void test_names_that_are_not_utf8(void **state)
{
	struct fake *f = *state;
	f->remote_id = "a\xff\xfe\"b";
	json_t *j = show(f, "sessions");
	json_t *s = json_array_get(json_object_get(j, "sessions"), 0);
	const char *id = json_string_value(json_object_get(s, "remote_id"));
	assert_non_null(id);
	assert_non_null(strstr(id, "\\x"));
	json_decref(j);
}

static void test_pools(void **state)
{
	json_t *j = show(*state, "pools");
	json_t *list = json_object_get(j, "pools");
	assert_int_equal(json_array_size(list), 2);
	json_t *p = json_array_get(list, 0);
	check_json(json_object_get(p, "name"), "\"ire\"");
	check_json(json_object_get(p, "size"), "254");
	check_json(json_object_get(p, "free"), "250");
	check_json(json_object_get(p, "in_use"), "3");
	check_json(json_object_get(p, "lingering"), "1");
	check_json(json_object_get(json_array_get(list, 1), "size"), "9223372036854775807");
	json_decref(j);
}

static void test_ports(void **state)
{
	json_t *j = show(*state, "ports");
	check_json(j, "{\"ports\":[{\"name\":\"outside\",\"driver\":\"net_tap\",\"link\":true,"
		      "\"speed_mbps\":10000,\"mac\":\"02:00:00:00:01:ab\",\"mtu\":1500,"
		      "\"socket\":0,\"queues\":2,\"rx_packets\":1,\"tx_packets\":2,"
		      "\"rx_bytes\":3,\"tx_bytes\":4,\"missed\":5,\"errors\":6,"
		      "\"no_mbuf\":7}]}");
	json_decref(j);
}

static void test_workers(void **state)
{
	json_t *j = show(*state, "workers");
	json_t *list = json_object_get(j, "workers");
	assert_int_equal(json_array_size(list), 2);
	check_json(json_object_get(json_array_get(list, 1), "id"), "1");
	check_json(json_object_get(json_array_get(list, 1), "handoff_out"),
		"{\"mispredicted\":0,\"sticky\":9,\"roaming\":0,\"prefix\":0,\"fragment\":0}");
	json_decref(j);
}

static void test_counters(void **state)
{
	json_t *j = show(*state, "counters");
	json_t *counters = json_object_get(j, "counters");
	assert_int_equal(json_object_size(counters), 300);
	check_json(json_object_get(counters, "counter_0"), "0");
	check_json(json_object_get(counters, "counter_299"), "2990");
	json_decref(j);
}

static void test_status(void **state)
{
	json_t *j = show(*state, "status");
	json_t *s = json_object_get(j, "status");
	check_json(json_object_get(s, "uptime_s"), "60");
	check_json(json_object_get(s, "sessions"), "7");
	check_json(json_object_get(s, "half_open"), "1");
	check_json(json_object_get(s, "workers"), "2");
	check_json(json_object_get(s, "cookies"), "false");
	json_decref(j);
}

static void test_clear(void **state)
{
	struct fake *f = *state;
	json_t *j = request(f, "{\"command\":\"clear\",\"what\":\"session\",\"by\":\"id\","
			       "\"value\":1}\n");
	check_json(j, "{\"cleared\":1}");
	assert_int_equal(f->clear_by, IKE_CLEAR_ID);
	assert_int_equal(f->clear_id, 1);
	json_decref(j);

	j = request(f, "{\"command\":\"clear\",\"what\":\"session\",\"by\":\"user\","
		       "\"value\":\"user1\"}\n");
	check_json(j, "{\"cleared\":3}");
	assert_int_equal(f->clear_by, IKE_CLEAR_USER);
	assert_string_equal(f->clear_user, "user1");
	json_decref(j);

	j = request(f, "{\"command\":\"clear\",\"what\":\"session\",\"by\":\"address\","
		       "\"value\":\"2001:db8::1\"}\n");
	check_json(j, "{\"cleared\":3}");
	assert_int_equal(f->clear_by, IKE_CLEAR_ADDRESS);
	assert_int_equal(f->clear_address.family, IP_V6);
	json_decref(j);

	j = request(f, "{\"command\":\"clear\",\"what\":\"session\",\"by\":\"all\"}\n");
	check_json(j, "{\"cleared\":3}");
	assert_int_equal(f->clear_by, IKE_CLEAR_ALL);
	json_decref(j);

	j = request(f, "{\"command\":\"clear\",\"what\":\"session\",\"by\":\"id\","
		       "\"value\":99}\n");
	check_json(j, "{\"error\":\"no such session\"}");
	json_decref(j);
}

static void test_initiate(void **state)
{
	struct fake *f = *state;
	struct ip_addr want;
	json_t *j = request(f, "{\"command\":\"initiate\",\"connection\":\"branch\","
			       "\"address\":\"198.51.100.7\"}\n");
	check_json(j, "{\"initiated\":42}");
	assert_int_equal(ip_parse("198.51.100.7", &want), 0);
	assert_true(ip_eq(&f->initiated, &want));
	json_decref(j);
	j = request(f, "{\"command\":\"initiate\",\"connection\":\"other\","
		       "\"address\":\"198.51.100.7\"}\n");
	check_json(j, "{\"error\":\"nobody knows it\"}");
	json_decref(j);
}

static void test_bad_requests(void **state)
{
	static const char *const bad[] = {
		"\n",
		"nonsense\n",
		"[]\n",
		"5\n",
		"{}\n",
		"{\"command\":5}\n",
		"{\"command\":\"reboot\"}\n",
		"{\"command\":\"show\"}\n",
		"{\"command\":\"show\",\"what\":\"everything\"}\n",
		"{\"command\":\"clear\",\"what\":\"session\"}\n",
		"{\"command\":\"clear\",\"what\":\"pool\",\"by\":\"all\"}\n",
		"{\"command\":\"clear\",\"what\":\"session\",\"by\":\"id\",\"value\":\"1\"}\n",
		"{\"command\":\"clear\",\"what\":\"session\",\"by\":\"id\",\"value\":-1}\n",
		"{\"command\":\"clear\",\"what\":\"session\",\"by\":\"user\",\"value\":\"\"}\n",
		("{\"command\":\"clear\",\"what\":\"session\",\"by\":\"address\","
		 "\"value\":\"10.0.0.0/8\"}\n"),
		"{\"command\":\"initiate\"}\n",
		"{\"command\":\"initiate\",\"connection\":\"\",\"address\":\"192.0.2.1\"}\n",
		"{\"command\":\"initiate\",\"connection\":\"c\",\"address\":\"somewhere\"}\n",
	};
	struct fake *f = *state;
	int fd = dial(f);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		say(fd, bad[i]);
		json_t *j = hear(fd); // the connection stays usable
		assert_non_null(json_object_get(j, "error"));
		json_decref(j);
	}
	close(fd);
	const char *name;
	uint64_t value;
	assert_true(mgmt_counter(f->mgmt, 1, &name, &value));
	assert_string_equal(name, "mgmt_bad_requests");
	assert_int_equal(value, sizeof(bad) / sizeof(bad[0]));
	assert_false(mgmt_counter(f->mgmt, 4, &name, &value));
}

static void test_request_too_long(void **state)
{
	char text[MGMT_REQUEST_MAX + 1];
	memset(text, ' ', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	int fd = dial(*state);
	say(fd, text);
	json_t *j = hear(fd);
	check_json(j, "{\"error\":\"the request is too long\"}");
	json_decref(j);
	char byte;
	assert_int_equal(recv(fd, &byte, 1, 0), 0); // and it is closed
	close(fd);
}

static void test_several_requests_in_one_write(void **state)
{
	int fd = dial(*state);
	say(fd, "{\"command\":\"show\",\"what\":\"status\"}\n"
		"{\"command\":\"show\",\"what\":\"pools\"}\n{\"command\":\"show\"");
	json_t *j = hear(fd);
	assert_non_null(json_object_get(j, "status"));
	json_decref(j);
	j = hear(fd);
	assert_non_null(json_object_get(j, "pools"));
	json_decref(j);
	say(fd, ",\"what\":\"ports\"}\n");
	j = hear(fd);
	assert_non_null(json_object_get(j, "ports"));
	json_decref(j);
	close(fd);
}

static void test_half_closed_client_gets_its_reply(void **state)
{
	int fd = dial(*state);
	say(fd, "{\"command\":\"show\",\"what\":\"status\"}\n");
	shutdown(fd, SHUT_WR);
	json_t *j = hear(fd);
	assert_non_null(json_object_get(j, "status"));
	json_decref(j);
	char byte;
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	close(fd);
}

// A client that asks for a long list and reads nothing costs a bounded number of portions, and
// others are served meanwhile.
static void test_client_that_never_reads(void **state)
{
	struct fake *f = *state;
	f->sessions = 100000;
	int deaf = dial(f);
	say(deaf, "{\"command\":\"show\",\"what\":\"sessions\"}\n");
	unsigned before = 0;
	for (int i = 0; i < 50; i++) {
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
		unsigned now = atomic_load(&f->portions);
		if (now == before && now)
			break;
		before = now;
	}
	assert_true(atomic_load(&f->portions) < 100);
	json_decref(show(f, "status"));
	close(deaf);
	json_decref(show(f, "status"));
}

static void test_clients_are_bounded(void **state)
{
	struct fake *f = *state;
	int fds[MGMT_CLIENTS_MAX];
	for (size_t i = 0; i < MGMT_CLIENTS_MAX; i++) {
		fds[i] = dial(f);
		say(fds[i], "{\"command\":\"show\",\"what\":\"status\"}\n");
		json_decref(hear(fds[i]));
	}
	int extra = dial(f);
	char byte;
	assert_int_equal(recv(extra, &byte, 1, 0), 0);
	close(extra);
	for (size_t i = 0; i < MGMT_CLIENTS_MAX; i++)
		close(fds[i]);
	json_t *j = NULL;
	for (int i = 0; i < 20 && !j; i++) {
		int fd = dial(f);
		if (send(fd, "{\"command\":\"show\",\"what\":\"status\"}\n", 36, MSG_NOSIGNAL) > 0)
			j = hear(fd);
		close(fd);
	}
	assert_non_null(j);
	json_decref(j);
}

// The client goes while the control thread has its question: nothing leaks, nothing is used twice.
static void test_client_goes_with_a_call_in_flight(void **state)
{
	struct fake *f = *state;
	atomic_store(&f->paused, true);
	for (int i = 0; i < 4; i++) {
		int fd = dial(f);
		say(fd, "{\"command\":\"show\",\"what\":\"sessions\"}\n");
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
		close(fd);
	}
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	atomic_store(&f->paused, false);
	json_decref(show(f, "status"));
}

static void test_stop_with_a_call_in_flight(void **state)
{
	struct fake *f = *state;
	atomic_store(&f->paused, true);
	int fd = dial(f);
	say(fd, "{\"command\":\"show\",\"what\":\"sessions\"}\n");
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_modes),
		TEST(test_one_process_a_directory),
		TEST(test_sessions),
		TEST(test_session_states),
		TEST(test_no_sessions),
		TEST(test_long_list_comes_in_portions),
		TEST(test_sas),
		TEST(test_names_that_are_not_utf8),
		TEST(test_pools),
		TEST(test_ports),
		TEST(test_workers),
		TEST(test_counters),
		TEST(test_status),
		TEST(test_clear),
		TEST(test_initiate),
		TEST(test_bad_requests),
		TEST(test_request_too_long),
		TEST(test_several_requests_in_one_write),
		TEST(test_half_closed_client_gets_its_reply),
		TEST(test_client_that_never_reads),
		TEST(test_clients_are_bounded),
		TEST(test_client_goes_with_a_call_in_flight),
		TEST(test_stop_with_a_call_in_flight),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

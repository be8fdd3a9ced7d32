// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// clients_tool GATEWAY FIRST-ADDRESS IKEV2 IKEV1: so many clients in one engine, each with an identity
// and an outer address of its own, over a UDP socket; their ESP goes nowhere. They are c1.example,
// c2.example ... and have one key, "the key of everybody". The first IKEV2 of them speak IKEv2; the others
// IKEv1: main mode, XAUTH as user c7 ("the password of c7"), and they ask for their address.
// For tests/interop/thousand.sh.
//
// Standard input is a command a line; each is answered by lines, and then a line with a dot:
//	connect FIRST COUNT      from now on they connect, and again whenever their session has ended
//	leave FIRST COUNT        they say goodbye
//	mark                     what was until now does not count
//	wait COUNT SECONDS       until COUNT have connected since the mark: how many have, and the
//				 milliseconds since then
//	claim N                  an IKEv1 client connects anew and asks for nothing: it claims the address
//				 that it was told
//	table                    of those that were ever told an address: identity, the first and the
//				 latest address that they were told, "up" or "down"
//	counters                 of the engine that are not 0
//	quit
#include "base/log.h"
#include "controlplane/controlplane.h"
#include "tests/fakes/sink.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>

#define CLIENTS_MAX   60000
#define UNDER_WAY_MAX 200             // at once
#define GIVE_UP_NS    (8 * NS_PER_S)  // of an attempt
#define AGAIN_NS      (NS_PER_S)      // after one that failed
#define LOOK_NS       (5 * NS_PER_MS) // at the clients
#define BATCH         64              // datagrams of a turn
#define NAME_MAX_LEN  16

struct client {
	char name[NAME_MAX_LEN]; // of its connection
	struct cfg_connection *conf;
	struct endpoint local;
	bool wanted, up;
	bool claims;                  // asks for no address
	uint64_t session;             // 0: none
	uint64_t begun_ns, next_ns;   // of the attempt, not before
	uint64_t up_ns;               // since when it is up
	struct ip_addr first, latest; // that it was told; family 0: none yet
};

struct tool {
	struct endpoint gateway;
	struct client *clients; // by outer address
	unsigned count, ikev1_from;
	struct cfg *cfg;
	struct ike_credentials *credentials;
	struct address_source addresses; // nobody asks
	uint8_t secret[32];              // of RFC 6290: without one a peer's token is not asked for
	struct fake_sink sink;
	struct ike_helpers *helpers;
	struct ike_engine *engine;
	int socket, wake_fd;
	uint64_t look_ns, mark_ns;
	unsigned wait_count; // 0: nobody waits
	uint64_t wait_ns;
	char line[256];
	size_t line_len;
	bool end;
};

static void die(const char *what)
{
	fprintf(stderr, "clients_tool: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	return clock_now_ns(&clock_system);
}

// ---- the wire ----------------------------------------------------------------------------------

static int socket_open(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(IKE_UDP_PORT)};
	int on = 1, room = 8 << 20;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0 ||
		bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		die("socket");
	return fd;
}

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

static void wire_send(void *ctx, const struct ike_datagram *d)
{
	struct tool *t = ctx;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(d->remote.port)};
	struct iovec part = {(void *)(uintptr_t)d->bytes.p, d->bytes.len};
	union control c = {.header = {.cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo)),
				   .cmsg_level = IPPROTO_IP,
				   .cmsg_type = IP_PKTINFO}};
	struct in_pktinfo from = {.ipi_spec_dst.s_addr = htonl(ip_to_v4(&d->local.addr))};
	struct msghdr m = {&to, sizeof(to), &part, 1, &c, sizeof(c), 0};
	to.sin_addr.s_addr = htonl(ip_to_v4(&d->remote.addr));
	memcpy(CMSG_DATA(&c.header), &from, sizeof(from));
	// What finds no room is lost, as on any wire.
	if (sendmsg(t->socket, &m, 0) < 0 && errno != EAGAIN && errno != ENOBUFS)
		die("sendmsg");
}

// The client of that outer address, or NULL.
static struct client *client_at(struct tool *t, const struct ip_addr *a)
{
	uint32_t i = ip_to_v4(a) - ip_to_v4(&t->clients[0].local.addr);
	return i < t->count ? &t->clients[i] : NULL;
}

static void client_look(struct tool *t, struct client *c);

static bool wire_receive(struct tool *t)
{
	static uint8_t bytes[DATAGRAM_MAX];
	struct sockaddr_in from;
	struct iovec part = {bytes, sizeof(bytes)};
	union control c;
	struct in_pktinfo to;
	struct msghdr m = {&from, sizeof(from), &part, 1, &c, sizeof(c), 0};
	ssize_t n = recvmsg(t->socket, &m, 0);
	struct cmsghdr *h = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
	if (n < 0 || !h || h->cmsg_type != IP_PKTINFO)
		return n >= 0 || errno == ECONNREFUSED;
	memcpy(&to, CMSG_DATA(h), sizeof(to));
	struct ike_datagram d = {.local = {ip_from_v4(ntohl(to.ipi_addr.s_addr)), IKE_UDP_PORT},
		.remote = {ip_from_v4(ntohl(from.sin_addr.s_addr)), ntohs(from.sin_port)},
		.bytes = {bytes, (size_t)n}};
	ike_input(t->engine, &d);
	struct client *who = client_at(t, &d.local.addr);
	if (who)
		client_look(t, who);
	return true;
}

// ---- the engine --------------------------------------------------------------------------------

static enum address_status acquire(void *ctx, const struct address_request *rq, struct lease *out)
{
	return ADDRESS_EXHAUSTED;
}

static bool renew(void *ctx, const struct lease *l, uint64_t session)
{
	return false;
}

static void release(void *ctx, const struct lease *l)
{
}

static void engine_new(struct tool *t)
{
	fake_sink_init(&t->sink);
	t->addresses =
		(struct address_source){.acquire = acquire, .renew = renew, .release = release};
	if (ike_helpers_new(NULL, 0, t->wake_fd, &t->helpers) < 0)
		die("helpers");
	struct ike_params p = {
		.cfg = t->cfg,
		.credentials = t->credentials,
		.clock = &clock_system,
		.random = &random_system,
		.transport = {t, wire_send},
		.jobs = ike_helpers_jobs(t->helpers),
		.addresses = &t->addresses,
		.sink = &t->sink.sink,
		.qcd_secret = {t->secret, sizeof(t->secret)},
	};
	if (ike_engine_new(&p, &t->engine) < 0)
		die("engine");
}

static bool take_jobs(struct tool *t)
{
	struct ike_job *job = ike_helpers_done(t->helpers);
	if (job)
		ike_job_done(t->engine, job);
	return job != NULL;
}

static void engine_free(struct tool *t)
{
	ike_helpers_stop(t->helpers);
	while (take_jobs(t))
		;
	ike_engine_free(t->engine);
	ike_helpers_free(t->helpers);
	fake_sink_fini(&t->sink);
}

static bool take_events(struct tool *t)
{
	struct sa_event ev;
	if (!fake_sink_event(&t->sink, &ev))
		return false;
	ike_sa_event(t->engine, &ev);
	return true;
}

// ---- the clients -------------------------------------------------------------------------------

static void client_told(struct client *c, const struct ike_session_info *s)
{
	if (s->inner_count == 0)
		return;
	c->latest = s->inner[0];
	if (!c->first.family)
		c->first = c->latest;
}

static void client_look(struct tool *t, struct client *c)
{
	struct ike_session_info s;
	if (!c->session)
		return;
	if (!ike_session_get(t->engine, c->session, &s)) {
		c->session = 0;
		c->up = false;
		return;
	}
	client_told(c, &s);
	bool up = s.state == IKE_SESSION_ESTABLISHED && s.child_count > 0 &&
		  (s.inner_count > 0 || c->claims);
	if (up && !c->up)
		c->up_ns = now_ns();
	c->up = up;
}

static void client_end(struct tool *t, struct client *c)
{
	// It may be a while until the engine has done with it.
	if (c->session && ike_delete_session(t->engine, c->session) == 0)
		c->up = false;
	c->session = 0;
}

static void client_begin(struct tool *t, struct client *c)
{
	struct sa_origin origin = {0};
	c->begun_ns = now_ns();
	c->next_ns = c->begun_ns + AGAIN_NS;
	c->session = ike_initiate(t->engine, c->name, &origin, &c->local, &t->gateway);
}

// Begins what is wanted, a bounded number at once, and gives up what takes too long.
static void look_at_all(struct tool *t)
{
	unsigned under_way = 0;
	uint64_t now = now_ns();
	for (unsigned i = 0; i < t->count; i++) {
		struct client *c = &t->clients[i];
		client_look(t, c);
		if (c->session && !c->up && now - c->begun_ns > GIVE_UP_NS)
			client_end(t, c);
		under_way += c->session && !c->up;
	}
	for (unsigned i = 0; i < t->count && under_way < UNDER_WAY_MAX; i++) {
		struct client *c = &t->clients[i];
		if (!c->wanted || c->session || now < c->next_ns)
			continue;
		client_begin(t, c);
		under_way++;
	}
	t->look_ns = now + LOOK_NS;
}

static unsigned up_count(const struct tool *t)
{
	unsigned n = 0;
	for (unsigned i = 0; i < t->count; i++)
		n += t->clients[i].up && t->clients[i].up_ns >= t->mark_ns;
	return n;
}

// ---- commands ----------------------------------------------------------------------------------

static void answered(void)
{
	puts(".");
	fflush(stdout);
}

static void do_connect(struct tool *t, unsigned first, unsigned count)
{
	for (unsigned i = first - 1; i < first - 1 + count && i < t->count; i++) {
		t->clients[i].wanted = true;
		t->clients[i].next_ns = 0;
	}
	answered();
}

static void do_leave(struct tool *t, unsigned first, unsigned count)
{
	for (unsigned i = first - 1; i < first - 1 + count && i < t->count; i++) {
		t->clients[i].wanted = false;
		client_end(t, &t->clients[i]);
	}
	answered();
}

static void do_wait(struct tool *t, unsigned count, unsigned seconds)
{
	t->wait_count = count;
	t->wait_ns = now_ns() + seconds * NS_PER_S;
}

static void waiting(struct tool *t)
{
	unsigned up = t->wait_count ? up_count(t) : 0;
	if (!t->wait_count || (up < t->wait_count && now_ns() < t->wait_ns))
		return;
	printf("%u %llu\n", up, (unsigned long long)((now_ns() - t->mark_ns) / NS_PER_MS));
	t->wait_count = 0;
	answered();
}

static void do_mark(struct tool *t, unsigned a, unsigned b)
{
	t->mark_ns = now_ns();
	answered();
}

static void do_quit(struct tool *t, unsigned a, unsigned b)
{
	t->end = true;
}

static void do_claim(struct tool *t, unsigned n, unsigned b)
{
	struct client *c = n <= t->count ? &t->clients[n - 1] : NULL;
	if (c && c->latest.family && c->conf->ikev1) {
		client_end(t, c);
		c->claims = true;
		c->conf->request_v4 = false;
		c->conf->children[0].local_ts[0] = selector_of_addr(&c->latest);
	}
	answered();
}

static void do_table(struct tool *t, unsigned a, unsigned b)
{
	char first[IP_TEXT_MAX], latest[IP_TEXT_MAX];
	for (unsigned i = 0; i < t->count; i++) {
		const struct client *c = &t->clients[i];
		if (!c->first.family)
			continue;
		ip_text(&c->first, first);
		ip_text(&c->latest, latest);
		printf("%s.example %s %s %s\n", c->name, first, latest, c->up ? "up" : "down");
	}
	answered();
}

static void do_counters(struct tool *t, unsigned a, unsigned b)
{
	const char *name, *help;
	uint64_t value;
	for (size_t i = 0; ike_counter(t->engine, i, &name, &value, &help); i++)
		if (value)
			printf("%s %llu\n", name, (unsigned long long)value);
	answered();
}

static void command(struct tool *t, const char *line)
{
	static const struct {
		const char *name;
		int numbers; // from 1
		void (*run)(struct tool *t, unsigned a, unsigned b);
	} commands[] = {
		{"connect", 2, do_connect},
		{"leave", 2, do_leave},
		{"wait", 2, do_wait},
		{"mark", 0, do_mark},
		{"claim", 1, do_claim},
		{"table", 0, do_table},
		{"counters", 0, do_counters},
		{"quit", 0, do_quit},
	};
	char name[sizeof(t->line)];
	unsigned a = 0, b = 0;
	int got = sscanf(line, "%255s %u %u", name, &a, &b);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0 && got == commands[i].numbers + 1 &&
			(got == 1 || a > 0)) {
			commands[i].run(t, a, b);
			return;
		}
	printf("not understood: %s\n", line);
	answered();
}

static void take_commands(struct tool *t)
{
	ssize_t n = read(STDIN_FILENO, t->line + t->line_len, sizeof(t->line) - 1 - t->line_len);
	char *end;
	if (n <= 0) {
		t->end = true;
		return;
	}
	t->line_len += (size_t)n;
	t->line[t->line_len] = '\0';
	while ((end = strchr(t->line, '\n'))) {
		*end = '\0';
		command(t, t->line);
		t->line_len -= (size_t)(end + 1 - t->line);
		memmove(t->line, end + 1, t->line_len + 1);
	}
}

// ---- setup and loop ----------------------------------------------------------------------------

#define PORTS                                                                         \
	"main: { max_sessions = 65536; };\n"                                          \
	"ports = ( { name = \"outside\"; role = \"outside\"; device = \"net_null0\";" \
	" addresses = [ \"198.18.0.0/15\" ]; },"                                      \
	" { name = \"inside\"; role = \"inside\"; device = \"net_null1\";"            \
	" addresses = [ \"172.16.0.1/24\" ]; } );\n"

static void print_connection(FILE *f, unsigned n, bool ikev1)
{
	fprintf(f,
		"%s{ name = \"c%u\"; ike_versions = [ %d ]; ike_proposals = [ \"%s\" ];"
		" unique = \"no\"; mobike = false; dpd = { delay_s = 2; timeout_s = 4; };"
		" local = { id = \"c%u.example\"; auth = \"psk\";",
		n > 1 ? ",\n" : "", n, ikev1 ? 1 : 2,
		ikev1 ? "aes128-sha256-ecp256" : "aes128gcm16-prfsha256-x25519", n);
	if (ikev1)
		fprintf(f, " user = \"c%u\"; password = \"the password of c%u\";", n, n);
	fprintf(f,
		" }; remote = { id = \"gw.example\"; auth = \"psk\"; };"
		" request_addresses = [ \"0.0.0.0\" ];"
		" children = ( { name = \"lan\"; local_ts = [ \"0.0.0.0/0\" ];"
		" remote_ts = [ \"10.99.0.0/24\" ]; esp_proposals = [ \"aes128gcm16\" ]; } ); }");
}

static void print_config(FILE *f, const struct tool *t)
{
	char gateway[IP_TEXT_MAX];
	ip_text(&t->gateway.addr, gateway);
	fprintf(f,
		PORTS "credentials: { psk = ( { addresses = [ \"%s/32\" ];"
		      " secret = \"the key of everybody\"; } ); };\nconnections = (\n",
		gateway);
	for (unsigned n = 1; n <= t->count; n++)
		print_connection(f, n, n >= t->ikev1_from);
	fputs(" );\n", f);
}

static void setup(struct tool *t, const struct ip_addr *first)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	t->clients = calloc(t->count, sizeof(*t->clients));
	if (!f || !t->clients)
		die("memory");
	print_config(f, t);
	if (fclose(f) != 0 || cfg_load_text("clients_tool", text, stderr, &t->cfg) < 0 ||
		ike_credentials_new(t->cfg, stderr, &t->credentials) < 0)
		die("configuration");
	free(text);
	for (unsigned i = 0; i < t->count; i++) {
		struct client *c = &t->clients[i];
		snprintf(c->name, sizeof(c->name), "c%u", i + 1);
		c->conf = &t->cfg->connections[i];
		c->local = (struct endpoint){ip_from_v4(ip_to_v4(first) + i), IKE_UDP_PORT};
	}
	t->socket = socket_open();
	t->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (t->wake_fd < 0)
		die("eventfd");
	random_fill(&random_system, t->secret, sizeof(t->secret));
	engine_new(t);
}

// Milliseconds until something is due, rounded up.
static int pause_ms(const struct tool *t)
{
	uint64_t next = ike_next_ns(t->engine), now = now_ns();
	if (t->look_ns < next)
		next = t->look_ns;
	return next <= now ? 0 : (int)((next - now + NS_PER_MS - 1) / NS_PER_MS);
}

static void turn(struct tool *t)
{
	uint64_t drained;
	struct pollfd fds[] = {
		{STDIN_FILENO, POLLIN, 0}, {t->socket, POLLIN, 0}, {t->wake_fd, POLLIN, 0}};
	if (poll(fds, sizeof(fds) / sizeof(fds[0]), pause_ms(t)) < 0 && errno != EINTR)
		die("poll");
	if (fds[0].revents)
		take_commands(t);
	if (fds[2].revents && read(t->wake_fd, &drained, sizeof(drained)) < 0 && errno != EAGAIN)
		die("eventfd");
	for (int i = 0; i < BATCH && wire_receive(t); i++)
		;
	while (take_jobs(t) || take_events(t))
		;
	ike_tick(t->engine);
	if (now_ns() >= t->look_ns)
		look_at_all(t);
	waiting(t);
}

static bool number(const char *text, unsigned *out)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);
	*out = (unsigned)v;
	return *text && !*end && v <= CLIENTS_MAX;
}

int main(int argc, char **argv)
{
	static struct tool t = {.gateway.port = IKE_UDP_PORT};
	struct ip_addr first;
	unsigned ikev1;
	if (argc != 5 || ip_parse(argv[1], &t.gateway.addr) < 0 || ip_parse(argv[2], &first) < 0 ||
		t.gateway.addr.family != IP_V4 || first.family != IP_V4 ||
		!number(argv[3], &t.count) || !number(argv[4], &ikev1) || t.count + ikev1 == 0) {
		fputs("usage: clients_tool GATEWAY FIRST-ADDRESS IKEV2 IKEV1\n", stderr);
		return 2;
	}
	log_set_level(getenv("CLIENTS_LOG") ? LOG_DEBUG : LOG_ERROR);
	t.ikev1_from = t.count + 1;
	t.count += ikev1;
	setup(&t, &first);
	while (!t.end)
		turn(&t);
	engine_free(&t);
	ike_credentials_free(t.credentials);
	cfg_free(t.cfg);
	free(t.clients);
	return 0;
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// ike_bench [--ikev1] [--sas N] [--rounds K] [--json]: what a headend's IKE engine spends on a
// message while N sessions are established: IKE_SA_INIT and IKE_AUTH (PSK, x25519, an address by
// CP), a liveness probe, the rekeying of a child SA (no PFS) and its DELETE; with IKEv1 main mode
// (PSK, ecp256), Mode Configuration by request, quick mode, R-U-THERE and a second quick mode. Two
// engines in one process, joined by a queue; the crypto jobs run in between and are counted apart.
// Times are the headend's alone.
#include "controlplane/controlplane.h"
#include "base/log.h"
#include "controlplane/wire/ikev1_numbers.h"
#include "controlplane/wire/ikev2_numbers.h"
#include "tests/fakes/sink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define PSK \
	"credentials: { psk = ( { id = \"*\"; secret = \"a secret for measuring only\"; } ); };\n"
#define PORTS                                                                         \
	"main: { max_sessions = 1000000; };\n"                                        \
	"ports = ( { name = \"outside\"; role = \"outside\"; device = \"net_null0\";" \
	" addresses = [ \"192.0.2.1/24\" ]; },"                                       \
	" { name = \"inside\"; role = \"inside\"; device = \"net_null1\";"            \
	" addresses = [ \"172.16.0.1/24\" ]; } );\n"
#define IKEV2                   \
	"ike_versions = [ 2 ];" \
	" ike_proposals = [ \"aes128gcm16-prfsha256-x25519\" ];"
#define IKEV1 "ike_versions = [ 1 ]; ike_proposals = [ \"aes128-sha256-ecp256\" ];"

// %s: the version's options
static const char headend_text[] = PORTS PSK
	"pools = ( { name = \"p\"; ranges = [ \"10.0.0.0-10.255.255.255\" ]; } );\n"
	"connections = ( { name = \"c\"; dpd = { delay_s = 0; }; %s"
	" local = { id = \"gw.example\"; auth = \"psk\"; }; remote = { id = \"*\"; auth = \"psk\"; };"
	" mode_config = [ \"respond\" ]; pools = [ \"p\" ];"
	" children = ( { name = \"lan\"; local_ts = [ \"172.16.0.0/24\" ];"
	" esp_proposals = [ \"aes128gcm16\" ]; } ); } );\n";
static const char clients_text[] = PORTS PSK
	"connections = ( { name = \"c\"; dpd = { delay_s = 0; }; %s"
	" local = { id = \"client@example\"; auth = \"psk\"; };"
	" remote = { id = \"gw.example\"; auth = \"psk\"; };"
	" children = ( { name = \"lan\"; local_ts = [ \"0.0.0.0/0\" ];"
	" remote_ts = [ \"172.16.0.0/24\" ]; esp_proposals = [ \"aes128gcm16\" ]; } ); } );\n";

struct packet {
	STAILQ_ENTRY(packet) link;
	struct ike_datagram d;
	uint8_t bytes[];
};

struct node {
	struct bench *bench;
	bool headend;
	struct cfg *cfg;
	struct pools *pools;
	struct address_source addresses;
	struct ike_credentials *credentials;
	struct ike_engine *engine;
	struct fake_sink sink;
	struct ike_job *jobs;
};

enum kind { INIT, AUTH, CHILD, INFO, KINDS };

struct spent {
	uint64_t messages, engine_ns, job_ns;
};

struct bench {
	unsigned long sas, rounds;
	bool json, ikev1;
	struct node headend, clients;
	STAILQ_HEAD(, packet) wire;
	enum kind kind; // of the message that the headend works on
	struct spent spent[KINDS];
	uint64_t fake_ns;
};

// Of this thread alone: what else runs on the machine does not count.
static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void *need(void *p)
{
	if (!p) {
		fputs("ike_bench: out of memory\n", stderr);
		exit(1);
	}
	return p;
}

// ---- the seams -------------------------------------------------------------------------------

// Timers are set and cancelled, but none falls due: time moves by a microsecond a look.
static uint64_t fake_now(void *ctx)
{
	struct bench *b = ctx;
	return b->fake_ns += 1000;
}

static time_t fake_wall(void *ctx)
{
	return 1750000000;
}

static void wire_send(void *ctx, const struct ike_datagram *d)
{
	struct node *n = ctx;
	struct packet *p = need(malloc(sizeof(*p) + d->bytes.len));
	p->d = *d;
	memcpy(p->bytes, d->bytes.p, d->bytes.len);
	p->d.bytes = (struct view){p->bytes, d->bytes.len};
	p->d.local = d->remote;
	p->d.remote = d->local;
	STAILQ_INSERT_TAIL(&n->bench->wire, p, link);
}

static int job_submit(void *ctx, struct ike_job *job)
{
	struct node *n = ctx;
	job->next = n->jobs;
	n->jobs = job;
	return 0;
}

// ---- nodes -----------------------------------------------------------------------------------

static uint16_t worker_of(void *ctx, const struct ip_addr *inner)
{
	return 0;
}

static int node_init(
	struct node *n, struct bench *b, bool headend, const struct clock_source *clock)
{
	char text[4096];
	// The format is one of ours.
	snprintf(text, sizeof(text), headend ? headend_text : clients_text,
		b->ikev1 ? IKEV1 : IKEV2);
	n->bench = b;
	n->headend = headend;
	fake_sink_init(&n->sink);
	if (cfg_load_text("ike_bench", text, NULL, &n->cfg) < 0 ||
		ike_credentials_new(n->cfg, stderr, &n->credentials) < 0)
		return -EINVAL;
	n->cfg->connections[0].request_v4 = !headend;
	struct pools_seams seams = {.clock = clock,
		.random = &random_system,
		.workers = 1,
		.worker_of = worker_of,
		.ctx = n};
	if (pools_new(n->cfg, &seams, &n->pools) < 0)
		return -ENOMEM;
	pools_source(n->pools, &n->addresses);
	struct ike_params p = {
		.cfg = n->cfg,
		.credentials = n->credentials,
		.clock = clock,
		.random = &random_system,
		.transport = {n, wire_send},
		.jobs = {n, job_submit},
		.addresses = &n->addresses,
		.sink = &n->sink.sink,
	};
	return ike_engine_new(&p, &n->engine);
}

static void node_fini(struct node *n)
{
	ike_engine_free(n->engine);
	pools_free(n->pools);
	ike_credentials_free(n->credentials);
	cfg_free(n->cfg);
	fake_sink_fini(&n->sink);
}

static void charge(struct node *n, uint64_t begin)
{
	if (n->headend)
		n->bench->spent[n->bench->kind].engine_ns += now_ns() - begin;
}

static bool run_jobs(struct node *n)
{
	struct ike_job *job = n->jobs;
	if (!job)
		return false;
	n->jobs = job->next;
	uint64_t begin = now_ns();
	job->run(job);
	uint64_t end = now_ns();
	if (n->headend)
		n->bench->spent[n->bench->kind].job_ns += end - begin;
	ike_job_done(n->engine, job);
	charge(n, end);
	return true;
}

static bool run_events(struct node *n)
{
	struct sa_event ev;
	if (!fake_sink_event(&n->sink, &ev))
		return false;
	uint64_t begin = now_ns();
	ike_sa_event(n->engine, &ev);
	charge(n, begin);
	return true;
}

static enum kind kind_of(const struct packet *p)
{
	switch (p->bytes[18]) { // RFC 7296 3.1: exchange type
	case IKEV2_EXCHANGE_IKE_SA_INIT:
	case IKEV1_EXCHANGE_MAIN:
		return INIT;
	case IKEV2_EXCHANGE_IKE_AUTH:
	case IKEV1_EXCHANGE_TRANSACTION:
		return AUTH;
	case IKEV2_EXCHANGE_CREATE_CHILD_SA:
	case IKEV1_EXCHANGE_QUICK:
		return CHILD;
	default:
		return INFO;
	}
}

static bool deliver(struct bench *b)
{
	struct packet *p = STAILQ_FIRST(&b->wire);
	if (!p)
		return false;
	STAILQ_REMOVE_HEAD(&b->wire, link);
	bool to_headend = ip_to_v4(&p->d.local.addr) == 0xc0000201;
	struct node *n = to_headend ? &b->headend : &b->clients;
	if (to_headend) {
		b->kind = kind_of(p);
		b->spent[b->kind].messages++;
	}
	uint64_t begin = now_ns();
	ike_input(n->engine, &p->d);
	charge(n, begin);
	free(p);
	return true;
}

// Until nothing is under way. Whatever the headend does belongs to the last message it got.
static void settle(struct bench *b)
{
	while (run_events(&b->headend) || run_jobs(&b->headend) || run_events(&b->clients) ||
		run_jobs(&b->clients) || deliver(b))
		;
}

// ---- what is measured ------------------------------------------------------------------------

static void connect_one(struct bench *b, uint32_t i)
{
	struct sa_origin origin = {0};
	struct endpoint local = {ip_from_v4(0xc6120000u + i), 500};
	struct endpoint remote = {ip_from_v4(0xc0000201), 500};
	ike_initiate(b->clients.engine, "c", &origin, &local, &remote);
	settle(b);
}

static uint64_t pick(struct bench *b)
{
	return 1 + random_u64(&random_system) % b->sas;
}

static void probes(struct bench *b)
{
	for (unsigned long i = 0; i < b->rounds; i++) {
		if (ike_probe(b->clients.engine, pick(b)) < 0)
			exit(1);
		settle(b);
	}
}

static void rekeys(struct bench *b)
{
	for (unsigned long i = 0; i < b->rounds; i++) {
		struct ike_session_info s;
		uint64_t id = pick(b);
		if (!ike_session_get(b->clients.engine, id, &s) || s.child_count == 0 ||
			ike_rekey_child(b->clients.engine, id, s.children[0].spi_in) < 0)
			exit(1);
		settle(b);
	}
}

static void report(const struct bench *b, const char *what, enum kind kind, bool last)
{
	const struct spent *s = &b->spent[kind];
	double n = s->messages ? (double)s->messages : 1;
	double engine = (double)s->engine_ns / n, all = (double)(s->engine_ns + s->job_ns) / n;
	if (b->json)
		printf("\"%s\":{\"messages\":%llu,\"engine_ns\":%.0f,\"with_jobs_ns\":%.0f}%s",
			what, (unsigned long long)s->messages, engine, all, last ? "" : ",");
	else
		printf("%-16s %8llu messages %10.0f ns %12.0f ns with jobs\n", what,
			(unsigned long long)s->messages, engine, all);
}

static void reset(struct bench *b)
{
	memset(b->spent, 0, sizeof(b->spent));
}

static int measure(struct bench *b)
{
	struct ike_status st;
	for (uint32_t i = 0; i < b->sas; i++)
		connect_one(b, i);
	ike_status(b->headend.engine, &st);
	if (st.sessions != b->sas || st.children != b->sas) {
		fprintf(stderr, "ike_bench: %llu sessions and %llu child SAs, not %lu each\n",
			(unsigned long long)st.sessions, (unsigned long long)st.children, b->sas);
		return 1;
	}
	if (b->json)
		printf("{\"sas\":%lu,", b->sas);
	else
		printf("%lu sessions\n", b->sas);
	reset(b);
	for (uint32_t i = 0; i < b->rounds; i++)
		connect_one(b, (uint32_t)b->sas + i);
	report(b, b->ikev1 ? "main_mode" : "ike_sa_init", INIT, false);
	report(b, b->ikev1 ? "mode_config" : "ike_auth", AUTH, false);
	if (b->ikev1)
		report(b, "quick_mode", CHILD, false);
	reset(b);
	probes(b);
	report(b, "probe", INFO, false);
	reset(b);
	rekeys(b);
	report(b, "rekey_child", CHILD, b->ikev1);
	if (!b->ikev1) // the older child stays a while
		report(b, "delete_child", INFO, true);
	puts(b->json ? "}" : "");
	return 0;
}

static bool number(const char *text, unsigned long max, unsigned long *out)
{
	char *end;
	unsigned long v = text ? strtoul(text, &end, 10) : 0;
	if (!text || *end || v == 0 || v > max)
		return false;
	*out = v;
	return true;
}

static bool parse_args(int argc, char **argv, struct bench *b)
{
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(argv[i], "--json") == 0)
			b->json = true;
		else if (strcmp(argv[i], "--ikev1") == 0)
			b->ikev1 = true;
		else if (strcmp(argv[i], "--sas") == 0 && number(value, 900000, &b->sas))
			i++;
		else if (strcmp(argv[i], "--rounds") == 0 && number(value, 90000, &b->rounds))
			i++;
		else
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct bench b = {.sas = 1000, .rounds = 2000};
	struct clock_source clock = {fake_now, fake_wall, &b};
	log_set_level(LOG_ERROR);
	STAILQ_INIT(&b.wire);
	if (!parse_args(argc, argv, &b)) {
		fputs("usage: ike_bench [--ikev1] [--sas N] [--rounds K] [--json]\n", stderr);
		return 2;
	}
	if (node_init(&b.headend, &b, true, &clock) < 0 ||
		node_init(&b.clients, &b, false, &clock) < 0) {
		fputs("ike_bench: setup failed\n", stderr);
		return 1;
	}
	int rc = measure(&b);
	node_fini(&b.headend);
	node_fini(&b.clients);
	return rc;
}

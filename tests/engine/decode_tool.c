// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// decode_tool DIRECTORY: exchanges between two engines that no other implementation at hand speaks, each
// in a directory of its own: wire.pcap, and the keys as Wireshark's ikev2_decryption_table, for an
// independent dissector (tests/interop/decode.sh).
#include <string.h>
#include <sys/stat.h>

#include "controlplane/exchange.h"
#include "controlplane/ikev2/resource.h"
#include "tests/engine/pair.h"

#define LINKTYPE_RAW 101 // IP without a link layer
#define NAT_T_MARKER 4   // RFC 3948 2.2: zeros in front of IKE on port 4500
#define HEADERS      28  // IPv4 and UDP

static const char *directory;

struct capture {
	FILE *f;
	FILE *table;        // of keys
	uint64_t shown[64]; // initiators' SPIs of IKE SAs that are in the table
	unsigned shown_count;
};

static FILE *create(const char *name, const char *file)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	(void)mkdir(path, 0700); // it may be there
	snprintf(path, sizeof(path), "%s/%s/%s", directory, name, file);
	FILE *f = fopen(path, "wb");
	if (!f)
		fail_msg("cannot write %s", path);
	return f;
}

// ---- pcap --------------------------------------------------------------------------------------

static void put(FILE *f, const void *p, size_t n)
{
	assert_int_equal(fwrite(p, 1, n, f), n);
}

static void put32(FILE *f, uint32_t v)
{
	put(f, &v, sizeof(v)); // the file's byte order is the machine's
}

static void be16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void pcap_begin(FILE *f)
{
	static const uint16_t version[2] = {2, 4};
	put32(f, 0xa1b2c3d4);
	put(f, version, sizeof(version));
	put32(f, 0);
	put32(f, 0);
	put32(f, UINT16_MAX);
	put32(f, LINKTYPE_RAW);
}

// A datagram of IKE in UDP (no checksum) and IPv4.
static void pcap_datagram(FILE *f, uint64_t now_ns, const struct bench_packet *p)
{
	static const uint8_t marker[NAT_T_MARKER];
	size_t mark = p->from.port == 4500 || p->to.port == 4500 ? NAT_T_MARKER : 0;
	size_t len = HEADERS + mark + p->len;
	uint8_t h[HEADERS] = {0x45, [8] = 64, [9] = 17};
	uint32_t sum = 0;
	be16(h + 2, len);
	memcpy(h + 12, p->from.addr.bytes, 4);
	memcpy(h + 16, p->to.addr.bytes, 4);
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)h[i] << 8 | h[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	be16(h + 10, ~(sum + (sum >> 16)));
	be16(h + 20, p->from.port);
	be16(h + 22, p->to.port);
	be16(h + 24, len - 20);
	put32(f, (uint32_t)(now_ns / NS_PER_S));
	put32(f, (uint32_t)(now_ns % NS_PER_S / 1000));
	put32(f, (uint32_t)len);
	put32(f, (uint32_t)len);
	put(f, h, sizeof(h));
	put(f, marker, mark);
	put(f, p->bytes, p->len);
}

// ---- keys --------------------------------------------------------------------------------------

static void hex(FILE *f, struct view v)
{
	for (size_t i = 0; i < v.len; i++)
		fprintf(f, "%02x", v.p[i]);
	fputc(',', f);
}

// The names are Wireshark's.
static void show_keys(struct capture *c, const struct ike_sa *sa)
{
	FILE *table = c->table;
	bool aead = sa->keys.sk_ai.len == 0;
	for (unsigned i = 0; i < c->shown_count; i++)
		if (c->shown[i] == sa->spi_i)
			return;
	assert_true(c->shown_count < sizeof(c->shown) / sizeof(c->shown[0]));
	c->shown[c->shown_count++] = sa->spi_i;
	fprintf(table, "%016llx,%016llx,", (unsigned long long)sa->spi_i,
		(unsigned long long)sa->spi_r);
	hex(table, sa->keys.sk_ei);
	hex(table, sa->keys.sk_er);
	fprintf(table, "\"%s\",",
		aead ? "AES-GCM-128 with 16 octet ICV [RFC5282]" : "AES-CBC-128 [RFC3602]");
	hex(table, sa->keys.sk_ai);
	hex(table, sa->keys.sk_ar);
	fprintf(table, "\"%s\"\n", aead ? "NONE [RFC4306]" : "HMAC_SHA2_256_128 [RFC4868]");
}

// Sees every datagram as it is sent, when its sender still has the keys.
static enum bench_fate capture(struct bench *b, struct bench_packet *p, void *arg)
{
	struct capture *c = arg;
	struct ike_sa *sa;
	if (p->esp)
		return BENCH_PASS;
	for (unsigned i = 0; i < b->node_count; i++) {
		if (!b->nodes[i]->engine)
			continue;
		LIST_FOREACH (sa, &b->nodes[i]->engine->all_sas, all)
			if (sa->has_keys && sa->version == IKE_MAJOR_2)
				show_keys(c, sa);
	}
	pcap_datagram(c->f, b->now_ns, p);
	return BENCH_PASS;
}

static void capture_begin(struct capture *c, struct bench *b, const char *name)
{
	*c = (struct capture){
		.f = create(name, "wire.pcap"), .table = create(name, "ikev2_decryption_table")};
	pcap_begin(c->f);
	bench_filter_add(b, capture, c);
}

static void capture_end(struct capture *c)
{
	assert_int_equal(fclose(c->f), 0);
	assert_int_equal(fclose(c->table), 0);
}

// ---- what is said ------------------------------------------------------------------------------

#define SITE_GW                                                                                \
	"{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; remote_ts = [ \"10.7.0.0/16\" ]; " \
	"esp_proposals = [ \"aes128gcm16-x25519\" ]; %s }"
#define SITE_CLIENT                                                                            \
	"{ name = \"lan\"; local_ts = [ \"10.7.0.0/16\" ]; remote_ts = [ \"10.99.0.0/24\" ]; " \
	"esp_proposals = [ \"aes128gcm16-x25519\" ]; %s }"
#define CBC "\"aes128-sha256-prfsha256-x25519\""

struct sites {
	const char *ike;   // proposal; NULL: AES-GCM
	const char *more;  // options of both connections
	const char *child; // options of both children
};

static struct pair sites_new(const struct sites *s)
{
	char *gw_child, *client_child;
	struct pair p = {.b = bench_new()};
	assert_true(asprintf(&gw_child, SITE_GW, s->child) > 0);
	assert_true(asprintf(&client_child, SITE_CLIENT, s->child) > 0);
	struct side gw = {.pools = "", .ike = s->ike, .more = s->more, .children = gw_child};
	struct side client = {.ike = s->ike, .more = s->more, .children = client_child};
	p.gw = side_add(p.b, "gw", GW_ADDR, &gw, true);
	p.client = side_add(p.b, "client", CLIENT_ADDR, &client, false);
	free(gw_child);
	free(client_child);
	return p;
}

static void sites_up(struct pair *p)
{
	assert_true(bench_connect(p->client, p->gw, "c") > 0);
	assert_true(bench_run_until(p->b, bench_established, p->client, 5000));
	bench_run(p->b, 3000);
}

// RFC 9611: a child SA for each worker, and one of them rekeyed.
static void per_resource(void **state)
{
	struct pair p = sites_new(&(struct sites){.more = "", .child = "per_resource = true;"});
	struct capture c;
	capture_begin(&c, p.b, "per_resource");
	sites_up(&p);
	assert_true(bench_session(p.client).child_count >= BENCH_WORKERS);
	assert_int_equal(ike_rekey_child(p.gw->engine, bench_session(p.gw).id,
				 bench_session(p.gw).children[0].spi_in),
		0);
	bench_run(p.b, 3000);
	pair_down(&p);
	capture_end(&c);
}

// One more than the other side has room for is refused (TS_MAX_QUEUE).
static void max_queue(void **state)
{
	struct pair p = sites_new(&(struct sites){.more = "", .child = "per_resource = true;"});
	struct capture c;
	const struct cfg_child *conf = &p.client->cfg->connections[0].children[0];
	capture_begin(&c, p.b, "max_queue");
	sites_up(&p);
	struct ike_sa *sa = bench_sa_of(p.client, bench_session(p.client).id);
	for (int i = BENCH_WORKERS; i <= IKE_RESOURCES_MAX; i++) {
		ike_enter(p.client->engine);
		assert_int_equal(ikev2_add_resource(sa, conf, (uint16_t)(i & 1)), 0);
		ike_leave(p.client->engine);
		bench_run(p.b, 1000);
	}
	assert_true(bench_counter(p.gw, "ike_max_queue") > 0);
	pair_down(&p);
	capture_end(&c);
}

// RFC 6023, with both kinds of cipher: IKE_AUTH without a child SA, then the child SA.
static void childless(void **state)
{
	static const char *const suites[] = {NULL, CBC};
	static const char *const names[] = {"childless", "childless_cbc"};
	for (int i = 0; i < 2; i++) {
		struct pair p = sites_new(&(struct sites){
			.ike = suites[i], .more = "childless = true;", .child = ""});
		struct capture c;
		capture_begin(&c, p.b, names[i]);
		sites_up(&p);
		assert_int_equal(bench_session(p.client).child_count, 1);
		assert_int_equal(ike_rekey_ike(p.client->engine, bench_session(p.client).id), 0);
		bench_run(p.b, 3000);
		pair_down(&p);
		capture_end(&c);
	}
}

// RFC 6290: the token is given in IKE_AUTH, and shown in clear after a crash.
static void quick_crash(void **state)
{
	static const uint8_t secrets[2][32] = {
		"the gateway's secret, 32 bytes .", "the client's secret, 32 bytes .."};
	struct pair p = sites_new(&(struct sites){.more = "", .child = ""});
	struct capture c;
	p.gw->engine->p.qcd_secret = (struct view){secrets[0], sizeof(secrets[0])};
	p.client->engine->p.qcd_secret = (struct view){secrets[1], sizeof(secrets[1])};
	capture_begin(&c, p.b, "quick_crash");
	sites_up(&p);
	bench_kill(p.gw);
	bench_start(p.gw);
	p.gw->engine->p.qcd_secret = (struct view){secrets[0], sizeof(secrets[0])};
	assert_int_equal(ike_probe(p.client->engine, bench_session(p.client).id), 0);
	bench_run(p.b, 1000);
	bench_expect(p.client, "ike_qcd_crashed", 1);
	capture_end(&c);
	bench_free(p.b);
}

// RFC 4478 and RFC 4555: these strongSwan knows too.
static void auth_lifetime(void **state)
{
	struct pair p =
		sites_new(&(struct sites){.more = "lifetime: { reauth_s = 60; };", .child = ""});
	struct capture c;
	capture_begin(&c, p.b, "auth_lifetime");
	sites_up(&p);
	pair_down(&p);
	capture_end(&c);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(per_resource),
		cmocka_unit_test(max_queue),
		cmocka_unit_test(childless),
		cmocka_unit_test(quick_crash),
		cmocka_unit_test(auth_lifetime),
	};
	if (argc != 2) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	directory = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "perf/bench.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
	"usage: esp_bench [options]\n"
	"Cycles a packet of the whole ESP path beside those of the crypto library alone.\n"
	"  --direction in|out|both  in decrypts, out encrypts (both)\n"
	"  --suite S[,S...]         as in esp_proposals (aes128gcm16)\n"
	"  --size LIST|imix         inner IP packets, bytes, or 7 x 64, 4 x 576, 1 x 1500\n"
	"                           (64,512,1420)\n"
	"  --tunnels LIST           (1,1000,10000)\n"
	"  --order random|roundrobin|zipf  of the tunnels, packet by packet (random)\n"
	"  --workers N              at once, each on a CPU of its own (1)\n"
	"  --stages                 cycles of each stage of the path\n"
	"  --rounds N               7 to 63, whose median counts (21)\n"
	"  --seconds N              end within so many; rows that it is too late for are left out\n"
	"  --quick                  --rounds 7 --seconds 60\n"
	"  --json                   a list of objects instead of text\n"
	"Instead of the plain measurement:\n"
	"  --handoff                what a packet costs more that comes to the wrong one of two\n"
	"                           workers (needs two CPUs)\n"
	"  --scale                  how many times as much as one of them do the --workers (2) do\n"
	"  --updates RATE           throughput while so many SA updates a second pass to a worker\n"
	"                           (needs two CPUs)\n"
	"  --latency                from rx to tx at 10, 50 and 90 % of capacity, paced by a second\n"
	"                           CPU\n"
	"  --about                  libraries and machine, as JSON\n"
	"Exits with 1 where a packet was lost or came out wrong, with 3 where the bound with one key is\n"
	"above that with many, which is a fault of the measurement; such rows are left out. With 4 where rows\n"
	"are left out for lack of time.\n";

const char *const bench_order_name[] = {
	[BENCH_RANDOM] = "random",
	[BENCH_ROUNDROBIN] = "roundrobin",
	[BENCH_ZIPF] = "zipf",
};

void bench_die(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	fputs("esp_bench: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(2);
}

static unsigned number(const char *text, unsigned lo, unsigned hi)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);
	if (end == text || *end || v < lo || v > hi)
		bench_die("\"%s\" is no number from %u to %u", text, lo, hi);
	return (unsigned)v;
}

static void list(char *text, unsigned lo, unsigned hi, struct bench_list *out)
{
	char *save = NULL;
	out->n = 0;
	for (char *p = strtok_r(text, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		if (out->n == BENCH_LIST)
			bench_die("more than %d entries in a list", BENCH_LIST);
		bool imix = lo == BENCH_SIZE_MIN && strcmp(p, "imix") == 0;
		out->v[out->n++] = imix ? BENCH_IMIX : number(p, lo, hi);
	}
	if (out->n == 0)
		bench_die("empty list");
}

static void suites(char *text, struct bench_options *o)
{
	char *save = NULL;
	o->suite_count = 0;
	for (char *p = strtok_r(text, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		if (o->suite_count == BENCH_LIST)
			bench_die("more than %d suites", BENCH_LIST);
		o->suites[o->suite_count++] = p;
	}
}

static void direction(const char *text, struct bench_options *o)
{
	bool both = strcmp(text, "both") == 0;
	o->direction[BENCH_IN] = both || strcmp(text, "in") == 0;
	o->direction[BENCH_OUT] = both || strcmp(text, "out") == 0;
	if (!o->direction[BENCH_IN] && !o->direction[BENCH_OUT])
		bench_die("direction is in, out or both");
}

static enum bench_order order(const char *text)
{
	for (int i = BENCH_RANDOM; i <= BENCH_ZIPF; i++)
		if (strcmp(text, bench_order_name[i]) == 0)
			return (enum bench_order)i;
	bench_die("order is random, roundrobin or zipf");
}

static void take(struct bench_options *o, int c)
{
	switch (c) {
	case 'j':
		o->json = true;
		break;
	case 'd':
		direction(optarg, o);
		break;
	case 's':
		suites(optarg, o);
		break;
	case 'b':
		list(optarg, BENCH_SIZE_MIN, BENCH_SIZE_MAX, &o->sizes);
		break;
	case 't':
		list(optarg, 1, BENCH_TUNNELS_MAX, &o->tunnels);
		break;
	case 'w':
		o->workers = number(optarg, 1, BENCH_LANES);
		break;
	case 'o':
		o->order = order(optarg);
		break;
	case 'g':
		o->stages = true;
		break;
	case 'r':
		o->rounds = number(optarg, BENCH_ROUNDS_MIN, BENCH_ROUNDS_MAX);
		break;
	case 'e':
		o->seconds = number(optarg, 1, 86400);
		break;
	case 'q':
		o->rounds = BENCH_ROUNDS_MIN;
		o->seconds = 60;
		break;
	case 'h':
		o->mode = BENCH_HANDOFF;
		break;
	case 'S':
		o->mode = BENCH_SCALE;
		break;
	case 'u':
		o->mode = BENCH_UPDATES;
		o->rate = number(optarg, 1, 10000000);
		break;
	case 'l':
		o->mode = BENCH_LATENCY;
		break;
	case 'a':
		bench_about();
		exit(0);
	case 'H':
		fputs(usage, stdout);
		exit(0);
	default:
		fputs(usage, stderr);
		exit(2);
	}
}

void bench_options_parse(int argc, char **argv, struct bench_options *o)
{
	static const struct option longs[] = {{"json", 0, NULL, 'j'}, {"direction", 1, NULL, 'd'},
		{"suite", 1, NULL, 's'}, {"size", 1, NULL, 'b'}, {"tunnels", 1, NULL, 't'},
		{"workers", 1, NULL, 'w'}, {"order", 1, NULL, 'o'}, {"stages", 0, NULL, 'g'},
		{"rounds", 1, NULL, 'r'}, {"seconds", 1, NULL, 'e'}, {"quick", 0, NULL, 'q'},
		{"handoff", 0, NULL, 'h'}, {"scale", 0, NULL, 'S'}, {"updates", 1, NULL, 'u'},
		{"latency", 0, NULL, 'l'}, {"about", 0, NULL, 'a'}, {"help", 0, NULL, 'H'},
		{NULL, 0, NULL, 0}};
	static char suite[] = "aes128gcm16";
	*o = (struct bench_options){.direction = {true, true},
		.suites = {suite},
		.suite_count = 1,
		.sizes = {{64, 512, 1420}, 3},
		.tunnels = {{1, 1000, 10000}, 3},
		.workers = 1,
		.rounds = BENCH_ROUNDS};
	int c;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		take(o, c);
	if (optind != argc || o->suite_count == 0)
		take(o, '?');
	if (o->mode == BENCH_HANDOFF || (o->mode == BENCH_SCALE && o->workers == 1))
		o->workers = 2;
}

static void suite_sizes(struct bench_suite *s)
{
	const struct alg_encr *e = alg_encr(s->encr.id, s->encr.key_bits);
	const struct alg_integ *a = s->integ ? alg_integ(s->integ) : NULL;
	if (!e)
		bench_die("%s: unknown cipher", s->name);
	s->encr_key_len = (uint8_t)(e->key_len + e->salt_len);
	s->integ_key_len = a ? a->key_len : 0;
	s->iv_len = e->iv_len;
	s->icv_len = a ? a->icv_len : e->icv_len;
	s->align = e->block < 4 ? 4 : e->block; // RFC 4303 2.4
}

void bench_suite_parse(const char *name, struct bench_suite *out)
{
	struct proposal p;
	char why[200];
	if (proposal_parse(name, true, &p, why, sizeof(why)))
		bench_die("%s: %s", name, why);
	if (p.encr_count != 1 || p.integ_count > 1)
		bench_die("%s: one cipher, please", name);
	*out = (struct bench_suite){
		.name = name, .encr = p.encr[0], .integ = p.integ_count ? p.integ[0] : INTEG_NONE};
	suite_sizes(out);
}

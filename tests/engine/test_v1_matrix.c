// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Every way of IKEv1 to a tunnel, from the first datagram to the last: mode, method, XAUTH, Mode
// Configuration by either side, NAT; on a wire that is good, and on one that loses, repeats and
// reorders.
#include "tests/engine/v1_pair.h"

struct way {
	bool aggressive, xauth, before_status, site, nat;
	enum v1_method method;
	enum v1_config config;
};

static const char *way_text(const struct way *w, char buf[static 128])
{
	static const char *const methods[] = {"psk", "rsa", "ecdsa", "hybrid"};
	static const char *const configs[] = {"pull", "push", "both", "both, client waits", "none"};
	snprintf(buf, 128, "%s, %s%s, %s%s%s%s", w->aggressive ? "aggressive" : "main",
		methods[w->method], w->xauth ? " + xauth" : "", configs[w->config],
		w->before_status ? " before status" : "", w->site ? ", site" : "",
		w->nat ? ", nat" : "");
	return buf;
}

static struct v1 new_way(const struct way *w)
{
	// Keys cost more than all the rest.
	static enum v1_method issued = V1_PSK;
	struct v1_setup s = {.method = w->method};
	if (w->method != issued)
		v1_issue(&s);
	issued = w->method;
	return v1_new(&(struct v1_setup){.certs_there = true,
		.aggressive = w->aggressive,
		.xauth = w->xauth,
		.before_status = w->before_status,
		.site = w->site,
		.nat = w->nat,
		.method = w->method,
		.config = w->config});
}

// up: within so many ms, with traffic both ways and an address that both sides agree on.
static void try_way(const struct way *w, unsigned loss, uint64_t within_ms)
{
	char text[128], inner[IP_TEXT_MAX];
	struct v1 v = new_way(w);
	print_message("# %s\n", way_text(w, text));
	if (loss)
		bench_lossy(v.b, loss, 10, 10);
	bool up = v1_up_within(&v, within_ms);
	if (!up)
		v1_print(v.w);
	assert_true(up);
	bench_lossy(v.b, 0, 0, 0);
	bench_run(v.b, 4000);
	bool good = w->site || w->config == V1_NONE || v1_lease(&v, inner);
	good = good && v1_traffic(&v);
	if (!good)
		v1_print(v.w);
	assert_true(good);
	v1_down(&v);
}

typedef void (*visit)(const struct way *w, void *arg);

static void each_way(visit fn, void *arg)
{
	for (enum v1_method method = V1_PSK; method <= V1_HYBRID; method++)
		for (int bits = 0; bits < 16; bits++)
			for (enum v1_config config = V1_PULL; config <= V1_NONE; config++) {
				struct way w = {.aggressive = bits & 1,
					.xauth = bits & 2,
					.before_status = bits & 4,
					.nat = bits & 8,
					.method = method,
					.config = config};
				bool push = config == V1_PUSH || config == V1_BOTH_WAIT;
				bool user = w.xauth || method == V1_HYBRID;
				// What there is no such thing as: a push before a status that never
				// comes, a peer behind a NAT with no address but the one of the NAT.
				if ((w.before_status && !(push && user)) ||
					(w.nat && config == V1_NONE) ||
					(method == V1_HYBRID && w.xauth))
					continue;
				fn(&w, arg);
			}
}

static void on_good_wire(const struct way *w, void *arg)
{
	try_way(w, 0, 8000);
	++*(unsigned *)arg;
}

static void every_way(void **state)
{
	unsigned n = 0;
	each_way(on_good_wire, &n);
	assert_true(n > 100);
}

static void on_bad_wire(const struct way *w, void *arg)
{
	if (!w->nat)
		try_way(w, 10, 120000);
}

static void every_way_with_losses(void **state)
{
	each_way(on_bad_wire, NULL);
}

static void sites(void **state)
{
	for (enum v1_method method = V1_PSK; method < V1_HYBRID; method++)
		for (int bits = 0; bits < 4; bits++) {
			struct way w = {.aggressive = bits & 1,
				.nat = bits & 2,
				.site = true,
				.method = method,
				.config = V1_NONE};
			try_way(&w, 0, 8000);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_way),
		cmocka_unit_test(sites),
		cmocka_unit_test(every_way_with_losses),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}

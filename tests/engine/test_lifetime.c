// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What ends or begins in the middle of something else: IKE SAs during their rekeying, limits that are
// met while others wait, leases of sessions without a child, message ids at their end.
#include "tests/engine/pair.h"

static const struct side defaults;

static int rekey_ike(struct bench_node *n)
{
	return ike_rekey_ike(n->engine, bench_session(n).id);
}

// The engine shuts down while its request to rekey is under way: the IKE SA that was being made
// belongs to that request, and the peer hears of the end whichever IKE SA it uses by then.
static void shutdown_while_rekeying(void **state)
{
	for (int ms = 0; ms < 6; ms++) {
		struct pair p = pair_new(&defaults, &defaults);
		p.gw->job_delay_ns = 2 * NS_PER_MS;
		assert_true(pair_up(&p));
		assert_int_equal(rekey_ike(p.gw), 0);
		bench_run(p.b, (uint64_t)ms);
		ike_shutdown(p.gw->engine, p.b->now_ns + 60 * NS_PER_S);
		bench_run(p.b, 500);
		assert_true(ike_drained(p.gw->engine));
		assert_true(bench_empty(p.gw));
		assert_true(bench_empty(p.client));
		bench_free(p.b);
	}
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(shutdown_while_rekeying),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

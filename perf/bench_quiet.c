// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Whether the core is ours alone. Where a hyperthread beside us, or another guest's, works too, all
// takes up to twice as long; a fixed piece of work that fills the core's units shows it.
#include "perf/bench.h"

#define TURNS  2000
#define SHARED 1.2 // times the least that was ever seen

// Six chains that do not wait for each other, and touch no memory.
static uint64_t work(void)
{
	uint64_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6;
	uint64_t t = rte_rdtsc_precise();
	for (unsigned i = 0; i < TURNS; i++) {
		a += i;
		b ^= i;
		c += i;
		d ^= i;
		e += i;
		f ^= i;
		__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
	}
	return rte_rdtsc_precise() - t;
}

bool bench_quiet(struct bench_lane *l)
{
	uint64_t t = work();
	if (l->least_work == 0 || t < l->least_work)
		l->least_work = t;
	return (double)t <= SHARED * (double)l->least_work;
}

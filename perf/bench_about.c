// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// On what the figures were made.
#include "perf/bench.h"

#include <rte_version.h>

#include <openssl/crypto.h>

#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

// "model name : X" of the first CPU.
static void cpu_name(char *out, size_t cap)
{
	char line[256];
	FILE *f = fopen("/proc/cpuinfo", "re");
	snprintf(out, cap, "unknown");
	while (f && fgets(line, sizeof(line), f)) {
		char *p = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
		if (!p)
			continue;
		snprintf(out, cap, "%.*s", (int)strcspn(p + 2, "\"\\\n"), p + 2);
		break;
	}
	if (f)
		fclose(f);
}

static const char *arch_name(void)
{
	static const char *const names[] = {
		[IMB_ARCH_SSE] = "SSE", [IMB_ARCH_AVX2] = "AVX2", [IMB_ARCH_AVX512] = "AVX-512"};
	IMB_MGR *m = alloc_mb_mgr(0);
	IMB_ARCH arch = IMB_ARCH_NONE;
	if (m)
		init_mb_mgr_auto(m, &arch);
	free_mb_mgr(m);
	return arch < RTE_DIM(names) && names[arch] ? names[arch] : "other";
}

// The clock's rate, which EAL would tell, were it up.
static double tsc_mhz(void)
{
	uint64_t ns = clock_now_ns(&clock_system), t = rte_rdtsc();
	usleep(100000);
	return (double)(rte_rdtsc() - t) * 1e3 / (double)(clock_now_ns(&clock_system) - ns);
}

void bench_about(void)
{
	char cpu[128];
	struct utsname u;
	cpu_name(cpu, sizeof(cpu));
	if (uname(&u))
		u.release[0] = 0;
	printf("{\"cpu\":\"%s\",\"cpus\":%ld,\"tsc_mhz\":%.0f,\"kernel\":\"%s\",\"ipsec_mb\":\"%s\","
	       "\"ipsec_mb_arch\":\"%s\",\"dpdk\":\"%s\",\"openssl\":\"%s\"}\n",
		cpu, sysconf(_SC_NPROCESSORS_ONLN), tsc_mhz(), u.release, imb_get_version_str(),
		arch_name(), rte_version(), OpenSSL_version(OPENSSL_VERSION));
}

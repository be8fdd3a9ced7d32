// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// esp_bench with an oracle that is at odds with the gateway, as FAULT in the environment says: what the
// bench makes of it is tested by test_esp_bench.py. icv: one packet among many that is not authentic;
// text: what comes out of the tunnel is not what the bench thinks went in; open: the same for what goes in.
#define oracle_wrap true_wrap
#define oracle_open true_open
#include "tests/dataplane/esp_oracle.c"
#undef oracle_wrap
#undef oracle_open

#include <stdlib.h>

#define ONE_OF_THEM 5000

size_t oracle_wrap(const struct sa_spec *s, uint64_t seq, const uint8_t *inner, size_t len,
	uint8_t next, uint8_t *out);
size_t oracle_open(
	const struct sa_spec *s, uint32_t esn_high, const uint8_t *esp, size_t len, uint8_t *out);

static bool fault(const char *name)
{
	const char *f = getenv("FAULT");
	return f && strcmp(f, name) == 0;
}

size_t oracle_wrap(const struct sa_spec *s, uint64_t seq, const uint8_t *inner, size_t len,
	uint8_t next, uint8_t *esp)
{
	static unsigned packets;
	uint8_t changed[16384];
	memcpy(changed, inner, len);
	changed[len - 1] ^= fault("text");
	size_t n = true_wrap(s, seq, changed, len, next, esp);
	esp[n - 1] ^= ++packets == ONE_OF_THEM && fault("icv");
	return n;
}

size_t oracle_open(
	const struct sa_spec *s, uint32_t esn_high, const uint8_t *esp, size_t n, uint8_t *plain)
{
	size_t len = true_open(s, esn_high, esp, n, plain);
	plain[0] ^= fault("open");
	return len;
}

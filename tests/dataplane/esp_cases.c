// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/dataplane/esp_cases.h"

#include "tests/cmocka_all.h"

struct ec ec;

int ec_start(void **state)
{
	(void)state;
	fx_start(1, NIC_HASH_NONE, NIC_HASH_NONE);
	ec.tunnel = fx_tunnel(0, EC_INNER, EC_PEER, 4500);
	fx_child(ec.tunnel, 0, ENCR_AES_GCM_16, 128, 0, EC_INNER, &ec.in, &ec.out);
	return 0;
}

int ec_start_legacy(void **state)
{
	(void)state;
	fx_start(1, NIC_HASH_NONE, NIC_HASH_NONE);
	ec.tunnel = fx_tunnel(0, EC_INNER, EC_PEER, 4500);
	fx_child(ec.tunnel, 0, ENCR_DES, 0, INTEG_HMAC_MD5_96, EC_INNER, &ec.in, &ec.out);
	return 0;
}

int ec_start_bare(void **state)
{
	(void)state;
	fx_start(1, NIC_HASH_NONE, NIC_HASH_NONE);
	return 0;
}

int ec_stop(void **state)
{
	(void)state;
	fx_stop();
	return 0;
}

void ec_esp_in(uint64_t seq, const uint8_t *inner, size_t len, uint8_t next)
{
	uint8_t esp[4096];
	size_t n = oracle_wrap(&ec.in, seq, inner, len, next, esp);
	fx_input_esp(EC_PEER, 4500, 0, esp, n);
	fx_run();
}

void ec_ping_in(uint64_t seq)
{
	uint8_t p[256];
	ec_esp_in(seq, p, fx_ipv4(p, EC_INNER, EC_HOST, PROTO_UDP, 64), 4);
}

size_t ec_inside_packets(void)
{
	uint8_t buf[4096];
	size_t n = 0;
	while (fx_output(FX_INSIDE, buf, sizeof(buf)))
		n++;
	return n;
}

void ec_forwarded(const uint8_t *sent, size_t len)
{
	uint8_t got[4096], want[4096];
	size_t n = fx_output(FX_INSIDE, got, sizeof(got));
	assert_int_equal(n, len);
	memcpy(want, sent, len);
	ip_hop(want, want[0] >> 4);
	assert_memory_equal(got, want, len);
}

struct sa_spec ec_child_with(struct sa_spec spec, enum sa_dir dir)
{
	const struct sa_sink *s = &fx.dp->sa_sink;
	struct tunnel_path path = fx_path(EC_PEER, 4500);
	uint32_t spi;
	assert_int_equal(s->spi_reserve(s->ctx, 0, &path, &spi), 0);
	spec.child = spi;
	spec.spi = dir == SA_IN ? spi : FX_PEER_SPI;
	assert_int_equal(s->sa_add(s->ctx, &spec), 0);
	if (dir == SA_OUT)
		s->sa_switch(s->ctx, spi);
	fx_run();
	return spec;
}

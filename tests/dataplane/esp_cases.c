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

int ec_start_one(void **state)
{
	return ec_start_bare(state);
}

// What the one gets by its NIC is the other's.
int ec_start_two(void **state)
{
	(void)state;
	fx_start(2, NIC_HASH_NONE, NIC_HASH_NONE);
	return 0;
}

void ec_make(const struct ec_way *way)
{
	const struct sa_sink *s = &fx.dp->sa_sink;
	uint16_t worker = fx.dp->worker_count - 1;
	struct tunnel_spec spec = {.worker = worker,
		.path = fx_path(way->peer, way->port),
		.session = 77,
		.per_worker = way->per_worker,
		.treat = way->treat};
	uint16_t encr = way->encr ? way->encr : ENCR_AES_GCM_16;
	uint16_t bits = way->encr ? way->bits : 128;
	uint32_t spi;
	ec.tunnel = fx_tunnel_of(&spec, way->inner);
	assert_int_equal(s->spi_reserve(s->ctx, worker, &spec.path, &spi), 0);
	ec.in = fx_spec(ec.tunnel, SA_IN, encr, bits, way->integ, way->inner);
	ec.out = fx_spec(ec.tunnel, SA_OUT, encr, bits, way->integ, way->inner);
	ec.in.child = ec.in.spi = ec.out.child = spi;
	ec.out.spi = FX_PEER_SPI;
	ec.out.tfc = way->tfc;
	assert_int_equal(s->sa_add(s->ctx, &ec.in), 0);
	assert_int_equal(s->sa_add(s->ctx, &ec.out), 0);
	s->sa_switch(s->ctx, spi);
	fx_run();
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
	assert_int_equal(s->spi_reserve(s->ctx, (uint16_t)fx.owner, &path, &spi), 0);
	spec.child = spi;
	spec.spi = dir == SA_IN ? spi : FX_PEER_SPI;
	assert_int_equal(s->sa_add(s->ctx, &spec), 0);
	if (dir == SA_OUT)
		s->sa_switch(s->ctx, spi);
	fx_run();
	return spec;
}

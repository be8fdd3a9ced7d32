// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// First messages of phase 1 by hand, from an address that is nobody's. For one test file.
#pragma once

#include "controlplane/ikev1/phase1.h"
#include "tests/engine/v1_pair.h"

#define STRANGER "198.51.100.77"

static uint8_t last_bytes[4096];
static size_t last_len;

struct first {
	uint8_t exchange;
	uint16_t auth;
	const char *ike; // proposal; NULL: V1_IKE's
	const char *id;
	size_t ke_len;   // 0: the group's
	uint8_t ke_fill; // of a value that is none; 0: a good one
	bool vendors;    // those that vpnc has
	uint8_t nonce_len;
	uint32_t wait_ms; // for the answer; 0: 50
};

static inline void put_ke_of(
	struct wire_builder *b, const struct proposal *p, const struct first *f)
{
	uint8_t value[1024];
	struct ike_dh *dh = ike_dh_new(p->dh[0]);
	size_t len = f->ke_len ? f->ke_len : alg_dh(p->dh[0])->public_len;
	assert_non_null(dh);
	memset(value, f->ke_fill, sizeof(value));
	if (!f->ke_fill) {
		assert_int_equal(ike_dh_generate(dh), IKE_CRYPTO_OK);
		memcpy(value, ike_dh_public(dh).p, ike_dh_public(dh).len);
	}
	ikev1_put_ke(b, (struct view){value, len});
	ike_dh_free(dh);
}

static inline void put_rest(struct wire_builder *b, const struct proposal *p, const struct first *f)
{
	static const uint8_t nonce[64] = {1, 2, 3};
	static const enum ikev1_vendor vids[] = {IKEV1_VID_XAUTH, IKEV1_VID_UNITY,
		IKEV1_VID_NATT_RFC3947, IKEV1_VID_NATT_03, IKEV1_VID_NATT_02N, IKEV1_VID_NATT_02,
		IKEV1_VID_NATT_00, IKEV1_VID_DPD};
	struct ike_id id;
	if (f->exchange == IKEV1_EXCHANGE_AGGRESSIVE) {
		put_ke_of(b, p, f);
		ikev1_put_nonce(b, (struct view){nonce, f->nonce_len ? f->nonce_len : 20});
		assert_int_equal(ike_id_from_text(f->id, &id), 0);
		wire_put_raw(b, IKEV1_PAYLOAD_ID, ike_id_view(&id));
	}
	for (size_t i = 0; f->vendors && i < sizeof(vids) / sizeof(vids[0]); i++)
		ikev1_put_vendor(b, ikev1_vendor_bytes(vids[i]));
}

// Sends it and returns its length; the answer, if there is one, is the gateway's next message.
static inline size_t send_first(struct v1 *v, const struct first *f)
{
	static uint64_t cookie = 0x1122334455660000;
	uint8_t bytes[4096];
	char why[128];
	struct proposal mine;
	struct wire_builder b;
	struct ike_header h = {.spi_i = ++cookie, .major = IKE_MAJOR_1, .exchange = f->exchange};
	struct ikev1_ike_offer offer = {
		.mine = &mine, .count = 1, .auths = {f->auth}, .auth_count = 1, .life_s = 3600};
	struct endpoint from = bench_at(STRANGER, 500), to = bench_at(GW_ADDR, 500);
	assert_int_equal(proposal_parse(f->ike ? f->ike : "aes128-sha256-ecp256", false, &mine, why,
				 sizeof(why)),
		0);
	wire_build_message(&b, bytes, sizeof(bytes), &h);
	ikev1_build_ike(&b, &offer);
	put_rest(&b, &mine, f);
	struct view all = wire_build_done(&b);
	assert_non_null(all.p);
	memcpy(last_bytes, all.p, all.len);
	last_len = all.len;
	v1_watch_forget(v->w);
	bench_inject(v->b, &from, &to, all.p, all.len);
	bench_run(v->b, f->wait_ms ? f->wait_ms : 50);
	return all.len;
}

static inline void send_again(struct v1 *v)
{
	struct endpoint from = bench_at(STRANGER, 500), to = bench_at(GW_ADDR, 500);
	bench_inject(v->b, &from, &to, last_bytes, last_len);
	bench_run(v->b, 5);
}

static inline const struct v1_message *reply_of(struct v1 *v)
{
	return v1_nth(v->w, v->gw, 0, 1);
}

static inline size_t sas(struct v1 *v)
{
	return v->gw->engine->sa_count;
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// An ISAKMP SA that the two sides of a struct v1 have, made by hand: without phase 1, XAUTH and Mode
// Configuration, so that tests of what follows depend on nothing before it.
#pragma once

#include "tests/engine/v1_pair.h"

struct v1_ready {
	struct ike_sa *gw, *client;
	struct ike_session *gw_session, *client_session;
};

static inline void v1_ready_keys(struct ike_sa *sa, uint64_t spi_i, uint64_t spi_r)
{
	static const uint8_t secret[48] = "a secret that phase 1 would have agreed upon";
	sa->spi_i = spi_i;
	sa->spi_r = spi_r;
	sa->suite = (struct suite){.encr = {ENCR_AES_CBC, 128},
		.prf = PRF_HMAC_SHA2_256,
		.integ = INTEG_HMAC_SHA2_256_128,
		.dh = DH_ECP_256};
	struct ikev1_keys_input in = {.suite = &sa->suite,
		.psk = {secret, 16},
		.shared = {secret, 32},
		.ni = {secret, 20},
		.nr = {secret + 8, 24},
		.spi_i = spi_i,
		.spi_r = spi_r};
	assert_int_equal(ikev1_keys_derive(&in, &sa->v1->keys), IKE_CRYPTO_OK);
	memcpy(sa->v1->iv, secret, sizeof(sa->v1->iv));
	sa->has_keys = true;
}

static inline struct ike_session *v1_ready_session(
	struct bench_node *n, struct ike_sa *sa, struct bench_node *other, bool client)
{
	struct ike_id id;
	const char *text = client ? "gw.example" : "client@example";
	sa->conn = &n->cfg->connections[0];
	sa->local = (struct endpoint){n->addr, IKE_PORT};
	sa->remote = (struct endpoint){other->addr, IKE_PORT};
	sa->v1->mode = IKEV1_EXCHANGE_MAIN;
	sa->v1->peer_dpd = true;
	assert_int_equal(ike_id_from_text(text, &id), 0);
	struct ike_session *s = ike_session_new(sa, sa->conn);
	assert_non_null(s);
	struct ike_peer peer = {.id = ike_id_view(&id), .text = text, .proven = true};
	assert_int_equal(ike_session_identify(s, &peer), 0);
	ike_sa_state_set(sa, IKE_SA_PHASE1);
	ike_sa_state_set(sa, IKE_SA_LOGIN);
	return s;
}

// As Mode Configuration would have done.
static inline void v1_ready_lease(struct v1 *v, struct v1_ready *r)
{
	struct address_source *src = v->gw->engine->p.addresses;
	struct address_request rq = {.pool = &v->gw->cfg->pools[0],
		.owner = {.identity = secret_view(&r->gw_session->identity),
			.name = r->gw_session->identity_text}};
	struct lease l;
	assert_int_equal(src->acquire(src->ctx, &rq, &l), ADDRESS_OK);
	ike_lease_add(r->gw_session, &l);
	r->client_session->assigned[0] = l.addr;
	r->client_session->assigned_count = 1;
}

static inline void v1_ready_established(struct bench_node *n, struct ike_sa *sa)
{
	ike_enter(n->engine);
	ike_sa_established(sa);
	ike_session_established(sa->session);
	ike_session_watch(sa->session);
	ike_leave(n->engine);
}

// Established on both sides; with a pool the client has an address of it. No child SA yet.
static inline struct v1_ready v1_ready(struct v1 *v)
{
	struct v1_ready r;
	r.gw = ike_sa_new(v->gw->engine, IKE_MAJOR_1, false);
	r.client = ike_sa_new(v->client->engine, IKE_MAJOR_1, true);
	v1_ready_keys(r.gw, r.client->spi_i, r.gw->spi_r);
	v1_ready_keys(r.client, r.client->spi_i, r.gw->spi_r);
	r.gw_session = v1_ready_session(v->gw, r.gw, v->client, false);
	r.client_session = v1_ready_session(v->client, r.client, v->gw, true);
	r.gw->nat_remote = r.client->nat_local = v->setup.nat;
	if (v->gw->cfg->pool_count && v->setup.config != V1_NONE)
		v1_ready_lease(v, &r);
	v1_watch_keyed(v->w, r.gw);
	v1_ready_established(v->gw, r.gw);
	v1_ready_established(v->client, r.client);
	return r;
}

// The client's child SA number i of its configuration.
static inline int v1_ready_add(struct v1 *v, struct v1_ready *r, size_t i)
{
	ike_enter(v->client->engine);
	int rc = ikev1_add_child(r->client, &v->client->cfg->connections[0].children[i]);
	ike_leave(v->client->engine);
	return rc;
}

// With one child SA, up on both sides within five seconds.
static inline struct v1_ready v1_ready_child(struct v1 *v)
{
	struct v1_ready r = v1_ready(v);
	assert_int_equal(v1_ready_add(v, &r, 0), 0);
	if (!bench_run_until(v->b, v1_is_up, v, 5000)) {
		v1_print(v->w);
		fail_msg("no child SA");
	}
	bench_run(v->b, 20);
	return r;
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A client and a gateway, by each way in which a client gets its address; and an AAA server that says
// what the test wants.
#pragma once

#include "tests/engine/slow_source.h"
#include "tests/engine/v1_pair.h"

#define POOLS3 \
	POOL4 ", { name = \"q4\"; ranges = [ \"10.2.0.1-10.2.0.6\" ]; linger_s = 60; }, " POOL6

enum way { WAY_V2, WAY_PULL, WAY_PUSH, WAY_BEFORE, WAYS };

static const char *const way_names[] = {"IKEv2", "pull", "push", "push before the status"};

struct way_setup {
	enum way way;
	const char *pools, *names; // of the connection: "\"p4\""
	const char *more;          // further options of the connection
	const char *credentials;   // IKEv2
	bool xauth;                // IKEv1
	const char *user, *password;
};

struct ways {
	struct v1 v; // its w only with IKEv1
	bool ikev2;
	struct bench *b;
	struct bench_node *gw, *client;
};

static inline char *way_options(const struct way_setup *s)
{
	static const char *const config[] = {
		"\"respond\"", "\"respond\"", "\"initiate\"", "\"initiate\""};
	char *text;
	assert_true(asprintf(&text, "mode_config = [ %s ]; pools = [ %s ]; %s %s", config[s->way],
			    s->names ? s->names : "\"p4\"",
			    s->way == WAY_BEFORE ? "push = \"before_status\";" : "",
			    s->more ? s->more : "") > 0);
	return text;
}

static inline struct v1_setup way_v1(const struct way_setup *s, const char *options)
{
	return (struct v1_setup){.config = V1_NONE,
		.xauth = s->xauth || s->way == WAY_BEFORE,
		.pools = s->pools ? s->pools : POOL4,
		.gw_more = options,
		.user = s->user,
		.password = s->password,
		.client_more = "dpd = { delay_s = 0; };"};
}

static inline struct bench_node *way_client(
	struct ways *w, const char *name, const char *addr, const struct way_setup *s)
{
	struct bench_node *n;
	if (w->ikev2) {
		struct side side = {.credentials = s->credentials};
		n = side_add(w->b, name, addr, &side, false);
	} else {
		char *options = way_options(s);
		struct v1_setup v1 = way_v1(s, options);
		n = v1_add_client(w->b, name, addr, &v1);
		free(options);
	}
	n->cfg->connections[0].request_v4 = s->way < WAY_PUSH;
	n->cfg->connections[0].request_push = s->way >= WAY_PUSH;
	return n;
}

static inline struct ways ways_new(const struct way_setup *s)
{
	struct ways w = {.ikev2 = s->way == WAY_V2};
	char *options = way_options(s);
	if (w.ikev2) {
		struct side gw = {
			.pools = s->pools, .more = options, .credentials = s->credentials};
		w.b = bench_new();
		w.gw = side_add(w.b, "gw", GW_ADDR, &gw, true);
	} else {
		struct v1_setup v1 = way_v1(s, options);
		w.b = bench_new();
		w.v.w = v1_watch_new(w.b);
		w.gw = v1_add_gw(w.b, "gw", GW_ADDR, &v1);
	}
	free(options);
	w.client = way_client(&w, "client", CLIENT_ADDR, s);
	return w;
}

// None had to be ended by the pools because nobody gave it back.
static inline void ways_none_expired(const struct ways *w)
{
	struct pool_stats st;
	for (size_t i = 0; pools_stats(w->gw->pools, i, &st); i++) {
		assert_int_equal(st.expired, 0);
		assert_int_equal(st.allocated, st.released + st.in_use + st.outside);
	}
}

static inline void ways_free(struct ways *w)
{
	if (w->gw->engine)
		ways_none_expired(w);
	bench_free(w->b);
	if (!w->ikev2)
		v1_watch_free(w->v.w);
}

static inline void ways_connect(struct ways *w, struct bench_node *client)
{
	assert_true(bench_connect(client, w->gw, "c") > 0);
	bench_run(w->b, 1000);
}

// The client's address as the gateway has it; "": no session, or none.
static inline const char *ways_inner(struct bench_node *gw, char text[IP_TEXT_MAX])
{
	struct ike_session_info s;
	text[0] = '\0';
	if (ike_session_next(gw->engine, 0, &s) && s.inner_count)
		ip_text(&s.inner[0], text);
	return text;
}

static inline struct pool_stats ways_pool(const struct ways *w, size_t pool)
{
	struct pool_stats st;
	assert_true(pools_stats(w->gw->pools, pool, &st));
	return st;
}

static inline uint64_t ways_in_use(const struct ways *w)
{
	struct pool_stats st;
	uint64_t n = 0;
	for (size_t i = 0; pools_stats(w->gw->pools, i, &st); i++)
		n += st.in_use + st.outside;
	return n;
}

// ---- AAA ----

struct fake_aaa {
	struct bench_node *node;
	struct ike_aaa_addresses say;
	bool later; // it answers 50 ms after it was asked, by fake_aaa_answer()
	uint64_t token;
	unsigned asked;
};

static inline enum ike_aaa_status fake_authorize(
	void *ctx, const struct ike_aaa_request *rq, struct ike_aaa_addresses *out)
{
	struct fake_aaa *a = ctx;
	a->asked++;
	a->token = rq->token;
	if (a->later)
		return IKE_AAA_PENDING;
	*out = a->say;
	return IKE_AAA_ACCEPT;
}

static inline void fake_aaa_init(struct fake_aaa *a, struct bench_node *n)
{
	a->node = n;
	n->engine->p.aaa = (struct ike_aaa){.ctx = a, .authorize = fake_authorize};
}

static inline void fake_aaa_answer(struct fake_aaa *a)
{
	uint64_t token = a->token;
	a->token = 0;
	if (token)
		ike_aaa_done(a->node->engine, token, IKE_AAA_ACCEPT, &a->say);
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The bench: messages by hand, conditions, counters and sessions.
#include "tests/engine/bench.h"

#include "controlplane/exchange.h"
#include "controlplane/ikev1/ikev1.h"

// ---- by hand ----

void bench_send_sealed(struct bench_node *n, struct ike_sa *sa, uint8_t exchange,
	uint32_t message_id, bool is_response, const struct wire_builder *payloads)
{
	enum ike_reason why;
	struct ike_datagram to = ike_sa_path(sa);
	struct ike_sent *s =
		ike_message_seal(sa, exchange, message_id, is_response, payloads, &why);
	assert_non_null(s);
	for (uint16_t i = 0; i < s->count; i++)
		bench_inject(
			n->bench, &to.local, &to.remote, s->datagrams[i].p, s->datagrams[i].len);
	ike_sent_free(s);
}

struct bench_pair bench_pair_new(const char *gw, const char *client)
{
	struct bench_pair p = {.b = bench_new()};
	p.gw = bench_add(p.b, "gw", "192.0.2.1", gw);
	p.client = bench_add(p.b, "client", "198.51.100.2", client);
	return p;
}

void bench_pair_up(struct bench_pair *p)
{
	assert_true(bench_connect(p->client, p->gw, "home") > 0);
	assert_true(bench_run_until(p->b, bench_established, p->client, 120000));
	assert_true(bench_run_until(p->b, bench_quiet, p->gw, 5000));
	p->gw_sa = bench_sa_of(p->gw, bench_session(p->gw).id);
	p->client_sa = bench_sa_of(p->client, bench_session(p->client).id);
}

// ---- looking ----

bool bench_established(void *node)
{
	struct bench_node *n = node;
	struct ike_session_info info;
	return ike_session_next(n->engine, 0, &info) && info.state == IKE_SESSION_ESTABLISHED;
}

bool bench_empty(void *node)
{
	struct bench_node *n = node;
	struct ike_status st;
	ike_status(n->engine, &st);
	return st.ike_sas == 0 && st.sessions == 0 && st.children == 0 &&
	       LIST_EMPTY(&n->sink.sas) && LIST_EMPTY(&n->sink.tunnels);
}

bool bench_quiet(void *node)
{
	struct bench_node *n = node;
	struct ike_sa *sa;
	LIST_FOREACH (sa, &n->engine->all_sas, all) {
		if (sa->out_progress || sa->in_progress || !TAILQ_EMPTY(&sa->tasks))
			return false;
		if (sa->v1 && sa->v1->exchange_count)
			return false;
	}
	return STAILQ_EMPTY(&n->sink.events);
}

uint64_t bench_counter(const struct bench_node *n, const char *name)
{
	const char *have;
	uint64_t value;
	for (size_t i = 0; ike_counter(n->engine, i, &have, &value, NULL); i++)
		if (strcmp(have, name) == 0)
			return value;
	fail_msg("no counter %s", name);
	return 0;
}

void bench_expect_at(
	const struct bench_node *n, const char *name, uint64_t value, const char *file, int line)
{
	const char *have;
	uint64_t got = bench_counter(n, name), v;
	if (got == value)
		return;
	for (size_t i = 0; ike_counter(n->engine, i, &have, &v, NULL); i++)
		if (v)
			print_error("  %s: %s = %llu\n", n->name, have, (unsigned long long)v);
	fail_msg("%s:%d: %s: %s is %llu, not %llu (seed %llu)", file, line, n->name, name,
		(unsigned long long)got, (unsigned long long)value,
		(unsigned long long)n->bench->seed);
}

struct ike_session_info bench_session(struct bench_node *n)
{
	struct ike_session_info info;
	if (!ike_session_next(n->engine, 0, &info))
		fail_msg("%s has no session (seed %llu)", n->name,
			(unsigned long long)n->bench->seed);
	return info;
}

size_t bench_session_count(struct bench_node *n)
{
	struct ike_status st;
	ike_status(n->engine, &st);
	return st.sessions;
}

struct ike_sa *bench_sa_of(struct bench_node *n, uint64_t session)
{
	struct ike_session *s = ike_session_by_id(n->engine, session);
	assert_non_null(s);
	return s->sa;
}

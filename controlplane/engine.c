// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The engine as a whole: birth and end, time, counters, shutdown, status.
#include "controlplane/engine.h"

#include "controlplane/exchange.h"
#include "controlplane/ikev1/ikev1.h"
#include "controlplane/index.h"
#include "controlplane/pool_names.h"
#include "controlplane/session.h"
#include "controlplane/starter.h"
#include "controlplane/throttle.h"
#include "controlplane/users.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

LOG_SUBSYSTEM("ike");

#define TABLE_MIN 64

static int tables_init(struct ike_engine *e)
{
	struct htab *all[] = {&e->sas_by_spi, &e->sas_by_init, &e->sessions_by_id, &e->owners,
		&e->places, &e->children_by_spi, &e->routes, &e->route_rings, &e->leases_by_addr,
		&e->waiting, &e->installing};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (htab_init(all[i], TABLE_MIN) < 0)
			return -ENOMEM;
	return 0;
}

static void engine_release(struct ike_engine *e)
{
	htab_fini(&e->sas_by_spi);
	htab_fini(&e->sas_by_init);
	htab_fini(&e->sessions_by_id);
	htab_fini(&e->owners);
	htab_fini(&e->places);
	htab_fini(&e->children_by_spi);
	htab_fini(&e->waiting);
	htab_fini(&e->installing);
	htab_fini(&e->routes);
	htab_fini(&e->route_rings);
	htab_fini(&e->leases_by_addr);
	ike_cookies_free(e->cookies);
	ike_index_free(e->index);
	ike_users_free(e->users);
	ike_pool_names_free(e->pools);
	ike_throttle_free(e->throttle);
	if (e->plain)
		secret_wipe(e->plain, IKE_FRAGMENT_BYTES_MAX);
	if (e->scratch)
		secret_wipe(e->scratch, IKE_OUT_MAX);
	free(e->starters);
	free(e->plain);
	free(e->scratch);
	free(e);
}

int ike_engine_new(const struct ike_params *p, struct ike_engine **out)
{
	struct ike_engine *e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->p = *p;
	e->now_ns = clock_now_ns(p->clock);
	e->refusals = (struct log_limit)LOG_LIMIT_DEFAULT;
	e->version_replies = (struct log_limit)LOG_LIMIT_DEFAULT;
	e->qcd_replies = (struct log_limit){.interval_ns = NS_PER_S, .burst = 200};
	e->larger_replies = (struct log_limit){.interval_ns = NS_PER_S, .burst = 20};
	wheel_init(&e->wheel, e->now_ns);
	random_fill(p->random, e->hash_key, sizeof(e->hash_key));
	LIST_INIT(&e->all_sas);
	LIST_INIT(&e->dead);
	LIST_INIT(&e->kept);
	TAILQ_INIT(&e->work);
	TAILQ_INIT(&e->ending);
	e->scratch = malloc(IKE_OUT_MAX);
	e->plain = malloc(IKE_FRAGMENT_BYTES_MAX);
	e->cookies = ike_cookies_new(e);
	e->throttle = ike_throttle_new(&e->wheel, e->hash_key);
	if (tables_init(e) < 0 || !e->scratch || !e->plain || !e->cookies || !e->throttle ||
		ike_index_new(p->cfg, &e->index) < 0 || ike_starters_new(e) < 0 ||
		ike_users_new(p->cfg, p->random, &e->users) < 0 ||
		ike_pool_names_new(p->cfg, p->random, &e->pools) < 0) {
		engine_release(e);
		return -ENOMEM;
	}
	for (size_t i = 0; i < p->cfg->connection_count; i++)
		e->ikev1 |= p->cfg->connections[i].ikev1;
	ike_address_source_begin(e);
	*out = e;
	return 0;
}

static void kept_over(struct wheel_timer *t, void *arg)
{
	struct ike_sa *sa = arg;
	LIST_REMOVE(sa, all);
	sa->engine->kept_dead--;
	ike_sa_free(sa);
}

// IKE SAs that ended with a reply of ours stay a while, without keys, to repeat that reply.
static void reap(struct ike_engine *e)
{
	struct ike_sa *sa;
	while ((sa = LIST_FIRST(&e->dead))) {
		LIST_REMOVE(sa, all);
		if (!sa->keep || !sa->last_response || e->kept_dead >= IKE_REPEAT_MAX) {
			ike_sa_free(sa);
			continue;
		}
		LIST_INSERT_HEAD(&e->kept, sa, all);
		e->kept_dead++;
		wheel_set(&e->wheel, &sa->life, e->now_ns + IKE_REPEAT_NS, kept_over, sa);
	}
}

void ike_engine_free(struct ike_engine *e)
{
	struct ike_sa *sa;
	if (!e)
		return;
	ike_enter(e);
	e->shutting_down = true;
	ike_address_source_end(e);
	ike_sessions_fini(e);
	while ((sa = LIST_FIRST(&e->all_sas)))
		ike_sa_close(sa, IKE_REASON_CLOSED);
	ike_starters_free(e);
	ike_leave(e);
	while ((sa = LIST_FIRST(&e->kept)))
		kept_over(NULL, sa);
	engine_release(e);
}

void ike_enter(struct ike_engine *e)
{
	if (e->depth++ == 0)
		e->now_ns = clock_now_ns(e->p.clock);
}

void ike_leave(struct ike_engine *e)
{
	struct ike_sa *sa;
	if (e->depth > 1) {
		e->depth--;
		return;
	}
	while ((sa = TAILQ_FIRST(&e->work))) {
		TAILQ_REMOVE(&e->work, sa, work);
		sa->has_work = false;
		ike_sa_pump(sa);
	}
	reap(e);
	e->depth--;
}

void ike_tick(struct ike_engine *e)
{
	ike_enter(e);
	wheel_advance(&e->wheel, e->now_ns);
	ike_leave(e);
}

uint64_t ike_next_ns(const struct ike_engine *e)
{
	return wheel_next_ns(&e->wheel);
}

void ike_sa_event(struct ike_engine *e, const struct sa_event *ev)
{
	ike_enter(e);
	// The session learns first that the child is up, then its reply leaves.
	ike_child_event(e, ev);
	if (ev->type == SA_EVENT_INSTALLED && ev->dir == SA_IN)
		ike_child_installed(e, ev->child);
	ike_leave(e);
}

void ike_count(struct ike_engine *e, enum ike_reason reason)
{
	e->counters[reason]++;
}

void ike_refused(struct ike_engine *e, const struct ike_sa *sa, const struct endpoint *peer,
	enum ike_reason reason)
{
	char spis[IKE_SA_TEXT_MAX], from[EP_TEXT_MAX];
	uint32_t suppressed;
	ike_count(e, reason);
	if (!log_limit_pass(&e->refusals, e->now_ns, &suppressed))
		return;
	if (sa)
		ike_sa_text(sa, spis);
	else
		snprintf(spis, sizeof(spis), "- %s", peer ? endpoint_text(peer, from) : "-");
	if (suppressed)
		log_notice("%s %s (%" PRIu32 " lines suppressed)", spis, ike_reason_text(reason),
			suppressed);
	else
		log_notice("%s %s", spis, ike_reason_text(reason));
}

void ike_status(const struct ike_engine *e, struct ike_status *out)
{
	*out = (struct ike_status){.sessions = e->session_count,
		.children = e->child_count,
		.half_open = e->half_open + e->half_open_ikev1,
		.ike_sas = e->sa_count,
		.cookies = ike_cookies_on(e),
		.jobs_pending = e->jobs_pending};
}

bool ike_counter(
	const struct ike_engine *e, size_t i, const char **name, uint64_t *value, const char **help)
{
	enum ike_reason r = (enum ike_reason)(i + 1); // NONE counts nothing
	if (i >= IKE_REASON_COUNT - 1)
		return false;
	*name = ike_reason_name(r);
	*value = e->counters[r];
	if (help)
		*help = ike_reason_text(r);
	return true;
}

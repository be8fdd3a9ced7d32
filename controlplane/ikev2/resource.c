// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/ikev2/resource.h"

#include "controlplane/exchange.h"

// Both sides may make some. Who began the IKE SA goes first, the other adds what its own workers lack.
#define FIRST_NS  (10 * NS_PER_MS)
#define SECOND_NS (2 * NS_PER_S)
// The same when one has gone, or could not be made: a peer that deletes or puts off each one sets no pace.
#define FIRST_AGAIN_NS  NS_PER_S
#define SECOND_AGAIN_NS (3 * NS_PER_S)
#define AGAIN_DOUBLED   5 // times that the pause is doubled at most

void ike_resource_put(struct wire_builder *b)
{
	wire_put_notify(b, IKEV2_NOTIFY_SA_RESOURCE_INFO, (struct view){NULL, 0});
}

bool ike_resource_named(const struct ike_message *m)
{
	return wire_notify_find(m, IKEV2_NOTIFY_SA_RESOURCE_INFO) != NULL;
}

static bool counts(const struct ike_child *c, const struct cfg_child *conf)
{
	return c->conf == conf && !c->replaced && c->state != IKE_CHILD_REKEYED &&
	       c->state != IKE_CHILD_DELETING;
}

static unsigned count_on(const struct ike_session *s, const struct cfg_child *conf, uint16_t worker)
{
	const struct ike_child *c;
	unsigned n = 0;
	LIST_FOREACH (c, &s->children, link)
		n += counts(c, conf) && c->worker == worker;
	return n;
}

static unsigned count_all(const struct ike_session *s, const struct cfg_child *conf)
{
	const struct ike_child *c;
	unsigned n = 0;
	LIST_FOREACH (c, &s->children, link)
		n += counts(c, conf);
	return n;
}

uint16_t ike_resource_worker(const struct ike_session *s, const struct cfg_child *conf)
{
	uint16_t workers = s->engine->p.sink->workers, best = 0;
	unsigned least = UINT32_MAX;
	// The tunnel's own worker encrypts for those that have none.
	if (!count_on(s, conf, s->worker))
		return s->worker;
	for (uint16_t w = 0; w < workers; w++) {
		unsigned n = count_on(s, conf, w);
		if (n < least) {
			least = n;
			best = w;
		}
	}
	return best;
}

bool ike_resource_room(const struct ike_session *s, const struct cfg_child *conf)
{
	return count_all(s, conf) < IKE_RESOURCES_MAX;
}

static void resources_due(struct wheel_timer *t, void *arg);

void ike_resources_agreed(struct ike_session *s, bool more)
{
	struct ike_engine *e = s->engine;
	uint64_t after_ns = s->sa->initiator ? FIRST_NS : SECOND_NS;
	bool first = more && !s->resources;
	s->resources = more;
	s->resources_put_off = 0;
	if (first)
		wheel_set(&e->wheel, &s->resources_due, e->now_ns + after_ns, resources_due, s);
	else if (!more)
		wheel_cancel(&e->wheel, &s->resources_due);
}

// One child SA of each worker that has none, as long as the first one stands.
static void make_missing(struct ike_session *s, const struct cfg_child *conf)
{
	uint16_t workers = s->engine->p.sink->workers;
	unsigned all = count_all(s, conf);
	for (uint16_t w = 0; w < workers && all && all < IKE_RESOURCES_MAX; w++) {
		if (count_on(s, conf, w))
			continue;
		if (ikev2_add_resource(s->sa, conf, w) < 0)
			return;
		all++;
	}
}

static void resources_due(struct wheel_timer *t, void *arg)
{
	struct ike_session *s = arg;
	struct ike_sa *sa = s->sa;
	if (!s->resources || !ike_may_begin(s) || !s->established_ns)
		return;
	// What is queued may be some of them.
	if (sa->state != IKE_SA_ESTABLISHED || sa->out_progress || !TAILQ_EMPTY(&sa->tasks)) {
		ike_resources_watch(s);
		return;
	}
	for (size_t i = 0; i < s->conn->child_count; i++)
		if (s->conn->children[i].per_resource)
			make_missing(s, &s->conn->children[i]);
}

void ike_resources_watch(struct ike_session *s)
{
	struct ike_engine *e = s->engine;
	uint64_t after_ns = s->sa->initiator ? FIRST_AGAIN_NS : SECOND_AGAIN_NS;
	after_ns <<= s->resources_put_off;
	if (s->resources && !s->resources_due.set)
		wheel_set(&e->wheel, &s->resources_due, e->now_ns + after_ns, resources_due, s);
}

void ike_resources_put_off(struct ike_session *s)
{
	if (s->resources_put_off < AGAIN_DOUBLED)
		s->resources_put_off++;
	ike_resources_watch(s);
}

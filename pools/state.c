// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What a lease goes through, from the address that nobody holds and back to it.
#include "pools/hot.h"

#include <stdlib.h>

uint64_t *lease_counter(struct pool *p, const struct record *r)
{
	if (r->outside)
		return &p->stats.outside;
	if (r->state == LEASE_LINGERING)
		return &p->stats.lingering;
	return r->state == LEASE_QUARANTINED ? &p->stats.quarantined : &p->stats.in_use;
}

void lease_count(struct pool *p, const struct record *r, int n)
{
	if (r->left)
		p->stats.left += (uint64_t)(int64_t)n;
	if (n > 0)
		count_begun(p, r);
	else
		--*lease_counter(p, r);
}

static uint64_t seconds_of(const struct pool *p, unsigned queue)
{
	switch (queue) {
	case QUEUE_LINGERING:
	case QUEUE_RESTORED:
		return p->cfg->linger_s;
	case QUEUE_QUARANTINE:
		return p->cfg->quarantine_s;
	default:
		return QUARANTINE_LOST_S;
	}
}

uint64_t lease_kept_until_ns(const struct pools *all, const struct record *r)
{
	if (r->queue == QUEUE_NONE)
		return 0;
	return r->since_ns + seconds_of(&all->pools[r->pool], r->queue) * NS_PER_S;
}

void lease_enter(struct pools *all, struct record *r, enum lease_state state, enum record_queue q,
	uint64_t now_ns)
{
	struct pool *p = pool_of_record(all, r);
	leave_queue(all, p, r);
	lease_count(p, r, -1);
	r->queue = (unsigned)q & 7u;
	r->state = (unsigned)state & 3u;
	r->since_ns = now_ns;
	lease_count(p, r, 1);
	join_queue(all, p, r, q);
}

void lease_drop_grants(struct record *r)
{
	r->fence = 0;
	while (r->more) {
		struct grant *g = r->more;
		r->more = g->next;
		free(g);
	}
}

// The journal and the giver, that the address is free.
static void tell_others(struct pools *all, const struct record *r)
{
	struct address_giver *giver = all->seams.giver;
	struct ip_addr a = record_addr(&all->records, r);
	if (r->row)
		journal_drop(all, &a);
	if (giver && r->origin == LEASE_OF_DHCP && !r->lost)
		giver->give_back(giver->ctx, &a);
}

void lease_free_rest(struct pools *all, struct pool *p, struct record *r)
{
	lease_count(p, r, -1);
	lease_drop_grants(r);
	if (r->row || r->origin == LEASE_OF_DHCP)
		tell_others(all, r);
	if (r->far)
		ident_far_free(&all->records, r);
	if (r->reserved)
		p->reserved_idle++;
	if (r->loose) {
		loose_free(&all->records, r);
		return;
	}
	bool to_space = !r->reserved && !r->outside;
	*r = (struct record){.pool = r->pool, .shard = r->shard};
	if (to_space)
		space_give_back(&p->space, r);
}

void lease_free(struct pools *all, struct record *r)
{
	free_record(all, pool_of_record(all, r), r);
}

static void quarantine(struct pools *all, struct record *r, enum record_queue q, uint64_t now_ns)
{
	leave_owner(all, r);
	r->revoked = true;
	lease_enter(all, r, LEASE_QUARANTINED, q, now_ns);
}

void lease_keep(struct pools *all, struct pool *p, struct record *r)
{
	uint64_t now_ns = pools_now(all);
	if (r->lost) {
		quarantine(all, r, QUEUE_LOST, now_ns);
	} else if (!r->anonymous && p->cfg->linger_s) {
		lease_enter(all, r, LEASE_LINGERING, QUEUE_LINGERING, now_ns);
		owner_move(all, r);
	} else {
		quarantine(all, r, QUEUE_QUARANTINE, now_ns);
	}
}

void lease_end(struct pools *all, struct record *r)
{
	end_record(all, r);
}

void lease_revoke(struct pools *all, struct record *r)
{
	struct ip_addr a = record_addr(&all->records, r);
	leave_owner(all, r);
	r->revoked = true;
	if (all->source && all->source->revoked)
		all->source->revoked(all->source->user, &a);
}

void lease_lose(struct pools *all, struct record *r, uint64_t now_ns)
{
	r->lost = true;
	bool idle = r->state == LEASE_LINGERING || r->state == LEASE_QUARANTINED;
	if (idle && r->queue != QUEUE_LOST)
		quarantine(all, r, QUEUE_LOST, now_ns);
	else if (!idle && !r->revoked)
		lease_revoke(all, r);
}

// The next that ends, or NULL.
static struct record *first_of(const struct pools *all, const struct pool *p, unsigned q)
{
	return p->queues[q].count ? record_at(&all->records, p->queues[q].first) : NULL;
}

bool lease_expire(struct pools *all, struct record *r, uint64_t now_ns)
{
	if (r->queue == QUEUE_NONE || lease_until_ns(all, r) > now_ns)
		return false;
	if (r->queue == QUEUE_OFFERED) {
		lease_drop_grants(r);
		pool_of_record(all, r)->stats.expired++;
		lease_end(all, r);
	} else {
		lease_free(all, r);
	}
	return true;
}

static bool end_first(struct pools *all, const struct pool *p, unsigned q, uint64_t now_ns)
{
	struct record *r = first_of(all, p, q);
	return r && lease_expire(all, r, now_ns);
}

unsigned pool_expire_due(struct pools *all, struct pool *p, uint64_t now_ns, unsigned most)
{
	unsigned n = 0;
	uint64_t due = UINT64_MAX;
	p->due_ns = UINT64_MAX;
	for (unsigned q = QUEUE_OFFERED; q < QUEUE_COUNT; q++)
		while (n < most && end_first(all, p, q, now_ns))
			n++;
	for (unsigned q = QUEUE_OFFERED; q < QUEUE_COUNT; q++) {
		const struct record *first = first_of(all, p, q);
		uint64_t until = first ? lease_until_ns(all, first) : due;
		due = until < due ? until : due;
	}
	p->due_ns = due;
	return n;
}

void lease_undo(struct pools *all, struct pool *p, struct record *r, uint16_t shard, bool to_space)
{
	if (!r)
		return;
	r->pool = p->space.pool;
	r->shard = shard;
	if (r->loose)
		loose_free(&all->records, r);
	else if (to_space)
		space_give_back(&p->space, r);
}

struct record *lease_occupy(struct pools *all, const struct occupation *o)
{
	return occupy_place(all, o);
}

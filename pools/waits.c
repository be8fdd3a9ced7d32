// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Rows in the journal, and the grants that wait until they are durable, in the order of their tickets.
#include "pools/lease.h"

#include <stdlib.h>

static bool wait_room(struct pools *all)
{
	struct wait_chunk *last = all->last_waits;
	if (last && last->end < WAITS_OF_CHUNK)
		return true;
	struct wait_chunk *c = malloc(sizeof(*c));
	if (!c)
		return false;
	c->next = NULL;
	c->first = c->end = 0;
	if (last)
		last->next = c;
	else
		all->waits = c;
	all->last_waits = c;
	return true;
}

// After wait_room().
static void wait_push(struct pools *all, const struct wait *w)
{
	all->last_waits->waits[all->last_waits->end++] = *w;
}

static bool wait_pop(struct pools *all, uint64_t ticket, struct wait *out)
{
	struct wait_chunk *c = all->waits;
	if (!c || c->first == c->end || c->waits[c->first].ticket > ticket)
		return false;
	*out = c->waits[c->first++];
	if (c->first < c->end)
		return true;
	if (c->next) {
		all->waits = c->next;
		free(c);
	} else {
		c->first = c->end = 0;
	}
	return true;
}

void waits_fini(struct pools *all)
{
	while (all->waits) {
		struct wait_chunk *c = all->waits;
		all->waits = c->next;
		free(c);
	}
	all->last_waits = NULL;
}

const char *lease_text(const struct pools *all, const struct record *r)
{
	struct view name = ident_of(&all->records, r).name;
	if (name.len)
		memcpy(all->text, name.p, name.len);
	all->text[name.len] = '\0';
	return all->text;
}

static uint64_t put(struct pools *all, const struct record *r, struct view extra)
{
	const struct lease_journal *j = all->seams.journal;
	struct lease_row row = {
		.addr = record_addr(&all->records, r),
		.prefix_len = (uint8_t)r->prefix_len,
		.origin = r->origin,
		.anonymous = r->anonymous,
		.pool = all->pools[r->pool].cfg->name,
		.owner = ident_of(&all->records, r).key,
		.name = lease_text(all, r),
		.extra = extra,
	};
	return j->put(j->ctx, &row);
}

void journal_put(struct pools *all, struct record *r, struct view extra, uint64_t token)
{
	if (!all->seams.journal)
		return;
	bool room = wait_room(all);
	uint64_t ticket = put(all, r, extra);
	r->row = ticket != 0;
	r->ticket = (uint32_t)ticket;
	r->waiting = ticket && room;
	all->last_ticket = ticket ? ticket : all->last_ticket;
	if (r->waiting)
		wait_push(all, &(struct wait){.ticket = ticket,
				       .fence = r->fence,
				       .token = token,
				       .addr = record_addr(&all->records, r),
				       .row = true});
	else
		pool_of_record(all, r)->stats.memory_only++;
}

void journal_rewrite(struct pools *all, struct record *r, struct view extra)
{
	uint64_t ticket = all->seams.journal ? put(all, r, extra) : 0;
	r->row = r->row || ticket;
	all->last_ticket = ticket ? ticket : all->last_ticket;
}

void journal_drop(struct pools *all, const struct ip_addr *a)
{
	const struct lease_journal *j = all->seams.journal;
	if (j)
		(void)j->drop(j->ctx, a);
}

bool journal_wait(struct pools *all, const struct record *r, uint64_t fence, uint64_t token)
{
	if (!wait_room(all))
		return false;
	wait_push(all, &(struct wait){.ticket = all->last_ticket,
			       .fence = fence,
			       .token = token,
			       .addr = record_addr(&all->records, r),
			       .adopted = true});
	return true;
}

static bool holds(const struct record *r, uint64_t fence)
{
	if (r->fence == fence)
		return true;
	for (const struct grant *g = r->more; g; g = g->next)
		if (g->fence == fence)
			return true;
	return false;
}

void grant_tell(struct pools *all, uint64_t token, enum address_status s, const struct lease *l)
{
	const struct address_source *source = all->source;
	if (source && source->done)
		source->done(source->user, token, s, l);
}

static void settle(struct pools *all, const struct wait *w, bool durable)
{
	struct record *r = lease_find(all, &w->addr);
	struct lease l = {.addr = w->addr};
	if (r && w->row && r->ticket == (uint32_t)w->ticket)
		r->waiting = false;
	if (!r || !holds(r, w->fence)) {
		// It ended while it waited.
		grant_tell(all, w->token, ADDRESS_FAILED, &l);
		return;
	}
	if (r->revoked) {
		grant_end(all, r, w->fence);
		grant_tell(all, w->token, ADDRESS_FAILED, &l);
		return;
	}
	pool_of_record(all, r)->stats.memory_only += !durable;
	lease_out(all, r, w->fence, w->adopted, &l);
	grant_tell(all, w->token, ADDRESS_OK, &l);
}

void pools_settled(struct pools *all, uint64_t ticket, bool durable)
{
	struct wait w;
	while (wait_pop(all, ticket, &w))
		settle(all, &w, durable);
}

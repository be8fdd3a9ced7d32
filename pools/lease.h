// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What all pools remember together, and the steps that leases go through. Private to pools/.
#pragma once

#include "base/htab.h"
#include "pools/giver.h"
#include "pools/space.h"

#define EXPIRE_AT_ONCE    16u    // leases that one request ends at most
#define EXPIRE_PER_TICK   16384u // and one pools_tick(): some milliseconds
#define QUARANTINE_LOST_S 3600u  // of an address that its server has given to somebody else
// With IKEv1 an address may be offered during the login, which takes two minutes at most, and its
// session then has half a minute until the first child SA. The time may be long, as it is only the
// last resort: who asked for an address gives it back on each way on which he fails.
#define OFFER_LEAST_S 300
#define SNAPSHOTS     8 // configurations that a request may still name

struct pool {
	const struct cfg_pool *cfg;
	struct space space;
	struct queue queues[QUEUE_COUNT]; // by time, from QUEUE_OFFERED on
	struct pool_stats stats;
	uint64_t due_ns; // nothing in the queues ends before
	uint64_t reserved_idle;
	bool from_giver;
};

// A grant, or a row, that waits for its ticket.
struct wait {
	uint64_t ticket;
	uint64_t fence;
	uint64_t token;
	struct ip_addr addr;
	bool row; // stands for the row itself too, not for one more grant of it
	bool adopted;
};

#define WAITS_OF_CHUNK 256u
struct wait_chunk {
	struct wait_chunk *next;
	uint32_t first, end;
	struct wait waits[WAITS_OF_CHUNK];
};

// An owner without leases: his slot is fetched when he leaves and emptied a little later.
struct left {
	uint32_t hash, index;
};
#define LEFT_OWNERS 8u

struct reload;
struct pools {
	const struct cfg *cfg;
	struct pools_seams seams;
	struct address_source *source; // whose done() and revoked() are called
	struct records records;
	struct itab owners; // heads of rings, and of those who left last
	struct left left[LEFT_OWNERS];
	unsigned left_at;
	uint64_t grants; // ever
	uint64_t offer_ns;
	struct pool *pools;
	size_t count;
	struct pool *asked_last;
	const struct segment *
		*map;    // of all pools, by address; behind them the one that was found last
	uint64_t now_ns; // when the clock was read last
	size_t map_count;
	const struct cfg_pool *snapshots[SNAPSHOTS]; // the latest first
	struct wait_chunk *waits, *last_waits;       // by ticket
	uint64_t last_ticket;                        // of a put
	struct htab asked;                           // giver's tokens
	uint64_t asked_id;
	size_t tick_from;      // the pool that a tick begins with
	struct reload *reload; // that has still something to do
	// Prefix lengths that a pool has or had: such leases may lie outside all ranges since a reload.
	uint64_t units[2][2]; // by family, a bit each, the length's less one
	char *text;           // what lease_info.owner and rows point to, POOL_OWNER_MAX + 1 bytes
};

static inline uint64_t pools_now(struct pools *all)
{
	return all->now_ns = clock_now_ns(all->seams.clock);
}

// Its low bits are the record's index, until a reload moves it.
static inline uint64_t new_fence(struct pools *all, const struct record *r)
{
	return ++all->grants << INDEX_BITS | record_index(&all->records, r);
}

static inline uint32_t fence_index(uint64_t fence)
{
	return (uint32_t)fence & ((1u << INDEX_BITS) - 1);
}

static inline struct pool *pool_of_record(struct pools *all, const struct record *r)
{
	return &all->pools[r->pool];
}

struct pool *pool_look(struct pools *all, const struct cfg_pool *cfg);
// The pool that a configuration's is, NULL if it is none of ours.
static inline struct pool *pool_of(struct pools *all, const struct cfg_pool *cfg)
{
	struct pool *last = all->asked_last;
	return last && last->cfg == cfg ? last : pool_look(all, cfg);
}
// The range of any pool that holds this address, or NULL.
const struct segment *map_look(const struct pools *all, const struct ip_addr *a);
static inline const struct segment *map_find(const struct pools *all, const struct ip_addr *a)
{
	const struct segment *latest = all->map[all->map_count];
	u128 v = num_of(a);
	if (latest && latest->family == a->family && latest->lo <= v && v <= latest->last)
		return latest;
	return map_look(all, a);
}
const struct segment *map_search(
	const struct segment *const *map, size_t count, const struct ip_addr *a);
// Whether a range has an address of the 2^shift that begin with a.
bool map_touches(
	const struct segment *const *map, size_t count, const struct ip_addr *a, unsigned shift);
MUST_USE int map_load(
	const struct pool *pools, size_t count, const struct segment ***out, size_t *n);
// The lease that has this address, or NULL.
static inline struct record *lease_find(const struct pools *all, const struct ip_addr *a)
{
	const struct segment *seg = map_find(all, a);
	if (!seg || seg->sparse)
		return outside_find(&all->records, a);
	struct record *r = segment_find(&all->pools[seg->pool].space, seg, a);
	return r && r->used ? r : NULL;
}
// An address outside all ranges that begins a unit of p, none of which lies in a range.
bool map_clear(const struct pools *all, const struct pool *p, const struct ip_addr *a);
// Whether somebody's prefix outside all ranges holds a.
bool prefix_covers(const struct pools *all, const struct ip_addr *a);
// Whether a network of p outside all ranges that begins with a has somebody's address or network in it.
bool prefix_holds(const struct pools *all, const struct pool *p, const struct ip_addr *a);
// Of the pools' present spaces.
void units_remember(struct pools *all);
uint64_t lease_offer_ns(const struct cfg *c);

// ---- owners: rings of live leases, the latest first, then lingering ones, the latest last

// Where the name stands: mostly in the key, as its user or its end.
uint16_t owner_name_at(const struct owner_key *k);
// Of a row or a record; empty: anonymous.
void owner_key_read(struct view bytes, struct view name, struct owner_key *key);
static inline bool owner_anonymous(const struct pool_owner *o)
{
	return o->anonymous || (!o->user && o->identity.len == 0);
}
// By his name or his user.
bool reserved_for(const struct reserved *r, const struct owner_key *key);
uint32_t owner_hash(const struct pools *all, uint16_t pool, const struct owner_key *key);
struct record *owner_look(
	const struct pools *all, uint16_t pool, uint32_t hash, const struct owner_key *key);
// The head of his ring, NULL if he has nothing in this pool.
static inline struct record *owner_find(
	const struct pools *all, uint16_t pool, uint32_t hash, const struct owner_key *key)
{
	return itab_absent(&all->owners, hash) ? NULL : owner_look(all, pool, hash, key);
}
bool owner_is(const struct pools *all, const struct record *r, uint16_t pool, uint32_t hash,
	const struct owner_key *key);
// Into a ring, or out of one in which others are.
void owner_join(struct pools *all, struct record *head, struct record *r);
void owner_leave(struct pools *all, struct record *r);
// Out of the table with what has left.
void owner_forget_all(struct pools *all);
// To the place that its new state has in the ring.
void owner_move(struct pools *all, struct record *r);

// ---- states

void lease_enter(struct pools *all, struct record *r, enum lease_state state, enum record_queue q,
	uint64_t now_ns);
// The last reference is gone.
void lease_end(struct pools *all, struct record *r);
void lease_free(struct pools *all, struct record *r);
void lease_drop_grants(struct record *r);
// After its end it lingers or is in quarantine.
void lease_keep(struct pools *all, struct pool *p, struct record *r);
// It is in no queue and in no ring any longer.
void lease_free_rest(struct pools *all, struct pool *p, struct record *r);
// While a reload has still something to do: the lease is what the new configuration says. Its pool.
struct pool *lease_settle(struct pools *all, struct record *r);
void reload_fini(struct pools *all);
// Whether some more free addresses of p, which a reload has brought back, are known now.
bool reload_brings_back(struct pools *all, const struct pool *p);
// Adds to what counts this lease, or takes away.
void lease_count(struct pool *p, const struct record *r, int n);
uint64_t *lease_counter(struct pool *p, const struct record *r);
uint64_t lease_kept_until_ns(const struct pools *all, const struct record *r);
static inline uint64_t lease_until_ns(const struct pools *all, const struct record *r)
{
	return r->queue == QUEUE_OFFERED ? r->since_ns + all->offer_ns
					 : lease_kept_until_ns(all, r);
}
// Its holder ends; it is nobody's in the meantime.
void lease_revoke(struct pools *all, struct record *r);
// Its server has given it to somebody else.
void lease_lose(struct pools *all, struct record *r, uint64_t now_ns);
void grant_end(struct pools *all, struct record *r, uint64_t fence);
// Of a lease: false, and nothing is changed, if its time is not over.
bool lease_expire(struct pools *all, struct record *r, uint64_t now_ns);
// How many it ended, at most `most`.
unsigned pool_expire_due(struct pools *all, struct pool *p, uint64_t now_ns, unsigned most);
static inline unsigned pool_expire(
	struct pools *all, struct pool *p, uint64_t now_ns, unsigned most)
{
	return now_ns < p->due_ns ? 0 : pool_expire_due(all, p, now_ns, most);
}

struct occupation {
	struct pool *pool;
	const struct place *place;
	const struct owner_key *key;
	uint32_t hash;
	struct record *head; // of the owner's ring
	enum lease_origin origin;
	enum lease_state state;
	enum record_queue queue;
	bool reserved, outside;
	uint64_t now_ns;
};
// Makes a lease of the place that was taken. NULL without memory, and then the place is given back.
struct record *lease_occupy(struct pools *all, const struct occupation *o);
// What was taken and cannot be used.
void lease_undo(struct pools *all, struct pool *p, struct record *r, uint16_t shard, bool to_space);

// ---- rows

// The row of a new lease, whose first grant waits for it if the record says so afterwards.
void journal_put(struct pools *all, struct record *r, struct view extra, uint64_t token);
// Nobody waits.
void journal_rewrite(struct pools *all, struct record *r, struct view extra);
void journal_drop(struct pools *all, const struct ip_addr *a);
// One more grant waits for a row that is on its way. False without memory.
MUST_USE bool journal_wait(
	struct pools *all, const struct record *r, uint64_t fence, uint64_t token);
void waits_fini(struct pools *all);
// done().
void grant_tell(struct pools *all, uint64_t token, enum address_status s, const struct lease *l);
// The owner's text in all->text.
const char *lease_text(const struct pools *all, const struct record *r);
void lease_out(const struct pools *all, const struct record *r, uint64_t fence, bool adopted,
	struct lease *out);

// ---- givers

struct request {
	const struct address_request *rq;
	struct pool *pool;
	const struct owner_key *key;
	uint32_t hash;
	struct record *head; // of the owner's ring
	uint64_t now_ns;
};

void giver_attach(struct pools *all);
void giver_fini(struct pools *all);
enum address_status giver_ask(struct pools *all, const struct request *q);

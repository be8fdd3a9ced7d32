// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/engine/collide.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/exchange.h"

#define A_ADDR  "192.0.2.1"
#define C_ADDR  "198.51.100.2"
#define A_INNER "10.99.0.7"
#define C_INNER "10.7.1.9" // without a lease

#define START_NS (1000 * NS_PER_S) // of every bench
// Of the actions: their messages are counted, and in a random run it is a bad line; not so long that
// an exchange gives up (IKEv2 after 63.5 s, IKEv1 after 15.5 s).
#define ROUGH_MS(w) ((w)->ikev1 ? 7000 : 20000)
#define LIVELY_MS   300000 // of one with short lifetimes
// Retransmissions (63.5 s), graces (60 s), DPD and a childless session are over.
#define SETTLE_MS    250000
#define MESSAGES_MAX 40 // in ROUGH_MS, without losses by chance

static const char *const action_names[COLLIDE_ACTIONS] = {
	"nothing", "child-rekey", "ike-rekey", "child-delete", "ike-delete", "reauth"};
static const char *const fate_names[] = {"passed", "lost", "doubled", "late"};

// ---- what has to be left ------------------------------------------------------------------------

// Of the session after a pair of actions: bits.
enum left {
	LEFT_NONE = 1, // no session
	LEFT_BARE = 2, // one without a child SA
	LEFT_ONE = 4,  // one with one child SA
	LEFT_HALF = 8, // IKEv1: a DELETE was lost, one end has what the other has no longer
};

static bool pair_has(const enum collide_action action[2], enum collide_action what)
{
	return action[0] == what || action[1] == what;
}

// RFC 7296 2.25.2: the DELETE of an IKE SA wins over everything on it. 2.25.1: a child SA that the
// peer deletes is not rekeyed: "reply as usual" to the DELETE, TEMPORARY_FAILURE or CHILD_SA_NOT_FOUND
// to the rekeying, after which who wanted it rekeyed sends "a request to create a new Child SA from
// scratch". The IKE SA stays, with a child SA or without. Re-authentication makes an IKE SA and a child
// SA of its own, which may be there before the DELETE of the old ones or after it. By chance: where one
// side begins later its DELETE may mean what was there before or what came after.
static unsigned left_of_ikev2(const enum collide_action action[2], bool by_chance)
{
	bool again = pair_has(action, COLLIDE_REAUTH) || pair_has(action, COLLIDE_CHILD_REKEY);
	if (pair_has(action, COLLIDE_IKE_DELETE))
		return pair_has(action, COLLIDE_REAUTH) ? LEFT_NONE | LEFT_ONE : LEFT_NONE;
	if (!pair_has(action, COLLIDE_CHILD_DELETE))
		return LEFT_ONE;
	if (!again)
		return LEFT_BARE;
	return by_chance ? LEFT_ONE | LEFT_BARE : LEFT_ONE;
}

// A DELETE is said once, never answered, and does not stop a quick mode, which names no old child SA;
// nor a phase 1 that is under way. A session without a child SA ends after a while.
static unsigned left_of_ikev1(const enum collide_action action[2], bool faults)
{
	bool ike = pair_has(action, COLLIDE_IKE_DELETE);
	bool made = pair_has(action, COLLIDE_REAUTH) || pair_has(action, COLLIDE_IKE_REKEY);
	unsigned half = faults ? LEFT_HALF : 0;
	if (ike)
		return LEFT_NONE | half | (made ? LEFT_ONE : 0);
	if (!pair_has(action, COLLIDE_CHILD_DELETE))
		return LEFT_ONE;
	made |= pair_has(action, COLLIDE_CHILD_REKEY);
	return LEFT_NONE | LEFT_BARE | half | (made ? LEFT_ONE : 0);
}

static unsigned left_after(const struct collide_run *r)
{
	return r->world->ikev1 ? left_of_ikev1(r->action, r->random || r->number)
			       : left_of_ikev2(r->action, r->random);
}

static bool deletes(const enum collide_action action[2])
{
	return pair_has(action, COLLIDE_IKE_DELETE) || pair_has(action, COLLIDE_CHILD_DELETE);
}

// ---- the world ----------------------------------------------------------------------------------

static void world_open(struct collide_world *w)
{
	for (int i = 0; i < 2; i++) {
		w->cfg[i] = bench_config(w->text[i]);
		assert_int_equal(ike_credentials_new(w->cfg[i], stderr, &w->credentials[i]), 0);
	}
	w->cfg[1]->connections[0].request_v4 = w->leases;
}

static void world_close(struct collide_world *w)
{
	for (int i = 0; i < 2; i++) {
		ike_credentials_free(w->credentials[i]);
		cfg_free(w->cfg[i]);
	}
}

// What one run has at hand.
struct scene {
	struct collide_run *run;
	struct bench *b;
	struct bench_node *n[2];
	struct ip_addr lease;
	uint64_t first; // packet number before the actions
	unsigned skew_ms[2];
	char why[512];
};

static bool wrong(struct scene *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool wrong(struct scene *s, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vsnprintf(s->why, sizeof(s->why), format, ap);
	va_end(ap);
	return false;
}

static struct bench_node *machine(struct scene *s, int i)
{
	struct collide_world *w = s->run->world;
	struct bench_node *n =
		bench_add_shared(s->b, i ? "c" : "a", i ? C_ADDR : A_ADDR, w->cfg[i]);
	n->engine->p.credentials = w->credentials[i];
	return n;
}

static bool is_up(void *arg)
{
	struct scene *s = arg;
	for (int i = 0; i < 2; i++) {
		struct ike_session_info info;
		if (!ike_session_next(s->n[i]->engine, 0, &info) ||
			info.state != IKE_SESSION_ESTABLISHED || info.child_count != 1 ||
			!bench_quiet(s->n[i]))
			return false;
	}
	return true;
}

static bool up(struct scene *s)
{
	char inner[IP_TEXT_MAX] = C_INNER;
	s->b = bench_new_seeded(s->run->seed);
	s->b->allow_reply_before_install = true;
	for (int i = 0; i < 2; i++)
		s->n[i] = machine(s, i);
	if (!bench_connect(s->n[1], s->n[0], "c") || !bench_run_until(s->b, is_up, s, 5000))
		return wrong(s, "did not come up");
	if (s->run->world->leases) {
		s->lease = bench_session(s->n[0]).inner[0];
		ip_text(&s->lease, inner);
	}
	bench_traffic_watch(s->b, s->n[0], A_INNER, s->n[1], inner);
	bench_run(s->b, 1000);
	return s->b->traffic.lost == 0 || wrong(s, "traffic lost before the start");
}

// ---- actions ------------------------------------------------------------------------------------

static uint32_t usable_child(const struct ike_session *s)
{
	const struct ike_child *c;
	LIST_FOREACH (c, &s->children, link) {
		if (c->state == IKE_CHILD_ACTIVE || c->state == IKE_CHILD_READY)
			return c->spi_in;
	}
	return 0;
}

// The session's IKE SA is made anew. Whose peer began it asks the peer to do so, or, here, connects
// by itself: two IKE SAs that have to settle to one.
static int reauthenticate(struct bench_node *n, struct ike_session *s)
{
	struct endpoint local = s->sa->local, remote = s->sa->remote;
	int rc = ike_reauthenticate(n->engine, s->id);
	if (rc != -ENOTSUP)
		return rc;
	return ike_initiate(n->engine, "c", &n->origin, &local, &remote) ? 0 : -ENOENT;
}

// What is refused because of what the other side has begun before does not begin.
static int begin(struct bench_node *n, enum collide_action what)
{
	struct ike_session_info info;
	if (!n->engine || !ike_session_next(n->engine, 0, &info))
		return -ENOENT;
	struct ike_session *s = ike_session_by_id(n->engine, info.id);
	uint32_t child = usable_child(s);
	switch (what) {
	case COLLIDE_CHILD_REKEY:
		return child ? ike_rekey_child(n->engine, s->id, child) : -ENOENT;
	case COLLIDE_IKE_REKEY:
		return ike_rekey_ike(n->engine, s->id);
	case COLLIDE_CHILD_DELETE:
		return child ? ike_delete_child(n->engine, s->id, child) : -ENOENT;
	case COLLIDE_IKE_DELETE:
		return ike_delete_session(n->engine, s->id);
	case COLLIDE_REAUTH:
		return reauthenticate(n, s);
	default:
		return 0;
	}
}

static uint32_t draw(struct scene *s, uint32_t below)
{
	return random_u64(&s->b->random_source) % below;
}

static void roughen(struct scene *s)
{
	struct bench *b = s->b;
	bench_lossy(b, draw(s, 4) ? draw(s, 30) : 0, draw(s, 20), draw(s, 3) ? draw(s, 40) : 0);
	for (int i = 0; i < 2; i++) {
		s->n[i]->job_delay_ns = draw(s, 5) * NS_PER_MS;
		s->n[i]->sink.install_delay_ns = draw(s, 5) * NS_PER_MS;
	}
	// Nothing but time tells that a peer has its new session which sends nothing by it.
	b->traffic.silent = draw(s, 4) == 0 && !pair_has(s->run->action, COLLIDE_REAUTH);
	unsigned late = draw(s, 8) == 0 ? 3000 : 12;
	s->skew_ms[draw(s, 2)] = draw(s, 3) ? draw(s, late) : 0;
}

// With BENCH_LOG: who said what when.
static void trace(const struct scene *s, const struct bench_packet *p)
{
	struct ike_header h = bench_header(p);
	if (getenv("BENCH_LOG"))
		print_message("# %llu us %s %llu: exchange %u id %08x flags %02x %016llx %zu\n",
			(unsigned long long)(s->b->now_ns - START_NS) / 1000,
			ip_eq(&p->from.addr, &s->n[0]->addr) ? "a" : "c",
			(unsigned long long)(p->number - s->first), h.exchange, h.message_id,
			h.flags, (unsigned long long)h.spi_i, p->len);
}

static enum bench_fate fated(struct bench *b, struct bench_packet *p, void *arg)
{
	struct scene *s = arg;
	trace(s, p);
	return p->number == s->first + s->run->number ? s->run->fate : BENCH_PASS;
}

static bool are_quiet(void *arg)
{
	struct scene *s = arg;
	return bench_quiet(s->n[0]) && bench_quiet(s->n[1]);
}

// Not in the middle of a DPD.
static void settle(struct scene *s)
{
	bench_run(s->b, SETTLE_MS);
	(void)bench_run_until(s->b, are_quiet, s, 5000);
}

static void set_soft(struct collide_world *w, uint32_t ike_s, uint32_t child_s)
{
	for (int i = 0; i < 2; i++) {
		w->cfg[i]->connections[0].lifetime.ike_rekey_s = ike_s;
		w->cfg[i]->connections[0].lifetime.child_rekey_s = child_s;
	}
}

// Equal lifetimes on both sides, and a bad line; then what is there stays.
static bool live(struct scene *s)
{
	s->first = s->b->packet_count;
	bench_filter_add(s->b, fated, s);
	roughen(s);
	s->b->loss /= 3; // no exchange may use up its retransmissions in all that time
	bench_run(s->b, LIVELY_MS);
	bench_lossy(s->b, 0, 0, 0);
	set_soft(s->run->world, 0, 0);
	settle(s);
	return true;
}

static bool act(struct scene *s)
{
	struct bench *b = s->b;
	int rc[2];
	s->first = b->packet_count;
	bench_filter_add(b, fated, s);
	if (s->run->random)
		roughen(s);
	unsigned late = s->skew_ms[0] > s->skew_ms[1] ? 0 : 1;
	rc[!late] = begin(s->n[!late], s->run->action[!late]);
	if (s->skew_ms[late])
		bench_run(b, s->skew_ms[late]);
	bench_traffic_send(b);
	rc[late] = begin(s->n[late], s->run->action[late]);
	if (!s->run->random && (rc[0] < 0 || rc[1] < 0))
		return wrong(s, "refused: %d, %d", rc[0], rc[1]);
	bench_run(b, ROUGH_MS(s->run->world) - s->skew_ms[late]);
	bench_lossy(b, 0, 0, 0);
	s->run->packets = b->packet_count - s->first;
	settle(s);
	return true;
}

// ---- what is left -------------------------------------------------------------------------------

// The node's only session or, *s NULL, none.
static bool only_session(struct scene *s, int i, struct ike_session **out)
{
	struct ike_session_info info;
	struct ike_engine *e = s->n[i]->engine;
	*out = NULL;
	if (e->session_count > 1)
		return wrong(s, "%s has %zu sessions", s->n[i]->name, e->session_count);
	if (!ike_session_next(e, 0, &info))
		return true;
	if (info.state != IKE_SESSION_ESTABLISHED)
		return wrong(s, "%s: session in state %d", s->n[i]->name, info.state);
	*out = ike_session_by_id(e, info.id);
	return true;
}

// All that the node holds belongs to its sessions: live of them, with so many child SAs.
static bool nothing_leaked(struct scene *s, int i, unsigned live, unsigned children)
{
	struct bench_node *n = s->n[i];
	struct ike_engine *e = n->engine;
	struct bench_sa *sa;
	struct pool_stats st;
	unsigned sas = 0;
	LIST_FOREACH (sa, &n->sink.sas, link)
		sas++;
	if (e->sa_count != live || e->child_count != children || e->half_open + e->half_open_ikev1)
		return wrong(s,
			"%s: %u sessions, %u children, but %llu IKE SAs, %llu children, %llu half open",
			n->name, live, children, (unsigned long long)e->sa_count,
			(unsigned long long)e->child_count,
			(unsigned long long)(e->half_open + e->half_open_ikev1));
	if (sas != 2 * children || n->sink.tunnel_count != live || n->sink.spis.count != children ||
		n->sink.ike_spis.count != live)
		return wrong(s,
			"%s: %u sessions, %u children, but %u SAs, %u tunnels, %zu SPIs, %zu IKE SPIs",
			n->name, live, children, sas, n->sink.tunnel_count, n->sink.spis.count,
			n->sink.ike_spis.count);
	if (e->jobs_pending || e->waiting.count || e->installing.count || !bench_quiet(n))
		return wrong(s, "%s is still at work", n->name);
	if (pools_stats(n->pools, 0, &st) && st.in_use != live)
		return wrong(s, "%s: %u sessions, but %llu leases", n->name, live,
			(unsigned long long)st.in_use);
	return true;
}

static bool at_rest(struct scene *s, int i, struct ike_session *x)
{
	struct ike_child *c = LIST_FIRST(&x->children);
	if (x->rekeying || x->closing)
		return wrong(s, "%s: being rekeyed or closed", s->n[i]->name);
	if (x->child_count > 1 || (c && (c->state != IKE_CHILD_ACTIVE || c->rekeying)))
		return wrong(s, "%s: %u children, the first in state %d", s->n[i]->name,
			x->child_count, c ? (int)c->state : -1);
	return true;
}

static bool agree(struct scene *s, struct ike_session *a, struct ike_session *c)
{
	if (!at_rest(s, 0, a) || !at_rest(s, 1, c))
		return false;
	const struct ike_child *x = LIST_FIRST(&a->children), *y = LIST_FIRST(&c->children);
	if (a->sa->spi_i != c->sa->spi_i || a->sa->spi_r != c->sa->spi_r ||
		a->sa->initiator == c->sa->initiator)
		return wrong(s, "the ends have different IKE SAs");
	if (!x != !y || (x && (x->spi_in != y->spi_out || x->spi_out != y->spi_in)))
		return wrong(s, "the ends have different child SAs");
	if (!s->run->world->leases)
		return true;
	if (a->lease_count != 1 || !ip_eq(&a->leases[0].addr, &s->lease) ||
		c->assigned_count != 1 || !ip_eq(&c->assigned[0], &s->lease))
		return wrong(s, "the lease has changed");
	return true;
}

static bool once_more(struct scene *s, int i)
{
	struct ike_session_info peer = bench_session(s->n[!i]);
	uint32_t before = peer.child_count ? peer.children[0].spi_in : 0;
	int rc = before ? begin(s->n[i], COLLIDE_CHILD_REKEY)
			: ike_add_child(s->n[i]->engine, bench_session(s->n[i]).id, "lan");
	if (rc < 0)
		return wrong(s, "%s refuses another child SA: %d", s->n[i]->name, rc);
	// IKEv1's old ones have a grace.
	bench_run(s->b, s->run->world->ikev1 ? (IKE_REKEYED_GRACE_S + 1) * 1000 : 1000);
	peer = bench_session(s->n[!i]);
	if (peer.child_count != 1 || peer.children[0].spi_in == before)
		return wrong(s, "%s cannot make another child SA", s->n[i]->name);
	return true;
}

// Collisions are settled by a few messages: no storm of requests and refusals.
static bool calm(struct scene *s)
{
	unsigned most = s->run->random ? 2 * MESSAGES_MAX : MESSAGES_MAX;
	if (s->run->packets <= most)
		return true;
	return wrong(s, "%llu messages", (unsigned long long)s->run->packets);
}

static bool traffic_flowed(struct scene *s)
{
	const struct bench_traffic *t = &s->b->traffic;
	if (t->lost == 0 || deletes(s->run->action))
		return true;
	return wrong(s, "%llu of %llu inner packets lost, the first from %s under %08x at %llu us",
		(unsigned long long)t->lost, (unsigned long long)t->sent, s->n[t->lost_from]->name,
		t->lost_spi, (unsigned long long)(t->lost_ns - START_NS) / 1000);
}

// One end was not told; no more than one session of it is left there.
static bool half(struct scene *s)
{
	for (int i = 0; i < 2; i++)
		if (s->n[i]->engine->session_count > 1 || s->n[i]->engine->child_count > 1)
			return wrong(s, "%s has several SAs", s->n[i]->name);
	return true;
}

// What is left goes on: either side makes the child SA once more.
static bool look(struct scene *s)
{
	static const char *const names[] = {
		"no session", "a session without a child SA", "a session"};
	unsigned may = left_after(s->run);
	struct ike_session *a, *c;
	if (may & LEFT_HALF)
		return half(s);
	if (!only_session(s, 0, &a) || !only_session(s, 1, &c))
		return false;
	if (!a != !c)
		return wrong(s, "only %s has a session", s->n[!a]->name);
	unsigned children = a && a->child_count ? 1 : 0;
	unsigned left = !a ? 0 : 1 + children;
	if (!(may & 1u << left))
		return wrong(s, "%s is left", names[left]);
	if (!nothing_leaked(s, 0, a != NULL, children) ||
		!nothing_leaked(s, 1, a != NULL, children))
		return false;
	if (a && (!agree(s, a, c) || !once_more(s, 0) || !once_more(s, 1)))
		return false;
	return calm(s) && traffic_flowed(s);
}

static void say(const struct scene *s)
{
	const struct collide_run *r = s->run;
	char what[64] = "";
	if (r->number)
		snprintf(what, sizeof(what), ", message %u %s", r->number, fate_names[r->fate]);
	print_message("# %s: %s x %s%s, seed %llu%s: %s\n", r->world->name,
		action_names[r->action[0]], action_names[r->action[1]], what,
		(unsigned long long)r->seed, r->random ? " random" : "", s->why);
}

bool collide_run(struct collide_run *r)
{
	struct scene s = {.run = r};
	if (r->world->lively)
		set_soft(r->world, 20, 7);
	bool good = up(&s) && (r->world->lively ? live(&s) : act(&s)) && look(&s);
	if (!good) {
		say(&s);
		bench_kill(s.n[0]);
		bench_kill(s.n[1]);
	}
	bench_free(s.b);
	return good;
}

// ---- many runs ----------------------------------------------------------------------------------

static uint64_t base_seed(void)
{
	const char *text = getenv("BENCH_SEED");
	return text ? strtoull(text, NULL, 0) : 20260101;
}

// "number fate" or "random": only that run, and with BENCH_LOG said in full.
static bool chosen(const struct collide_run *r)
{
	const char *text = getenv("COLLIDE_RUN");
	char mine[64];
	if (!text)
		return true;
	snprintf(mine, sizeof(mine), "%u %s", r->number, fate_names[r->fate]);
	return strcmp(text, r->random ? "random" : mine) == 0;
}

// One pair of actions: alone, and with every message of it lost, late and doubled; then so many runs
// by seed. The number of runs that went wrong.
static unsigned run_pair(
	struct collide_world *w, enum collide_action a, enum collide_action c, unsigned random_runs)
{
	struct collide_run clean = {.world = w, .action = {a, c}, .seed = base_seed()};
	unsigned bad = w->lively ? 0 : !collide_run(&clean);
	for (enum bench_fate fate = BENCH_DROP; fate <= BENCH_DELAY; fate++) {
		for (unsigned i = 1; i <= clean.packets; i++) {
			struct collide_run r = clean;
			r.number = i;
			r.fate = fate;
			bad += chosen(&r) && !collide_run(&r);
		}
	}
	for (unsigned i = 0; i < random_runs; i++) {
		struct collide_run r = {
			.world = w, .action = {a, c}, .seed = base_seed() + i, .random = true};
		bad += chosen(&r) && !collide_run(&r);
	}
	return bad;
}

struct pair {
	struct collide_world *world;
	enum collide_action a, c;
	unsigned rounds;
	char name[64];
};

#define PAIRS_MAX (3 * COLLIDE_ACTIONS * COLLIDE_ACTIONS)

static void one_pair(void **state)
{
	const struct pair *p = *state;
	assert_int_equal(run_pair(p->world, p->a, p->c, p->rounds), 0);
}

static size_t add_pairs(
	struct pair *pairs, struct CMUnitTest *tests, struct collide_world *w, unsigned rounds)
{
	size_t n = 0;
	int from = w->lively ? 0 : 1, to = w->lively ? 1 : COLLIDE_ACTIONS * COLLIDE_ACTIONS;
	for (int i = from; i < to; i++) {
		struct pair *p = &pairs[n];
		*p = (struct pair){w, i / COLLIDE_ACTIONS, i % COLLIDE_ACTIONS, rounds, ""};
		bool anew = p->a == COLLIDE_REAUTH || (w->ikev1 && p->a == COLLIDE_IKE_REKEY);
		if (w->one_sided && anew)
			continue;
		snprintf(p->name, sizeof(p->name), "%s: %s x %s", w->name, action_names[p->a],
			action_names[p->c]);
		tests[n++] = (struct CMUnitTest){p->name, one_pair, NULL, bench_teardown, p};
	}
	return n;
}

int collide_main(
	const char *name, struct collide_world *const *worlds, size_t count, unsigned rounds)
{
	static struct pair pairs[PAIRS_MAX];
	static struct CMUnitTest tests[PAIRS_MAX];
	const char *text = getenv("BENCH_ROUNDS"), *some = getenv("COLLIDE_TESTS");
	size_t n = 0;
	log_set_level(getenv("BENCH_LOG") ? LOG_DEBUG : LOG_ERROR);
	if (text)
		rounds = (unsigned)strtoul(text, NULL, 0);
	for (size_t i = 0; i < count; i++) {
		world_open(worlds[i]);
		n += add_pairs(pairs + n, tests + n, worlds[i], rounds);
	}
	if (some)
		cmocka_set_test_filter(some);
	int failed = _cmocka_run_group_tests(name, tests, n, NULL, NULL);
	for (size_t i = 0; i < count; i++)
		world_close(worlds[i]);
	return failed;
}

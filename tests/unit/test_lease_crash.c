// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Pools over the real store in a process that is killed again and again: random logins, releases,
// expiries, reloads and clears. It says on a pipe what it is about to do and what it was answered; here
// a model (crash_model.h) listens, kills it at a point drawn by lot, starts it again and compares what
// came back. SEED=N repeats a run, LEASE_CRASH_S=N makes it longer.
#include "tests/unit/crash_model.h"

#include "pools/store.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define GRANTS_MAX 48
#define ASKS_MAX   24
#define SECONDS    12

#define CONFIG(last)                                                                    \
	"pools = ( { name = \"a\"; ranges = [ \"10.0.0.1-10.0.0." last "\" ]; linger_s" \
	" = 300; }, { name = \"b\"; ranges = [ \"10.0.1.1-10.0.1.16\" ]; linger_s = 300; } );\n"
static const char *const configs[2] = {CONFIG("48"), CONFIG("32")};

static uint64_t draw(uint64_t *state) // splitmix64
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

// ---- the process that is killed ----------------------------------------------------------------

struct held {
	struct lease lease;
	int owner; // NOBODY: none
	bool ending;
};

struct life {
	uint64_t random, now_s, ops;
	int out, wake;
	bool small;
	struct cfg *cfgs[2];
	struct lease_store *store;
	struct lease_journal journal;
	struct pools *pools;
	struct address_source source;
	struct clock_source clock;
	struct held held[GRANTS_MAX];
	uint32_t tokens, asked; // asked: without an answer yet
	int owner_of[TOKENS];
	bool adopts[TOKENS];       // a lease that may be in use already
	unsigned waiting[OWNERS];  // of asked
	uint64_t forgot_s[OWNERS]; // when a grant of his was forgotten
};

static unsigned pick(struct life *l, unsigned n)
{
	return (unsigned)(draw(&l->random) % n);
}

static void say(struct life *l, struct report r)
{
	r.now_s = l->now_s;
	if (write(l->out, &r, sizeof(r)) != sizeof(r))
		_exit(2);
}

static void need(struct life *l, int rc)
{
	if (rc == 0)
		return;
	say(l, (struct report){.kind = R_FAILED, .addr = (uint32_t)-rc});
	_exit(3);
}

static void say_addr(struct life *l, enum report_kind kind, const struct ip_addr *a)
{
	say(l, (struct report){.kind = kind, .addr = ip_to_v4(a)});
}

static uint64_t life_now(void *ctx)
{
	return ((struct life *)ctx)->now_s * NS_PER_S;
}

static uint16_t worker_of(void *ctx, const struct ip_addr *a)
{
	return a->bytes[3] & 1;
}

static struct pool_owner owner_of(int n, char name[16])
{
	snprintf(name, 16, "o%d", n);
	return (struct pool_owner){.user = n ? name : NULL, .name = name, .anonymous = n == 0};
}

// -- what became of a request

static void release(struct life *l, struct held *h)
{
	say_addr(l, R_RELEASE, &h->lease.addr);
	l->source.release(l->source.ctx, &h->lease);
	say_addr(l, R_RELEASED, &h->lease.addr);
	h->owner = NOBODY;
}

// Used at once, given back at once, or forgotten; what is shared is always used.
static void begin(struct life *l, uint32_t token, const struct lease *lease, bool shared)
{
	int owner = l->owner_of[token % TOKENS];
	struct held *h = l->held;
	unsigned what = shared ? 9 : pick(l, 10);
	while (h < l->held + GRANTS_MAX && h->owner != NOBODY)
		h++;
	// Another request of his may be about the very same.
	if (what == 0 && l->waiting[owner] == 0 && !l->adopts[token % TOKENS]) {
		say_addr(l, R_FORGET, &lease->addr);
		l->forgot_s[owner] = l->now_s;
		return;
	}
	struct held full;
	h = h == l->held + GRANTS_MAX ? &full : h;
	*h = (struct held){.lease = *lease, .owner = owner};
	if (what > 1 && h != &full) {
		bool ok = l->source.renew(l->source.ctx, lease, 1 + l->tokens);
		say_addr(l, ok ? R_ACTIVE : R_STALE, &lease->addr);
		need(l, ok ? 0 : -ESTALE);
	} else {
		release(l, h);
	}
}

static bool holds(const struct life *l, int owner, const struct ip_addr *a)
{
	for (unsigned i = 0; i < GRANTS_MAX; i++)
		if (l->held[i].owner == owner && owner > 0 && ip_eq(&l->held[i].lease.addr, a))
			return true;
	return false;
}

static void answer(struct life *l, uint32_t token, enum address_status s, const struct lease *lease)
{
	int owner = l->owner_of[token % TOKENS];
	l->asked--;
	l->waiting[owner]--;
	if (s == ADDRESS_OK) {
		say(l, (struct report){.kind = R_GRANT,
			       .token = token,
			       .addr = ip_to_v4(&lease->addr),
			       .adopted = lease->adopted});
		begin(l, token, lease, holds(l, owner, &lease->addr));
	} else {
		bool ended = s == ADDRESS_FAILED && lease && lease->addr.family;
		say(l, (struct report){.kind = ended ? R_ENDED : R_REFUSED,
			       .token = token,
			       .addr = ended ? ip_to_v4(&lease->addr) : 0});
	}
}

static void done(void *user, uint64_t token, enum address_status s, const struct lease *lease)
{
	answer(user, (uint32_t)token, s, lease);
}

static void revoked(void *user, const struct ip_addr *addr)
{
	struct life *l = user;
	for (unsigned i = 0; i < GRANTS_MAX; i++)
		if (l->held[i].owner != NOBODY && ip_eq(&l->held[i].lease.addr, addr))
			l->held[i].ending = true;
}

// -- what it does

// A live lease that he may share; what he forgot may be the one that he would get.
static bool may_adopt(const struct life *l, int owner, unsigned pool)
{
	if (l->now_s < l->forgot_s[owner] + OFFER_S + 1)
		return false;
	for (unsigned i = 0; i < GRANTS_MAX; i++)
		if (l->held[i].owner == owner &&
			strcmp(l->held[i].lease.pool->name, pool ? "b" : "a") == 0)
			return true;
	return false;
}

static void ask(struct life *l)
{
	char name[16];
	struct lease lease = {0};
	int owner = pick(l, 8) ? (int)(1 + pick(l, OWNERS - 1)) : 0;
	unsigned pool = pick(l, 4) == 0, way = pick(l, 10);
	struct report r = {.kind = R_ASK,
		.token = ++l->tokens,
		.owner = owner,
		.pool = (uint8_t)pool,
		.addr = way < 4 ? model_addr(pick(l, ADDRESSES)) : 0,
		.exact = way == 0,
		.adopt = way > 6 && owner && may_adopt(l, owner, pool)};
	struct address_request rq = {
		.pool = &l->cfgs[l->small]->pools[pool],
		.owner = owner_of(owner, name),
		.exact = r.exact,
		.adopt = r.adopt,
		.worker = (uint16_t)pick(l, 2),
		.token = r.token,
	};
	if (r.addr)
		rq.want = ip_from_v4(r.addr);
	l->owner_of[r.token % TOKENS] = owner;
	l->adopts[r.token % TOKENS] = r.adopt;
	l->asked++;
	l->waiting[owner]++;
	say(l, r);
	enum address_status s = l->source.acquire(l->source.ctx, &rq, &lease);
	if (s != ADDRESS_PENDING)
		answer(l, r.token, s, s == ADDRESS_OK ? &lease : NULL);
}

static void let_go(struct life *l)
{
	struct held *h = &l->held[pick(l, GRANTS_MAX)];
	if (h->owner != NOBODY)
		release(l, h);
}

static void pass_time(struct life *l)
{
	l->now_s += 1 + pick(l, 20);
	say(l, (struct report){.kind = R_TIME});
	pools_tick(l->pools, l->now_s * NS_PER_S);
	say(l, (struct report){.kind = R_TIMED});
}

static void clear(struct life *l)
{
	struct lease_clearing c = {.addr = ip_from_v4(model_addr(pick(l, ADDRESSES)))};
	say_addr(l, R_CLEAR, &c.addr);
	pools_clear(l->pools, &c);
	for (unsigned i = 0; i < GRANTS_MAX; i++)
		if (l->held[i].owner != NOBODY && l->held[i].ending)
			release(l, &l->held[i]);
	say_addr(l, R_CLEARED, &c.addr);
}

static void reload(struct life *l)
{
	l->small = !l->small;
	say(l, (struct report){.kind = R_RELOAD, .small = l->small});
	need(l, pools_reload(l->pools, l->cfgs[l->small]));
}

static void settle(struct life *l)
{
	struct lease_settled s;
	while (lease_store_settled(l->store, &s)) {
		need(l, s.durable ? 0 : -EIO);
		pools_settled(l->pools, s.ticket, s.durable);
	}
}

static void wait_for_store(struct life *l)
{
	struct pollfd p = {l->wake, POLLIN, 0};
	uint64_t n;
	need(l, poll(&p, 1, 10000) == 1 ? 0 : -ETIMEDOUT);
	need(l, read(l->wake, &n, sizeof(n)) == sizeof(n) ? 0 : -errno);
	settle(l);
}

static void operate(struct life *l)
{
	unsigned what = pick(l, 1000);
	if (what < 500 && l->asked < ASKS_MAX)
		ask(l);
	else if (what < 900)
		let_go(l);
	else if (what < 960)
		pass_time(l);
	else if (what < 990)
		clear(l);
	else if (what < 993)
		reload(l);
	else
		usleep(pick(l, 500));
	settle(l);
	if (l->asked >= ASKS_MAX)
		wait_for_store(l);
}

static int say_row(void *ctx, const struct lease_row *row)
{
	int owner = row->anonymous ? 0 : atoi(row->name + 1);
	say(ctx, (struct report){.kind = R_ROW,
			 .addr = ip_to_v4(&row->addr),
			 .owner = owner,
			 .origin = (uint8_t)row->origin});
	return 0;
}

static int restore(void *ctx, const struct lease_row *row)
{
	return pools_restore(((struct life *)ctx)->pools, row);
}

static void life_open(struct life *l, const char *dir)
{
	struct lease_store_params params = {.dir = dir, .wake_fd = l->wake};
	for (unsigned i = 0; i < 2; i++)
		need(l, cfg_load_text("pools", configs[i], NULL, &l->cfgs[i]));
	need(l, lease_store_open(&params, stderr, &l->store));
	need(l, lease_store_load(l->store, say_row, l));
	say(l, (struct report){.kind = R_READY, .small = l->small});
	lease_store_journal(l->store, &l->journal);
	l->clock = (struct clock_source){.now_ns = life_now, .ctx = l};
	struct pools_seams seams = {.clock = &l->clock,
		.random = &random_system,
		.workers = 2,
		.worker_of = worker_of,
		.ctx = l,
		.journal = &l->journal};
	need(l, pools_new(l->cfgs[l->small], &seams, &l->pools));
	pools_source(l->pools, &l->source);
	l->source.done = done;
	l->source.revoked = revoked;
	l->source.user = l;
	need(l, lease_store_load(l->store, restore, l));
}

// So many operations, unless somebody kills it; then it ends in order.
static _Noreturn void live(const char *dir, int out, uint64_t seed, unsigned ops)
{
	static struct life l;
	l.random = seed;
	l.out = out;
	l.now_s = 1000 + pick(&l, 100000);
	l.small = pick(&l, 2);
	l.wake = eventfd(0, EFD_NONBLOCK);
	for (unsigned i = 0; i < GRANTS_MAX; i++)
		l.held[i].owner = NOBODY;
	life_open(&l, dir);
	for (l.ops = 0; l.ops < ops; l.ops++)
		operate(&l);
	while (l.asked)
		wait_for_store(&l);
	pools_free(l.pools);
	lease_store_close(l.store);
	cfg_free(l.cfgs[0]);
	cfg_free(l.cfgs[1]);
	_exit(0);
}

// ---- the one who kills and compares ------------------------------------------------------------

struct crash {
	uint64_t random, reports, kills, ends;
	char dir[64];
	struct model model;
};

static void print_seed(const struct crash *c, uint64_t seed)
{
	printf("# SEED=%llu: %llu reports of %llu lives, %llu killed; %llu grants, %llu refusals; %llu rows "
	       "came back, %llu had to\n",
		(unsigned long long)seed, (unsigned long long)c->reports,
		(unsigned long long)c->model.lives, (unsigned long long)c->kills,
		(unsigned long long)c->model.grants, (unsigned long long)c->model.refusals,
		(unsigned long long)c->model.rows, (unsigned long long)c->model.kept);
	fflush(stdout);
}

// Listens until the process has said `most` things or the time is over, kills it, and hears the rest.
static void listen_and_kill(struct crash *c, int in, pid_t pid, uint64_t most, int wait_ms)
{
	struct report r;
	struct pollfd p = {in, POLLIN, 0};
	for (uint64_t n = 0; n < most; n++) {
		if (wait_ms >= 0 && poll(&p, 1, wait_ms) != 1)
			break;
		if (read(in, &r, sizeof(r)) != sizeof(r))
			break;
		c->reports++;
		model_take(&c->model, &r);
	}
	kill(pid, SIGKILL);
	while (read(in, &r, sizeof(r)) == sizeof(r)) {
		c->reports++;
		model_take(&c->model, &r);
	}
}

static void one_life(struct crash *c)
{
	static struct model before;
	int fds[2], status;
	uint64_t seed = draw(&c->random), lot = draw(&c->random) % 8;
	// Early, while it opens the store; anywhere; or never.
	uint64_t most = lot == 0   ? draw(&c->random) % 8
			: lot == 7 ? UINT64_MAX
				   : draw(&c->random) % 4000;
	unsigned ops = lot == 7 ? 1 + (unsigned)(draw(&c->random) % 2000) : UINT32_MAX;
	assert_int_equal(pipe(fds), 0);
	before = c->model;
	c->model.ready = false;
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		live(c->dir, fds[1], seed, ops);
	}
	close(fds[1]);
	listen_and_kill(c, fds[0], pid, most, -1);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	bool closed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (!closed && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		fail_msg("the process ended by itself, status %d", status);
	c->kills += !closed;
	c->ends += closed;
	if (!c->model.ready) // it had changed nothing
		c->model = before;
	if (closed)
		model_closed(&c->model);
}

static uint64_t env_number(const char *name, uint64_t other)
{
	const char *text = getenv(name);
	return text ? strtoull(text, NULL, 0) : other;
}

static struct crash crash;
static uint64_t seed_used;

static void nothing_is_lost_or_shared(void **state)
{
	struct crash *c = &crash;
	uint64_t seconds = env_number("LEASE_CRASH_S", SECONDS);
	seed_used = env_number("SEED", random_u64(&random_system) % 1000000);
	c->random = seed_used;
	snprintf(c->dir, sizeof(c->dir), "/tmp/lease-crash.XXXXXX");
	assert_non_null(mkdtemp(c->dir));
	model_init(&c->model);
	uint64_t end = clock_now_ns(&clock_system) + seconds * NS_PER_S;
	while (clock_now_ns(&clock_system) < end)
		one_life(c);
	assert_true(c->kills > 5 && c->model.kept > 0);
	assert_true(c->model.grants > 100);
}

static int tidy(void **state)
{
	char command[128];
	print_seed(&crash, seed_used);
	snprintf(command, sizeof(command), "rm -rf '%s'", crash.dir);
	return crash.dir[0] ? system(command) : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(nothing_is_lost_or_shared, tidy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

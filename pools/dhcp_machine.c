// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// RFC 2131 figure 5, as a client behind a relay goes through it. After a restart it begins in
// INIT-REBOOT: what a server says counts, not what a clock that may have been set since says.
#include "pools/dhcp_internal.h"

#include "base/log.h"

#include <stdlib.h>

LOG_SUBSYSTEM("dhcp");

#define ASK_AGAIN_NS    (NS_PER_S / 2) // doubled each time
#define DOUBLED_MAX     7  // times: RFC 2131 section 4.1, "up to a maximum of 64 seconds"
#define RENEW_AGAIN_S   60 // section 4.4.5: "down to a minimum of 60 seconds"
#define RENEW_SHORT     16 // of a short lease, this part of its time
#define LEASE_LEAST_S   2  // no lease is shorter
#define T1_LEAST_S      60 // or a quarter of the lease
#define RESTARTS_MAX    2
#define CONFIRM_EACH_NS NS_PER_MS // leases of the last life, one after the other
#define NEVER           UINT64_MAX

static void fire(struct wheel_timer *t, void *arg);

static uint64_t now_of(const struct dhcp_client *c)
{
	return clock_now_ns(&c->d->clock);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

// 0 .. below - 1, or 0
static uint64_t random_below(struct dhcp *d, uint64_t below)
{
	return below ? random_u64(&d->random) % below : 0;
}

static void arm(struct dhcp_client *c, uint64_t due_ns)
{
	if (due_ns == NEVER)
		wheel_cancel(&c->d->wheel, &c->timer);
	else
		wheel_set(&c->d->wheel, &c->timer, due_ns, fire, c);
}

// ---- messages

static void fill(const struct dhcp_client *c, enum dhcp_type type, struct dhcp_question *q)
{
	uint64_t waited_s = (now_of(c) - c->begun_ns) / NS_PER_S;
	*q = (struct dhcp_question){
		.type = type,
		.xid = c->xid,
		.giaddr = c->pool->relay,
		.link = c->pool->link,
		.host = c->host,
	};
	dhcp_client_ids(c, q);
	if (type == DHCP_DISCOVER || type == DHCP_REQUEST)
		q->secs = waited_s > UINT16_MAX ? UINT16_MAX : (uint16_t)waited_s;
	if (type == DHCP_DISCOVER)
		q->requested = c->want;
	else if (type == DHCP_RELEASE || c->state == DHCP_RENEWING || c->state == DHCP_REBINDING)
		q->ciaddr = c->addr;
	else
		q->requested = c->addr;
	if (type != DHCP_DISCOVER && (type != DHCP_REQUEST || c->state == DHCP_REQUESTING))
		q->server_id = c->server_id;
}

static void send_to(const struct dhcp_client *c, struct view message, uint32_t server)
{
	struct ip_addr to = ip_from_v4(server);
	struct dhcp_net *net = &c->d->net;
	int rc = net->send(net->ctx, c->pool->socket, &to, message);
	dhcp_tally(c->d, rc ? DHCP_C_SEND_FAILED : DHCP_C_SENT);
}

static void say(struct dhcp_client *c, enum dhcp_type type, bool everywhere)
{
	uint8_t bytes[DHCP_BUILT_MAX];
	struct wr w = wr_of(bytes, sizeof(bytes));
	struct dhcp_question q;
	fill(c, type, &q);
	if (!dhcp_build(&q, &w)) // cannot be: the longest one fits
		return;
	for (size_t i = 0; everywhere && i < c->pool->server_count; i++)
		send_to(c, wr_done(&w), c->pool->servers[i]);
	if (!everywhere)
		send_to(c, wr_done(&w), c->server);
}

void dhcp_client_tell(struct dhcp_client *c, enum dhcp_type type)
{
	dhcp_client_open(c); // a transaction id of its own
	c->begun_ns = now_of(c);
	c->state = DHCP_BOUND;
	say(c, type, false);
}

// ---- ends

static void log_end(struct dhcp_client *c, const char *what)
{
	char text[IP_TEXT_MAX];
	static struct log_limit limit = LOG_LIMIT_DEFAULT;
	uint32_t suppressed;
	struct ip_addr a = c->addr ? ip_from_v4(c->addr) : (struct ip_addr){0};
	if (log_limit_pass(&limit, now_of(c), &suppressed))
		log_warning("pool %s, address %s: %s (%u more not logged)", c->pool->name,
			ip_text(&a, text), what, suppressed);
}

// The pools are told last: they may ask, give back and refuse at once.
static void give_none(struct dhcp_client *c, enum address_status s)
{
	struct dhcp *d = c->d;
	uint64_t token = c->token;
	dhcp_tally(d, s == ADDRESS_FAILED ? DHCP_C_SILENT : DHCP_C_REFUSED);
	log_end(c, s == ADDRESS_FAILED ? "no DHCP server answers" : "the DHCP servers refuse");
	d->asking--;
	dhcp_client_free(c);
	d->giver.given(d->giver.user, token, s, NULL, (struct view){0});
}

static void lose(struct dhcp_client *c, const char *why)
{
	struct dhcp *d = c->d;
	struct ip_addr a = ip_from_v4(c->addr);
	dhcp_tally(d, DHCP_C_LOST);
	log_end(c, why);
	dhcp_client_free(c);
	d->giver.lost(d->giver.user, &a);
}

// ---- asking

static void again(struct dhcp_client *c, uint64_t end_ns)
{
	uint64_t wait = ASK_AGAIN_NS << (c->tries < DOUBLED_MAX ? c->tries : DOUBLED_MAX);
	wait += random_below(c->d, wait / 4);
	if (c->tries < UINT8_MAX)
		c->tries++;
	arm(c, least(now_of(c) + wait, end_ns));
}

static void ask_everybody(struct dhcp_client *c)
{
	say(c, c->state == DHCP_SELECTING ? DHCP_DISCOVER : DHCP_REQUEST, true);
	again(c, c->end_ns);
}

static void select_offer(struct dhcp_client *c)
{
	c->state = DHCP_SELECTING;
	c->tries = 0;
	c->addr = 0;
	dhcp_client_open(c);
	ask_everybody(c);
}

void dhcp_client_ask(struct dhcp_client *c)
{
	c->begun_ns = now_of(c);
	c->end_ns = c->begun_ns + c->pool->timeout_ns;
	c->d->asking++;
	select_offer(c);
}

// A server said no. Perhaps to the address, so it is asked for any other.
static void begin_again(struct dhcp_client *c)
{
	c->refused = true;
	c->want = 0;
	if (c->restarts++ < RESTARTS_MAX)
		select_offer(c);
	else
		give_none(c, ADDRESS_EXHAUSTED);
}

static void patience_ends(struct dhcp_client *c)
{
	give_none(c, c->refused ? ADDRESS_EXHAUSTED : ADDRESS_FAILED);
}

// ---- a lease's time

// Section 4.4.5: T1 and T2 "SHOULD be chosen with some random fuzz around a fixed value, to avoid
// synchronization"; here T1 alone, and only earlier.
static uint64_t set_times(struct dhcp_client *c, const struct dhcp_answer *a)
{
	uint64_t lease = a->lease_s, t1 = lease * NS_PER_S / 2, t2 = lease * NS_PER_S / 8 * 7;
	c->lease_s = a->lease_s;
	c->end_wall_s = (int64_t)c->d->clock.wall_s(c->d->clock.ctx);
	if (a->lease_s == DHCP_INFINITE) {
		c->t2_ns = c->end_ns = NEVER;
		return NEVER;
	}
	if (a->t2_s && a->t2_s < lease)
		t2 = a->t2_s * NS_PER_S;
	if (a->t1_s && a->t1_s * NS_PER_S < t2)
		t1 = a->t1_s * NS_PER_S;
	t1 = least(most(t1, least(T1_LEAST_S * NS_PER_S, lease * NS_PER_S / 4)), t2);
	t1 -= random_below(c->d, t1 / 8);
	c->t2_ns = c->sent_ns + t2;
	c->end_ns = c->sent_ns + lease * NS_PER_S;
	c->end_wall_s += (int64_t)((c->end_ns - least(now_of(c), c->end_ns)) / NS_PER_S);
	return c->sent_ns + t1;
}

static void bind_lease(struct dhcp_client *c, const struct dhcp_answer *a, uint32_t from)
{
	c->server = from;
	c->server_id = a->server_id;
	c->state = DHCP_BOUND;
	dhcp_client_close(c);
	arm(c, set_times(c, a));
}

// Section 4.4.5: "wait one-half of the remaining time until T2 [...] down to a minimum of 60 seconds".
// A short lease is asked for more often, or it would be asked for once.
static void extend(struct dhcp_client *c)
{
	bool renewing = c->state == DHCP_RENEWING;
	uint64_t now = now_of(c), until = renewing ? c->t2_ns : c->end_ns;
	uint64_t shortest = least(RENEW_AGAIN_S, c->lease_s / RENEW_SHORT + 1) * NS_PER_S;
	dhcp_client_open(c); // so that an answer tells which message it belongs to
	c->sent_ns = now;
	say(c, DHCP_REQUEST, !renewing || !dhcp_pool_server(c->pool, c->server));
	arm(c, least(now + most((until - now) / 2, shortest), until));
}

static void confirm(struct dhcp_client *c)
{
	dhcp_client_open(c);
	c->sent_ns = now_of(c);
	say(c, DHCP_REQUEST, true);
	again(c, c->end_ns);
}

// What is left of it cannot be more than the whole, whatever the clock says; and if nothing seems to
// be left, the servers are asked all the same. They are not all asked at once.
void dhcp_client_resume(struct dhcp_client *c)
{
	struct dhcp *d = c->d;
	uint64_t now = now_of(c), left = 0;
	int64_t wall = (int64_t)d->clock.wall_s(d->clock.ctx);
	uint64_t turn = most(d->confirm_ns, now);
	if (c->end_wall_s > wall)
		left = least((uint64_t)(c->end_wall_s - wall), c->lease_s) * NS_PER_S;
	d->confirm_ns = turn + CONFIRM_EACH_NS;
	c->end_ns =
		c->lease_s == DHCP_INFINITE ? NEVER : most(now + left, turn + c->pool->timeout_ns);
	c->begun_ns = turn;
	arm(c, turn);
}

// ---- timers

static void enter(struct dhcp_client *c, enum dhcp_state s)
{
	c->state = (uint8_t)s;
	c->tries = 0;
	c->begun_ns = now_of(c);
}

static void due_asking(struct dhcp_client *c)
{
	if (now_of(c) >= c->end_ns) {
		patience_ends(c);
		return;
	}
	dhcp_tally(c->d, DHCP_C_RETRANSMITTED);
	ask_everybody(c);
}

static void due_bound(struct dhcp_client *c)
{
	uint64_t now = now_of(c);
	enum dhcp_state next = now >= c->t2_ns ? DHCP_REBINDING : DHCP_RENEWING;
	if (now >= c->end_ns) {
		lose(c, "the lease was not extended in time");
		return;
	}
	if (c->state != next)
		enter(c, next);
	else
		dhcp_tally(c->d, DHCP_C_RETRANSMITTED);
	extend(c);
}

static void due_confirming(struct dhcp_client *c)
{
	if (c->state == DHCP_REBOOTING && now_of(c) >= c->end_ns) {
		lose(c, "no server confirmed the lease of the last life in time");
		return;
	}
	if (c->state == DHCP_WAITING)
		enter(c, DHCP_REBOOTING);
	else
		dhcp_tally(c->d, DHCP_C_RETRANSMITTED);
	confirm(c);
}

// ---- answers

static bool usable(uint32_t addr)
{
	uint32_t net = addr >> 24;
	return net != 0 && net != 127 && net < 224;
}

// Counted if not.
static bool good_lease(struct dhcp_client *c, const struct dhcp_answer *a)
{
	enum dhcp_count bad = DHCP_COUNTS;
	struct dhcp_client *other = dhcp_client_by_addr(c->d, a->yiaddr);
	if (!usable(a->yiaddr))
		bad = DHCP_C_BAD_ADDRESS;
	else if (a->lease_s < LEASE_LEAST_S)
		bad = DHCP_C_BAD_TIME;
	else if (other && other != c)
		bad = DHCP_C_BAD_TAKEN;
	if (bad == DHCP_COUNTS)
		return true;
	dhcp_tally(c->d, bad);
	return false;
}

static void on_offer(struct dhcp_client *c, const struct dhcp_answer *a, uint32_t from)
{
	if (!good_lease(c, a)) {
		c->refused = true;
		return;
	}
	dhcp_tally(c->d, DHCP_C_OFFERS);
	c->state = DHCP_REQUESTING;
	c->addr = a->yiaddr;
	c->server = from;
	c->server_id = a->server_id;
	c->tries = 0;
	c->sent_ns = now_of(c);
	ask_everybody(c); // the others learn that they were not chosen
}

static void on_late_offer(struct dhcp_client *c, const struct dhcp_answer *a, uint32_t from)
{
	(void)a;
	(void)from;
	dhcp_tally(c->d, DHCP_C_OFFERS_LATE);
}

static bool by_the_chosen(struct dhcp_client *c, const struct dhcp_answer *a)
{
	if (a->server_id == c->server_id)
		return true;
	dhcp_tally(c->d, DHCP_C_BAD_SERVER_ID);
	return false;
}

static void on_first_ack(struct dhcp_client *c, const struct dhcp_answer *a, uint32_t from)
{
	struct dhcp *d = c->d;
	uint8_t extra[LEASE_EXTRA_MAX];
	struct wr w = wr_of(extra, sizeof(extra));
	if (!by_the_chosen(c, a))
		return;
	if (a->yiaddr != c->addr) {
		dhcp_tally(d, DHCP_C_BAD_ADDRESS);
		return;
	}
	if (!good_lease(c, a)) {
		begin_again(c);
		return;
	}
	dhcp_tally(d, DHCP_C_ACKS);
	dhcp_tally(d, DHCP_C_BOUND);
	d->asking--;
	bind_lease(c, a, from);
	dhcp_client_hold(c, a->yiaddr);
	dhcp_client_pack(c, &w);
	struct ip_addr addr = ip_from_v4(c->addr);
	d->giver.given(d->giver.user, c->token, ADDRESS_OK, &addr, wr_done(&w));
}

static void on_first_nak(struct dhcp_client *c, const struct dhcp_answer *a, uint32_t from)
{
	(void)from;
	if (!by_the_chosen(c, a))
		return;
	dhcp_tally(c->d, DHCP_C_NAKS);
	begin_again(c);
}

static void on_ack(struct dhcp_client *c, const struct dhcp_answer *a, uint32_t from)
{
	struct dhcp *d = c->d;
	uint8_t extra[LEASE_EXTRA_MAX];
	struct wr w = wr_of(extra, sizeof(extra));
	if (a->yiaddr != c->addr || !good_lease(c, a)) {
		if (a->yiaddr != c->addr)
			dhcp_tally(d, DHCP_C_BAD_ADDRESS);
		return;
	}
	dhcp_tally(d, DHCP_C_ACKS);
	dhcp_tally(d, c->state == DHCP_REBOOTING ? DHCP_C_CONFIRMED : DHCP_C_RENEWED);
	bind_lease(c, a, from);
	dhcp_client_pack(c, &w);
	struct ip_addr addr = ip_from_v4(c->addr);
	d->giver.changed(d->giver.user, &addr, wr_done(&w));
}

// All servers were asked, and one that never heard of the lease may say no to it. Only the one that
// gave it decides, if it still is one of them.
static void on_nak(struct dhcp_client *c, const struct dhcp_answer *a, uint32_t from)
{
	(void)a;
	dhcp_tally(c->d, DHCP_C_NAKS);
	if (from != c->server && dhcp_pool_server(c->pool, c->server))
		dhcp_tally(c->d, DHCP_C_NAKS_OF_OTHERS);
	else
		lose(c, "the DHCP server took it back");
}

// ---- the table

typedef void (*answer_handler)(struct dhcp_client *, const struct dhcp_answer *, uint32_t from);

// An answer without a row is counted and changes nothing.
static const struct state {
	void (*due)(struct dhcp_client *);
	answer_handler offer, ack, nak;
} states[DHCP_STATES] = {
	[DHCP_SELECTING] = {due_asking, on_offer, NULL, NULL},
	[DHCP_REQUESTING] = {due_asking, on_late_offer, on_first_ack, on_first_nak},
	[DHCP_BOUND] = {due_bound, NULL, NULL, NULL},
	[DHCP_RENEWING] = {due_bound, NULL, on_ack, on_nak},
	[DHCP_REBINDING] = {due_bound, NULL, on_ack, on_nak},
	[DHCP_WAITING] = {due_confirming, NULL, NULL, NULL},
	[DHCP_REBOOTING] = {due_confirming, NULL, on_ack, on_nak},
};

static void fire(struct wheel_timer *t, void *arg)
{
	struct dhcp_client *c = arg;
	(void)t;
	states[c->state].due(c);
}

void dhcp_client_answer(struct dhcp_client *c, const struct dhcp_answer *a, uint32_t from)
{
	const struct state *s = &states[c->state];
	answer_handler f = a->type == DHCP_OFFER ? s->offer : a->type == DHCP_ACK ? s->ack : s->nak;
	if (f)
		f(c, a, from);
	else
		dhcp_tally(c->d, DHCP_C_UNEXPECTED);
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Mode Configuration (draft-dukes-ike-mode-cfg-02): the transactions that the peer begins, and his
// requests for addresses.
#include "controlplane/ikev1/login.h"

#include <stdlib.h>

LOG_SUBSYSTEM("config");

enum step { BEGIN, ADDRESS };

// ---- what all of it uses -----------------------------------------------------------------------

struct ikev1_config *ikev1_config_of(struct ike_sa *sa)
{
	if (!sa->v1->config)
		sa->v1->config = calloc(1, sizeof(*sa->v1->config));
	return sa->v1->config;
}

void ikev1_config_free(struct ike_sa *sa)
{
	struct ikev1_config *c = sa->v1->config;
	if (c)
		wheel_cancel(&sa->engine->wheel, &c->hold);
	free(c);
	sa->v1->config = NULL;
}

void ikev1_config_put(struct wire_builder *b, const struct ike_sa *sa,
	const struct ikev1_asked *asked, const struct lease *leases, uint8_t count)
{
	struct ikev1_told told = {.conn = sa->session->conn,
		.leases = leases,
		.lease_count = count,
		.asked = asked,
		.unity = sa->v1->peer_unity,
		.expiry_s = ikev1_life_left(sa)};
	ikev1_put_told(b, &told);
}

void ikev1_config_note(const struct ike_sa *sa)
{
	const struct ike_session *s = sa->session;
	char addr[IP_TEXT_MAX];
	log_notice("%llu: address %s (%s)", (unsigned long long)s->id,
		s->lease_count ? ike_lease_text(&s->leases[0], addr) : "none",
		s->mode_config ? s->mode_config : "none");
}

// ---- a request: the addresses --------------------------------------------------------------------

struct pull {
	struct ike_addresses got;
	struct ikev1_asked asked;
	uint16_t identifier;
};

static void pull_free(void *arg)
{
	struct pull *p = arg;
	ike_addresses_release(&p->got);
	free(p);
}

static void apply_lease(struct ike_exchange *x, void *unused)
{
	struct pull *p = x->state;
	struct ike_session *s = x->sa->session;
	bool more = p->got.lease_count > 0;
	if (!s)
		return;
	ike_addresses_give(&p->got, s);
	ike_session_leased(s); // those that were pushed before and are told again, too
	if (s->lease_count)
		s->mode_config = "pull";
	if (more)
		ikev1_config_note(x->sa);
}

// The end of who asked for an address and got none, behind the reply that says so.
static enum ike_verdict end_build(struct ike_exchange *x)
{
	return ike_effect_add(x, ikev1_login_end, NULL, NULL) < 0
		       ? ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0)
		       : IKE_DONE;
}

static void apply_end(struct ike_exchange *x, void *unused)
{
	struct ike_task t = {.name = "no-address",
		.type = IKEV1_EXCHANGE_TRANSACTION,
		.build = end_build,
		.first = true};
	if (ike_task_add(x->sa, &t) < 0)
		(void)ike_sa_delete(x->sa);
}

// Those that the session has are given again, with those that are new.
static uint8_t all_leases(
	const struct ike_session *s, const struct pull *p, struct lease out[static IKE_LEASES_MAX])
{
	uint8_t n = s->lease_count;
	memcpy(out, s->leases, n * sizeof(out[0]));
	for (uint8_t i = 0; i < p->got.lease_count && n < IKE_LEASES_MAX; i++)
		out[n++] = p->got.leases[i];
	return n;
}

static void put_reply(struct ike_exchange *x, const struct pull *p)
{
	struct lease leases[IKE_LEASES_MAX];
	uint8_t n = all_leases(x->sa->session, p, leases);
	ikev1_open_cfg(&x->out.b, IKEV1_CFG_REPLY, p->identifier);
	ikev1_config_put(&x->out.b, x->sa, &p->asked, leases, n);
	wire_close(&x->out.b);
	ikev1_send_as(x, IKEV1_FORM_TRANSACTION);
}

// Where the pools are used up the reply has no address, which clients take for a refusal, and a
// DELETE follows. (A notify in its place is "not exactly right" with any of the types there are, and
// vpnc aborts on those it does not know.)
static enum ike_verdict answer(struct ike_exchange *x)
{
	struct pull *p = x->state;
	struct ike_session *s = x->sa->session;
	if (!s)
		return ike_fail(x, IKE_REASON_WRONG_STATE, 0);
	bool none = p->got.refusal != IKE_REASON_NONE && !p->got.lease_count;
	bool refused = none && !s->lease_count;
	put_reply(x, p);
	if (none)
		ike_refused(x->sa->engine, x->sa, &x->sa->remote, p->got.refusal);
	if (!refused)
		ike_count(x->sa->engine, IKE_REASON_V1_CFG_PULLED);
	if (ike_effect_add(x, refused ? apply_end : apply_lease, NULL, NULL) < 0)
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	return IKE_DONE;
}

// Makes of clients differ in what they want, and in what they are content with.
static void log_asked(const struct ike_sa *sa, const struct ikev1_cfg *cfg)
{
	char text[IKE_SA_TEXT_MAX], names[512] = "";
	size_t len = 0;
	for (uint8_t i = 0; i < cfg->count && len < sizeof(names); i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, " %s (%u)",
			ikev1_cfg_attribute_name(cfg->attrs[i].type), cfg->attrs[i].type);
	log_debug("%s asked for%s", ike_sa_text(sa, text), names);
}

struct ike_addresses ikev1_addresses(const struct ike_sa *sa)
{
	const struct ike_session *s = sa->session;
	struct ike_datagram path = ike_sa_path(sa);
	bool placed = s->lease_count || s->tunnel != TUNNEL_NONE;
	struct ike_addresses a = {
		.engine = sa->engine,
		.conn = s->conn,
		.peer = ike_session_peer(s),
		.gone = sa->v1->initial_contact,
		.worker = placed ? s->worker : ike_worker_hint(sa, &path),
	};
	if (s->aaa)
		a.aaa = *s->aaa;
	return a;
}

// The peer asks: what was pushed and not acknowledged is his, and told again.
static void take_push_back(struct ike_sa *sa)
{
	struct ikev1_config *c = sa->v1->config;
	if (ikev1_push_stop(sa) && c && c->unconfirmed)
		ike_count(sa->engine, IKE_REASON_V1_CFG_CROSSED);
	if (c)
		c->unconfirmed = false;
}

// A push has asked the pools already: their answer is for the request, which it crosses.
static enum ike_verdict take_over(struct ike_exchange *x, struct ike_exchange *push)
{
	struct pull *p = x->state;
	struct ike_addresses *pushed = push->state;
	bool want[IKE_ADDRESS_KINDS];
	memcpy(want, p->got.want, sizeof(want));
	p->got = *pushed;
	pushed->lease_count = 0;
	// What the push is asking for is on its way, be it wanted or not.
	for (int k = p->got.kind + 1; k < IKE_ADDRESS_KINDS; k++)
		p->got.want[k] = want[k];
	ike_wait_move(push, x, ADDRESS);
	take_push_back(x->sa);
	ike_count(x->sa->engine, IKE_REASON_V1_CFG_CROSSED);
	return IKE_PENDING;
}

static enum ike_verdict ask(struct ike_exchange *x, const struct ikev1_cfg *cfg)
{
	struct ike_session *s = x->sa->session;
	struct ike_exchange *push = ikev1_push_waits(x->sa);
	struct pull *p = calloc(1, sizeof(*p));
	if (!p)
		return ike_fail(x, IKE_REASON_NO_MEMORY, 0);
	x->state = p;
	x->state_free = pull_free;
	p->identifier = cfg->identifier;
	log_asked(x->sa, cfg);
	ikev1_asked_read(cfg, &p->asked);
	p->got = ikev1_addresses(x->sa);
	p->got.want[IKE_ADDRESS_V4] = ikev1_asked_for(&p->asked, IKEV1_CFG_IP4_ADDRESS) &&
				      !ike_session_has(s, IKE_ADDRESS_V4);
	p->got.want[IKE_ADDRESS_V6] = ikev1_asked_for(&p->asked, IKEV1_CFG_IP6_ADDRESS) &&
				      !ike_session_has(s, IKE_ADDRESS_V6);
	p->got.hint[IKE_ADDRESS_V4] = p->asked.hint_v4;
	p->got.hint[IKE_ADDRESS_V6] = p->asked.hint_v6;
	if (push)
		return take_over(x, push);
	take_push_back(x->sa);
	enum ike_verdict v = ike_addresses_get(x, &p->got, ADDRESS);
	return v == IKE_DONE ? answer(x) : v;
}

static enum ike_verdict asked_address(struct ike_exchange *x)
{
	struct pull *p = x->state;
	if (!x->sa->session) // the lease is released by the engine
		return ike_fail(x, IKE_REASON_WRONG_STATE, 0);
	enum ike_verdict v = ike_addresses_got(x, &p->got, ADDRESS);
	return v == IKE_DONE ? answer(x) : v;
}

// ---- a request: may it ---------------------------------------------------------------------------

// One at a time asks the pools; a peer that is in a hurry repeats itself.
static bool another_waits(const struct ike_exchange *x)
{
	const struct ike_exchange *o;
	LIST_FOREACH (o, &x->sa->v1->exchanges, v1.link)
		if (o != x && o->token && o->waited == IKE_GOT_ADDRESS && !o->initiator)
			return true;
	return false;
}

// Such a connection says nothing; clients without an address of ours go on with their own, or stop.
static enum ike_verdict reply_nothing(struct ike_exchange *x, const struct ikev1_cfg *cfg)
{
	ike_refused(x->sa->engine, x->sa, &x->sa->remote, IKE_REASON_V1_CFG_OFF);
	ikev1_open_cfg(&x->out.b, IKEV1_CFG_REPLY, cfg->identifier);
	wire_close(&x->out.b);
	ikev1_send_as(x, IKEV1_FORM_TRANSACTION);
	return IKE_DONE;
}

static enum ike_verdict pull(struct ike_exchange *x, const struct ikev1_cfg *cfg)
{
	struct ike_sa *sa = x->sa;
	if (sa->state == IKE_SA_LOGIN && !ikev1_login_implied(sa))
		return ikev1_ignore(x, IKE_REASON_V1_CFG_EARLY);
	struct ike_session *s = sa->session;
	if (sa->state != IKE_SA_ESTABLISHED || !s || s->closing)
		return ike_fail(x, IKE_REASON_WRONG_STATE, 0);
	if (!s->conn->mode_config_respond)
		return reply_nothing(x, cfg);
	if (another_waits(x))
		return ikev1_ignore(x, IKE_REASON_V1_OUT_OF_TURN);
	return ask(x, cfg);
}

// ---- dispatch --------------------------------------------------------------------------------------

static bool has_xauth(const struct ikev1_cfg *cfg)
{
	for (uint8_t i = 0; i < cfg->count; i++)
		if (ikev1_xauth_attribute(cfg->attrs[i].type))
			return true;
	return false;
}

enum ike_verdict ikev1_transaction_request(struct ike_exchange *x)
{
	struct ikev1_cfg cfg;
	if (x->step == ADDRESS)
		return asked_address(x);
	if (ikev1_cfg_parse(x->in1.attributes, &cfg) != WIRE_OK)
		return ike_fail(x, IKE_REASON_V1_CFG_BAD, 0);
	if (cfg.type == IKEV1_CFG_REQUEST)
		return has_xauth(&cfg) ? ikev1_xauth_answer(x, &cfg) : pull(x, &cfg);
	if (cfg.type != IKEV1_CFG_SET)
		return ike_fail(x, IKE_REASON_V1_CFG_BAD, 0);
	if (ikev1_cfg_find(&cfg, IKEV1_CFG_XAUTH_STATUS))
		return ikev1_xauth_told(x, &cfg);
	return ikev1_client_pushed(x, &cfg);
}

// ---- the session begins ----------------------------------------------------------------------------

static void hold_over(struct wheel_timer *t, void *arg)
{
	struct ike_sa *sa = arg;
	sa->v1->config->held = false;
	if (!ikev1_push(sa))
		(void)ike_sa_delete(sa);
}

// Where we answer requests too, a peer that asks is given the time to.
static bool push_or_hold(struct ike_sa *sa)
{
	const struct cfg_connection *conn = sa->session->conn;
	struct ike_engine *e = sa->engine;
	if (!conn->mode_config_respond || !conn->push_delay_ms)
		return ikev1_push(sa);
	sa->v1->config->held = true;
	wheel_set(&e->wheel, &sa->v1->config->hold, e->now_ns + conn->push_delay_ms * NS_PER_MS,
		hold_over, sa);
	return true;
}

void ikev1_config_begin(struct ike_sa *sa)
{
	const struct ike_session *s = sa->session;
	if (!ikev1_config_of(sa)) {
		(void)ike_sa_delete(sa);
		return;
	}
	bool pushes = s->conn->mode_config_initiate && s->conn->pool_count;
	// With a push before the status it is over; a session that is taken over has its leases.
	bool pushed = s->lease_count || s->child_count || sa->v1->config->unconfirmed ||
		      ikev1_push_first(sa);
	if (sa->initiator)
		ikev1_client_begin(sa);
	if (pushes && !pushed && !push_or_hold(sa))
		(void)ike_sa_delete(sa);
}

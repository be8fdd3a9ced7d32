// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Mode Configuration by push: SET and ACK. The seed of this product: the gateway tries to set an
// address for each peer, and goes on with those that decline or never answer.
#include "controlplane/ikev1/login.h"

#include <stdlib.h>

enum step { BEGIN, ADDRESS };

static enum ike_verdict push_build(struct ike_exchange *x);

bool ikev1_push_first(const struct ike_sa *sa)
{
	const struct cfg_connection *conn = sa->conn;
	return conn->mode_config_initiate && conn->push == CFG_PUSH_BEFORE_STATUS &&
	       conn->pool_count && sa->v1->user_auth && !sa->initiator;
}

// ---- leases that were pushed -----------------------------------------------------------------------

static bool drop_leases(struct ike_session *s)
{
	bool any = s->lease_count > 0;
	for (uint8_t i = s->lease_count; i-- > 0;)
		if (!s->lease_use[i].routed)
			ike_lease_drop(s, i);
	return any;
}

// ---- the end of it -----------------------------------------------------------------------------------

bool ikev1_push_stop(struct ike_sa *sa)
{
	struct ikev1_config *c = sa->v1->config;
	if (!c || (!c->held && !c->pushing))
		return false;
	wheel_cancel(&sa->engine->wheel, &c->hold);
	c->held = c->pushing = false; // one that is queued finds that it is not wanted
	struct ike_exchange *x = ikev1_ours(sa, push_build);
	if (x && x != sa->engine->running)
		ike_exchange_end(x);
	return true;
}

void ikev1_config_quick(struct ike_sa *sa, const struct ip_addr *claimed)
{
	struct ikev1_config *c = sa->v1->config;
	struct ike_session *s = sa->session;
	(void)ikev1_push_stop(sa);
	if (!c || !c->unconfirmed || !s)
		return;
	c->unconfirmed = false;
	if (claimed && ike_session_holds(s, claimed)) { // his ACK was lost
		ike_count(sa->engine, IKE_REASON_V1_CFG_PUSHED);
		s->mode_config = "push";
		ike_session_leased(s);
		ikev1_config_note(sa);
		return;
	}
	drop_leases(s);
	ike_count(sa->engine, IKE_REASON_V1_CFG_DECLINED);
	ike_count(sa->engine, IKE_REASON_V1_NO_CONFIG);
}

// What follows: with a push before the status, the status.
static void apply_over(struct ike_exchange *x, void *unused)
{
	struct ike_sa *sa = x->sa;
	if (sa->v1->config)
		sa->v1->config->pushing = false;
	if (sa->session)
		ikev1_config_note(sa);
	if (sa->state == IKE_SA_LOGIN && !ikev1_xauth_status(sa, true))
		(void)ike_sa_delete(sa);
}

static enum ike_verdict over(struct ike_exchange *x)
{
	return ike_effect_add(x, apply_over, NULL, NULL) < 0
		       ? ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0)
		       : IKE_DONE;
}

// Without an address; how it came to that is counted.
static enum ike_verdict go_without(struct ike_exchange *x, enum ike_reason why)
{
	struct ike_sa *sa = x->sa;
	sa->v1->config->unconfirmed = false;
	drop_leases(sa->session);
	if (sa->conn->address_required)
		return ike_fail_fatal(x, why, 0);
	ike_refused(sa->engine, sa, &sa->remote, why);
	ike_count(sa->engine, IKE_REASON_V1_NO_CONFIG);
	return over(x);
}

// ---- the answer --------------------------------------------------------------------------------------

// Some peers acknowledge with the values, some with empty attributes. None of its type, or another
// value: this address is not taken.
static bool accepted(const struct ikev1_cfg *cfg, const struct ip_addr *lease)
{
	uint16_t type = lease->family == IP_V6 ? IKEV1_CFG_IP6_ADDRESS : IKEV1_CFG_IP4_ADDRESS;
	const struct ikev1_attr *a = ikev1_cfg_find(cfg, type);
	struct ip_addr said;
	if (!a)
		return false;
	return a->value.len == 0 ||
	       (ikev1_attr_address(a, lease->family, &said) && ip_eq(&said, lease));
}

static enum ike_verdict push_ack(struct ike_exchange *x)
{
	struct ike_session *s = x->sa->session;
	struct ikev1_config *c = x->sa->v1->config;
	struct ikev1_cfg cfg;
	if (!s || !c)
		return ike_fail(x, IKE_REASON_WRONG_STATE, 0);
	if (ikev1_cfg_parse(x->in1.attributes, &cfg) != WIRE_OK || cfg.type != IKEV1_CFG_ACK)
		return ikev1_ignore(x, IKE_REASON_V1_CFG_BAD);
	for (uint8_t i = s->lease_count; i-- > 0;)
		if (!ike_lease_is_prefix(&s->leases[i]) && !accepted(&cfg, &s->leases[i].addr))
			ike_lease_drop(s, i);
	if (!s->lease_count)
		return go_without(x, IKE_REASON_V1_CFG_DECLINED);
	c->unconfirmed = false;
	s->mode_config = "push";
	ike_session_leased(s);
	ike_count(x->sa->engine, IKE_REASON_V1_CFG_PUSHED);
	return over(x);
}

static enum ike_verdict push_silent(struct ike_exchange *x)
{
	if (!x->sa->session || !x->sa->v1->config)
		return ike_fail(x, IKE_REASON_WRONG_STATE, 0);
	return go_without(x, IKE_REASON_V1_CFG_SILENT);
}

// ---- the SET -----------------------------------------------------------------------------------------

static void push_free(void *arg)
{
	ike_addresses_release(arg);
	free(arg);
}

// They are the session's from here on, so that a request which crosses the SET gets the same.
static void apply_pushed(struct ike_exchange *x, void *unused)
{
	struct ike_session *s = x->sa->session;
	if (!s || !x->sa->v1->config)
		return;
	ike_addresses_give(x->state, s);
	x->sa->v1->config->unconfirmed = true;
}

static enum ike_verdict put_set(struct ike_exchange *x)
{
	struct ike_addresses *got = x->state;
	if (!got->lease_count && got->refusal != IKE_REASON_NONE)
		return ike_fail_fatal(x, got->refusal, 0);
	if (!got->lease_count) // the pools have no address of any family
		return over(x);
	ikev1_open_cfg(&x->out.b, IKEV1_CFG_SET, (uint16_t)random_u64(x->sa->engine->p.random));
	ikev1_config_put(&x->out.b, x->sa, NULL, got->leases, got->lease_count);
	wire_close(&x->out.b);
	ikev1_send_as(x, IKEV1_FORM_TRANSACTION);
	ikev1_expect(x, push_ack, IKEV1_FORM_TRANSACTION);
	ikev1_expect_tries(x, IKEV1_PUSH_TRIES, push_silent);
	if (ike_effect_add(x, apply_pushed, NULL, NULL) < 0)
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	return IKE_DONE;
}

static enum ike_verdict push_begin(struct ike_exchange *x)
{
	struct ike_session *s = x->sa->session;
	struct ike_addresses *got = calloc(1, sizeof(*got));
	if (!got)
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	*got = ikev1_addresses(x->sa);
	got->want[IKE_ADDRESS_V4] = !ike_session_has(s, IKE_ADDRESS_V4);
	got->want[IKE_ADDRESS_V6] = !ike_session_has(s, IKE_ADDRESS_V6);
	x->state = got;
	x->state_free = push_free;
	enum ike_verdict v = ike_addresses_get(x, got, ADDRESS);
	return v == IKE_DONE ? put_set(x) : v;
}

static enum ike_verdict push_build(struct ike_exchange *x)
{
	struct ikev1_config *c = x->sa->v1->config;
	struct ike_session *s = x->sa->session;
	// The peer has asked, or gone on, or the session has moved on meanwhile.
	if (!c || !c->pushing || !s || s->closing)
		return IKE_DONE;
	if (x->step == BEGIN)
		return push_begin(x);
	enum ike_verdict v = ike_addresses_got(x, x->state, ADDRESS);
	return v == IKE_DONE ? put_set(x) : v;
}

struct ike_exchange *ikev1_push_waits(const struct ike_sa *sa)
{
	struct ike_exchange *x = ikev1_ours(sa, push_build);
	return x && x->token && x->waited == IKE_GOT_ADDRESS ? x : NULL;
}

bool ikev1_push(struct ike_sa *sa)
{
	struct ike_task t = {
		.name = "mode-config-set", .type = IKEV1_EXCHANGE_TRANSACTION, .build = push_build};
	struct ikev1_config *c = ikev1_config_of(sa);
	if (!c)
		return false;
	c->pushing = true;
	return ike_task_add(sa, &t) == 0;
}

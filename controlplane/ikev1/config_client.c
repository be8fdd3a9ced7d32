// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Mode Configuration as client: an address is asked for, or its SET is waited for; then come
// the child SAs.
#include "controlplane/ikev1/login.h"

static bool wants_address(const struct cfg_connection *conn)
{
	return conn->request_v4 || conn->request_v6;
}

void ikev1_client_child(struct ike_sa *sa)
{
	struct ikev1_config *c = sa->v1->config;
	struct ike_session *s = sa->session;
	if (!sa->first_child || !c || c->child_begun || sa->state != IKE_SA_ESTABLISHED || !s)
		return;
	c->child_begun = true;
	// Without any the session ends by itself. Where both sides began, the peer may have made some.
	if (s->initiator)
		ike_session_begin_children(s);
	else
		(void)ike_session_restore_children(s);
}

static void apply_child(struct ike_exchange *x, void *unused)
{
	ikev1_client_child(x->sa);
}

// The address attributes with a value become the session's, in place of older ones.
static bool assign(struct ike_session *s, const struct ikev1_cfg *cfg, const char *how)
{
	struct ip_addr got[IKE_LEASES_MAX];
	uint8_t n = 0;
	for (uint8_t i = 0; i < cfg->count && n < IKE_LEASES_MAX; i++) {
		const struct ikev1_attr *a = &cfg->attrs[i];
		if ((a->type == IKEV1_CFG_IP4_ADDRESS && ikev1_attr_address(a, IP_V4, &got[n])) ||
			(a->type == IKEV1_CFG_IP6_ADDRESS && ikev1_attr_address(a, IP_V6, &got[n])))
			n++;
	}
	if (!n)
		return false;
	memcpy(s->assigned, got, n * sizeof(got[0]));
	s->assigned_count = n;
	s->mode_config = how;
	return true;
}

// ---- asking --------------------------------------------------------------------------------------

// Some gateways answer with an ACK.
static enum ike_verdict reply(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ikev1_cfg cfg;
	if (ikev1_cfg_parse(x->in1.attributes, &cfg) != WIRE_OK ||
		(cfg.type != IKEV1_CFG_REPLY && cfg.type != IKEV1_CFG_ACK))
		return ikev1_ignore(x, IKE_REASON_V1_CFG_BAD);
	if (!sa->session || !assign(sa->session, &cfg, "pull"))
		return ike_fail(x, IKE_REASON_NO_ADDRESS, 0);
	if (ike_effect_add(x, apply_child, NULL, NULL) < 0)
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	return IKE_DONE;
}

static void put_wish(
	struct wire_builder *b, uint16_t type, uint8_t family, const struct ip_addr *hint)
{
	size_t len = hint->family == family ? ip_len(family) : 0;
	ikev1_put_attr(b, type, (struct view){hint->bytes, len});
}

static enum ike_verdict request_build(struct ike_exchange *x)
{
	static const uint16_t others[] = {IKEV1_CFG_IP4_NETMASK, IKEV1_CFG_IP4_DNS,
		IKEV1_CFG_IP4_NBNS, IKEV1_CFG_IP4_SUBNET, IKEV1_CFG_APPLICATION_VERSION};
	const struct cfg_connection *conn = x->sa->conn;
	struct wire_builder *b = &x->out.b;
	ikev1_open_cfg(b, IKEV1_CFG_REQUEST, (uint16_t)random_u64(x->sa->engine->p.random));
	if (conn->request_v4)
		put_wish(b, IKEV1_CFG_IP4_ADDRESS, IP_V4, &conn->request_hint_v4);
	if (conn->request_v6)
		put_wish(b, IKEV1_CFG_IP6_ADDRESS, IP_V6, &conn->request_hint_v6);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		ikev1_put_attr(b, others[i], (struct view){NULL, 0});
	wire_close(b);
	ikev1_send_as(x, IKEV1_FORM_TRANSACTION);
	ikev1_expect(x, reply, IKEV1_FORM_TRANSACTION);
	return IKE_DONE;
}

void ikev1_client_begin(struct ike_sa *sa)
{
	struct ike_task t = {.name = "mode-config-request",
		.type = IKEV1_EXCHANGE_TRANSACTION,
		.build = request_build};
	bool waits = sa->conn->request_push;
	if (sa->session->assigned_count || !(waits || wants_address(sa->conn)))
		ikev1_client_child(sa);
	else if (!waits && ike_task_add(sa, &t) < 0)
		(void)ike_sa_delete(sa);
}

// ---- being told ----------------------------------------------------------------------------------

// What is taken is acknowledged by its attribute without a value; who wants nothing acknowledges
// nothing.
static void put_ack(struct wire_builder *b, const struct ikev1_cfg *cfg, bool taken)
{
	ikev1_open_cfg(b, IKEV1_CFG_ACK, cfg->identifier);
	for (uint8_t i = 0; i < cfg->count && taken; i++)
		ikev1_put_attr(b, cfg->attrs[i].type, (struct view){NULL, 0});
	wire_close(b);
}

enum ike_verdict ikev1_client_pushed(struct ike_exchange *x, const struct ikev1_cfg *cfg)
{
	struct ike_sa *sa = x->sa;
	bool client = sa->initiator && sa->session && sa->conn->request_push;
	// Before the status some gateways push; who calls us has nothing to push before his login.
	if (sa->state == IKE_SA_LOGIN && !sa->initiator)
		return ikev1_ignore(x, IKE_REASON_V1_CFG_EARLY);
	bool taken = client && assign(sa->session, cfg, "push");
	if (!taken)
		ike_count(sa->engine, IKE_REASON_V1_CFG_OFF);
	put_ack(&x->out.b, cfg, taken);
	ikev1_send_as(x, IKEV1_FORM_TRANSACTION);
	if (taken && ike_effect_add(x, apply_child, NULL, NULL) < 0)
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	return IKE_DONE;
}

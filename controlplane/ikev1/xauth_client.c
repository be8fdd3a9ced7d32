// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// XAUTH as client: the gateway's requests are answered with the connection's user and password, and
// its status is acknowledged.
#include "controlplane/ikev1/login.h"

bool ikev1_xauth_attribute(uint16_t type)
{
	return type >= IKEV1_CFG_XAUTH_TYPE && type <= IKEV1_CFG_XAUTH_ANSWER;
}

static bool is_client(const struct ike_sa *sa)
{
	return sa->initiator && sa->conn->local.user;
}

// ---- a request ---------------------------------------------------------------------------------

static struct view text_view(const char *s)
{
	return (struct view){(const uint8_t *)s, strlen(s)};
}

// Name and password in the order asked for; what else is asked stays unanswered. False: neither is
// asked for, or another type of XAUTH is meant.
static bool put_answers(
	struct wire_builder *b, const struct ikev1_cfg *cfg, const struct cfg_connection *conn)
{
	bool name = false, password = false;
	for (uint8_t i = 0; i < cfg->count; i++) {
		const struct ikev1_attr *a = &cfg->attrs[i];
		uint32_t type;
		if (a->type == IKEV1_CFG_XAUTH_TYPE) {
			if (!ikev1_attr_number(a, &type) || type != IKEV1_XAUTH_TYPE_GENERIC)
				return false;
			ikev1_put_attr_basic(b, a->type, IKEV1_XAUTH_TYPE_GENERIC);
		} else if (a->type == IKEV1_CFG_XAUTH_USER_NAME && !name) {
			name = true;
			ikev1_put_attr(b, a->type, text_view(conn->local.user));
		} else if ((a->type == IKEV1_CFG_XAUTH_USER_PASSWORD ||
				   a->type == IKEV1_CFG_XAUTH_PASSCODE) &&
			   !password) {
			password = true;
			ikev1_put_attr(b, a->type, secret_view(&conn->local.password));
		}
	}
	return name || password;
}

// draft-beaulieu-ike-xauth-02 6: a client that will not go on replies with the status "fail".
static enum ike_verdict give_up(struct ike_exchange *x, const struct ikev1_cfg *cfg)
{
	ike_refused(x->sa->engine, x->sa, &x->sa->remote, IKE_REASON_V1_XAUTH_REFUSED);
	ikev1_open_cfg(&x->out.b, IKEV1_CFG_REPLY, cfg->identifier);
	ikev1_put_attr_basic(&x->out.b, IKEV1_CFG_XAUTH_STATUS, IKEV1_XAUTH_STATUS_FAIL);
	wire_close(&x->out.b);
	ikev1_send_as(x, IKEV1_FORM_TRANSACTION);
	return IKE_DONE;
}

enum ike_verdict ikev1_xauth_answer(struct ike_exchange *x, const struct ikev1_cfg *cfg)
{
	struct ike_sa *sa = x->sa;
	struct ikev1_login *l = sa->v1->login;
	struct wire_builder begun = x->out.b;
	if (sa->initiator && !sa->conn->local.user)
		return give_up(x, cfg);
	if (sa->state != IKE_SA_LOGIN || !l || !is_client(sa))
		return ike_fail(x, IKE_REASON_V1_XAUTH_UNEXPECTED, 0);
	if (l->attempts >= IKEV1_XAUTH_ATTEMPTS)
		return give_up(x, cfg);
	ikev1_open_cfg(&x->out.b, IKEV1_CFG_REPLY, cfg->identifier);
	if (!put_answers(&x->out.b, cfg, sa->conn)) {
		x->out.b = begun;
		return give_up(x, cfg);
	}
	wire_close(&x->out.b);
	l->attempts++;
	ikev1_send_as(x, IKEV1_FORM_TRANSACTION);
	return IKE_DONE;
}

// ---- the status --------------------------------------------------------------------------------

static void apply_over(struct ike_exchange *x, void *unused)
{
	ikev1_login_over(x->sa);
}

enum ike_verdict ikev1_xauth_told(struct ike_exchange *x, const struct ikev1_cfg *cfg)
{
	struct ike_sa *sa = x->sa;
	const struct ikev1_attr *status = ikev1_cfg_find(cfg, IKEV1_CFG_XAUTH_STATUS);
	uint32_t value;
	bool login = sa->state == IKE_SA_LOGIN;
	if (!is_client(sa) || !ikev1_attr_number(status, &value))
		return ike_fail(x, IKE_REASON_V1_XAUTH_UNEXPECTED, 0);
	bool ok = value == IKEV1_XAUTH_STATUS_OK;
	ikev1_open_cfg(&x->out.b, IKEV1_CFG_ACK, cfg->identifier);
	ikev1_put_attr_basic(&x->out.b, IKEV1_CFG_XAUTH_STATUS, (uint16_t)value);
	wire_close(&x->out.b);
	ikev1_send_as(x, IKEV1_FORM_TRANSACTION);
	if (!ok) {
		ike_refused(sa->engine, sa, &sa->remote, IKE_REASON_AUTH_REFUSED);
		x->out.close_sa = login;
		x->out.close_reason = IKE_REASON_AUTH_REFUSED;
		return IKE_DONE;
	}
	// Once more, because our ACK was lost: nothing but the ACK.
	if (login && ike_effect_add(x, apply_over, NULL, NULL) < 0)
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	return IKE_DONE;
}

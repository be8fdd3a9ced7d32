// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// XAUTH as server (draft-beaulieu-ike-xauth-02): name and password, some rounds of them, and the
// status. Each message holds one ATTRIBUTES payload and nothing that a strict client does not know.
#include "controlplane/ikev1/login.h"

#include "controlplane/throttle.h"
#include "controlplane/users.h"

LOG_SUBSYSTEM("xauth");

static enum ike_verdict request_build(struct ike_exchange *x);
static enum ike_verdict status_build(struct ike_exchange *x);

static bool add_task(struct ike_sa *sa, const char *name, ike_handler build, void *arg)
{
	struct ike_task t = {
		.name = name, .type = IKEV1_EXCHANGE_TRANSACTION, .build = build, .arg = arg};
	return ike_task_add(sa, &t) == 0;
}

bool ikev1_xauth_ask(struct ike_sa *sa)
{
	return add_task(sa, "xauth", request_build, NULL);
}

// ---- the status --------------------------------------------------------------------------------

static char status_ok; // the task's argument

bool ikev1_xauth_status(struct ike_sa *sa, bool ok)
{
	return add_task(sa, "xauth-status", status_build, ok ? &status_ok : NULL);
}

bool ikev1_xauth_is_status(const struct ike_exchange *x)
{
	return x && x->task && x->task->build == status_build;
}

static enum ike_verdict status_over(struct ike_exchange *x)
{
	bool ok = x->task->arg;
	if (ike_effect_add(x, ok ? ikev1_login_apply : ikev1_login_end, NULL, NULL) < 0)
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	return IKE_DONE;
}

// With or without the status in it, as TV or TLV: peers differ.
static enum ike_verdict status_ack(struct ike_exchange *x)
{
	struct ikev1_cfg cfg;
	if (ikev1_cfg_parse(x->in1.attributes, &cfg) != WIRE_OK || cfg.type != IKEV1_CFG_ACK)
		return ikev1_ignore(x, IKE_REASON_V1_CFG_BAD);
	return status_over(x);
}

static void mark_accepted(struct ike_exchange *x, void *unused)
{
	if (x->sa->v1->login)
		x->sa->v1->login->accepted = true;
}

// vpnc wants exactly this one attribute, as TV.
static enum ike_verdict status_build(struct ike_exchange *x)
{
	bool ok = x->task->arg;
	struct ikev1_login *l = x->sa->v1->login;
	if (!l || (ok && ike_effect_add(x, mark_accepted, NULL, NULL) < 0))
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	ikev1_open_cfg(&x->out.b, IKEV1_CFG_SET, l->identifier);
	ikev1_put_attr_basic(&x->out.b, IKEV1_CFG_XAUTH_STATUS,
		ok ? IKEV1_XAUTH_STATUS_OK : IKEV1_XAUTH_STATUS_FAIL);
	wire_close(&x->out.b);
	ikev1_send_as(x, IKEV1_FORM_TRANSACTION);
	ikev1_expect(x, status_ack, IKEV1_FORM_TRANSACTION);
	if (!ok)
		ikev1_expect_tries(x, IKEV1_STATUS_TRIES, status_over);
	return IKE_DONE;
}

// ---- the reply ---------------------------------------------------------------------------------

struct answer {
	struct view name, password;
	bool given_up;
};

static struct view without_nul(struct view v)
{
	if (v.len && v.p[v.len - 1] == '\0')
		v.len--;
	return v;
}

// A password may come as such or as a passcode. racoon's (Android, Apple) end with a NUL.
static void read_answer(const struct ikev1_cfg *cfg, struct answer *out)
{
	const struct ikev1_attr *status = ikev1_cfg_find(cfg, IKEV1_CFG_XAUTH_STATUS);
	const struct ikev1_attr *name = ikev1_cfg_find(cfg, IKEV1_CFG_XAUTH_USER_NAME);
	const struct ikev1_attr *password = ikev1_cfg_find(cfg, IKEV1_CFG_XAUTH_USER_PASSWORD);
	uint32_t n;
	if (!password || password->value.len == 0)
		password = ikev1_cfg_find(cfg, IKEV1_CFG_XAUTH_PASSCODE);
	*out = (struct answer){.given_up = status && ikev1_attr_number(status, &n) &&
					   n == IKEV1_XAUTH_STATUS_FAIL};
	if (name)
		out->name = without_nul(name->value);
	if (password)
		out->password = without_nul(password->value);
}

// "user" of "DOMAIN\user".
static struct view without_domain(struct view name)
{
	const uint8_t *slash = name.len ? memrchr(name.p, '\\', name.len) : NULL;
	if (!slash)
		return name;
	return (struct view){slash + 1, (size_t)(name.p + name.len - slash) - 1};
}

static const struct cfg_user *find_user(const struct ike_users *users, struct view name)
{
	const struct cfg_user *u = ike_user_find(users, name);
	return u ? u : ike_user_find(users, without_domain(name));
}

enum result { RIGHT, WRONG, THROTTLED };

// Which of name and password was wrong is said to nobody, nor how long it took.
static enum result check(struct ike_exchange *x, const struct answer *a)
{
	struct ike_engine *e = x->sa->engine;
	const struct ip_addr *source = &x->sa->remote.addr;
	bool usable = a->name.len && a->name.len <= IKE_USER_MAX && a->password.len &&
		      a->password.len <= IKE_PASSWORD_MAX;
	const struct cfg_user *user = usable ? find_user(e->users, a->name) : NULL;
	// Whoever he is and whether there is such a user: one name, one count.
	struct view key = without_domain(a->name);
	if (ike_throttled(e->throttle, key, source, e->now_ns))
		return THROTTLED;
	if (ike_user_check(e->users, user, usable ? a->password : (struct view){NULL, 0})) {
		ike_throttle_forget(e->throttle, key);
		x->sa->v1->login->user = user;
		return RIGHT;
	}
	ike_throttle_failed(e->throttle, key, source, e->now_ns);
	return WRONG;
}

static void log_failure(struct ike_exchange *x, const struct answer *a, enum ike_reason why)
{
	char sa[IKE_SA_TEXT_MAX], name[128];
	log_debug("%s user \"%s\": %s", ike_sa_text(x->sa, sa),
		log_printable(a->name.p, a->name.len, name, sizeof(name)), ike_reason_text(why));
	ike_refused(x->sa->engine, x->sa, &x->sa->remote, why);
}

static void apply_right(struct ike_exchange *x, void *unused)
{
	if (!ikev1_login_authorize(x->sa))
		(void)ike_sa_delete(x->sa);
}

static void apply_again(struct ike_exchange *x, void *unused)
{
	if (!ikev1_xauth_ask(x->sa))
		(void)ike_sa_delete(x->sa);
}

void ikev1_xauth_fail(struct ike_exchange *x, void *unused)
{
	if (!ikev1_xauth_status(x->sa, false))
		(void)ike_sa_delete(x->sa);
}

typedef void (*effect)(struct ike_exchange *x, void *unused);

static effect judge(struct ike_exchange *x, const struct answer *a)
{
	struct ikev1_login *l = x->sa->v1->login;
	switch (check(x, a)) {
	case RIGHT:
		ike_count(x->sa->engine, IKE_REASON_V1_XAUTH_OK);
		return apply_right;
	case THROTTLED:
		log_failure(x, a, IKE_REASON_V1_XAUTH_THROTTLED);
		return ikev1_xauth_fail;
	case WRONG:
		break;
	}
	log_failure(x, a, IKE_REASON_V1_XAUTH_FAILED);
	return ++l->attempts < IKEV1_XAUTH_ATTEMPTS ? apply_again : ikev1_xauth_fail;
}

static enum ike_verdict reply(struct ike_exchange *x)
{
	struct ikev1_cfg cfg;
	struct answer a;
	effect next = ikev1_login_end;
	if (!x->sa->v1->login)
		return ike_fail(x, IKE_REASON_V1_XAUTH_UNEXPECTED, 0);
	if (ikev1_cfg_parse(x->in1.attributes, &cfg) != WIRE_OK || cfg.type != IKEV1_CFG_REPLY)
		return ikev1_ignore(x, IKE_REASON_V1_CFG_BAD);
	read_answer(&cfg, &a);
	if (a.given_up)
		ike_refused(x->sa->engine, x->sa, &x->sa->remote, IKE_REASON_V1_XAUTH_REFUSED);
	else
		next = judge(x, &a);
	if (ike_effect_add(x, next, NULL, NULL) < 0)
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	return IKE_DONE;
}

// ---- the request -------------------------------------------------------------------------------

// Without XAUTH_TYPE: generic is the default, and some clients abort on another form of it.
static enum ike_verdict request_build(struct ike_exchange *x)
{
	const struct view nothing = {NULL, 0};
	struct ikev1_login *l = x->sa->v1->login;
	if (!l)
		return ike_fail_fatal(x, IKE_REASON_V1_XAUTH_UNEXPECTED, 0);
	ikev1_open_cfg(&x->out.b, IKEV1_CFG_REQUEST, l->identifier);
	ikev1_put_attr(&x->out.b, IKEV1_CFG_XAUTH_USER_NAME, nothing);
	ikev1_put_attr(&x->out.b, IKEV1_CFG_XAUTH_USER_PASSWORD, nothing);
	wire_close(&x->out.b);
	ikev1_send_as(x, IKEV1_FORM_TRANSACTION);
	ikev1_expect(x, reply, IKEV1_FORM_TRANSACTION);
	ikev1_expect_tries(x, IKEV1_XAUTH_TRIES, NULL);
	ike_count(x->sa->engine, IKE_REASON_V1_XAUTH_SENT);
	return IKE_DONE;
}

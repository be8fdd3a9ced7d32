// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKE_SA_INIT (RFC 7296 1.2, 2.6, 2.7, 2.23), both roles. DH runs on a crypto helper.
#include "controlplane/exchange.h"
#include "controlplane/handshake.h"
#include "controlplane/ikev2/nat.h"
#include "controlplane/index.h"

#include <stdlib.h>

enum { STEP_START, STEP_DH };

static const struct wire_sa_policy sa_policy = {
	.protocol = IKEV2_PROTOCOL_IKE, .prefer_mine = true, .pfs = WIRE_PFS_REQUIRED};

// ---- what the peer announces ----

static void read_notifies(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	const struct wire_notify *hashes =
		wire_notify_find(&x->in, IKEV2_NOTIFY_SIGNATURE_HASH_ALGORITHMS);
	sa->peer_fragments =
		wire_notify_find(&x->in, IKEV2_NOTIFY_IKEV2_FRAGMENTATION_SUPPORTED) != NULL;
	sa->peer_childless =
		wire_notify_find(&x->in, IKEV2_NOTIFY_CHILDLESS_IKEV2_SUPPORTED) != NULL;
	sa->peer_message_id_sync =
		wire_notify_find(&x->in, IKEV2_NOTIFY_IKEV2_MESSAGE_ID_SYNC_SUPPORTED) != NULL;
	if (hashes && !ike_hashes_parse(hashes->data, &sa->peer_hashes))
		sa->peer_hashes = 0;
}

static void put_hashes(struct wire_builder *b)
{
	uint8_t list[8];
	struct wr w = wr_of(list, sizeof(list));
	for (uint16_t h = IKE_HASH_SHA2_256; h <= IKE_HASH_IDENTITY; h++)
		wr_u16(&w, h);
	wire_put_notify(b, IKEV2_NOTIFY_SIGNATURE_HASH_ALGORITHMS, wr_done(&w));
}

// ---- responder ----

struct init_state {
	struct wire_choice choice;
	bool nat, fragments, hashes, certreq; // what the reply holds
};

struct offer {
	const struct wire_proposals *peer;
	uint16_t group;
	struct wire_choice *choice;
};

static bool accepts(void *ctx, const struct cfg_connection *c)
{
	const struct offer *o = ctx;
	struct wire_sa_policy policy = sa_policy;
	policy.ke_group = o->group;
	return wire_select(c->ike_proposals, c->ike_proposal_count, &policy, o->peer, o->choice) ==
		       WIRE_OK &&
	       ike_suite_supported(&o->choice->suite);
}

// The connection is provisional until the identity is known.
static enum ike_reason choose(struct ike_exchange *x, const struct wire_proposals *peer,
	uint16_t group, struct wire_choice *choice)
{
	struct offer offer = {peer, group, choice};
	bool seen;
	x->sa->conn = ike_connection_first(
		x->sa->engine->index, &x->from.remote.addr, accepts, &offer, &seen);
	if (x->sa->conn)
		return IKE_REASON_NONE;
	return seen ? IKE_REASON_NO_PROPOSAL : IKE_REASON_NO_CONNECTION;
}

static void put_reply(
	struct ike_exchange *x, const struct init_state *st, struct view ke, struct view nonce)
{
	struct ike_sa *sa = x->sa;
	struct wire_builder *b = &x->out.b;
	wire_build_choice(b, &st->choice, 0);
	wire_put_ke(b, sa->suite.dh, ke);
	wire_put_nonce(b, nonce);
	if (st->nat && !ikev2_nat_put(x, sa->spi_r, &x->from))
		b->w.overflow = true;
	if (st->fragments)
		wire_put_notify(
			b, IKEV2_NOTIFY_IKEV2_FRAGMENTATION_SUPPORTED, (struct view){NULL, 0});
	if (st->hashes)
		put_hashes(b);
	// RFC 6023 3: only where this was announced may the peer leave out the child SA.
	if (sa->conn->childless)
		wire_put_notify(b, IKEV2_NOTIFY_CHILDLESS_IKEV2_SUPPORTED, (struct view){NULL, 0});
	if (st->certreq)
		wire_put_certreq(b, IKEV2_CERT_X509_SIGNATURE,
			ike_credentials_certreq(sa->engine->p.credentials));
}

// The reply's length is known before DH: the peer's path is proven first if it would be larger than
// the request.
static bool reply_too_large(struct ike_exchange *x, const struct init_state *st)
{
	static const uint8_t zeros[1024];
	size_t public_len = alg_dh(x->sa->suite.dh)->public_len;
	size_t before = x->out.b.w.len;
	put_reply(x, st, (struct view){zeros, public_len}, (struct view){zeros, IKE_NONCE_LEN});
	size_t len = IKE_HEADER_LEN + x->out.b.w.len - before;
	wire_build_begin(&x->out.b, x->out.b.w.base, x->out.b.w.cap);
	return len > x->from_len;
}

static enum ike_verdict ask_cookie(struct ike_exchange *x, struct view nonce)
{
	uint8_t cookie[IKE_COOKIE_LEN];
	ike_cookie_make(x->sa->engine, &x->from, x->sa->spi_i, nonce, cookie);
	return ike_fail_data(
		x, IKE_REASON_COOKIE_SENT, IKEV2_NOTIFY_COOKIE, cookie, sizeof(cookie));
}

// Which connection it will be is not known yet: a peer that was not asked may send none.
static bool wants_certificate(const struct ike_sa *sa)
{
	const struct ike_credentials *c = sa->engine->p.credentials;
	return c && sa->engine->index->certificates && ike_credentials_ca_count(c) > 0;
}

static enum ike_verdict request_checked(
	struct ike_exchange *x, struct init_state *st, const struct wire_ke *ke, struct view nonce)
{
	struct ike_sa *sa = x->sa;
	sa->suite = st->choice.suite;
	if (sa->suite.dh != ke->group) {
		// RFC 7296 1.3: the notification's data is the group that is wanted.
		uint8_t group[2] = {(uint8_t)(sa->suite.dh >> 8), (uint8_t)sa->suite.dh};
		return ike_fail_data(x, IKE_REASON_INVALID_KE, IKEV2_NOTIFY_INVALID_KE_PAYLOAD,
			group, sizeof(group));
	}
	if (ke->value.len != alg_dh(ke->group)->public_len)
		return ike_fail(x, IKE_REASON_BAD_KE, IKEV2_NOTIFY_INVALID_SYNTAX);
	read_notifies(x);
	ikev2_nat_detect(x, 0, &x->from);
	st->nat = wire_notify_find(&x->in, IKEV2_NOTIFY_NAT_DETECTION_SOURCE_IP) != NULL;
	st->fragments = sa->peer_fragments && sa->conn->fragment_size > 0;
	sa->peer_fragments = st->fragments;
	st->hashes = sa->peer_hashes != 0;
	st->certreq = wants_certificate(sa);
	if (!sa->cookie_proved && reply_too_large(x, st))
		return ask_cookie(x, nonce);
	if (secret_copy(&sa->nonce_i, nonce.p, nonce.len) < 0 ||
		!ike_nonce_draw(sa, &sa->nonce_r, IKE_NONCE_LEN) ||
		secret_copy(&sa->init_i, x->in_buf, x->in_len) < 0)
		return ike_fail(x, IKE_REASON_NO_MEMORY, 0);
	struct ike_dh_job *job = ike_dh_job_respond(ke->group, ke->value);
	return ike_wait_job(x, job ? &job->base.job : NULL, STEP_DH);
}

static enum ike_verdict request_start(struct ike_exchange *x)
{
	struct wire_proposals peer;
	struct wire_ke ke;
	struct view nonce;
	struct init_state *st = calloc(1, sizeof(*st));
	x->state = st;
	x->state_free = free;
	if (!st)
		return ike_fail(x, IKE_REASON_NO_MEMORY, 0);
	if (wire_nonce_parse(x->in.nonce, &nonce) != WIRE_OK)
		return ike_fail(x, IKE_REASON_BAD_NONCE, IKEV2_NOTIFY_INVALID_SYNTAX);
	if (wire_ke_parse(x->in.ke, &ke) != WIRE_OK)
		return ike_fail(x, IKE_REASON_BAD_KE, IKEV2_NOTIFY_INVALID_SYNTAX);
	if (wire_sa_parse(x->in.sa, &peer) != WIRE_OK)
		return ike_fail(x, IKE_REASON_MALFORMED, IKEV2_NOTIFY_INVALID_SYNTAX);
	enum ike_reason why = choose(x, &peer, ke.group, &st->choice);
	if (why)
		return ike_fail(x, why, IKEV2_NOTIFY_NO_PROPOSAL_CHOSEN);
	return request_checked(x, st, &ke, nonce);
}

static enum ike_verdict dh_result(struct ike_exchange *x, struct ike_dh_job **out)
{
	enum ike_reason why = ike_dh_reason(x);
	*out = IKE_JOB_AS(ike_dh_job, x->job);
	if (why != IKE_REASON_NONE)
		return ike_fail(x, why, why == IKE_REASON_BAD_KE ? IKEV2_NOTIFY_INVALID_SYNTAX : 0);
	return IKE_DONE;
}

static enum ike_verdict request_keys(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ike_dh_job *job;
	enum ike_verdict v = dh_result(x, &job);
	if (v != IKE_DONE)
		return v;
	if (ike_sa_keys(sa, secret_view(&job->shared), NULL) != IKE_CRYPTO_OK)
		return ike_fail(x, IKE_REASON_CRYPTO, 0);
	put_reply(x, x->state, ike_dh_public(job->dh), secret_view(&sa->nonce_r));
	ike_next_state(x, IKE_SA_INIT_DONE);
	return IKE_DONE;
}

enum ike_verdict ikev2_sa_init_request(struct ike_exchange *x)
{
	return x->step == STEP_START ? request_start(x) : request_keys(x);
}

// ---- initiator ----

static struct wire_sa_policy offer_policy(void)
{
	return sa_policy;
}

static enum ike_verdict build(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct wire_builder *b = &x->out.b;
	struct wire_sa_policy policy = offer_policy();
	struct ike_datagram path = ike_sa_path(sa);
	if (!ike_nonce_draw(sa, &sa->nonce_i, IKE_NONCE_LEN))
		return ike_fail(x, IKE_REASON_NO_MEMORY, 0);
	// RFC 7296 2.6: the cookie comes first.
	if (sa->cookie.len)
		wire_put_notify(b, IKEV2_NOTIFY_COOKIE, secret_view(&sa->cookie));
	wire_build_sa(b, sa->conn->ike_proposals, sa->conn->ike_proposal_count, &policy, 0);
	wire_put_ke(b, sa->ke_group, ike_dh_public(sa->dh));
	wire_put_nonce(b, secret_view(&sa->nonce_i));
	if (!ikev2_nat_put(x, 0, &path))
		return ike_fail(x, IKE_REASON_CRYPTO, 0);
	if (sa->conn->fragment_size)
		wire_put_notify(
			b, IKEV2_NOTIFY_IKEV2_FRAGMENTATION_SUPPORTED, (struct view){NULL, 0});
	put_hashes(b);
	ike_next_state(x, IKE_SA_INIT_SENT);
	return IKE_DONE;
}

enum ike_verdict ikev2_sa_init_build(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	if (!sa->ke_group && sa->conn->ike_proposal_count)
		sa->ke_group = sa->conn->ike_proposals[0].dh[0];
	if (x->step == STEP_DH) {
		struct ike_dh_job *job;
		enum ike_verdict v = dh_result(x, &job);
		if (v != IKE_DONE)
			return v;
		sa->dh = ike_dh_job_take(job);
	}
	if (sa->dh)
		return build(x);
	struct ike_dh_job *job = ike_dh_job_generate(sa->ke_group);
	return ike_wait_job(x, job ? &job->base.job : NULL, STEP_DH);
}

static void try_again(struct ike_exchange *x, void *arg)
{
	struct ike_sa *sa = x->sa;
	struct ike_task t = {.name = "ike-sa-init",
		.type = IKEV2_EXCHANGE_IKE_SA_INIT,
		.build = ikev2_sa_init_build,
		.response = ikev2_sa_init_response,
		.first = true};
	sa->init_refused = false;
	sa->next_out = 0; // RFC 7296 2.2: every IKE_SA_INIT has message id 0
	if (ike_task_add(sa, &t) < 0)
		ike_sa_close(sa, IKE_REASON_NO_MEMORY);
}

static enum ike_verdict once_more(struct ike_exchange *x)
{
	if (++x->sa->init_tries >= IKE_INIT_TRIES)
		return ike_fail_fatal(x, IKE_REASON_INIT_LOOP, 0);
	if (ike_effect_add(x, try_again, NULL, NULL) < 0)
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	return IKE_DONE;
}

static bool offered_group(const struct cfg_connection *c, uint16_t group)
{
	for (size_t i = 0; i < c->ike_proposal_count; i++)
		for (uint8_t g = 0; g < c->ike_proposals[i].dh_count; g++)
			if (c->ike_proposals[i].dh[g] == group)
				return true;
	return false;
}

static enum ike_verdict other_group(struct ike_exchange *x, struct view data)
{
	struct ike_sa *sa = x->sa;
	struct rd r = rd_view(data);
	uint16_t group;
	if (!rd_u16(&r, &group) || !rd_empty(&r) || group == sa->ke_group ||
		!offered_group(sa->conn, group))
		return ike_fail_fatal(x, IKE_REASON_INVALID_KE, 0);
	ike_dh_free(sa->dh);
	sa->dh = NULL;
	sa->ke_group = group;
	return once_more(x);
}

// A response that is a notify alone: cookie, other group, or refusal.
static enum ike_verdict response_notify(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	const struct wire_notify *cookie = wire_notify_find(&x->in, IKEV2_NOTIFY_COOKIE);
	const struct wire_notify *group = wire_notify_find(&x->in, IKEV2_NOTIFY_INVALID_KE_PAYLOAD);
	if (group)
		return other_group(x, group->data);
	if (!cookie || cookie->data.len == 0 || cookie->data.len > IKEV2_COOKIE_MAX)
		return ike_fail_fatal(x, IKE_REASON_INIT_REFUSED, 0);
	secret_fini(&sa->cookie);
	if (secret_copy(&sa->cookie, cookie->data.p, cookie->data.len) < 0)
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	return once_more(x);
}

static enum ike_verdict response_start(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct wire_proposals answer;
	struct wire_choice choice;
	struct wire_sa_policy policy = offer_policy();
	struct wire_ke ke;
	struct view nonce;
	if (!x->in.sa.p || wire_notify_error(&x->in))
		return response_notify(x);
	if (wire_sa_parse(x->in.sa, &answer) != WIRE_OK ||
		wire_ke_parse(x->in.ke, &ke) != WIRE_OK ||
		wire_nonce_parse(x->in.nonce, &nonce) != WIRE_OK)
		return ike_fail_fatal(x, IKE_REASON_MALFORMED, 0);
	if (wire_check_choice(sa->conn->ike_proposals, sa->conn->ike_proposal_count, &policy,
		    &answer, &choice) != WIRE_OK ||
		choice.suite.dh != sa->ke_group || ke.group != sa->ke_group)
		return ike_fail_fatal(x, IKE_REASON_PROPOSAL_ALTERED, 0);
	sa->suite = choice.suite;
	sa->init_refused = false;
	sa->spi_r = x->peer_spi;
	ikev2_nat_detect(x, sa->spi_r, &x->from);
	read_notifies(x);
	sa->peer_fragments = sa->peer_fragments && sa->conn->fragment_size > 0;
	if (secret_copy(&sa->nonce_r, nonce.p, nonce.len) < 0 ||
		secret_copy(&sa->init_r, x->in_buf, x->in_len) < 0)
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	struct ike_dh_job *job = ike_dh_job_derive(sa->dh, ke.value);
	sa->dh = NULL;
	return ike_wait_job(x, job ? &job->base.job : NULL, STEP_DH);
}

// RFC 7296 2.23: with a NAT in between the rest goes by port 4500. RFC 4555 3.3: "implementations that
// support both this specification and NAT Traversal MUST change to port 4500 if the correspondent
// also supports both, even if no NAT was detected between them". Whether it knows MOBIKE it says in
// IKE_AUTH.
static bool leaves_port_500(const struct ike_exchange *x)
{
	const struct ike_sa *sa = x->sa;
	bool nat = sa->nat_local || sa->nat_remote;
	bool mobike =
		sa->conn->mobike && wire_notify_find(&x->in, IKEV2_NOTIFY_NAT_DETECTION_SOURCE_IP);
	return (nat || mobike) && sa->local.port == IKE_PORT;
}

static void begin_auth(struct ike_exchange *x, void *arg)
{
	struct ike_sa *sa = x->sa;
	struct ike_task t = {.name = "ike-auth",
		.type = IKEV2_EXCHANGE_IKE_AUTH,
		.build = ikev2_auth_build,
		.response = ikev2_auth_response,
		.first = true};
	if (leaves_port_500(x)) {
		sa->local.port = IKE_NAT_T_PORT;
		sa->remote.port = IKE_NAT_T_PORT;
		sa->floated = true;
	}
	if (ike_task_add(sa, &t) < 0)
		ike_sa_close(sa, IKE_REASON_NO_MEMORY);
}

static enum ike_verdict response_keys(struct ike_exchange *x)
{
	struct ike_dh_job *job;
	enum ike_verdict v = dh_result(x, &job);
	if (v != IKE_DONE)
		return v;
	if (ike_sa_keys(x->sa, secret_view(&job->shared), NULL) != IKE_CRYPTO_OK)
		return ike_fail_fatal(x, IKE_REASON_CRYPTO, 0);
	if (ike_effect_add(x, begin_auth, NULL, NULL) < 0)
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	ike_next_state(x, IKE_SA_INIT_DONE);
	return IKE_DONE;
}

enum ike_verdict ikev2_sa_init_response(struct ike_exchange *x)
{
	return x->step == STEP_START ? response_start(x) : response_keys(x);
}

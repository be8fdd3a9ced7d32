// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/ikev2/reauth.h"

#include "controlplane/starter.h"

#include <errno.h>

#define LATE_S     10 // that a peer gets beyond the time that it was told
#define LEAST_S    10 // between two authentications, whatever the peer says
#define MOST_S     (365u * 86400)
#define LEAD_PART  10    // we begin this part of the time before its end, or up to twice as much
#define LOOK_S     86400 // the timer's longest stretch
#define RETRY_S    5
#define RETRY_MOST 60

static void due(struct wheel_timer *t, void *arg);

static void arm(struct ike_sa *sa, uint64_t at_ns)
{
	struct ike_engine *e = sa->engine;
	uint64_t latest = e->now_ns + LOOK_S * NS_PER_S;
	wheel_set(&e->wheel, &sa->reauth, at_ns < latest ? at_ns : latest, due, sa);
}

// When the session's IKE SA is to be looked at: we begin before the time is over, the peer may be a
// little late.
static void schedule(struct ike_sa *sa)
{
	struct ike_session *s = sa->session;
	if (!s || !sa->reauth_ns)
		return;
	// What has failed is tried again in its own time, whatever the peer says meanwhile.
	if (s->reauth_tries && sa->reauth.set)
		return;
	s->reauth_due_ns = sa->reauth_ns + LATE_S * NS_PER_S;
	if (s->initiator) {
		uint64_t lead = (sa->reauth_ns - sa->authenticated_ns) / LEAD_PART;
		uint64_t soonest = sa->authenticated_ns + LEAST_S * NS_PER_S;
		if (lead)
			lead += random_u64(sa->engine->p.random) % lead;
		s->reauth_due_ns = sa->reauth_ns - lead;
		if (s->reauth_due_ns < soonest)
			s->reauth_due_ns = soonest;
	}
	arm(sa, s->reauth_due_ns);
}

// ---- we begin ----------------------------------------------------------------------------------

static int begin(struct ike_session *s)
{
	struct ike_engine *e = s->engine;
	struct ike_begin b = {
		.conn = s->conn,
		.origin = s->sa->origin,
		.local = s->sa->local,
		.remote = s->sa->remote,
		.follows = s->id,
	};
	if (s->reauth_attempt && ike_session_by_id(e, s->reauth_attempt))
		return -EBUSY;
	struct ike_session *n = ike_begin(e, &b);
	if (!n)
		return -ENOMEM;
	s->reauth_attempt = n->id;
	ike_count(e, IKE_REASON_REAUTH_BEGUN);
	return 0;
}

int ikev2_reauthenticate(struct ike_sa *sa)
{
	struct ike_session *s = sa->session;
	if (!s || s->sa != sa || sa->state != IKE_SA_ESTABLISHED || s->closing)
		return -EBUSY;
	// A client would not know what to do with our call, and a NAT would not let it through.
	bool callable = s->initiator || (!s->lease_count && !sa->nat_remote);
	return callable ? begin(s) : -ENOTSUP;
}

// The old IKE SA stays as long as the peer lets it.
static void try_again(struct ike_session *s)
{
	struct ike_engine *e = s->engine;
	uint64_t wait_s = RETRY_S << (s->reauth_tries < 4 ? s->reauth_tries : 4);
	if (wait_s > RETRY_MOST)
		wait_s = RETRY_MOST;
	if (s->reauth_tries < UINT8_MAX)
		s->reauth_tries++;
	s->reauth_due_ns =
		e->now_ns + wait_s * NS_PER_S / 2 + random_u64(e->p.random) % (wait_s * NS_PER_S);
	arm(s->sa, s->reauth_due_ns);
}

static void due(struct wheel_timer *t, void *arg)
{
	struct ike_sa *sa = arg;
	struct ike_session *s = sa->session;
	if (!s || s->sa != sa)
		return;
	if (s->closing) { // it may yet live on
		arm(sa, sa->engine->now_ns + RETRY_MOST * NS_PER_S);
		return;
	}
	if (sa->engine->now_ns + NS_PER_MS < s->reauth_due_ns) {
		arm(sa, s->reauth_due_ns);
		return;
	}
	if (s->initiator) {
		arm(sa, sa->engine->now_ns + RETRY_MOST * NS_PER_S);
		if (ike_may_begin(s) && begin(s) == -ENOMEM)
			try_again(s);
		return;
	}
	// RFC 4478 2: the responder "SHOULD send a DELETE notification soon after the end of the
	// lifetime period".
	ike_refused(sa->engine, sa, &sa->remote, IKE_REASON_REAUTH_MISSED);
	ike_session_end(s, 0);
}

// ---- messages ----------------------------------------------------------------------------------

// RFC 4478 2: "in the last message of an IKE_AUTH exchange".
static void auth_put(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	uint32_t life_s = sa->conn->lifetime.reauth_s;
	uint8_t data[4];
	sa->authenticated_ns = sa->engine->now_ns;
	if (x->initiator || !life_s)
		return;
	struct wr w = wr_of(data, sizeof(data));
	wr_u32(&w, life_s);
	wire_put_notify(&x->out.b, IKEV2_NOTIFY_AUTH_LIFETIME, wr_done(&w));
	sa->reauth_ns = sa->authenticated_ns + life_s * NS_PER_S;
	schedule(sa);
}

static uint64_t earlier(uint64_t a, uint64_t b) // 0: none
{
	return !a || (b && b < a) ? b : a;
}

// Our own limit, and the peer's if the message names one.
static void read_lifetime(struct ike_exchange *x, struct ike_sa *sa)
{
	const struct wire_notify *n = wire_notify_find(&x->in, IKEV2_NOTIFY_AUTH_LIFETIME);
	uint32_t own_s = sa->conn->lifetime.reauth_s, peer_s;
	struct rd r = n ? rd_view(n->data) : (struct rd){0};
	uint64_t peer_ns = 0;
	if (n && rd_u32(&r, &peer_s) && rd_empty(&r))
		peer_ns = sa->engine->now_ns + (peer_s < MOST_S ? peer_s : MOST_S) * NS_PER_S;
	else if (n)
		ike_count(sa->engine, IKE_REASON_MALFORMED);
	sa->reauth_ns = earlier(peer_ns, own_s ? sa->authenticated_ns + own_s * NS_PER_S : 0);
	schedule(sa);
}

// What the responder says; from the one who began it means nothing.
static void auth_read(struct ike_exchange *x)
{
	if (!x->initiator)
		return;
	x->sa->authenticated_ns = x->sa->engine->now_ns;
	read_lifetime(x, x->sa);
}

static enum ike_verdict informational(struct ike_exchange *x)
{
	struct ike_session *s = x->sa->session;
	if (s && s->sa == x->sa && s->initiator &&
		wire_notify_find(&x->in, IKEV2_NOTIFY_AUTH_LIFETIME))
		read_lifetime(x, x->sa);
	return IKE_DONE;
}

// RFC 4478 2: "If the IKE SA is rekeyed, then the time limit applies to the new SA."
static void inherit(struct ike_sa *sa, struct ike_sa *old)
{
	sa->authenticated_ns = old->authenticated_ns;
	sa->reauth_ns = old->reauth_ns;
	wheel_cancel(&sa->engine->wheel, &old->reauth);
	if (sa->reauth_ns && sa->session)
		arm(sa, sa->session->reauth_due_ns);
}

// One that was to follow a session, and has not come to it.
static void release(struct ike_sa *sa)
{
	struct ike_engine *e = sa->engine;
	struct ike_session *s =
		sa->reauth_session ? ike_session_by_id(e, sa->reauth_session) : NULL;
	if (!s || s->sa->version != IKE_MAJOR_2 || s->closing)
		return;
	s->reauth_attempt = 0;
	ike_count(e, IKE_REASON_REAUTH_FAILED);
	if (s->sa->reauth_ns && s->initiator)
		try_again(s);
}

const struct ikev2_extension ikev2_reauth = {
	.name = "re-authentication",
	.auth_put = auth_put,
	.auth_read = auth_read,
	.inherit = inherit,
	.informational = informational,
	.release = release,
};

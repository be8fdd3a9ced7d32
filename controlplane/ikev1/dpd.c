// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Dead peer detection (RFC 3706), both ways.
#include "controlplane/exchange.h"
#include "controlplane/ikev1/quick.h"

#include <errno.h>

#define GIVE_UP_NS (60 * NS_PER_S) // where the connection says nothing
// A peer counts on while its questions are lost; what is older than the last one has been repeated by
// somebody.
#define WINDOW 1024

static void put(struct ike_sa *sa, uint16_t type, uint32_t sequence)
{
	uint8_t cookies[16], data[4];
	struct wr w = wr_of(data, sizeof(data));
	wr_u32(&w, sequence);
	ikev1_notify(sa, &(struct ikev1_notification){.doi = IKEV1_DOI_IPSEC,
				 .protocol = IKEV1_PROTOCOL_ISAKMP,
				 .type = type,
				 .spi = ikev1_cookies(sa, cookies),
				 .data = wr_done(&w)});
}

// ---- the peer's questions, and its answers -----------------------------------------------------

static bool names_this(const struct ike_sa *sa, const struct ikev1_notification *n)
{
	uint8_t cookies[16];
	return view_eq(n->spi, ikev1_cookies(sa, cookies));
}

// RFC 3706 5.4, 6.3: the number grows by one; a question that is repeated has the same.
static bool in_window(const struct ike_sa *sa, uint32_t sequence)
{
	return !sa->v1->dpd.heard_any || sequence - sa->v1->dpd.heard < WINDOW;
}

void ikev1_dpd_notify(struct ike_exchange *x, const struct ikev1_notification *n)
{
	struct ike_sa *sa = x->sa;
	struct ikev1_sa *v1 = sa->v1;
	struct rd r = rd_view(n->data);
	uint32_t sequence = 0;
	bool question = n->type == IKEV1_NOTIFY_R_U_THERE;
	bool good = rd_u32(&r, &sequence) && rd_empty(&r) && names_this(sa, n) && !v1->deleted;
	good = good &&
	       (question ? in_window(sa, sequence) : v1->dpd.waiting && sequence == v1->dpd.sent);
	if (!good) {
		ike_refused(sa->engine, sa, &x->from.remote, IKE_REASON_V1_DPD_BAD);
		return;
	}
	// A number that has not been before: it is the peer, now and there.
	if (!question || !v1->dpd.heard_any || sequence != v1->dpd.heard)
		ike_sa_heard(sa, &x->from);
	if (!question) {
		ikev1_dpd_stop(sa);
		return;
	}
	v1->dpd.heard = sequence;
	v1->dpd.heard_any = true;
	ike_count(sa->engine, IKE_REASON_V1_DPD_ANSWERED);
	put(sa, IKEV1_NOTIFY_R_U_THERE_ACK, sequence);
}

// ---- ours --------------------------------------------------------------------------------------

void ikev1_dpd_stop(struct ike_sa *sa)
{
	sa->v1->dpd.waiting = false;
	wheel_cancel(&sa->engine->wheel, &sa->v1->dpd.again);
}

static void again(struct wheel_timer *t, void *arg);

// Repeated after 0.5, 1, 2, 4, 5, 5 ... s, with the same number.
static void ask(struct ike_sa *sa)
{
	struct ikev1_sa *v1 = sa->v1;
	struct ike_engine *e = sa->engine;
	uint64_t pause = IKE_RETRANSMIT_BASE_NS << (v1->dpd.tries < 4 ? v1->dpd.tries : 4);
	uint64_t due = e->now_ns + (pause < IKE_PROBE_PAUSE_NS ? pause : IKE_PROBE_PAUSE_NS);
	v1->dpd.tries++;
	put(sa, IKEV1_NOTIFY_R_U_THERE, v1->dpd.sent);
	wheel_set(&e->wheel, &v1->dpd.again, due < v1->dpd.give_up_ns ? due : v1->dpd.give_up_ns,
		again, sa);
}

static void again(struct wheel_timer *t, void *arg)
{
	struct ike_sa *sa = arg;
	struct ikev1_sa *v1 = sa->v1;
	// Any message, and ESP, says as much as the answer does.
	if (ike_sa_last_sign(sa) > v1->dpd.began_ns) {
		ikev1_dpd_stop(sa);
		return;
	}
	if (sa->engine->now_ns < v1->dpd.give_up_ns) {
		ike_count(sa->engine, IKE_REASON_RETRANSMITTED);
		ask(sa);
		return;
	}
	ike_refused(sa->engine, sa, &sa->remote, IKE_REASON_PEER_DEAD);
	struct ike_sa *spare = ikev1_spare_of(sa);
	if (spare) // nothing was ever heard on this one, perhaps
		(void)ikev1_revive(spare);
	ike_sa_close(sa, IKE_REASON_PEER_DEAD);
}

static uint64_t give_up(const struct ike_sa *sa)
{
	uint64_t now = sa->engine->now_ns, soonest = now + IKE_PROBE_MIN_NS;
	uint64_t due = ike_sa_last_sign(sa) + sa->conn->dpd.timeout_s * NS_PER_S;
	if (!sa->conn->dpd.timeout_s)
		return now + GIVE_UP_NS;
	return due > soonest ? due : soonest;
}

int ikev1_probe(struct ike_sa *sa)
{
	struct ikev1_sa *v1 = sa->v1;
	if (!v1->peer_dpd || sa->state != IKE_SA_ESTABLISHED || v1->deleted)
		return -ENOTSUP;
	if (v1->dpd.waiting)
		return -EALREADY;
	// RFC 3706 6.3: "the initial sequence number SHOULD be randomly chosen".
	v1->dpd.sent =
		v1->dpd.sent ? v1->dpd.sent + 1 : (uint32_t)random_u64(sa->engine->p.random) >> 1;
	v1->dpd.waiting = true;
	v1->dpd.tries = 0;
	v1->dpd.began_ns = sa->engine->now_ns;
	v1->dpd.give_up_ns = give_up(sa);
	ike_count(sa->engine, IKE_REASON_PROBE_SENT);
	ask(sa);
	return 0;
}

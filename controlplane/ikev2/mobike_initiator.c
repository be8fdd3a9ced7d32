// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// MOBIKE as initiator: the session goes to other addresses by order, or because a request gets no
// answer by the present ones and one by others (RFC 4555 3.5, 3.10).
#include "controlplane/ikev2/mobike.h"

#include "controlplane/exchange.h"
#include "controlplane/ikev2/extension.h"

#include <errno.h>
#include <stdlib.h>

// ---- UPDATE_SA_ADDRESSES -----------------------------------------------------------------------------

struct update {
	uint32_t generation;
	uint8_t cookie[IKE_MOBIKE_COOKIE_LEN];
};

static enum ike_verdict update_build(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ike_datagram path = ike_sa_path(sa);
	struct update *u = sa->mobike ? calloc(1, sizeof(*u)) : NULL;
	x->state = u;
	x->state_free = free;
	if (!u)
		return ike_fail(x, IKE_REASON_NO_MEMORY, 0);
	u->generation = sa->mobike->generation;
	if (!ikev2_nat_put(x, sa->spi_r, &path))
		return ike_fail(x, IKE_REASON_CRYPTO, 0);
	wire_put_notify(&x->out.b, IKEV2_NOTIFY_UPDATE_SA_ADDRESSES, (struct view){NULL, 0});
	ikev2_mobike_cookie_put(x, u->cookie);
	ike_count(sa->engine, IKE_REASON_MOBIKE_UPDATE_SENT);
	return IKE_DONE;
}

static void mapped_set(struct ike_mobike *m, const struct ike_message *in)
{
	const struct wire_notify *n =
		wire_notify_find(in, IKEV2_NOTIFY_NAT_DETECTION_DESTINATION_IP);
	if (!n || n->data.len != sizeof(m->mapped))
		return;
	memcpy(m->mapped, n->data.p, sizeof(m->mapped));
	m->mapped_known = true;
}

// The peer has moved its side.
static void agreed(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ike_mobike *m = sa->mobike;
	struct ike_datagram path = ike_sa_path(sa);
	ikev2_nat_detect(x, sa->spi_r, &path);
	mapped_set(m, &x->in);
	m->proven = sa->remote.addr;
	m->good = path;
	m->probing = false;
	ike_sa_keepalive(sa);
	ikev2_mobike_follow(sa);
}

// RFC 4555 3.5: "the initiator MAY select another addresses and retry the exchange, keep on using the
// previously used addresses, or disconnect".
static void refused(struct ike_sa *sa)
{
	ike_refused(sa->engine, sa, &sa->remote, IKE_REASON_MOBIKE_REFUSED);
	ikev2_mobike_path_set(sa, &sa->mobike->good);
	ikev2_mobike_follow(sa);
}

static enum ike_verdict update_response(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ike_mobike *m = sa->mobike;
	const struct update *u = x->state;
	if (!ikev2_mobike_cookie_back(x, u->cookie))
		return ike_fail_fatal(x, IKE_REASON_MOBIKE_COOKIE, 0);
	if (!m) // the IKE SA was rekeyed meanwhile: its successor asks for itself
		return IKE_DONE;
	m->updating = false;
	// "If an address change has occurred after the request was first sent, no MOBIKE processing is
	// done for the reply message because a new UPDATE_SA_ADDRESSES is going to be sent".
	if (u->generation != m->generation)
		ikev2_mobike_update(sa);
	else if (wire_notify_error(&x->in))
		refused(sa);
	else
		agreed(x);
	return IKE_DONE;
}

static void update_failed(struct ike_sa *sa, struct ike_task *t)
{
	if (sa->mobike)
		sa->mobike->updating = false;
}

void ikev2_mobike_update(struct ike_sa *sa)
{
	struct ike_task t = {.name = "update of addresses",
		.type = IKEV2_EXCHANGE_INFORMATIONAL,
		.build = update_build,
		.response = update_response,
		.failed = update_failed,
		.first = true,
		.probe = true};
	if (!sa->mobike->updating)
		sa->mobike->updating = ike_task_add(sa, &t) == 0;
}

bool ikev2_mobike_update_under_way(const struct ike_sa *sa)
{
	const struct ike_exchange *x = sa->out_progress;
	return x && x->task && x->task->build == update_build;
}

// Traffic follows at once where the peer's address stays; another one has to answer first.
void ikev2_mobike_go(struct ike_sa *sa, const struct ike_datagram *path, bool resend)
{
	struct ike_mobike *m = sa->mobike;
	ikev2_mobike_path_set(sa, path);
	m->generation++;
	m->mapped_known = false;
	m->probing = false;
	m->seen.remote.addr.family = 0;
	if (ip_eq(&m->proven, &sa->remote.addr))
		ikev2_mobike_follow(sa);
	ikev2_mobike_update(sa);
	if (resend)
		ike_request_again(sa);
}

// ---- the mapping in a NAT in front of us -------------------------------------------------------------

// RFC 4555 3.8: "When the initiator is behind a NAT [...] it SHOULD include these notifications in DPD
// messages". A responder's probes stay empty: there are peers that do not answer others.
void ikev2_mobike_probe_put(struct ike_exchange *x)
{
	struct ike_datagram path = ike_sa_path(x->sa);
	if (x->sa->mobike && x->sa->mobike->initiator && x->sa->nat_local &&
		!ikev2_nat_put(x, x->sa->spi_r, &path))
		ike_count(x->sa->engine, IKE_REASON_CRYPTO);
}

// "and compare the received NAT_DETECTION_DESTINATION_IP notifications with the value from the previous
// UPDATE_SA_ADDRESSES response". Without one, or after a rekeying whose SPIs are in the hash, one more
// update does no harm.
void ikev2_mobike_probe_read(struct ike_exchange *x)
{
	struct ike_mobike *m = x->sa->mobike;
	const struct wire_notify *n =
		wire_notify_find(&x->in, IKEV2_NOTIFY_NAT_DETECTION_DESTINATION_IP);
	if (!m || !m->initiator || !n || n->data.len != sizeof(m->mapped))
		return;
	if (m->mapped_known && memcmp(m->mapped, n->data.p, sizeof(m->mapped)) == 0)
		return;
	mapped_set(m, &x->in);
	ikev2_mobike_update(x->sa);
}

// ---- other paths -------------------------------------------------------------------------------------

// Our outside addresses one after another; false past the last.
static bool local_at(const struct ike_sa *sa, size_t i, struct ike_datagram *path)
{
	const struct cfg *cfg = sa->engine->p.cfg;
	for (size_t k = 0; k < cfg->port_count; k++) {
		const struct cfg_port *p = &cfg->ports[k];
		size_t n = p->role == CFG_OUTSIDE ? p->address_count : 0;
		if (i < n) {
			path->local = (struct endpoint){p->addresses[i].addr, sa->local.port};
			path->origin = (struct sa_origin){(uint16_t)k, sa->origin.worker};
			return true;
		}
		i -= n;
	}
	return false;
}

static struct endpoint peer_at(const struct ike_sa *sa, size_t i)
{
	const struct ip_addr *a = &sa->mobike->peers[i];
	uint16_t port = sa->floated ? IKE_NAT_T_PORT : IKE_PORT;
	if (ip_eq(a, &sa->remote.addr))
		port = sa->remote.port;
	else if (ip_eq(a, &sa->mobike->good.remote.addr))
		port = sa->mobike->good.remote.port;
	return (struct endpoint){*a, port};
}

static size_t local_count(const struct ike_sa *sa)
{
	struct ike_datagram unused;
	size_t n = 0;
	while (n < IKE_MOBIKE_ADDRESSES && local_at(sa, n, &unused))
		n++;
	return n;
}

// A response that comes by another path moves the session there (ikev2_mobike_heard()), and what it
// answers, an update among them, is then told anew.
// Some of the pairs at a time, each time others.
static void try_paths(struct ike_sa *sa)
{
	struct ike_mobike *m = sa->mobike;
	struct ike_datagram own = ike_sa_path(sa), path;
	size_t locals = local_count(sa), all = locals * m->peer_count;
	unsigned sent = 0;
	for (size_t k = 0; k < all && sent < IKE_MOBIKE_PATHS; k++) {
		size_t i = m->next_path++ % all;
		if (!local_at(sa, i % locals, &path))
			continue;
		path.remote = peer_at(sa, i / locals);
		if (path.local.addr.family != path.remote.addr.family ||
			ikev2_mobike_same_path(&path, &own))
			continue;
		ike_sent_send(sa->engine, sa->request, &path);
		sent++;
	}
	if (!sent)
		return;
	m->probing = true;
	ike_count(sa->engine, IKE_REASON_MOBIKE_PATHS);
}

void ikev2_mobike_resend(struct ike_sa *sa)
{
	struct ike_mobike *m = sa->mobike;
	// The answer to a check has to come from there alone.
	if (!m->initiator && m->seen.remote.addr.family && !ikev2_mobike_check_under_way(sa))
		ike_sent_send(sa->engine, sa->request, &m->seen);
	if (m->initiator && !sa->conn->responder_only && sa->request_tries >= IKE_MOBIKE_PATIENCE)
		try_paths(sa);
}

// ---- by order ----------------------------------------------------------------------------------------

// The peer's address for one of ours: the present one, or another of that family.
static bool peer_for(const struct ike_sa *sa, uint8_t family, struct endpoint *out)
{
	*out = sa->remote;
	for (uint8_t i = 0; i < sa->mobike->peer_count && out->addr.family != family; i++)
		*out = peer_at(sa, i);
	return out->addr.family == family;
}

static int move_session(
	struct ike_session *s, const struct sa_origin *origin, const struct endpoint *local)
{
	struct ike_sa *sa = s->sa;
	struct ike_datagram path = {.local = *local, .origin = *origin};
	if (!sa->mobike || !sa->mobike->initiator)
		return -ENOTSUP;
	if (!ike_may_begin(s))
		return -EPERM;
	if (sa->state != IKE_SA_ESTABLISHED)
		return -EBUSY;
	if (!peer_for(sa, local->addr.family, &path.remote))
		return -ENOTSUP;
	// RFC 4555 3.3: one port for all paths, so that a NAT on any of them does no harm.
	path.local.port = sa->local.port;
	ikev2_mobike_go(sa, &path, true);
	return 0;
}

int ike_move(struct ike_engine *e, uint64_t session, const struct sa_origin *origin,
	const struct endpoint *local)
{
	ike_enter(e);
	struct ike_session *s = ike_session_by_id(e, session);
	int rc = s ? move_session(s, origin, local) : -ENOENT;
	ike_leave(e);
	return rc;
}

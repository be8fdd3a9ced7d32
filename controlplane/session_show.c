// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Sessions as the outside sees them: the walk in order of ids, and what may be asked of each.
#include "controlplane/ikev1/ikev1.h"

#include "controlplane/ikev2/mobike.h"

#include <errno.h>

// Quick mode does not say that it replaces a child SA: the child SAs do.
static bool replaces_child(const struct ike_session *s)
{
	const struct ike_child *c;
	LIST_FOREACH (c, &s->children, link)
		if (c->rekeying || c->replaced)
			return true;
	return false;
}

static bool rekeying(const struct ike_session *s)
{
	const struct ike_exchange *in = s->sa->in_progress, *out = s->sa->out_progress;
	if (s->sa->version == IKE_MAJOR_1)
		return replaces_child(s);
	return (out && out->type == IKEV2_EXCHANGE_CREATE_CHILD_SA) ||
	       (in && in->type == IKEV2_EXCHANGE_CREATE_CHILD_SA);
}

static enum ike_session_state state_of(const struct ike_session *s)
{
	if (s->closing || s->sa->state == IKE_SA_DELETING)
		return IKE_SESSION_DELETING;
	if (!s->established_ns)
		return IKE_SESSION_CONNECTING;
	if (s->sa->state == IKE_SA_EXPIRED)
		return IKE_SESSION_EXPIRED;
	return rekeying(s) ? IKE_SESSION_REKEYING : IKE_SESSION_ESTABLISHED;
}

static uint64_t due_ns(const struct wheel_timer *t)
{
	return t->set ? t->due_ms * NS_PER_MS : 0;
}

// Some IKEv1 peers run phase 1 again by themselves.
static uint64_t rekey_ns(const struct ike_sa *sa)
{
	return ikev1_is(sa) && !ikev1_reauth_is_ours(sa) ? 0 : due_ns(&sa->soft);
}

static uint16_t path_mtu(const struct ike_engine *e, uint32_t tunnel)
{
	const struct sa_sink *sink = e->p.sink;
	return tunnel == TUNNEL_NONE ? 0 : sink->tunnel_mtu(sink->ctx, tunnel);
}

static void show_child(const struct ike_child *c, struct ike_child_info *out)
{
	*out = (struct ike_child_info){
		.name = c->conf->name,
		.spi_in = c->spi_in,
		.spi_out = c->spi_out,
		.esp = c->suite,
		.mode = c->mode,
		.legacy = suite_legacy(&c->suite) != NULL,
		.ts_local = c->ts_local,
		.ts_remote = c->ts_remote,
		.ts_local_count = c->ts_local_count,
		.ts_remote_count = c->ts_remote_count,
		.installed_ns = c->installed_ns,
		.rekey_ns = due_ns(&c->soft),
		.expires_ns = due_ns(&c->hard),
		.worker = c->worker,
		.path_mtu = path_mtu(c->engine, c->tunnel),
	};
	ike_child_counters(c, &out->in, &out->out);
}

static void show_traffic(const struct ike_session *s, struct ike_session_info *out)
{
	const struct ike_child *c;
	out->bytes_in = s->bytes_in;
	out->bytes_out = s->bytes_out;
	out->packets_in = s->packets_in;
	out->packets_out = s->packets_out;
	out->policed_in = s->policed_in;
	out->policed_out = s->policed_out;
	out->used_ns = ike_session_used(s);
	LIST_FOREACH (c, &s->children, link) {
		struct ike_child_info info;
		show_child(c, &info);
		out->bytes_in += info.in.bytes - c->counted_bytes[SA_IN];
		out->bytes_out += info.out.bytes - c->counted_bytes[SA_OUT];
		out->packets_in += info.in.packets - c->counted_packets[SA_IN];
		out->packets_out += info.out.packets - c->counted_packets[SA_OUT];
		out->policed_in += info.in.policed - c->counted_policed[SA_IN];
		out->policed_out += info.out.policed - c->counted_policed[SA_OUT];
		if (out->child_count < IKE_CHILDREN_SHOWN)
			out->children[out->child_count++] = info;
	}
}

// IKEv2's CP is asked for by the client.
static const char *mode_config_of(const struct ike_session *s)
{
	if (s->mode_config)
		return s->mode_config;
	return s->lease_count || s->assigned_count ? "pull" : "none";
}

static void show_inner(struct ip_prefix p, struct ike_session_info *out)
{
	if (out->inner_count == IKE_LEASES_MAX)
		return;
	out->inner_bits[out->inner_count] = p.bits;
	out->inner[out->inner_count++] = p.addr;
}

static void show(const struct ike_session *s, struct ike_session_info *out)
{
	memset(out, 0, sizeof(*out));
	out->id = s->id;
	out->connection = s->conn->name;
	out->ike_version = s->sa->version;
	out->state = state_of(s);
	out->remote_id = s->identity_text ? s->identity_text : "";
	out->user = s->user ? s->user : "";
	out->group = s->group ? s->group : "";
	out->groups = s->groups;
	out->mode_config = mode_config_of(s);
	out->local = s->sa->local;
	out->remote = s->sa->mobike ? ikev2_mobike_remote(s->sa) : s->sa->remote;
	out->nat = s->sa->nat_local || s->sa->nat_remote;
	for (uint8_t i = 0; i < s->lease_count; i++)
		show_inner(ike_lease_prefix(&s->leases[i]), out);
	for (uint8_t i = 0; i < s->assigned_count; i++)
		show_inner(ike_session_assigned(s, i), out);
	out->worker = s->worker;
	out->established_ns = s->established_ns;
	out->initiator = s->initiator;
	out->responder_only = s->conn->responder_only;
	out->mobike = s->sa->mobike;
	out->rekey_ns = rekey_ns(s->sa);
	out->reauth_ns = s->sa->reauth_ns;
	out->expires_ns = due_ns(&s->sa->life);
	if (out->state != IKE_SESSION_EXPIRED) {
		out->spi_i = s->sa->spi_i;
		out->spi_r = s->sa->spi_r;
	}
	out->ike = s->sa->suite;
	out->legacy = suite_legacy(&s->sa->suite) != NULL;
	out->path_mtu = path_mtu(s->engine, s->tunnel);
	show_traffic(s, out);
}

static size_t first_above(const struct ike_engine *e, uint64_t after)
{
	size_t lo = 0, hi = e->order_len;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2, k = mid;
		while (k < hi && !e->order[k])
			k++;
		if (k == hi)
			hi = mid;
		else if (e->order[k]->id > after)
			hi = mid;
		else
			lo = k + 1;
	}
	return lo;
}

size_t ike_session_first(struct ike_engine *e, uint64_t after)
{
	struct ike_session *s = after ? ike_session_by_id(e, after) : NULL;
	return s ? s->order + 1 : first_above(e, after);
}

bool ike_session_next(struct ike_engine *e, uint64_t after, struct ike_session_info *out)
{
	size_t i = ike_session_first(e, after);
	while (i < e->order_len && !e->order[i])
		i++;
	if (i >= e->order_len)
		return false;
	show(e->order[i], out);
	return true;
}

bool ike_session_get(struct ike_engine *e, uint64_t id, struct ike_session_info *out)
{
	struct ike_session *s = ike_session_by_id(e, id);
	if (s)
		show(s, out);
	return s != NULL;
}

// ---- what may be asked -----------------------------------------------------------------------

// Why nothing of ours may begin.
static int may_not(const struct ike_session *s)
{
	return s->conn->responder_only ? -EPERM : -EBUSY; // it is about to end
}

int ike_rekey_ike(struct ike_engine *e, uint64_t session)
{
	ike_enter(e);
	struct ike_session *s = ike_session_by_id(e, session);
	int rc = !s ? -ENOENT : ike_may_begin(s) ? ike_sa_rekey(s->sa) : may_not(s);
	ike_leave(e);
	return rc;
}

int ike_reauthenticate(struct ike_engine *e, uint64_t session)
{
	ike_enter(e);
	struct ike_session *s = ike_session_by_id(e, session);
	int rc = !s ? -ENOENT : ike_may_begin(s) ? ike_sa_reauthenticate(s->sa) : may_not(s);
	ike_leave(e);
	return rc;
}

static struct ike_child *find_child(struct ike_engine *e, uint64_t session, uint32_t spi)
{
	struct ike_child *c = ike_child_by_spi_in(e, spi);
	return c && c->joined && c->session && c->session->id == session ? c : NULL;
}

int ike_rekey_child(struct ike_engine *e, uint64_t session, uint32_t child)
{
	ike_enter(e);
	struct ike_child *c = find_child(e, session, child);
	int rc = !c                          ? -ENOENT
		 : ike_may_begin(c->session) ? ike_child_rekey(c)
					     : may_not(c->session);
	ike_leave(e);
	return rc;
}

int ike_delete_child(struct ike_engine *e, uint64_t session, uint32_t child)
{
	ike_enter(e);
	struct ike_child *c = find_child(e, session, child);
	int rc = c ? ike_child_delete(c) : -ENOENT;
	ike_leave(e);
	return rc == -EALREADY ? -EBUSY : rc;
}

static const struct cfg_child *child_named(const struct ike_session *s, const char *name)
{
	for (size_t i = 0; i < s->conn->child_count; i++)
		if (strcmp(s->conn->children[i].name, name) == 0)
			return &s->conn->children[i];
	return NULL;
}

int ike_add_child(struct ike_engine *e, uint64_t session, const char *child_name)
{
	ike_enter(e);
	struct ike_session *s = ike_session_by_id(e, session);
	const struct cfg_child *conf = s ? child_named(s, child_name) : NULL;
	int rc = !conf ? -ENOENT : ike_may_begin(s) ? ike_child_add(s->sa, conf) : may_not(s);
	ike_leave(e);
	return rc;
}

int ike_delete_session(struct ike_engine *e, uint64_t session)
{
	ike_enter(e);
	struct ike_session *s = ike_session_by_id(e, session);
	if (s)
		ike_session_end(s, 0);
	ike_leave(e);
	return s ? 0 : -ENOENT;
}

int ike_probe(struct ike_engine *e, uint64_t session)
{
	ike_enter(e);
	struct ike_session *s = ike_session_by_id(e, session);
	int rc = s ? ike_sa_probe(s->sa) : -ENOENT;
	ike_leave(e);
	return rc == -EALREADY ? -EBUSY : rc;
}

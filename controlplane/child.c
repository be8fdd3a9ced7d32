// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Child SAs towards the data plane: SPI, tunnel, SAs, routes, counters and their end.
#include "controlplane/ikev1/ikev1.h"
#include "controlplane/ikev2/resource.h"
#include "controlplane/starter.h"

#include <stdlib.h>

LOG_SUBSYSTEM("child");

#define EXPIRED_END_S 1

_Static_assert(TUNNEL_NONE == 0, "a zeroed child has no tunnel");

static uint64_t spi_hash(const struct ike_engine *e, uint32_t spi)
{
	return siphash(e->hash_key, &spi, sizeof(spi));
}

struct ike_child *ike_child_by_spi_in(struct ike_engine *e, uint32_t spi)
{
	struct htab_node *n = htab_first(&e->children_by_spi, spi_hash(e, spi));
	for (; n; n = htab_next(n)) {
		struct ike_child *c = container_of(n, struct ike_child, by_spi);
		if (c->spi_in == spi)
			return c;
	}
	return NULL;
}

struct ike_child *ike_child_by_spi_out(struct ike_session *s, uint32_t spi)
{
	struct ike_child *c;
	LIST_FOREACH (c, &s->children, link)
		if (c->spi_out == spi)
			return c;
	return NULL;
}

uint16_t ike_children_live(const struct ike_session *s)
{
	const struct ike_child *c;
	uint16_t n = 0;
	LIST_FOREACH (c, &s->children, link)
		n += c->state != IKE_CHILD_REKEYED && c->state != IKE_CHILD_DELETING &&
		     !c->replaced;
	return n;
}

// Port 4500 alone says nothing: a peer with MOBIKE goes there without a NAT, and its kernel takes no
// encapsulated packets then (RFC 7296 2.23).
static enum sa_encap encap_of(const struct ike_sa *sa)
{
	if (!sa->nat_local && !sa->nat_remote)
		return SA_ENCAP_NONE;
	return ikev1_is(sa) && sa->v1->natt == IKEV1_NATT_DRAFT_00 ? SA_ENCAP_UDP_MARKER
								   : SA_ENCAP_UDP;
}

struct tunnel_path ike_path(const struct ike_sa *sa)
{
	return (struct tunnel_path){
		.local = sa->local,
		.remote = sa->remote,
		.encap = encap_of(sa),
		.port = sa->origin.port,
	};
}

bool ike_child_rate_exceeded(struct ike_session *s)
{
	uint64_t now = s->engine->now_ns;
	if (s->rekey_count == 0 || now - s->rekey_window_ns > IKE_REKEY_WINDOW_S * NS_PER_S) {
		s->rekey_window_ns = now;
		s->rekey_count = 0;
	}
	return ++s->rekey_count > IKE_REKEY_BURST + ike_children_max(s) - IKE_CHILDREN_MAX;
}

bool ike_per_resource(const struct cfg_connection *conn)
{
	for (size_t i = 0; i < conn->child_count; i++)
		if (conn->children[i].per_resource)
			return true;
	return false;
}

uint16_t ike_children_max(const struct ike_session *s)
{
	return ike_per_resource(s->conn) ? IKE_CHILDREN_MAX + IKE_RESOURCES_MAX : IKE_CHILDREN_MAX;
}

// ---- making ----------------------------------------------------------------------------------

struct ike_child *ike_child_new(struct ike_session *s, enum ike_reason *why)
{
	return ike_child_new_on(s, s->worker, why);
}

struct ike_child *ike_child_new_on(struct ike_session *s, uint16_t worker, enum ike_reason *why)
{
	struct ike_engine *e = s->engine;
	const struct sa_sink *sink = e->p.sink;
	struct tunnel_path path = ike_path(s->sa);
	struct ike_child *c = calloc(1, sizeof(*c));
	if (!c) {
		*why = IKE_REASON_NO_MEMORY;
		return NULL;
	}
	if (sink->spi_reserve(sink->ctx, worker, &path, &c->spi_in) < 0) {
		*why = IKE_REASON_SPI_EXHAUSTED;
		free(c);
		return NULL;
	}
	c->engine = e;
	c->session = s;
	c->session_id = s->id;
	c->worker = worker;
	c->spi_held = true;
	htab_insert(&e->children_by_spi, &c->by_spi, spi_hash(e, c->spi_in));
	e->child_count++;
	*why = IKE_REASON_NONE;
	return c;
}

void ike_child_set(struct ike_child *c, const struct ike_child_plan *plan, uint32_t spi_out)
{
	c->conf = plan->conf;
	c->suite = plan->choice.suite;
	c->spi_out = spi_out;
	memcpy(c->ts_local, plan->ts_local, sizeof(c->ts_local));
	memcpy(c->ts_remote, plan->ts_remote, sizeof(c->ts_remote));
	c->ts_local_count = plan->ts_local_count;
	c->ts_remote_count = plan->ts_remote_count;
	c->mode = plan->mode;
	c->seen = plan->seen;
}

struct tunnel_spec ike_tunnel_spec(const struct cfg_connection *conn, const struct cfg_child *conf)
{
	return (struct tunnel_spec){
		.df = conf->df == CFG_DF_SET     ? SA_DF_SET
		      : conf->df == CFG_DF_CLEAR ? SA_DF_CLEAR
						 : SA_DF_COPY,
		.reverse_path = conn->tunnel_interface,
		.hold = conn->initiate != CFG_INITIATE_NONE,
		.per_worker = ike_per_resource(conn),
		.treat = ike_treatment(conn, conf),
	};
}

static enum ike_reason tunnel_ensure(struct ike_session *s, const struct cfg_child *conf)
{
	const struct sa_sink *sink = s->engine->p.sink;
	if (s->tunnel != TUNNEL_NONE || ike_starter_tunnel_take(s))
		return IKE_REASON_NONE;
	struct tunnel_spec spec = ike_tunnel_spec(s->conn, conf);
	spec.worker = s->worker;
	spec.path = ike_path(s->sa);
	spec.session = ike_tunnel_owner(s);
	if (sink->tunnel_add(sink->ctx, &spec, &s->tunnel) == 0)
		return IKE_REASON_NONE;
	s->tunnel = TUNNEL_NONE;
	return IKE_REASON_SA_REFUSED;
}

// Unless one is given, a quarter behind the soft one.
static uint64_t hard_limit(uint64_t hard, uint64_t soft)
{
	if (hard)
		return hard;
	return soft && soft < UINT64_MAX / 2 ? soft + soft / 4 + 1 : 0;
}

uint64_t ike_child_hard_bytes(const struct ike_child *c)
{
	const struct cfg_lifetime *life = &c->session->conn->lifetime;
	return hard_limit(life->child_hard_bytes, life->child_rekey_bytes);
}

static bool is_leased(const struct ike_session *s, const struct ip_range *r)
{
	for (uint8_t i = 0; i < s->lease_count; i++) {
		struct ip_prefix p = ike_lease_prefix(&s->leases[i]);
		if (ip_prefix_contains(&p, &r->lo) && ip_prefix_contains(&p, &r->hi))
			return true;
	}
	return false;
}

// The peer's addresses that its packets may have: its leases, and what else was agreed on, less the
// pools. A lease may have come or gone since the selectors were agreed on.
static bool allowed_remote(const struct ike_child *c, struct wire_ts *out)
{
	out->count = 0;
	for (uint8_t i = 0; i < c->ts_remote_count; i++) {
		struct wire_ts left = {.items = {c->ts_remote[i]}, .count = 1};
		// A tunnel interface has the reverse path instead.
		if (!c->session->conn->tunnel_interface &&
			!is_leased(c->session, &c->ts_remote[i].range) &&
			!ike_selectors_without_pools(
				c->engine->p.cfg, &c->ts_remote[i], 1, left.items, &left.count))
			return false;
		if (left.count > SA_SELECTORS_MAX - out->count)
			return false;
		memcpy(out->items + out->count, left.items, left.count * sizeof(left.items[0]));
		out->count += left.count;
	}
	return true;
}

static uint64_t lesser(uint64_t a, uint64_t b) // 0: none
{
	return a && (!b || a < b) ? a : b;
}

static int add_sa(struct ike_child *c, enum sa_dir dir, const struct ike_esp_keys *keys,
	const struct wire_ts *allowed)
{
	const struct sa_sink *sink = c->engine->p.sink;
	const struct cfg_lifetime *life = &c->session->conn->lifetime;
	struct sa_spec spec = {
		.tunnel = c->tunnel,
		.child = c->spi_in,
		.spi = dir == SA_IN ? c->spi_in : c->spi_out,
		.dir = dir,
		.mode = c->mode,
		.peer_source = c->seen.peer,
		.peer_destination = c->seen.own,
		.encr = c->suite.encr,
		.integ = c->suite.integ,
		.esn = c->suite.esn,
		.encr_key_len = keys->encr_len,
		.integ_key_len = keys->integ_len,
		.tfc = dir == SA_OUT && !c->no_tfc ? c->conf->tfc : 0,
		.replay_window = dir == SA_IN ? c->conf->replay_window : 0,
		.soft_bytes = lesser(life->child_rekey_bytes, c->life_bytes / 10 * 9),
		.hard_bytes = lesser(ike_child_hard_bytes(c), c->life_bytes),
		.soft_packets = life->child_rekey_packets,
		.hard_packets = hard_limit(life->child_hard_packets, life->child_rekey_packets),
		.ts_local_count = c->ts_local_count,
		.ts_remote_count = allowed->count,
	};
	memcpy(spec.encr_key, keys->encr, keys->encr_len);
	memcpy(spec.integ_key, keys->integ, keys->integ_len);
	memcpy(spec.ts_local, c->ts_local, sizeof(spec.ts_local));
	memcpy(spec.ts_remote, allowed->items, sizeof(spec.ts_remote));
	int rc = sink->sa_add(sink->ctx, &spec);
	secret_wipe(&spec, sizeof(spec));
	if (rc == 0)
		c->installed |= (uint8_t)(1u << dir);
	return rc;
}

// Both directions' keys, by who sends.
struct child_keys {
	struct ike_esp_keys ours, peers;
};

static enum ike_crypto_error keys_of_ikev2(const struct ike_child *c,
	const struct ike_child_terms *t, bool i_am_initiator, struct child_keys *out)
{
	const struct ike_sa *sa = c->session->sa;
	struct ike_child_keymat keys;
	struct ike_child_input in = {
		.prf = sa->suite.prf,
		.sk_d = sa->keys.sk_d,
		.shared = t->shared,
		.ni = t->nonce_i,
		.nr = t->nonce_r,
		.esp = &c->suite,
	};
	enum ike_crypto_error err = ike_child_keys(&in, &keys);
	if (err == IKE_CRYPTO_OK) {
		out->ours = i_am_initiator ? keys.i_to_r : keys.r_to_i;
		out->peers = i_am_initiator ? keys.r_to_i : keys.i_to_r;
	}
	secret_wipe(&keys, sizeof(keys));
	return err;
}

// RFC 2409 5.5: "each SA [...] one for each direction [...] the SPI chosen by the recipient".
static enum ike_crypto_error keys_of_ikev1(
	const struct ike_child *c, const struct ike_child_terms *t, struct child_keys *out)
{
	const struct ike_sa *sa = t->by;
	struct ikev1_child_input in = {
		.prf = sa->suite.prf,
		.skeyid_d = sa->v1->keys.skeyid_d,
		.shared = t->shared,
		.spi = c->spi_in,
		.ni = t->nonce_i,
		.nr = t->nonce_r,
		.esp = &c->suite,
	};
	enum ike_crypto_error err = ikev1_child_keys(&in, &out->peers);
	in.spi = c->spi_out;
	return err == IKE_CRYPTO_OK ? ikev1_child_keys(&in, &out->ours) : err;
}

static enum ike_reason add_sas(
	struct ike_child *c, const struct ike_child_terms *t, bool i_am_initiator)
{
	struct child_keys keys;
	struct wire_ts allowed;
	if (!allowed_remote(c, &allowed))
		return IKE_REASON_TS_POOL;
	enum ike_reason why = IKE_REASON_CRYPTO;
	enum ike_crypto_error err = ikev1_is(c->session->sa)
					    ? keys_of_ikev1(c, t, &keys)
					    : keys_of_ikev2(c, t, i_am_initiator, &keys);
	if (err == IKE_CRYPTO_OK) {
		why = IKE_REASON_SA_REFUSED;
		if (add_sa(c, SA_IN, &keys.peers, &allowed) == 0) {
			c->spi_held = false;
			if (add_sa(c, SA_OUT, &keys.ours, &allowed) == 0)
				why = IKE_REASON_NONE;
		}
	}
	secret_wipe(&keys, sizeof(keys));
	return why;
}

// One that was made before the lease came has destinations of its own, and so have those that rekey it.
static bool all_leased(const struct ike_child *c)
{
	for (uint8_t i = 0; i < c->ts_remote_count; i++)
		if (!is_leased(c->session, &c->ts_remote[i].range))
			return false;
	return c->ts_remote_count > 0;
}

static enum ike_reason add_routes(struct ike_child *c)
{
	struct ike_session *s = c->session;
	enum ike_reason why;
	if (s->conn->tunnel_interface) {
		why = ike_tunnel_routes(s);
		return why == IKE_REASON_NONE ? ike_lease_routes(s) : why;
	}
	why = s->lease_count ? ike_lease_routes(s) : IKE_REASON_NONE;
	if (why != IKE_REASON_NONE || all_leased(c))
		return why;
	struct ip_prefix own[IKE_ROUTES_MAX];
	uint8_t n = 0;
	if (!ike_selectors_prefixes(c->ts_remote, c->ts_remote_count, own, &n))
		return IKE_REASON_ROUTE_LIMIT;
	for (; c->routes_held < n; c->routes_held++) {
		why = ike_route_get(s, &own[c->routes_held]);
		if (why != IKE_REASON_NONE)
			return why;
	}
	return IKE_REASON_NONE;
}

enum ike_reason ike_child_install(
	struct ike_child *c, const struct ike_child_terms *t, bool i_am_initiator)
{
	enum ike_reason why = tunnel_ensure(c->session, c->conf);
	if (why != IKE_REASON_NONE)
		return why;
	c->tunnel = c->session->tunnel;
	c->no_tfc = t->no_tfc;
	c->state = IKE_CHILD_INSTALLING;
	// What the peer sends at once is compared with them.
	why = add_routes(c);
	return why == IKE_REASON_NONE ? add_sas(c, t, i_am_initiator) : why;
}

void ike_child_expired(struct ike_child *c)
{
	ike_count(c->engine, IKE_REASON_CHILD_HARD_LIMIT);
	(void)ike_child_delete(c);
}

static void hard_fire(struct wheel_timer *t, void *arg)
{
	ike_child_expired(arg);
}

void ike_child_join(struct ike_child *c, struct ike_child *replaced)
{
	struct ike_session *s = c->session;
	struct ike_engine *e = c->engine;
	c->joined_ns = e->now_ns;
	char suite[SUITE_TEXT_MAX], local[SELECTOR_TEXT_MAX], remote[SELECTOR_TEXT_MAX];
	LIST_INSERT_HEAD(&s->children, c, link);
	s->child_count++;
	c->joined = true;
	c->replaced = replaced;
	ike_count(e, replaced ? IKE_REASON_CHILD_REKEYED : IKE_REASON_CHILD_CREATED);
	uint64_t life_s = lesser(s->conn->lifetime.child_hard_s, c->life_s);
	if (life_s)
		wheel_set(&e->wheel, &c->hard, e->now_ns + life_s * NS_PER_S, hard_fire, c);
	ike_child_soft_start(c);
	log_notice("%llu: child \"%s\" %08x_%08x %s %s === %s%s%s", (unsigned long long)s->id,
		c->conf->name, c->spi_in, c->spi_out, suite_text(&c->suite, suite),
		selector_text(&c->ts_local[0], local), selector_text(&c->ts_remote[0], remote),
		c->mode == SA_TRANSPORT ? ", transport mode" : "", replaced ? ", rekeyed" : "");
}

void ike_child_shorten(struct ike_child *c, uint64_t life_s)
{
	struct ike_engine *e = c->engine;
	uint64_t now_s = c->installed_ns ? (e->now_ns - c->installed_ns) / NS_PER_S : 0;
	if (c->state == IKE_CHILD_REKEYED || !life_s || life_s > UINT32_MAX ||
		(c->life_s && c->life_s <= life_s))
		return;
	c->life_s = (uint32_t)life_s;
	if (!c->rekeying && c->soft.set)
		ike_child_soft_start(c);
	if (lesser(c->session->conn->lifetime.child_hard_s, life_s) == life_s)
		wheel_set(&e->wheel, &c->hard,
			e->now_ns + (life_s > now_s ? life_s - now_s : 0) * NS_PER_S, hard_fire, c);
}

void ike_child_limit(struct ike_child *c, uint32_t life_s)
{
	struct ike_engine *e = c->engine;
	if (!c->hard.set)
		wheel_set(&e->wheel, &c->hard, e->now_ns + life_s * NS_PER_S, hard_fire, c);
}

static void rekeyed_fire(struct wheel_timer *t, void *arg)
{
	(void)ike_child_delete(arg);
}

// RFC 7296 2.8: the initiator of the rekeying deletes the old one, but not every peer does.
static void set_rekeyed(struct ike_child *old)
{
	struct ike_engine *e = old->engine;
	old->superseded = true;
	if (old->state == IKE_CHILD_DELETING || old->state == IKE_CHILD_REKEYED)
		return;
	old->state = IKE_CHILD_REKEYED;
	ike_child_soft_stop(old);
	wheel_set(&e->wheel, &old->hard, e->now_ns + IKE_REKEYED_GRACE_S * NS_PER_S, rekeyed_fire,
		old);
}

void ike_child_redundant(struct ike_child *c)
{
	c->replaced = NULL;
	set_rekeyed(c);
}

const struct ike_child *ike_child_successor(const struct ike_child *c)
{
	const struct ike_child *o;
	LIST_FOREACH (o, &c->session->children, link)
		if (o->replaced == c)
			return o;
	return NULL;
}

void ike_child_switch(struct ike_child *c)
{
	const struct sa_sink *sink = c->engine->p.sink;
	struct ike_child *old = c->replaced;
	sink->sa_switch(sink->ctx, c->spi_in);
	c->replaced = NULL;
	if (c->state != IKE_CHILD_DELETING)
		c->state = IKE_CHILD_ACTIVE;
	if (c->installed_ns)
		ike_routes_take(c->session, false);
	if (ikev1_is(c->session->sa)) {
		ikev1_child_switched(c, old);
		return;
	}
	if (old)
		set_rekeyed(old);
	if (old && c->ours)
		(void)ike_child_delete(old); // without memory its grace ends it
}

// ---- ending ----------------------------------------------------------------------------------

static void child_free(struct ike_child *c)
{
	struct ike_engine *e = c->engine;
	htab_remove(&e->children_by_spi, &c->by_spi);
	if (!c->lingering)
		e->child_count--;
	free(c);
}

// Out of its session: whoever replaces it takes over now.
static void leave_session(struct ike_child *c)
{
	struct ike_session *s = c->session;
	struct ike_child *o;
	struct sa_counters in, out;
	LIST_REMOVE(c, link);
	s->child_count--;
	bool taken = false;
	LIST_FOREACH (o, &s->children, link) {
		if (o->replaced != c)
			continue;
		o->replaced = NULL; // nothing is left to be marked or timed
		// The youngest: the peer has tried again, and may know nothing of the others.
		if (taken && !ikev1_is(s->sa))
			ike_child_redundant(o);
		if (taken)
			continue;
		taken = true;
		c->superseded = !ikev1_is(s->sa);
		// IKEv1's third message, or ESP, says that the peer has it; a copy of an old first one
		// is never followed by it.
		if (ikev1_is(s->sa) && !o->settle.set)
			continue;
		if (o->state == IKE_CHILD_READY)
			ike_child_switch(o);
		else
			o->switch_at_install = true;
	}
	ike_resources_watch(s);
	ike_starter_child_gone(s);
	ike_child_counters(c, &in, &out);
	ike_traffic_count(c, s, SA_IN, &in);
	ike_traffic_count(c, s, SA_OUT, &out);
	if (ikev1_is(s->sa))
		ikev1_child_left(s, c);
	// Without an ISAKMP SA nobody can make another one. Not at once: others are at work on it.
	if (s->child_count == 0 && s->sa->state == IKE_SA_EXPIRED && !s->closing)
		ike_session_end(s, EXPIRED_END_S);
}

static void child_end(struct ike_child *c, bool may_linger)
{
	struct ike_engine *e = c->engine;
	struct ike_session *s = c->session;
	const struct sa_sink *sink = e->p.sink;
	struct ip_prefix own[IKE_ROUTES_MAX];
	uint8_t n;
	if (c->state == IKE_CHILD_GONE)
		return;
	wheel_cancel(&e->wheel, &c->hard);
	wheel_cancel(&e->wheel, &c->settle);
	ike_child_soft_stop(c);
	if (c->joined)
		leave_session(c);
	if (c->routes_held && ike_selectors_prefixes(c->ts_remote, c->ts_remote_count, own, &n))
		while (c->routes_held > 0)
			ike_route_put(c->session, &own[--c->routes_held]);
	c->state = IKE_CHILD_GONE;
	c->session = NULL;
	if (c->spi_held)
		sink->spi_release(sink->ctx, c->spi_in);
	if (!c->installed) {
		child_free(c);
		return;
	}
	uint32_t spi = c->spi_in;
	uint8_t installed = c->installed;
	if (may_linger && c->superseded && ike_child_linger(c, s))
		installed &= (uint8_t) ~(1u << SA_IN);
	for (enum sa_dir dir = SA_IN; dir <= SA_OUT; dir++)
		if (installed & 1u << dir)
			sink->sa_del(sink->ctx, spi, dir);
}

void ike_child_drop(struct ike_child *c)
{
	child_end(c, false);
}

void ike_child_retire(struct ike_child *c)
{
	child_end(c, true);
}

void ike_child_returned(struct ike_child *c, const struct sa_event *ev)
{
	struct ike_session *s = ike_session_by_id(c->engine, c->session_id);
	if (s)
		ike_traffic_count(c, s, ev->dir, &ev->counters);
	c->installed &= (uint8_t) ~(1u << ev->dir);
	if (!c->installed && c->state == IKE_CHILD_GONE)
		child_free(c);
}

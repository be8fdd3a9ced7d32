// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Access lists: a connection's rules of one family are one rte_acl context with four categories, a
// direction each, of packets whose ports show and of those whose do not.
#include "dataplane/policy.h"

#include "base/log.h"
#include "dataplane/fast.h"

#include <rte_acl.h>
#include <rte_errno.h>

#include <errno.h>
#include <stdlib.h>

LOG_SUBSYSTEM("policy");

#define ENTRY_MEMORY 4096u // bytes that an entry takes, at most about that
#define MARK_APART   (1u << 31)
#define MARK_POLICY  0xffffu
#define FIELDS_V4    5
#define FIELDS_V6    11

// As rte_acl reads it: one byte first, then groups of four.
struct key_v4 {
	uint8_t proto, zero[3];
	uint8_t local[4], remote[4];
	uint8_t local_port[2], remote_port[2];
};
struct key_v6 {
	uint8_t proto, zero[3];
	uint8_t local[16], remote[16];
	uint8_t local_port[2], remote_port[2];
};

enum category {
	CAT_IN,
	CAT_OUT,
	CAT_IN_BLIND, // no ports: a later fragment, or cut off
	CAT_OUT_BLIND,
	CATEGORIES,
};
static_assert(CATEGORIES == RTE_ACL_RESULTS_MULTIPLIER, "as many as come at once");

struct acl_rule {
	struct rte_acl_rule_data data;
	struct rte_acl_field field[FIELDS_V6];
};

struct policy {
	struct rte_acl_ctx *acl[2]; // IPv4, IPv6; NULL: no rule
	bool bypass;
	bool borrowed; // acl: an earlier connection has the same rules
};

// Of connections that bypass, one of all that have the same rules.
struct clear {
	uint16_t connection;
	const struct cfg_connection *conf; // while the lists are made
};

struct dp_policies {
	// The rules that bypass, of all connections: the first one of clears that has one for a packet.
	struct rte_acl_ctx *acl[2];
	struct clear *clears; // by the connections' order
	size_t clear_count;
	size_t count;
	struct policy of[]; // by the connection's index
};

// ---- Making them ----

struct maker {
	struct rte_acl_ctx *ctx; // NULL: count alone
	uint8_t family;
	uint32_t result; // of the rules that bypass, which are the only ones; 0: the actions of all
	unsigned count;
	int32_t priority;
	int rc;
};

static void field_def(struct rte_acl_field_def *d, uint8_t type, uint8_t size, unsigned i,
	unsigned group, uint32_t offset)
{
	d[i] = (struct rte_acl_field_def){.type = type,
		.size = size,
		.field_index = (uint8_t)i,
		.input_index = (uint8_t)group,
		.offset = offset};
}

static struct rte_acl_config layout_of(uint8_t family)
{
	struct rte_acl_config c = {.num_categories = CATEGORIES};
	unsigned words = (unsigned)ip_len(family) / 4, i = 0;
	field_def(c.defs, RTE_ACL_FIELD_TYPE_BITMASK, 1, i++, 0, 0);
	for (unsigned k = 0; k < 2 * words; k++, i++)
		field_def(c.defs, RTE_ACL_FIELD_TYPE_MASK, 4, i, i, 4 * i);
	field_def(c.defs, RTE_ACL_FIELD_TYPE_RANGE, 2, i, i, 4 * i);
	field_def(c.defs, RTE_ACL_FIELD_TYPE_RANGE, 2, i + 1, i, 4 * i + 2);
	c.num_fields = i + 2;
	return c;
}

static struct rte_acl_field *put_prefix(struct rte_acl_field *f, const struct ip_prefix *p)
{
	unsigned words = (unsigned)ip_len(p->addr.family) / 4, bits = p->bits;
	for (unsigned i = 0; i < words; i++, f++) {
		unsigned here = RTE_MIN(bits, 32u);
		f->value.u32 = get_be32(p->addr.bytes + (size_t)4 * i);
		f->mask_range.u32 = here;
		bits -= here;
	}
	return f;
}

// One rule of the list. Of a family there are never more than the configuration's check allows.
static void add(struct maker *m, struct acl_rule *r, uint8_t proto, uint32_t categories)
{
	m->count++;
	if (!m->ctx || m->rc)
		return;
	r->field[0].value.u8 = proto;
	r->data.category_mask = categories;
	r->data.priority = m->priority;
	m->rc = rte_acl_add_rules(m->ctx, (const struct rte_acl_rule *)(const void *)r, 1);
}

static void set_ports(struct rte_acl_field *f, uint16_t lo, uint16_t hi)
{
	f->value.u16 = lo;
	f->mask_range.u16 = hi;
}

static bool any_port(const struct selector *s)
{
	return s->port_lo == 0 && s->port_hi == UINT16_MAX;
}

// What shows no ports is protected or let by only where ports make no difference, and discarded where
// they might: the datagram's first part could be. Behind IPv6 extension headers even the protocol of a
// later fragment may be hidden.
static void add_rule(struct maker *m, const struct cfg_rule *rule, const struct selector *local,
	const struct selector *remote, struct acl_rule *r, struct rte_acl_field *ports)
{
	static const uint8_t hidden[] = {
		IPV6_HOP_BY_HOP, IPV6_ROUTING, IPV6_FRAGMENT, IPV6_DST_OPTS};
	uint8_t proto = local->proto ? local->proto : remote->proto;
	uint32_t seen = (rule->direction & CFG_IN ? 1u << CAT_IN : 0) |
			(rule->direction & CFG_OUT ? 1u << CAT_OUT : 0);
	uint32_t blind = seen << CAT_IN_BLIND;
	bool discard = rule->action == CFG_DISCARD, open = any_port(local) && any_port(remote);
	r->field[0].mask_range.u8 = proto ? 0xff : 0;
	r->data.userdata = m->result ? m->result : (uint32_t)rule->action + 1;
	set_ports(&ports[0], local->port_lo, local->port_hi);
	set_ports(&ports[1], remote->port_lo, remote->port_hi);
	add(m, r, proto, open ? seen | blind : seen);
	set_ports(&ports[0], 0, UINT16_MAX);
	set_ports(&ports[1], 0, UINT16_MAX);
	if (discard && !open)
		add(m, r, proto, blind);
	for (size_t i = 0; i < RTE_DIM(hidden) && discard && proto && m->family == IP_V6; i++) {
		r->field[0].mask_range.u8 = 0xff;
		add(m, r, hidden[i], blind);
	}
}

static void add_pair(struct maker *m, const struct cfg_rule *rule, const struct selector *local,
	const struct selector *remote)
{
	struct acl_rule r = {0};
	struct ip_prefix a, b;
	if (local->proto && remote->proto && local->proto != remote->proto)
		return;
	struct ip_range left = local->range;
	for (bool more = true; more;) {
		more = ip_range_cut(&left, &a);
		struct rte_acl_field *next = put_prefix(&r.field[1], &a);
		struct ip_range right = remote->range;
		for (bool again = true; again;) {
			again = ip_range_cut(&right, &b);
			add_rule(m, rule, local, remote, &r, put_prefix(next, &b));
		}
	}
}

static struct selector any_of(uint8_t family)
{
	struct selector s = {.port_hi = UINT16_MAX};
	s.range.lo.family = s.range.hi.family = family;
	memset(s.range.hi.bytes, 0xff, ip_len(family));
	return s;
}

static void with_local(struct maker *m, const struct cfg_rule *rule, const struct selector *local)
{
	struct selector any = any_of(m->family);
	if (local->range.lo.family != m->family)
		return;
	if (rule->remote_count == 0)
		add_pair(m, rule, local, &any);
	for (size_t i = 0; i < rule->remote_count; i++)
		if (rule->remote[i].range.lo.family == m->family)
			add_pair(m, rule, local, &rule->remote[i]);
}

static void add_entry(struct maker *m, const struct cfg_rule *rule)
{
	struct selector any = any_of(m->family);
	if (rule->local_count == 0)
		with_local(m, rule, &any);
	for (size_t k = 0; k < rule->local_count; k++)
		with_local(m, rule, &rule->local[k]);
}

// The first rule has the highest priority.
static void add_all(struct maker *m, const struct cfg_connection *n)
{
	for (size_t i = 0; i < n->policy_count; i++) {
		m->priority = (int32_t)(n->policy_count - i);
		add_entry(m, &n->policy[i]);
	}
}

static void add_bypass(struct maker *m, const struct cfg_connection *n)
{
	for (size_t i = 0; i < n->policy_count; i++)
		if (n->policy[i].action == CFG_BYPASS)
			add_entry(m, &n->policy[i]);
}

// Of one connection, or of all that bypass.
struct source {
	const struct cfg_connection *one;
	const struct dp_policies *all;
};

static void add_source(struct maker *m, const struct source *from)
{
	size_t n = from->one ? 0 : from->all->clear_count;
	m->count = 0;
	if (from->one)
		add_all(m, from->one);
	for (size_t i = 0; i < n; i++) {
		m->result = (uint32_t)i + 1;
		m->priority = (int32_t)(n - i);
		add_bypass(m, from->all->clears[i].conf);
	}
}

static int make_list(const struct source *from, uint8_t family, struct rte_acl_ctx **out)
{
	static unsigned serial; // two data planes in a process are a test
	struct maker m = {.family = family};
	struct rte_acl_config layout = layout_of(family);
	char name[RTE_ACL_NAMESIZE];
	add_source(&m, from);
	if (m.count == 0)
		return 0;
	snprintf(name, sizeof(name), "policy_%u", serial++);
	struct rte_acl_param param = {.name = name,
		.socket_id = SOCKET_ID_ANY,
		// The rules are of one size, the larger one.
		.rule_size = RTE_ACL_RULE_SZ(FIELDS_V6),
		.max_rule_num = m.count};
	m.ctx = *out = rte_acl_create(&param);
	if (!m.ctx)
		return rte_errno ? -rte_errno : -ENOMEM;
	add_source(&m, from);
	return m.rc ? m.rc : rte_acl_build(m.ctx, &layout);
}

static int make_lists(const struct source *from, const char *name, struct rte_acl_ctx *acl[2])
{
	int rc = make_list(from, IP_V4, &acl[0]);
	rc = rc ? rc : make_list(from, IP_V6, &acl[1]);
	if (rc)
		log_error("connection \"%s\": no access list: %s", name, strerror(-rc));
	return rc;
}

static bool bypasses(const struct cfg_connection *n)
{
	for (size_t i = 0; i < n->policy_count; i++)
		if (n->policy[i].action == CFG_BYPASS)
			return true;
	return false;
}

static bool same_selector(const struct selector *a, const struct selector *b)
{
	return ip_eq(&a->range.lo, &b->range.lo) && ip_eq(&a->range.hi, &b->range.hi) &&
	       a->proto == b->proto && a->port_lo == b->port_lo && a->port_hi == b->port_hi;
}

static bool same_side(
	const struct selector *a, size_t a_count, const struct selector *b, size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++)
		if (!same_selector(&a[i], &b[i]))
			return false;
	return true;
}

static bool same_rules(const struct cfg_connection *a, const struct cfg_connection *b)
{
	if (a->policy_count != b->policy_count)
		return false;
	for (size_t i = 0; i < a->policy_count; i++) {
		const struct cfg_rule *r = &a->policy[i], *s = &b->policy[i];
		if (r->action != s->action || r->direction != s->direction ||
			!same_side(r->local, r->local_count, s->local, s->local_count) ||
			!same_side(r->remote, r->remote_count, s->remote, s->remote_count))
			return false;
	}
	return true;
}

static int make(struct dp_policies *p, const struct cfg_connection *n, size_t i)
{
	struct policy *to = &p->of[i];
	to->bypass = bypasses(n);
	for (size_t k = 0; to->bypass && k < p->clear_count; k++) {
		const struct policy *other = &p->of[p->clears[k].connection];
		if (!same_rules(n, p->clears[k].conf))
			continue;
		*to = *other;
		to->borrowed = true;
		return 0;
	}
	if (to->bypass)
		p->clears[p->clear_count++] = (struct clear){(uint16_t)i, n};
	return make_lists(&(struct source){.one = n}, n->name, to->acl);
}

int dp_policy_new(const struct cfg *c, struct dp_policies **out)
{
	struct dp_policies *p = calloc(1, sizeof(*p) + c->connection_count * sizeof(p->of[0]));
	int rc = 0;
	if (!p)
		return -ENOMEM;
	p->count = c->connection_count;
	p->clears = calloc(p->count + 1, sizeof(p->clears[0]));
	rc = p->clears ? 0 : -ENOMEM;
	for (size_t i = 0; i < p->count && rc == 0; i++)
		rc = make(p, &c->connections[i], i);
	rc = rc ? rc : make_lists(&(struct source){.all = p}, "all that bypass", p->acl);
	if (rc) {
		dp_policy_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

void dp_policy_free(struct dp_policies *p)
{
	if (!p)
		return;
	for (int f = 0; f < 2; f++) {
		rte_acl_free(p->acl[f]);
		for (size_t i = 0; i < p->count; i++)
			if (!p->of[i].borrowed)
				rte_acl_free(p->of[i].acl[f]);
	}
	free(p->clears);
	free(p);
}

uint64_t dp_policy_memory(const struct cfg *c)
{
	struct maker m[2] = {{.family = IP_V4}, {.family = IP_V6}};
	for (size_t i = 0; i < c->connection_count; i++)
		for (int f = 0; f < 2; f++) {
			add_all(&m[f], &c->connections[i]);
			add_bypass(&m[f], &c->connections[i]);
		}
	return ((uint64_t)m[0].count + m[1].count) * ENTRY_MEMORY;
}

bool dp_policy_clear(const struct dp_policies *p)
{
	return p->clear_count > 0;
}

// ---- Asking them ----

// Ports cannot be seen where the header that holds them is not there.
static bool is_blind(const struct ip_info *ip)
{
	return ip->later || ip->upper + 4u > ip->total;
}

static enum category category_of(enum sa_dir dir, const struct ip_info *ip)
{
	if (is_blind(ip))
		return dir == SA_IN ? CAT_IN_BLIND : CAT_OUT_BLIND;
	return dir == SA_IN ? CAT_IN : CAT_OUT;
}

static void put_key(uint8_t *key, enum sa_dir dir, const uint8_t *p, const struct ip_info *ip)
{
	size_t len = ip_len(ip->family);
	uint16_t src, dst;
	bool in = dir == SA_IN;
	ip_ports(p, ip, &src, &dst);
	memset(key, 0, sizeof(struct key_v6));
	key[0] = ip->proto;
	memcpy(key + 4, in ? ip->dst : ip->src, len);
	memcpy(key + 4 + len, in ? ip->src : ip->dst, len);
	set_be16(key + 4 + 2 * len, in ? dst : src);
	set_be16(key + 6 + 2 * len, in ? src : dst);
}
static_assert(
	offsetof(struct key_v4, local_port) == 12 && offsetof(struct key_v6, local_port) == 36,
	"as put_key() has it");

// The result of the packet's rule; 0: there is none.
static bool classify(const struct rte_acl_ctx *acl, enum sa_dir dir, const uint8_t *p,
	const struct ip_info *ip, uint32_t *rule)
{
	uint8_t key[sizeof(struct key_v6)] __attribute__((aligned(8)));
	uint32_t found[CATEGORIES] = {0};
	const uint8_t *keys = key;
	*rule = 0;
	if (!acl)
		return true;
	put_key(key, dir, p, ip);
	// It fails with a number of categories alone that it has not.
	if (rte_acl_classify(acl, &keys, found, 1, CATEGORIES) != 0)
		return false;
	*rule = found[category_of(dir, ip)];
	return true;
}

static enum cfg_action decide(
	const struct policy *c, enum sa_dir dir, const uint8_t *p, const struct ip_info *ip)
{
	uint32_t rule;
	if (!classify(c->acl[ip->family == IP_V6], dir, p, ip, &rule))
		return CFG_DISCARD;
	return rule ? (enum cfg_action)(rule - 1) : CFG_PROTECT;
}

// The policy of a treatment or mark; NULL: none.
static const struct policy *policy_at(const struct dp *d, uint32_t number)
{
	return number && number <= d->policies->count ? &d->policies->of[number - 1] : NULL;
}

// What a rule would let by in clear and has come to a tunnel nevertheless is protected there.
enum dp_drop dp_policy_check(struct dp_worker *w, const struct dp_tunnel *t, enum sa_dir dir,
	const uint8_t *p, const struct ip_info *ip)
{
	const struct policy *c = policy_at(w->dp, t->treatment.policy);
	bool discard = c && decide(c, dir, p, ip) == CFG_DISCARD;
	return discard ? DP_DROP_policy_discard : DP_DROP_NONE;
}

enum dp_drop dp_policy_out(
	struct dp_worker *w, const struct dp_tunnel *t, const uint8_t *p, uint32_t len)
{
	struct ip_info ip;
	enum dp_drop why = ip_parse_packet(p, len, false, &ip);
	return why != DP_DROP_NONE ? why : dp_policy_check(w, t, SA_OUT, p, &ip);
}

// ---- In clear ----

// The connection whose tunnel has the peer's address decides; where none has it, the first one that
// would let the packet by.
static bool in_clear(
	const struct dp_worker *w, enum sa_dir dir, const uint8_t *p, const struct ip_info *ip)
{
	const struct dp_policies *all = w->dp->policies;
	struct dp_dst_entry e;
	enum dp_dst_result r =
		dp_dst_lookup(w->dp->dst, ip->family, dir == SA_IN ? ip->src : ip->dst, &e);
	if (r == DP_DST_POOL)
		return false;
	if (r == DP_DST_TUNNEL) {
		uint32_t mark =
			atomic_load_explicit(dp_tunnel_mark(w->dp, e.index), memory_order_relaxed);
		const struct policy *c = policy_at(w->dp, mark & MARK_POLICY);
		return c && c->bypass && decide(c, dir, p, ip) == CFG_BYPASS;
	}
	// None before that one has a rule for it. It may have another rule before that one, and then others
	// are asked.
	uint32_t i;
	if (!classify(all->acl[ip->family == IP_V6], dir, p, ip, &i))
		return false;
	for (; i && i <= all->clear_count; i++)
		if (decide(&all->of[all->clears[i - 1].connection], dir, p, ip) == CFG_BYPASS)
			return true;
	return false;
}

static bool passes_by(const struct dp_worker *w, const struct dp_inner *r)
{
	struct ip_info ip;
	if (r->from || r->made || w->dp->ports[r->port].role != CFG_INSIDE)
		return false;
	return ip_parse_packet(r->ip, r->len, false, &ip) == DP_DROP_NONE &&
	       in_clear(w, SA_OUT, r->ip, &ip);
}

void dp_policy_bypass(struct dp_worker *w)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < w->route.n; i++) {
		const struct dp_inner *r = &w->route.p[i];
		if (passes_by(w, r))
			dp_route_clear(w, r, CFG_OUTSIDE);
		else if (kept++ != i)
			w->route.p[kept - 1] = *r;
	}
	w->route.n = kept;
}

bool dp_policy_lets_in(const struct dp_worker *w, const uint8_t *p, const struct ip_info *ip)
{
	struct dp_dst_entry e;
	return w->dp->bypass && dp_dst_lookup(w->dp->dst, ip->family, ip->dst, &e) == DP_DST_NONE &&
	       in_clear(w, SA_IN, p, ip);
}

// ---- Between tunnels ----

uint32_t dp_policy_mark(const struct tunnel_treatment *t)
{
	return t->policy | (t->apart ? MARK_APART : 0);
}

static bool marked_apart(const struct dp_worker *w, uint32_t index)
{
	return atomic_load_explicit(dp_tunnel_mark(w->dp, index), memory_order_relaxed) &
	       MARK_APART;
}

bool dp_policy_apart(
	const struct dp_worker *w, const struct dp_sa *sa, const struct dp_dst_entry *to)
{
	const struct dp_tunnel *t = dp_slab_at(&w->tunnels, sa->tunnel_slot);
	if (t->index == to->index || (!marked_apart(w, t->index) && !marked_apart(w, to->index)))
		return false;
	uint64_t family =
		atomic_load_explicit(dp_tunnel_family(w->dp, t->index), memory_order_acquire);
	return !family || family != atomic_load_explicit(dp_tunnel_family(w->dp, to->index),
					    memory_order_acquire);
}

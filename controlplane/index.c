// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/index.h"

#include <errno.h>
#include <stdlib.h>

// What a hash stands for.
enum kind {
	ID_EXACT,    // type and data
	ID_SUFFIX,   // type and the part from '.' or '@'
	ID_NET,      // prefix that an address identity lies in
	ID_ANY,      // of pre-shared keys
	ADDR_INIT,   // prefix of the outer address, or none, of any IKEv2 connection
	ADDR_INIT_1, // the same, of any IKEv1 connection
	ADDR_ANY_ID, // the same, of keys, and of connections for any identity
};

// The configuration alone decides which hashes stand here, so that the key need not be secret.
static const uint8_t hash_key[16] = "sallyport index";

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

// Bytes of v from lower_from on without case.
static uint64_t hash_of(enum kind kind, uint8_t type, struct view v, size_t lower_from)
{
	uint8_t key[2 + IKE_ID_BODY_MAX] = {(uint8_t)kind, type};
	size_t len = v.len < IKE_ID_BODY_MAX ? v.len : IKE_ID_BODY_MAX;
	for (size_t i = 0; i < len; i++)
		key[2 + i] = i >= lower_from ? lower(v.p[i]) : v.p[i];
	return siphash(hash_key, key, 2 + len);
}

static uint64_t prefix_hash(enum kind kind, const struct ip_addr *a, unsigned bits)
{
	uint8_t key[18] = {a->family, (uint8_t)bits};
	for (unsigned i = 0; i < bits; i += 8)
		key[2 + i / 8] =
			a->bytes[i / 8] & (uint8_t)(bits - i < 8 ? 0xff << (8 - (bits - i)) : 0xff);
	return hash_of(kind, 0, (struct view){key, sizeof(key)}, SIZE_MAX);
}

// Names are compared without case, mailboxes in their domain, DNs as X.509 does.
static uint64_t exact_hash(const struct wire_id *id)
{
	size_t lower_from = SIZE_MAX;
	if (id->type == IKEV2_ID_FQDN)
		lower_from = 0;
	if (id->type == IKEV2_ID_RFC822_ADDR) {
		const uint8_t *at = memrchr(id->data.p, '@', id->data.len);
		lower_from = at ? (size_t)(at - id->data.p) : SIZE_MAX;
	}
	if (id->type == IKEV2_ID_DER_ASN1_DN) {
		uint64_t canonical = ike_dn_hash(id->data);
		struct view v = {(const uint8_t *)&canonical, sizeof(canonical)};
		return hash_of(ID_EXACT, id->type, v, SIZE_MAX);
	}
	return hash_of(ID_EXACT, id->type, id->data, lower_from);
}

// ---- making ----------------------------------------------------------------------------------

static void put(struct ike_table *t, uint64_t hash, size_t item)
{
	if (t->count == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		struct ike_index_entry *grown = realloc(t->entries, cap * sizeof(*grown));
		if (!grown) {
			t->no_memory = true;
			return;
		}
		t->entries = grown;
		t->cap = cap;
	}
	t->entries[t->count++] = (struct ike_index_entry){hash, (uint32_t)item};
}

static int entry_order(const void *a, const void *b)
{
	const struct ike_index_entry *x = a, *y = b;
	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->item < y->item ? -1 : x->item > y->item;
}

static void sort(struct ike_table *t)
{
	size_t n = 0;
	if (t->count)
		qsort(t->entries, t->count, sizeof(*t->entries), entry_order);
	for (size_t i = 0; i < t->count; i++)
		if (i == 0 || entry_order(&t->entries[i], &t->entries[i - 1]) != 0)
			t->entries[n++] = t->entries[i];
	t->count = n;
}

static struct view text_view(const char *text)
{
	return (struct view){(const uint8_t *)text, strlen(text)};
}

// The hashes of identities that are exactly this text; how many.
static unsigned exact_hashes(const char *text, uint64_t out[2])
{
	struct ike_id id;
	struct wire_id parsed;
	struct ip_prefix p;
	unsigned n = 0;
	if (ip_prefix_parse(text, false, &p) == 0) {
		parsed.type = p.addr.family == IP_V4 ? IKEV2_ID_IPV4_ADDR : IKEV2_ID_IPV6_ADDR;
		parsed.data = (struct view){p.addr.bytes, ip_len(p.addr.family)};
		if (p.bits == ip_bits(p.addr.family))
			out[n++] = exact_hash(&parsed);
	} else if (text[0] != '*' && ike_id_from_text(text, &id) == 0 &&
		   wire_id_parse(ike_id_view(&id), &parsed) == WIRE_OK) {
		out[n++] = exact_hash(&parsed);
	}
	// The bytes of a KEY_ID may be any text.
	parsed = (struct wire_id){IKEV2_ID_KEY_ID, text_view(text)};
	out[n++] = exact_hash(&parsed);
	return n;
}

static void put_pattern(struct ike_table *t, const char *text, size_t item)
{
	uint64_t exact[2];
	struct ip_prefix p;
	struct view suffix = text_view(text + (text[0] == '*'));
	unsigned n = exact_hashes(text, exact);
	for (unsigned i = 0; i < n; i++)
		put(t, exact[i], item);
	if (text[0] == '*' && suffix.len > 1 && suffix.len <= IKE_ID_BODY_MAX) {
		uint8_t type = suffix.p[0] == '@' ? IKEV2_ID_RFC822_ADDR : IKEV2_ID_FQDN;
		put(t, hash_of(ID_SUFFIX, type, suffix, 0), item);
		t->suffix[suffix.len] = true;
	} else if (ip_prefix_parse(text, false, &p) == 0 && p.bits < ip_bits(p.addr.family)) {
		put(t, prefix_hash(ID_NET, &p.addr, p.bits), item);
		t->net[p.addr.family == IP_V6][p.bits] = true;
	}
}

static void put_addresses(
	struct ike_table *t, enum kind kind, const struct ip_prefix *p, size_t count, size_t item)
{
	for (size_t i = 0; i < count; i++) {
		put(t, prefix_hash(kind, &p[i].addr, p[i].bits), item);
		t->addr[p[i].addr.family == IP_V6][p[i].bits] = true;
	}
}

static uint64_t no_address(enum kind kind)
{
	static const struct ip_addr none = {.family = 0};
	return prefix_hash(kind, &none, 0);
}

static bool kind_fits(const struct cfg_connection *c, enum kind kind, bool any_id)
{
	switch (kind) {
	case ADDR_INIT:
		return c->ikev2;
	case ADDR_INIT_1:
		return c->ikev1;
	default:
		return any_id;
	}
}

static void put_connection(struct ike_index *ix, size_t i)
{
	const struct cfg_connection *c = &ix->cfg->connections[i];
	struct ike_table *t = &ix->connections;
	const struct ip_prefix *a = c->remote.addresses;
	bool any_id = strcmp(c->remote.id, "*") == 0;
	ix->certificates |= c->ikev2 && c->remote.auth == CFG_AUTH_CERT;
	if (c->local.id)
		exact_hashes(c->local.id, ix->local[i]);
	if (!any_id)
		put_pattern(t, c->remote.id, i);
	for (enum kind kind = ADDR_INIT; kind <= ADDR_ANY_ID; kind++) {
		if (!kind_fits(c, kind, any_id))
			continue;
		put_addresses(t, kind, a, c->remote.address_count, i);
		if (!c->remote.address_count)
			put(t, no_address(kind), i);
	}
}

static void put_psk(struct ike_index *ix, size_t i)
{
	const struct cfg_psk *k = &ix->cfg->psks[i];
	struct ike_table *t = &ix->psks;
	put_addresses(t, ADDR_ANY_ID, k->addresses, k->address_count, i);
	if (k->id && strcmp(k->id, "*") == 0)
		put(t, hash_of(ID_ANY, 0, (struct view){NULL, 0}, 0), i);
	else if (k->id)
		put_pattern(t, k->id, i);
}

static bool same_proposals(const struct cfg_connection *a, const struct cfg_connection *b)
{
	return a->ike_proposal_count == b->ike_proposal_count &&
	       memcmp(a->ike_proposals, b->ike_proposals,
		       a->ike_proposal_count * sizeof(*a->ike_proposals)) == 0;
}

static bool same_local_id(const struct cfg_connection *a, const struct cfg_connection *b)
{
	return strcmp(a->local.id ? a->local.id : "", b->local.id ? b->local.id : "") == 0;
}

// What else aggressive mode's answer shows to anybody.
static bool same_answer(const struct cfg_connection *a, const struct cfg_connection *b)
{
	return same_local_id(a, b) && !a->fragment_size == !b->fragment_size;
}

// IKEv1's first message tells the mode and the method too; which certificate is presented decides
// whether RSA or ECDSA is meant.
static bool same_methods(const struct cfg_connection *a, const struct cfg_connection *b)
{
	const char *cert_a = a->local.cert ? a->local.cert : "";
	const char *cert_b = b->local.cert ? b->local.cert : "";
	return a->local.auth == b->local.auth && a->remote.auth == b->remote.auth &&
	       a->remote.user_auth == b->remote.user_auth && a->aggressive == b->aggressive &&
	       (a->local.auth != CFG_AUTH_CERT ||
		       (strcmp(cert_a, cert_b) == 0 && same_local_id(a, b))) &&
	       (!a->aggressive || same_answer(a, b));
}

bool ikev1_connections_alike(const struct cfg_connection *a, const struct cfg_connection *b)
{
	return same_proposals(a, b) && same_methods(a, b);
}

static bool same_init(
	enum kind kind, const struct cfg_connection *a, const struct cfg_connection *b)
{
	return kind == ADDR_INIT ? same_proposals(a, b) : ikev1_connections_alike(a, b);
}

struct span {
	const struct ike_index_entry *at, *end;
};

static struct span find(const struct ike_table *t, uint64_t hash)
{
	size_t lo = 0, hi = t->count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (t->entries[mid].hash < hash)
			lo = mid + 1;
		else
			hi = mid;
	}
	struct span s = {t->entries + lo, t->entries + lo};
	while (s.end < t->entries + t->count && s.end->hash == hash)
		s.end++;
	return s;
}

// Of connections with the same address that the first message cannot tell apart the first is enough
// before the identity is known: marks (in gone) the others' entries among those of one hash.
static void drop_doubles(const struct ike_index *ix, enum kind kind, struct span s, bool *gone)
{
	const struct cfg_connection *c = ix->cfg->connections;
	const struct ike_index_entry *base = ix->connections.entries;
	for (const struct ike_index_entry *a = s.at; a < s.end; a++)
		for (const struct ike_index_entry *b = s.at; b < a && !gone[a - base]; b++)
			gone[a - base] =
				!gone[b - base] && same_init(kind, &c[a->item], &c[b->item]);
}

static void drop_all_of(const struct ike_index *ix, enum kind kind, bool *gone)
{
	const struct ike_table *t = &ix->connections;
	drop_doubles(ix, kind, find(t, no_address(kind)), gone);
	for (size_t i = 0; i < ix->cfg->connection_count; i++) {
		const struct cfg_connection *c = &ix->cfg->connections[i];
		for (size_t k = 0; k < c->remote.address_count; k++) {
			const struct ip_prefix *p = &c->remote.addresses[k];
			struct span s = find(t, prefix_hash(kind, &p->addr, p->bits));
			if (s.at < s.end && s.at->item == i)
				drop_doubles(ix, kind, s, gone);
		}
	}
}

static int drop_all_doubles(struct ike_index *ix)
{
	struct ike_table *t = &ix->connections;
	bool *gone = calloc(t->count + 1, sizeof(*gone));
	size_t n = 0;
	if (!gone)
		return -ENOMEM;
	drop_all_of(ix, ADDR_INIT, gone);
	drop_all_of(ix, ADDR_INIT_1, gone);
	for (size_t i = 0; i < t->count; i++)
		if (!gone[i])
			t->entries[n++] = t->entries[i];
	t->count = n;
	free(gone);
	return 0;
}

int ike_index_new(const struct cfg *cfg, struct ike_index **out)
{
	struct ike_index *ix = calloc(1, sizeof(*ix));
	*out = NULL;
	if (!ix)
		return -ENOMEM;
	ix->cfg = cfg;
	ix->local = calloc(cfg->connection_count + 1, sizeof(*ix->local));
	for (size_t i = 0; ix->local && i < cfg->connection_count; i++)
		put_connection(ix, i);
	for (size_t i = 0; i < cfg->psk_count; i++)
		put_psk(ix, i);
	sort(&ix->psks);
	sort(&ix->connections);
	if (!ix->local || ix->psks.no_memory || ix->connections.no_memory ||
		drop_all_doubles(ix) < 0) {
		ike_index_free(ix);
		return -ENOMEM;
	}
	*out = ix;
	return 0;
}

void ike_index_free(struct ike_index *ix)
{
	if (!ix)
		return;
	free(ix->psks.entries);
	free(ix->connections.entries);
	free(ix->local);
	free(ix);
}

// ---- looking up ------------------------------------------------------------------------------

// Sees the items of one hash in their order until it says true.
typedef bool (*visit)(void *ctx, uint32_t item);

static bool each(
	struct ike_index *ix, const struct ike_table *t, uint64_t hash, visit fn, void *ctx)
{
	for (struct span s = find(t, hash); s.at < s.end; s.at++) {
		ix->looked++;
		if (fn(ctx, s.at->item))
			return true;
	}
	return false;
}

// The prefixes around an address, the longest first.
static bool each_prefix(struct ike_index *ix, const struct ike_table *t, enum kind kind,
	const struct ip_addr *a, visit fn, void *ctx)
{
	const bool *used = (kind == ID_NET ? t->net : t->addr)[a->family == IP_V6];
	for (unsigned bits = ip_bits(a->family) + 1; bits-- > 0;)
		if (used[bits] && each(ix, t, prefix_hash(kind, a, bits), fn, ctx))
			return true;
	return false;
}

// The patterns that an identity may fit, the longest first.
static bool each_pattern(struct ike_index *ix, const struct ike_table *t, const struct wire_id *id,
	visit fn, void *ctx)
{
	uint8_t mark = id->type == IKEV2_ID_FQDN ? '.' : id->type == IKEV2_ID_RFC822_ADDR ? '@' : 0;
	for (size_t i = 1; mark && i < id->data.len; i++) {
		struct view suffix = {id->data.p + i, id->data.len - i};
		if (*suffix.p == mark && suffix.len <= IKE_ID_BODY_MAX && t->suffix[suffix.len] &&
			each(ix, t, hash_of(ID_SUFFIX, id->type, suffix, 0), fn, ctx))
			return true;
	}
	uint8_t family = id->type == IKEV2_ID_IPV4_ADDR   ? IP_V4
			 : id->type == IKEV2_ID_IPV6_ADDR ? IP_V6
							  : 0;
	if (!family || id->data.len != ip_len(family))
		return false;
	struct ip_addr a = ip_from_bytes(family, id->data.p);
	return each_prefix(ix, t, ID_NET, &a, fn, ctx);
}

// ---- pre-shared keys ----

struct psk_search {
	const struct cfg_psk *psks, *found;
	struct view body;
	const struct ip_addr *peer;
	int fit;
};

static bool psk_by_id(void *ctx, uint32_t item)
{
	struct psk_search *s = ctx;
	if (ike_id_fit(s->psks[item].id, s->body) != s->fit)
		return false;
	s->found = &s->psks[item];
	return true;
}

static bool psk_by_address(void *ctx, uint32_t item)
{
	struct psk_search *s = ctx;
	const struct cfg_psk *k = &s->psks[item];
	for (size_t i = 0; i < k->address_count && !s->found; i++)
		if (ip_prefix_contains(&k->addresses[i], s->peer))
			s->found = k;
	return s->found;
}

static bool psk_of_anybody(void *ctx, uint32_t item)
{
	struct psk_search *s = ctx;
	s->found = &s->psks[item];
	return true;
}

const struct cfg_psk *ike_psk_find(
	struct ike_index *ix, struct view body, const struct ip_addr *peer, bool *bound)
{
	struct psk_search s = {.psks = ix->cfg->psks, .body = body, .peer = peer, .fit = 3};
	struct wire_id id;
	bool named = wire_id_parse(body, &id) == WIRE_OK;
	*bound = named && each(ix, &ix->psks, exact_hash(&id), psk_by_id, &s);
	if (*bound || each_prefix(ix, &ix->psks, ADDR_ANY_ID, peer, psk_by_address, &s))
		return s.found;
	s.fit = 2;
	if (!named || !each_pattern(ix, &ix->psks, &id, psk_by_id, &s))
		each(ix, &ix->psks, hash_of(ID_ANY, 0, (struct view){NULL, 0}, 0), psk_of_anybody,
			&s);
	return s.found;
}

// ---- connections ----

// -1: the address is not allowed; else the length of the best prefix (0: any address).
static int address_fit(const struct cfg_connection *c, const struct ip_addr *a)
{
	int best = c->remote.address_count ? -1 : 0;
	for (size_t i = 0; i < c->remote.address_count; i++) {
		const struct ip_prefix *p = &c->remote.addresses[i];
		if (ip_prefix_contains(p, a) && p->bits + 1 > best)
			best = p->bits + 1;
	}
	return best;
}

struct conn_search {
	struct ike_index *ix;
	const struct ike_match *m;
	uint64_t local_hash; // of m->local_id
	int fit;             // that the identity must have
	const struct cfg_connection *found;
	int found_address;
	uint32_t found_item;
};

static bool local_fits(const struct conn_search *s, uint32_t item)
{
	const struct cfg_connection *c = &s->ix->cfg->connections[item];
	const uint64_t *hashes = s->ix->local[item];
	// RFC 7296 2.15 leaves IDr to the initiator's wish: one that names nobody here is refused.
	return !s->m->local_id || !c->local.id ||
	       ((hashes[0] == s->local_hash || hashes[1] == s->local_hash) &&
		       ike_id_fit(c->local.id, *s->m->local_id) == 3);
}

static bool usable(const struct conn_search *s, uint32_t item)
{
	const struct cfg_connection *c = &s->ix->cfg->connections[item];
	return (s->m->ikev1 ? c->ikev1 : c->ikev2) &&
	       (s->m->auth < 0 || (int)c->remote.auth == s->m->auth) && local_fits(s, item) &&
	       (!s->m->suite || ike_suite_allowed(c, s->m->suite)) &&
	       ike_id_fit(c->remote.id, *s->m->remote_id) == s->fit &&
	       (!s->m->accept || s->m->accept(s->m->ctx, c));
}

// Among several of one kind of identity the address decides, then the order.
static bool consider(void *ctx, uint32_t item)
{
	struct conn_search *s = ctx;
	const struct cfg_connection *c = &s->ix->cfg->connections[item];
	int address = address_fit(c, &s->m->remote->addr);
	bool better = !s->found || address > s->found_address ||
		      (address == s->found_address && item < s->found_item);
	if (address >= 0 && better && usable(s, item)) {
		s->found = c;
		s->found_address = address;
		s->found_item = item;
	}
	return false;
}

static bool first_usable(void *ctx, uint32_t item)
{
	struct conn_search *s = ctx;
	s->found = usable(s, item) ? &s->ix->cfg->connections[item] : NULL;
	return s->found;
}

const struct cfg_connection *ike_connection_match(struct ike_index *ix, const struct ike_match *m)
{
	struct conn_search s = {.ix = ix, .m = m, .fit = 3};
	const struct ike_table *t = &ix->connections;
	struct wire_id id, local;
	if (wire_id_parse(*m->remote_id, &id) != WIRE_OK)
		return NULL;
	if (m->local_id && wire_id_parse(*m->local_id, &local) == WIRE_OK)
		s.local_hash = exact_hash(&local);
	each(ix, t, exact_hash(&id), consider, &s);
	s.fit = 2;
	if (!s.found)
		each_pattern(ix, t, &id, consider, &s);
	s.fit = 1;
	if (!s.found && !each_prefix(ix, t, ADDR_ANY_ID, &m->remote->addr, first_usable, &s))
		each(ix, t, no_address(ADDR_ANY_ID), first_usable, &s);
	return s.found;
}

struct first_search {
	const struct ike_index *ix;
	const struct ip_addr *remote;
	ike_accept accept;
	void *ctx;
	bool seen;
	const struct cfg_connection *found;
};

static bool first_accepted(void *ctx, uint32_t item)
{
	struct first_search *s = ctx;
	const struct cfg_connection *c = &s->ix->cfg->connections[item];
	if (address_fit(c, s->remote) < 0)
		return false;
	s->seen = true;
	s->found = s->accept(s->ctx, c) ? c : NULL;
	return s->found;
}

static const struct cfg_connection *first_of(
	struct ike_index *ix, enum kind kind, struct first_search *s)
{
	const struct ike_table *t = &ix->connections;
	if (!each_prefix(ix, t, kind, s->remote, first_accepted, s))
		each(ix, t, no_address(kind), first_accepted, s);
	return s->found;
}

const struct cfg_connection *ike_connection_first(struct ike_index *ix,
	const struct ip_addr *remote, ike_accept accept, void *ctx, bool *seen)
{
	struct first_search s = {ix, remote, accept, ctx, false, NULL};
	first_of(ix, ADDR_INIT, &s);
	*seen = s.seen;
	return s.found;
}

const struct cfg_connection *ikev1_connection_first(struct ike_index *ix,
	const struct ip_addr *remote, ike_accept accept, void *ctx, bool *seen)
{
	struct first_search s = {ix, remote, accept, ctx, false, NULL};
	first_of(ix, ADDR_INIT_1, &s);
	*seen = s.seen;
	return s.found;
}

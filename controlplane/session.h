// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Sessions, their children, leases and routes, and who a peer is. Private to the control plane;
// control thread only.
#pragma once

#include "controlplane/engine.h"

#define IKE_LEASES_MAX      4
#define IKE_CHILDREN_MAX    IKE_CHILDREN_SHOWN // of one session, those being replaced not counted
#define IKE_ROUTES_MAX      64                 // of one session
#define IKE_CHILDLESS_S     30                 // a session without a child SA ends
#define IKE_REAUTH_GRACE_S  10 // an IKE SA that was re-authenticated is deleted by us after that
#define IKE_REKEYED_GRACE_S 60 // a rekeyed IKE or child SA that the peer does not delete
#define IKE_LINGER_S        5  // that the inbound SA of a rekeyed child receives after its DELETE
#define IKE_REKEY_BURST     64 // CREATE_CHILD_SA requests of one session in IKE_REKEY_WINDOW_S
#define IKE_REKEY_WINDOW_S  10
#define IKE_SOFT_JITTER     10 // percent of a soft lifetime, drawn anew for each SA

enum ike_child_state {
	IKE_CHILD_NEW,        // not yet part of its session
	IKE_CHILD_INSTALLING, // inbound SA asked for
	IKE_CHILD_READY,      // inbound installed; outbound installed but not switched to
	IKE_CHILD_ACTIVE,     // outbound in use
	IKE_CHILD_REKEYED,    // a younger one has replaced it, or it is the redundant one of two
	IKE_CHILD_DELETING,   // our DELETE is queued or under way
	IKE_CHILD_GONE,       // the sink has still to return its SAs, or it lingers
};

// Transport mode behind a NAT: the outer addresses as the peer sees them, which its checksums are about.
// Family 0: not known, or there is no NAT.
struct ike_seen_addrs {
	struct ip_addr peer, own;
};

struct ike_child {
	LIST_ENTRY(ike_child) link; // of its session's children, or of those that linger
	struct htab_node by_spi;    // our inbound SPI
	struct ike_engine *engine;
	struct ike_session *session; // NULL once GONE
	const struct cfg_child *conf;
	enum ike_child_state state;
	uint32_t spi_in, spi_out;
	uint32_t tunnel;
	bool spi_held;          // reserved, not yet installed
	bool switch_at_install; // outbound is used as soon as inbound can receive
	bool joined;            // in its session's list
	bool rekeying;          // our CREATE_CHILD_SA for it is queued or under way
	bool ours;              // IKEv2: made by our CREATE_CHILD_SA: we delete what it replaces
	bool superseded;        // IKEv2: another one has its traffic: it may linger
	bool no_tfc;            // the peer takes no TFC padding
	bool lingering;         // GONE, but its inbound SA still receives what is on its way
	uint8_t installed;      // bit per enum sa_dir: the sink has it
	uint8_t routes_held;    // of its own prefixes
	// What its session has already added up.
	uint64_t counted_bytes[2], counted_packets[2], counted_policed[2];
	uint64_t session_id; // stays when the session has gone
	struct suite suite;
	enum sa_mode mode;
	struct ike_seen_addrs seen;
	struct selector ts_local[SA_SELECTORS_MAX], ts_remote[SA_SELECTORS_MAX];
	uint8_t ts_local_count, ts_remote_count;
	struct ike_child *replaced; // the one that this one rekeys, until switched
	uint64_t installed_ns;
	uint32_t life_s;     // IKEv1: negotiated, where shorter than the hard lifetime; 0: that one
	uint64_t life_bytes; // IKEv1: the same in bytes
	struct wheel_timer
		hard; // hard lifetime; of a REKEYED one the grace; of one that lingers its end
	struct wheel_timer soft; // we begin to rekey it (lifetime.c)
	uint8_t soft_tries;
	uint16_t worker; // its SAs' owner
	bool resource;   // RFC 9611: of one of the peer's resources
	// IKEv1 (ikev1/children.c)
	struct selector id_local,
		id_remote;            // the IDs of its quick mode; what is installed may be less
	bool initiated;               // we began its quick mode
	struct wheel_timer settle;    // ours: until it is used without a sign that the peer has it
	uint64_t lower_nonce;         // the beginning of the lower one of its quick mode
	uint64_t began_ns, joined_ns; // its quick mode; itself
	uint64_t own_soft_ns, own_hard_ns; // of a REKEYED one: its timers before, 0: none
	bool orphaned;                     // its quick mode has gone, not confirmed
	uint8_t told;                      // DELETEs that have left
};
LIST_HEAD(ike_children, ike_child);

// A destination that the data plane gives to the session's tunnel.
struct ike_route {
	LIST_ENTRY(ike_route) link;
	struct htab_node by_owner;     // of the engine's routes
	struct htab_node by_ring;      // of the engine's rings, if it leads one
	struct ike_route *next, *prev; // what sessions of the same owner want: a ring; or NULL
	const void *owner;             // the session, or the connection's starter
	struct ike_session *session;   // NULL: the starter's
	struct ip_prefix dst;
	bool kept;      // the connection's waiting tunnel has it too
	uint32_t users; // leases and children
	bool pending;   // another session of the owner has it in the data plane at present
	bool leads;     // its ring
};

// What became of a lease.
struct ike_lease_use {
	struct htab_node by_addr; // of the engine's leases
	struct ike_session *session;
	bool active; // in use: the address source keeps it until it is released
	bool routed; // the session has asked for its route
};

TAILQ_HEAD(ike_session_list, ike_session);

struct ike_session {
	struct htab_node by_id;
	struct ike_owner *owner; // NULL: not identified yet, or anonymous
	struct ike_place *place; // where it is
	TAILQ_ENTRY(ike_session) of_owner, of_place;
	uint64_t looked_at; // by which of the engine's supersedings
	size_t order;       // index in the engine's order of ids
	uint64_t id;        // ascending, never reused
	struct ike_engine *engine;
	const struct cfg_connection *conn;
	struct ike_sa *sa; // the current one
	struct secret
		identity; // ID payload body (type, 3 reserved, data); empty until proven or claimed
	char *identity_text;
	char *user;                       // authenticated, or NULL
	char *group;                      // of the user, or NULL
	const struct cfg_strings *groups; // of the user; or NULL. Of the engine's snapshot
	bool in_group;                    // its key is that of its ID: a group's name, perhaps
	struct ike_aaa_addresses *aaa;    // what AAA said of its addresses; NULL: nothing. Owned
	const char *mode_config;          // how it got its addresses: "pull", "push", "none"
	bool proven;                      // the identity is (a wildcard or group PSK proves none)
	bool anonymous;                   // neither identity nor user is proven
	struct lease leases[IKE_LEASES_MAX];
	struct ike_lease_use lease_use[IKE_LEASES_MAX]; // of leases[i]
	uint8_t lease_count;
	bool leases_in_use;                      // and so are those that come later
	struct ip_addr assigned[IKE_LEASES_MAX]; // as initiator: by the peer
	uint8_t assigned_bits[IKE_LEASES_MAX];   // of a network; 0: one address
	uint8_t assigned_count;
	uint32_t tunnel; // TUNNEL_NONE until the first child
	uint16_t worker;
	struct ike_children children;
	uint16_t child_count;
	struct ike_children lingering;
	uint16_t lingering_count;
	LIST_HEAD(, ike_route) routes;
	uint32_t route_count;
	uint64_t family;    // of its tunnel (routes.c); 0: none
	bool tunnel_routed; // has the routes of its tunnel interface
	uint64_t established_ns;
	uint64_t bytes_in, bytes_out, packets_in, packets_out; // of children that have gone
	uint64_t policed_in, policed_out;                      // the same
	uint64_t used_ns;         // since when those are idle; at first when it was established
	struct wheel_timer idle;  // traffic.c
	uint64_t rekey_window_ns; // start of the present window
	uint16_t rekey_count;     // requests in it
	bool closing;  // its DELETE is queued or under way; by ike_session_closing() alone
	bool rekeying; // our CREATE_CHILD_SA for its IKE SA is queued or under way
	bool accounted;
	bool resources; // RFC 9611: the peer takes child SAs for single workers
	struct wheel_timer resources_due;
	uint8_t resources_put_off; // times in a row
	// Its first IKE SA: which tells it from others, also once it was rekeyed
	bool initiator; // we began
	uint64_t begun_ns, spi_i, spi_r;
	// One session takes another's place (succession.h); ids, 0: none
	uint64_t follows;   // we began it in that one's place
	uint64_t successor; // takes this one's place; by ike_session_give_way() alone
	LIST_HEAD(, ike_session) predecessors; // that have this one as successor
	LIST_ENTRY(ike_session) of_successor;
	bool in_succession; // in its successor's list: that one is there still
	bool duplicate;     // it gives way to successor because both sides had begun
	// Our re-authentication (ikev2/reauth.c)
	uint64_t reauth_attempt; // session that is being made
	uint64_t reauth_due_ns;
	uint8_t reauth_tries;
	// Children of the connection that we make (children.c), a bit each
	uint32_t making, refused;
	struct wheel_timer end;  // childless, or re-authenticated elsewhere
	struct wheel_timer anew; // child SAs that are missing are made (ikev2/collide.c)
	uint64_t anew_children;  // bit per child of the connection
	uint64_t anew_more;      // of these, those of which one more was asked for
	uint8_t anew_tries;
};

// ---- identities (identity.c) -----------------------------------------------------------------

#define IKE_ID_BODY_MAX (4 + WIRE_ID_MAX)

// An ID payload body, by value.
struct ike_id {
	uint8_t body[IKE_ID_BODY_MAX];
	size_t len;
};

static inline struct view ike_id_view(const struct ike_id *id)
{
	return (struct view){id->body, id->len};
}

// The configured text of an identity (FQDN, mail address, IP address, DN). 0 or -EINVAL.
MUST_USE int ike_id_from_text(const char *text, struct ike_id *out);
// For people; the name of a DN is spelled out. Returns buf.
#define IKE_ID_TEXT_MAX 600
const char *ike_id_text(struct view body, char buf[static IKE_ID_TEXT_MAX]);
// How well a pattern of the configuration ("*", "*.example", exact) fits: 0 not at all, 1 any,
// 2 suffix or prefix, 3 exactly this one.
int ike_id_fit(const char *pattern, struct view body);
// The same for identities that one text of the configuration means: names without case, a KEY_ID with
// the bytes of a name.
uint64_t ike_id_hash(const uint8_t key[static 16], struct view body);

// Who a peer is. What is proven of it owns leases and sessions: (user, identity), either alone, or
// nothing, and then it is anonymous.
struct ike_peer {
	struct view id;    // ID payload body
	const char *text;  // of id
	bool proven;       // the identity is
	const char *user;  // authenticated (XAUTH), or NULL
	const char *group; // for show, or NULL
	bool in_group;     // its key is that of its ID, be it a person's or a group's
	const struct cfg_strings *groups; // of the user; NULL: none
};

static inline bool ike_peer_anonymous(const struct ike_peer *p)
{
	return !p->proven && !p->user;
}

// ---- connections (connection.c; index.h finds them) --------------------------------------------

// The suite was negotiated before the identity was known: another connection's proposals must allow
// it too.
bool ike_suite_allowed(const struct cfg_connection *c, const struct suite *s);

// ---- sessions (session.c) --------------------------------------------------------------------

// A session of this IKE SA, with an id, in no table of identities yet; sa->session is set. NULL: no
// memory.
struct ike_session *ike_session_new(struct ike_sa *sa, const struct cfg_connection *conn);
// Keeps copies; unless it is anonymous the session is found by its owner from now on. Once. 0 or
// -ENOMEM.
MUST_USE int ike_session_identify(struct ike_session *s, const struct ike_peer *peer);
// Who it belongs to; borrows from it.
struct ike_peer ike_session_peer(const struct ike_session *s);
// Counts as established from now on; starts accounting.
void ike_session_established(struct ike_session *s);
// Its leases are in use from now on: with the first child SA, or without one once the peer was told
// its addresses. One whose grant has ended meanwhile leaves the session, which ends soon: the peer
// takes the address for its own. Nothing is freed before the caller returns to the engine.
void ike_session_keep_leases(struct ike_session *s);
// It got one more: in use at once where others are or were, or where none waits for a child SA.
void ike_session_leased(struct ike_session *s);
// The addresses that it stands for.
struct ip_prefix ike_lease_prefix(const struct lease *l);
struct selector ike_lease_selector(const struct lease *l);
bool ike_lease_is_prefix(const struct lease *l);
const char *ike_lease_text(const struct lease *l, char buf[static IP_TEXT_MAX]);
// A lease is the session's; there is room for it.
void ike_lease_add(struct ike_session *s, const struct lease *l);
// Lease i of the session goes back, and its route goes.
void ike_lease_drop(struct ike_session *s, uint8_t i);
// Each lease leads to the session's tunnel. On failure those of before still do.
enum ike_reason ike_lease_routes(struct ike_session *s);
// Called when an IKE SA goes: ends the session if it was the current one.
void ike_session_sa_gone(struct ike_session *s, struct ike_sa *sa, enum ike_reason why);
// Ends it with a DELETE to the peer after delay_s seconds (0: now).
void ike_session_end(struct ike_session *s, uint32_t delay_s);
// The same at the next tick: others are at work on it.
void ike_session_end_soon(struct ike_session *s);
// Everything of it is given back, as at the end of a session; the IKE SA stays.
void ike_session_close(struct ike_session *s, enum ike_reason why);
// For ike_engine_free(): all sessions and the children whose SAs have not come back.
void ike_sessions_fini(struct ike_engine *e);
// The current IKE SA is replaced by its successor; children stay.
void ike_session_move(struct ike_session *s, struct ike_sa *to);
// The peer's outer address or port has changed (s->sa has it): the tunnel follows.
void ike_session_moved(struct ike_session *s);
// A childless session is ended after a while; a child stops that.
void ike_session_watch(struct ike_session *s);
struct ike_session *ike_session_by_id(struct ike_engine *e, uint64_t id);

// The first slot of the engine's order whose session may have an id above after: ids ascend, gaps
// are NULL.
size_t ike_session_first(struct ike_engine *e, uint64_t after);

void ike_session_closing(struct ike_session *s, bool closing);
// Whether one of its leases is this address.
bool ike_session_holds(const struct ike_session *s, const struct ip_addr *addr);
// The owner's session that holds the address, or NULL.
struct ike_session *ike_session_holder(
	struct ike_engine *e, const struct ike_peer *owner, const struct ip_addr *addr);

// ---- routes (routes.c) -------------------------------------------------------------------------

// A route for the session's tunnel, counted. If another session of the same owner has it, this one
// waits for it. IKE_REASON_NONE or why not.
MUST_USE enum ike_reason ike_route_get(struct ike_session *s, const struct ip_prefix *dst);
void ike_route_put(struct ike_session *s, const struct ip_prefix *dst);
// What it waits for goes to it: a child SA of it can carry traffic. heard: the peer is known to use
// it; else what it can not be sure of stays where it is.
void ike_routes_take(struct ike_session *s, bool heard);
// It is about to end: what others wait for goes to them.
void ike_routes_leave(struct ike_session *s);
// The same, and the others are given up.
void ike_routes_end(struct ike_session *s);

// One of this owner (a session or a starter), or NULL. O(1), however many routes there are.
struct ike_route *ike_route_find(
	struct ike_engine *e, const void *owner, const struct ip_prefix *dst);
// A new one, in the engine's table and in no list yet; NULL: no memory. And its end, out of both.
struct ike_route *ike_route_make(
	struct ike_engine *e, const void *owner, const struct ip_prefix *dst);
void ike_route_free(struct ike_engine *e, struct ike_route *r);
// From a starter to its session s, which has it, or back (NULL); out of the list of who had it.
void ike_route_pass(
	struct ike_engine *e, struct ike_route *r, const void *to, struct ike_session *s);
// The routes of a tunnel interface, once; the session keeps them until it ends. IKE_REASON_NONE or why
// not, and then it has none of them.
MUST_USE enum ike_reason ike_tunnel_routes(struct ike_session *s);

// ---- the children of what we begin (children.c) ------------------------------------------------

// Asks for the child SAs of its connection that it has not. True: some are missing.
bool ike_session_restore_children(struct ike_session *s);
// All of the connection's that it has not got. Only where we began the session.
void ike_session_begin_children(struct ike_session *s);
// It is being asked for.
void ike_session_child_asked(struct ike_session *s, const struct cfg_child *conf);
// The peer does not want it.
void ike_session_child_refused(struct ike_session *s, const struct cfg_child *conf);
bool ike_session_making_children(struct ike_session *s);
// One of its child SAs is installed and in use.
bool ike_children_ready(const struct ike_session *s);

// ---- children (child.c, child_negotiate.c) -----------------------------------------------------

// What the peer's messages say about a child SA; parsed and checked for syntax only.
struct ike_child_terms {
	struct wire_proposals sa;
	struct wire_ts ts_i, ts_r;
	struct view nonce_i, nonce_r;
	struct view shared;      // PFS; else empty
	bool no_tfc;             // the peer takes no TFC padding
	bool transport;          // transport mode is asked for, or agreed to
	const struct ike_sa *by; // IKEv1: of which ISAKMP SA the quick mode is
};

// From x->in. IKE_REASON_NONE or IKE_REASON_MALFORMED.
MUST_USE enum ike_reason ike_child_terms_parse(
	const struct ike_message *m, struct ike_child_terms *out);

// What is decided about a child before anything is reserved.
struct ike_child_plan {
	const struct cfg_child *conf;
	struct wire_choice choice;
	struct selector ts_local[SA_SELECTORS_MAX], ts_remote[SA_SELECTORS_MAX];
	uint8_t ts_local_count, ts_remote_count;
	enum sa_mode mode;
	struct ike_seen_addrs seen;
};

// The peer's side as the policy has it: leases, remote_ts, or the outer address. own: ours.
struct ike_peer_side {
	const struct lease *leases;
	uint8_t lease_count;
	const struct ip_addr *outer, *own;
};
struct ike_peer_side ike_peer_side(const struct ike_session *s, const struct ike_sa *sa);

// Responder: the first child of the connection that the offer fits, or only that one. notify gets
// the refusal's notify. IKE_REASON_NONE or the reason. pfs: WIRE_PFS_IGNORE in IKE_AUTH, else the
// child's own; ke_group as in wire_sa_policy.
struct ike_child_ask {
	const struct cfg *cfg;
	const struct cfg_connection *conn;
	const struct cfg_child *only; // rekeying; else NULL
	const struct ike_sa *sa;      // by which it is asked for
	struct ike_peer_side peer;
	bool in_auth;
	uint16_t ke_group;
	// IKEv1: chooses among the peer's proposals of plan->mode instead, and fills plan->choice's
	// suite and SPI.
	bool (*choose)(void *ctx, const struct cfg_child *conf, struct ike_child_plan *plan);
	void *ctx;
};
MUST_USE enum ike_reason ike_child_decide(const struct ike_child_ask *ask,
	const struct ike_child_terms *terms, struct ike_child_plan *plan, uint16_t *notify);
struct wire_sa_policy ike_child_policy(const struct cfg_child *conf, bool in_auth, uint16_t group);
// Initiator: our side of the offer, and its mode: transport mode's, where the child may be in that and
// its selectors allow the outer addresses. The peer's selectors are any where a lease is still to come.
enum sa_mode ike_child_offer(const struct cfg_child *conf, const struct ike_peer_side *peer,
	struct wire_ts *local, struct wire_ts *remote);
// What packets a peer without a lease may send and get: its selectors without the pools' ranges,
// which belong to those who lease from them. A wide selector ("any") goes on standing as agreed in
// the messages; the data plane gets what is left here. False: a selector claims a part of a pool, or
// nothing else than pools, or more than SA_SELECTORS_MAX pieces are left.
MUST_USE bool ike_selectors_without_pools(const struct cfg *cfg, const struct selector *ts,
	uint8_t n, struct selector out[static SA_SELECTORS_MAX], uint8_t *count);

// The prefixes that cover what the selectors' ranges hold. False: more than IKE_ROUTES_MAX.
MUST_USE bool ike_selectors_prefixes(const struct selector *ts, uint8_t n,
	struct ip_prefix out[static IKE_ROUTES_MAX], uint8_t *count);

// ---- transport mode (child_transport.c) --------------------------------------------------------

// Selectors of the two outer addresses, as far as the configuration allows them. False: it does not.
bool ike_transport_selectors(const struct cfg_child *conf, const struct ike_peer_side *peer,
	struct wire_ts *local, struct wire_ts *remote);
// RFC 7296 2.23.1: the peer's selectors name addresses as it sees them, which a NAT has changed:
// they become those that we see, and seen keeps the others.
void ike_transport_translate(const struct ike_sa *sa, struct wire_ts *local, struct wire_ts *remote,
	struct ike_seen_addrs *seen);
// The same for a plan whose selectors are the peer's answer, if its mode is that.
void ike_transport_plan(const struct ike_sa *sa, struct ike_child_plan *plan);
// The responder's word on the mode that we have offered. IKE_REASON_NONE and *mode, or why not.
MUST_USE enum ike_reason ike_transport_settle(
	const struct cfg_child *conf, enum sa_mode offered, bool agreed, enum sa_mode *mode);
// USE_TRANSPORT_MODE (RFC 7296 1.3.1), where the mode is that.
void ike_transport_put(struct wire_builder *b, enum sa_mode mode);
// The outer addresses may have changed: children in transport mode that had the old ones end.
void ike_transport_moved(struct ike_session *s);

// As initiator: a session whose address the peer assigned offers that address as its own side.
void ike_session_own_side(const struct ike_session *s, struct wire_ts *local);
// Every selector of the answer lies within one that was offered.
bool ike_selectors_within(const struct wire_ts *answer, const struct wire_ts *offer);
// The selectors of a plan from the response's TSi (ours) and TSr (the peer's).
void ike_plan_from_answer(struct ike_child_plan *plan, const struct ike_child_terms *t);

// A child with an inbound SPI of the session's worker. NULL and *why.
struct ike_child *ike_child_new(struct ike_session *s, enum ike_reason *why);
// The same with an SPI of this worker.
struct ike_child *ike_child_new_on(struct ike_session *s, uint16_t worker, enum ike_reason *why);
// What all tunnels of a connection have alike; worker, path and session are the caller's.
struct tunnel_spec ike_tunnel_spec(const struct cfg_connection *conn, const struct cfg_child *conf);
// Is one of the connection's children one for each worker.
bool ike_per_resource(const struct cfg_connection *conn);
// How many child SAs a session may have, those being replaced not counted.
uint16_t ike_children_max(const struct ike_session *s);
// Sets what was agreed on.
void ike_child_set(struct ike_child *c, const struct ike_child_plan *plan, uint32_t spi_out);
// Keys, both SAs, routes. i_am_initiator: of the exchange that made it. On failure the caller drops
// the child. IKE_REASON_NONE or why not.
MUST_USE enum ike_reason ike_child_install(
	struct ike_child *c, const struct ike_child_terms *t, bool i_am_initiator);
// Part of its session from now on. replaced may be NULL.
void ike_child_join(struct ike_child *c, struct ike_child *replaced);
// Outbound traffic takes it from now on; what it replaced is REKEYED.
void ike_child_switch(struct ike_child *c);
// Two have replaced the same one, and this is the one that is not used: the peer will delete it.
void ike_child_redundant(struct ike_child *c);
// The youngest that replaces it and is not switched to yet, or NULL.
const struct ike_child *ike_child_successor(const struct ike_child *c);
// Gives everything back: SPI, SAs, routes; freed at once or when the sink has returned its SAs.
void ike_child_drop(struct ike_child *c);
// The same after its DELETE; but the inbound SA of one that was superseded receives a little longer:
// packets that the peer sent before may be overtaken by the DELETE.
void ike_child_retire(struct ike_child *c);
// One that is GONE, no longer one of the session's nor counted, keeps its inbound SA for a while. False:
// there is none, or too many linger.
bool ike_child_linger(struct ike_child *c, struct ike_session *s);
// The end of those that linger.
void ike_children_linger_end(struct ike_session *s);
// The session's child by either SPI (host order), or NULL; those that are GONE are not found.
struct ike_child *ike_child_by_spi_in(struct ike_engine *e, uint32_t spi);
struct ike_child *ike_child_by_spi_out(struct ike_session *s, uint32_t spi);
// What it may carry in one direction, by our configuration; 0: any number.
uint64_t ike_child_hard_bytes(const struct ike_child *c);
// A hard limit was reached.
void ike_child_expired(struct ike_child *c);
// The sink has returned one of its SAs; a GONE one is freed with the last.
void ike_child_returned(struct ike_child *c, const struct sa_event *ev);
// The same selectors.
bool ike_selectors_equal(const struct selector *a, uint8_t n, const struct selector *b, uint8_t m);
// Children that carry traffic or will: not replaced, not being deleted.
uint16_t ike_children_live(const struct ike_session *s);
// The peer's side of it lives so many seconds from its beginning.
void ike_child_shorten(struct ike_child *c, uint64_t life_s);
// One whose time is not limited ends so many seconds from now.
void ike_child_limit(struct ike_child *c, uint32_t life_s);
// ---- traffic (traffic.c) -----------------------------------------------------------------------

// What the packets of a connection's tunnel get beside encryption; conf: its first child.
struct tunnel_treatment ike_treatment(
	const struct cfg_connection *conn, const struct cfg_child *conf);
// Present counters of both directions, zero where the sink has none.
void ike_child_counters(const struct ike_child *c, struct sa_counters *in, struct sa_counters *out);
// Adds to the session what it has not counted yet.
void ike_traffic_count(
	struct ike_child *c, struct ike_session *s, enum sa_dir dir, const struct sa_counters *now);
// When a packet last passed in either direction, or when it was established; 0: it is not.
uint64_t ike_session_used(const struct ike_session *s);
// It is established: one that is idle for too long ends from now on, with a DELETE.
void ike_idle_start(struct ike_session *s);
// It takes the place of s, whose children have gone: to authenticate anew is no use of it.
void ike_idle_inherit(struct ike_session *heir, const struct ike_session *s);

// ---- soft lifetimes (lifetime.c) ---------------------------------------------------------------

// May this side begin anything towards the session's peer.
bool ike_may_begin(const struct ike_session *s);
// Rekeying by time begins to be awaited; once the SA is established, or joined.
void ike_sa_soft_start(struct ike_sa *sa);
void ike_child_soft_start(struct ike_child *c);
void ike_sa_soft_stop(struct ike_sa *sa);
void ike_child_soft_stop(struct ike_child *c);
// Now, by bytes, packets or the sequence number.
void ike_child_soft_reached(struct ike_child *c);
// The child is in use again: rekeyed at that time, or soon. 0: never.
void ike_child_soft_resume(struct ike_child *c, uint64_t due_ns);
// Our attempt has failed. again: for a reason that passes (TEMPORARY_FAILURE, no answer of a helper),
// it is tried anew soon; else the SA stays until its hard limit.
void ike_sa_rekey_failed(struct ike_sa *sa, bool again);
void ike_child_rekey_failed(struct ike_child *c, bool again);

// One more request of the peer for a child SA: too many of late.
bool ike_child_rate_exceeded(struct ike_session *s);
struct tunnel_path ike_path(const struct ike_sa *sa);

// ---- CP (ikev2/cp.c) ---------------------------------------------------------------------------

struct ike_cp_state {
	bool asked; // the peer sent a request that we answer
	bool want_v4, want_v6, want_prefix;
	struct ip_addr hint_v4, hint_v6, hint_prefix; // family 0: any
	bool link;                                    // RFC 5739: the prefix is for a link
	struct view link_client; // its interface identifier there; a view of the payload
	uint32_t asked_types;    // bit per attribute type below 32
};

// As initiator: what the peer has assigned, as a prefix.
struct ip_prefix ike_session_assigned(const struct ike_session *s, uint8_t i);

// What of a CP request concerns us; wire_cp of type REQUEST.
void ike_cp_read(const struct wire_cp *cp, struct ike_cp_state *out);
// Appends the CP reply.
void ike_cp_reply(struct wire_builder *b, const struct ike_cp_state *cp,
	const struct cfg_connection *conn, const struct lease *leases, uint8_t count);

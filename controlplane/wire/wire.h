// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKE on the wire: bytes to structs (parse), structs to bytes (build), and the pure decisions upon
// them (payload rules, choice of a proposal, narrowing of selectors). Nothing here allocates, logs,
// keeps state or looks at a clock; any thread may call it. Views point into the caller's bytes.
// Header, chain and builder serve both IKE versions; the rest is IKEv2 (RFC 7296).
#pragma once

#include "base/addr.h"
#include "base/algs.h"
#include "base/sa_msg.h"
#include "controlplane/wire/ikev2_numbers.h"

// Limits of our own, each far above what a peer needs.
#define WIRE_PAYLOADS_MAX   64 // of one message or one decrypted chain
#define WIRE_NOTIFIES_MAX   32
#define WIRE_CERTS_MAX      16
#define WIRE_CERTREQS_MAX   8
#define WIRE_VENDORS_MAX    16
#define WIRE_DELETES_MAX    8
#define WIRE_PROPOSALS_MAX  32
#define WIRE_TRANSFORMS_MAX 128  // of one SA payload
#define WIRE_ID_MAX         1024 // bytes of identification data
#define WIRE_CP_ATTRS_MAX   64
#define WIRE_FRAGMENTS_MAX  64

// Everything that can be wrong with a message: name (enum, counter), the notify that answers it
// inside a protected exchange (0: silence), text.
#define WIRE_ERRORS(X)                                                                            \
	X(OK, ok, 0, "ok")                                                                        \
	X(SHORT_HEADER, short_header, 0, "shorter than an IKE header")                            \
	X(BAD_LENGTH, bad_length, 0, "header's length is not the datagram's")                     \
	X(BAD_MAJOR, bad_major, 5, "unknown major version")                                       \
	X(BAD_SPI, bad_spi, 0, "SPI is zero, or not zero, where it must not be")                  \
	X(BAD_EXCHANGE, bad_exchange, 0, "unknown exchange type")                                 \
	X(TRUNCATED, truncated, 7, "payload runs past the end")                                   \
	X(PAYLOAD_LENGTH, payload_length, 7, "payload length below its header's")                 \
	X(TRAILING, trailing, 7, "bytes behind the last payload")                                 \
	X(TOO_MANY_PAYLOADS, too_many_payloads, 7, "more payloads than the limit")                \
	X(UNSUPPORTED_CRITICAL, unsupported_critical, 1, "unknown critical payload")              \
	X(PAYLOAD_MISSING, payload_missing, 7, "a payload of this exchange is missing")           \
	X(PAYLOAD_REPEATED, payload_repeated, 7, "a payload comes too often")                     \
	X(PAYLOAD_UNEXPECTED, payload_unexpected, 7, "a payload that the exchange does not hold") \
	X(MALFORMED_SA, malformed_sa, 7, "malformed SA payload")                                  \
	X(TOO_MANY_PROPOSALS, too_many_proposals, 7, "more proposals than the limit")             \
	X(TOO_MANY_TRANSFORMS, too_many_transforms, 7, "more transforms than the limit")          \
	X(MALFORMED_KE, malformed_ke, 7, "malformed KE payload")                                  \
	X(MALFORMED_NONCE, malformed_nonce, 7, "nonce of a forbidden length")                     \
	X(MALFORMED_ID, malformed_id, 7, "malformed ID payload")                                  \
	X(MALFORMED_AUTH, malformed_auth, 7, "malformed AUTH payload")                            \
	X(MALFORMED_CERT, malformed_cert, 7, "malformed CERT payload")                            \
	X(MALFORMED_CERTREQ, malformed_certreq, 7, "malformed CERTREQ payload")                   \
	X(MALFORMED_NOTIFY, malformed_notify, 7, "malformed NOTIFY payload")                      \
	X(MALFORMED_DELETE, malformed_delete, 7, "malformed DELETE payload")                      \
	X(MALFORMED_TS, malformed_ts, 7, "malformed traffic selector payload")                    \
	X(MALFORMED_CP, malformed_cp, 7, "malformed CP payload")                                  \
	X(MALFORMED_EAP, malformed_eap, 7, "malformed EAP payload")                               \
	X(MALFORMED_SK, malformed_sk, 7, "malformed SK payload")                                  \
	X(BAD_FRAGMENT, bad_fragment, 7, "malformed fragment")                                    \
	X(TOO_MANY_FRAGMENTS, too_many_fragments, 7, "more fragments than the limit")             \
	X(BAD_PADDING, bad_padding, 7, "pad length exceeds the plaintext")                        \
	X(NO_PROPOSAL, no_proposal, 14, "no proposal chosen")                                     \
	X(BAD_CHOICE, bad_choice, 7, "the peer's choice is none of our offers")                   \
	X(TS_UNACCEPTABLE, ts_unacceptable, 38, "no common traffic selector")

#define WIRE_ENUM(name, counter, notify, text) WIRE_##name,
enum wire_error { WIRE_ERRORS(WIRE_ENUM) WIRE_ERROR_COUNT };
#undef WIRE_ENUM

const char *wire_error_counter(enum wire_error e); // "bad_length"
const char *wire_error_text(enum wire_error e);    // a sentence's part, for the log
uint16_t wire_error_notify(enum wire_error e);     // enum ikev2_notify, or 0: no answer

// ---- Header (RFC 7296 3.1) ----

// Host byte order.
struct ike_header {
	uint64_t spi_i, spi_r;
	uint8_t next_payload, major, minor, exchange, flags;
	uint32_t message_id, length;
};

// The first 28 bytes of datagram, which is one whole IKE message (length must agree; with IKEv1 the
// datagram may be longer). Major
// versions other than 1 and 2 are BAD_MAJOR. For IKEv2 the exchange must be a known one, spi_i not
// zero, spi_r zero in a request of IKE_SA_INIT and not zero in any other exchange; for IKEv1 the
// exchange must be a known one of its own and spi_i not zero. *out is filled unless SHORT_HEADER is
// returned.
MUST_USE enum wire_error wire_header_parse(struct view datagram, struct ike_header *out);

// Writes 28 bytes.
void wire_header_build(struct wr *w, const struct ike_header *h);

static inline bool ike_header_response(const struct ike_header *h)
{
	return h->flags & IKE_FLAG_RESPONSE;
}

// The sender is the IKE SA's original initiator.
static inline bool ike_header_initiator(const struct ike_header *h)
{
	return h->flags & IKE_FLAG_INITIATOR;
}

// ---- Payload chain (RFC 7296 3.2) ----

struct wire_chain {
	struct rd rest;
	uint8_t next; // type of the payload that follows; 0: the chain is at its end
	uint8_t seen; // payloads read
};

struct wire_payload {
	uint8_t type;
	uint8_t next; // for SK and SKF: the type of the first payload inside
	bool critical;
	struct view body; // without the generic header
};

static inline struct wire_chain wire_chain_of(struct view bytes, uint8_t first)
{
	return (struct wire_chain){rd_view(bytes), first, 0};
}

// The next payload; call while c->next is not 0. PAYLOAD_LENGTH, TRUNCATED or TOO_MANY_PAYLOADS
// otherwise. SK and SKF end the chain. Bytes that are left behind the end stay in c->rest:
// wire_message_parse() refuses them (no IKEv2 peer is known to send any).
MUST_USE enum wire_error wire_chain_next(struct wire_chain *c, struct wire_payload *out);

// RFC 7296 3.10.
struct wire_notify {
	uint8_t protocol; // enum ikev2_protocol
	uint16_t type;    // enum ikev2_notify
	struct view spi;
	struct view data;
};

// RFC 7296 3.11. spis is count * spi_len bytes; spi_len is 0 for IKE, 4 for ESP and AH.
struct wire_delete {
	uint8_t protocol;
	uint8_t spi_len;
	uint16_t count;
	struct view spis;
};

// One message, or one decrypted chain. Bodies of payloads that come once at most are views with p
// NULL where absent (the first one where repeated; the rules refuse that). Payloads of each type
// are counted, so beyond its array's size a type is still counted, and not kept.
struct ike_message {
	struct view sa, ke, nonce, id_i, id_r, auth, ts_i, ts_r, cp, eap;
	struct view sk, skf; // bodies
	uint8_t sk_first;    // first payload type inside sk or skf
	uint8_t unsupported; // with UNSUPPORTED_CRITICAL: the payload type
	uint8_t culprit;     // with any other error: the payload type that has it
	uint8_t count[64];   // by payload type; types above 63 are in count[63]
	uint8_t payload_count;
	struct view certs[WIRE_CERTS_MAX];       // bodies: wire_cert_parse()
	struct view certreqs[WIRE_CERTREQS_MAX]; // bodies: wire_cert_parse()
	struct view vendors[WIRE_VENDORS_MAX];
	struct wire_notify notifies[WIRE_NOTIFIES_MAX];
	struct wire_delete deletes[WIRE_DELETES_MAX];
	uint8_t cert_count, certreq_count, vendor_count, notify_count, delete_count; // kept
};

// Every payload of bytes (what follows the header, or the inside of SK). Unknown payloads are
// skipped unless critical. Notifies and deletes are parsed; the others' structure is not looked at.
MUST_USE enum wire_error wire_message_parse(
	struct view bytes, uint8_t first_payload, struct ike_message *out);

// The first notify of that type, or NULL.
const struct wire_notify *wire_notify_find(const struct ike_message *m, uint16_t type);
// The first notify that is an error, or NULL.
const struct wire_notify *wire_notify_error(const struct ike_message *m);

// ---- Which payloads an exchange may hold ----

enum wire_variant {
	WIRE_V_SA_INIT,     // request, or full response
	WIRE_V_NOTIFY_ONLY, // response: error or cookie
	WIRE_V_AUTH_FIRST,  // with IDi (request) or IDr (response)
	WIRE_V_AUTH_EAP,    // EAP in between
	WIRE_V_AUTH_LAST,   // AUTH behind EAP
	WIRE_V_CHILD,       // CREATE_CHILD_SA for ESP, new or rekeyed
	WIRE_V_IKE_REKEY,   // CREATE_CHILD_SA for IKE
	WIRE_V_INFORMATIONAL,
	WIRE_V_INTERMEDIATE,
};

// Which form of the exchange the message takes, by its payloads. Whether that form is due is for
// the exchange's handler to say.
enum wire_variant wire_variant(const struct ike_message *m, uint8_t exchange, bool response);

// m is what the exchange itself holds: the message of IKE_SA_INIT, the decrypted chain of others.
// PAYLOAD_MISSING, _REPEATED or _UNEXPECTED, and *culprit (may be NULL) is the payload type.
MUST_USE enum wire_error wire_rules_check(
	const struct ike_message *m, uint8_t exchange, bool response, uint8_t *culprit);

// m is the outside of a protected message: SK or SKF, once, and nothing else of importance.
MUST_USE enum wire_error wire_rules_check_outer(const struct ike_message *m);

// ---- SA payload (RFC 7296 3.3) ----

struct wire_transform {
	uint8_t type;      // enum transform_type, or unknown
	uint16_t id;       // base/algs.h
	uint16_t key_bits; // as on the wire
	bool key_length;   // the attribute is there
	bool unusable;     // attributes that make it unacceptable (unknown, repeated)
};

struct wire_proposal {
	uint8_t number; // need not begin at 1
	uint8_t protocol;
	uint8_t spi_len; // bytes: 0, 4 or 8
	uint64_t spi;
	uint8_t first, count; // its transforms
	bool unusable;        // an unknown transform type or SPI length: RFC 7296 3.3.6
};

struct wire_proposals {
	struct wire_proposal items[WIRE_PROPOSALS_MAX];
	struct wire_transform transforms[WIRE_TRANSFORMS_MAX];
	uint8_t count, transform_count;
};

MUST_USE enum wire_error wire_sa_parse(struct view body, struct wire_proposals *out);

// What is done about a DH group in a child SA's proposals.
enum wire_pfs {
	WIRE_PFS_IGNORE, // IKE_AUTH: there is no KE, groups that are offered all the same are ignored
	WIRE_PFS_NO,     // only without
	WIRE_PFS_OPTIONAL, // as the peer likes
	WIRE_PFS_REQUIRED, // only with one
};

struct wire_sa_policy {
	uint8_t protocol;  // IKEV2_PROTOCOL_IKE or _ESP
	uint8_t spi_len;   // what proposals must carry: 0 initial IKE, 8 IKE rekey, 4 ESP
	bool prefer_mine;  // our order decides, else the peer's
	bool esn;          // preferred where both are offered (ESP)
	enum wire_pfs pfs; // ESP; IKE always needs a group
	uint16_t
		ke_group; // group of the peer's KE payload: taken before others of the same proposal
			  // where both sides list it, to spare INVALID_KE_PAYLOAD; 0: no preference
};

#define WIRE_CHOICE_TRANSFORMS 5

// The outcome. Holds copies only.
struct wire_choice {
	uint8_t number; // the peer's proposal
	uint8_t mine;   // index of ours
	uint8_t protocol;
	uint8_t spi_len; // the peer's SPI: bytes
	uint64_t spi;
	struct suite suite;
	struct wire_transform transforms[WIRE_CHOICE_TRANSFORMS]; // as the peer wrote them
	uint8_t transform_count;
};

// Responder: the first pair of proposals that fit, and in it the first algorithms (RFC 7296 2.7,
// 3.3.6). NO_PROPOSAL otherwise. An INTEG of NONE or none at all goes with an AEAD; AES without key
// length is 128 bits; an ESP proposal without ESN transform means none.
MUST_USE enum wire_error wire_select(const struct proposal *mine, size_t count,
	const struct wire_sa_policy *policy, const struct wire_proposals *peer,
	struct wire_choice *out);

// Initiator: the answer must be one proposal, one of what wire_build_sa() wrote with the same
// arguments, with one transform of each type that was offered. BAD_CHOICE otherwise.
MUST_USE enum wire_error wire_check_choice(const struct proposal *mine, size_t count,
	const struct wire_sa_policy *policy, const struct wire_proposals *answer,
	struct wire_choice *out);

// ---- The other payloads' bodies ----

// RFC 7296 3.4. The public value's length is not compared with the group's.
struct wire_ke {
	uint16_t group;
	struct view value;
};
MUST_USE enum wire_error wire_ke_parse(struct view body, struct wire_ke *out);

// 16 to 256 bytes.
MUST_USE enum wire_error wire_nonce_parse(struct view body, struct view *out);

// RFC 7296 3.5. Addresses have their length; ID_NULL (RFC 7619) none; others 1 to WIRE_ID_MAX.
// Names and mail addresses hold no control characters.
struct wire_id {
	uint8_t type; // enum ikev2_id_type
	struct view data;
};
MUST_USE enum wire_error wire_id_parse(struct view body, struct wire_id *out);

// RFC 7296 3.8. For DIGITAL_SIGNATURE (RFC 7427 3) data is split: algorithm is the DER of the
// AlgorithmIdentifier, signature the rest; for other methods signature is data.
struct wire_auth {
	uint8_t method; // enum ikev2_auth_method
	struct view data;
	struct view algorithm;
	struct view signature;
};
MUST_USE enum wire_error wire_auth_parse(struct view body, struct wire_auth *out);

// RFC 7296 3.6 and 3.7. data of a CERTREQ may be empty: any CA.
struct wire_cert {
	uint8_t encoding; // enum ikev2_cert_encoding
	struct view data;
};
MUST_USE enum wire_error wire_cert_parse(struct view body, struct wire_cert *out);
MUST_USE enum wire_error wire_certreq_parse(struct view body, struct wire_cert *out);

// Refuses REKEY_SA that does not name an ESP or AH SPI.
MUST_USE enum wire_error wire_notify_parse(struct view body, struct wire_notify *out);
MUST_USE enum wire_error wire_delete_parse(struct view body, struct wire_delete *out);
// SPI i of an ESP or AH delete, host order; 0 where there is none.
uint32_t wire_delete_spi(const struct wire_delete *d, uint16_t i);

// RFC 7296 3.16: only its length is checked.
MUST_USE enum wire_error wire_eap_parse(struct view body, struct view *out);

// RFC 7296 3.14: IV, ciphertext, ICV. block is the cipher's (1 for AEAD and counter mode). The
// ciphertext holds at least the pad length.
struct wire_sk {
	struct view iv, ciphertext, icv;
};
MUST_USE enum wire_error wire_sk_split(
	struct view body, size_t iv_len, size_t icv_len, size_t block, struct wire_sk *out);
// The payloads of a plaintext, without padding and pad length.
MUST_USE enum wire_error wire_sk_unpad(struct view plaintext, struct view *out);

// RFC 7383 2.5: 1 <= number <= total. content is as the body of SK.
struct wire_skf {
	uint16_t number, total;
	struct view content;
};
MUST_USE enum wire_error wire_skf_parse(struct view body, struct wire_skf *out);

// ---- Traffic selectors (RFC 7296 3.13, 2.9) ----

// Selectors beyond SA_SELECTORS_MAX and of unknown types are skipped and counted. OPAQUE ports stay
// 65535..0, ICMP type and code stay in the ports (type << 8 | code).
struct wire_ts {
	struct selector items[SA_SELECTORS_MAX];
	uint8_t count;
	uint8_t skipped;
};
MUST_USE enum wire_error wire_ts_parse(struct view body, struct wire_ts *out);

static inline bool selector_opaque(const struct selector *s)
{
	return s->port_lo == 65535 && s->port_hi == 0;
}

// What of the n offered selectors the m of policy allow, in the order of the offer (so that the
// first, often the very packet that triggered the negotiation, is always covered), without parts
// that another one covers. out[SA_SELECTORS_MAX]. TS_UNACCEPTABLE: nothing in common.
MUST_USE enum wire_error wire_ts_narrow(const struct selector *offered, size_t n,
	const struct selector *policy, size_t m, struct selector *out, uint8_t *count);

// ---- Configuration payload (RFC 7296 3.15) ----

#define WIRE_CP_IID_LEN 8 // of the interface identifier in INTERNAL_IP6_LINK (RFC 5739)

struct wire_cp_attr {
	uint16_t type; // enum ikev2_cp_attribute, or unknown
	struct view value;
	bool valid; // its length fits its type (empty always does; unknown types too)
	struct ip_addr
		addr; // of address, netmask, DNS, NBNS, subnet, prefix; family 0: empty, or another type
	uint8_t prefix_bits; // of subnet and IPv6 address (128 where the peer leaves it out)
};

struct wire_cp {
	uint8_t type; // enum ikev2_cp_type
	uint8_t count;
	uint16_t skipped; // attributes beyond WIRE_CP_ATTRS_MAX
	struct wire_cp_attr attrs[WIRE_CP_ATTRS_MAX];
};
MUST_USE enum wire_error wire_cp_parse(struct view body, struct wire_cp *out);
// The first valid attribute of that type, or NULL.
const struct wire_cp_attr *wire_cp_find(const struct wire_cp *cp, uint16_t type);

// ---- Builder ----

// Appends payloads and chains their next-payload fields. The first write that does not fit, or a
// payload above 65535 bytes, makes wire_build_done() return an empty view.
struct wire_builder {
	struct wr w;
	size_t next_mark; // where the type of the next payload goes; SIZE_MAX: into first
	size_t open;      // the open payload's generic header
	uint8_t first;    // type of the first payload; 0: none
	bool header;      // begins with an IKE header, whose length wire_build_done() fills in
};

// A bare chain, as goes inside SK. buf is borrowed until the end.
void wire_build_begin(struct wire_builder *b, void *buf, size_t cap);
// A message: the header first; its next_payload and length are filled in as payloads are added.
void wire_build_message(struct wire_builder *b, void *buf, size_t cap, const struct ike_header *h);
// All that was written; {.len = 0, .p = NULL} after an overflow.
struct view wire_build_done(struct wire_builder *b);

// A payload of any type: open, write the body to &b->w, close.
void wire_open(struct wire_builder *b, uint8_t type);
void wire_close(struct wire_builder *b);
void wire_put_raw(struct wire_builder *b, uint8_t type, struct view body);

// The offer: proposal i becomes number i + 1, with spi (policy->spi_len bytes of it). ESP gets ESN
// or not in the order of preference; DH groups by policy->pfs (OPTIONAL: and NONE).
void wire_build_sa(struct wire_builder *b, const struct proposal *mine, size_t count,
	const struct wire_sa_policy *policy, uint64_t spi);
// The answer: one proposal with the peer's number and transforms, and our SPI of c->spi_len bytes.
void wire_build_choice(struct wire_builder *b, const struct wire_choice *c, uint64_t spi);

void wire_put_ke(struct wire_builder *b, uint16_t group, struct view value);
void wire_put_nonce(struct wire_builder *b, struct view nonce);
// payload: IKEV2_PAYLOAD_IDI or _IDR.
void wire_put_id(struct wire_builder *b, uint8_t payload, const struct wire_id *id);
// The body that wire_put_id() writes (what AUTH signs, RFC 7296 2.15), to w.
void wire_id_body(struct wr *w, const struct wire_id *id);
void wire_put_auth(struct wire_builder *b, uint8_t method, struct view data);
// Method DIGITAL_SIGNATURE. algorithm is at most 255 bytes.
void wire_put_signature(struct wire_builder *b, struct view algorithm, struct view signature);
void wire_put_cert(struct wire_builder *b, uint8_t encoding, struct view data);
void wire_put_certreq(struct wire_builder *b, uint8_t encoding, struct view data);
// Without protocol and SPI.
void wire_put_notify(struct wire_builder *b, uint16_t type, struct view data);
// About a child SA: protocol ESP and its SPI.
void wire_put_notify_esp(struct wire_builder *b, uint16_t type, uint32_t spi, struct view data);
void wire_put_delete_ike(struct wire_builder *b);
void wire_put_delete_esp(struct wire_builder *b, const uint32_t *spis, uint16_t count);
void wire_put_vendor(struct wire_builder *b, struct view id);
void wire_put_eap(struct wire_builder *b, struct view message);
// payload: IKEV2_PAYLOAD_TSI or _TSR; at most 255.
void wire_put_ts(struct wire_builder *b, uint8_t payload, const struct selector *ts, uint8_t count);

// CP: wire_open_cp(), attributes, wire_close().
void wire_open_cp(struct wire_builder *b, uint8_t cp_type);
void wire_cp_put(struct wire_builder *b, uint16_t type, struct view value);
// The address's 4 or 16 bytes; family 0: an empty attribute.
void wire_cp_put_addr(struct wire_builder *b, uint16_t type, const struct ip_addr *a);
// INTERNAL_IP4_SUBNET (address and mask), INTERNAL_IP6_SUBNET and _ADDRESS (address and length).
void wire_cp_put_prefix(struct wire_builder *b, uint16_t type, const struct ip_prefix *p);

// The last payload of a message: room for body_len bytes of IV, ciphertext and ICV, to be filled by
// the caller, or NULL where they do not fit. first: type of the first payload inside. All bytes of
// the message before the room are associated data; call wire_build_done() before encrypting, since
// it sets the header's length.
MUST_USE uint8_t *wire_put_sk(struct wire_builder *b, uint8_t first, size_t body_len);
// first is written to fragment 1 only (RFC 7383 2.5).
MUST_USE uint8_t *wire_put_skf(
	struct wire_builder *b, uint8_t first, uint16_t number, uint16_t total, size_t body_len);

// ---- Identities ----

// For people, and one text for one identity (so it may serve as a key, uncut): name, address,
// "keyid:...", "dn:<hex>" (the crypto part prints names), "type<n>:<hex>". Bytes that are not
// printable ASCII, backslash, and what would make it ambiguous become \xNN; a FQDN that reads like
// an address gets "@" before it. Cut to cap (at least 1); returns buf.
#define WIRE_ID_TEXT_MAX (4 * WIRE_ID_MAX + 16)
const char *wire_id_text(const struct wire_id *id, char *buf, size_t cap);

// "10.1.2.3", "2001:db8::1", "user@fqdn", "keyid:text", "@name" or "name" (FQDN). data points into
// store[cap]. 0; -ENOTSUP: a distinguished name ("C=.., CN=.."); -EINVAL: empty; -ENOSPC.
MUST_USE int wire_id_from_text(const char *text, uint8_t *store, size_t cap, struct wire_id *out);

// pattern: "*" any identity; "*.example.org" FQDNs below it; "*@example.org" its mailboxes; an
// address prefix; else exactly one as in wire_id_from_text(). Host names compare without case. A
// pattern that is a distinguished name matches nothing here.
bool wire_id_match(const char *pattern, const struct wire_id *id);

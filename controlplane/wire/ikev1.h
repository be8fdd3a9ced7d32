// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKEv1 on the wire (RFC 2407 to 2409 and what grew around them), beside wire.h, whose header,
// chain, builder and errors it shares. As there: pure functions, views into the caller's bytes, any
// thread.
#pragma once

#include "controlplane/wire/ikev1_numbers.h"
#include "controlplane/wire/wire.h"

#define IKEV1_IDS_MAX        4
#define IKEV1_NATD_MAX       8
#define IKEV1_PROPOSALS_MAX  32
#define IKEV1_TRANSFORMS_MAX 128
#define IKEV1_ATTRS_MAX      64 // of one transform or one ATTRIBUTES payload
#define IKEV1_FRAGMENTS_MAX  64

// ---- messages ----------------------------------------------------------------------------------

// RFC 2408 3.14.
struct ikev1_notification {
	uint32_t doi;
	uint8_t protocol;
	uint16_t type; // enum ikev1_notify
	struct view spi, data;
};

// RFC 2408 3.15. spis is count * spi_len bytes: 16 for ISAKMP, 4 for ESP and AH.
struct ikev1_delete {
	uint32_t doi;
	uint8_t protocol, spi_len;
	uint16_t count;
	struct view spis;
};

// One message in clear or one decrypted chain. Bodies come without the generic header; p is NULL
// where absent; of repeated ones the first. What an array does not hold is counted and not kept.
struct ikev1_message {
	struct view sa, ke, nonce, hash, sig, attributes, fragment;
	struct view ids[IKEV1_IDS_MAX]; // in order: phase 1's one; IDci, IDcr
	struct view natd
		[IKEV1_NATD_MAX]; // in order: of the receiver, then of the sender; either number
	struct view natoa[2];
	struct view certs[WIRE_CERTS_MAX], certreqs[WIRE_CERTREQS_MAX]; // wire_cert_parse()
	struct view vendors[WIRE_VENDORS_MAX];
	struct ikev1_notification notifies[WIRE_NOTIFIES_MAX];
	struct ikev1_delete deletes[WIRE_DELETES_MAX];
	uint8_t id_count, natd_count, natoa_count, cert_count, certreq_count, vendor_count;
	uint8_t notify_count, delete_count; // kept
	uint8_t count[256];                 // by payload type
	uint8_t payload_count;
	uint8_t first;     // type of the first payload
	bool natd_draft;   // NAT-D came with a draft's number (130)
	size_t after_hash; // offset behind the HASH payload that stands first; 0: none stands first
	size_t end; // bytes up to the end of the last payload; padding or a peer's mistake behind
	uint8_t culprit; // with an error: the payload type that has it
};

// Every payload of bytes. Bytes behind the last payload are left alone, as padding is (some peers
// append a few in clear too). Unknown payload types and reserved bits that are set are an error in
// RFC 2408; peers send private ones all the same: skipped, counted in count[]. Payload lengths are
// checked, notifies and deletes parsed.
MUST_USE enum wire_error ikev1_message_parse(
	struct view bytes, uint8_t first_payload, struct ikev1_message *out);

const struct ikev1_notification *ikev1_notify_find(const struct ikev1_message *m, uint16_t type);

// SPI i of an ESP or AH delete, host order; 0 where there is none.
uint32_t ikev1_delete_spi(const struct ikev1_delete *d, uint16_t i);

// Which message of which exchange: what it must and may hold (RFC 2409 5). The XAUTH, configuration
// and informational messages are one form each.
enum ikev1_form {
	IKEV1_FORM_SA,            // main 1, 2
	IKEV1_FORM_KE,            // main 3, 4
	IKEV1_FORM_AUTH,          // main 5, 6: ID and HASH or SIG
	IKEV1_FORM_AGGRESSIVE_1,  // SA KE nonce ID
	IKEV1_FORM_AGGRESSIVE_2,  // and HASH or SIG
	IKEV1_FORM_AGGRESSIVE_3,  // HASH or SIG
	IKEV1_FORM_QUICK_1,       // HASH SA nonce, KE, two IDs or none; HASH first
	IKEV1_FORM_QUICK_2,       // the same
	IKEV1_FORM_QUICK_3,       // HASH
	IKEV1_FORM_TRANSACTION,   // HASH ATTRIBUTES, in this order
	IKEV1_FORM_INFORMATIONAL, // HASH, then NOTIFY or DELETE payloads
	IKEV1_FORM_CLEAR,         // INFORMATIONAL in clear: NOTIFY or DELETE
};

// PAYLOAD_MISSING, _REPEATED, _UNEXPECTED with *culprit (may be NULL).
MUST_USE enum wire_error ikev1_rules_check(
	const struct ikev1_message *m, enum ikev1_form form, uint8_t *culprit);

// ---- SA payload --------------------------------------------------------------------------------

// One transform, its attributes translated to base/algs.h.
struct ikev1_transform {
	uint8_t number, id; // id: as on the wire (phase 1: KEY_IKE; ESP: the cipher)
	struct suite
		suite; // phase 1: encr, prf, integ (that of the hash), dh. ESP: encr, integ, dh, esn
	uint16_t auth;            // phase 1: enum ikev1_auth
	uint16_t encap;           // ESP: IKEV1_ENCAP_*; 0: not said
	uint64_t life_s, life_kb; // 0: not said
	bool unusable;     // an unknown or doubled attribute, an unknown algorithm, a bad length
	struct view attrs; // as the peer wrote them, checked to be whole: to be sent back unchanged
};

struct ikev1_proposal {
	uint8_t number, protocol, spi_len;
	uint32_t spi;         // ESP: 4 bytes, host order
	uint8_t first, count; // its transforms
	bool unusable; // not one of ISAKMP (phase 1), ESP; a number twice: AH and ESP at once, IPComp
};

struct ikev1_sa_offer {
	struct ikev1_proposal items[IKEV1_PROPOSALS_MAX];
	struct ikev1_transform transforms[IKEV1_TRANSFORMS_MAX];
	uint8_t count, transform_count;
};

// DOI and situation must be IPsec's; phase1 says which attributes the transforms have. AES without
// key length is 128 bits. Proposals and transforms beyond the limits are an error.
MUST_USE enum wire_error ikev1_sa_parse(struct view body, bool phase1, struct ikev1_sa_offer *out);

struct ikev1_choice {
	struct ikev1_proposal proposal;
	struct ikev1_transform transform;
	uint8_t mine; // index of our proposal
};

// Phase 1 as responder: the first transform of the peer that one of ours allows and whose
// authentication method auth_ok() takes. mine is in our order, but IKEv1 peers list theirs by
// preference and some stop at the first difference: theirs counts. NO_PROPOSAL.
typedef bool (*ikev1_auth_ok)(void *ctx, uint16_t auth);
MUST_USE enum wire_error ikev1_select_ike(const struct proposal *mine, size_t count,
	const struct ikev1_sa_offer *peer, ikev1_auth_ok auth_ok, void *ctx,
	struct ikev1_choice *out);

struct ikev1_esp_policy {
	bool esn; // taken where offered; both offered: preferred
	enum wire_pfs pfs;
	uint16_t
		ke_group; // of the peer's KE payload; DH_NONE: there is none. Transforms of another
			  // group are passed over
	bool encap_udp;   // NAT was detected: UDP encapsulation modes are taken, else the plain one
	bool transport;   // transport mode's are taken, else tunnel mode's
};
// An encapsulation mode of transport mode, plain or in UDP.
bool ikev1_encap_transport(uint16_t encap);
MUST_USE enum wire_error ikev1_select_esp(const struct proposal *mine, size_t count,
	const struct ikev1_esp_policy *policy, const struct ikev1_sa_offer *peer,
	struct ikev1_choice *out);

// Initiator: the answer is one proposal with one transform, whose attributes are those of one that
// ikev1_build_ike() or _esp() wrote with the same arguments (our lifetime or a shorter one).
// BAD_CHOICE.
struct ikev1_ike_offer {
	const struct proposal *mine;
	size_t count;
	uint16_t auths[4]; // methods, each with every algorithm
	uint8_t auth_count;
	uint16_t group;  // aggressive mode: this DH group alone; 0: all of each proposal
	uint32_t life_s; // 0: not said
};
struct ikev1_esp_offer {
	const struct proposal *mine;
	size_t count;
	uint16_t dh;         // PFS group; DH_NONE: none
	bool esn;            // offered with and without
	uint16_t encap;      // IKEV1_ENCAP_*
	uint16_t encap_else; // each transform once more with this one, behind; 0: none
	uint32_t life_s;
	uint32_t spi;
};
MUST_USE enum wire_error ikev1_check_ike(const struct ikev1_ike_offer *offer,
	const struct ikev1_sa_offer *answer, struct ikev1_choice *out);
MUST_USE enum wire_error ikev1_check_esp(const struct ikev1_esp_offer *offer,
	const struct ikev1_sa_offer *answer, struct ikev1_choice *out);

// The offers as SA payloads (one proposal, in order of preference, for phase 1; one proposal for
// each of ours with ESP), and the answer to one: the chosen proposal with its number, our SPI
// (ESP), the transform with its number and the peer's own attribute bytes.
void ikev1_build_ike(struct wire_builder *b, const struct ikev1_ike_offer *offer);
void ikev1_build_esp(struct wire_builder *b, const struct ikev1_esp_offer *offer);
void ikev1_build_choice(struct wire_builder *b, const struct ikev1_choice *c, uint32_t spi);

// ---- small payloads ----------------------------------------------------------------------------

// 8 to 256 bytes.
MUST_USE enum wire_error ikev1_nonce_parse(struct view body, struct view *out);

// Phase 1 identity. Body: type, protocol, port, data (RFC 2407 4.6.2). Protocol and port are 0, or
// UDP and 500 or 4500, or anything else some peers write: not looked at. The data as for IKEv2.
MUST_USE enum wire_error ikev1_id_parse(struct view body, struct wire_id *out);
// IDci, IDcr: an address, subnet or range with protocol and port (0: any) as a selector. A name, a
// mask with holes, a range upside down are MALFORMED_ID (CVE-2023-38710's kin).
MUST_USE enum wire_error ikev1_id_selector(struct view body, struct selector *out);
// The body of an ID for a selector that is a host, a prefix or a range; protocol and port of it.
// False: more than one port.
MUST_USE bool ikev1_selector_id(struct wr *w, const struct selector *s);

// NAT-OA (RFC 3947 5.2): one address. MALFORMED_ID.
MUST_USE enum wire_error ikev1_natoa_parse(struct view body, struct ip_addr *out);

// FRAGMENT (132): id, number (from 1), last flag. MALFORMED where shorter than its header.
struct ikev1_fragment {
	uint16_t id;
	uint8_t number;
	bool last;
	struct view content; // a part of the whole message, whose header stands in the first
};
MUST_USE enum wire_error ikev1_fragment_parse(struct view body, struct ikev1_fragment *out);

// ---- ATTRIBUTES --------------------------------------------------------------------------------

struct ikev1_attr {
	uint16_t type; // without the format bit
	bool basic;    // TV: value is the two bytes
	struct view value;
};

struct ikev1_cfg {
	uint8_t type; // enum ikev1_cfg_type, or unknown
	uint16_t identifier;
	uint8_t count;
	uint16_t skipped; // beyond IKEV1_ATTRS_MAX
	struct ikev1_attr attrs[IKEV1_ATTRS_MAX];
};
MUST_USE enum wire_error ikev1_cfg_parse(struct view body, struct ikev1_cfg *out);
// The first of that type, or NULL.
const struct ikev1_attr *ikev1_cfg_find(const struct ikev1_cfg *c, uint16_t type);
// A value of two bytes (TV, or TLV of length 2) or four. False: another length.
MUST_USE bool ikev1_attr_number(const struct ikev1_attr *a, uint32_t *out);
// An address of 4 or 16 bytes (17 with IP6_ADDRESS: a prefix length behind). False: another length.
MUST_USE bool ikev1_attr_address(const struct ikev1_attr *a, uint8_t family, struct ip_addr *out);

void ikev1_open_cfg(struct wire_builder *b, uint8_t type, uint16_t identifier);
void ikev1_put_attr(struct wire_builder *b, uint16_t type, struct view value);    // TLV
void ikev1_put_attr_basic(struct wire_builder *b, uint16_t type, uint16_t value); // TV
// Then wire_close().

// Cisco's SPLIT_INCLUDE and LOCAL_LAN entry: network, mask, protocol, source port, destination port
// and padding, 14 bytes, those behind the mask zero. IPv4 only.
#define IKEV1_UNITY_NET_LEN 14
void ikev1_put_unity_nets(
	struct wire_builder *b, uint16_t type, const struct ip_prefix *nets, size_t count);

// ---- other builders (wire.h's wire_put_raw() does the rest) --------------------------------------

void ikev1_put_ke(struct wire_builder *b, struct view value);
void ikev1_put_nonce(struct wire_builder *b, struct view nonce);
void ikev1_put_cert(struct wire_builder *b, struct view der);
// An empty authority: any CA. else the DER Name.
void ikev1_put_certreq(struct wire_builder *b, struct view name);
void ikev1_put_vendor(struct wire_builder *b, struct view id);
void ikev1_put_notify(struct wire_builder *b, const struct ikev1_notification *n);
void ikev1_put_delete_isakmp(struct wire_builder *b, uint64_t spi_i, uint64_t spi_r);
void ikev1_put_delete_esp(struct wire_builder *b, const uint32_t *spis, uint16_t count);
void ikev1_put_natd(struct wire_builder *b, bool draft, struct view hash);
void ikev1_put_natoa(struct wire_builder *b, bool draft, const struct ip_addr *a);
// RESPONDER-LIFETIME's data: life types and durations as attributes, up to UINT32_MAX.
struct ikev1_lifetime {
	uint64_t seconds, kilobytes; // 0: not said
};
size_t ikev1_lifetime_data(
	uint8_t *buf, size_t cap, bool phase1, const struct ikev1_lifetime *life);
// Its reading, phase 1 or 2. False: not readable.
MUST_USE bool ikev1_lifetime_parse(struct view data, bool phase1, struct ikev1_lifetime *out);

// ---- vendor IDs --------------------------------------------------------------------------------

// What a vendor ID tells of the peer.
enum ikev1_vendor {
	IKEV1_VID_UNKNOWN,
	IKEV1_VID_XAUTH,
	IKEV1_VID_UNITY,         // 14 of 16 bytes count
	IKEV1_VID_DPD,           // minor version differs
	IKEV1_VID_FRAGMENTATION, // Cisco and Microsoft, with or without the flags behind
	IKEV1_VID_NATT_RFC3947,
	IKEV1_VID_NATT_03,
	IKEV1_VID_NATT_02N, // draft 02 with the newline that was hashed with it
	IKEV1_VID_NATT_02,
	IKEV1_VID_NATT_01,
	IKEV1_VID_NATT_00,
	IKEV1_VID_MS_NT5,
	IKEV1_VID_STRONGSWAN,
	IKEV1_VID_NETSCREEN,
	IKEV1_VID_SALLYPORT, // another one of ours
	IKEV1_VID_COUNT,
};
enum ikev1_vendor ikev1_vendor_of(struct view id);
const char *ikev1_vendor_name(enum ikev1_vendor v);
// The bytes that announce it; empty for those that we never send.
struct view ikev1_vendor_bytes(enum ikev1_vendor v);

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Every number of IKEv2 that is not an algorithm (those are in base/algs.h): IANA "Internet Key
// Exchange Version 2 (IKEv2) Parameters". One list a registry gives the enum and the names.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define IKE_PORT       500
#define IKE_NAT_T_PORT 4500

#define IKE_HEADER_LEN     28 // bytes
#define IKE_PAYLOAD_HDR    4  // bytes of the generic payload header
#define IKE_MAJOR_1        1
#define IKE_MAJOR_2        2
#define IKE_FLAG_INITIATOR 0x08 // the sender is the original initiator of the IKE SA
#define IKE_FLAG_VERSION   0x10 // the sender can do a higher major version
#define IKE_FLAG_RESPONSE  0x20
#define IKE_CRITICAL       0x80 // in the generic payload header

#define IKEV2_NONCE_MIN  16  // bytes, RFC 7296 2.10
#define IKEV2_NONCE_MAX  256 // bytes, RFC 7296 3.9
#define IKEV2_COOKIE_MAX 64  // bytes, RFC 7296 2.6

#define IKEV2_EXCHANGES(X)     \
	X(34, IKE_SA_INIT)     \
	X(35, IKE_AUTH)        \
	X(36, CREATE_CHILD_SA) \
	X(37, INFORMATIONAL)   \
	X(43, IKE_INTERMEDIATE)

#define IKEV2_PAYLOADS(X) \
	X(0, NONE)        \
	X(33, SA)         \
	X(34, KE)         \
	X(35, IDI)        \
	X(36, IDR)        \
	X(37, CERT)       \
	X(38, CERTREQ)    \
	X(39, AUTH)       \
	X(40, NONCE)      \
	X(41, NOTIFY)     \
	X(42, DELETE)     \
	X(43, VENDOR)     \
	X(44, TSI)        \
	X(45, TSR)        \
	X(46, SK)         \
	X(47, CP)         \
	X(48, EAP)        \
	X(53, SKF)

#define IKEV2_PROTOCOLS(X) \
	X(0, NONE)         \
	X(1, IKE)          \
	X(2, AH)           \
	X(3, ESP)

#define IKEV2_ID_TYPES(X)  \
	X(1, IPV4_ADDR)    \
	X(2, FQDN)         \
	X(3, RFC822_ADDR)  \
	X(5, IPV6_ADDR)    \
	X(9, DER_ASN1_DN)  \
	X(10, DER_ASN1_GN) \
	X(11, KEY_ID)      \
	X(12, FC_NAME)     \
	X(13, NULL_ID)

#define IKEV2_AUTH_METHODS(X)    \
	X(1, RSA_SIGNATURE)      \
	X(2, SHARED_KEY)         \
	X(3, DSS_SIGNATURE)      \
	X(9, ECDSA_SHA256_P256)  \
	X(10, ECDSA_SHA384_P384) \
	X(11, ECDSA_SHA512_P521) \
	X(12, SECURE_PASSWORD)   \
	X(13, NULL_AUTH)         \
	X(14, DIGITAL_SIGNATURE)

// RFC 7427 7: IKEv2 Hash Algorithms.
#define IKEV2_HASHES(X) \
	X(1, SHA1)      \
	X(2, SHA2_256)  \
	X(3, SHA2_384)  \
	X(4, SHA2_512)  \
	X(5, IDENTITY)

#define IKEV2_CERT_ENCODINGS(X)    \
	X(1, PKCS7_X509)           \
	X(2, PGP)                  \
	X(3, DNS_SIGNED_KEY)       \
	X(4, X509_SIGNATURE)       \
	X(6, KERBEROS_TOKEN)       \
	X(7, CRL)                  \
	X(8, ARL)                  \
	X(9, SPKI)                 \
	X(10, X509_ATTRIBUTE)      \
	X(12, HASH_AND_URL_X509)   \
	X(13, HASH_AND_URL_BUNDLE) \
	X(14, OCSP_CONTENT)        \
	X(15, RAW_PUBLIC_KEY)

#define IKEV2_CP_TYPES(X) \
	X(1, REQUEST)     \
	X(2, REPLY)       \
	X(3, SET)         \
	X(4, ACK)

#define IKEV2_CP_ATTRIBUTES(X)           \
	X(1, INTERNAL_IP4_ADDRESS)       \
	X(2, INTERNAL_IP4_NETMASK)       \
	X(3, INTERNAL_IP4_DNS)           \
	X(4, INTERNAL_IP4_NBNS)          \
	X(6, INTERNAL_IP4_DHCP)          \
	X(7, APPLICATION_VERSION)        \
	X(8, INTERNAL_IP6_ADDRESS)       \
	X(10, INTERNAL_IP6_DNS)          \
	X(12, INTERNAL_IP6_DHCP)         \
	X(13, INTERNAL_IP4_SUBNET)       \
	X(14, SUPPORTED_ATTRIBUTES)      \
	X(15, INTERNAL_IP6_SUBNET)       \
	X(16, MIP6_HOME_PREFIX)          \
	X(17, INTERNAL_IP6_LINK)         \
	X(18, INTERNAL_IP6_PREFIX)       \
	X(25, INTERNAL_DNS_DOMAIN)       \
	X(26, INTERNAL_DNSSEC_TA)        \
	X(23456, MS_INTERNAL_IP4_SERVER) \
	X(23457, MS_INTERNAL_IP6_SERVER)

#define IKEV2_TS_TYPES(X)     \
	X(7, IPV4_ADDR_RANGE) \
	X(8, IPV6_ADDR_RANGE) \
	X(9, FC_ADDR_RANGE)   \
	X(10, SECLABEL)

// Errors are below 16384, status types above.
#define IKEV2_NOTIFIES(X)                             \
	X(1, UNSUPPORTED_CRITICAL_PAYLOAD)            \
	X(4, INVALID_IKE_SPI)                         \
	X(5, INVALID_MAJOR_VERSION)                   \
	X(7, INVALID_SYNTAX)                          \
	X(9, INVALID_MESSAGE_ID)                      \
	X(11, INVALID_SPI)                            \
	X(14, NO_PROPOSAL_CHOSEN)                     \
	X(17, INVALID_KE_PAYLOAD)                     \
	X(24, AUTHENTICATION_FAILED)                  \
	X(34, SINGLE_PAIR_REQUIRED)                   \
	X(35, NO_ADDITIONAL_SAS)                      \
	X(36, INTERNAL_ADDRESS_FAILURE)               \
	X(37, FAILED_CP_REQUIRED)                     \
	X(38, TS_UNACCEPTABLE)                        \
	X(39, INVALID_SELECTORS)                      \
	X(40, UNACCEPTABLE_ADDRESSES)                 \
	X(41, UNEXPECTED_NAT_DETECTED)                \
	X(42, USE_ASSIGNED_HOA)                       \
	X(43, TEMPORARY_FAILURE)                      \
	X(44, CHILD_SA_NOT_FOUND)                     \
	X(45, INVALID_GROUP_ID)                       \
	X(46, AUTHORIZATION_FAILED)                   \
	X(47, STATE_NOT_FOUND)                        \
	X(48, TS_MAX_QUEUE)                           \
	X(12345, MS_STATUS)                           \
	X(16384, INITIAL_CONTACT)                     \
	X(16385, SET_WINDOW_SIZE)                     \
	X(16386, ADDITIONAL_TS_POSSIBLE)              \
	X(16387, IPCOMP_SUPPORTED)                    \
	X(16388, NAT_DETECTION_SOURCE_IP)             \
	X(16389, NAT_DETECTION_DESTINATION_IP)        \
	X(16390, COOKIE)                              \
	X(16391, USE_TRANSPORT_MODE)                  \
	X(16392, HTTP_CERT_LOOKUP_SUPPORTED)          \
	X(16393, REKEY_SA)                            \
	X(16394, ESP_TFC_PADDING_NOT_SUPPORTED)       \
	X(16395, NON_FIRST_FRAGMENTS_ALSO)            \
	X(16396, MOBIKE_SUPPORTED)                    \
	X(16397, ADDITIONAL_IP4_ADDRESS)              \
	X(16398, ADDITIONAL_IP6_ADDRESS)              \
	X(16399, NO_ADDITIONAL_ADDRESSES)             \
	X(16400, UPDATE_SA_ADDRESSES)                 \
	X(16401, COOKIE2)                             \
	X(16402, NO_NATS_ALLOWED)                     \
	X(16403, AUTH_LIFETIME)                       \
	X(16404, MULTIPLE_AUTH_SUPPORTED)             \
	X(16405, ANOTHER_AUTH_FOLLOWS)                \
	X(16406, REDIRECT_SUPPORTED)                  \
	X(16407, REDIRECT)                            \
	X(16408, REDIRECTED_FROM)                     \
	X(16409, TICKET_LT_OPAQUE)                    \
	X(16410, TICKET_REQUEST)                      \
	X(16411, TICKET_ACK)                          \
	X(16412, TICKET_NACK)                         \
	X(16413, TICKET_OPAQUE)                       \
	X(16414, LINK_ID)                             \
	X(16415, USE_WESP_MODE)                       \
	X(16416, ROHC_SUPPORTED)                      \
	X(16417, EAP_ONLY_AUTHENTICATION)             \
	X(16418, CHILDLESS_IKEV2_SUPPORTED)           \
	X(16419, QUICK_CRASH_DETECTION)               \
	X(16420, IKEV2_MESSAGE_ID_SYNC_SUPPORTED)     \
	X(16421, IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED) \
	X(16422, IKEV2_MESSAGE_ID_SYNC)               \
	X(16423, IPSEC_REPLAY_COUNTER_SYNC)           \
	X(16424, SECURE_PASSWORD_METHODS)             \
	X(16425, PSK_PERSIST)                         \
	X(16426, PSK_CONFIRM)                         \
	X(16427, ERX_SUPPORTED)                       \
	X(16428, IFOM_CAPABILITY)                     \
	X(16429, SENDER_REQUEST_ID)                   \
	X(16430, IKEV2_FRAGMENTATION_SUPPORTED)       \
	X(16431, SIGNATURE_HASH_ALGORITHMS)           \
	X(16432, CLONE_IKE_SA_SUPPORTED)              \
	X(16433, CLONE_IKE_SA)                        \
	X(16434, PUZZLE)                              \
	X(16435, USE_PPK)                             \
	X(16436, PPK_IDENTITY)                        \
	X(16437, NO_PPK_AUTH)                         \
	X(16438, INTERMEDIATE_EXCHANGE_SUPPORTED)     \
	X(16439, IP4_ALLOWED)                         \
	X(16440, IP6_ALLOWED)                         \
	X(16441, ADDITIONAL_KEY_EXCHANGE)             \
	X(16442, USE_AGGFRAG)                         \
	X(16443, SUPPORTED_AUTH_METHODS)              \
	X(16444, SA_RESOURCE_INFO)

#define IKEV2_NOTIFY_STATUS_MIN 16384

#define IKEV2_ENUM_EXCHANGE(n, name)     IKEV2_EXCHANGE_##name = n,
#define IKEV2_ENUM_PAYLOAD(n, name)      IKEV2_PAYLOAD_##name = n,
#define IKEV2_ENUM_PROTOCOL(n, name)     IKEV2_PROTOCOL_##name = n,
#define IKEV2_ENUM_ID(n, name)           IKEV2_ID_##name = n,
#define IKEV2_ENUM_AUTH(n, name)         IKEV2_AUTH_##name = n,
#define IKEV2_ENUM_HASH(n, name)         IKEV2_HASH_##name = n,
#define IKEV2_ENUM_CERT(n, name)         IKEV2_CERT_##name = n,
#define IKEV2_ENUM_CP(n, name)           IKEV2_CP_##name = n,
#define IKEV2_ENUM_CP_ATTRIBUTE(n, name) IKEV2_CP_##name = n,
#define IKEV2_ENUM_TS(n, name)           IKEV2_TS_##name = n,
#define IKEV2_ENUM_NOTIFY(n, name)       IKEV2_NOTIFY_##name = n,

enum ikev2_exchange { IKEV2_EXCHANGES(IKEV2_ENUM_EXCHANGE) };
enum ikev2_payload { IKEV2_PAYLOADS(IKEV2_ENUM_PAYLOAD) };
enum ikev2_protocol { IKEV2_PROTOCOLS(IKEV2_ENUM_PROTOCOL) };
enum ikev2_id_type { IKEV2_ID_TYPES(IKEV2_ENUM_ID) };
enum ikev2_auth_method { IKEV2_AUTH_METHODS(IKEV2_ENUM_AUTH) };
enum ikev2_hash { IKEV2_HASHES(IKEV2_ENUM_HASH) };
enum ikev2_cert_encoding { IKEV2_CERT_ENCODINGS(IKEV2_ENUM_CERT) };
enum ikev2_cp_type { IKEV2_CP_TYPES(IKEV2_ENUM_CP) };
enum ikev2_cp_attribute { IKEV2_CP_ATTRIBUTES(IKEV2_ENUM_CP_ATTRIBUTE) };
enum ikev2_ts_type { IKEV2_TS_TYPES(IKEV2_ENUM_TS) };
enum ikev2_notify { IKEV2_NOTIFIES(IKEV2_ENUM_NOTIFY) };

// The registry's name, or "unknown".
const char *ikev2_exchange_name(unsigned n);
const char *ikev2_payload_name(unsigned n);
const char *ikev2_protocol_name(unsigned n);
const char *ikev2_id_type_name(unsigned n);
const char *ikev2_auth_method_name(unsigned n);
const char *ikev2_hash_name(unsigned n);
const char *ikev2_cert_encoding_name(unsigned n);
const char *ikev2_cp_type_name(unsigned n);
const char *ikev2_cp_attribute_name(unsigned n);
const char *ikev2_ts_type_name(unsigned n);
const char *ikev2_notify_name(unsigned n);

static inline bool ikev2_notify_is_error(unsigned type)
{
	return type < IKEV2_NOTIFY_STATUS_MIN;
}

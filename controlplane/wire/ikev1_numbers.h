// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Every number of IKEv1 that the engine uses: RFC 2407 (IPsec DOI), 2408 (ISAKMP), 2409 (IKE), 3706,
// 3947, draft-dukes-ike-mode-cfg-02, draft-beaulieu-ike-xauth-02, draft-ietf-ipsec-isakmp-hybrid-auth,
// and Cisco's Unity attributes. IANA "Internet Key Exchange (IKE) Attributes", "ISAKMP Registry".
// The numbers of algorithms differ from IKEv2's: wire/ translates them to base/algs.h.
#pragma once

#define IKEV1_FLAG_ENCRYPTED 0x01
#define IKEV1_FLAG_COMMIT    0x02
#define IKEV1_FLAG_AUTH_ONLY 0x04

#define IKEV1_DOI_IPSEC         1
#define IKEV1_SIT_IDENTITY_ONLY 1
#define IKEV1_NONCE_MIN         8   // bytes, RFC 2409 5
#define IKEV1_NONCE_MAX         256 // bytes

#define IKEV1_EXCHANGES(X)  \
	X(2, MAIN)          \
	X(4, AGGRESSIVE)    \
	X(5, INFORMATIONAL) \
	X(6, TRANSACTION)   \
	X(32, QUICK)

#define IKEV1_PAYLOADS(X)    \
	X(0, NONE)           \
	X(1, SA)             \
	X(2, PROPOSAL)       \
	X(3, TRANSFORM)      \
	X(4, KE)             \
	X(5, ID)             \
	X(6, CERT)           \
	X(7, CERTREQ)        \
	X(8, HASH)           \
	X(9, SIG)            \
	X(10, NONCE)         \
	X(11, NOTIFY)        \
	X(12, DELETE)        \
	X(13, VENDOR)        \
	X(14, ATTRIBUTES)    \
	X(20, NAT_D)         \
	X(21, NAT_OA)        \
	X(130, NAT_D_DRAFT)  \
	X(131, NAT_OA_DRAFT) \
	X(132, FRAGMENT)

#define IKEV1_PROTOCOLS(X) \
	X(1, ISAKMP)       \
	X(2, AH)           \
	X(3, ESP)          \
	X(4, IPCOMP)

// Phase 1 attributes, RFC 2409 appendix A
#define IKEV1_IKE_ATTRIBUTES(X) \
	X(1, ENCR)              \
	X(2, HASH)              \
	X(3, AUTH)              \
	X(4, GROUP)             \
	X(5, GROUP_TYPE)        \
	X(11, LIFE_TYPE)        \
	X(12, LIFE_DURATION)    \
	X(13, PRF)              \
	X(14, KEY_LENGTH)

#define IKEV1_TRANSFORM_KEY_IKE 1

#define IKEV1_LIFE_SECONDS   1
#define IKEV1_LIFE_KILOBYTES 2

// Phase 1 ciphers and hashes
#define IKEV1_ENCR_DES    1
#define IKEV1_ENCR_3DES   5
#define IKEV1_ENCR_AES    7
#define IKEV1_HASH_MD5    1
#define IKEV1_HASH_SHA1   2
#define IKEV1_HASH_SHA256 4
#define IKEV1_HASH_SHA384 5
#define IKEV1_HASH_SHA512 6

// Phase 1 authentication. The XAUTH and hybrid ones name who is the XAUTH client's side.
#define IKEV1_AUTHS(X)               \
	X(1, PSK)                    \
	X(2, DSS)                    \
	X(3, RSA)                    \
	X(4, RSA_ENCRYPTION)         \
	X(5, RSA_ENCRYPTION_REVISED) \
	X(9, ECDSA_256)              \
	X(10, ECDSA_384)             \
	X(11, ECDSA_521)             \
	X(64221, HYBRID_INIT_RSA)    \
	X(64222, HYBRID_RESP_RSA)    \
	X(65001, XAUTH_INIT_PSK)     \
	X(65002, XAUTH_RESP_PSK)     \
	X(65005, XAUTH_INIT_RSA)     \
	X(65006, XAUTH_RESP_RSA)

// Phase 2 attributes, RFC 2407 4.5, RFC 4304 (ESN)
#define IKEV1_ESP_ATTRIBUTES(X) \
	X(1, LIFE_TYPE)         \
	X(2, LIFE_DURATION)     \
	X(3, GROUP)             \
	X(4, ENCAP)             \
	X(5, AUTH)              \
	X(6, KEY_LENGTH)        \
	X(7, KEY_ROUNDS)        \
	X(11, ESN)

#define IKEV1_ENCAP_TUNNEL              1
#define IKEV1_ENCAP_TRANSPORT           2
#define IKEV1_ENCAP_UDP_TUNNEL          3 // RFC 3947
#define IKEV1_ENCAP_UDP_TRANSPORT       4
#define IKEV1_ENCAP_UDP_TUNNEL_DRAFT    61443
#define IKEV1_ENCAP_UDP_TRANSPORT_DRAFT 61444

#define IKEV1_ESP_AUTH_MD5      1
#define IKEV1_ESP_AUTH_SHA1     2
#define IKEV1_ESP_AUTH_SHA256   5
#define IKEV1_ESP_AUTH_SHA384   6
#define IKEV1_ESP_AUTH_SHA512   7
#define IKEV1_ESP_AUTH_AES_XCBC 9

// ID types beyond IKEv2's (whose 1, 2, 3, 5, 9, 10 and 11 are the same), RFC 2407 4.6.2
#define IKEV1_ID_IPV4_SUBNET 4
#define IKEV1_ID_IPV6_SUBNET 6
#define IKEV1_ID_IPV4_RANGE  7
#define IKEV1_ID_IPV6_RANGE  8

#define IKEV1_NOTIFIES(X)                \
	X(1, INVALID_PAYLOAD_TYPE)       \
	X(4, INVALID_COOKIE)             \
	X(7, INVALID_EXCHANGE_TYPE)      \
	X(11, INVALID_SPI)               \
	X(14, NO_PROPOSAL_CHOSEN)        \
	X(15, BAD_PROPOSAL_SYNTAX)       \
	X(16, PAYLOAD_MALFORMED)         \
	X(17, INVALID_KEY_INFORMATION)   \
	X(18, INVALID_ID_INFORMATION)    \
	X(23, INVALID_HASH_INFORMATION)  \
	X(24, AUTHENTICATION_FAILED)     \
	X(25, INVALID_SIGNATURE)         \
	X(28, CERTIFICATE_UNAVAILABLE)   \
	X(29, UNSUPPORTED_EXCHANGE_TYPE) \
	X(16384, CONNECTED)              \
	X(24576, RESPONDER_LIFETIME)     \
	X(24577, REPLAY_STATUS)          \
	X(24578, INITIAL_CONTACT)        \
	X(36136, R_U_THERE)              \
	X(36137, R_U_THERE_ACK)          \
	X(40501, UNITY_LOAD_BALANCE)

#define IKEV1_NOTIFY_ERROR_MAX 16383

// ATTRIBUTES payload, draft-dukes-ike-mode-cfg-02 3.2
#define IKEV1_CFG_TYPES(X) \
	X(1, REQUEST)      \
	X(2, REPLY)        \
	X(3, SET)          \
	X(4, ACK)

#define IKEV1_CFG_ATTRIBUTES(X)        \
	X(1, IP4_ADDRESS)              \
	X(2, IP4_NETMASK)              \
	X(3, IP4_DNS)                  \
	X(4, IP4_NBNS)                 \
	X(5, ADDRESS_EXPIRY)           \
	X(6, IP4_DHCP)                 \
	X(7, APPLICATION_VERSION)      \
	X(8, IP6_ADDRESS)              \
	X(9, IP6_NETMASK)              \
	X(10, IP6_DNS)                 \
	X(11, IP6_NBNS)                \
	X(12, IP6_DHCP)                \
	X(13, IP4_SUBNET)              \
	X(14, SUPPORTED_ATTRIBUTES)    \
	X(15, IP6_SUBNET)              \
	X(16520, XAUTH_TYPE)           \
	X(16521, XAUTH_USER_NAME)      \
	X(16522, XAUTH_USER_PASSWORD)  \
	X(16523, XAUTH_PASSCODE)       \
	X(16524, XAUTH_MESSAGE)        \
	X(16525, XAUTH_CHALLENGE)      \
	X(16526, XAUTH_DOMAIN)         \
	X(16527, XAUTH_STATUS)         \
	X(16528, XAUTH_NEXT_PIN)       \
	X(16529, XAUTH_ANSWER)         \
	X(28672, UNITY_BANNER)         \
	X(28673, UNITY_SAVE_PASSWORD)  \
	X(28674, UNITY_DEFAULT_DOMAIN) \
	X(28675, UNITY_SPLIT_DNS)      \
	X(28676, UNITY_SPLIT_INCLUDE)  \
	X(28677, UNITY_NATT_PORT)      \
	X(28678, UNITY_LOCAL_LAN)      \
	X(28679, UNITY_PFS)            \
	X(28680, UNITY_FW_TYPE)        \
	X(28681, UNITY_BACKUP_SERVERS) \
	X(28682, UNITY_DDNS_HOSTNAME)

#define IKEV1_XAUTH_TYPE_GENERIC 0
#define IKEV1_XAUTH_STATUS_FAIL  0
#define IKEV1_XAUTH_STATUS_OK    1

#define IKEV1_X_EXCHANGE(n, name) IKEV1_EXCHANGE_##name = (n),
#define IKEV1_X_PAYLOAD(n, name)  IKEV1_PAYLOAD_##name = (n),
#define IKEV1_X_PROTOCOL(n, name) IKEV1_PROTOCOL_##name = (n),
#define IKEV1_X_IKE_ATTR(n, name) IKEV1_IKE_##name = (n),
#define IKEV1_X_ESP_ATTR(n, name) IKEV1_ESP_##name = (n),
#define IKEV1_X_AUTH(n, name)     IKEV1_AUTH_##name = (n),
#define IKEV1_X_NOTIFY(n, name)   IKEV1_NOTIFY_##name = (n),
#define IKEV1_X_CFG(n, name)      IKEV1_CFG_##name = (n),
#define IKEV1_X_CFG_ATTR(n, name) IKEV1_CFG_##name = (n),

enum ikev1_exchange_type { IKEV1_EXCHANGES(IKEV1_X_EXCHANGE) };
enum ikev1_payload { IKEV1_PAYLOADS(IKEV1_X_PAYLOAD) };
enum ikev1_protocol { IKEV1_PROTOCOLS(IKEV1_X_PROTOCOL) };
enum ikev1_ike_attribute { IKEV1_IKE_ATTRIBUTES(IKEV1_X_IKE_ATTR) };
enum ikev1_esp_attribute { IKEV1_ESP_ATTRIBUTES(IKEV1_X_ESP_ATTR) };
enum ikev1_auth { IKEV1_AUTHS(IKEV1_X_AUTH) };
enum ikev1_notify { IKEV1_NOTIFIES(IKEV1_X_NOTIFY) };
enum ikev1_cfg_type { IKEV1_CFG_TYPES(IKEV1_X_CFG) };
enum ikev1_cfg_attribute { IKEV1_CFG_ATTRIBUTES(IKEV1_X_CFG_ATTR) };

const char *ikev1_exchange_name(unsigned n);
const char *ikev1_payload_name(unsigned n);
const char *ikev1_auth_name(unsigned n);
const char *ikev1_notify_name(unsigned n);
const char *ikev1_cfg_attribute_name(unsigned n);

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKEv1's numbers of algorithms. IANA "Internet Key Exchange (IKE) Attributes" for phase 1, "ISAKMP
// Registry" for ESP. DH groups have one number in both versions.
#include "controlplane/wire/ikev1_parts.h"

static const struct row {
	uint8_t registry; // enum ikev1_registry
	uint16_t number, id;
} rows[] = {
	{IKEV1_REG_IKE_ENCR, IKEV1_ENCR_DES, ENCR_DES},
	{IKEV1_REG_IKE_ENCR, IKEV1_ENCR_3DES, ENCR_3DES},
	{IKEV1_REG_IKE_ENCR, IKEV1_ENCR_AES, ENCR_AES_CBC},

	{IKEV1_REG_IKE_HASH, IKEV1_HASH_MD5, PRF_HMAC_MD5},
	{IKEV1_REG_IKE_HASH, IKEV1_HASH_SHA1, PRF_HMAC_SHA1},
	{IKEV1_REG_IKE_HASH, IKEV1_HASH_SHA256, PRF_HMAC_SHA2_256},
	{IKEV1_REG_IKE_HASH, IKEV1_HASH_SHA384, PRF_HMAC_SHA2_384},
	{IKEV1_REG_IKE_HASH, IKEV1_HASH_SHA512, PRF_HMAC_SHA2_512},

	{IKEV1_REG_IKE_HASH_INTEG, IKEV1_HASH_MD5, INTEG_HMAC_MD5_96},
	{IKEV1_REG_IKE_HASH_INTEG, IKEV1_HASH_SHA1, INTEG_HMAC_SHA1_96},
	{IKEV1_REG_IKE_HASH_INTEG, IKEV1_HASH_SHA256, INTEG_HMAC_SHA2_256_128},
	{IKEV1_REG_IKE_HASH_INTEG, IKEV1_HASH_SHA384, INTEG_HMAC_SHA2_384_192},
	{IKEV1_REG_IKE_HASH_INTEG, IKEV1_HASH_SHA512, INTEG_HMAC_SHA2_512_256},

	// The very ids of IKEv2, but for GMAC (RFC 4543 9) and what came later (ChaCha20-Poly1305).
	{IKEV1_REG_ESP_ENCR, 2, ENCR_DES},
	{IKEV1_REG_ESP_ENCR, 3, ENCR_3DES},
	{IKEV1_REG_ESP_ENCR, 11, ENCR_NULL},
	{IKEV1_REG_ESP_ENCR, 12, ENCR_AES_CBC},
	{IKEV1_REG_ESP_ENCR, 13, ENCR_AES_CTR},
	{IKEV1_REG_ESP_ENCR, 14, ENCR_AES_CCM_8},
	{IKEV1_REG_ESP_ENCR, 15, ENCR_AES_CCM_12},
	{IKEV1_REG_ESP_ENCR, 16, ENCR_AES_CCM_16},
	{IKEV1_REG_ESP_ENCR, 18, ENCR_AES_GCM_8},
	{IKEV1_REG_ESP_ENCR, 19, ENCR_AES_GCM_12},
	{IKEV1_REG_ESP_ENCR, 20, ENCR_AES_GCM_16},
	{IKEV1_REG_ESP_ENCR, 23, ENCR_NULL_AUTH_AES_GMAC},

	{IKEV1_REG_ESP_AUTH, IKEV1_ESP_AUTH_MD5, INTEG_HMAC_MD5_96},
	{IKEV1_REG_ESP_AUTH, IKEV1_ESP_AUTH_SHA1, INTEG_HMAC_SHA1_96},
	{IKEV1_REG_ESP_AUTH, IKEV1_ESP_AUTH_SHA256, INTEG_HMAC_SHA2_256_128},
	{IKEV1_REG_ESP_AUTH, IKEV1_ESP_AUTH_SHA384, INTEG_HMAC_SHA2_384_192},
	{IKEV1_REG_ESP_AUTH, IKEV1_ESP_AUTH_SHA512, INTEG_HMAC_SHA2_512_256},
	{IKEV1_REG_ESP_AUTH, IKEV1_ESP_AUTH_AES_XCBC, INTEG_AES_XCBC_96},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

uint16_t ikev1_alg_id(enum ikev1_registry registry, uint64_t number)
{
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].registry == registry && rows[i].number == number)
			return rows[i].id;
	return 0;
}

uint16_t ikev1_alg_number(enum ikev1_registry registry, uint16_t id)
{
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].registry == registry && rows[i].id == id)
			return rows[i].number;
	return 0;
}

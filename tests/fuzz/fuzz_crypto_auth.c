// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// AUTH data of every method: first octet the method, then the data, against an Ed25519 key (so that
// a million inputs take seconds). No input can be a signature by it.
#include "tests/fuzz/fuzz.h"

#include "controlplane/crypto/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t private_key[32] = {1};
	static const struct view octets = {(const uint8_t *)"octets", 6};
	static EVP_PKEY *key;
	uint32_t hashes;
	if (!key)
		key = EVP_PKEY_new_raw_private_key(
			EVP_PKEY_ED25519, NULL, private_key, sizeof(private_key));
	CHECK(key);
	if (size == 0)
		return 0;
	struct view auth = {data + 1, size - 1};
	CHECK(ike_verify(key, data[0], auth, octets, true) != IKE_CRYPTO_OK);
	CHECK(ike_hashes_parse(auth, &hashes) == (auth.len % 2 == 0));
	return 0;
}

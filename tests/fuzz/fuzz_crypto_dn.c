// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// ID_DER_ASN1_DN of a peer. What has a text is equal to itself, and the text is printable.
#include "tests/fuzz/fuzz.h"

#include "controlplane/crypto/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view der = {data, size};
	char text[IKE_DN_TEXT_MAX];
	struct secret again;
	if (!ike_dn_text(der, text)) {
		CHECK(text[0] == 0);
		return 0;
	}
	CHECK(strlen(text) < sizeof(text));
	for (const char *p = text; *p; p++)
		CHECK(*p >= 0x20 && *p < 0x7f);
	CHECK(ike_dn_equal(der, der));
	if (ike_dn_from_text(text, &again) == IKE_CRYPTO_OK)
		secret_fini(&again);
	return 0;
}

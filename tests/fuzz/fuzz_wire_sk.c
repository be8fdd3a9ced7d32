// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The body of SK or SKF: split as a cipher would (IV, ICV and block from the first byte), unpadded,
// and the inside parsed.
#include "controlplane/wire/wire.h"
#include "tests/fuzz/fuzz.h"

static void inside(struct view content, uint8_t options)
{
	static struct ike_message m;
	struct wire_sk sk;
	struct view chain;
	size_t iv = options & 1 ? 16 : 8, block = options & 1 ? 16 : 1;
	size_t icv = options & 2 ? 16 : 12;
	if (wire_sk_split(content, iv, icv, block, &sk) != WIRE_OK)
		return;
	CHECK(sk.iv.len + sk.ciphertext.len + sk.icv.len == content.len);
	if (wire_sk_unpad(sk.ciphertext, &chain) != WIRE_OK)
		return;
	CHECK(chain.len < sk.ciphertext.len);
	(void)!wire_message_parse(chain, options >> 2, &m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_skf f;
	if (size == 0)
		return 0;
	struct view body = {data + 1, size - 1};
	inside(body, data[0]);
	if (wire_skf_parse(body, &f) != WIRE_OK)
		return 0;
	CHECK(f.number >= 1 && f.number <= f.total && f.total <= WIRE_FRAGMENTS_MAX);
	CHECK(f.content.len > 0 && f.content.len + 4 == body.len);
	inside(f.content, data[0]);
	return 0;
}

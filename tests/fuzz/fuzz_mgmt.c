// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A management request as a client sends it.
#include "app/mgmt_internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mgmt_call call;
	char why[128] = "";
	if (size > MGMT_REQUEST_MAX)
		return 0;
	if (mgmt_parse((const char *)data, size, &call, why, sizeof(why)) == 0) {
		mgmt_call_fini(&call);
		return 0;
	}
	if (!*why)
		abort(); // a refusal has its sentence
	struct mgmt_reply reply = {0};
	mgmt_format_error(why, &reply);
	free(reply.text.p);
	return 0;
}

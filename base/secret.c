// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>

void secret_wipe(void *p, size_t len)
{
	if (p && len)
		explicit_bzero(p, len);
}

bool secret_equal(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t diff = 0;
	for (size_t i = 0; i < len; i++)
		diff |= (uint8_t)(x[i] ^ y[i]);
	return diff == 0;
}

int secret_init(struct secret *s, size_t len)
{
	*s = (struct secret){0};
	if (len == 0)
		return 0;
	s->bytes = calloc(1, len);
	if (!s->bytes)
		return -ENOMEM;
	s->len = len;
	return 0;
}

int secret_copy(struct secret *s, const void *bytes, size_t len)
{
	int rc = secret_init(s, len);
	if (rc == 0 && len)
		memcpy(s->bytes, bytes, len);
	return rc;
}

void secret_fini(struct secret *s)
{
	secret_wipe(s->bytes, s->len);
	free(s->bytes);
	*s = (struct secret){0};
}

void secret_move(struct secret *dst, struct secret *src)
{
	if (dst == src)
		return;
	secret_fini(dst);
	*dst = *src;
	*src = (struct secret){0};
}

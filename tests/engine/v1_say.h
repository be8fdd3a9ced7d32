// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Informational messages that a test makes, of either side of a struct v1_ready.
#pragma once

#include "tests/engine/v1_ready.h"

struct v1_say {
	struct v1 *v;
	struct bench_node *from;
	struct ike_sa *sa;
	struct wire_builder b;
	uint8_t buf[2048];
};

static inline struct v1_say *v1_say_begin(struct v1 *v, struct bench_node *from, struct ike_sa *sa)
{
	struct v1_say *s = calloc(1, sizeof(*s));
	assert_non_null(s);
	s->v = v;
	s->from = from;
	s->sa = sa;
	wire_build_begin(&s->b, s->buf, sizeof(s->buf));
	return s;
}

static inline void v1_say_esp(struct v1_say *s, uint32_t a, uint32_t b) // 0: none
{
	uint32_t spis[2] = {a, b};
	ikev1_put_delete_esp(&s->b, spis, b ? 2 : 1);
}

static inline void v1_say_isakmp(struct v1_say *s)
{
	ikev1_put_delete_isakmp(&s->b, s->sa->spi_i, s->sa->spi_r);
}

// protocol ISAKMP with its cookies
static inline void v1_say_notify(struct v1_say *s, uint16_t type, const void *data, size_t len)
{
	uint8_t cookies[16];
	ikev1_put_notify(&s->b, &(struct ikev1_notification){.doi = IKEV1_DOI_IPSEC,
					.protocol = IKEV1_PROTOCOL_ISAKMP,
					.type = type,
					.spi = ikev1_cookies(s->sa, cookies),
					.data = {data, len}});
}

// Its message id; s is gone.
static inline uint32_t v1_say_as(struct v1_say *s, const struct v1_made *how)
{
	struct v1_made made = *how;
	made.from = s->from;
	made.sa = s->sa;
	made.payloads = &s->b;
	if (!made.exchange)
		made.exchange = IKEV1_EXCHANGE_INFORMATIONAL;
	uint32_t id = v1_make(s->v->w, &made);
	struct bench *b = s->v->b;
	free(s);
	bench_run(b, 20);
	return id;
}

static inline uint32_t v1_say(struct v1_say *s)
{
	return v1_say_as(s, &(struct v1_made){0});
}

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A data plane that installs every SA at once and moves no packets, for programs that run thousands of
// sessions in one engine.
#pragma once

#include <sys/queue.h>

#include "base/sa_msg.h"

struct fake_sink_event;

struct fake_sink {
	struct sa_sink sink; // for ike_params
	uint32_t next_spi, next_tunnel;
	STAILQ_HEAD(, fake_sink_event) events;
};

// The sink points into *s, which must stay where it is.
void fake_sink_init(struct fake_sink *s);
void fake_sink_fini(struct fake_sink *s);
// The next event for ike_sa_event(); false: there is none.
bool fake_sink_event(struct fake_sink *s, struct sa_event *out);

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The SA sink: the control thread's side of SAs and tunnels.
#pragma once

#include "dataplane/worker.h"

// Fills d->sink and d->sa_sink. All workers of d exist. 0 or -errno.
MUST_USE int dp_sink_init(struct dp *d);
// Workers have ended. Wipes and frees every SA.
void dp_sink_fini(struct dp *d);
// Send what is queued, take what came back, report events; returns how many things were done.
unsigned dp_sink_poll(struct dp *d);
// True while messages wait for room in a ring.
bool dp_sink_waiting(const struct dp *d);
// Send a message to a worker, queued where its ring is full; in order. -ENOMEM after logging: it is
// not sent.
int dp_sink_send(struct dp *d, uint16_t worker, const struct dp_msg *msg);

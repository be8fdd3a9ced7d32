// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Per-resource child SAs (RFC 9611): a fat tunnel has one child SA with the same selectors for each
// worker, which encrypts on its own. Control thread.
#pragma once

#include "controlplane/session.h"

#define IKE_RESOURCES_MAX 64 // child SAs of one configured child

// SA_RESOURCE_INFO, without an identifier of ours (RFC 9611 7: it may tell about the hardware).
void ike_resource_put(struct wire_builder *b);
bool ike_resource_named(const struct ike_message *m);
// The worker that has the fewest child SAs of this kind; of several the first.
uint16_t ike_resource_worker(const struct ike_session *s, const struct cfg_child *conf);
// Is there room for one more; else TS_MAX_QUEUE.
bool ike_resource_room(const struct ike_session *s, const struct cfg_child *conf);
// The peer takes more of them, or (after TS_MAX_QUEUE) no more.
void ike_resources_agreed(struct ike_session *s, bool more);
// Child SAs for the workers that have none are made after a moment, if this side may begin any.
void ike_resources_watch(struct ike_session *s);
// The same, later at each call: the peer has no use for one now.
void ike_resources_put_off(struct ike_session *s);

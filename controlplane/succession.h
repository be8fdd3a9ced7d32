// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// One session takes another's place, the same in both IKE versions: re-authentication, and duplicates.
// Control thread.
#pragma once

#include "controlplane/session.h"

#define IKE_FOLLOWED_S 2 // we re-authenticated: the old IKE SA is deleted after that
// Of two IKE SAs that both sides began at once, the one that gives way is deleted by who began it; by
// the other one only if that does not happen.
#define IKE_DUPLICATE_OURS_S   2
#define IKE_DUPLICATE_THEIRS_S 30

// heir takes the place of old; NULL: nobody does.
void ike_session_give_way(struct ike_session *old, struct ike_session *heir);
// heir is no more; its number stays with those that gave way to it.
void ike_session_forsake(struct ike_session *heir);
// s takes the place of old, which begins nothing any more and ends with a DELETE after delay_s
// seconds, unless it is to end anyway.
void ike_session_succeed(struct ike_session *old, struct ike_session *s, uint32_t delay_s);
// old ends: what it counted is its successor's.
void ike_session_bequeath(struct ike_session *s);
// s gives way, but to one on which the peer has not been heard yet: until then s has the traffic.
bool ike_session_stands_in(const struct ike_session *s);
// s, begun by us, is established: it takes the place of the session that it follows, if any.
void ike_session_follow(struct ike_session *s);
// An old session is due to end, but the one in its place is not ready: we still make its children, or
// the peer that began it may not have our answer yet.
bool ike_session_superseded_early(struct ike_session *s);

// s is established. If the peer and we have called each other at the same moment, so that there are two
// IKE SAs: one gives way, the same one on both sides.
void ike_duplicates_settle(struct ike_session *s);
// The same for these two; false: they are no such pair.
bool ike_duplicate_settle(struct ike_session *a, struct ike_session *b);
// s ends: what was to give way to it gives way to its own successor, or lives on.
void ike_session_lost(struct ike_session *s);

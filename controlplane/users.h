// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The users of the configuration, found by a hash of their name, and their passwords. Made once, when
// the engine begins. Control thread.
#pragma once

#include "base/clock.h"
#include "config/config.h"

#define IKE_USER_MAX     256 // bytes of a user name
#define IKE_PASSWORD_MAX 256 // bytes of a password

struct ike_users;

// 0 or -ENOMEM. cfg outlives it.
MUST_USE int ike_users_new(
	const struct cfg *cfg, const struct random_source *random, struct ike_users **out);
void ike_users_free(struct ike_users *u); // NULL is fine

// By exactly these bytes; NULL: none.
const struct cfg_user *ike_user_find(const struct ike_users *u, struct view name);
// Is this the user's password; in constant time. user NULL: takes as long, and is false.
MUST_USE bool ike_user_check(
	const struct ike_users *u, const struct cfg_user *user, struct view password);

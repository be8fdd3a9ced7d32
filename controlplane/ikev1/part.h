// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKEv1's part of an exchange.
#pragma once

#include <sys/queue.h>

#include "base/secret.h"
#include "base/wheel.h"
#include "controlplane/wire/ikev1.h"

struct ike_exchange;
struct ike_sent;

// Who takes the peer's next message; handler NULL: nobody.
struct ikev1_next {
	enum ike_verdict (*handler)(struct ike_exchange *x);
	enum ikev1_form form;
};

struct ikev1_part {
	LIST_ENTRY(ike_exchange) link; // of its IKE SA
	struct ikev1_next next;        // as it stands; set by the handler of the present message
	struct ikev1_next current;     // the message that is being handled
	enum ikev1_form out;           // of our message
	bool began;        // a message of it was taken or sent: ikev1_ignore() keeps the exchange
	uint8_t iv[16];    // last ciphertext block, either way
	uint8_t iv_in[16]; // what it becomes if the present message is taken
	struct secret ni, nr;
	uint64_t last_in; // hash of the message that was taken last
	struct ike_sent *sent;
	struct wheel_timer retransmit;
	uint8_t tries, tries_max;
	enum ike_verdict (*expired)(struct ike_exchange *x);
	enum ike_verdict (*expired_before)(struct ike_exchange *x); // the present message
};

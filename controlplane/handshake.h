// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What the first exchanges of IKEv1 and IKEv2 do alike: nonces, DH results, certificates, who we
// are. Private to the control plane.
#pragma once

#include "controlplane/session.h"

// The crypto library can do all of it.
bool ike_suite_supported(const struct suite *s);

// len random bytes, unless there are some already. False: no memory.
MUST_USE bool ike_nonce_draw(struct ike_sa *sa, struct secret *nonce, size_t len);

// What came of the DH job that x waited for: IKE_REASON_NONE, BAD_KE, JOB_TIMEOUT, CRYPTO.
enum ike_reason ike_dh_reason(const struct ike_exchange *x);

// The DER of CERT payloads' X.509 certificates, in order; chain has room for count. How many.
size_t ike_cert_chain(const struct view *certs, uint8_t count, struct view *chain);
// Why the peer's chain or signature was refused.
enum ike_reason ike_cert_reason(enum ike_crypto_error error);

// local.id, else the subject of the certificate (NULL: none is presented), else our address. False:
// the text of the configuration is none.
MUST_USE bool ike_own_identity(const struct ike_sa *sa, const struct cfg_connection *conn,
	const struct ike_certificate *certificate, struct ike_id *out);

// No other session of its connection exists: the peer may forget what it has of us.
bool ike_session_only(const struct ike_session *s);

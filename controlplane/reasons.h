// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Why the IKE engine dropped, refused or ended something, and the events that it counts: one row
// gives the enumerator, the counter's name and the text for logs and help.
#pragma once

#define IKE_REASONS(X)                                                                             \
	X(NONE, "ike_none", "no reason")                                                           \
	/* traffic */                                                                              \
	X(RECEIVED, "ike_received", "datagrams received")                                          \
	X(SENT, "ike_sent", "datagrams sent")                                                      \
	X(KEEPALIVE, "ike_keepalive", "NAT keepalive received")                                    \
	X(RETRANSMITTED, "ike_retransmitted", "own request sent again")                            \
	X(REPEATED_REQUEST, "ike_repeated_request", "request repeated, response sent again")       \
	X(REPEATED_ELSEWHERE, "ike_repeated_elsewhere",                                            \
		"request repeated from another address, larger response withheld")                 \
	X(REPEATED_PENDING, "ike_repeated_pending", "request repeated while it is being answered") \
	X(REPEATED_RESPONSE, "ike_repeated_response", "response without an outstanding request")   \
	/* before the IKE SA is found */                                                           \
	X(SHORT, "ike_short", "datagram shorter than the IKE header")                              \
	X(BAD_LENGTH, "ike_bad_length", "header length differs from the datagram's")               \
	X(BAD_VERSION, "ike_bad_version", "IKE major version not supported")                       \
	X(ZERO_SPI, "ike_zero_spi", "SPI is zero")                                                 \
	X(UNKNOWN_SPI, "ike_unknown_spi", "no IKE SA with this SPI")                               \
	X(BAD_FLAGS, "ike_bad_flags", "header flags do not fit the exchange")                      \
	X(BAD_MESSAGE_ID, "ike_bad_message_id", "message id of IKE_SA_INIT is not 0")              \
	X(MALFORMED, "ike_malformed", "malformed payload")                                         \
	X(INIT_TOO_LONG, "ike_init_too_long", "IKE_SA_INIT request longer than 4096 bytes")        \
	X(NO_CONNECTION, "ike_no_connection", "no connection fits the peer's address")             \
	X(SHUTTING_DOWN, "ike_shutting_down", "no new IKE SA during shutdown")                     \
	X(CONGESTED, "ike_congested", "no new IKE SA while the data plane is behind")              \
	X(NO_MEMORY, "ike_no_memory", "out of memory")                                             \
	/* floods */                                                                               \
	X(COOKIE_SENT, "ike_cookie_sent", "cookie asked for")                                      \
	X(COOKIE_BAD, "ike_cookie_bad", "cookie does not verify")                                  \
	X(COOKIE_TOO_LONG, "ike_cookie_too_long", "cookie longer than 64 bytes")                   \
	X(HALF_OPEN_FULL, "ike_half_open_full", "too many half-open IKE SAs")                      \
	X(HALF_OPEN_SOURCE, "ike_half_open_source", "too many half-open IKE SAs of one source")    \
	X(HALF_OPEN_TIMEOUT, "ike_half_open_timeout", "IKE SA not authenticated in time")          \
	X(NO_REPLY_AMPLIFY, "ike_no_reply_amplify", "reply withheld: larger than the request")     \
	X(INIT_CONFLICT, "ike_init_conflict", "other IKE_SA_INIT with the SPI of a half-open one") \
	/* windows */                                                                              \
	X(MESSAGE_ID_AHEAD, "ike_message_id_ahead", "request beyond the window of 1")              \
	X(MESSAGE_ID_OLD, "ike_message_id_old", "request older than the last one")                 \
	X(REPEAT_DIFFERS, "ike_repeat_differs", "other request with the last one's message id")    \
	X(RESPONSE_EXCHANGE, "ike_response_exchange", "response of another exchange type")         \
	/* protection */                                                                           \
	X(NO_KEYS, "ike_no_keys", "protected message before keys exist")                           \
	X(NOT_PROTECTED, "ike_not_protected", "message outside the IKE SA's protection")           \
	X(DECRYPT, "ike_decrypt", "integrity check failed")                                        \
	X(CRYPTO, "ike_crypto", "crypto library failed")                                           \
	X(IV_EXHAUSTED, "ike_iv_exhausted", "no unused IV left")                                   \
	/* fragments */                                                                            \
	X(FRAGMENT_BAD, "ike_fragment_bad", "fragment number out of range")                        \
	X(FRAGMENT_NOT_AGREED, "ike_fragment_not_agreed", "fragment without agreement")            \
	X(FRAGMENT_REPEATED, "ike_fragment_repeated", "fragment received again")                   \
	X(FRAGMENT_TOTAL, "ike_fragment_total", "fragment of an older, coarser split")             \
	X(FRAGMENT_LIMIT, "ike_fragment_limit", "too many fragments or bytes")                     \
	X(REASSEMBLED, "ike_reassembled", "message put together from fragments")                   \
	X(FRAGMENTED, "ike_fragmented", "message sent in fragments")                               \
	/* state table and rules */                                                                \
	X(WRONG_STATE, "ike_wrong_state", "exchange not allowed in this state")                    \
	X(RULES, "ike_rules", "payload missing, doubled or out of place")                          \
	X(CRITICAL_PAYLOAD, "ike_critical_payload", "unknown payload marked critical")             \
	/* IKE_SA_INIT */                                                                          \
	X(NO_PROPOSAL, "ike_no_proposal", "no proposal of the IKE SA fits")                        \
	X(INVALID_KE, "ike_invalid_ke", "KE payload of another group")                             \
	X(BAD_KE, "ike_bad_ke", "KE payload's value is not valid")                                 \
	X(BAD_NONCE, "ike_bad_nonce", "nonce shorter than 16 or longer than 256 bytes")            \
	X(INIT_REFUSED, "ike_init_refused", "peer refused IKE_SA_INIT")                            \
	X(INIT_LOOP, "ike_init_loop", "IKE_SA_INIT was retried too often")                         \
	X(PROPOSAL_ALTERED, "ike_proposal_altered", "peer chose what was not offered")             \
	/* waiting */                                                                              \
	X(JOB_QUEUE_FULL, "ike_job_queue_full", "crypto helpers have no room")                     \
	X(JOB_TIMEOUT, "ike_job_timeout", "crypto helper did not answer in time")                  \
	X(ADDRESS_TIMEOUT, "ike_address_timeout", "address source did not answer in time")         \
	X(AAA_TIMEOUT, "ike_aaa_timeout", "AAA server did not answer in time")                     \
	X(INSTALL_TIMEOUT, "ike_install_timeout", "data plane did not install the SA in time")     \
	X(LATE_RESULT, "ike_late_result", "result for an exchange that has gone")                  \
	/* life and end */                                                                         \
	X(ESTABLISHED, "ike_established", "IKE SA established")                                    \
	X(PEER_DEAD, "ike_peer_dead", "peer does not answer")                                      \
	X(PEER_SYNTAX, "ike_peer_syntax", "peer answered INVALID_SYNTAX")                          \
	X(DELETED_BY_PEER, "ike_deleted_by_peer", "DELETE received")                               \
	X(DELETED, "ike_deleted", "DELETE answered by the peer")                                   \
	X(CLOSED, "ike_closed", "closed by the operator or at shutdown")                           \
	X(HARD_LIFETIME, "ike_hard_lifetime", "hard lifetime over")                                \
	X(IDLE, "ike_idle", "session ended: no packet in either direction for its idle_s")         \
	X(REPLACED, "ike_replaced", "replaced by a younger IKE SA")                                \
	X(MESSAGE_IDS, "ike_message_ids", "message ids of the IKE SA are used up")                 \
	X(PROBE_SENT, "ike_probe_sent", "liveness probe sent")                                     \
	/* authentication */                                                                       \
	X(AUTH_PAYLOADS, "ike_auth_payloads", "IKE_AUTH without a payload that it needs")          \
	X(EAP_WANTED, "ike_eap_wanted", "peer wants EAP, which no connection offers")              \
	X(BAD_ID, "ike_bad_id", "identity malformed or longer than supported")                     \
	X(NO_PEER, "ike_no_peer", "no connection fits the peer's identity and method")             \
	X(NO_PSK, "ike_no_psk", "no pre-shared key for the peer")                                  \
	X(BAD_PSK, "ike_bad_psk", "pre-shared key does not match")                                 \
	X(NO_CERT, "ike_no_cert", "peer sent no certificate")                                      \
	X(CERT_UNTRUSTED, "ike_cert_untrusted", "peer's certificate chain is not trusted")         \
	X(CERT_EXPIRED, "ike_cert_expired", "peer's certificate is not valid at this time")        \
	X(CERT_NAME, "ike_cert_name", "peer's certificate does not hold its identity")             \
	X(CERT_INVALID, "ike_cert_invalid", "peer's certificate is unusable")                      \
	X(BAD_SIGNATURE, "ike_bad_signature", "peer's signature does not verify")                  \
	X(NO_OWN_CERT, "ike_no_own_cert", "no certificate of ours to present")                     \
	X(OWN_AUTH, "ike_own_auth", "own AUTH could not be made")                                  \
	X(AAA_REJECTED, "ike_aaa_rejected", "AAA server refused the peer")                         \
	X(MAX_SESSIONS, "ike_max_sessions", "too many sessions of this identity")                  \
	X(SESSIONS_FULL, "ike_sessions_full", "too many sessions on this headend")                 \
	X(KEPT, "ike_kept", "an older session of this identity is kept")                           \
	X(AUTH_REFUSED, "ike_auth_refused", "peer refused IKE_AUTH")                               \
	X(INITIAL_CONTACT, "ike_initial_contact", "older session ended by INITIAL_CONTACT")        \
	/* addresses */                                                                            \
	X(CP_REQUIRED, "ike_cp_required", "peer asked for no address, which it must")              \
	X(POOL_EXHAUSTED, "ike_pool_exhausted", "no address is free in the connection's pools")    \
	X(POOL_GROUP, "ike_pool_group", "no pool of the connection is for the user's groups")      \
	X(AAA_ADDRESS, "ike_aaa_address", "address that AAA named is not free, or is no pool's")   \
	X(AAA_POOL, "ike_aaa_pool", "AAA named a pool that is not there, or of another kind")      \
	X(ADDRESS_FAILED, "ike_address_failed", "address source failed")                           \
	X(NO_ADDRESS, "ike_no_address", "peer assigned no address")                                \
	/* child SAs */                                                                            \
	X(TS, "ike_ts", "no traffic selector in common")                                           \
	X(TS_POOL, "ike_ts_pool", "selector claims an address of a pool")                          \
	X(TS_REKEY, "ike_ts_rekey", "rekeying would leave out selectors in use")                   \
	X(ROUTE_TAKEN, "ike_route_taken", "destination belongs to another session")                \
	X(ROUTE_LIMIT, "ike_route_limit", "too many destinations for one session")                 \
	X(NOT_TRANSPORT, "ike_not_transport", "tunnel mode where transport mode is required")      \
	X(TRANSPORT_MOVED, "ike_transport_moved",                                                  \
		"child SA in transport mode whose outer address has changed")                      \
	X(NO_ESP_PROPOSAL, "ike_no_esp_proposal", "no proposal of the child SA fits")              \
	X(CHILD_INVALID_KE, "ike_child_invalid_ke", "KE payload of another group for a child SA")  \
	X(SPI_EXHAUSTED, "ike_spi_exhausted", "no inbound SPI is free")                            \
	X(SA_REFUSED, "ike_sa_refused", "data plane refused the SA")                               \
	X(CHILD_UNKNOWN, "ike_child_unknown", "child SA to be rekeyed does not exist")             \
	X(CHILD_LIMIT, "ike_child_limit", "too many child SAs in one session")                     \
	X(REKEY_COLLISION, "ike_rekey_collision", "collides with an exchange of ours")             \
	X(REKEY_SIMULTANEOUS, "ike_rekey_simultaneous", "both sides rekey the same SA")            \
	X(REKEY_REDUNDANT, "ike_rekey_redundant", "new SA that a simultaneous rekeying left over") \
	X(REKEY_LATER, "ike_rekey_later", "peer cannot do CREATE_CHILD_SA now")                    \
	X(REKEY_OVERTAKEN, "ike_rekey_overtaken", "own CREATE_CHILD_SA is no longer wanted")       \
	X(REKEY_RATE, "ike_rekey_rate", "too many rekeyings in a short time")                      \
	X(REKEY_REFUSED, "ike_rekey_refused", "peer refused CREATE_CHILD_SA")                      \
	X(CHILD_REFUSED, "ike_child_refused", "peer refused the child SA of IKE_AUTH")             \
	X(CHILD_CREATED, "ike_child_created", "child SA created")                                  \
	X(CHILD_REKEYED, "ike_child_rekeyed", "child SA rekeyed")                                  \
	X(IKE_REKEYED, "ike_ike_rekeyed", "IKE SA rekeyed")                                        \
	X(CHILD_HARD_LIMIT, "ike_child_hard_limit", "child SA ended at its hard limit")            \
	X(CHILD_DELETED, "ike_child_deleted", "child SA deleted")                                  \
	X(CHILD_SOFT_LIMIT, "ike_child_soft_limit", "child SA reached its bytes or packets")       \
	X(STARTED, "ike_started", "connecting by ourselves")                                       \
	X(NO_PATH, "ike_no_path", "no address to connect to, or none to connect from")             \
	X(MAX_QUEUE, "ike_max_queue", "no more child SAs for single workers (RFC 9611)")           \
	X(CHILDLESS, "ike_childless", "session without a child SA")                                \
	X(PEER_MOVED, "ike_peer_moved", "peer's outer address or port changed")                    \
	X(MOBIKE_UPDATE, "ike_mobike_update", "peer moved to another address by MOBIKE")           \
	X(MOBIKE_UPDATE_SENT, "ike_mobike_update_sent", "peer told of a change of addresses")      \
	X(MOBIKE_CHECK, "ike_mobike_check", "new address of a peer checked")                       \
	X(MOBIKE_COOKIE, "ike_mobike_cookie", "COOKIE2 came back changed, or not at all")          \
	X(MOBIKE_NAT, "ike_mobike_nat", "NAT on the way of a peer that allows none")               \
	X(MOBIKE_UNACCEPTABLE, "ike_mobike_unacceptable", "address that a peer may not move to")   \
	X(MOBIKE_RATE, "ike_mobike_rate", "peer moves too often")                                  \
	X(MOBIKE_ADDRESS, "ike_mobike_address",                                                    \
		"additional address of a peer unusable, or one too many")                          \
	X(MOBIKE_REFUSED, "ike_mobike_refused", "peer refused our new address")                    \
	X(MOBIKE_PATHS, "ike_mobike_paths", "own request without an answer tried on other paths")  \
	X(LEASE_ADOPTED, "ike_lease_adopted", "lease taken over by a new IKE SA")                  \
	X(LEASE_LOST, "ike_lease_lost", "lease ended before it was in use")                        \
	X(LEASE_REVOKED, "ike_lease_revoked", "session ended: its address was taken back")         \
	/* one session takes another's place */                                                    \
	X(REAUTH_BEGUN, "ike_reauth_begun", "re-authentication begun")                             \
	X(REAUTHENTICATED, "ike_reauthenticated", "re-authenticated, old IKE SA to be deleted")    \
	X(REAUTH_FAILED, "ike_reauth_failed", "re-authentication failed")                          \
	X(REAUTH_MISSED, "ike_reauth_missed", "peer has not re-authenticated in time")             \
	X(DUPLICATE, "ike_duplicate", "both sides began an IKE SA, one gives way")                 \
	X(REVIVED, "ike_revived", "session goes on: the one that was to replace it has ended")     \
	/* quick crash detection, RFC 6290 */                                                      \
	X(QCD_SHOWN, "ike_qcd_shown", "token shown to a peer whose IKE SA is not here")            \
	X(QCD_LIMITED, "ike_qcd_limited", "token not shown: too many of late")                     \
	X(QCD_CRASHED, "ike_qcd_crashed", "peer has shown the token: it has lost the IKE SA")      \
	X(QCD_BAD, "ike_qcd_bad", "wrong token in clear ignored")                                  \
	X(QCD_LENGTH, "ike_qcd_length", "token shorter than 16 or longer than 128 bytes")          \
	/* IKEv1 */                                                                                \
	X(V1_NOT_CONFIGURED, "ikev1_not_configured",                                               \
		"IKEv1, which no connection of this address has")                                  \
	X(V1_HALF_OPEN_FULL, "ikev1_half_open_full", "too many half-open ISAKMP SAs")              \
	X(V1_CLEAR_INFORMATIONAL, "ikev1_clear_informational",                                     \
		"informational message in clear ignored")                                          \
	X(V1_GARBLED, "ikev1_garbled", "message decrypts to nothing that makes sense")             \
	X(V1_HASH, "ikev1_hash", "message's HASH does not verify")                                 \
	X(V1_MESSAGE_ID, "ikev1_message_id", "message id used before, or 0 where it must not be")  \
	X(V1_OUT_OF_TURN, "ikev1_out_of_turn", "message that the exchange does not expect")        \
	X(V1_EXCHANGES, "ikev1_exchanges", "too many exchanges at a time")                         \
	X(V1_QUEUED, "ikev1_queued", "message kept until phase 1 or the login is over")            \
	X(V1_QUEUE_FULL, "ikev1_queue_full",                                                       \
		"message before phase 1 or the login is over, one is kept already")                \
	X(V1_NO_ANSWER, "ikev1_no_answer", "peer did not answer in an exchange of ours")           \
	X(V1_TRAILING, "ikev1_trailing", "bytes behind the last payload of a message in clear")    \
	X(V1_RESENT, "ikev1_resent", "message repeated by the peer, ours sent again")              \
	X(V1_NO_AGGRESSIVE, "ikev1_no_aggressive",                                                 \
		"aggressive mode with a PSK, which no connection allows")                          \
	X(V1_AUTH_METHOD, "ikev1_auth_method",                                                     \
		"authentication method not supported or not configured")                           \
	X(V1_NO_GROUP, "ikev1_no_group", "aggressive mode with an ID that has no pre-shared key")  \
	X(V1_BAD_HASH_AUTH, "ikev1_bad_hash_auth",                                                 \
		"phase 1: HASH does not verify, so the pre-shared keys differ")                    \
	X(V1_PHASE1, "ikev1_phase1", "phase 1 done")                                               \
	X(V1_LOGIN_TIMEOUT, "ikev1_login_timeout", "XAUTH or authorization did not end in time")   \
	X(V1_XAUTH_SENT, "ikev1_xauth_sent", "XAUTH request sent")                                 \
	X(V1_XAUTH_OK, "ikev1_xauth_ok", "XAUTH: user authenticated")                              \
	X(V1_XAUTH_FAILED, "ikev1_xauth_failed", "XAUTH: user name or password wrong")             \
	X(V1_XAUTH_REFUSED, "ikev1_xauth_refused",                                                 \
		"XAUTH: peer refused or answered what was not asked")                              \
	X(V1_XAUTH_UNEXPECTED, "ikev1_xauth_unexpected", "XAUTH message that is not due")          \
	X(V1_XAUTH_THROTTLED, "ikev1_xauth_throttled",                                             \
		"XAUTH: too many failures of this user or address")                                \
	X(V1_CFG_PULLED, "ikev1_cfg_pulled", "Mode Configuration request answered")                \
	X(V1_CFG_PUSHED, "ikev1_cfg_pushed", "Mode Configuration pushed and acknowledged")         \
	X(V1_CFG_DECLINED, "ikev1_cfg_declined", "peer declined the pushed address")               \
	X(V1_CFG_SILENT, "ikev1_cfg_silent", "peer did not acknowledge the pushed address")        \
	X(V1_CFG_CROSSED, "ikev1_cfg_crossed", "address request crossed a push")                   \
	X(V1_CFG_OFF, "ikev1_cfg_off",                                                             \
		"Mode Configuration request, which the connection does not answer")                \
	X(V1_CFG_EARLY, "ikev1_cfg_early", "Mode Configuration before the login is over")          \
	X(V1_CFG_BAD, "ikev1_cfg_bad",                                                             \
		"ATTRIBUTES payload malformed, or of a type that is not due")                      \
	X(V1_NO_CONFIG, "ikev1_no_config", "session goes on without an address")                   \
	X(V1_QUICK_ID, "ikev1_quick_id", "quick mode ID that is no address, or not the peer's")    \
	X(V1_QUICK_TIMEOUT, "ikev1_quick_timeout", "quick mode was not finished by the peer")      \
	X(V1_QUICK_FOURTH, "ikev1_quick_fourth", "fourth quick mode message ignored")              \
	X(V1_RECLAIMED, "ikev1_reclaimed",                                                         \
		"address claimed in quick mode without asking, given back to its owner")           \
	X(V1_DELETE_UNKNOWN, "ikev1_delete_unknown", "DELETE of an SA that is not there")          \
	X(V1_NOTIFY_IGNORED, "ikev1_notify_ignored", "protected notify without effect")            \
	X(V1_DPD_ANSWERED, "ikev1_dpd_answered", "R-U-THERE answered")                             \
	X(V1_DPD_BAD, "ikev1_dpd_bad", "DPD message with a wrong sequence number or cookies")      \
	X(V1_REAUTHENTICATED, "ikev1_reauthenticated", "new ISAKMP SA took over the session")      \
	X(V1_REDUNDANT, "ikev1_redundant", "ISAKMP SA that both sides began at the same time")     \
	X(V1_REDUNDANT_CHILD, "ikev1_redundant_child",                                             \
		"child SA that both sides began at the same time")                                 \
	X(V1_REVIVED, "ikev1_revived", "older ISAKMP SA in use again")                             \
	X(V1_IDLE, "ikev1_idle", "nothing heard of the peer since its ISAKMP SA was over")         \
	X(V1_EXPIRED, "ikev1_expired", "ISAKMP SA over, its child SAs live on")                    \
	X(IGNORED_NOTIFY, "ike_ignored_notify", "unprotected error notify ignored")

enum ike_reason {
#define X(id, name, text) IKE_REASON_##id,
	IKE_REASONS(X)
#undef X
		IKE_REASON_COUNT
};

// "ike_bad_length", ...; NULL past the last.
const char *ike_reason_name(enum ike_reason r);
// "header length differs from the datagram's", ...
const char *ike_reason_text(enum ike_reason r);

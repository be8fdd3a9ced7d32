// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The ESP suites over intel-ipsec-mb: one table of ciphers and one of integrity algorithms, and
// the two things that are done with them: expand keys (control thread), run a burst (workers).
#pragma once

#include "dataplane/sa.h"

#include <intel-ipsec-mb.h>

// A packet under way, in its worker's first cache: all that the stages know of it, so that neither
// the mbuf's second line nor its private area is touched. The caller of the suites fills what they
// need, which is said; they fill icv, and ok.
struct esp_op {
	struct rte_mbuf *m;
	struct dp_sa *sa;  // suites
	uint8_t *esp;      // suites: ESP header. Outbound before it is there: the inner packet
	uint64_t seq;      // suites: 64 bits with ESN
	uint16_t text_len; // suites: bytes of ciphertext, between IV and ICV
	bool ok;
	uint8_t tos;    // outbound: of the inner packet, as it stands there
	uint16_t len;   // bytes from the ESP header to its end; outbound: of the inner packet
	uint16_t upper; // bytes of the outer headers before ESP; outbound: of the inner packet's
	uint16_t port;  // came in by, index
	uint16_t mtu;   // too big: the largest inner packet that fits, bytes
	uint8_t df;     // outbound: of the inner packet, as it stands there
	bool framed;    // outbound: its outer headers stand, and it goes to the port out
	uint8_t out;
	union {
		struct {                         // outbound
			uint32_t to, generation; // the tunnel, as in struct dp_dst_entry
			uint32_t from; // id of the tunnel that it came out of, or TUNNEL_NONE
		};
		uint8_t tag[16] __attribute__((aligned(16))); // inbound, of a plain SA: computed
	};
	// private to the suites
	uint8_t iv[16] __attribute__((aligned(64)));
	uint8_t aad[16];
	uint8_t icv[64];  // computed
	uint8_t sent[32]; // received, where its place is needed for the high sequence bits
};

// A copy of the library (suites_copy.c).
struct dp_library {
	void *handle; // NULL: the one that all share
	int fd;
};

// Per worker; not for two threads at once.
struct dp_warm;

struct dp_crypto {
	IMB_MGR *mgr;
	struct dp_library lib; // that mgr is of
	struct dp_warm *warm;  // whose memory to ask for between two packets, or NULL
	struct gcm_context_data gcm;
	aes_gcm_enc_dec_t gcm_seal[3], gcm_open[3]; // by key length: 16, 24, 32 bytes
	// CBC IVs: a counter encrypted under a key of this worker's own, so that they are
	// unpredictable and never repeat (NIST SP 800-38A appendix C). Those of DES are half a
	// block: no more predictable, but two may be equal.
	uint64_t iv_counter[2];
	uint8_t iv_keys[16 * 15] __attribute__((aligned(16)));
	bool des_alone;   // DES and 3DES jobs must not share lanes
	uint64_t refused; // jobs that the library rejected
};

// A manager; apart: of a copy of the library for one thread, where that is faster. NULL: no memory. And its
// end. Control thread.
IMB_MGR *dp_mb_new(bool apart, struct dp_library *lib);
void dp_mb_free(IMB_MGR *m, struct dp_library *lib);

// 0, or -ENODEV where the library's self-test fails. random seeds the CBC IVs.
MUST_USE int dp_crypto_init(struct dp_crypto *c, const struct random_source *random);
// The same for one of several workers.
MUST_USE int dp_crypto_init_apart(struct dp_crypto *c, const struct random_source *random);
void dp_crypto_fini(struct dp_crypto *c);

// Expand a spec's keys into sa and dp_sa_keys(sa), and set cipher, auth, salt and lengths.
// 0, -ENOTSUP: no such suite, -EINVAL: key lengths do not fit it. Control thread, its own mgr.
MUST_USE int dp_keys_expand(IMB_MGR *mgr, const struct sa_spec *spec, struct dp_sa *sa);

// AES-GCM with an ICV of 16 bytes: what gcm.h does alone.
bool dp_suite_plain(const struct dp_sa *sa);

// Prefetch the parts of the schedule that a packet of this length uses.
void dp_keys_prefetch(const struct dp_sa *sa, uint32_t text_len);

// Encrypt in place and append the ICV behind the text; writes the IV. The ESP header stands
// already. There are at least 32 bytes behind the text. ok is false where the library refused.
void dp_seal_burst(struct dp_crypto *c, struct esp_op *ops, unsigned n);

// Verify in constant time and decrypt in place; ok tells.
void dp_open_burst(struct dp_crypto *c, struct esp_op *ops, unsigned n);

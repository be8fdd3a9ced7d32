// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The suites beside AES-GCM and ChaCha20-Poly1305, for suites_run.c: what each wants in its job.
#pragma once

#include "dataplane/suites_table.h"

// Fill in a job whose source, destination, IV, and place and length of the text are set already. op is
// borrowed until the job is done. aad_len: bytes of op->aad.
void dp_job_ccm(IMB_JOB *j, struct esp_op *op, uint32_t aad_len, bool seal);
void dp_job_split(IMB_JOB *j, struct esp_op *op, bool seal);

// AES-GMAC over a whole packet, whose op->iv is loaded. tag has room for 16 bytes.
void dp_run_gmac(struct dp_crypto *c, const struct esp_op *op, uint8_t *tag);

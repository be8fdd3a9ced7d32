// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The secret of quick crash detection (RFC 6290): kept in a file, so that it is the same after a
// restart.
#pragma once

#include "base/clock.h"
#include "base/secret.h"

#define QCD_SECRET_LEN  32 // bytes
#define QCD_SECRET_FILE "qcd.secret"

// What the file in dir holds; where there is none it is made, and dir too if that is missing. The file
// must be a plain one of ours that nobody else may read. 0, or -errno after a warning: without it no
// tokens are made. Blocks on the disk: before the control thread runs.
MUST_USE int qcd_secret_load(
	const char *dir, const struct random_source *random, struct secret *out);

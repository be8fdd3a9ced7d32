// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Grace periods: memory that workers read without a lock is freed once each of them has ended a
// poll since the memory was taken out of reach.
#pragma once

#include "dataplane/dp.h"

void dp_grace_init(struct dp *d);
// Advances, and frees what is due. Control thread.
void dp_grace_tick(struct dp *d);

// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Names that the management side prints as well.
#include "dataplane/dataplane.h"

const char *const dp_stage_name[DP_STAGES] = {
	[DP_STAGE_RX] = "rx",
	[DP_STAGE_CLASSIFY] = "classify",
	[DP_STAGE_ESP_IN] = "esp_in",
	[DP_STAGE_ROUTE] = "route",
	[DP_STAGE_ESP_OUT] = "esp_out",
	[DP_STAGE_TX] = "tx",
	[DP_STAGE_OTHER] = "other",
};

const char *const dp_trace_stage_name[DP_TRACE_STAGES] = {
	[DP_TRACE_RX] = "rx",
	[DP_TRACE_DECRYPTED] = "decrypted",
	[DP_TRACE_TO_ENCRYPT] = "to-encrypt",
	[DP_TRACE_HANDOFF] = "hand-off",
	[DP_TRACE_TAKEN] = "taken",
	[DP_TRACE_HELD] = "held",
	[DP_TRACE_PUNT] = "punt",
	[DP_TRACE_TX] = "tx",
	[DP_TRACE_DROP] = "drop",
};

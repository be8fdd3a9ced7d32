// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What is shown, as JSON: one row each, a new reference. Private to the management socket. Keys are
// never renamed; new ones may come.
#pragma once

#include "app/mgmt_internal.h"

#include <jansson.h>

json_t *mgmt_number(uint64_t v);
// Names that peers choose may be any bytes; JSON is UTF-8.
json_t *mgmt_name(const char *s);

json_t *mgmt_address(const struct ip_addr *a);
json_t *mgmt_hexadecimal(struct view v);

json_t *mgmt_session(const struct ike_session_info *s, uint64_t now_ns);
json_t *mgmt_sa(const struct ike_session_info *s, const struct ike_child_info *c, uint64_t now_ns);
json_t *mgmt_connection(const struct mgmt_connection_row *r, uint64_t now_ns);
json_t *mgmt_pool(const struct mgmt_pool_row *r);
// unix_s: now, as people count
json_t *mgmt_lease(const struct mgmt_lease_row *r, uint64_t now_ns, uint64_t unix_s);
json_t *mgmt_lease_short(const struct mgmt_lease_row *r, uint64_t now_ns, uint64_t unix_s);
json_t *mgmt_reload_reply(const struct mgmt_reload *r);
json_t *mgmt_imported(const struct mgmt_call *c);
json_t *mgmt_port(const struct dp_port_info *p);
json_t *mgmt_worker(const struct dp_worker_info *w, const char *const *handoff_names);
json_t *mgmt_trace(const struct mgmt_trace_row *r);
json_t *mgmt_status(const struct mgmt_status *s, uint64_t now_ns);

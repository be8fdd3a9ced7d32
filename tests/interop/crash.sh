#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# A client dies without a word and comes back: it gets its address again, and nobody has two.
. "$(dirname "$0")/lib.sh"

lab_begin crash
gw_config_psk | gw_config
gw_up
for c in c1 c2; do
	leg_add $c "192.0.2.1${c#c}/24"
	swan_config_psk $c >"$LAB_DIR/$c.conf"
done
need "the client starts" charon_start c1 <"$LAB_DIR/c1.conf"
need "the client connects" connect c1
before=$(inner_address c1)
check "client pings inside" pings c1 "$before" 10.99.0.10
need "the client is killed" kill -KILL "${CHARON_PID[c1]}"
need "another client starts" charon_start c2 <"$LAB_DIR/c2.conf"
need "another client connects" connect c2
check "it has another address" test "$(inner_address c2)" != "$before"
need "the client starts again" charon_start c1 <"$LAB_DIR/c1.conf"
need "the client connects again" connect c1
check "it has its old address" equals "$(inner_address c1)" "$before"
check "client pings inside again" pings c1 "$before" 10.99.0.10
check "inside pings the client again" pings in 10.99.0.10 "$before"
check "its old session has gone" within 5 shows sessions \
	'[.sessions[] | select(.remote_id == "c1.example")] | length == 1'
check "two leases are in use" shows pools '.pools[0].in_use == 2'

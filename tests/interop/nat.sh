#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# Two clients at once behind one masquerading router.
. "$(dirname "$0")/lib.sh"

lab_begin nat
gw_config_psk | gw_config "0, 1" sleep
gw_up
need "the NAT router is made" nat_add
for c in c1 c2; do
	leg_add $c "10.200.0.1${c#c}/24" lan
	ns $c ip route add default via 10.200.0.1
	swan_config_psk $c >"$LAB_DIR/$c.conf"
	need "client $c starts" charon_start $c <"$LAB_DIR/$c.conf"
	need "client $c connects" connect $c
done
inner1=$(inner_address c1)
inner2=$(inner_address c2)
check "the addresses differ" test "$inner1" != "$inner2"
check "both sessions come from the router's address" shows sessions \
	'.sessions | length == 2 and all(.remote_addr == "192.0.2.50" and .nat)'
check "their ports differ" shows sessions '[.sessions[].remote_port] | unique | length == 2'
check "c1 pings inside" pings c1 "$inner1" 10.99.0.10 10
check "c2 pings inside" pings c2 "$inner2" 10.99.0.10 10
check "inside pings c1" pings in 10.99.0.10 "$inner1" 10
check "inside pings c2" pings in 10.99.0.10 "$inner2" 10
both_at_once() {
	pings c1 "$inner1" 10.99.0.10 100 0.02 &
	local other=$!
	pings c2 "$inner2" 10.99.0.10 100 0.02 && wait $other
}
check "both ping at once, none lost" both_at_once
check "client pings client" pings c1 "$inner1" "$inner2" 10

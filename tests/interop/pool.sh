#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# A pool of two addresses and three clients: the third is refused, and takes over what is freed.
. "$(dirname "$0")/lib.sh"

lab_begin pool
gw_config_psk | sed -e "s/$POOL4.1-$POOL4.254/$POOL4.1-$POOL4.2/" \
	-e 's/pools = \[ "ire", "ire6" \]/pools = [ "ire" ]/' \
	-e 's/dns = \[ "9.9.9.9" \];/linger_s = 0;/' | gw_config
gw_up
for c in c1 c2 c3; do
	leg_add $c "192.0.2.1${c#c}/24"
	swan_config_psk $c >"$LAB_DIR/$c.conf"
	need "client $c starts" charon_start $c <"$LAB_DIR/$c.conf"
done
need "client c1 connects" connect c1
need "client c2 connects" connect c2
refused() {
	! connect c3 && grep -q INTERNAL_ADDRESS_FAILURE "$LAB_DIR/c3.charon.log"
}
check "client c3 is refused with INTERNAL_ADDRESS_FAILURE" refused
check "the pool is full and says so" shows pools \
	'.pools[0] | .free == 0 and .in_use == 2 and .exhausted > 0'
check "c1 still pings" pings c1 "$(inner_address c1)" 10.99.0.10
freed=$(inner_address c2)
need "client c2 leaves" swan c2 --terminate --ike gw
check "its session has gone" within 5 shows sessions \
	'[.sessions[].remote_id] | index("c2.example") == null'
swan c3 --terminate --ike gw >/dev/null 2>&1
need "client c3 connects now" connect c3
check "client c3 has the address that was freed" equals "$(inner_address c3)" "$freed"
check "c3 pings" pings c3 "$freed" 10.99.0.10

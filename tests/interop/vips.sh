#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# A virtual address of each family, and traffic over both.
. "$(dirname "$0")/lib.sh"

lab_begin vips
gw_config_psk | gw_config
gw_up
leg_add c1 192.0.2.11/24
swan_config_psk c1 "" "0.0.0.0,::" >"$LAB_DIR/c1.conf"
need "the client starts" charon_start c1 <"$LAB_DIR/c1.conf"
need "the client connects" connect c1
inner4=$(inner_address c1 '\.')
inner6=$(inner_address c1 ':')
check "the client has an IPv4 address" grep -Eq "^$POOL4\.[0-9]+$" <<<"$inner4"
check "the client has an IPv6 address" grep -Eq "^2001:db8:77::" <<<"$inner6"
check "client pings inside over IPv4" pings c1 "$inner4" 10.99.0.10
check "client pings inside over IPv6" pings c1 "$inner6" 2001:db8:99::10
check "inside pings the client over IPv6" pings in 2001:db8:99::10 "$inner6"
check "TCP over IPv6" tcp c1 "$inner6" in 2001:db8:99::10
check "show sessions has both addresses" shows sessions \
	".sessions[0].inner_addrs == [\"$inner4\", \"$inner6\"]"
check "show pools counts both" shows pools '[.pools[].in_use] == [1, 1]'

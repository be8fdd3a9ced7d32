#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# The client rekeys child and IKE SA while it pings 100 times a second; not one is lost.
. "$(dirname "$0")/lib.sh"

lab_begin rekey
gw_config_psk | gw_config
gw_up
leg_add c1 192.0.2.11/24
# remote_ts of one subnet: after an IKE rekey the children move along.
swan_config_psk c1 >"$LAB_DIR/c1.conf"
need "the client starts" charon_start c1 <"$LAB_DIR/c1.conf"
need "the client connects" connect c1
inner=$(inner_address c1)
check "client pings inside" pings c1 "$inner" 10.99.0.10
spi_before=$(show sessions '.sessions[0].child_sas[0].spi_in')
session=$(show sessions '.sessions[0].id')

pings_start c1 "$inner" 10.99.0.10 800 0.01
for round in 1 2 3; do
	sleep 0.8
	check "child rekey $round" swan c1 --rekey --child lan
	sleep 0.8
	check "IKE rekey $round" swan c1 --rekey --ike gw
done
check "the ping runs to its end" wait "$PINGS_PID"
echo "# $(grep received "$LAB_DIR/ping.out")"
check "none of 800 pings is lost" pings_end
rekeyed_count() {
	equals "$(grep -c "$1" "$LAB_DIR/c1.charon.log")" 3
}
check "three IKE SAs were rekeyed" rekeyed_count "IKE_SA gw\[[0-9]*\] rekeyed between"
check "one child with another SPI is left" shows sessions ".sessions | length == 1 and
	.[0].id == $session and (.[0].child_sas | length == 1) and
	.[0].child_sas[0].spi_in != \"$spi_before\" and .[0].inner_addrs == [\"$inner\"]"
check "the pool still has one lease" shows pools '.pools[0].in_use == 1'
check "traffic goes on" pings c1 "$inner" 10.99.0.10

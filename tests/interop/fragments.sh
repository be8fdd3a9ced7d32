#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# IKE fragmentation (RFC 7383) forced in both directions.
. "$(dirname "$0")/lib.sh"

lab_begin fragments
need "the CA is made" pki_ca
need "the headend's certificate is made" pki_issue gw -newkey rsa:4096
need "the client's certificate is made" pki_issue c1 -newkey rsa:4096
gw_config_cert 'fragment_size = 600;' | gw_config
gw_up
leg_add c1 192.0.2.11/24
pki_install c1
swan_config_cert c1 "fragmentation = force" >"$LAB_DIR/c1.conf"
CHARON_EXTRA="fragment_size = 600"
need "the client starts" charon_start c1 <"$LAB_DIR/c1.conf"
need "the client connects" connect c1
check "the client sent fragments" grep -Eq "generating IKE_AUTH request .*EF\(2/" \
	"$LAB_DIR/c1.charon.log"
check "the client received fragments" grep -Eq "parsed IKE_AUTH response .*EF\(2/" \
	"$LAB_DIR/c1.charon.log"
check "client pings inside" pings c1 "$(inner_address c1)" 10.99.0.10

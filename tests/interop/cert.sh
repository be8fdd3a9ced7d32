#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# IKEv2 with certificates made for this run: an RSA and an ECDSA client, and one nobody issued.
. "$(dirname "$0")/lib.sh"

lab_begin cert
need "the CA is made" pki_ca
need "the headend's certificate is made" pki_issue gw -newkey rsa:2048
need "an RSA certificate is made" pki_issue c1 -newkey rsa:3072
need "an ECDSA certificate is made" pki_issue c2 -newkey ec -pkeyopt ec_paramgen_curve:P-256
gw_config_cert | gw_config
gw_up

connects_and_pings() { # NAME
	swan_config_cert "$1" >"$LAB_DIR/$1.conf"
	leg_add "$1" "192.0.2.1${1#c}/24"
	pki_install "$1"
	need "client $1 starts" charon_start "$1" <"$LAB_DIR/$1.conf"
	need "client $1 connects" connect "$1"
	check "client $1 pings inside" pings "$1" "$(inner_address "$1")" 10.99.0.10
}

connects_and_pings c1
connects_and_pings c2
check "both sessions are shown with their identities" shows sessions \
	'[.sessions[].remote_id] | sort == ["c1.example", "c2.example"]'

mv "$LAB_DIR/pki/ca.pem" "$LAB_DIR/pki/good-ca.pem"
need "another CA is made" pki_ca
need "a certificate of the other CA is made" pki_issue c3 -newkey rsa:2048
mv "$LAB_DIR/pki/good-ca.pem" "$LAB_DIR/pki/ca.pem"
swan_config_cert c3 >"$LAB_DIR/c3.conf"
leg_add c3 192.0.2.13/24
pki_install c3
need "client c3 starts" charon_start c3 <"$LAB_DIR/c3.conf"
refused() {
	! connect c3 && grep -q "AUTHENTICATION_FAILED" "$LAB_DIR/c3.charon.log"
}
check "client c3 of the other CA is refused with AUTHENTICATION_FAILED" refused
check "no session of c3 is left" shows sessions '.sessions | length == 2'

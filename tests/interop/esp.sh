#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# Plain ESP (protocol 50) over TAP with scapy as the peer: its suites, every padding, ESN, and what must
# be refused. Other lengths of key: esp-families.sh, esp-transport.sh. IKE takes no part.
. "$(dirname "$0")/lib.sh"

lab_begin esp
gw_config_psk | gw_config
ns_add gw
bridge_add out
ns_add in
leg_add c1 192.0.2.11/24
# The peer's kernel has no ESP and would answer with ICMP.
ns c1 nft add table ip quiet
ns c1 nft 'add chain ip quiet out { type filter hook output priority 0; }'
ns c1 nft add rule ip quiet out icmp type destination-unreachable drop

host_start() { # PROPOSAL ESN
	rm -f "$LAB_DIR/gw.out"
	nsenter --net="/run/netns/$LAB-gw" -- "$BUILD/tests/dataplane/esp_host" "$LAB_DIR/gw.conf" "$1" "$2" 192.0.2.11 "$POOL4.7" \
		>"$LAB_DIR/gw.out" 2>"$LAB_DIR/esp_host.log" &
	GW_PID=$!
	LAB_PIDS+=("$GW_PID")
	gw_wait ready
}

suite() { # PROPOSAL ESN CIPHER KEY-BYTES INTEG INTEG-BYTES
	check "$1, ESN $2: the data plane starts" host_start "$1" "$2" || return
	gw_attach
	check "$1, ESN $2: scapy and the headend understand each other" ns c1 /usr/bin/python3 \
		"$LAB_ROOT/tests/interop/esp_peer.py" "$3" "$4" "$5" "$6" "$2" \
		"$(sed -n 's/ready //p' "$LAB_DIR/gw.out")" 02:00:00:00:01:01
	check "$1, ESN $2: it ends with status 0" gw_stop
}

suite aes128gcm16 0 AES-GCM 20 none 0
suite aes256gcm16 1 AES-GCM 36 none 0
suite aes128-sha256 0 AES-CBC 16 SHA2-256-128 32
suite aes256-sha1 1 AES-CBC 32 HMAC-SHA1-96 20
suite aes128-sha384 0 AES-CBC 16 SHA2-384-192 48
suite aes128ctr-sha512 1 AES-CTR 20 SHA2-512-256 64
suite chacha20poly1305 0 CHACHA20-POLY1305 36 none 0
suite des-md5 0 DES 8 HMAC-MD5-96 16
suite 3des-sha1 1 3DES 24 HMAC-SHA1-96 20
suite aes256-md5 0 AES-CBC 32 HMAC-MD5-96 16
suite aes128ccm16 0 AES-CCM 19 none 0
suite aes256ccm16 1 AES-CCM 35 none 0
suite aes128ctr-aescmac 0 AES-CTR 20 AES-CMAC-96 16
suite null-aescmac 1 NULL 0 AES-CMAC-96 16

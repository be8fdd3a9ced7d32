# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# The one list of Debian packages (12 and 13), sourced by every script that installs some.
# shellcheck shell=bash disable=SC2034

PACKAGES_BUILD=(gcc libc6-dev meson ninja-build pkg-config libdpdk-dev libipsec-mb-dev libssl-dev
	libconfig-dev libsqlite3-dev libjansson-dev libedit-dev libpcap-dev libcmocka-dev)

# A client of the quickstart, and the means to look at what it did.
PACKAGES_QUICKSTART=(iproute2 iputils-ping procps jq python3-minimal strongswan-swanctl
	charon-systemd libcharon-extra-plugins libcharon-extauth-plugins
	libstrongswan-standard-plugins libstrongswan-extra-plugins)

PACKAGES_TEST=(liblmdb-dev clang libclang-rt-dev clang-format openssl nftables iperf3 vpnc ike-scan
	python3-scapy python3-cryptography shellcheck debootstrap lua5.4 tshark conntrack
	qemu-system-x86 cpio busybox-static kea-dhcp4-server dnsmasq-base)

# Install what is missing, without questions; nothing is done where all is there.
packages_install() {
	local missing=() p
	for p in "$@"; do
		dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed ||
			missing+=("$p")
	done
	[ ${#missing[@]} -eq 0 ] && return 0
	echo "# installing: ${missing[*]}"
	apt-get update -qq >&2 || return
	# A daemon that a package would start belongs to the machine's owner, not to a test.
	local policy=/usr/sbin/policy-rc.d made=
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=1
	fi
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		"${missing[@]}" >&2
	local rc=$?
	[ -z "$made" ] || rm -f "$policy"
	return $rc
}

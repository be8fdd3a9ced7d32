#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The sallyport authors
#
# usage: tests/tree.sh SUITE COMMAND...
#
# Runs a command, from the top of a copy of these sources, inside a minimal Debian tree of SUITE
# ("bookworm", "trixie"). The tree is made by debootstrap with the mirror that this machine's apt
# uses, and kept in /var/cache (or $SALLYPORT_TREES) for the next time; FRESH=1 makes it anew.
# All mounts live in a mount namespace of their own, so none is left behind.
set -eu
SUITE=$1
shift
SOURCE=$(cd "$(dirname "$0")/.." && pwd)
TREE=${SALLYPORT_TREES:-/var/cache}/sallyport-$SUITE

mirror() {
	local codename
	# shellcheck disable=SC1091
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	apt-get indextargets --format '$(CODENAME) $(REPO_URI)' |
		awk -v c="$codename" '$1 == c { print $2; exit }'
}

make_tree() {
	local url
	url=$(mirror)
	[ -n "$url" ] || { echo "apt knows no mirror" >&2 && return 1; }
	rm -rf --one-file-system "$TREE" "$TREE.new"
	mkdir -p "$TREE.new"
	debootstrap --variant=minbase "$SUITE" "$TREE.new" "$url" >&2
	# Proxies of this machine's apt hold inside as well.
	apt-config dump | grep -i '^Acquire::https\?::Proxy' \
		>"$TREE.new/etc/apt/apt.conf.d/90machine" || true
	mv "$TREE.new" "$TREE"
}

if [ -n "${FRESH-}" ] || [ ! -x "$TREE/bin/bash" ]; then make_tree; fi

# Only what differs is written, with the present time, so that a kept build directory is right.
copy_sources() {
	local f
	rm -rf "$TREE/src.new"
	mkdir -p "$TREE/src" "$TREE/src.new"
	tar -C "$SOURCE" --exclude='./build*' --exclude=./.git -cf - . | tar -C "$TREE/src.new" -xf -
	(cd "$TREE/src" && find . -path './build*' -prune -o -type f -print) | while read -r f; do
		[ -e "$TREE/src.new/$f" ] || rm -f "$TREE/src/$f"
	done
	(cd "$TREE/src.new" && find . -type f) | while read -r f; do
		cmp -s "$TREE/src.new/$f" "$TREE/src/$f" && continue
		mkdir -p "$(dirname "$TREE/src/$f")"
		cp "$TREE/src.new/$f" "$TREE/src/$f"
	done
	rm -rf "$TREE/src.new"
}

copy_sources
[ ! -e /etc/resolv.conf ] || cat /etc/resolv.conf >"$TREE/etc/resolv.conf"
cat /etc/hosts >"$TREE/etc/hosts"

export TREE
# shellcheck disable=SC2016
exec unshare --mount --propagation private bash -c '
	set -e
	mount --rbind /dev "$TREE/dev"
	mount --rbind /proc "$TREE/proc"
	mount --rbind /sys "$TREE/sys"
	mount -t tmpfs tmpfs "$TREE/tmp"
	mkdir -p "$TREE/run" && mount -t tmpfs tmpfs "$TREE/run"
	exec chroot "$TREE" bash -c "cd /src && exec \"\$@\"" tree "$@"' tree "$@"

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# The sandbox: what a daemon that was taken over can do within it, wall by wall
# and mode by mode (tests/tools/breakout), and what the modes promise.

. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/daemon.sh"

requires python3 socat timeout
[ "$(id -u)" -eq 0 ] || skip_all "only root has privileges to give up"

breakout=$top_builddir/tests/tools/breakout
grep -q landlock /sys/kernel/security/lsm 2>/dev/null && landlock=yes || landlock=no
grep -q '^#define HAVE_LIBSECCOMP 1' "$top_builddir/config.h" && seccomp=yes || seccomp=no
grep -q '^#define HAVE_LIBCAP_NG 1' "$top_builddir/config.h" && capng=yes || capng=no
[ $landlock$seccomp$capng = yesyesyes ] ||
	skip_all "a wall is missing: Landlock $landlock, libseccomp $seccomp, libcap-ng $capng"

# Nobody's business: files, sockets and a process that the daemon has not to do with.
other=$tmp/other
mkdir "$other" "$tmp/run"
echo secret >"$other/file"
sleep 1000 &
victim=$!
socat "UNIX-LISTEN:$other/socket,fork" /dev/null &
listener=$!
socat "TCP-LISTEN:$port,bind=127.0.0.1,fork,reuseaddr" /dev/null &
tcp_listener=$!
cleanup_fn "kill $victim $listener $tcp_listener 2>/dev/null"
wait_for 10 test -S "$other/socket" || exit 99

# try MODE NAME TARGET [OPTION]...: prints done, refused or killed.
try() {
	mode=$1
	name=$2
	shift 2
	VHU_BREAKOUT=$name VHU_BREAKOUT_TARGET=$1 timeout -k 1 60 "$breakout" \
		--sandbox "$mode" -s "$tmp/run/s" -b network -p $((port + 1)) --log-level error \
		$options </dev/null >/dev/null 2>"$tmp/said"
	case $? in
	40) echo "done" ;;
	41) echo refused ;;
	159) grep -q "system call .* is not allowed in the sandbox" "$tmp/said" && echo killed ;;
	*) echo "something else: $(cat "$tmp/said")" ;;
	esac
	rm -f "$tmp/run/s0"
}

# A sanitizer's runtime makes calls of its own, which are allowed then.
grep -q __asan_init "$breakout" && sanitized=yes || sanitized=no

# Rows: NAME TARGET none auto strict. stopped: refused by the kernel, or killed for asking.
table() {
	cat <<-EOF2
		read-file $other/file done refused stopped
		write-file $other/new done refused stopped
		list-folder $other done refused stopped
		remove-file $other/gone done refused refused
		change-mode $other/file done killed killed
		exec-shell - done refused killed
		connect-tcp $port done killed killed
		bind-tcp $((port + 2)) done killed killed
		connect-unix $other/socket done killed killed
		ring-read-file $other/file done refused killed
		ring-write-file $other/new done refused killed
		ring-connect-unix $other/socket done done killed
		map-code - done killed killed
		make-code - done killed killed
		ptrace $victim done stopped stopped
		kill $victim done refused stopped
		setuid - done killed killed
		capabilities - done refused killed
		mount $other done killed killed
		packet-socket - done killed killed
		netlink-socket - done killed killed
		user-namespace - done killed killed
	EOF2
	[ $sanitized = yes ] || echo "fork - done done killed"
}

# as_expected GOT WANTED
as_expected() {
	[ "$1" = "$2" ] || { [ "$2" = stopped ] && [ "$1" = refused -o "$1" = killed ]; }
}

# What an attempt may have changed is as before.
put_back() {
	: >"$other/gone"
	rm -f "$other/new"
	kill -0 $victim 2>/dev/null || { sleep 1000 & victim=$!; }
}

# row NAME TARGET NONE AUTO STRICT
row() {
	name=$1
	target=$2
	shift 2
	line=
	good=yes
	for mode in none auto strict; do
		put_back
		case $name in kill | ptrace) target=$victim ;; esac
		got=$(try $mode "$name" "$target")
		umount "$other" 2>/dev/null
		chmod 644 "$other/file"
		as_expected "$got" "$1" || good="$mode should have been $1"
		line="$line $(printf '%-8s' "$got")"
		shift
	done
	printf '%-18s%s\n' "$name" "$line"
	[ "$good" = yes ] || { echo "# $good"; return 1; }
}

# The table is the proof: it is shown also when all is well.
walls() {
	result=0
	printf '%-18s %-8s %-8s %-8s\n' wall none auto strict >"$tmp/table"
	table >"$tmp/rows"
	while read -r line; do
		# shellcheck disable=SC2086
		row $line >>"$tmp/table" 2>&1 </dev/null || result=1
	done <"$tmp/rows"
	return $result
}

options=

plan 1
if walls; then ok "each wall stops what it is there for"; else not_ok "each wall stops what it is there for"; fi
note "$tmp/table"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# upgrade.sh uml|qemu: a real Linux guest, whose daemon becomes another program
# (SIGUSR2) while its shell prints. Run by scripts/check; alone:
# daemon=PROGRAM tests/guest/upgrade.sh uml
type=${1:?uml or qemu}
top_srcdir=$(cd "$(dirname "$0")/../.." && pwd)
. "$top_srcdir/tests/sys/tap.sh"
. "$top_srcdir/scripts/lib/setup.sh"
. "$top_srcdir/scripts/lib/guests.sh"
. "$top_srcdir/tests/guest/scenario.sh"

boot_deadline=60

# upgraded N: it says so for the Nth time.
upgraded() {
	[ "$(grep -c 'console: upgraded: ' "$tmp/daemon.log")" -ge "$1" ]
}

# upgrades N: one after the other. The daemon keeps its process.
upgrades() {
	local i before
	before=$(grep -c 'console: upgraded: ' "$tmp/daemon.log") || :
	for ((i = 1; i <= $1; i++)); do
		kill -s USR2 "$(cat "$tmp/daemon.pid")"
		wait_for 20 upgraded $((before + i))
	done
}

boots() {
	guest_boot "$type" "$type"0 "$tmp/vhu0"
	wait_for $boot_deadline guest_booted "$type"0
	talk_join "$type"0 "$port"
	answers "$type"0 tty /dev/hvc0
}

prints_during() {
	talk_join "$type"0 "$port"
	upgrades 5 &
	local upgrades=$!
	talk "$type"0 md5 60 'seq 1 20000'
	wait "$upgrades"
	same md5 "$(seq 1 20000 | md5sum)" "$REPLY  -"
}

types_during() {
	local i
	talk_join "$type"0 "$port"
	for ((i = 1; i <= 5; i++)); do
		upgrades 1
		answers "$type"0 "echo \$(($i * $i))" $((i * i))
	done
}

pastes_during() {
	talk_join "$type"0 "$port"
	upgrades 3 &
	local upgrades=$!
	talk "$type"0 paste 60 3000
	wait "$upgrades"
}

boots_during() {
	talk_join "$type"0 "$port"
	talk "$type"0 type 'reboot -f'
	upgrades 3
	talk "$type"0 expect $boot_deadline 'console on /dev/hvc0'
	answers "$type"0 'echo $((6 * 7))' 42
}

requires python3 busybox cpio
[ "$type" != uml ] || requires linux.uml
guest_setup "$type" || skip_all "no $type guest can be had here"
cleanup_fn processes_end
plan 5
port=$(free_ports 1)
daemon_start 1 "$port" || exit 1
scenario "a guest boots" boots
scenario "a command prints during five upgrades: exact" prints_during
scenario "keys are answered after each of five" types_during
scenario "a paste during three" pastes_during
scenario "a guest that starts during three" boots_during

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# network.sh TYPE (uml, qemu, qemu-iommu...): consoles of real Linux guests over TCP. Run by
# scripts/check; alone: daemon=PROGRAM tests/guest/network.sh uml
type=${1:?a type of guest_setup}
top_srcdir=$(cd "$(dirname "$0")/../.." && pwd)
. "$top_srcdir/tests/sys/tap.sh"
. "$top_srcdir/scripts/lib/setup.sh"
. "$top_srcdir/scripts/lib/guests.sh"
. "$top_srcdir/tests/guest/scenario.sh"

boot_deadline=60

boot_log() {
	guest_boot "$type" "$type"0 "$tmp/vhu0" boot_log=yes
	wait_for $boot_deadline guest_booted "$type"0
	talk_start_at "$type"0 "$port"
	talk "$type"0 expect 10 '\[boot log\]\r\n(.*)\[end of boot log\]'
	local log=$REPLY
	grep -q 'Linux version' <<<"$log"
	answers "$type"0 'md5sum </run/boot.log' "$(printf %s "$log" | md5sum)"
}

prompt() {
	talk_join "$type"0 "$port"
	talk "$type"0 type ''
	talk "$type"0 expect 10 "$type"'0# '
	answers "$type"0 tty /dev/hvc0
}

long_output() {
	talk_join "$type"0 "$port"
	talk "$type"0 md5 60 'seq 1 20000'
	same md5 "$(seq 1 20000 | md5sum)" "$REPLY  -"
}

paste_back() {
	talk_join "$type"0 "$port"
	talk "$type"0 paste 60 "$1"
}

client_returns() {
	local i
	talk_start "$type"0
	for ((i = 1; i <= 20; i++)); do
		talk "$type"0 open "$port"
		answers "$type"0 "echo \$(($i * $i))" $((i * i))
		talk "$type"0 close
	done
}

# The shell's greeting comes once per boot.
await_boot() {
	talk "$type"0 expect $boot_deadline 'console on /dev/hvc0'
	answers "$type"0 'test ! -e /run/mark && echo new && touch /run/mark' new
}

guest_reboots() {
	local i
	talk_join "$type"0 "$port"
	talk "$type"0 run 10 'touch /run/mark'
	for ((i = 1; i <= 3; i++)); do
		talk "$type"0 type 'reboot -f'
		await_boot
	done
}

frontend_killed() {
	talk_join "$type"0 "$port"
	talk "$type"0 run 10 'touch /run/mark'
	process_end "$type"0 KILL
	guest_boot "$type" "$type"0 "$tmp/vhu0"
	await_boot
}

module_reloads() {
	local i
	talk_join "$type"0 "$port"
	for ((i = 1; i <= 5; i++)); do
		talk "$type"0 type 'exec reload'
		talk "$type"0 expect 20 "virtio_console reloaded: $i\r\n.*console on /dev/hvc0"
		answers "$type"0 "echo \$(($i + 41))" $((i + 41))
	done
}

four_guests() {
	local i
	for i in 1 2 3; do
		guest_boot "$type" "$type$i" "$tmp/vhu$i"
	done
	for i in 0 1 2 3; do
		talk_start_at "$type$i" $((port + i))
	done
	for i in 1 2 3; do
		talk "$type$i" expect $((2 * boot_deadline)) 'console on /dev/hvc0'
	done
	for i in 0 1 2 3; do
		talk_ask "$type$i" md5 120 "seq $((i + 1)) 6000"
	done
	for i in 0 1 2 3; do
		talk_answer "$type$i"
		same "md5 of $type$i" "$(seq $((i + 1)) 6000 | md5sum)" "$REPLY  -"
		answers "$type$i" hostname "$type$i"
	done
}

daemon_ends() {
	local pid
	pid=$(cat "$tmp/daemon.pid")
	! process_gone "$pid"
	process_end daemon TERM
	[ ! -e "$tmp/vhu0" ]
}

requires python3 busybox cpio
[ "$type" != uml ] || requires linux.uml
guest_setup "$type" || skip_all "no $type guest can be had here"
cleanup_fn processes_end
plan 12
port=$(free_ports 4)
daemon_start 4 "$port" || exit 1

scenario "boot log of a guest that started before the client" boot_log
scenario "prompt on /dev/hvc0" prompt
scenario "md5 of seq 1 20000" long_output
scenario "paste of 200 bytes" paste_back 200
scenario "paste of 4000 bytes" paste_back 4000
scenario "paste of 60000 bytes" paste_back 60000
scenario "client leaves and returns 20 times" client_returns
scenario "guest reboots 3 times" guest_reboots
scenario "front-end killed and started again" frontend_killed
scenario "virtio_console out and in 5 times" module_reloads
scenario "four guests at once" four_guests
scenario "the same daemon to the end, then SIGTERM" daemon_ends

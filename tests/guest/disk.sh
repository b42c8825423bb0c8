#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# disk.sh: the disk of a real Linux guest, with none of our programs but vhu-trace:
# Debian's QEMU and its qemu-storage-daemon, which must not notice when they are
# traced. Run by scripts/check; alone: tracer=PROGRAM tests/guest/disk.sh
top_srcdir=$(cd "$(dirname "$0")/../.." && pwd)
. "$top_srcdir/tests/sys/tap.sh"
. "$top_srcdir/scripts/lib/setup.sh"
. "$top_srcdir/scripts/lib/guests.sh"
. "$top_srcdir/scripts/lib/peers.sh"
. "$top_srcdir/tests/guest/scenario.sh"

boot_deadline=60
MiB=1048576
image=$tmp/disk
socket=$tmp/blk

# shellcheck disable=SC2317 # called by guest_image
shell() {
	install -m 755 "$guest_source/use" "$1/use"
}

disk_start() {
	head -c "$((8 * MiB))" /dev/urandom >"$image"
	process_start disk qemu-storage-daemon \
		--blockdev "driver=file,node-name=disk,filename=$image" --export \
		"type=vhost-user-blk,id=e,node-name=disk,writable=on,addr.type=unix,addr.path=$socket"
	wait_for 10 listens "$socket"
}

# The guest's shell is at the other end of $tmp/shell.
disk_guest_boot() {
	local front=$socket words
	if [ -n "${tracer:-}" ]; then
		traced "$socket" block || return 1
		front=$socket.traced
	fi
	words=$(machine shell -device vhost-user-blk-pci,chardev=peer \
		-chardev "socket,id=shell,path=$tmp/shell,server=on,wait=off" -serial chardev:shell)
	# They are quoted for a shell.
	eval "process_start guest qemu-system-x86_64 ${words//\{socket\}/$front}"
	wait_for 10 listens "$tmp/shell"
}

# sum OPTION...: md5 of what dd reads, here.
sum() {
	dd status=none bs=4k "$@" | md5sum
}

# same_bytes [OPTION]...: of the disk, for the guest and in the file; OPTIONs are dd's.
same_bytes() {
	answers guest "dd if=/dev/vda bs=4k $* 2>/dev/null | md5sum" "$(sum if="$image" "$@")"
}

# The shell's greeting comes once per boot, when the modules are in.
await_boot() {
	talk guest expect $boot_deadline 'console on /dev/ttyS1'
	answers guest 'test ! -e /run/mark && echo new && touch /run/mark' new
}

whole_disk() {
	disk_guest_boot
	talk_start_at guest "$tmp/shell"
	await_boot
	answers guest 'cat /sys/block/vda/size' $((8 * MiB / 512))
	same_bytes
}

guest_writes() {
	local before
	before=$(sum if="$image")
	talk_join guest "$tmp/shell"
	talk guest run 20 'dd if=/dev/urandom of=/run/new bs=4k count=300 2>/dev/null'
	talk guest run 20 'dd if=/run/new of=/dev/vda bs=4k seek=100 2>/dev/null; sync'
	answers guest 'md5sum </run/new' "$(sum if="$image" skip=100 count=300)"
	[ "$(sum if="$image")" != "$before" ]
	[ "$(stat -c %s "$image")" = $((8 * MiB)) ]
}

guest_reboots() {
	local i
	talk_join guest "$tmp/shell"
	for i in 1 2; do
		talk guest type 'reboot -f'
		await_boot
		same_bytes
		talk guest run 20 "echo reboot $i | dd of=/dev/vda bs=512 conv=sync,fsync seek=$i"
		[ "$(dd if="$image" status=none bs=512 skip=$i count=1 | tr -d '\0')" = "reboot $i" ]
	done
}

frontend_killed() {
	process_end guest KILL
	disk_guest_boot
	talk_start_at guest "$tmp/shell"
	await_boot
	same_bytes
	same_bytes skip=100 count=300
}

backend_ends() {
	local pid
	pid=$(cat "$tmp/disk.pid")
	! process_gone "$pid"
	process_end disk TERM
	! listens "$socket"
}

# shown OPTION...: what the capture has; text without the numbers of sessions.
shown() {
	"$tracer" --read "$capture" --time none --device block "$@" | sed 's/^#[0-9]*  *//'
	return "${PIPESTATUS[0]}"
}

# Four boots, and a session for each front-end.
capture_has_the_sessions() {
	local name
	process_end tracer-blk TERM
	shown >"$tmp/shown"
	[ "$(grep -c 'a front-end has connected' "$tmp/shown")" = 2 ]
	[ "$(grep -c '^-> SET_VRING_KICK' "$tmp/shown")" = 4 ]
	grep -qE '^-> (SET_MEM_TABLE|ADD_MEM_REG)' "$tmp/shown"
	for name in GET_FEATURES GET_CONFIG GET_VRING_BASE; do
		grep -q "^-> $name" "$tmp/shown"
		same "$name" "$(grep -c "^-> $name" "$tmp/shown")" "$(grep -c "^<- $name" "$tmp/shown")"
	done
}

# The disk's size stands in its configuration, 16,384 sectors.
capture_has_the_configuration() {
	shown --json --only GET_CONFIG --from back-end >"$tmp/shown.json"
	python3 - "$tmp/shown.json" <<-'END'
		import json, sys
		rows = [json.loads(line) for line in open(sys.argv[1])]
		sizes = [bytes.fromhex(r['bytes'])[24:32] for r in rows if r['kind'] == 'message']
		assert sizes and set(sizes) == {(8 * 2048).to_bytes(8, 'little')}, sizes
	END
}

# Nothing is said of it if $tracer_rings did not want that.
capture_has_the_ring() {
	[ "${tracer_rings:-all}" = all ] || return 0
	grep -q '^() ring 0: kick' "$tmp/shown"
	grep -q '^() ring 0: \(used\|call\)' "$tmp/shown"
}

# Linux offers its chains well, long ones among them, and may do with them what it
# likes once they are returned.
no_chain_is_called_wrong() {
	shown --broken >"$tmp/wrong" || true
	! grep '^() ring' "$tmp/wrong"
}

# Whatever rules these two break, that is found and said, and is no failure here.
broken_rules_are_said() {
	local side status
	for side in front-end back-end; do
		status=0
		shown --from "$side" --broken >"$tmp/broken-$side.log" 2>"$tmp/broken.err" || status=$?
		[ "$status" -le 1 ]
		[ ! -s "$tmp/broken.err" ]
		[ "$status" = 0 ] || grep -q ' ! ' "$tmp/broken-$side.log"
	done
}

requires python3 busybox cpio qemu-system-x86_64 qemu-storage-daemon
kernel_setup && guest_image qemu shell "$cache/kernel/root/lib/modules" virtio_ring virtio \
	virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk ||
	skip_all "no guest with a disk can be had here"
cleanup_fn processes_end
if [ -n "${tracer:-}" ]; then plan 10; else plan 5; fi
disk_start || exit 1

scenario "the whole disk is what the file is" whole_disk
scenario "what the guest writes is in the file" guest_writes
scenario "guest reboots 2 times and reads again" guest_reboots
scenario "front-end killed and started again" frontend_killed
scenario "the same back-end to the end, then SIGTERM" backend_ends
[ -n "${tracer:-}" ] || exit 0
capture=$tmp/tracer-blk.pcapng
scenario "the capture has the sessions" capture_has_the_sessions
scenario "the capture has the disk's configuration" capture_has_the_configuration
scenario "the capture has the ring" capture_has_the_ring
scenario "no chain of the guest's is called wrong" no_chain_is_called_wrong
scenario "broken rules are said" broken_rules_are_said

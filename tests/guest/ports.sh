#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# ports.sh TYPE (uml, qemu, qemu-iommu...): named ports of a real Linux guest: what its driver promises
# to programs, hot-plug, large files, the guest agent. Run by scripts/check;
# alone: daemon=PROGRAM tests/guest/ports.sh uml
type=${1:?a type of guest_setup}
top_srcdir=$(cd "$(dirname "$0")/../.." && pwd)
. "$top_srcdir/tests/sys/tap.sh"
. "$top_srcdir/scripts/lib/setup.sh"
. "$top_srcdir/scripts/lib/guests.sh"
. "$top_srcdir/tests/guest/scenario.sh"

boot_deadline=60
agent=org.qemu.guest_agent.0
ports=/dev/virtio-ports
MiB=1048576

# More than the image of other tests has: our checks, udev, the guest agent.
software() {
	local rules=lib/udev/rules.d/50-udev-default.rules
	"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O1 -static -o "$1/bin/vport" "$guest_source/vport.c" &&
		software_program "$1" /bin/udevadm &&
		ln -s /bin/udevadm "$1/bin/systemd-udevd" &&
		mkdir "$1/var" && ln -s ../run "$1/var/run" &&
		software_program "$1" /usr/sbin/qemu-ga &&
		install -m 644 -D "$software_root/$rules" "$1/$rules" &&
		install -m 755 "$guest_source/try" "$1/bin/try" &&
		cp "/usr/share/base-passwd/passwd.master" "$1/etc/passwd" &&
		cp "/usr/share/base-passwd/group.master" "$1/etc/group"
}

ctl() {
	"$daemon" ctl --control "$tmp/control" "$@"
}

# guest COMMAND: in the guest's shell; REPLY is what it printed.
guest() {
	talk con run 60 "$1" || return 1
	case $REPLY in
	0 | '0 '*) REPLY=${REPLY#0} REPLY=${REPLY# } REPLY=${REPLY%$'\n'} ;;
	*) echo "$1: $REPLY" >&2; return 1 ;;
	esac
}

# prints COMMAND OUTPUT
prints() {
	guest "$1" && same "$1" "$2" "$REPLY"
}

# begins CHECK PORT [ARGUMENT]: in the guest, in the background; returns when it waits.
begins() {
	guest "try begin $1 $ports/$2 $3"
}

# ends_with OUTPUT: what began has ended well, and said that.
ends_with() {
	prints 'try end' "$1"
}

# console: a conversation with the shell.
console() {
	talk_join con "$port"
}

# host NAME: a client of that port.
host() {
	talk_start "$1" && talk "$1" open "$tmp/$1"
}

# host_open PORT VALUE: the guest knows about the host side.
host_open() {
	guest "try host-open $ports/$1 $2"
}

names() {
	console
	prints 'cat /sys/class/virtio-ports/*/name | sort | xargs' \
		"org.qemu.guest_agent.0 test.down test.other test.up"
	prints "ls $ports | xargs" "org.qemu.guest_agent.0 test.down test.other test.up"
	guest "readlink $ports/test.up"
	[[ $REPLY == ../vport?p2 ]]
}

open_close() {
	console
	prints "vport open $ports/test.up" open
	prints "vport busy $ports/test.up" busy
	prints "vport open $ports/test.up" open
	prints "vport lseek $ports/test.up" 'not seekable'
	# The console's own node is no port to open.
	prints 'vport no-device /dev/vport*p0' 'no device'
}

offline() {
	console
	prints "vport offline $ports/test.up" 'end of file, not writable'
	prints "vport poll $ports/test.up" 'in hup .'
}

online() {
	console
	host test.up
	host_open test.up 1
	prints "vport no-input $ports/test.up" 'no input yet'
	prints "vport poll $ports/test.up" 'out .'
	begins poll-input test.up
	talk test.up send hello
	ends_with hello
	begins read-waits test.up
	talk test.up send again
	ends_with again
	talk test.up close
	host_open test.up 0
	prints "vport poll $ports/test.up" 'in hup .'
}

write_waits() {
	console
	begins write-waits test.up late
	host test.up
	ends_with written
	talk test.up expect 20 late
}

sigio() {
	console
	host_open test.up 0
	begins sigio test.up
	host test.up
	ends_with 'sigio out .'
	begins sigio test.up
	talk test.up send x
	ends_with 'sigio in out .'
	begins sigio test.up
	talk test.up close
	ends_with 'sigio in hup .'
}

loopback() {
	console
	head -c "$1" /dev/urandom >"$tmp/loop"
	host test.up
	host_open test.up 1
	begins loop test.up "$1"
	talk test.up bounce 60 "$tmp/loop"
	same sha256 "$(sha256sum <"$tmp/loop" | head -c 64)" "$REPLY"
	ends_with looped
}

splice() {
	console
	host test.up
	guest "head -c 300000 /dev/urandom >/run/file; sha256sum </run/file | head -c 64"
	local sum=$REPLY
	begins splice test.up /run/file
	talk test.up take 60 300000
	same sha256 "$sum" "$REPLY"
	ends_with spliced
}

# The client does not read: the guest's program is told to wait, then to go on.
held() {
	console
	host test.up
	host_open test.up 1
	begins fill test.up
	guest 'try said "full after"'
	local total=${REPLY##* }
	[ "$total" -gt 0 ]
	ctl --json status | grep -q '"stalled": *true'
	prints 'echo the console goes on' 'the console goes on'
	talk test.up take 60 "$total"
	ends_with "$total"
	! ctl --json status | grep -q '"stalled": *true'
}

# Both directions at once, on two ports, while the console is used.
files_both_ways() {
	local i
	console
	head -c $((16 * MiB)) /dev/urandom >"$tmp/file"
	guest "head -c $((16 * MiB)) /dev/urandom >/run/up; sha256sum </run/up | head -c 64"
	local up=$REPLY
	host test.up
	host test.down
	host_open test.up 1
	guest "cat /run/up >$ports/test.up & head -c $((16 * MiB)) $ports/test.down | sha256sum >/run/sum & :"
	talk_ask test.down give 120 "$tmp/file"
	talk_ask test.up take 120 $((16 * MiB))
	for ((i = 0; i < 10; i++)); do
		prints "echo \$(($i * 7))" $((i * 7))
	done
	talk_answer test.down
	talk_answer test.up
	same 'sha256 of what went up' "$up" "$REPLY"
	prints 'wait; head -c 64 /run/sum' "$(sha256sum <"$tmp/file" | head -c 64)"
}

# The client goes in the middle of a transfer, and another one comes.
disconnected() {
	console
	host test.up
	host_open test.up 1
	guest "cat /dev/zero >$ports/test.up 2>/dev/null & echo \$! >/run/pid"
	talk test.up take 60 $MiB
	talk test.up close
	prints 'echo still here' 'still here'
	host test.up
	talk test.up take 60 $MiB
	guest 'kill $(cat /run/pid); wait; true'
}

# The machine is paused in the middle: its front-end stops the rings, and starts
# them again where they were.
paused() {
	console
	head -c $((4 * MiB)) /dev/urandom >"$tmp/loop"
	host test.up
	host_open test.up 1
	begins loop test.up $((4 * MiB))
	talk_start qmp
	talk qmp open "$tmp/guest.qmp"
	talk qmp ask 20 '{"execute": "qmp_capabilities"}'
	talk_ask test.up bounce 60 "$tmp/loop"
	talk qmp ask 20 '{"execute": "stop"}'
	talk qmp expect 20 '"STOP"'
	talk qmp ask 20 '{"execute": "cont"}'
	talk_answer test.up
	same sha256 "$(sha256sum <"$tmp/loop" | head -c 64)" "$REPLY"
	ends_with looped
}

hotplug() {
	local i
	console
	for i in 1 2 3 4 5; do
		ctl add-port g "6,name=test.hot,unix:$tmp/test.hot"
		guest "try exists $ports/test.hot"
		host test.hot
		begins read-waits test.hot
		talk test.hot send "plugged $i"
		ends_with "plugged $i"
		begins unplug test.hot
		ctl remove-port g/6
		ends_with 'hup, no such device'
		guest "try gone $ports/test.hot"
	done
}

hot_console() {
	console
	ctl add-port g "7,console,unix:$tmp/second"
	talk_start second
	talk second open "$tmp/second"
	guest "try console /dev/hvc1 'hello second'"
	talk second expect 20 'hello second'
	ctl remove-port g/7
	guest 'try no-console /dev/hvc1'
}

# A client of a console that does not read holds nobody up, and is told.
console_drops() {
	console
	ctl add-port g "7,console,history=4K,unix:$tmp/third"
	talk_start third
	talk third open "$tmp/third"
	guest "try console /dev/hvc1 begin"
	guest 'seq 1 80000 >/dev/hvc1'
	talk third expect 20 'bytes of output lost here'
	talk third expect 20 '80000\r\n'
	ctl remove-port g/7
}

disabled() {
	console
	host test.up
	host_open test.up 1
	ctl set-port g/test.up output=off
	guest "echo lost >$ports/test.up"
	ctl set-port g/test.up output=on
	guest "echo found >$ports/test.up"
	talk test.up take 20 6
	same sha256 "$(echo found | sha256sum | head -c 64)" "$REPLY"
	ctl set-port g/test.up input=off
	begins read-waits test.up
	talk test.up send withheld
	ctl set-port g/test.up input=on
	ends_with withheld
}

# By the control socket, and by a telnet client that has the keyboard.
size() {
	console
	ctl set-port g/0 size=132x43
	guest 'try size "43 132"'
	ctl set-port g/0 size=80x24
	guest 'try size "24 80"'
	talk_start telnet
	talk telnet open $((port + 1))
	talk telnet window 100 30
	# It has the keyboard now.
	talk_start con
	talk con open "$port"
	talk telnet type 'try size "30 100"; echo done $?'
	talk telnet expect 20 'done 0\r'
	talk telnet window 90 33
	talk telnet type 'try size "33 90"; echo over $?'
	talk telnet expect 20 'over 0\r'
}

guest_agent() {
	console
	guest "/usr/sbin/qemu-ga -d -m virtio-serial -p $ports/$agent -l /run/ga.log"
	talk_start agent
	talk agent open "$tmp/agent"
	talk agent ask 20 '{"execute": "guest-sync", "arguments": {"id": 4711}}'
	same guest-sync '{"return": 4711}' "$REPLY"
	talk agent ask 20 '{"execute": "guest-ping"}'
	same guest-ping '{"return": {}}' "$REPLY"
	talk agent ask 20 '{"execute": "guest-file-open", "arguments": {"path": "/etc/profile"}}'
	local handle=${REPLY//[!0-9]/}
	talk agent ask 20 "{\"execute\": \"guest-file-read\", \"arguments\": {\"handle\": $handle, \"count\": 65536}}"
	sed -E 's/.*"buf-b64": "([^"]*)".*/\1/' <<<"$REPLY" | base64 -d | cmp - "$guest_source/profile"
}

# The driver goes, and comes back with all ports. Linux lets it go only while no
# program has a port open.
driver_reloads() {
	local i
	console
	guest 'kill $(cat /run/qemu-ga.pid); try gone /run/qemu-ga.pid'
	for i in 1 2 3; do
		talk con type 'exec reload'
		talk con expect 30 "virtio_console reloaded: $i\r\n.*console on /dev/hvc0"
		guest "try exists $ports/test.up"
		host test.up
		begins read-waits test.up
		talk test.up send "again $i"
		ends_with "again $i"
		talk test.up close
	done
}

# As many ports as the driver takes: UML has 64 queues for a device; the other
# front-ends name queues above 255 by nothing that they could share.
all_ports() {
	local n=$1 i arguments=()
	for ((i = 1; i < n; i++)); do
		arguments+=(--port "$i,name=many.$i,unix:$tmp/many.$i")
	done
	process_start many "$daemon" --device "socket=$tmp/manyvhu$daemon_device" \
		--port "0,console,unix:$tmp/many.0" "${arguments[@]}"
	wait_for 10 test -S "$tmp/manyvhu"
	guest_queues=$((2 * (n + 1))) guest_boot "$type" manyguest "$tmp/manyvhu"
	talk_start con
	talk con open "$tmp/many.0"
	talk con expect $((2 * boot_deadline)) 'console on /dev/hvc0'
	prints "until [ \$(ls $ports | wc -l) = $((n - 1)) ]; do usleep 10000; done; ls $ports | wc -l" \
		$((n - 1))
	for i in 1 2 $((n / 2)) $((n - 1)); do
		host "many.$i"
		host_open "many.$i" 1
		begins loop "many.$i" 10000
		head -c 10000 /dev/urandom >"$tmp/loop"
		talk "many.$i" bounce 20 "$tmp/loop"
		same sha256 "$(sha256sum <"$tmp/loop" | head -c 64)" "$REPLY"
		ends_with looped
	done
	process_end manyguest KILL
	process_end many TERM
}

# The front-end has fewer queues than the device: the guest gets the ports that
# there are queues for, and is told so.
fewer_queues() {
	guest_queues=6 guest_boot "$type" few "$tmp/vhu"
	wait_for $boot_deadline guest_booted few
	console
	prints "cat /sys/class/virtio-ports/*/name" "$agent"
	grep -q 'queues' "$tmp/daemon.log"
	process_end few KILL
}

requires python3 busybox cpio cc
[ "$type" != uml ] || requires linux.uml
software_setup || skip_all "qemu-guest-agent and udev cannot be had here"
guest_setup "$type" software || skip_all "no $type guest can be had here"
cleanup_fn processes_end
n_points=20
most_ports=31
[ "$type" = uml ] || n_points=22 most_ports=126
# The half megabyte that overflows a client takes minutes behind an IOMMU.
long=1
[ "$guest_lines" -ge 20000 ] || long=0 n_points=$((n_points - 1))
plan $n_points
port=$(free_ports 2)
guest_memory=256M
guest_queues=18
process_start daemon "$daemon" --control "$tmp/control" \
	--device "socket=$tmp/vhu,name=g,max-ports=8$daemon_device" \
	--port "0,console,tcp:127.0.0.1:$port,telnet:127.0.0.1:$((port + 1)),steal" \
	--port "1,name=$agent,unix:$tmp/agent" \
	--port "2,name=test.up,unix:$tmp/test.up" \
	--port "3,name=test.down,unix:$tmp/test.down" \
	--port "4,name=test.other,unix:$tmp/test.other"
wait_for 10 test -S "$tmp/vhu" && wait_for 10 port_listens "$port" || exit 1
guest_boot "$type" guest "$tmp/vhu"
wait_for $boot_deadline guest_booted guest || exit 1

scenario "ports: /dev/virtio-ports and sysfs have the names" names
scenario "ports: open, again while open, close, seek" open_close
scenario "ports: read, write and poll without a host side" offline
scenario "ports: read and poll with a host side" online
scenario "ports: a write waits for the host side" write_waits
scenario "ports: SIGIO for the host side and for input" sigio
scenario "ports: 1000 bytes there and back" loopback 1000
scenario "ports: 3 MiB there and back" loopback 3145728
scenario "ports: splice of a file" splice
scenario "ports: a client that does not read holds the guest up" held
scenario "ports: 16 MiB both ways at once, console in use" files_both_ways
scenario "ports: client leaves in the middle, another comes" disconnected
[ "$type" = uml ] || scenario "ports: guest paused and continued in the middle" paused
scenario "ports: plugged and unplugged 5 times while open" hotplug
scenario "ports: a second console comes and goes" hot_console
[ $long = 0 ] || scenario "ports: a console client that does not read holds nobody up" console_drops
scenario "ports: a disabled direction" disabled
scenario "ports: stty size by the control socket and by telnet" size
scenario "ports: qemu-guest-agent answers" guest_agent
scenario "ports: virtio_console out and in 3 times" driver_reloads
process_end guest KILL
[ "$type" = uml ] || scenario "ports: a front-end with fewer queues" fewer_queues
scenario "ports: $most_ports at once" all_ports $most_ports

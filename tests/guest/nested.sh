#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# nested.sh uml|qemu: the console of a real Linux guest on a terminal, which is
# a pane of tmux. Run by scripts/check; alone: daemon=PROGRAM tests/guest/nested.sh uml
type=${1:?uml or qemu}
top_srcdir=$(cd "$(dirname "$0")/../.." && pwd)
. "$top_srcdir/tests/sys/tap.sh"
. "$top_srcdir/scripts/lib/setup.sh"
. "$top_srcdir/scripts/lib/guests.sh"
. "$top_srcdir/tests/guest/scenario.sh"

boot_deadline=60

pane() {
	local command=$1
	shift
	TMUX='' tmux -f /dev/null -S "$tmp/tmux" "$command" "$@"
}

# What a shell does around the daemon. Not an interactive one: that would mend
# the terminal itself.
cat >"$tmp/around.sh" <<'END'
# around.sh FOLDER DAEMON ARGUMENT...
cd "$1" || exit 1
shift
trap : INT # ^C is for the daemon
modes() { stty -g && sed -n 's/^flags://p' /proc/self/fdinfo/0; }
tty >tty
modes >before
sh -c 'echo $$ >pid; exec "$@"' sh "$@" 2>stderr
echo $? >status
modes >after
: >left
END

# terminal_open: the daemon on a terminal, case $here, its guest not yet there.
terminal_open() {
	here=$tmp/$1
	mkdir "$here"
	pane new-session -d -s "$1" -x 80 -y 24 sh "$tmp/around.sh" \
		"$here" "$daemon" --socket-path "$here/vhu" --backend nested
	wait_for 10 listens "$here/vhu0"
}

raw() {
	stty -a -F "$(cat "$here/tty")" | grep -q -e '-icanon'
}

# as_before: the modes of the terminal, now.
as_before() {
	[ "$(stty -g -F "$(cat "$here/tty")")" = "$(head -n 1 "$here/before")" ]
}

# silent SOCKET: nobody listens; the kernel may close the sockets of an io_uring a
# moment after its process is gone.
silent() {
	! listens "$1"
}

screen() {
	pane capture-pane -p -t "${here##*/}"
}

screen_has() {
	screen | grep -Eq -e "$1"
}

# see SECONDS REGEX: until a line of the screen matches.
see() {
	wait_for "$1" screen_has "$2" && return
	echo "no $2 on the screen:"
	screen
	return 1
}

keys() {
	pane send-keys -t "${here##*/}" "$@"
}

# enter COMMAND: types it as it stands.
enter() {
	keys -l "$1"
	keys Enter
}

# guest_at CASE: the daemon on a terminal and a guest's prompt on it.
guest_at() {
	terminal_open "$1"
	guest_boot "$type" "$1" "$here/vhu0"
	see $boot_deadline "^$1# *$"
	raw
}

# left STATUS: the daemon is gone, and the terminal is as it was.
left() {
	wait_for 10 test -e "$here/left"
	same "exit status" "$1" "$(cat "$here/status")"
	same "stty -g and file flags" "$(cat "$here/before")" "$(cat "$here/after")"
}

keyboard_prompt() {
	guest_at keyboard
	enter 'echo $((6 * 7)) on $(tty)'
	see 10 '^42 on /dev/hvc0$'
}

# Up brings the last command back, Left moves inside it.
arrow_keys() {
	here=$tmp/keyboard
	enter 'clear'
	enter 'echo ab$((400 + 1))'
	see 10 '^ab401$'
	enter 'clear; echo cleared'
	see 10 '^cleared$'
	keys Up Up Enter
	see 10 '^ab401$'
	keys -l 'echo cd'
	keys Left
	enter 'X'
	see 10 '^cXd$'
}

interrupt() {
	here=$tmp/keyboard
	enter 'clear; echo $((50 + 1)) sleeps; sleep 100'
	see 10 '^51 sleeps$'
	keys C-c
	enter 'echo status $?'
	see 10 '^status 130$'
}

# size_is ROWS COLUMNS: what the guest's terminal says; the change may be on its way.
size_is() {
	enter 'clear; until [ "$(stty size)" = "'"$1 $2"'" ]; do usleep 10000; done; echo "size: $(stty size)."'
	see 20 "^size: $1 $2\.\$"
}

# The guest learns of the terminal's size at its start and of every change.
resized() {
	here=$tmp/keyboard
	size_is 24 80
	pane resize-window -t keyboard -x 132 -y 43
	size_is 43 132
	pane resize-window -t keyboard -x 61 -y 17
	size_is 17 61
	pane resize-window -t keyboard -x 80 -y 24
	size_is 24 80
}

leave_by_escape() {
	here=$tmp/keyboard
	keys Enter
	keys -l '~.'
	left 0
	process_end keyboard KILL
}

leave_by_signal() {
	guest_at "signal$1"
	kill -s "$1" "$(cat "$here/pid")"
	left "$2"
	process_end "signal$1" KILL
}

# The device stays when its front-end goes, and the terminal is the shell's
# again: ^C is a signal. It is the guest's while there is one.
leave_after_frontend() {
	guest_at frontend
	enter 'clear; echo cleared'
	see 10 '^cleared$'
	process_end frontend KILL
	wait_for 10 as_before
	guest_boot "$type" frontend "$here/vhu0"
	see $boot_deadline 'console on /dev/hvc0$'
	raw
	enter 'echo $((20 + 3)) again'
	see 10 '^23 again$'
	process_end frontend KILL
	wait_for 10 as_before
	keys C-c
	left 0
}

# Nobody can restore the modes after SIGKILL, but the flags of the description
# that we share with the shell are to be as they were, and the next daemon gets
# the path.
leave_by_kill() {
	guest_at kill
	kill -s KILL "$(cat "$here/pid")"
	wait_for 10 test -e "$here/left"
	same "file flags" "$(sed -n 2p "$here/before")" "$(sed -n 2p "$here/after")"
	process_end kill KILL
	wait_for 10 silent "$here/vhu0"
	rm "$here/left" "$here/status" "$here/tty"
	pane new-session -d -s kill -x 80 -y 24 sh "$tmp/around.sh" \
		"$here" "$daemon" --socket-path "$here/vhu" --backend nested
	wait_for 10 listens "$here/vhu0"
	guest_boot "$type" kill "$here/vhu0"
	see $boot_deadline '^kill# *$'
	raw
	keys -l '~.'
	left 0
	process_end kill KILL
}

requires python3 busybox cpio tmux
[ "$type" != uml ] || requires linux.uml
guest_setup "$type" || skip_all "no $type guest can be had here"
cleanup_fn processes_end
cleanup_fn "pane kill-server 2>/dev/null"
plan 10

scenario "nested: prompt on /dev/hvc0" keyboard_prompt
scenario "nested: arrow keys" arrow_keys
scenario "nested: ^C interrupts sleep 100" interrupt
scenario "nested: stty size follows the terminal's" resized
scenario "nested: terminal restored after the escape" leave_by_escape
scenario "nested: terminal restored after SIGTERM" leave_by_signal TERM 0
scenario "nested: terminal restored after SIGINT from outside" leave_by_signal INT 0
scenario "nested: terminal restored after SIGABRT" leave_by_signal ABRT 134
scenario "nested: terminal restored while the front-end is gone" leave_after_frontend
scenario "nested: file flags kept after SIGKILL, path usable" leave_by_kill

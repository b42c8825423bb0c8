#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Who may attach: clients, front-ends, the control socket and servers that are
# connected to, as users and groups that are really others.

. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/daemon.sh"

requires socat setpriv timeout
[ "$(id -u)" -eq 0 ] || skip_all "it takes root to be several users"

alice=4241
bob=4242
staff=4243
VHU_CONTROL=$tmp/control
chmod 755 "$tmp"

# as USER GROUP COMMAND...: with no other group.
as() {
	as_user=$1
	as_group=$2
	shift 2
	setpriv --reuid="$as_user" --regid="$as_group" --clear-groups "$@"
}

# turned_away AS...: a client of the console is given nothing, and comes to its end.
turned_away() {
	: >"$tmp/got"
	"$@" timeout 20 socat -u "UNIX-CONNECT:$tmp/u0" - >"$tmp/got" 2>"$tmp/socat"
	[ $? -ne 124 ] && [ ! -s "$tmp/got" ]
}

# served AS...: a client of the console is given what the guest has said.
served() {
	: >"$tmp/got"
	"$@" socat -u "UNIX-CONNECT:$tmp/u0" - >"$tmp/got" 2>"$tmp/socat" &
	served_pid=$!
	wait_for 10 holds "$tmp/got" ${#said}
	served_result=$?
	kill "$served_pid"
	wait "$served_pid" 2>/dev/null
	[ $served_result -eq 0 ] && [ "$(cat "$tmp/got")" = "$said" ]
}

clients_are_told_apart() {
	served as $alice $alice && turned_away as $bob $bob && turned_away as $bob $alice &&
		said "$tmp/log" "turned away: neither allow-uid nor allow-gid names user $bob in group $bob "
}

groups_count_also_supplementary() {
	served as $bob $staff &&
		served setpriv --reuid=$bob --regid=$bob --groups=$staff
}

root_is_no_exception() {
	turned_away env && said "$tmp/log" 'names user 0 in group 0 '
}

# front_end_as USER PORT: a guest of that user's says it on the port.
front_end_as() {
	as "$1" "$1" "$vhu_guest" --socket "$tmp/s0" --port "$2" send "$said" 2>"$tmp/guest"
}

front_ends_are_told_apart() {
	front_end_as $alice 1 && ! front_end_as $bob 1 &&
		said "$tmp/log" "console0: a front-end was turned away: allow-uid does not name user $bob "
}

control_as() {
	as "$1" "$1" "$daemon" ctl -C "$VHU_CONTROL" status >"$tmp/out" 2>"$tmp/err"
}

control_is_for_the_listed() {
	control_as $alice && ! control_as $bob && said "$tmp/err" 'those whom allow-uid and allow-gid name' &&
		"$daemon" ctl -C "$VHU_CONTROL" status >"$tmp/out"
}

# listener USER: a server on the path that is connected to; what it hears goes to $tmp/heard.
listener() {
	mkdir -p "$tmp/there" && chmod 1777 "$tmp/there"
	: >"$tmp/heard"
	rm -f "$tmp/there/s"
	as "$1" "$1" socat -u "UNIX-LISTEN:$tmp/there/s,fork,mode=666" - >>"$tmp/heard" 2>"$tmp/socat" &
	listener=$!
	listens() { [ -S "$tmp/there/s" ]; }
	wait_for 10 listens
}

end_listener() {
	kill "$listener"
	wait "$listener" 2>/dev/null
}

strangers_that_listen_get_nothing() {
	listener $bob && wait_for 10 said "$tmp/log" \
		"who listens on Unix $tmp/there/s is not let in: allow-uid does not name user $bob "
	strangers=$?
	end_listener
	[ $strangers -eq 0 ] && [ ! -s "$tmp/heard" ] || return 1
	listener $alice && wait_for 10 holds "$tmp/heard" 5
	strangers=$?
	end_listener
	[ $strangers -eq 0 ] && grep -q "^$said" "$tmp/heard"
}

upgraded() {
	said "$tmp/log" 'upgraded: '
}

all_as_before_after_an_upgrade() {
	kill -USR2 "$daemon_pid" && wait_for 20 upgraded && : >"$tmp/log" &&
		clients_are_told_apart && front_ends_are_told_apart && control_is_for_the_listed
}

reloaded() {
	said "$tmp/log" 'the setup was read again'
}

# write_config USER: whose front-ends are let in.
write_config() {
	cat >"$tmp/conf" <<-EOP
		control $VHU_CONTROL,mode=0666,allow-uid=$alice
		device socket=$tmp/s0,mode=0666,max-ports=2,allow-uid=$1
		port 0,console,unix:$tmp/u0,mode=0666,allow-uid=$alice,allow-gid=$staff
		port 1,unix-connect:$tmp/there/s,allow-uid=$alice,replay=all,reconnect=10,reconnect-max=50
	EOP
}

other_words_after_a_reload_count() {
	write_config $bob
	kill -HUP "$daemon_pid" && wait_for 10 reloaded && front_end_as $bob 1 &&
		! front_end_as $alice 1
}

wrong_names_are_refused() {
	"$daemon" --device "socket=$tmp/x,allow-uid=no-such-user-here" 2>"$tmp/err" </dev/null
	[ $? -ne 0 ] && said "$tmp/err" 'allow-uid: there is no user "no-such-user-here" here' &&
		[ ! -e "$tmp/x" ]
}

# Who passed a connected socket, or a file, has let it in already.
what_cannot_be_asked_is_refused() {
	"$daemon" --device "fd=5,allow-uid=$alice" --port console,null 5<"$0" 2>"$tmp/err" </dev/null
	[ $? -ne 0 ] && said "$tmp/err" 'fd=5 is no Unix socket that listens' || return 1
	"$daemon" --device "socket=$tmp/x" --port "console,fd:5,allow-uid=$alice" 5<"$0" \
		2>"$tmp/err" </dev/null
	[ $? -ne 0 ] && said "$tmp/err" 'descriptor 5 is no Unix socket that listens' &&
		[ ! -e "$tmp/x" ]
}

# Names are looked up before the daemon serves; one that it has met, and any number, will do.
attached_by_ctl_with_names() {
	"$daemon" ctl -C "$VHU_CONTROL" attach console0/1 "unix:$tmp/u9,mode=0666,allow-uid=1" &&
		! "$daemon" ctl -C "$VHU_CONTROL" attach console0/1 "unix:$tmp/u8,allow-uid=no-such-user" \
			2>"$tmp/err" && said "$tmp/err" 'names are looked up at the start only: give its number'
}

said=words
plan 12
check "where nobody can be asked, rules are refused" what_cannot_be_asked_is_refused
check "a name that nobody has is refused" wrong_names_are_refused
write_config $alice
start_daemon 1 --config "$tmp/conf" || exit 1
check "a front-end of another user is turned away" front_ends_are_told_apart
check "one of the right user is served" front_end_as $alice 0
check "clients are let in by name, and others told nothing" clients_are_told_apart
check "a group counts, also a supplementary one" groups_count_also_supplementary
check "root is not on the list unless written there" root_is_no_exception
check "the control socket is for those who are listed" control_is_for_the_listed
check "a server of another user is given nothing" strangers_that_listen_get_nothing
check "names may come with ctl" attached_by_ctl_with_names
check "an upgrade changes nothing of this" all_as_before_after_an_upgrade
check "other words for front-ends count after a reload" other_words_after_a_reload_count
end_daemon

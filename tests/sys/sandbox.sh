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

# For daemons that serve: the other one is connected to.
mine=$((port + 5))

# In a worker's thread, which was there before the walls were.
in_worker() {
	VHU_BREAKOUT_IN=worker
	export VHU_BREAKOUT_IN
	options="--loops 3"
	got="$(try none read-file "$other/file") $(try auto read-file "$other/file") \
$(try auto capabilities -) $(try strict map-code -)"
	unset VHU_BREAKOUT_IN
	options=
	echo "$got"
	[ "$got" = "done refused refused killed" ]
}

# One that connects to one port may make sockets: other ports are not reached, and by no detour.
detours() {
	options="--port 1,name=out,tcp-connect:127.0.0.1:$((port + 3))"
	got=
	for name in connect-tcp connect-multipath connect-by-sending send-datagram; do
		got="$got $name: $(try none $name "$port") $(try "$1" $name "$port");"
	done
	options=
	echo "$got"
	[ "$got" = " connect-tcp: done refused; connect-multipath: done killed;\
 connect-by-sending: done killed; send-datagram: done killed;" ]
}

# One that gives files modes makes no program that runs as its owner.
modes() {
	options="--control $tmp/run/c"
	got="$(try none change-mode "$other/file")"
	chmod 644 "$other/file"
	got="$got $(try "$1" change-mode "$other/file")"
	options=
	echo "$got"
	[ "$got" = "done killed" ] && [ "$(stat -c %a "$other/file")" = 644 ]
}

# status WORD: that line of each thread's status, without doubles.
status() {
	sed -n "s/^$1:[ \t]*//p" /proc/"$daemon_pid"/task/*/status | sort -u
}

all_threads() {
	start_daemon 1 -s "$tmp/run/s" -b network -p "$mine" --loops 3 --sandbox "$1" || return 1
	for word in NoNewPrivs Seccomp CapEff CapPrm CapBnd CapInh CapAmb Uid; do
		echo "$word: $(status $word)"
	done
	[ "$(status NoNewPrivs)" = 1 ] && [ "$(status Seccomp)" = 2 ] &&
		[ "$(status CapEff) $(status CapPrm) $(status CapBnd)" = \
			"0000000000000000 0000000000000000 0000000000000000" ]
}

# Nobody's memory of a session, and nothing that could be executed, is in a core dump.
guest_memory() {
	start_daemon 1 -s "$tmp/s" -b network -p "$mine" --sandbox "$1" && watch_guest || return 1
	awk '/^[0-9a-f]+-[0-9a-f]+ / { mode = $2; mine = / \/memfd:/ }
		mine && /^VmFlags:/ { n++; print mode, $0; if (mode !~ /^rw-s/ || !/ dd /) bad = 1 }
		END { exit !n || bad }' "/proc/$daemon_pid/smaps"
	result=$?
	unwatch_guest
	return $result
}

# A descriptor that somebody has forgotten to close; and one that was named.
descriptors() {
	exec 8<"$other/file"
	start_daemon 1 -s "$tmp/run/s" -b network -p "$mine" --sandbox "$1"
	result=$?
	exec 8<&-
	[ $result -eq 0 ] && ls -l "/proc/$daemon_pid/fd" && [ -e "/proc/$daemon_pid/fd/8" ]
}

named_descriptor() {
	exec 8>"$tmp/run/out"
	start_daemon 1 -s "$tmp/run/s" --port 0,console,fd:8 --sandbox strict
	result=$?
	exec 8>&-
	[ $result -eq 0 ] && "$vhu_guest" --socket "$tmp/run/s0" send text 2>"$tmp/guest" && end_daemon &&
		said "$tmp/run/out" text
}

# Somebody else's program, and any program at all.
refuses_upgrade() {
	next=$(($(grep -c 'not upgraded' "$tmp/log") + 1))
	kill -USR2 "$daemon_pid"
	wait_for 20 eval "[ \$(grep -c 'not upgraded' \"$tmp/log\") -ge $next ]" || return 1
	grep 'not upgraded' "$tmp/log" | tail -n 1
	grep 'not upgraded' "$tmp/log" | tail -n 1 | grep -q -- "$1" && kill -0 "$daemon_pid"
}

strict_has_no_upgrade() {
	start_daemon 1 -s "$tmp/run/s" -b network -p "$mine" --sandbox strict --control "$tmp/run/ctl" &&
		refuses_upgrade '--sandbox=strict starts no program' || return 1
	ctl upgrade >"$tmp/err"
	[ $? -eq 1 ] && said "$tmp/err" 'sandbox=strict starts no program'
}

# The new one may be started as it is where the daemon is; the interpreter of a script is not.
auto_starts_its_own() {
	mkdir -p "$tmp/bin"
	cp "$top_builddir/src/vhost-device-console" "$tmp/bin/vdc"
	daemon=$tmp/bin/vdc
	start_daemon 1 -s "$tmp/run/s" -b network -p "$mine" --sandbox auto || return 1
	kill -USR2 "$daemon_pid" && wait_for 20 said "$tmp/log" ': upgraded' || return 1
	status Seccomp
	printf '#!/bin/sh\nexec %s/src/vhost-device-console "$@"\n' "$top_builddir" >"$tmp/bin/new"
	chmod +x "$tmp/bin/new" && mv "$tmp/bin/new" "$tmp/bin/vdc" &&
		refuses_upgrade 'cannot be executed' && end_daemon
}

# What was started without a sandbox gets one by an upgrade; strict wants a start.
upgrade_puts_up_walls() {
	printf 'socket-path=%s\nbackend=network\ntcp-port=%s\nsandbox=none\n' \
		"$tmp/run/s" "$mine" >"$tmp/run/conf"
	start_daemon 1 --config "$tmp/run/conf" && [ "$(status Seccomp)" = 0 ] || return 1
	sed 's/none/strict/' "$tmp/run/conf" >"$tmp/run/new" && mv "$tmp/run/new" "$tmp/run/conf" &&
		refuses_upgrade 'sandbox=strict: the wall "inherited descriptors closed" cannot be had' || return 1
	sed 's/strict/auto/' "$tmp/run/conf" >"$tmp/run/new" && mv "$tmp/run/new" "$tmp/run/conf" &&
		kill -USR2 "$daemon_pid" && wait_for 20 said "$tmp/log" ': upgraded' || return 1
	cat "$tmp/log"
	[ "$(status Seccomp)" = 2 ] && [ "$(status CapEff)" = 0000000000000000 ] && end_daemon &&
		[ "$daemon_status" -eq 0 ]
}

ctl() {
	timeout 20 "$top_builddir/src/vhost-device-console" ctl -C "$tmp/run/ctl" "$@" 2>&1
}

# What was not to be seen at the start is refused in words.
attachments() {
	mkdir -p "$tmp/later"
	start_daemon 1 --device "socket=$tmp/run/s0,max-ports=4" --control "$tmp/run/ctl" \
		--port 0,console,null --sandbox "$1" --sandbox-path "$tmp/later" || return 1
	ctl attach 0 "file:$other/x" >"$tmp/err"
	cat "$tmp/err"
	said "$tmp/err" "$other is outside the sandbox" && said "$tmp/err" 'sandbox-path names' || return 1
	ctl attach 0 "unix:$other/x" >"$tmp/err"
	said "$tmp/err" "$other is outside the sandbox" || return 1
	ctl attach 0 "unix:$tmp/run/x,group=daemon" >"$tmp/err"
	cat "$tmp/err"
	said "$tmp/err" 'names are looked up at the start only' || return 1
	ctl attach 0 "file:$tmp/later/x" && ctl attach 0 "unix:$tmp/run/y,mode=0600" && ctl attach 0 pty &&
		ctl attach 0 "unix-connect:$other/socket" && ctl attach 0 "tcp-connect:127.0.0.1:$port" &&
		ctl attach 0 "tcp:$((port + 3))" && ctl attach 0 "log:$tmp/later/log,mode=0600" &&
		ctl status console0
}

# The next program stands within the same walls, and says so in the same words.
words_after_upgrade() {
	start_daemon 1 -s "$tmp/run/s" --control "$tmp/run/ctl" --port 0,console,null \
		--sandbox-path "$tmp/later" && ctl upgrade || return 1
	ctl attach 0 "pty:$tmp/run/link" >"$tmp/err"
	cat "$tmp/err"
	said "$tmp/err" "$tmp/run is outside the sandbox for links" || return 1
	ctl attach 0 "unix:$other/x" >"$tmp/err"
	said "$tmp/err" "$other is outside the sandbox for sockets" && ctl attach 0 "pty:$tmp/later/link"
}

# Files that are read again may be symbolic links, as certificates and configurations often are.
links_are_followed() {
	mkdir -p "$tmp/links" "$tmp/kept"
	printf 'socket-path=%s\nport=0,console,null\n' "$tmp/run/s" >"$tmp/kept/conf"
	ln -sf ../kept/conf "$tmp/links/conf"
	start_daemon 1 --config "$tmp/links/conf" --sandbox strict && kill -HUP "$daemon_pid" &&
		wait_for 20 said "$tmp/log" 'the setup was read again\|stays as it was' && cat "$tmp/log" &&
		said "$tmp/log" 'the setup was read again' && end_daemon
}

# A folder that is not there could not be allowed, and would be missed much later.
path_that_is_not_there() {
	for path in "$other/nothing" "$other/file"; do
		timeout 20 "$daemon" -s "$tmp/run/s" -b network -p "$mine" --sandbox-path "$path" \
			2>"$tmp/err" </dev/null
		[ $? -eq 1 ] && cat "$tmp/err" &&
			said "$tmp/err" "sandbox-path $path: a folder that is there is expected" || return 1
	done
}

# Another user without walls has no privileges of the superuser left, and upgrades.
another_user_without_walls() {
	rm -rf "$tmp/user"
	mkdir "$tmp/user" && chmod 755 "$tmp" && chown nobody "$tmp/user" &&
		start_daemon 1 -s "$tmp/user/s" -b network -p "$mine" --loops 2 --sandbox none --user nobody ||
		return 1
	[ "$(status CapEff) $(status CapPrm)" = "0000000000000000 0000000000000000" ] &&
		[ "$(status Seccomp)" = 0 ] || return 1
	kill -USR2 "$daemon_pid" && wait_for 20 said "$tmp/log" 'upgraded' && cat "$tmp/log" &&
		said "$tmp/log" ': upgraded: ' && end_daemon
}

# Without a control socket and without files nothing new comes, and nothing of the kind is allowed.
reload_brings_no_kind() {
	printf 'socket-path=%s\nport=0,console,null\nsandbox=strict\n' "$tmp/run/s" >"$tmp/run/conf"
	start_daemon 1 --config "$tmp/run/conf" || return 1
	printf 'port=1,name=a,tcp-connect:127.0.0.1:%s\n' "$port" >>"$tmp/run/conf"
	printf 'socket-path=%s\nmax-ports=4\nport=0,console,null,tcp-connect:127.0.0.1:%s\nsandbox=strict\n' \
		"$tmp/run/s" "$port" >"$tmp/run/conf"
	kill -HUP "$daemon_pid" && wait_for 10 said "$tmp/log" 'closed without connecting by TCP' &&
		end_daemon && [ "$daemon_status" -eq 0 ]
}

# Another user, from the beginning: what it makes is its own, and stays so.
another_user() {
	rm -rf "$tmp/user"
	mkdir "$tmp/user" && chmod 755 "$tmp" && chown "$2" "$tmp/user" &&
		start_daemon 1 -s "$tmp/user/s" --journal "$tmp/user" --sandbox "$1" --user "$2" $4 \
			--device "socket=$tmp/user/d,name=d" --port "0,console,log:$tmp/user/log,max-size=4K,group=0" \
			--port "1,name=org.pty,pty:$tmp/user/p,mode=0660" || return 1
	ls -ln "$tmp/user"
	[ "$(status Uid | tr -s '\t ' ' ')" = "$3 $3 $3 $3" ] && [ "$(status CapEff)" = 0000000000000000 ] &&
		[ "$(stat -c %u "$tmp/user/d" "$tmp/user/log" "$tmp"/user/*.journal | sort -u)" = "$3" ] &&
		[ "$(stat -L -c %u "$tmp/user/p")" = "$3" ] || return 1
	"$vhu_guest" --socket "$tmp/user/d" --port 0 seq 3000 2>"$tmp/guest" || return 1
	wait_for 10 test -e "$tmp/user/log.1" && end_daemon && ls -ln "$tmp/user" &&
		[ "$daemon_status" -eq 0 ] && [ ! -e "$tmp/user/d" ] && [ "$(stat -c %g "$tmp/user/log.1")" = 0 ]
}

# A log that was given to another user while that was possible goes on when it is not.
log_of_another() {
	rm -rf "$tmp/run/logs"
	mkdir "$tmp/run/logs"
	start_daemon 1 -s "$tmp/run/s" --sandbox "$1" \
		--port "0,console,log:$tmp/run/logs/log,max-size=4K,owner=nobody" || return 1
	[ "$(stat -c %U "$tmp/run/logs/log")" = nobody ] &&
		"$vhu_guest" --socket "$tmp/run/s0" seq 3000 2>"$tmp/guest" &&
		wait_for 10 test -e "$tmp/run/logs/log.2" && end_daemon && ls -l "$tmp/run/logs" &&
		said "$tmp/run/logs/log" '^3000'
}

# What is missing is said: an older kernel, as far as this call goes.
without() {
	number=$1
	shift
	: >"$tmp/log"
	python3 "$top_srcdir/tests/sys/without-call.py" "$number" \
		"$top_builddir/src/vhost-device-console" -s "$tmp/run/s" -b network -p "$mine" "$@" \
		2>"$tmp/log" </dev/null &
	daemon_pid=$!
}

no_landlock_is_told() {
	without 444 --sandbox auto
	wait_for 20 daemon_up 0 && cat "$tmp/log" && said "$tmp/log" 'has no wall.*this kernel has no Landlock' &&
		[ "$(status Seccomp)" = 2 ] && refuses_upgrade '--sandbox=none' && end_daemon &&
		[ "$daemon_status" -eq 0 ]
}

no_landlock_is_the_end() {
	without 444 --sandbox strict
	wait "$daemon_pid"
	result=$?
	daemon_pid=
	cat "$tmp/log"
	[ $result -eq 1 ] && said "$tmp/log" 'sandbox=strict: the wall "files and ports (Landlock)" cannot be had: this kernel has no' &&
		[ ! -e "$tmp/run/s0" ]
}

unknown_user() {
	timeout 20 "$daemon" -s "$tmp/run/s" -b network -p "$mine" --user nobody-at-all 2>"$tmp/err" </dev/null
	[ $? -eq 1 ] && said "$tmp/err" 'there is no user "nobody-at-all"'
}

plan 31
if walls; then ok "each wall stops what it is there for"; else not_ok "each wall stops what it is there for"; fi
note "$tmp/table"
check "so it does in threads that were there before" in_worker
check "who connects to a port gets to no other (auto)" detours auto
check "who connects to a port gets to no other (strict)" detours strict
check "who sets modes makes no set-user-id program (auto)" modes auto
check "who sets modes makes no set-user-id program (strict)" modes strict
check "all threads have given up everything (auto)" all_threads auto
check "all threads have given up everything (strict)" all_threads strict
check "guest memory is not executable and not dumped (none)" guest_memory none
check "guest memory is not executable and not dumped (strict)" guest_memory strict
check "an inherited descriptor stays without a sandbox" descriptors none
check "it is closed by auto" eval '!' descriptors auto
check "it is closed by strict" eval '!' descriptors strict
check "one that was named is used" named_descriptor
check "strict: no upgrade, in words" strict_has_no_upgrade
check "auto: an upgrade to the program, and to no script" auto_starts_its_own
daemon=$top_builddir/src/vhost-device-console
check "an upgrade puts up walls that are not there yet" upgrade_puts_up_walls
check "attachments within the walls and outside (auto)" attachments auto
check "attachments within the walls and outside (strict)" attachments strict
check "strict: a reload brings no other kind" reload_brings_no_kind
check "an upgrade keeps the words about folders" words_after_upgrade
check "links to files that are read again are followed" links_are_followed
check "a folder that is not there is refused" path_that_is_not_there
check "another user without walls keeps no privileges" another_user_without_walls
check "another user by name" another_user auto nobody "$(id -u nobody)"
check "another user by number, strict" another_user strict 4711 4711 --group=4712
check "a log of another user goes on (auto)" log_of_another auto
check "a log of another user goes on (strict)" log_of_another strict
check "auto without Landlock goes on and says so" no_landlock_is_told
check "strict without Landlock does not" no_landlock_is_the_end
check "an unknown user is told" unknown_user

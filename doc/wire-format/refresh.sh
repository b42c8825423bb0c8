#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Makes what the chapters show: captures, and the blocks of text behind lines
# like <!-- run: COMMAND -->, each of which is what its command prints here.
#
#   refresh.sh captures DIR    the captures, anew, into DIR
#   refresh.sh text CAPTURE    its messages, as they are compared with another's
#   refresh.sh page FILE       prints the page with its blocks made anew
#   refresh.sh -u              all of it, in place
#
# Programs come from $top_builddir, the current folder if it is not set.

set -eu
course=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${top_builddir:-.}" && pwd)
trace=$build/src/vhu-trace
backend=$build/examples/minimal-backend
daemon=$build/src/vhost-device-console
PATH=$build/src:$PATH

fail() {
	echo "refresh.sh: $*" >&2
	exit 1
}

# until_socket PATH: somebody listens there, within ten seconds.
until_socket() {
	n=0
	until [ -S "$1" ]; do
		n=$((n + 1))
		[ "$n" -lt 500 ] || fail "nobody listens at $1"
		sleep 0.02
	done
}

# capture NAME SCRIPT HOW BACKEND...: the back-end, the tracer and the script, in this folder.
capture() {
	name=$1 script=$2 how=$3
	shift 3
	"$@" >"$name.out" </dev/null &
	backend_pid=$!
	until_socket backend.sock
	"$trace" --listen front.sock --connect backend.sock "$how" \
		--write "$name.pcapng" --output "$name.live" 2>"$name.err" &
	trace_pid=$!
	until_socket front.sock
	status=0
	"$trace" repl front.sock "$course/$script" >"$name.repl" 2>>"$name.err" || status=$?
	kill "$trace_pid"
	wait "$trace_pid" || status=$?
	kill "$backend_pid"
	{ wait "$backend_pid" || :; } 2>/dev/null # the shell would say how it ended
	backend_pid='' trace_pid=''
	rm -f front.sock backend.sock
	[ "$status" -eq 0 ] || fail "$script: status $status; $(tail -n 1 "$name.repl" "$name.err")"
}

# Nobody may be left when something goes wrong in between.
end_all() {
	for pid in $backend_pid $trace_pid; do
		kill "$pid" 2>/dev/null || :
	done
}

captures() {
	cd "$1"
	backend_pid='' trace_pid=''
	trap end_all EXIT
	capture session session.vhu --rings=none "$backend" backend.sock
	capture rings session.vhu --follow-data "$backend" backend.sock
	capture reconnect reconnect.vhu --follow-data "$backend" backend.sock
	capture console console.vhu --follow-data "$daemon" --log-level error \
		--device socket=backend.sock,name=vm --port console,null \
		--port name=org.example.log,null
}

# When a tracer looks at a ring is a matter of luck: pictures are left out, and the ends.
text() {
	"$trace" --read "$1" --time none |
		awk '/^[^ ]/ { said = /^(#[0-9]+ +)?(->|<-|=>|<=) / } said'
}

# A block is three backquotes, what the command prints, and three backquotes.
page() {
	awk '
		/^<!-- run/ {
			print
			match($0, /: /)
			language = substr($0, 10, RSTART - 10)
			sub(/^ /, "", language)
			command = substr($0, RSTART + 2, length($0) - RSTART - 5)
			print "```" (language ? language : "text")
			fflush()
			if (system(command))
				bad = 1
			print "```"
			fflush()
			old = 1
			next
		}
		old == 1 { old = /^```/ ? 2 : 0; if (old) next }
		old == 2 { if (/^```/) old = 0; next }
		{ print; fflush() }
		END { exit bad }
	' "$1"
}

update() {
	new=$(mktemp -d "${TMPDIR:-/tmp}/course.XXXXXX")
	trap 'rm -rf "$new"' EXIT
	(captures "$new")
	cp "$new"/*.pcapng captures
	for file in *.md exercises/*.md; do
		[ -e "$file" ] || continue
		page "$file" >"$new/page" || fail "$file: a command failed"
		cat "$new/page" >"$file"
	done
}

cd "$course"
case ${1-} in
captures) captures "$(cd "$OLDPWD" && cd "$2" && pwd)" ;;
text) cd "$OLDPWD" && text "$2" ;;
page) page "$(basename "$(dirname "$2")" | sed -n 's,^exercises$,exercises/,p')$(basename "$2")" ;;
-u) update ;;
*) fail "expected captures DIR, text CAPTURE, page FILE or -u" ;;
esac

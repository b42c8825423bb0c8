#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# vhu-conform as a program: on our daemon, and on back-ends that are wrong in
# one way each. Its exit statuses, reports, files, subcommands and end.

. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/daemon.sh"

requires python3 timeout pgrep

conform=$top_builddir/src/vhu-conform
fake=$top_builddir/tests/tools/fake-backend
number=vu/row/set-vring-num/acknowledged
fakes="--select vu/framing/unknown/01 --select vu/row/set-[fos]*/acknowledged --select $number"
served="$daemon --device socket={socket},name=vm --port console,unix:{dir}/con --log-level error"

# run STATUS ARGUMENT...: ends with STATUS.
run() {
	want=$1
	shift
	timeout -s KILL 60 "$conform" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	status=$?
	tail -n 40 "$tmp/err" "$tmp/out"
	[ "$status" -eq "$want" ]
}

# on HOW STATUS ARGUMENT...: a few cases on a fake back-end, which is quick.
on() {
	how=$1
	want=$2
	shift 2
	# shellcheck disable=SC2086 # several words
	run "$want" --exec "$fake $how {socket}" --timeout-scale 0.5 $fakes "$@"
}

# finds TEXT HOW STATUS ARGUMENT...: the same, and the report has TEXT.
finds() {
	text=$1
	shift
	on "$@" && said "$tmp/out" "$text"
}

# wrong TEXT ARGUMENT...: a wrong command line, for which one line has TEXT in it.
wrong() {
	text=$1
	shift
	run 2 "$@" && [ "$(wc -l <"$tmp/err")" -eq 1 ] && [ ! -s "$tmp/out" ] &&
		said "$tmp/err" "$text"
}

# prints TEXT ARGUMENT...: without a back-end.
prints() {
	text=$1
	shift
	run 0 "$@" && [ ! -s "$tmp/err" ] && said "$tmp/out" "$text"
}

# judge FILE PROGRAM: a Python program looks at FILE.
judge() {
	python3 - "$1" <<-END
		import sys
		name = sys.argv[1]
		$2
	END
}

# Our daemon.

holds_on_daemon() {
	run 0 --exec "$served" --device console --peer 'unix:{dir}/con' "$@" &&
		said "$tmp/out" ' pass, 0 fail' && ! said "$tmp/out" ' warn\| error\| skip'
}

holds_on_one_that_runs() {
	start_daemon 1 --device "socket=$tmp/s0,name=console0" --port "console,unix:$tmp/con" &&
		run 0 --socket "$tmp/s0" --device console --peer "unix:$tmp/con" \
			--select 'vr/indirect/*' && run 0 info "$tmp/s0" && end_daemon
}

# A connection that somebody else has made is good for one case.
inherited() {
	start_daemon 1 --device "socket=$tmp/s0,name=console0" --port console,null || return 1
	python3 - "$tmp/s0" "$conform" >"$tmp/out" 2>"$tmp/err" <<-'END'
		import os, socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		os.set_inheritable(s.fileno(), True)
		os.execv(sys.argv[2], ["vhu-conform", "--connect-fd", str(s.fileno()),
		                       "--select", "vu/framing/unknown/01"])
	END
	status=$?
	cat "$tmp/err" "$tmp/out"
	[ "$status" -eq 0 ] && said "$tmp/out" '1 pass, 0 fail' && end_daemon
}

# Back-ends that are wrong.

crashes() {
	finds 'crash .*set-vring-num/acknowledged' crash 4 && said "$tmp/out" 'ended with signal 11'
}

# What a process says about itself comes into the report.
complains() {
	finds 'x.c:1:1: runtime error: made up' noisy 4
}

leaks() {
	finds 'fail .*set-vring-num/acknowledged' leak 1 && said "$tmp/out" 'descriptors leaked'
}

# Neither the process, nor what it has started, nor its folder stays.
is_killed() {
	mkdir -p "$tmp/stubborn"
	TMPDIR=$tmp/stubborn on "$1" 0 && [ -z "$(ls "$tmp/stubborn")" ] &&
		! pgrep -f "$tmp/stubborn" >/dev/null
}

starts_once() {
	# shellcheck disable=SC2086 # several words
	run 0 --exec "sh -c 'echo >>$tmp/starts; exec $fake good {socket}'" --keep \
		$fakes && [ "$(wc -l <"$tmp/starts")" -eq 1 ]
}

serves_one_and_ends() {
	on once 0 && said "$tmp/err" 'it serves one front-end and ends'
}

cannot_start() {
	on fail 3 -o "junit:$tmp/none.xml" -o "tap:$tmp/none.tap" &&
		said "$tmp/err" 'status 3 before it listened .* it does not start' &&
		[ ! -s "$tmp/out" ] && said "$tmp/none.tap" '^Bail out! the back-end: it ended' &&
		judge "$tmp/none.xml" '
import xml.etree.ElementTree
root = xml.etree.ElementTree.parse(name).getroot()
assert root.get("errors") == "1" and "status 3" in root.find(".//error").get("message")'
}

# A command that does not say where, and one that takes its time.
does_not_listen() {
	run 3 --exec 'sleep 60' --timeout-scale 0.02 &&
		said "$tmp/err" 'it did not listen at .* within 0.2 s; {socket} is not in' &&
		run 3 info --exec true && said "$tmp/err" 'status 0 .*; {socket} is not in'
}

nobody_listens() {
	run 3 --socket "$tmp/none" --timeout-scale 0.1 && said "$tmp/err" "$tmp/none: No such file"
}

nothing_applies() {
	run 77 --exec "$fake good {socket}" --select 'vc/queue/*' && said "$tmp/out" ' 0 pass'
}

stops_at_the_first() {
	on crash 4 --select 'vu/row/set-vring-*/acknowledged' --fail-fast &&
		said "$tmp/out" ' 1 crash'
}

# Selection.

order() {
	sed -n 's/^ok [0-9]* - \([^ ]*\).*/\1/p' "$tmp/out"
}

same_order_again() {
	on good 0 -f tap && order >"$tmp/plain" &&
		on good 0 -f tap --shuffle --seed 5 && order >"$tmp/first" &&
		on good 0 -f tap --seed 5 && order >"$tmp/second" &&
		cmp "$tmp/first" "$tmp/second" && ! cmp -s "$tmp/plain" "$tmp/first" &&
		sort "$tmp/first" >"$tmp/a" && sort "$tmp/plain" >"$tmp/b" && cmp "$tmp/a" "$tmp/b"
}

would_run() {
	on good 0 --dry-run && said "$tmp/out" '^run .*vu/framing/unknown/01' &&
		said "$tmp/out" '^n/a .*STATUS is not offered' && said "$tmp/out" 'cases would run'
}

# Known failures.

known_failures() {
	echo 'fail vu/framing/* # it always says yes' >"$tmp/known"
	on wrong 0 --expect "$tmp/known" && on good 0 --expect "$tmp/known" &&
		said "$tmp/err" "$tmp/known:1: fail of vu/framing/\* was expected, and now it passes"
}

known_failures_written() {
	on wrong 1 --write-expect "$tmp/written" && on wrong 0 --expect "$tmp/written" &&
		said "$tmp/written" '^fail vu/framing/unknown/01 # '
}

# Reports.

all_formats_at_once() {
	on wrong 1 --name 'one <&> "two"' -o "jsonl:$tmp/wrong.jsonl" -o "junit:$tmp/wrong.xml" \
		-o "tap:$tmp/wrong.tap" -o "human:$tmp/wrong.txt" &&
		said "$tmp/wrong.txt" '^ *fail *vu/framing/unknown/01' &&
		on good 0 -o "jsonl:$tmp/good.jsonl"
}

json_lines() {
	judge "$tmp/wrong.jsonl" '
import json
lines = [json.loads(line) for line in open(name)]
first, results, last = lines[0], lines[1:-1], lines[-1]
assert first["type"] == "run" and first["schema"] == 1 and first["name"] == "one <&> \"two\""
assert last["type"] == "summary" and last["exit_status"] == 1
assert len(results) == first["cases"] == sum(last["verdicts"].values())
assert all(r["type"] == "result" for r in results)
bad = [r for r in results if r["verdict"] == "fail"]
assert [r["id"] for r in bad] == ["vu/framing/unknown/01"]
assert bad[0]["reason"] and "unknown(1000)" in bad[0]["details"]
assert bad[0]["clauses"][0]["id"].startswith("VU-")'
}

junit() {
	judge "$tmp/wrong.xml" '
import xml.etree.ElementTree
root = xml.etree.ElementTree.parse(name).getroot()
cases = root.findall("./testsuite/testcase")
assert root.tag == "testsuites" and len(cases) == int(root.get("tests")) > 1
assert len(root.findall(".//failure")) == int(root.get("failures")) == 1
assert len(root.findall(".//skipped")) == int(root.get("skipped")) > 0'
}

tap() {
	judge "$tmp/wrong.tap" '
import re
text = open(name).read()
points = re.findall(r"^(not )?ok (\d+) - (\S+)", text, re.M)
assert text.startswith("TAP version 14\n")
assert [int(number) for _, number, _ in points] == list(range(1, len(points) + 1))
assert re.search(rf"^1\.\.{len(points)}$", text, re.M)
assert [name for bad, _, name in points if bad] == ["vu/framing/unknown/01"]'
}

colour() {
	on wrong 1 --color always && said "$tmp/out" "$(printf '\033')" &&
		on wrong 1 && ! said "$tmp/out" "$(printf '\033')"
}

matrix() {
	run 0 matrix "better=$tmp/good.jsonl" "worse=$tmp/wrong.jsonl" &&
		said "$tmp/out" '^| case | level | better | worse |$' &&
		said "$tmp/out" '^| `vu/framing/unknown/01`.*| pass | \*\*fail\*\* |$' &&
		! said "$tmp/out" 'set-owner'
}

matrix_html() {
	run 0 matrix --all --html "better=$tmp/good.jsonl" "worse=$tmp/wrong.jsonl" &&
		judge "$tmp/out" '
import html.parser
class Tags(html.parser.HTMLParser):
    open_tags, seen = [], []
    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes).get("class")))
        if tag != "meta":
            self.open_tags.append(tag)
    def handle_startendtag(self, tag, attributes):
        pass
    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag
tags = Tags()
tags.feed(open(name).read())
assert not tags.open_tags and ("td", "fail") in tags.seen and ("td", "pass") in tags.seen'
}

# Files of cases.

replays() {
	on wrong 1 --save "$tmp/saved" && saved=$tmp/saved/vu-framing-unknown-01.replay &&
		run 0 replay "$saved" --exec "$fake wrong {socket}" &&
		said "$tmp/out" 'all is as recorded' &&
		run 1 replay "$saved" --exec "$fake good {socket}" &&
		said "$tmp/out" '1 of the answers are not as recorded' &&
		run 1 replay "$saved" --exec "$served" && wrong "$tmp/none" replay "$tmp/none" \
			--exec "$fake good {socket}"
}

no_room() {
	on good 99 -o tap:/dev/full && said "$tmp/err" '^vhu-conform: /dev/full: '
}

# What it says of a back-end, and of itself.

info() {
	run 0 info --exec "$served" --device console --json && judge "$tmp/out" '
import json
info = json.load(open(name))
assert info["schema"] == 1 and info["rings"] >= 2 and info["persistent"]
assert "MULTIPORT" in info["features"]["names"]
assert info["config"]["fields"]["max_nr_ports"] >= 1'
}

# asks STATUS FEATURE
asks() {
	run "$1" info --exec "$fake good {socket}" --timeout-scale 0.2 --has "$2" &&
		[ ! -s "$tmp/out" ]
}

has() {
	asks 0 REPLY_ACK && asks 0 VIRTIO_F_VERSION_1 && asks 1 CONFIG &&
		asks 2 NONSENSE && said "$tmp/err" "'NONSENSE' is no feature" &&
		asks 2 packed && said "$tmp/err" 'did you mean RING_PACKED$' &&
		run 3 info "$tmp/none" --timeout-scale 0.1
}

list() {
	prints '^vu/row/set-vring-num/acknowledged ' --list && n_all=$(wc -l <"$tmp/out") &&
		prints '(hostile)$' --list --tag hostile && [ "$(wc -l <"$tmp/out")" -lt "$n_all" ]
}

explain() {
	prints '^  known bug' --explain vu/framing/unknown/01 && said "$tmp/out" 'VU-016' &&
		prints '^  case  *vu/framing/unknown/01' --explain vu-016 &&
		prints '^fe/rule/version' --explain 'fe/rule/*' && wrong nonsense --explain nonsense
}

# Front-ends.

good_front_end() {
	run 0 frontend --exec "$vhu_guest --socket {socket} seq 200" --wait 10 --settle 1 \
		--after 1 --select 'fe/[srmn]*' --verbose && said "$tmp/out" 'pass *fe/session/good'
}

front_end_that_dies() {
	run 4 frontend --exec "$vhu_guest --socket {socket} --die send x" --wait 10 --settle 1 \
		--after 1 --select fe/session/good && said "$tmp/out" 'crash *fe/session/good'
}

# The end.

# By a signal, which is how it tells others that somebody wanted it.
interrupted() {
	mkdir "$tmp/interrupted"
	# shellcheck disable=SC2086 # several words
	TMPDIR=$tmp/interrupted "$conform" --exec "$fake slow {socket}" --verbose $fakes \
		>"$tmp/out" 2>"$tmp/err" &
	tester=$!
	wait_for 10 said "$tmp/out" ' pass ' && kill "-$1" "$tester" || return 1
	wait "$tester"
	status=$?
	cat "$tmp/err" "$tmp/out"
	[ "$status" -eq "$2" ] && [ -z "$(ls "$tmp/interrupted")" ] &&
		! pgrep -f "$tmp/interrupted" >/dev/null && rmdir "$tmp/interrupted"
}

plan 58

check "framing on our daemon" holds_on_daemon --select 'vu/framing/*'
check "requests of every length on our daemon" holds_on_daemon --select 'vu/row/set-vring-base/*'
check "rings on our daemon" holds_on_daemon --select 'vr/desc/*' --strict --hostile
check "a console on our daemon" holds_on_daemon --select 'vc/queue/*'
check "started once for all cases" holds_on_daemon --select 'vu/state/enable/*' --keep
check "one that runs already" holds_on_one_that_runs
check "a connection that is inherited" inherited

check "a good back-end" finds '0 fail' good 0
check "a wrong answer is a failure" finds 'fail  vu/framing/unknown/01' wrong 1
check "a crash is told with its signal" crashes
check "an end that nobody asked for is a crash" finds 'ended with status 5' exit 4
check "a sanitizer's words are a crash" complains
check "a back-end that stops is a hang" finds 'hang .*set-vring-num' hang 4 --timeout-scale 0.1
check "a slow one is waited for" on slow 0 --timeout-scale 1
check "but not longer than told" finds 'hang .*set-vring-num' slow 4 --timeout-scale 0.1
check "a leak is found" leaks
check "an answer to nothing" finds 'fail  vu/framing/reply/flags' early 1 \
	--select vu/framing/reply/flags
check "one that leaves while rings are set up" finds 'fail  vr/used/' leave 1 --device rng \
	--select vr/used/base/01 --select 'vu/state/restart/*' --select 'vu/state/stop*'
check "one that cuts memory off" finds 'fail  dev/rng/' shrink 1 --device rng --select 'dev/rng/*'
check "one that does not want to end is killed" is_killed stubborn
check "one that leaves its process group is killed with its child" is_killed runaway
check "--keep starts it once" starts_once
check "one that serves a single front-end" serves_one_and_ends
check "one that does not start is not reached" cannot_start
check "one that does not listen is told of" does_not_listen
check "nobody listens" nobody_listens
check "nothing applies" nothing_applies
check "--fail-fast" stops_at_the_first

check "a seed gives an order again" same_order_again
check "--dry-run" would_run
check "known failures do not count, those gone are told" known_failures
check "known failures as written" known_failures_written

check "several reports at once" all_formats_at_once
check "JSON Lines" json_lines
check "JUnit" junit
check "TAP" tap
check "a report for which there is no room" no_room
check "colours" colour
check "a matrix" matrix
check "a matrix for browsers" matrix_html
check "a case from its file" replays

check "info" info
check "info --has" has
check "--list" list
check "--explain" explain
check "the version" prints '^vhu-conform (' --version
check "help of a subcommand" prints '^Usage: vhu-conform replay' replay --help

check "a good front-end" good_front_end
check "a front-end that dies" front_end_that_dies

check "no back-end told" wrong 'expected --socket' --select 'vu/*'
check "an unknown device" wrong "'toaster' is not one of" --exec true --device toaster
check "an unknown case" wrong "no case or clause has an id like 'vx/" --exec true --select 'vx/*'
printf 'fail vu/*\nmaybe vu/*\n' >"$tmp/mistake"
check "a wrong line of --expect" wrong 'mistake:2: ' --exec true --expect "$tmp/mistake"
check "a report that cannot be written" wrong 'none/report' --exec true -o "tap:$tmp/none/report"
check "a mistyped format" wrong "'junti' is not one of" --exec true -o "junti:report"
check "no socket to talk over" wrong 'descriptor 0 is no open socket' --connect-fd 0

check "an interrupt ends all" interrupted INT 130
check "so does being told to end" interrupted TERM 143

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# The documents say what is: options, generated parts, files, tests and limits.

. "$(dirname "$0")/tap.sh"

doc=$top_srcdir/doc
page=$doc/vhost-device-console.1
conf_page=$doc/vhost-device-console.conf.5
ctl_page=$doc/vhost-device-console-ctl.1
completion=$doc/completion
daemon=$top_builddir/src/vhost-device-console
dump=$top_builddir/src/console-options-dump

# long_options FILE: the names in it, with their dashes, sorted.
long_options() {
	sed 's/\\-/-/g; s/\\f[A-Z]//g' "$1" |
		grep -oE '(^|[^-a-z])--[a-z][-a-z]*' | sed 's/^[^-]//' | LC_ALL=C sort -u
}

# same_options PAGE [HELP [OTHER]]: OTHER is an option of another program.
same_options() {
	long_options "${2-$tmp/help}" >"$tmp/in-help"
	long_options "$1" | grep -vx -e --name -e "${3-none}" >"$tmp/in-page"
	test -s "$tmp/in-help" && diff "$tmp/in-help" "$tmp/in-page"
}

fits_a_screen() {
	awk 'length > 80 { print; bad = 1 } END { exit bad || NR > 45 || NR < 10 }' "$1"
}

# up_to_date PAGE COMMAND...: its generated part is what COMMAND prints.
up_to_date() {
	sh "$doc/splice.sh" "$@" >"$tmp/spliced" && diff "$1" "$tmp/spliced"
}

# in_the_page WORD...: each has a paragraph of its own in the page of ports.
in_the_page() {
	sed 's/\\-/-/g; s/\\f[A-Z]//g' "$conf_page" >"$tmp/conf-page"
	for word; do
		grep -qE "^$word([=:[]|\$)" "$tmp/conf-page" || echo "$word"
	done >"$tmp/missing"
	cat "$tmp/missing"
	[ $# -gt 0 ] && [ ! -s "$tmp/missing" ]
}

# words_of FILE: the words of a .def list.
words_of() {
	grep -oE '^(OPT|ATTACHMENT)\([a-z_]+, "[a-z-]+"' "$top_srcdir/src/$1" | cut -d'"' -f2
}

# The checks below print each offence and say nothing when all is well.

# absent_files PAGE...: paths in backquotes that are no files; capitals stand
# for a name to be chosen. After a colon, a test that the file is to have.
absent_files() {
	# shellcheck disable=SC2016 # these backquotes are those of Markdown
	cat "$@" | grep -oE '`(src|tests|doc|scripts|\.ci)/[^` ]*`' | tr -d '`' |
		LC_ALL=C sort -u | while read -r name; do
		case $name in
		*[A-Z][A-Z]*) continue ;;
		*.log) continue ;;
		esac
		path=$top_srcdir/${name%%:*}
		if [ ! -e "$path" ] && [ ! -e "$path.c" ]; then
			echo "${name%%:*} does not exist"
		elif [ "$name" != "${name#*:}" ] && ! grep -q "(${name#*:}[,)]" "$path"; then
			echo "${name%%:*} has no test ${name#*:}"
		fi
	done
}

# unnamed_sources PAGE SRC: sources that PAGE leaves out. A header with its .c
# file counts as named, and so do all files of a folder that is named.
unnamed_sources() {
	(cd "$2" && find . -name '*.[ch]' -o -name '*.def') | sed 's|^\./||' |
		LC_ALL=C sort | while read -r file; do
		case $file in
		*.h) [ ! -e "$2/${file%.h}.c" ] || continue ;;
		esac
		grep -qF -e "\`src/$file\`" -e "\`src/${file%/*}/\`" "$1" || echo "src/$file"
	done
}

# wrong_limits PAGE: rows of the table of limits that the sources contradict.
wrong_limits() {
	# shellcheck disable=SC2016
	sed -nE 's/^\| ([A-Z_]+) \| ([0-9 *]+) \| `(.*)` \|$/\1|\2|\3/p' "$1" >"$tmp/limits"
	[ -s "$tmp/limits" ] || echo "no table of limits"
	while IFS='|' read -r name value file; do
		grep -qE "(#define $name|\\b$name =) $(echo "$value" | sed 's/\*/\\*/g')\\b" \
			"$top_srcdir/$file" || echo "$name is not $value in $file"
	done <"$tmp/limits"
}

# clean WHAT CHECK ARGUMENT...
clean() {
	what=$1
	shift
	"$@" >"$tmp/offences" 2>&1
	if [ -s "$tmp/offences" ]; then
		not_ok "$what"
		note "$tmp/offences"
	else
		ok "$what"
	fi
}

# found WHAT CHECK ARGUMENT...: the check has something to say.
found() {
	what=$1
	shift
	if [ -n "$("$@" 2>&1)" ]; then ok "$what"; else not_ok "$what"; fi
}

# refused WHAT COMMAND...
refused() {
	what=$1
	shift
	if "$@" >"$tmp/refused.out" 2>&1; then not_ok "$what"; else ok "$what"; fi
}

plan 30
"$daemon" --help >"$tmp/help"
check "--help fits 80 columns and 45 lines" fits_a_screen "$tmp/help"
check "--help and the manual have the same options" same_options "$page"
check "the manual's options are those of the program" \
	up_to_date "$page" "$dump" options
check "the page of ports is that of the lists" up_to_date "$conf_page" "$dump" ports
# shellcheck disable=SC2046 # words
check "it has every word of the lists" in_the_page $(words_of daemon/port-options.def) \
	$(words_of daemon/device-options.def) $(words_of backends/attachments.def) \
	$(words_of backends/attachment-options.def)
"$top_builddir/src/vhu-load" --help >"$tmp/load-help"
check "vhu-load: its help and its manual have the same options" \
	same_options "$doc/vhu-load.1" "$tmp/load-help" --device
check "vhu-load: the manual's lists are those of the program" \
	up_to_date "$doc/vhu-load.1" "$top_builddir/src/vhu-load-dump"
trace=$top_builddir/src/vhu-trace
"$trace" --help >"$tmp/trace-help"
check "vhu-trace: its help and its manual have the same options" \
	same_options "$doc/vhu-trace.1" "$tmp/trace-help"
check "vhu-trace: the manual's options are those of the program" \
	up_to_date "$doc/vhu-trace.1" "$trace-dump" options
check "the page of ctl is that of the lists" up_to_date "$ctl_page" "$dump" ctl
check "completion for bash is that of the lists" \
	up_to_date "$completion/vhost-device-console.bash" "$dump" bash
check "completion for zsh is that of the lists" \
	up_to_date "$completion/_vhost-device-console" "$dump" zsh
check "completion for fish is that of the lists" \
	up_to_date "$completion/vhost-device-console.fish" "$dump" fish
check "the protocol's page is that of the lists" \
	up_to_date "$doc/vhu-protocol.7" "$top_builddir/src/vhu-dump" man
"$top_builddir/src/vhu-dump" html >"$tmp/messages.html"
check "the reference of messages is that of the lists" \
	cmp "$tmp/messages.html" "$doc/wire-format/messages.html"
if command -v mandoc >/dev/null; then
	clean "mandoc finds nothing in the manuals" \
		mandoc -T lint -W warning "$page" "$conf_page" "$ctl_page" "$doc/vhu-load.1" \
		"$doc/vhu-conform.1" "$doc/vhu-protocol.7" "$doc/vhu-trace.1"
else
	ok "mandoc finds nothing in the manuals # SKIP mandoc is not installed"
fi
clean "doc/architecture.md names files and tests that exist" absent_files "$doc/architecture.md"
clean "doc/hacking.md names files that exist" absent_files "$doc/hacking.md"
clean "README.md names files that exist" absent_files "$top_srcdir/README.md"
clean "doc/architecture.md names every source" \
	unnamed_sources "$doc/architecture.md" "$top_srcdir/src"
clean "doc/architecture.md has the limits of the sources" wrong_limits "$doc/architecture.md"

# The test itself: pages that must not pass.
{ cat "$tmp/help"; echo; } | sed 's/--history/--future/' >"$tmp/help.new"
mv "$tmp/help.new" "$tmp/help"
refused "an option without its manual is found" same_options "$page"
yes | head -n 46 >"$tmp/long"
refused "a help that is too long is found" fits_a_screen "$tmp/long"
refused "a word that is missing is found" in_the_page console no-such-word
sed 's/ring/rung/' "$doc/vhu-protocol.7" >"$tmp/stale.7"
refused "a stale page is found" up_to_date "$tmp/stale.7" "$top_builddir/src/vhu-dump" man
refused "a page without a place for it is found" up_to_date "$doc/hacking.md" echo text
# shellcheck disable=SC2016
echo '`src/gone.c`' >"$tmp/absent.md"
found "a file that is gone is found" absent_files "$tmp/absent.md"
# shellcheck disable=SC2016
echo '`tests/unit/test_proto.c:gone`' >"$tmp/absent.md"
found "a test that is gone is found" absent_files "$tmp/absent.md"
found "a source without its line is found" unnamed_sources "$tmp/absent.md" "$top_srcdir/src"
# shellcheck disable=SC2016
echo '| FDSET_MAX | 9 | `src/fd.h` |' >"$tmp/limits.md"
found "a limit that changed is found" wrong_limits "$tmp/limits.md"

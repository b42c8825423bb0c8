#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# each.sh NAME FOLDERS COMMAND...: runs COMMAND FLAGS, where {} is the file, for every C file
# in the folders of the sources (FOLDERS: words), on all processors. $CHECK_FLAGS are the
# FLAGS, $CC a compiler that knows what a file includes, $top_srcdir the sources. A status
# other than 0 is a finding. A file without one is not looked at again until its text, that
# of a header, the command or tests/checkers change: check-NAME in the working folder
# remembers. Prints the findings and a last line with counts; fails if there are any.
# shellcheck disable=SC2086 # CC, FOLDERS, CHECK_FLAGS are words

# All that the outcome depends on. FILE COMMAND...
print_inputs() {
	inputs=$1
	shift
	echo "$@" $CHECK_FLAGS
	cat .clang-tidy tests/.clang-tidy src/*/.clang-tidy tests/checkers/*.sh
	grep -h "^$inputs " tests/checkers/*-known
	$CC -M $CHECK_FLAGS "$inputs" | sed 's/^[^ ]*://; s/\\$//' | xargs cat
}

# --one CACHE FILE COMMAND...
check_one() {
	cache=$1
	file=$2
	shift 2
	key=$(print_inputs "$file" "$@" 2>&1 | sha256sum | cut -d' ' -f1)
	[ ! -e "$cache/$key" ] || return 0
	if said=$("$@" $CHECK_FLAGS 2>&1); then
		: >"$cache/$key"
	else
		printf '%s\n' "$said" >"$cache/finding.$key"
	fi
}

if [ "$1" = --one ]; then
	shift
	check_one "$@"
	exit
fi

name=$1
folders=$2
shift 2
cache=$PWD/check-$name
mkdir -p "$cache"
rm -f "$cache"/finding.*
self=$(realpath "$0")
cd "$top_srcdir" || exit 1
list=$(find $folders -name '*.c' | LC_ALL=C sort)
echo "$list" | xargs -P "$(nproc)" -I{} "$self" --one "$cache" {} "$@" || exit 1
n_found=$(find "$cache" -name 'finding.*' | wc -l)
cat "$cache"/finding.* 2>/dev/null
echo "check-$name: $(echo "$list" | wc -l) files, $n_found with findings"
[ "$n_found" = 0 ]

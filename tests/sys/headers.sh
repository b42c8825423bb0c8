#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Each header compiles alone, and twice, under the warnings of the build.

. "$(dirname "$0")/tap.sh"

: "${CC:=gcc}"
: "${CHECK_FLAGS:=-std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Wconversion -Wsign-conversion \
	-Wshadow -Wcast-qual -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef}"

# compile_header FOLDER HEADER
compile_header() {
	# CC and the flags are lists of words.
	# shellcheck disable=SC2086
	printf '#include "%s"\n#include "%s"\n' "$2" "$2" |
		$CC $CHECK_FLAGS -I "$1" -Werror -fsyntax-only -x c -
}

cd "$top_srcdir/src" || exit 99
find . -name '*.h' | sed 's|^\./||' | LC_ALL=C sort >"$tmp/headers"
plan $(($(wc -l <"$tmp/headers") + 2))
while read -r header; do
	check "$header compiles alone" compile_header . "$header"
done <"$tmp/headers"

# The test itself: headers that must not pass.
mkdir "$tmp/bad"
echo 'struct needy { uint32_t x; };' >"$tmp/bad/needy.h"
echo 'struct unguarded { int x; };' >"$tmp/bad/unguarded.h"
for header in needy.h unguarded.h; do
	if compile_header "$tmp/bad" "$header" 2>/dev/null; then
		not_ok "$header is found"
	else
		ok "$header is found"
	fi
done

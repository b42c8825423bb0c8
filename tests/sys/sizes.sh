#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# No file of src has over 600 lines and no function over 60: past that, a
# module or a table is missing.

. "$(dirname "$0")/tap.sh"

# long_files FOLDER
long_files() {
	find "$1" -type f -name '*.[ch]' -o -name '*.def' | LC_ALL=C sort |
		while read -r file; do
			lines=$(wc -l <"$file")
			[ "$lines" -le 600 ] || echo "$file: $lines lines"
		done
}

# long_functions FOLDER: a body starts and ends with a brace at the line's start.
long_functions() {
	find "$1" -type f -name '*.[ch]' | LC_ALL=C sort | while read -r file; do
		awk -v file="$file" '
			/^{/ { start = NR; name = before }
			/^}/ && start { if (NR - start - 1 > 60)
				print file ":" start ": " NR - start - 1 " lines: " name
				start = 0 }
			{ before = $0 }' "$file"
	done
}

# clean WHAT CHECK
clean() {
	"$2" "$top_srcdir/src" >"$tmp/offences"
	if [ -s "$tmp/offences" ]; then
		not_ok "$1"
		note "$tmp/offences"
	else
		ok "$1"
	fi
}

# lines N: as many lines of code
lines() {
	awk -v n="$1" 'BEGIN { while (n-- > 0) print "\tx++;" }'
}

# found EXPECTED WHAT CHECK: whether CHECK finds something in the planted folder
found() {
	if [ -n "$("$3" "$tmp/planted")" ]; then found=yes; else found=no; fi
	if [ "$found" = "$1" ]; then ok "$2"; else not_ok "$2"; fi
}

plan 6
clean "no file of src has over 600 lines" long_files
clean "no function of src has over 60 lines" long_functions

mkdir "$tmp/planted"
lines 600 >"$tmp/planted/a.c"
found no "a file of 600 lines passes" long_files
lines 601 >"$tmp/planted/a.c"
found yes "a file of 601 lines is found" long_files
{ echo 'void f(void)'; echo '{'; lines 60; echo '}'; } >"$tmp/planted/a.c"
found no "a function of 60 lines passes" long_functions
{ echo 'void f(void)'; echo '{'; lines 61; echo '}'; } >"$tmp/planted/a.c"
found yes "a function of 61 lines is found" long_functions

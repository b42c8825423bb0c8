#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Every file that people wrote names its licences near its top.

. "$(dirname "$0")/tap.sh"

# Left out: the licences themselves, formats without comments, and inputs whose
# every byte counts.
exempt() {
	case $1 in
	LICENSE-*) ;;
	*.json | *.json.in | *.pcapng | *.png) ;;
	tests/fuzz/corpus*/* | tests/*/data/*) ;;
	*) return 1 ;;
	esac
}

# What the build leaves in a source folder that is not a git checkout.
generated() {
	case $1 in
	build-aux/* | autom4te.cache/* | m4/* | aclocal.m4 | configure | configure~) ;;
	Makefile | Makefile.in | config.h | config.h.in | config.h.in~ | config.log) ;;
	config.status | stamp-h1 | .version) ;;
	*.o | *.a | *.log | *.trs | *.gc?? | */.deps/* | */.dirstamp | _build/* | _inst/* | build/*) ;;
	*) return 1 ;;
	esac
}

# files FOLDER: what belongs to the project, relative to it
files() {
	cd "$1" || exit 99
	if [ -e .git ] && command -v git >/dev/null; then
		git ls-files --cached --others --exclude-standard
	else
		find . -type f | sed 's|^\./||' | while read -r file; do
			generated "$file" || is_program "$file" || echo "$file"
		done
	fi
}

# Compiled programs, in a folder where somebody built.
is_program() {
	[ "$(head -c 4 "$1" | tr -d '\0')" = "$(printf '\177ELF')" ]
}

# unmarked FOLDER
unmarked() {
	files "$1" | LC_ALL=C sort | while read -r file; do
		exempt "$file" || [ ! -f "$1/$file" ] ||
			head -n 5 "$1/$file" |
			grep -q 'SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause' ||
			echo "$file"
	done
}

plan 4
unmarked "$top_srcdir" >"$tmp/offences"
if [ -s "$tmp/offences" ]; then
	not_ok "every file names its licences"
	note "$tmp/offences"
else
	ok "every file names its licences"
fi

check "the list of files is not empty" test "$(files "$top_srcdir" | wc -l)" -gt 10

mkdir -p "$tmp/planted/src"
echo '/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */' >"$tmp/planted/src/good.c"
check "a file with the line passes" test -z "$(unmarked "$tmp/planted")"
echo 'int x;' >"$tmp/planted/src/bad.c"
check "a file without it is found" test "$(unmarked "$tmp/planted")" = src/bad.c

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# What vhu-dump makes of the description of the protocol, and that the
# committed seeds are still what it makes.

. "$(dirname "$0")/tap.sh"

dump=$top_builddir/src/vhu-dump
corpus=$top_srcdir/tests/fuzz/corpus-rules

# Each seed is in the corpus, byte for byte.
same_seeds() {
	for seed in "$tmp/seeds"/*; do
		cmp "$seed" "$corpus/${seed##*/}" || return 1
	done
}

# Every line is a name and twelve bytes.
good_dictionary() {
	"$dump" dict >"$tmp/dict" || return 1
	test "$(wc -l <"$tmp/dict")" -eq 55 || return 1
	! grep -vE '^[A-Z_]+="(\\x[0-9a-f]{2}){12}"$' "$tmp/dict"
}

# Requests, macros of roff at line starts only, and nothing that roff would take for one.
good_section() {
	"$dump" man >"$tmp/man" || return 1
	grep -q '^\.B 11 GET_VRING_BASE$' "$tmp/man" &&
		grep -q '^\.B 2 BACKEND_CONFIG_CHANGE_MSG$' "$tmp/man" &&
		! grep -vE '^(\.(TP|RS|RE|SS .*|B .*|\\".*)|[A-Z(].*)$' "$tmp/man"
}

good_json() {
	"$dump" json >"$tmp/json" || return 1
	python3 - "$tmp/json" <<-'END'
		import json, sys
		d = json.load(open(sys.argv[1]))
		assert len(d["messages"]) == 55
		assert len({(m["dir"], m["id"]) for m in d["messages"]}) == 55
		assert all(m["request"]["max"] <= 4096 for m in d["messages"])
		assert len({r["name"] for r in d["rules"]}) == len(d["rules"]) > 50
	END
}

# Whole, without anything from elsewhere, and every link leads somewhere.
good_page() {
	"$dump" html >"$tmp/page" || return 1
	tail -n 1 "$tmp/page" | grep -qx '</html>' || return 1
	! grep -qE '<script|src=|url\(|https?:' "$tmp/page" || return 1
	grep -oE 'id="[^"]+"' "$tmp/page" | sed 's/id=//' | sort >"$tmp/ids"
	test -z "$(uniq -d "$tmp/ids")" || return 1
	grep -oE 'href="#[^"]+"' "$tmp/page" | sed 's/href="#/"/' | sort -u >"$tmp/links"
	test -z "$(comm -13 "$tmp/ids" "$tmp/links")" || return 1
	grep -q '<section id="SET_MEM_TABLE">' "$tmp/page" && grep -q 'regions\[0\]\.guest_addr' "$tmp/page"
}

# What the last program printed and how it ended: one line per form, exit 2.
refuses() {
	"$dump" "$@" 2>"$tmp/usage"
	test $? -eq 2 && test "$(grep -c '^usage: ' "$tmp/usage")" -eq 5
}

plan 10
mkdir "$tmp/seeds"
check "seeds are written" "$dump" seeds "$tmp/seeds"
check "there is one for each message" test "$(find "$tmp/seeds" -type f | wc -l)" -eq 55
check "they are in the corpus" same_seeds
check "the dictionary has a header for each message" good_dictionary
check "the section of the manual is roff" good_section
check "the page is whole" good_page
check "the page that is committed is what it makes" \
	cmp "$tmp/page" "$top_srcdir/doc/wire-format/messages.html"
if command -v python3 >/dev/null; then
	check "the JSON is whole" good_json
else
	check "the JSON is whole" sh -c '"$1" json | grep -q "^]}$"' sh "$dump"
fi
check "an unknown word is refused" refuses nonsense
if "$dump" seeds "$tmp/no/such/folder" 2>"$tmp/error"; then
	not_ok "a folder that is not there is an error"
else
	check "a folder that is not there is an error" grep -q '^vhu-dump: ' "$tmp/error"
fi

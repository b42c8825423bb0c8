#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# page-embed.sh FOLDER: prints the header page-text.h, the page of FOLDER as two
# C strings, page_head and page_tail: records go between them. The page's policy
# of what may run names its style and its script by their hashes.
set -e
folder=$1

# In this order: a part uses those before it.
parts='page-dom.js page-model.js page-sequence.js page-bytes.js page-memory.js
page-ring.js page-chains.js page-summary.js page.js'

style() {
	cat "$folder/page.css"
}

script() {
	for part in $parts; do
		cat "$folder/$part"
	done
}

# The hash of standard input as such a policy wants it: SHA-256 in base 64.
policy_hash() {
	sha256sum | awk '
		function digit(c) { return index("0123456789abcdef", c) - 1 }
		{
			letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
			hex = substr($1, 1, 64) "00"
			for (i = 1; i <= 64; i += 3) {
				v = digit(substr(hex, i, 1)) * 256 + digit(substr(hex, i + 1, 1)) * 16 \
					+ digit(substr(hex, i + 2, 1))
				text = text substr(letters, int(v / 64) + 1, 1) substr(letters, v % 64 + 1, 1)
			}
			print "sha256-" substr(text, 1, 43) "="
		}'
}

# Standard input as the lines of a C string; where the records go, it ends.
c_string() {
	echo "static const char $1[] ="
	sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/.*/	"&\\n"/' -e 's/@records@\\n"$/"/'
	echo '	"";'
}

# The page with its style and script in their places. Both end in a newline,
# and none is added: the hashes are of what stands between the tags.
page() {
	style_hash=$(style | policy_hash)
	script_hash=$(script | policy_hash)
	while IFS= read -r line; do
		case $line in
		*@style@*) printf '%s' "${line%%@style@*}" && style && printf '%s\n' "${line#*@style@}" ;;
		*@script@*) printf '%s' "${line%%@script@*}" && script && printf '%s\n' "${line#*@script@}" ;;
		*@style-hash@*) printf '%s\n' "${line%%@style-hash@*}$style_hash${line#*@style-hash@}" ;;
		*@script-hash@*) printf '%s\n' "${line%%@script-hash@*}$script_hash${line#*@script-hash@}" ;;
		*) printf '%s\n' "$line" ;;
		esac
	done <"$folder/page.html"
}

echo '/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */'
echo '/* Made by page-embed.sh. */'
page | sed '/@records@/q' | c_string page_head
page | sed '1,/@records@/d' | c_string page_tail

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# splice.sh PAGE COMMAND...: prints PAGE with what COMMAND prints between its
# lines `.\" generated: begin` and `.\" generated: end`, as in a manual, or
# `# generated: begin` and `# generated: end`, as in a script.
set -e
page=$1
shift
generated=$("$@")
if [ -z "$generated" ] || [ "$(grep -cE '^(\.\\"|#) generated: (begin|end)$' "$page")" != 2 ]; then
	echo "splice.sh: nothing to put into $page, or no place for it" >&2
	exit 1
fi
printf '%s\n' "$generated" | awk '
	NR == FNR { text = text $0 "\n"; next }
	/^(\.\\"|#) generated: end$/ { inside = 0 }
	!inside { print }
	/^(\.\\"|#) generated: begin$/ { inside = 1; printf "%s", text }
' - "$page"

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# picture.sh CAPTURE TEXT: the first picture of a ring in it that has TEXT, as vhu-trace shows it.

vhu-trace --read "$1" --time none --device console --not '*' |
	awk -v text="$2" '
		function out() { if (index(picture, text) && !done++) printf "%s", picture }
		/^[^ ]/ { out(); picture = "" }
		/^\(\)/ || picture { picture = picture $0 "\n" }
		END { out() }'

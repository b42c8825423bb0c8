#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# The file that tells managers of virtual machines about the daemon (VU-221).

. "$(dirname "$0")/tap.sh"

requires python3

# judge FILE: three keys, the right type, an absolute path
judge() {
	python3 - "$1" <<-'EOF'
		import json, sys
		d = json.load(open(sys.argv[1]))
		assert set(d) == {"description", "type", "binary"}, d
		assert all(isinstance(v, str) for v in d.values()), d
		assert d["type"] == "console", d
		assert d["binary"].startswith("/"), d
		assert d["binary"].endswith("/vhost-device-console"), d
	EOF
}

plan 2
check "the descriptor is as the convention wants it" judge "$top_builddir/doc/50-vhu-console.json"
# The template's path is relative until make fills it in.
if judge "$top_srcdir/doc/50-vhu-console.json.in" 2>/dev/null; then
	not_ok "a relative path is found"
else
	ok "a relative path is found"
fi

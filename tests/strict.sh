#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# strict.sh SRCDIR BUILDDIR TEST...: runs system tests with every daemon in the strict sandbox,
# unless the test itself asks for another one. The tests see a build folder like the real one,
# in which the daemon is a script. One TAP line for each test; fails if one failed.

top_srcdir=$(cd "$1" && pwd)
real=$(cd "$2" && pwd)
shift 2
shadow=$(mktemp -d "${TMPDIR:-/tmp}/vhu-strict.XXXXXX") || exit 99
trap 'rm -rf "$shadow"' EXIT
trap 'exit 130' INT TERM

# Everything but the one program is the real one's.
mkdir "$shadow/src"
for entry in "$real"/* "$real"/src/*; do
	case $entry in
	"$real/src" | "$real/src/vhost-device-console") ;;
	"$real"/src/*) ln -s "$entry" "$shadow/src/" ;;
	*) ln -s "$entry" "$shadow/" ;;
	esac
done
cat >"$shadow/src/vhost-device-console" <<EOF2
#!/bin/sh
case \$1 in
ctl | -h | --help | -V | --version) exec "$real/src/vhost-device-console" "\$@" ;;
*) exec "$real/src/vhost-device-console" --sandbox=${VHU_SANDBOX:-strict} "\$@" ;;
esac
EOF2
chmod 755 "$shadow"
chmod +x "$shadow/src/vhost-device-console"

top_builddir=$shadow
VHU_STRICT=${VHU_SANDBOX:-strict}
export top_srcdir top_builddir VHU_STRICT
cd "$shadow" || exit 99
failed=0
n=0
echo "1..$#"
for test in "$@"; do
	n=$((n + 1))
	case $test in /*) ;; *) test=$top_srcdir/$test ;; esac
	if sh "$test" >"$shadow/said" 2>&1; then
		echo "ok $n - ${test##*/}: $(grep -c '^ok' "$shadow/said") points"
	else
		echo "not ok $n - ${test##*/}"
		grep -v '^ok' "$shadow/said" | tail -n "${VHU_LINES:-60}" | sed 's/^/# /'
		failed=1
	fi
done
exit $failed

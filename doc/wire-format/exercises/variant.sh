#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# variant.sh NN OUT: the back-end of the course, with the mistake of exercise NN, as program OUT.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
source=$here/../../../examples/minimal-backend.c
set -- "$1" "$2" "$here/answers/$1"-*.sed
[ -e "$3" ] || { echo "variant.sh: exercise $1 has no variant" >&2; exit 2; }
sed -f "$3" "$source" >"$2.c"
if cmp -s "$source" "$2.c"; then
	echo "variant.sh: $3 changes nothing" >&2
	exit 1
fi
${CC:-cc} -O1 -g -o "$2" "$2.c"
rm "$2.c"

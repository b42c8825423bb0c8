#!/bin/bash -eu
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# What OSS-Fuzz runs: CC, CXX, CFLAGS, CXXFLAGS, LIB_FUZZING_ENGINE and OUT are set. Each
# target goes to OUT with its corpus and its dictionary. Without OSS-Fuzz:
#
#	CC=clang CXX=clang++ CFLAGS='-O1 -g -fsanitize=address,undefined,fuzzer-no-link' \
#	CXXFLAGS=$CFLAGS LIB_FUZZING_ENGINE=-fsanitize=fuzzer OUT=/tmp/out \
#	tests/fuzz/oss-fuzz/build.sh

top=${SRC:+$SRC/vhu}
top=${top:-$(cd "$(dirname "$0")/../../.." && pwd)}
work=${WORK:-$OUT/build}

test -f "$top/configure" || (cd "$top" && ./bootstrap)
mkdir -p "$OUT" "$work"
cd "$work"
"$top/configure" -q --enable-fuzz CC="$CC" CFLAGS="$CFLAGS" LIB_FUZZING_ENGINE="$LIB_FUZZING_ENGINE"

make -s V=1 src/trace/page/page-text.h
make -s V=1 CCLD="$CXX $CXXFLAGS" src/vhu-dump
src/vhu-dump dict >vhu.dict
for name in $(sed -n 's/^\([a-z]*\):.*/\1/p' "$top/tests/fuzz/targets"); do
	make -s V=1 -j"$(nproc)" CCLD="$CXX $CXXFLAGS" "tests/fuzz/fuzz_$name"
	cp "tests/fuzz/fuzz_$name" "$OUT/"
	words=$top/tests/fuzz/dict-$name
	test -f "$words" || words=vhu.dict
	cp "$words" "$OUT/fuzz_$name.dict"
	(cd "$top/tests/fuzz/corpus-$name" && zip -q -r - .) >"$OUT/fuzz_${name}_seed_corpus.zip"
done

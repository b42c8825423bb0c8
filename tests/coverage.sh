#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Run in a build folder after the tests: lines reached, per file of src and in
# all. gcov describes one object at a time, and a source may be in several, so
# a line counts when any object reached it. A file that never ran counts too:
# its .gcno is there, its .gcda is not.
set -e
case "${CC:-gcc}" in
*clang*) gcov="llvm-cov${CC##*clang} gcov" ;;
*) gcov=gcov ;;
esac
find . -name '*.gcno' | while read -r data; do
	$gcov --stdout --source-prefix "${top_srcdir:-.}" "$data" 2>/dev/null || :
done | awk '
	# "count: line: text"; the line number 0 carries "Source:path".
	{
		split($0, part, ":")
		count = part[1]; line = part[2]
		gsub(/[ \t]/, "", count); gsub(/[ \t]/, "", line)
	}
	line == 0 && part[3] == "Source" {
		file = part[4]
		keep = match(file, /src\/[^:]*$/) && file !~ /tests\//
		if (keep) file = substr(file, RSTART)
		next
	}
	!keep || count == "-" { next }
	!((file, line) in seen) { seen[file, line] = 1; total[file]++ }
	count !~ /^[#=]/ && !((file, line) in hit) { hit[file, line] = 1; reached[file]++ }
	END {
		for (f in total) {
			printf "%5.1f%% %6d/%-6d %s\n", 100 * reached[f] / total[f],
				reached[f], total[f], f | "LC_ALL=C sort -b -k3"
			all += total[f]; got += reached[f]
		}
		close("LC_ALL=C sort -b -k3")
		if (!all) { print "no line was counted"; exit 1 }
		printf "%5.1f%% %6d/%-6d all of src\n", 100 * got / all, got, all
	}'

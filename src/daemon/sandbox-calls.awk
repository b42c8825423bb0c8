# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Collects the system calls that the daemon may make from the comments beside the code that
# makes them, and prints them as the list sandbox-calls.h:
#
#	/* seccomp: fstat read */                  always
#	/* seccomp(listen_unix,listen_tcp): bind */ for what these groups are about
#	/* seccomp: ioctl:TIOCGWINSZ */            with this argument only
#
# Groups are the rows of sandbox-groups.def; which argument is meant, and where it stands, is
# in sandbox-calls.c.

{
	while (match($0, /\/\* seccomp(\([a-z_,]+\))?: [^*]+ \*\//)) {
		text = substr($0, RSTART + length("/* seccomp"), RLENGTH - length("/* seccomp */"))
		$0 = substr($0, RSTART + RLENGTH)
		groups = "always"
		if (substr(text, 1, 1) == "(") {
			end = index(text, ")")
			groups = substr(text, 2, end - 2)
			text = substr(text, end + 1)
		}
		sub(/^: /, "", text)
		n_groups = split(groups, group, ",")
		n_calls = split(text, call, " ")
		for (i = 1; i <= n_groups; i++)
			for (j = 1; j <= n_calls; j++)
				add(group[i], call[j])
	}
}

function add(where, what, parts)
{
	if (split(what, parts, ":") == 2)
		row = "CALL_WITH(" where ", " parts[1] ", " parts[2] ")"
	else
		row = "CALL(" where ", " what ")"
	if (!(row in seen))
		rows[n_rows++] = row
	seen[row] = 1
}

# By insertion: there is no sort in POSIX awk, and the list is short.
END {
	for (i = 1; i < n_rows; i++) {
		row = rows[i]
		for (j = i; j > 0 && rows[j - 1] > row; j--)
			rows[j] = rows[j - 1]
		rows[j] = row
	}
	print "/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */"
	print "/* Made by sandbox-calls.awk from the comments \"seccomp:\" of the sources. */"
	for (i = 0; i < n_rows; i++)
		print rows[i]
}

# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# One page of what tests/soak/soak has said: its summary, its log, its samples.
#   awk -f report.awk -v commit=ID -v status=N SUMMARY LOG SAMPLES

BEGIN { COLUMNS = 72; ROWS = 8 }

function mib(kib) { return sprintf("%.1f MiB", kib / 1024) }

function count(n) {
	if (n >= 1000000000)
		return sprintf("%.2f GB", n / 1000000000)
	return n >= 1000000 ? sprintf("%.1f MB", n / 1000000) : n " bytes"
}

function row(what, value) { printf "| %s | %s |\n", what, value }

# plot(TITLE, VALUES, UNIT): of VALUES by second, the highest of each column.
function plot(title, values, unit,    i, c, y, top, line, high) {
	for (c = 0; c < COLUMNS; c++)
		high[c] = 0
	for (i = 1; i <= n_samples; i++) {
		c = int(seconds[i] / (last + 0.001) * COLUMNS)
		if (values[i] > high[c])
			high[c] = values[i]
		if (values[i] > top)
			top = values[i]
	}
	for (c = 1; c < COLUMNS; c++)
		if (high[c] == 0)
			high[c] = high[c - 1] # a round that was shorter than a column
	printf "\n%s\n\n", title
	for (y = ROWS; y > 0; y--) {
		line = ""
		for (c = 0; c < COLUMNS; c++)
			line = line (high[c] > top * (y - 0.5) / ROWS ? "#" : " ")
		printf "    %8.0f |%s\n", top * y / ROWS, line
	}
	line = sprintf("%*s", COLUMNS, "")
	gsub(" ", "-", line)
	printf "    %8s +%s\n    %8s  0%*s\n", unit, line, "", COLUMNS - 1, sprintf("%d s", last)
}

FNR == 1 { n_file++ }
n_file == 1 { split($0, pair, "="); s[pair[1]] = pair[2]; next }
n_file == 2 && /^(ok|not ok|Bail out!) / { points[++n_points] = $0 }
n_file == 2 { next }
FNR == 1 { next }
{
	split($0, x, ",")
	last = x[1]
	seconds[++n_samples] = x[1]
	rss[n_samples] = x[3] / 1024
	anon[n_samples] = x[4] / 1024
	fds[n_samples] = x[6]
}

END {
	print "<!-- SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause -->"
	print "# Soak"
	print ""
	print "What `scripts/soak` has found. One daemon, its guests each a process with a front-end of"
	print "our own, and clients that come, go, are slow, and are rude. Every byte of ports that hold"
	print "is compared all the time; what other ports give has to be in order, and what is missing"
	print "has to be told. At the end of each round everything becomes calm: all bytes must have"
	print "come, and the daemon must have exactly the descriptors that what is attached needs."
	print ""
	printf "Commit %s, seed %s, built with -O2: **%s**.\n\n", commit, s["seed"],
		status == 0 ? "all held" : "something did not hold"
	for (i = 1; i <= n_points; i++)
		printf "- %s\n", points[i]
	print ""
	print "| what | how much |"
	print "| --- | --- |"
	row("guests, time under load, rounds", s["guests"] ", " int(s["seconds"] / 60) " min, " s["settled"])
	row("bytes of ports that hold, compared", count(s["bytes_out"]) " out, " count(s["bytes_in"]) " in; 0 lost, 0 doubled, 0 moved")
	row("bytes of ports that drop", count(s["bytes_lossy"]) " came, " count(s["bytes_told_lost"]) " were said to be lost")
	row("starts of a guest", s["boots"] ", " s["packed"] " of them with packed rings")
	row("its ends", s["resets"] " resets in the session, " s["reconnects"] " disconnects, " \
		s["aborts"] " amid a message, " s["kills"] " by SIGKILL")
	row("clients that left", s["leaves"] ", " s["half_closes"] " of them after a half-close, " s["tcp_resets"] " by RST")
	row("times that a guest took no input for a while", s["slow"])
	row("rude connections (vanish, reset, babble, stall)", s["rude"])
	row("ports plugged or unplugged, reloads", s["plugs"] ", " s["reloads"])
	row("`status`, sizes set, attachments added", s["statuses"] ", " s["resizes"] ", " s["attaches"])
	row("upgrades in place", s["upgrades"])
	row("RSS when calm: filled, first quarter, last quarter", mib(s["rss_filled_kib"]) ", " mib(s["rss_first_kib"]) ", " mib(s["rss_last_kib"]))
	row("the same of anonymous memory", mib(s["anon_filled_kib"]) ", " mib(s["anon_first_kib"]) ", " mib(s["anon_last_kib"]))
	row("slope of anonymous memory when calm", s["anon_slope_kib_per_hour"] " KiB/h")
	row("descriptors: without guests, at most", s["fds_base"] ", " s["fds_max"])
	row("wake-ups of the idle daemon, all guests and clients connected", s["idle_switches"] " in " s["idle_seconds"] " s")
	print ""
	print "**Memory does not grow** if the median of the calm samples of the last quarter is at most"
	print "2 %, 16 KiB for each guest and 1.5 MiB (buffers of those who come and go) above what was"
	print "there when all rings and buffers had been filled once, or in the first quarter of the"
	print "rounds after a fifth for warming up. Without the filling, pages that are touched for the"
	print "first time would look like a leak; with it, a page that each start of a guest or each"
	print "client leaves behind is far above the limit in a long run. RSS has guest"
	print "memory in it, anonymous memory has not. **Wake-ups** are context switches, voluntary or"
	print "not, of the daemon's own threads; a thread of io_uring's looks every five seconds whether"
	print "it is still wanted, whatever the daemon does."
	plot("RSS, MiB, under load and when calm:", rss, "MiB")
	plot("Anonymous memory, MiB:", anon, "MiB")
	plot("Descriptors:", fds, "fds")
}

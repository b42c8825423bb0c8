/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd.h"
#include "load/report.h"

enum {
	BARS_PER_OCTAVE = 16,
	N_BARS = 41 * BARS_PER_OCTAVE,
};

/* A share that is below the axis, which is logarithmic so that the few slow ones are seen. */
#define NO_SHARE 1e-12

extern char **environ;

static const struct {
	const char *ending, *terminal;
} formats[] = {
	{ ".png", "pngcairo" },
	{ ".svg", "svg" },
};

static const struct {
	const char *name;
	double share;
} marks[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p99.9", 0.999 } };

static const char *terminal_of(const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		size_t ending = strlen(formats[i].ending);

		if (len > ending && strcmp(path + len - ending, formats[i].ending) == 0)
			return formats[i].terminal;
	}
	return NULL;
}

bool report_plot_takes(const char *path)
{
	if (terminal_of(path))
		return true;
	load_fail(-EINVAL, "--plot %s: the name has to end in .png or .svg", path);
	return false;
}

/* Where a bar begins, in microseconds; all are equally wide on a logarithmic axis. */
static double bar_us(unsigned int bar)
{
	return exp2((double)bar / BARS_PER_OCTAVE) / 1e3;
}

/* A bucket belongs to the bar of its middle. */
static unsigned int bar_of(unsigned int bucket)
{
	uint64_t low, high;
	double middle;

	latency_bucket(bucket, &low, &high);
	middle = ((double)low + (double)high) / 2;
	return middle < 1 ? 0 : (unsigned int)(log2(middle) * BARS_PER_OCTAVE);
}

static void put_data(FILE *out, const char *name, const struct latency *l)
{
	uint64_t bars[N_BARS] = { 0 };
	unsigned int first = N_BARS, last = 0;

	for (unsigned int i = 0; i < LATENCY_N_BUCKETS; i++) {
		unsigned int bar = bar_of(i);

		if (l->bucket[i] == 0 || bar >= N_BARS)
			continue;
		bars[bar] += l->bucket[i];
		first = bar < first ? bar : first;
		last = bar > last ? bar : last;
	}
	fprintf(out, "$%s << END\n", name);
	fprintf(out, "%.9g %g\n", bar_us(first), NO_SHARE);
	for (unsigned int bar = first; bar <= last; bar++)
		fprintf(out, "%.9g %.9g\n", bar_us(bar),
			bars[bar] > 0 ? (double)bars[bar] * 100 / (double)l->n : NO_SHARE);
	fprintf(out, "%.9g %g\nEND\n", bar_us(last + 1), NO_SHARE);
}

static bool has_limit(const struct load_report *r)
{
	return r->limit && r->limit_figures && r->limit_figures->latency.n > 0;
}

struct axis {
	double low_us, high_us;
};

static struct axis find_axis(const struct load_report *r)
{
	uint64_t low = r->f->latency.min_ns, high = r->f->latency.max_ns;

	if (has_limit(r)) {
		const struct latency *limit = &r->limit_figures->latency;

		low = limit->min_ns < low ? limit->min_ns : low;
		high = limit->max_ns > high ? limit->max_ns : high;
	}
	return (struct axis){
		.low_us = (double)(low ? low : 1) / 1e3 * 0.8,
		.high_us = (double)(high ? high : 1) / 1e3 * 1.25,
	};
}

static void put_axes(FILE *out, const struct load_report *r, const struct axis *x)
{
	fprintf(out, "set logscale xy\nset xrange [%g:%g]\nset yrange [%g:100]\n", x->low_us,
		x->high_us, 50.0 / (double)r->f->latency.n);
	fputs("set xlabel 'latency in µs'\n"
	      "set ylabel 'share of messages in %, for each 1/16 of a doubling'\n"
	      "set grid\nset style fill solid 0.6 noborder\n"
	      "set key outside center bottom horizontal\n",
	      out);
}

/*
 * A line for each percentile; names one below the other, as lines may be close,
 * and on the side where there is room.
 */
static void put_marks(FILE *out, const struct latency *l, const struct axis *x)
{
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		double us = (double)latency_at(l, marks[i].share) / 1e3;
		double height = 0.96 - 0.06 * (double)i;
		bool left = us * us > x->low_us * x->high_us;

		fprintf(out,
			"set arrow from first %g, graph 0 to first %g, graph %g nohead front "
			"dashtype 2 linecolor rgb '#b02020'\n",
			us, us, height);
		fprintf(out,
			"set label '%s %.*f µs' at first %g, graph %g %s front "
			"textcolor rgb '#b02020'\n",
			marks[i].name, us >= 100 ? 0 : 1, us, us, height,
			left ? "right offset -0.5,0" : "left offset 0.5,0");
	}
}

/* The picture goes to standard output. */
static void put_script(FILE *out, const struct load_report *r, const char *terminal)
{
	const struct latency *l = &r->f->latency;
	const struct axis x = find_axis(r);

	fprintf(out, "set encoding utf8\nset terminal %s size 1000,560\n", terminal);
	fprintf(out, "set title '%s: %llu messages, chunk %llu, depth %llu, driver %s'\n", r->mode,
		(unsigned long long)l->n, (unsigned long long)r->o->chunk,
		(unsigned long long)r->o->depth,
		r->o->wait == LOAD_WAIT_POLL ? "polling" : "sleeping");
	put_data(out, "mode", l);
	if (has_limit(r))
		put_data(out, "limit", &r->limit_figures->latency);
	put_axes(out, r, &x);
	put_marks(out, l, &x);
	fprintf(out, "plot $mode with fillsteps linecolor rgb '#4080c0' title '%s'", r->mode);
	if (has_limit(r))
		fprintf(out, ", $limit with steps linewidth 2 linecolor rgb '#606060' title '%s'",
			r->limit->name);
	fputc('\n', out);
}

/* The script as a file at its beginning; the caller owns it. Or -errno. */
static int write_script(const struct load_report *r, const char *terminal)
{
	AUTO_FD int fd = memfd_create("gnuplot", MFD_CLOEXEC);
	FILE *out;
	int copy, failed;

	if (fd < 0)
		return -errno;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	out = copy < 0 ? NULL : fdopen(copy, "w");
	if (!out) {
		fd_close(copy);
		return -ENOMEM;
	}
	put_script(out, r, terminal);
	failed = ferror(out);
	if (fclose(out) != 0 || failed || lseek(fd, 0, SEEK_SET) != 0)
		return -EIO;
	return fd_take(&fd);
}

/* Its exit status, or -errno when it was not started. */
static int run_gnuplot(int script, int picture)
{
	static char name[] = "gnuplot";
	char *argv[] = { name, NULL };
	posix_spawn_file_actions_t actions;
	int status = -1, err;
	pid_t pid;

	if (posix_spawn_file_actions_init(&actions) != 0)
		return -ENOMEM;
	err = posix_spawn_file_actions_adddup2(&actions, script, STDIN_FILENO);
	if (err == 0)
		err = posix_spawn_file_actions_adddup2(&actions, picture, STDOUT_FILENO);
	if (err == 0)
		err = posix_spawnp(&pid, name, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (err != 0)
		return -err;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

/* Moves what gnuplot has made to its place; an old file is replaced only now. */
static int save(int picture, const char *path)
{
	AUTO_FD int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	char bytes[16384];
	off_t offset = 0;

	if (file < 0)
		return -errno;
	for (;;) {
		ssize_t n = pread(picture, bytes, sizeof(bytes), offset);

		if (n <= 0)
			return n < 0 ? -errno : 0;
		n = write(file, bytes, (size_t)n);
		if (n < 0)
			return -errno;
		offset += n;
	}
}

static int draw(const struct load_report *r, const char *path)
{
	AUTO_FD int script = write_script(r, terminal_of(path));
	AUTO_FD int picture = memfd_create("picture", MFD_CLOEXEC);
	int status;

	if (script < 0 || picture < 0)
		return load_fail(-ENOMEM, "--plot: no memory for the script and the picture");
	status = run_gnuplot(script, picture);
	if (status == -ENOENT)
		return load_fail(status, "--plot needs gnuplot, which is not installed");
	if (status < 0)
		return load_fail(status, "--plot: gnuplot cannot be started: %s",
				 strerror(-status));
	if (status > 0)
		return load_fail(-EIO, "--plot: gnuplot could not draw %s", path);
	status = save(picture, path);
	if (status < 0)
		return load_fail(status, "--plot: %s cannot be written: %s", path,
				 strerror(-status));
	return 0;
}

int report_plot(const struct load_report *r, const char *path)
{
	if (!report_plot_takes(path))
		return -EINVAL;
	if (r->f->latency.n == 0)
		return load_fail(-EINVAL, "--plot: mode %s has measured no latencies", r->mode);
	return draw(r, path);
}

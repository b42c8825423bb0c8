/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "load/usage.h"
#include "proc.h"

/* Calls each(file, arg) for /proc/PID/NAME. Zero or -errno. */
static int read_proc(pid_t pid, const char *name, void (*each)(FILE *file, void *arg), void *arg)
{
	FILE *file = proc_open(pid, name);

	if (!file)
		return -errno;
	each(file, arg);
	fclose(file);
	return 0;
}

static void add_status(FILE *file, void *arg)
{
	struct usage_tally *tally = arg;
	char line[256];
	uint64_t n;

	while (fgets(line, sizeof(line), file)) {
		if (proc_line_value(line, "voluntary_ctxt_switches", 10, &n))
			tally->n_voluntary += n;
		else if (proc_line_value(line, "nonvoluntary_ctxt_switches", 10, &n))
			tally->n_involuntary += n;
	}
}

/* A thread that has just ended adds nothing. */
static int add_task(pid_t pid, int tid, void *arg)
{
	char name[64];

	snprintf(name, sizeof(name), "task/%d/status", tid);
	(void)read_proc(pid, name, add_status, arg);
	return 0;
}

static int take_tally(const struct load_meter *meter, struct usage_tally *ret_tally)
{
	struct usage_tally tally = { 0 };
	struct timespec cpu;
	int err = proc_each_number(meter->pid, "task", add_task, &tally);

	if (err < 0)
		return err;
	if (clock_gettime(meter->clock, &cpu) < 0)
		return -errno;
	tally.cpu_ns = (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec;
	*ret_tally = tally;
	return 0;
}

/* The line that begins a mapping: "55e0-55f0 rw-p ...". */
static bool mapping_kind(const char *line, char *ret_kind)
{
	char kind;

	if (sscanf(line, "%*x-%*x %*c%*c%*c%c", &kind) != 1)
		return false;
	*ret_kind = kind;
	return true;
}

/*
 * A page of a guest counts as the process's private one while no other process
 * has touched it; so what is private is looked for in mappings that are.
 */
static void add_mappings(FILE *file, void *arg)
{
	struct load_usage *usage = arg;
	char kind = 's', line[512];
	uint64_t kib;

	while (fgets(line, sizeof(line), file)) {
		if (mapping_kind(line, &kind))
			continue;
		if (proc_line_value(line, "Rss", 10, &kib))
			usage->rss += kib * 1024;
		else if (kind == 'p' && (proc_line_value(line, "Private_Clean", 10, &kib) ||
					 proc_line_value(line, "Private_Dirty", 10, &kib)))
			usage->private_bytes += kib * 1024;
	}
}

static uint64_t since(uint64_t before, uint64_t after)
{
	return after > before ? after - before : 0;
}

/* Threads that ended meanwhile have taken their switches along. */
static int read_usage(const struct load_meter *meter, struct load_usage *usage)
{
	const struct usage_tally *before = &meter->before;
	struct usage_tally after = { 0 };
	int err = take_tally(meter, &after);

	if (err == 0)
		err = read_proc(meter->pid, "smaps", add_mappings, usage);
	if (err == 0)
		err = proc_count_numbers(meter->pid, "fd");
	if (err < 0)
		return err;
	usage->n_fds = (unsigned int)err;
	usage->cpu_ns = since(before->cpu_ns, after.cpu_ns);
	usage->n_wakeups = since(before->n_voluntary, after.n_voluntary);
	usage->n_switches = usage->n_wakeups + since(before->n_involuntary, after.n_involuntary);
	return 0;
}

static int complain(pid_t pid, int err)
{
	return load_fail(err, "what process %d uses cannot be read from /proc: %s", (int)pid,
			 err == -ENOENT || err == -ESRCH ? "it has ended" : strerror(-err));
}

int load_meter_start(struct load_meter *ret_meter, pid_t pid, enum load_syscalls how)
{
	struct load_meter meter = { .pid = pid, .syscalls = { .from_strace = -1 } };
	int err = -clock_getcpuclockid(pid, &meter.clock);

	if (err == 0 && how != LOAD_SYSCALLS_NONE)
		(void)syscount_start(&meter.syscalls, pid, how);
	if (err == 0)
		err = take_tally(&meter, &meter.before);
	if (err < 0) {
		load_meter_end(&meter);
		return complain(pid, err);
	}
	*ret_meter = meter;
	return 0;
}

int load_meter_stop(struct load_meter *meter, struct load_usage *ret_usage)
{
	struct load_usage usage = { .n_syscalls = syscount_stop(&meter->syscalls) };
	pid_t pid = meter->pid;
	int err = read_usage(meter, &usage);

	load_meter_end(meter);
	if (err < 0)
		return complain(pid, err);
	*ret_usage = usage;
	return 0;
}

void load_meter_end(struct load_meter *meter)
{
	if (meter->pid == 0)
		return;
	(void)syscount_stop(&meter->syscalls);
	meter->pid = 0;
}

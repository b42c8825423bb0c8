/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The program: its command line, and what is measured in which order. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "load/limit-cores.h"
#include "load/load-command.h"
#include "load/load-modes.h"
#include "load/report.h"
#include "load/usage.h"

enum { EXIT_USAGE = 2, EXIT_VIOLATIONS = 3 };

enum { STILL_MS = 20, STILL_LOOKS = 50 };

#define LIMIT_MIN_NS UINT64_C(300000000)

/* Everything that one run of a mode measures. */
struct result {
	struct load_figures figures, limit;
	struct load_usage usage;
	unsigned int n_guests;
	uint64_t n_violations;
};

/* Half of a limit, before the mode or after it. */
static int measure_limit(const struct load_command *c, struct load_figures *sum)
{
	struct load_options o = c->options;
	struct load_figures f;
	int err;

	o.messages = 0;
	o.ns = o.ns / 2 > LIMIT_MIN_NS ? o.ns / 2 : LIMIT_MIN_NS;
	err = load_limit_rows[c->limit].measure(&o, &f);
	if (err == 0)
		load_figures_merge(sum, &f);
	/* A back-end that is started now would inherit our one core. */
	limit_cores_unpin();
	return err;
}

/*
 * What the guests have set going comes to an end before idleness is measured:
 * until nothing of the back-end ran between two looks. One that is never still
 * is measured as it is.
 */
static int await_still(pid_t pid)
{
	const struct timespec nap = { .tv_nsec = STILL_MS * 1000000 };
	struct load_usage usage = { .n_switches = 1 };
	struct load_meter meter;
	int err = 0;

	for (int n = 0; n < STILL_LOOKS && err == 0 && usage.n_switches + usage.cpu_ns > 0; n++) {
		err = load_meter_start(&meter, pid, LOAD_SYSCALLS_NONE);
		if (err < 0)
			break;
		nanosleep(&nap, NULL);
		err = load_meter_stop(&meter, &usage);
	}
	return err;
}

static int measure_guests(struct load_run *run, struct result *result)
{
	enum load_syscalls syscalls = (enum load_syscalls)run->o->syscalls;
	struct load_meter meter = { 0 };
	int err = run->mode == LOAD_MODE_idle ? await_still(run->pid) : 0;

	if (err == 0 && run->o->pin)
		err = limit_cores_pin(run->pid);
	/* Starting is over by now: what --exec started is measured from its fork. */
	if (run->mode == LOAD_MODE_start)
		syscalls = LOAD_SYSCALLS_NONE;
	if (err == 0)
		err = load_meter_start(&meter, run->pid, syscalls);
	if (run->mode == LOAD_MODE_start)
		meter.before = (struct usage_tally){ 0 };
	if (err == 0)
		err = load_mode_run(run, &result->figures);
	if (err == 0)
		err = load_meter_stop(&meter, &result->usage);
	load_meter_end(&meter);
	limit_cores_unpin();
	result->n_guests = run->n_guests;
	result->n_violations = load_run_violations(run);
	return err;
}

static int measure_mode(const struct load_command *c, struct result *result)
{
	struct load_run run;
	int err = load_run_init(&run, &c->options, c->mode);

	if (err == 0)
		err = measure_guests(&run, result);
	if (err == -ECONNRESET || err == -EPIPE)
		load_exec_explain(&run.exec);
	load_run_fini(&run);
	return err;
}

static int print(const struct load_command *c, const struct result *result)
{
	/* Of a back-end that was there before, the handshakes were not metered. */
	bool metered = c->mode != LOAD_MODE_start || c->options.exec;
	const struct load_report report = {
		.mode = load_mode_rows[c->mode].name,
		.o = &c->options,
		.n_guests = result->n_guests,
		.f = &result->figures,
		.u = metered ? &result->usage : NULL,
		.limit = c->limit == LOAD_LIMIT_none ? NULL : &load_limit_rows[c->limit],
		.limit_figures = c->limit == LOAD_LIMIT_none ? NULL : &result->limit,
	};

	report_print(stdout, &report, c->options.json);
	return c->options.plot ? report_plot(&report, c->options.plot) : 0;
}

static int run_mode(const struct load_command *c)
{
	struct result *result = calloc(1, sizeof(*result));
	bool limited = c->limit != LOAD_LIMIT_none;
	uint64_t n_violations;
	int err = result ? 0 : -ENOMEM;

	if (err == 0 && limited)
		err = measure_limit(c, &result->limit);
	if (err == 0)
		err = measure_mode(c, result);
	if (err == 0 && limited)
		err = measure_limit(c, &result->limit);
	if (err == 0)
		err = print(c, result);
	n_violations = result ? result->n_violations : 0;
	free(result);
	if (n_violations > 0)
		return EXIT_VIOLATIONS;
	return err == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int measure_limits(const struct load_command *c, struct load_limit_report *reports,
			  unsigned int *ret_n)
{
	unsigned int n = 0;
	int err = 0;

	for (unsigned int i = 0; i < LOAD_N_LIMITS && err == 0; i++) {
		if (!(c->limits & BIT(i)))
			continue;
		reports[n].limit = &load_limit_rows[i];
		err = reports[n].limit->measure(&c->options, &reports[n].figures);
		n++;
	}
	*ret_n = n;
	return err;
}

static int run_limits(const struct load_command *c)
{
	struct load_limit_report *reports = calloc(LOAD_N_LIMITS, sizeof(*reports));
	unsigned int n = 0;
	int err = reports ? measure_limits(c, reports, &n) : -ENOMEM;

	if (err == 0)
		report_print_limits(stdout, &c->options, reports, n, c->options.json);
	free(reports);
	return err == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	struct load_command command;
	int status;

	signal(SIGPIPE, SIG_IGN);
	if (load_command_parse(&command, argc, argv) < 0)
		return EXIT_USAGE;
	if (command.options.help)
		load_command_help(stdout);
	else if (command.options.version)
		puts(PACKAGE_STRING);
	if (command.options.help || command.options.version)
		status = EXIT_SUCCESS;
	else
		status = command.limits ? run_limits(&command) : run_mode(&command);
	load_command_free(&command);
	return fflush(stdout) == 0 ? status : EXIT_FAILURE;
}

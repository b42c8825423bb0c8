/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fd.h"

struct step_row {
	const char *name;
	unsigned int weight;
	bool (*take)(struct model *m, struct rng *r);
};

static const struct step_row rows[N_STEP_KINDS] = {
#define STEP(name, weight, text) [STEP_##name] = { #name, weight, step_##name },
#include "steps.def"
};

const char *model_step_name(enum model_step_kind kind)
{
	return rows[kind].name;
}

bool model_find_step(const char *name, enum model_step_kind *ret_kind)
{
	for (unsigned int i = 0; i < N_STEP_KINDS; i++) {
		if (strcmp(rows[i].name, name) == 0) {
			*ret_kind = (enum model_step_kind)i;
			return true;
		}
	}
	return false;
}

static enum model_step_kind pick_kind(struct rng *r)
{
	static uint32_t sum;
	uint32_t at;
	unsigned int i = 0;

	for (unsigned int k = 0; sum == 0 && k < N_STEP_KINDS; k++)
		i += rows[k].weight;
	sum = sum ? sum : i;
	at = rng_below(r, sum);
	for (i = 0; at >= rows[i].weight; i++)
		at -= rows[i].weight;
	return (enum model_step_kind)i;
}

struct model_step *model_make_steps(uint64_t episode, size_t n_steps)
{
	struct model_step *steps = calloc(n_steps ? n_steps : 1, sizeof(*steps));
	struct rng r = rng_make(episode ^ 1);

	for (size_t i = 0; steps && i < n_steps; i++)
		steps[i] = (struct model_step){ .kind = pick_kind(&r), .random = rng_next(&r) };
	return steps;
}

void model_fail(struct model *m, const char *fmt, ...)
{
	struct model_report *report = m->report;
	va_list args;

	report->kind = fmt;
	va_start(args, fmt);
	vsnprintf(report->text, sizeof(report->text), fmt, args);
	va_end(args);
	_exit(EXIT_FAILURE);
}

void model_say_words(struct model *m, const char *fmt, ...)
{
	va_list args;

	(void)m;
	va_start(args, fmt);
	fputs("#       ", stdout);
	vprintf(fmt, args);
	putchar('\n');
	fflush(stdout);
	va_end(args);
}

static int pump(void *arg)
{
	struct model *m = arg;

	return loop_step(m->loop, false);
}

/* A device, its ports, the first of them plugged in, memory, a driver. */
static void begin(struct model *m, struct rng *r)
{
	const char *why = "";

	if (loop_new(64, &m->loop, &why) < 0)
		model_fail(m, "a loop: %s", why);
	m->n_numbers = 1 + rng_below(r, MODEL_NUMBERS);
	m->n_ports = m->n_numbers + 1;
	m->n_rings = CONSOLE_N_QUEUES(m->n_numbers);
	if (console_init(&m->con, m->n_numbers, false) < 0)
		model_fail(m, "memory for a device");
	host_init(m, r);
	vhu_frontend_init(&m->fe, -1);
	m->inflight = (struct vhu_frontend_inflight)VHU_FRONTEND_INFLIGHT_NONE;
	m->fe.pump = pump;
	m->fe.pump_arg = m;
	memory_make(m);
	session_must(m, vhu_frontend_make_rings(&m->fe, m->n_rings, VHU_CALL_EVENTFD));
	m->n_set_up = 2;
	for (unsigned int i = 0; i < m->n_numbers; i++) {
		m->numbers[i].port = &m->ports[i];
		m->ports[i].number = (int)i;
		console_add_port(&m->con, i, &m->ports[i].port);
	}
	session_boot(m, r);
}

static void end(struct model *m)
{
	if (m->b)
		session_disconnect(m);
	host_fini(m);
	memory_fini(m);
	vhu_frontend_inflight_fini(&m->inflight);
	vhu_frontend_fini(&m->fe);
	console_fini(&m->con);
	loop_free(m->loop);
}

static void take_steps(struct model *m, const struct model_step *steps, size_t n_steps)
{
	for (size_t i = 0; i < n_steps; i++) {
		struct rng r = rng_make(steps[i].random);

		m->report->n_steps = i + 1;
		model_say(m, "-- %zu: %s", i + 1, rows[steps[i].kind].name);
		if (rows[steps[i].kind].take(m, &r))
			m->report->counts[steps[i].kind]++;
	}
	m->report->n_all += n_steps;
}

void model_run(struct model_report *report, uint64_t episode, const struct model_step *steps,
	       size_t n_steps, bool trace)
{
	struct model *m = calloc(1, sizeof(*m));
	unsigned int n_fds = fd_count_open(), n_left;
	struct rng r = rng_make(episode);

	if (!m)
		abort();
	m->report = report;
	m->trace = trace;
	report->episode = episode;
	report->n_steps = 0;
	begin(m, &r);
	take_steps(m, steps, n_steps);
	model_settle(m);
	model_check(m);
	end(m);
	n_left = fd_count_open();
	model_expect(m, n_left == n_fds, "%u open descriptors as before, not %u", n_fds, n_left);
	free(m);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* For people: what is not well, case by case; the rest as numbers. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "conform/report/report-impl.h"
#include "options.h"

enum {
	INDENT = 8,
	PROGRESS_NS = 1000000000, /* a run that is over sooner shows none */
	MAX_REASONS = 12,
};

/* For what comes in numbers. */
#define PLURAL(n) ((n) == 1 ? "" : "s")

struct human {
	bool tty, progress; /* progress: a line of it is on the terminal */
	uint64_t start_ns;
	char area[64];
	unsigned int n_remarks; /* not shown */
	unsigned int n_reasons; /* why cases were skipped */
	struct {
		char text[128];
		unsigned int n;
	} reasons[MAX_REASONS];
};

static const char *color_of(enum verdict verdict)
{
	static const char *const colors[VERDICT_N] = {
		[VERDICT_PASS] = "\033[32m",	[VERDICT_FAIL] = "\033[31m",
		[VERDICT_WARN] = "\033[33m",	[VERDICT_NA] = "\033[2m",
		[VERDICT_SKIP] = "\033[2m",	[VERDICT_ERROR] = "\033[1;35m",
		[VERDICT_CRASH] = "\033[1;31m", [VERDICT_HANG] = "\033[1;31m",
	};

	return colors[verdict];
}

static void human_begin(struct report *r)
{
	struct human *h = calloc(1, sizeof(*h));

	r->own = h;
	if (!h) {
		r->no_memory = true;
		return;
	}
	h->tty = isatty(fileno(r->out));
	h->start_ns = monotonic_ns();
	fprintf(r->out, "vhu-conform %s: %zu case%s", r->run.version, r->run.n_cases,
		PLURAL(r->run.n_cases));
	if (r->run.name)
		fprintf(r->out, " against %s", r->run.name);
	if (r->run.device)
		fprintf(r->out, ", device %s", r->run.device);
	if (r->run.shuffled)
		fprintf(r->out, ", in the order of --seed %llu", (unsigned long long)r->run.seed);
	fputc('\n', r->out);
}

/* Progress. */

static void clear_progress(struct report *r, struct human *h)
{
	if (h->progress)
		fputs("\r\033[K", r->out);
	h->progress = false;
}

static void show_progress(struct report *r, struct human *h, const struct result *res)
{
	if (!h->tty || monotonic_ns() - h->start_ns < PROGRESS_NS)
		return;
	clear_progress(r, h);
	fprintf(r->out, "[%zu/%zu] %s", r->n_results, r->run.n_cases, res->row->id);
	h->progress = true;
}

/* One case. */

static void put_area(struct report *r, struct human *h, const struct case_row *row)
{
	char area[sizeof(h->area)];

	if (strcmp(report_area(row, area, sizeof(area)), h->area) == 0)
		return;
	memcpy(h->area, area, sizeof(area));
	fprintf(r->out, "\n%s\n", area);
}

static void put_verdict(struct report *r, enum verdict verdict)
{
	if (r->color)
		fputs(color_of(verdict), r->out);
	fprintf(r->out, "  %-5s", verdict_name(verdict));
	if (r->color)
		fputs("\033[0m", r->out);
}

/* "why: ..." in lines that are not too long. */
static void put_field(struct report *r, const char *what, const char *text)
{
	char *clean = NULL;
	size_t len;
	FILE *line;
	int n;

	if (!text || !*text)
		return;
	line = open_memstream(&clean, &len);
	if (!line) {
		r->no_memory = true;
		return;
	}
	encode_line(line, text, "");
	fclose(line);
	n = fprintf(r->out, "%*s%s%s", INDENT, "", what, *what ? ": " : "");
	options_wrap(r->out, clean, n, INDENT + 2);
	free(clean);
}

static void put_clauses(struct report *r, const struct case_row *row)
{
	char *text = report_clauses(row);

	put_field(r, "", text);
	free(text);
}

static void put_rerun(struct report *r, const struct result *res)
{
	if (res->replay_file) {
		fprintf(r->out, "%*sits bytes again: vhu-conform replay ", INDENT, "");
		encode_line(r->out, res->replay_file, "");
		fputs(", with the same --exec or --socket\n", r->out);
	}
	if (!r->run.target)
		return;
	fprintf(r->out, "%*salone: vhu-conform ", INDENT, "");
	encode_line(r->out, r->run.target, "");
	if (r->run.device)
		fprintf(r->out, " --device %s", r->run.device);
	fprintf(r->out, "%s --select %s\n", res->row->flags & CASE_HOSTILE ? " --hostile" : "",
		res->row->id);
}

static void put_explanation(struct report *r, const struct result *res)
{
	put_clauses(r, res->row);
	put_field(r, "why", res->row->why);
	put_field(r, "known bug", res->row->bug);
	put_rerun(r, res);
	if (res->details)
		encode_lines(r->out, res->details, INDENT);
}

/* A pass that --expect lists as a failure is told, for it should be taken out. */
static bool worth_telling(const struct report *r, const struct result *res)
{
	if (r->run.verbose || (res->verdict == VERDICT_PASS && res->expected))
		return true;
	return report_is_bad(res->verdict) || res->verdict == VERDICT_WARN;
}

static void put_result(struct report *r, const struct result *res)
{
	put_verdict(r, res->verdict);
	fprintf(r->out, " %s: %s%s%s%s", res->row->id, res->row->title, res->variant ? " (" : "",
		res->variant ? res->variant : "", res->variant ? ")" : "");
	if (res->expected)
		fputs(res->verdict == VERDICT_PASS ? " [--expect says otherwise]" : " [expected]",
		      r->out);
	fputc('\n', r->out);
	put_field(r, "", res->reason);
	put_field(r, "remark", res->remark);
	if (report_is_bad(res->verdict) ? !res->expected || r->run.verbose
					: res->verdict == VERDICT_WARN && r->run.verbose)
		put_explanation(r, res);
	else if (res->verdict == VERDICT_WARN)
		put_clauses(r, res->row);
}

static void count_reason(struct human *h, const struct result *res)
{
	unsigned int i = 0;

	while (i < h->n_reasons &&
	       strncmp(h->reasons[i].text, res->reason, sizeof(h->reasons[i].text) - 1) != 0)
		i++;
	if (i == MAX_REASONS)
		return;
	if (i == h->n_reasons) {
		snprintf(h->reasons[i].text, sizeof(h->reasons[i].text), "%.*s",
			 (int)sizeof(h->reasons[i].text) - 1, res->reason);
		h->n_reasons++;
	}
	h->reasons[i].n++;
}

static void human_result(struct report *r, const struct result *res)
{
	struct human *h = r->own;

	if (!h)
		return;
	if (res->verdict == VERDICT_SKIP)
		count_reason(h, res);
	if (worth_telling(r, res)) {
		clear_progress(r, h);
		put_area(r, h, res->row);
		put_result(r, res);
	} else if (*res->remark) {
		h->n_remarks++;
	}
	show_progress(r, h, res);
}

/* The end. */

static const char *exit_meaning(int status)
{
	switch (status) {
	case CONFORM_HELD:
		return "all that must hold, and applies, does";
	case CONFORM_FAILED:
		return "something that must hold does not";
	case CONFORM_USAGE:
		return "the command line is wrong";
	case CONFORM_NOT_REACHED:
		return "the back-end could not be started or reached";
	case CONFORM_CRASHED:
		return "the back-end crashed or hung";
	case CONFORM_NOTHING:
		return "no case applies";
	default:
		return "the tester itself failed";
	}
}

static void put_counts(struct report *r, const struct summary *s)
{
	const char *separator = "";

	fprintf(r->out, "\n%u case%s in %.1f s: ", s->n_results, PLURAL(s->n_results),
		(double)s->ns / 1e9);
	for (unsigned int i = 0; i < VERDICT_N; i++) {
		bool color = r->color && s->n_verdicts[i] > 0;

		if (s->n_verdicts[i] == 0 && i != VERDICT_PASS && i != VERDICT_FAIL)
			continue;
		fprintf(r->out, "%s%s%u %s%s", separator, color ? color_of((enum verdict)i) : "",
			s->n_verdicts[i], verdict_name((enum verdict)i), color ? "\033[0m" : "");
		separator = ", ";
	}
	if (s->n_results == 0)
		fputs(", nothing was run", r->out);
	fputc('\n', r->out);
}

static void put_notes(struct report *r, const struct human *h, const struct summary *s)
{
	if (s->n_expected > 0)
		fprintf(r->out, "%u of the failures are expected by --expect\n", s->n_expected);
	if (s->n_now_good > 0)
		fprintf(r->out, "%u case%s that --expect lists as %s\n", s->n_now_good,
			s->n_now_good == 1 ? " passes" : "s pass",
			s->n_now_good == 1 ? "a failure" : "failures");
	for (unsigned int i = 0; i < h->n_reasons; i++) {
		fprintf(r->out, "skipped %u: ", h->reasons[i].n);
		encode_line(r->out, h->reasons[i].text, "");
		fputc('\n', r->out);
	}
	if (s->n_hostile > 0)
		fprintf(r->out, "%u hostile case%s left out; --hostile runs %s\n", s->n_hostile,
			s->n_hostile == 1 ? " was" : "s were", s->n_hostile == 1 ? "it" : "them");
	if (h->n_remarks > 0)
		fprintf(r->out, "%u remark%s on cases that passed; --verbose shows %s\n",
			h->n_remarks, PLURAL(h->n_remarks), h->n_remarks == 1 ? "it" : "them");
	if (s->interrupted)
		fputs("the run was interrupted: cases are missing\n", r->out);
}

static void human_end(struct report *r, const struct summary *s)
{
	const struct coverage *c = &s->coverage;
	struct human *h = r->own;

	if (!h)
		return;
	clear_progress(r, h);
	put_counts(r, s);
	put_notes(r, h, s);
	if (s->error) {
		encode_line(r->out, s->error, "");
		fputc('\n', r->out);
	}
	fprintf(r->out,
		"clauses: %u exercised of %u applicable of %u (%u cannot be seen from outside)\n",
		c->n_exercised, c->n_applicable, c->n_total, c->n_unseen);
	fprintf(r->out, "exit status %d: %s\n", s->exit_status, exit_meaning(s->exit_status));
}

static void human_release(struct report *r)
{
	free(r->own);
}

const struct report_ops report_human = { human_begin, human_result, human_end, human_release };

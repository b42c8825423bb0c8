/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Pictures of rings, and how long rings take. */
#include <inttypes.h>
#include <string.h>

#include "trace/views/views-private.h"

/* Queues of a console that carry control messages (virtio 1.x, "Console Device"). */
enum { CONTROL_TO_DRIVER = 2, CONTROL_TO_DEVICE = 3 };

enum { BAR_COLUMNS = 40 };

size_t view_chain_control(char *buf, size_t cap, const struct trace_told *told, size_t chain_idx,
			  const char *device)
{
	const struct ring_picture *p = told->record->picture;
	const struct picture_chain *c = &p->chains[chain_idx];
	bool to_driver = told->record->ring == CONTROL_TO_DRIVER;
	uint32_t at = to_driver ? c->in_at : c->out_at;
	uint32_t len = to_driver ? c->n_in : c->n_out;

	if (!device || strcmp(device, "console") != 0 || len == 0 ||
	    (!to_driver && told->record->ring != CONTROL_TO_DEVICE))
		return 0;
	return story_control_text(buf, cap, p->data + at, len);
}

void view_text_picture(FILE *out, const struct trace_told *told, const struct view_options *options,
		       int indent)
{
	const struct ring_picture *p = told->record->picture;
	char text[256];

	for (size_t i = 0; i < p->n_chains; i++)
		if (view_chain_control(text, sizeof(text), told, i, options->device) > 0)
			fprintf(out, "%*s[%u] %s\n", indent, "", p->chains[i].at, text);
	picture_print(out, p, indent, options->hex || options->data);
}

/* The column of a table of durations. */
static void put_duration(FILE *out, uint64_t ns)
{
	char text[32] = "";
	FILE *cell = fmemopen(text, sizeof(text), "w");

	if (cell) {
		view_put_ns(cell, ns);
		fclose(cell);
	}
	fprintf(out, "  %8s", text);
}

/* What is known is that it was not longer: durations are counted by powers of two. */
static void put_percentile(FILE *out, const struct histogram *h, unsigned int percent)
{
	uint64_t ns = histogram_percentile(h, percent);
	char text[32] = "";
	FILE *cell = fmemopen(text, sizeof(text), "w");

	if (cell) {
		fputs(ns < h->max_ns ? "< " : "<= ", cell);
		view_put_ns(cell, ns);
		fclose(cell);
	}
	fprintf(out, "  %10s", text);
}

static void put_latency(FILE *out, const struct histogram *h, uint32_t ring, int indent)
{
	fprintf(out, "%*sring %-7" PRIu32 "  %8" PRIu64, indent, "", ring, h->n);
	put_duration(out, h->sum_ns / h->n);
	put_percentile(out, h, 50);
	put_percentile(out, h, 99);
	put_duration(out, h->max_ns);
	fputc('\n', out);
}

static uint64_t fullest(const struct histogram *h)
{
	uint64_t most = 1;

	for (unsigned int i = 0; i < HISTOGRAM_N_BUCKETS; i++)
		most = h->bucket[i] > most ? h->bucket[i] : most;
	return most;
}

/* A bar for each power of two from the first that has any to the last. */
static void put_bars(FILE *out, const struct histogram *h, int indent)
{
	unsigned int first = 0, last = HISTOGRAM_N_BUCKETS - 1;
	double scale = BAR_COLUMNS / (double)fullest(h);

	while (first < last && h->bucket[first] == 0)
		first++;
	while (last > first && h->bucket[last] == 0)
		last--;
	for (unsigned int i = first; i <= last; i++) {
		int length = (int)((double)h->bucket[i] * scale);

		fprintf(out, "%*s    from", indent, "");
		put_duration(out, i == 0 ? 0 : BIT(i));
		fprintf(out, "  %8" PRIu64 "%s", h->bucket[i], h->bucket[i] > 0 ? "  #" : "");
		for (int k = 1; k < length; k++)
			fputc('#', out);
		fputc('\n', out);
	}
}

void view_text_latency(FILE *out, const struct story_session *session, int indent)
{
	bool begun = false;

	for (uint32_t ring = 0; ring < VHU_MAX_RINGS; ring++) {
		const struct histogram *h = &session->ring[ring].latency;

		if (h->n == 0)
			continue;
		if (!begun)
			fprintf(out, "%*s%-12s  %8s  %8s  %10s  %10s  %8s\n", indent, "",
				"kick to used", "n", "mean", "median", "99 %", "longest");
		begun = true;
		put_latency(out, h, ring, indent);
		put_bars(out, h, indent);
	}
}

/* How long the oldest of them has waited. */
static uint64_t waited_ns(const struct story_ring *ring, uint64_t now_ns)
{
	return now_ns > ring->waiting_ns ? now_ns - ring->waiting_ns : 0;
}

static void put_waiting(FILE *out, const struct story_ring *ring, uint64_t now_ns)
{
	if (ring->n_waiting == 0)
		return;
	if (!ring->waiting_readable) {
		fputs("  room for what comes", out);
		return;
	}
	fprintf(out, "  %soffered ", ring->n_waiting > 1 ? "the oldest " : "");
	view_put_ns(out, waited_ns(ring, now_ns));
	fputs(" before", out);
}

void view_text_chains(FILE *out, const struct trace_told *told, int indent)
{
	bool begun = false;

	for (uint32_t i = 0; i < VHU_MAX_RINGS; i++) {
		const struct story_ring *ring = &told->session->ring[i];

		if (ring->n_pictures == 0)
			continue;
		if (!begun)
			fprintf(out, "%*s%-12s  %8s  %8s  %8s\n", indent, "", "chains", "offered",
				"returned", "never");
		begun = true;
		fprintf(out, "%*sring %-7" PRIu32 "  %8" PRIu64 "  %8" PRIu64 "  %8" PRIu32, indent,
			"", i, ring->n_returned + ring->n_waiting, ring->n_returned,
			ring->n_waiting);
		put_waiting(out, ring, told->record->ns);
		fputc('\n', out);
	}
}

void view_text_hanging(FILE *out, const struct trace_told *told, const struct view_options *options,
		       int indent)
{
	for (uint32_t i = 0; i < VHU_MAX_RINGS; i++) {
		const struct story_ring *ring = &told->session->ring[i];
		bool many = ring->n_waiting > 1;

		if (!story_ring_hangs(ring, told->record->ns))
			continue;
		view_paint(out, options, VIEW_YELLOW);
		fprintf(out, "%*sring %" PRIu32 ": %" PRIu32 " chain%s never returned", indent, "",
			i, ring->n_waiting, many ? "s were" : " was");
		if (options->times != TRACE_TIMES_NONE) {
			fprintf(out, ", %soffered ", many ? "the oldest " : "");
			view_put_ns(out, waited_ns(ring, told->record->ns));
			fputs(" before", out);
		}
		view_paint(out, options, VIEW_PLAIN);
		fputc('\n', out);
	}
}

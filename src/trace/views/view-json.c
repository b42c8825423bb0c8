/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A record as one JSON object. What does not apply is left out: no key is null,
 * and no flag false, but where "always" is said. Numbers above 2^53 are strings
 * in hex, masks and addresses always are; bytes are hex without blanks. With no
 * times wanted, t, dt, time, ns, latency, inode and eventfd are left out.
 *
 * Every object:
 *	kind	"open", "message", "raw", "channel", "end", "note" or "ring"
 *	n	number of the record, from 1
 *	session	number of the session, from 1
 *	t, dt	ns since the first record, and since the one before
 *	time	"2026-01-31T12:00:00.123456789Z"
 *	line	the record as a line of text, without times
 * "open", "note":
 *	text	where the front-end connected to; what the tracer says
 * "message", "raw", "end":
 *	dir	"to-back-end" or "to-front-end": the way that these bytes travel
 *	channel	true: on the back-end's channel
 * "raw", bytes that make no message: size, bytes, fds (see below)
 * "end", who sends in direction dir has closed:
 *	text	why, or ""
 *	open	false: the session is over, which one record says. Only then:
 *	unanswered [{name, dir}], requests without a reply
 *	rings	[{ring, offered, returned, waiting, hangs, waited_ns, kicks, calls}], of all
 *		rings. offered to waited_ns if there are pictures: chains, how many the device
 *		still has, and for how long the oldest; hangs: chains to be read have waited for
 *		more than a second while none came back. kicks, calls: left out where they
 *		cannot be seen; as messages (in-band), else in pictures
 *	latency	[{ring, n, mean_ns, median_ns, p99_ns, max_ns, buckets: [[from_ns, n]]}],
 *		kick to used, of the rings that were measured
 * "message":
 *	name, id, flags, size	of the header, always; name is "unknown" for an id in no table
 *	reply, need_reply	true
 *	explain	what the message is for, in one phrase
 *	fds	[{kind, text, path, size, readonly, nonblock, inode, eventfd}], descriptors that
 *		came along; path and size of memory and files
 *	fields	[{name, at, len, part, value, text, bits}]: which bytes are what; together they
 *		are all of bytes, each once. part: "header", "payload", "padding" or "extra".
 *		bits, of masks: [{bit, name, set, offered, text}], those that are set, and of a
 *		request those that the back-end offers; set is always there
 *	payload	the payload by names, as vhu_format_json() has it
 *	bytes	header and payload
 *	answers	{name, ns}: this is the reply to that request, after so long
 *	failed	true: a reply that says that the request failed
 *	rule	{name, text, clauses, severity}: a rule that is broken; severity "note",
 *		"refuse" or "close"
 *	ring	{index, before, after, num, base, kick, call, err, enabled, areas}: the ring that
 *		is named, after this message. before, after: "stopped", "started", "enabled" or
 *		"running". kick, call, err, enabled: always. areas: [{what, user, len, guest,
 *		offset, region, fault}], its parts in the front-end's addresses and, if they are
 *		in a region (an index into memory), in the guest's and in the file
 *	memory	[{guest, user, size, offset, file, overlaps, past_file}]: the whole map by guest
 *		address, when this message changed it; file as one of fds
 *	features {agreed, offered, accepted, protocol_offered, protocol_accepted}: with messages
 *		about features, what the session has come to; agreed always
 * "ring", a picture of a ring:
 *	ring	its index
 *	cause	"kick", "call", "used", ...
 *	state	as after above
 *	latency	as of "end", up to now
 *	picture	{packed, event_idx, size, avail_idx, used_idx, avail_flags, used_event,
 *		used_flags, avail_event, calls_off, kicks_off, offered, missed, chains, used,
 *		wrong}; indices of packed rings are offset and, in bit 15, wrap counter. All but
 *		missed and wrong always
 *	  chains [{at, head, owner, owner_text, fault, reused, used_len, out_len, in_len, out,
 *		out_text, in, in_text, control, descs, more_descs}], oldest first; owner "device"
 *		or "driver"; fault: of what the device has, alone; out, in: the beginnings of what
 *		the device reads, and has written; control: a message of a console's control queue
 *		in words; more_descs: how many follow descs, which has the first ones
 *	    descs [{number, addr, len, flags, names, next, in_table}]
 *	  used	[{at, id, len}], oldest first, of split rings
 *	  wrong	[text]: rules that the device has broken, with their clauses
 */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "encode.h"
#include "trace/views/view-json-private.h"

#define NS_PER_S UINT64_C(1000000000)

static void put_time(FILE *out, uint64_t ns)
{
	time_t seconds = (time_t)(ns / NS_PER_S);
	struct tm tm = { 0 };
	char date[64] = "";

	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(out, ",\"time\":\"%s.%09" PRIu64 "Z\"", date, ns % NS_PER_S);
}

static void put_head(FILE *out, const struct trace_told *told, const struct view_options *options)
{
	static const char *const kinds[TRACE_N_KINDS] = {
		[TRACE_OPEN] = "open",	     [TRACE_MESSAGE] = "message", [TRACE_RAW] = "raw",
		[TRACE_CHANNEL] = "channel", [TRACE_END] = "end",	  [TRACE_NOTE] = "note",
		[TRACE_RING] = "ring",
	};
	const struct view_options plain = { .times = TRACE_TIMES_NONE, .device = options->device };
	char *line = view_line(told, &plain);

	fprintf(out, "{\"kind\":\"%s\"", kinds[told->record->kind]);
	json_number(out, "n", told->number);
	json_number(out, "session", told->record->session);
	if (options->times != TRACE_TIMES_NONE) {
		json_number(out, "t", told->since_first_ns);
		json_number(out, "dt", told->since_last_ns);
		put_time(out, told->record->ns);
	}
	json_text(out, "line", line ? line : "");
	free(line);
}

static void put_direction(FILE *out, const struct trace_record *r)
{
	json_text(out, "dir", r->dir == TRACE_TO_BACKEND ? "to-back-end" : "to-front-end");
	json_flag(out, "channel", r->channel);
}

static void put_raw(FILE *out, const struct trace_told *told, const struct view_options *options)
{
	put_direction(out, told->record);
	json_number(out, "size", told->record->len);
	json_bytes(out, "bytes", told->record->bytes, told->record->len);
	json_fds(out, told->record, options);
}

static void put_unanswered(FILE *out, const struct story_session *session)
{
	const struct vhu_msg *msg;
	const char *comma = "";

	fputs(",\"unanswered\":[", out);
	for (enum vhu_dir dir = VHU_FE; dir <= VHU_BE; dir++)
		for (unsigned int i = 0; (msg = story_unanswered(session, dir, i)); i++) {
			fprintf(out, "%s{\"name\":\"%s\",\"dir\":\"to-%s\"}", comma,
				vhu_msg_name(dir, msg->id),
				dir == VHU_FE ? "back-end" : "front-end");
			comma = ",";
		}
	fputc(']', out);
}

static void put_latencies(FILE *out, const struct story_session *session)
{
	const char *comma = "";

	fputs(",\"latency\":[", out);
	for (uint32_t ring = 0; ring < VHU_MAX_RINGS; ring++) {
		if (session->ring[ring].latency.n == 0)
			continue;
		fprintf(out, "%s{\"ring\":%" PRIu32, comma, ring);
		json_histogram(out, &session->ring[ring].latency);
		fputc('}', out);
		comma = ",";
	}
	fputc(']', out);
}

static void put_signals(FILE *out, const struct story_ring *ring)
{
	uint64_t n;

	if (story_signals_seen(ring, &ring->kicks, &n))
		json_number(out, "kicks", n);
	if (story_signals_seen(ring, &ring->calls, &n))
		json_number(out, "calls", n);
}

static void put_chains(FILE *out, const struct story_ring *ring, uint64_t now_ns,
		       const struct view_options *options)
{
	json_number(out, "offered", ring->n_returned + ring->n_waiting);
	json_number(out, "returned", ring->n_returned);
	json_number(out, "waiting", ring->n_waiting);
	json_flag(out, "hangs", story_ring_hangs(ring, now_ns));
	if (options->times != TRACE_TIMES_NONE && ring->n_waiting > 0)
		json_number(out, "waited_ns",
			    now_ns > ring->waiting_ns ? now_ns - ring->waiting_ns : 0);
}

static void put_rings(FILE *out, const struct trace_told *told, const struct view_options *options)
{
	const char *comma = "";

	fputs(",\"rings\":[", out);
	for (uint32_t i = 0; i < VHU_MAX_RINGS; i++) {
		const struct story_ring *ring = &told->session->ring[i];

		if (!ring->seen)
			continue;
		fprintf(out, "%s{\"ring\":%" PRIu32, comma, i);
		if (ring->n_pictures > 0)
			put_chains(out, ring, told->record->ns, options);
		put_signals(out, ring);
		fputc('}', out);
		comma = ",";
	}
	fputc(']', out);
}

static void put_end(FILE *out, const struct trace_told *told, const struct view_options *options)
{
	put_direction(out, told->record);
	json_text(out, "text", told->record->text);
	if (!view_session_over(told))
		return;
	fputs(",\"open\":false", out);
	put_unanswered(out, told->session);
	put_rings(out, told, options);
	if (options->times != TRACE_TIMES_NONE)
		put_latencies(out, told->session);
}

void view_json_object(FILE *out, const struct trace_told *told, const struct view_options *options)
{
	put_head(out, told, options);
	switch (told->record->kind) {
	case TRACE_MESSAGE:
		put_direction(out, told->record);
		json_message(out, told, options);
		break;
	case TRACE_RAW:
		put_raw(out, told, options);
		break;
	case TRACE_END:
		put_end(out, told, options);
		break;
	case TRACE_OPEN:
	case TRACE_NOTE:
		json_text(out, "text", told->record->text);
		break;
	case TRACE_RING:
		json_picture(out, told, options);
		break;
	default:
		break;
	}
	fputc('}', out);
}

static void compose(struct view_stream *s, FILE *out, const struct trace_told *told)
{
	view_json_object(out, told, &s->options);
	fputc('\n', out);
}

struct trace_view *view_json_new(FILE *out, const struct view_options *options)
{
	return view_stream_new(out, options, compose);
}

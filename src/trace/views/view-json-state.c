/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Rings and memory of a session, as they are after a message, and pictures. */
#include <inttypes.h>
#include <stdlib.h>

#include "encode.h"
#include "trace/views/view-json-private.h"

enum { EXCERPT = 64 };

static void put_area(FILE *out, const struct view_area *area)
{
	fputs("{\"what\":", out);
	encode_json_text(out, area->what);
	json_hex(out, "user", area->user);
	if (area->len > 0)
		json_number(out, "len", area->len);
	if (area->region) {
		json_hex(out, "guest", area->guest);
		json_hex(out, "offset", area->offset);
		json_number(out, "region", area->region_idx);
	}
	if (area->fault)
		json_text(out, "fault", area->fault);
	fputc('}', out);
}

static void put_areas(FILE *out, const struct story_session *session, uint32_t ring)
{
	struct view_area areas[VIEW_N_AREAS];

	if (!view_ring_areas(session, ring, areas))
		return;
	fputs(",\"areas\":[", out);
	for (unsigned int i = 0; i < VIEW_N_AREAS; i++) {
		fputs(i > 0 ? "," : "", out);
		put_area(out, &areas[i]);
	}
	fputc(']', out);
}

static void put_ring_state(FILE *out, const struct story_session *session, uint32_t index)
{
	const struct story_ring *ring = &session->ring[index];

	if (ring->num > 0)
		json_number(out, "num", ring->num);
	json_number(out, "base", ring->base);
	json_bool(out, "kick", ring->kick_fd);
	json_bool(out, "call", ring->call_fd);
	json_bool(out, "err", ring->err_fd);
	json_bool(out, "enabled", ring->state == STORY_ENABLED || ring->state == STORY_RUNNING);
	put_areas(out, session, index);
}

void json_ring(FILE *out, const struct trace_told *told)
{
	fprintf(out, ",\"ring\":{\"index\":%" PRIu32, told->ring);
	if (told->session && told->ring < VHU_MAX_RINGS) {
		json_text(out, "before", story_state_name(told->before));
		json_text(out, "after", story_state_name(told->after));
		put_ring_state(out, told->session, told->ring);
	}
	fputc('}', out);
}

static void put_region(FILE *out, const struct story_region *region,
		       const struct view_options *options)
{
	fprintf(out, "{\"guest\":\"0x%" PRIx64 "\"", region->wire.guest_addr);
	json_hex(out, "user", region->wire.user_addr);
	json_number(out, "size", region->wire.size);
	json_hex(out, "offset", region->wire.mmap_offset);
	if (region->file.path[0] != '\0') {
		fputs(",\"file\":", out);
		json_fd(out, &region->file, options);
	}
	json_flag(out, "overlaps", region->overlaps);
	json_flag(out, "past_file", region->past_file);
	fputc('}', out);
}

void json_memory(FILE *out, const struct trace_told *told, const struct view_options *options)
{
	if (!told->session)
		return;
	fputs(",\"memory\":[", out);
	for (unsigned int i = 0; i < told->session->memory.n_regions; i++) {
		fputs(i > 0 ? "," : "", out);
		put_region(out, &told->session->memory.region[i], options);
	}
	fputc(']', out);
}

static void put_flag_names(FILE *out, uint16_t flags)
{
	static const struct {
		uint16_t mask;
		const char *name;
	} names[] = {
		{ VRING_DESC_F_NEXT, "NEXT" },
		{ VRING_DESC_F_WRITE, "WRITE" },
		{ VRING_DESC_F_INDIRECT, "INDIRECT" },
	};
	const char *comma = "";

	fputs(",\"names\":[", out);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!(flags & names[i].mask))
			continue;
		fprintf(out, "%s\"%s\"", comma, names[i].name);
		comma = ",";
	}
	fputc(']', out);
}

static void put_desc(FILE *out, const struct picture_desc *d, bool packed)
{
	fprintf(out, "{\"number\":%u", d->number);
	json_hex(out, "addr", d->addr);
	json_number(out, "len", d->len);
	json_hex(out, "flags", d->flags);
	put_flag_names(out, d->flags);
	if (!packed && d->flags & VRING_DESC_F_NEXT)
		json_number(out, "next", d->next);
	json_flag(out, "in_table", d->in_table);
	fputc('}', out);
}

static void put_data(FILE *out, const char *key, const char *text_key, const uint8_t *bytes,
		     size_t len)
{
	char *text = NULL;
	size_t text_len = 0;
	FILE *excerpt;

	if (len == 0)
		return;
	json_bytes(out, key, bytes, len);
	excerpt = open_memstream(&text, &text_len);
	if (!excerpt)
		return;
	view_put_excerpt(excerpt, bytes, len, EXCERPT);
	if (fclose(excerpt) == 0)
		json_text(out, text_key, text);
	free(text);
}

static void put_chain(FILE *out, const struct trace_told *told, size_t i, const char *device)
{
	const struct ring_picture *p = told->record->picture;
	const struct picture_chain *c = &p->chains[i];
	char words[256];

	fprintf(out, "{\"at\":%u,\"head\":%u,\"owner\":\"%s\"", c->at, c->head,
		c->owner == PICTURE_DEVICE ? "device" : "driver");
	json_text(out, "owner_text", picture_owner_text(c->owner));
	if (picture_chain_broken(c))
		json_text(out, "fault", picture_fault_text(c->fault));
	else if (c->fault != PICTURE_SOUND)
		json_flag(out, "reused", true);
	if (c->has_used)
		json_number(out, "used_len", c->used_len);
	json_number(out, "out_len", c->out_len);
	json_number(out, "in_len", c->in_len);
	put_data(out, "out", "out_text", p->data + c->out_at, c->n_out);
	put_data(out, "in", "in_text", p->data + c->in_at, c->n_in);
	if (view_chain_control(words, sizeof(words), told, i, device) > 0)
		json_text(out, "control", words);
	fputs(",\"descs\":[", out);
	for (uint32_t k = 0; k < c->n_descs; k++) {
		fputs(k > 0 ? "," : "", out);
		put_desc(out, &p->descs[c->first_desc + k], p->packed);
	}
	fputc(']', out);
	if (c->n_more > 0)
		json_number(out, "more_descs", c->n_more);
	fputc('}', out);
}

static void put_windows(FILE *out, const struct ring_picture *p)
{
	fprintf(out, "\"packed\":%s", p->packed ? "true" : "false");
	json_bool(out, "event_idx", p->event_idx);
	json_number(out, "size", p->size);
	json_number(out, "avail_idx", p->avail_idx);
	json_number(out, "used_idx", p->used_idx);
	json_number(out, "avail_flags", p->avail_flags);
	json_number(out, "used_event", p->used_event);
	json_number(out, "used_flags", p->used_flags);
	json_number(out, "avail_event", p->avail_event);
	json_bool(out, "calls_off", picture_calls_off(p));
	json_bool(out, "kicks_off", picture_kicks_off(p));
	json_number(out, "offered", picture_n_offered(p));
	if (p->n_missed > 0)
		json_number(out, "missed", p->n_missed);
}

/* What the device did wrong. */
static void put_wrong(FILE *out, const struct ring_picture *p)
{
	char text[256];

	for (size_t i = 0; picture_device_wrong(p, i, text, sizeof(text)); i++) {
		fputs(i == 0 ? ",\"wrong\":[" : ",", out);
		encode_json_text(out, text);
	}
	if (picture_device_broken(p))
		fputc(']', out);
}

static void put_picture(FILE *out, const struct trace_told *told, const char *device)
{
	const struct ring_picture *p = told->record->picture;

	fputs(",\"picture\":{", out);
	put_windows(out, p);
	fputs(",\"chains\":[", out);
	for (size_t i = 0; i < p->n_chains; i++) {
		fputs(i > 0 ? "," : "", out);
		put_chain(out, told, i, device);
	}
	fputs("],\"used\":[", out);
	for (size_t i = 0; i < p->n_used; i++)
		fprintf(out, "%s{\"at\":%u,\"id\":%" PRIu32 ",\"len\":%" PRIu32 "}",
			i > 0 ? "," : "", p->used[i].at, p->used[i].id, p->used[i].len);
	fputc(']', out);
	put_wrong(out, p);
	fputc('}', out);
}

void json_picture(FILE *out, const struct trace_told *told, const struct view_options *options)
{
	const struct story_ring *ring = NULL;

	if (told->session && told->record->ring < VHU_MAX_RINGS)
		ring = &told->session->ring[told->record->ring];
	json_number(out, "ring", told->record->ring);
	json_text(out, "cause", trace_cause_name(told->record->cause));
	if (ring)
		json_text(out, "state", story_state_name(ring->state));
	if (ring && ring->latency.n > 0 && options->times != TRACE_TIMES_NONE) {
		fputs(",\"latency\":{\"ring\":", out);
		fprintf(out, "%" PRIu32, told->record->ring);
		json_histogram(out, &ring->latency);
		fputc('}', out);
	}
	put_picture(out, told, options->device);
}

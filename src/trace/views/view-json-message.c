/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "encode.h"
#include "trace/views/view-json-private.h"
#include "vhu/format.h"

struct fields {
	FILE *out;
	struct view_bits bits;
	const char *comma;
};

static void put_bits(const struct fields *fields, const struct vhu_field_view *f)
{
	FILE *out = fields->out;
	struct view_bit bit;

	for (unsigned int i = 0; view_bit_at(&fields->bits, f, i, &bit); i++) {
		fprintf(out, "%s{\"bit\":%u", i == 0 ? ",\"bits\":[" : ",", bit.number);
		if (bit.name)
			json_text(out, "name", bit.name);
		json_bool(out, "set", bit.set);
		if (bit.offer != VIEW_OFFER_UNKNOWN)
			json_bool(out, "offered", bit.offer == VIEW_OFFER_YES);
		if (bit.text)
			json_text(out, "text", bit.text);
		fputc('}', out);
	}
	if (view_bit_at(&fields->bits, f, 0, &bit))
		fputc(']', out);
}

static void put_value(FILE *out, const struct vhu_field_view *f)
{
	size_t len = vhu_field_value(NULL, 0, f);
	char *text = malloc(len + 1);

	if (text)
		vhu_field_value(text, len + 1, f);
	json_text(out, "value", text ? text : "");
	free(text);
}

static void put_field(const struct vhu_field_view *f, void *arg)
{
	static const char *const parts[] = {
		[VHU_FIELD_HEADER] = "header",
		[VHU_FIELD_PAYLOAD] = "payload",
		[VHU_FIELD_PADDING] = "padding",
		[VHU_FIELD_EXTRA] = "extra",
	};
	struct fields *fields = arg;

	fprintf(fields->out, "%s{\"name\":", fields->comma);
	encode_json_text(fields->out, f->name);
	json_number(fields->out, "at", f->at);
	json_number(fields->out, "len", f->len);
	json_text(fields->out, "part", parts[f->part]);
	put_value(fields->out, f);
	json_text(fields->out, "text", f->text);
	put_bits(fields, f);
	fputc('}', fields->out);
	fields->comma = ",";
}

static void put_fields(FILE *out, const struct trace_told *told, const char *device)
{
	struct fields fields = {
		.out = out,
		.bits = { told->msg, told->was_offered, device },
		.comma = "",
	};

	fputs(",\"fields\":[", out);
	vhu_fields_each(told->msg, put_field, &fields);
	fputc(']', out);
}

/* The last member of the whole message as JSON, whose other members come from our tables alone. */
static void put_payload(FILE *out, const struct vhu_msg *msg)
{
	static const char key[] = "\"payload\":";
	size_t len = vhu_format_json(NULL, 0, msg);
	char *text = malloc(len + 1);
	const char *payload = NULL;

	if (text) {
		vhu_format_json(text, len + 1, msg);
		payload = strstr(text, key);
	}
	if (payload)
		fprintf(out, ",%.*s", (int)(len - (size_t)(payload - text) - 1), payload);
	else
		fputs(",\"payload\":{}", out);
	free(text);
}

static void put_answers(FILE *out, const struct trace_told *told,
			const struct view_options *options)
{
	if (!told->request)
		return;
	fputs(",\"answers\":{\"name\":", out);
	encode_json_text(out, vhu_msg_name(told->request->dir, told->request->id));
	if (options->times != TRACE_TIMES_NONE)
		json_number(out, "ns", told->answered_ns);
	fputc('}', out);
}

static void put_rule(FILE *out, enum vhu_rule rule)
{
	static const char *const severities[] = {
		[VHU_NOTE] = "note",
		[VHU_REFUSE] = "refuse",
		[VHU_CLOSE] = "close",
	};

	if (rule == VHU_OK)
		return;
	fputs(",\"rule\":{\"name\":", out);
	encode_json_text(out, vhu_rule_name(rule));
	json_text(out, "text", vhu_rule_text(rule));
	json_text(out, "clauses", vhu_rule_ref(rule));
	json_text(out, "severity", severities[vhu_rule_severity(rule)]);
	fputc('}', out);
}

static bool is_about_features(const struct trace_told *told)
{
	if (told->record->channel)
		return false;
	switch (told->msg->id) {
	case VHU_FE_GET_FEATURES:
	case VHU_FE_SET_FEATURES:
	case VHU_FE_GET_PROTOCOL_FEATURES:
	case VHU_FE_SET_PROTOCOL_FEATURES:
		return true;
	default:
		return false;
	}
}

/* How far the session has come with its features: only what is known. */
static void put_features(FILE *out, const struct trace_told *told)
{
	const struct vhu_nego *nego;

	if (!told->session || !is_about_features(told))
		return;
	nego = &told->session->nego;
	fprintf(out, ",\"features\":{\"agreed\":%s", nego->features_set ? "true" : "false");
	if (nego->offered_features != 0)
		json_hex(out, "offered", nego->offered_features);
	if (nego->features_set)
		json_hex(out, "accepted", nego->features);
	if (nego->offered_protocol != 0)
		json_hex(out, "protocol_offered", nego->offered_protocol);
	if (nego->protocol_set)
		json_hex(out, "protocol_accepted", nego->protocol);
	fputc('}', out);
}

void json_message(FILE *out, const struct trace_told *told, const struct view_options *options)
{
	const struct vhu_msg *msg = told->msg;

	json_text(out, "name", vhu_msg_name(msg->dir, msg->id));
	json_number(out, "id", msg->id);
	json_flag(out, "reply", told->is_reply);
	json_hex(out, "flags", msg->flags);
	json_flag(out, "need_reply", msg->flags & VHU_FLAG_NEED_REPLY);
	json_number(out, "size", msg->size);
	if (told->desc)
		json_text(out, "explain", told->desc->text);
	json_fds(out, told->record, options);
	put_fields(out, told, options->device);
	put_payload(out, msg);
	json_bytes(out, "bytes", told->record->bytes, told->record->len);
	put_answers(out, told, options);
	json_flag(out, "failed", told->refuses);
	put_rule(out, told->rule);
	if (told->has_ring)
		json_ring(out, told);
	if (told->memory_changed)
		json_memory(out, told, options);
	put_features(out, told);
}

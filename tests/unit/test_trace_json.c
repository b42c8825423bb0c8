/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <json-c/json.h>

#include "view_rig.h"

static const struct view_options plain = { .times = TRACE_TIMES_NONE };
static const struct view_options timed = { .times = TRACE_TIMES_DELTA };

/* Every line so far is one object; the last one, to be put by the caller. */
static struct json_object *last_object(void)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *o = NULL;
	const char *line = rig_text();

	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	while (*line != '\0') {
		size_t len = strcspn(line, "\n");

		json_object_put(o);
		o = json_tokener_parse_ex(tokener, line, (int)len);
		if (!o)
			fail_msg("%s in: %.*s",
				 json_tokener_error_desc(json_tokener_get_error(tokener)), (int)len,
				 line);
		assert_int_equal(line[len], '\n');
		json_tokener_reset(tokener);
		line += len + 1;
	}
	json_tokener_free(tokener);
	assert_non_null(o);
	return o;
}

/* "a.b.0.c", or NULL. */
static struct json_object *at(struct json_object *o, const char *path)
{
	char part[64];

	while (o && *path != '\0') {
		size_t len = strcspn(path, ".");

		snprintf(part, sizeof(part), "%.*s", (int)len, path);
		path += len + (path[len] == '.');
		if (json_object_is_type(o, json_type_array))
			o = json_object_array_get_idx(o, strtoul(part, NULL, 10));
		else
			o = json_object_object_get(o, part);
	}
	return o;
}

static void assert_text(struct json_object *o, const char *path, const char *expected)
{
	struct json_object *value = at(o, path);

	if (!value)
		fail_msg("no %s in: %s", path, json_object_to_json_string(o));
	assert_string_equal(json_object_get_string(value), expected);
}

static void assert_number(struct json_object *o, const char *path, int64_t expected)
{
	if (!json_object_is_type(at(o, path), json_type_int))
		fail_msg("no number %s in: %s", path, json_object_to_json_string(o));
	assert_int_equal(json_object_get_int64(at(o, path)), expected);
}

static void assert_flag(struct json_object *o, const char *path, bool expected)
{
	if (!json_object_is_type(at(o, path), json_type_boolean))
		fail_msg("no flag %s in: %s", path, json_object_to_json_string(o));
	assert_int_equal(json_object_get_boolean(at(o, path)), expected);
}

static void request_has_its_header_and_times(void **state)
{
	struct json_object *o;

	(void)state;
	rig_start(view_json_new, &timed);
	rig_note(TRACE_OPEN, TRACE_TO_BACKEND, "/run/x");
	rig_ask_ring(VHU_FE_SET_VRING_NUM, 1, 256);
	o = last_object();
	assert_text(o, "kind", "message");
	assert_number(o, "n", 2);
	assert_number(o, "session", 1);
	assert_number(o, "t", 100000);
	assert_number(o, "dt", 100000);
	assert_text(o, "time", "2023-11-14T22:13:20.123556789Z");
	assert_text(o, "dir", "to-back-end");
	assert_text(o, "name", "SET_VRING_NUM");
	assert_number(o, "id", VHU_FE_SET_VRING_NUM);
	assert_text(o, "flags", "0x1");
	assert_number(o, "size", 8);
	assert_text(o, "explain", "set a ring's size");
	assert_text(o, "bytes", "0800000001000000080000000100000000010000");
	assert_number(o, "payload.num", 256);
	assert_number(o, "ring.index", 1);
	assert_number(o, "ring.num", 256);
	assert_text(o, "ring.after", "stopped");
	assert_text(o, "line", "-> SET_VRING_NUM index=1 num=256  (8 bytes)");
	assert_null(at(o, "reply"));
	assert_null(at(o, "channel"));
	assert_null(at(o, "failed"));
	assert_null(at(o, "rule"));
	json_object_put(o);
	rig_stop();
}

static void reply_tells_what_it_answers_and_how_long_that_took(void **state)
{
	struct json_object *o;

	(void)state;
	rig_start(view_json_new, &timed);
	rig_ask(VHU_FE_GET_FEATURES);
	rig_answer_u64(VHU_FE_GET_FEATURES, BIT(30) | BIT(32));
	o = last_object();
	assert_text(o, "dir", "to-front-end");
	assert_flag(o, "reply", true);
	assert_text(o, "answers.name", "GET_FEATURES");
	assert_number(o, "answers.ns", 100000);
	assert_text(o, "features.offered", "0x140000000");
	assert_flag(o, "features.agreed", false);
	assert_null(at(o, "features.accepted"));
	json_object_put(o);
	rig_stop();
}

static void object_without_times_has_none(void **state)
{
	static const char *const keys[] = { "t", "dt", "time", "answers.ns" };
	struct json_object *o;

	(void)state;
	rig_start(view_json_new, &plain);
	rig_ask(VHU_FE_GET_QUEUE_NUM);
	rig_answer_u64(VHU_FE_GET_QUEUE_NUM, 1);
	o = last_object();
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		assert_null(at(o, keys[i]));
	json_object_put(o);
	rig_stop();
}

/* For every request that there is. */
static void fields_cover_all_bytes_once(void **state)
{
	(void)state;
	rig_start(view_json_new, &plain);
	for (size_t i = 0; i < vhu_desc_count(); i++) {
		struct json_object *o, *fields;
		int64_t end = 0;

		rig_clear();
		vhu_msg_init_sample(&msg, vhu_desc_at(i));
		rig_send();
		o = last_object();
		fields = at(o, "fields");
		assert_non_null(fields);
		for (size_t k = 0; k < json_object_array_length(fields); k++) {
			struct json_object *f = json_object_array_get_idx(fields, k);

			assert_number(f, "at", end);
			end += json_object_get_int64(at(f, "len"));
		}
		assert_int_equal(end * 2, json_object_get_string_len(at(o, "bytes")));
		json_object_put(o);
	}
	rig_stop();
}

static void field_of_a_choice_tells_each_bit(void **state)
{
	const struct view_options console = { .times = TRACE_TIMES_NONE, .device = "console" };
	struct json_object *o;

	(void)state;
	rig_start(view_json_new, &console);
	rig_ask(VHU_FE_GET_FEATURES);
	rig_answer_u64(VHU_FE_GET_FEATURES, BIT(1) | BIT(29));
	rig_ask_u64(VHU_FE_SET_FEATURES, BIT(29) | BIT(7));
	o = last_object();
	assert_text(o, "fields.3.name", "value");
	assert_number(o, "fields.3.bits.0.bit", 1);
	assert_text(o, "fields.3.bits.0.name", "MULTIPORT");
	assert_flag(o, "fields.3.bits.0.set", false);
	assert_flag(o, "fields.3.bits.0.offered", true);
	assert_number(o, "fields.3.bits.1.bit", 7);
	assert_null(at(o, "fields.3.bits.1.name"));
	assert_flag(o, "fields.3.bits.1.offered", false);
	assert_flag(o, "fields.3.bits.2.set", true);
	assert_null(at(o, "fields.0.bits"));
	assert_text(o, "rule.name", "FEATURES_OFFERED");
	assert_text(o, "rule.severity", "refuse");
	json_object_put(o);
	rig_stop();
}

static void message_with_a_hostile_name_stays_one_line_of_json(void **state)
{
	struct fd_about about = {
		.kind = FD_KIND_MEMORY,
		.size = UINT64_C(1) << 60,
		.path = "/memfd:\"</script>\n\033\\\xff (deleted)",
	};
	const struct vhu_mem_table t = { .n_regions = 1, .regions = { { 0, 4096, 4096, 0 } } };
	struct json_object *o;

	(void)state;
	rig_start(view_json_new, &plain);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_MEM_TABLE);
	vhu_msg_put(&msg, &t, 8 + 32);
	rig_send_fds(&about, 1);
	o = last_object();
	assert_text(o, "fds.0.path", "/memfd:\"</script>\n\033\\\xef\xbf\xbd (deleted)");
	assert_text(o, "fds.0.size", "0x1000000000000000");
	assert_text(o, "fds.0.kind", fd_kind_name(FD_KIND_MEMORY));
	assert_text(o, "memory.0.file.path", "/memfd:\"</script>\n\033\\\xef\xbf\xbd (deleted)");
	json_object_put(o);
	rig_stop();
}

static void message_that_changes_memory_has_the_whole_map(void **state)
{
	const struct vhu_mem_table t = {
		.n_regions = 2,
		.regions = { { 0x9000, 0x1000, 0x7000, 0 }, { 0, 0x1000, 0x5000, 0x1000 } },
	};
	struct json_object *o;

	(void)state;
	rig_start(view_json_new, &plain);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_MEM_TABLE);
	vhu_msg_put(&msg, &t, 8 + 2 * 32);
	rig_send();
	o = last_object();
	assert_int_equal(json_object_array_length(at(o, "memory")), 2);
	assert_text(o, "memory.0.guest", "0x0");
	assert_text(o, "memory.0.user", "0x5000");
	assert_text(o, "memory.0.offset", "0x1000");
	assert_number(o, "memory.0.size", 0x1000);
	assert_text(o, "memory.1.guest", "0x9000");
	assert_null(at(o, "memory.0.file"));
	json_object_put(o);
	rig_ask(VHU_FE_SET_OWNER);
	o = last_object();
	assert_null(at(o, "memory"));
	json_object_put(o);
	rig_stop();
}

static void ring_with_addresses_has_its_areas(void **state)
{
	const struct vhu_mem_table t = {
		.n_regions = 1,
		.regions = { { 0x9000, 0x1000, 0x7000, 0x100 } },
	};
	const struct vhu_vring_addr a = { .desc = 0x7000, .avail = 0x7ffe, .used = 0x10 };
	struct json_object *o;

	(void)state;
	rig_start(view_json_new, &plain);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_MEM_TABLE);
	vhu_msg_put(&msg, &t, 8 + 32);
	rig_send();
	rig_ask_ring(VHU_FE_SET_VRING_NUM, 0, 8);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_ADDR);
	vhu_msg_put(&msg, &a, sizeof(a));
	rig_send();
	o = last_object();
	assert_text(o, "ring.areas.0.what", "descriptors");
	assert_text(o, "ring.areas.0.guest", "0x9000");
	assert_text(o, "ring.areas.0.offset", "0x100");
	assert_number(o, "ring.areas.0.len", 128);
	assert_number(o, "ring.areas.0.region", 0);
	assert_null(at(o, "ring.areas.0.fault"));
	assert_text(o, "ring.areas.1.fault", "ends outside of its region");
	assert_text(o, "ring.areas.2.fault", "in no region");
	assert_null(at(o, "ring.areas.2.guest"));
	json_object_put(o);
	rig_stop();
}

static void ring_that_cannot_be_is_told_by_its_index_alone(void **state)
{
	struct json_object *o;

	(void)state;
	rig_start(view_json_new, &plain);
	rig_ask_ring(VHU_FE_SET_VRING_NUM, UINT32_MAX, 8);
	o = last_object();
	assert_null(at(o, "ring.num"));
	assert_text(o, "rule.severity", "refuse");
	json_object_put(o);
	rig_stop();
}

static void picture_has_chains_with_descriptors_and_data(void **state)
{
	const struct view_options console = { .times = TRACE_TIMES_NONE, .device = "console" };
	uint8_t data[] = { 2, 0, 0, 0, 1, 0, 0, 0, '"', 0xff };
	struct picture_desc descs[] = {
		{ .addr = 0x1000, .len = 8, .flags = VRING_DESC_F_NEXT, .next = 1 },
		{ .addr = UINT64_MAX, .len = 2, .flags = VRING_DESC_F_WRITE, .number = 1 },
	};
	struct picture_chain chain = {
		.at = 9,
		.owner = PICTURE_DRIVER,
		.has_used = true,
		.used_len = 2,
		.n_descs = 2,
		.n_out = 8,
		.in_at = 8,
		.n_in = 2,
		.out_len = 8,
		.in_len = 2,
	};
	struct picture_used used = { .at = 9, .len = 2 };
	struct ring_picture picture = {
		.event_idx = true,
		.size = 64,
		.avail_idx = 10,
		.used_idx = 10,
		.chains = &chain,
		.n_chains = 1,
		.used = &used,
		.n_used = 1,
		.descs = descs,
		.n_descs = 2,
		.data = data,
		.n_data = sizeof(data),
	};
	struct json_object *o;

	(void)state;
	rig_start(view_json_new, &console);
	rig_note(TRACE_OPEN, TRACE_TO_BACKEND, "/run/x");
	rig_show(&(struct trace_record){
		.kind = TRACE_RING,
		.ring = 3,
		.cause = TRACE_USED,
		.picture = &picture,
	});
	o = last_object();
	assert_text(o, "kind", "ring");
	assert_number(o, "ring", 3);
	assert_text(o, "cause", "used");
	assert_text(o, "state", "stopped");
	assert_flag(o, "picture.event_idx", true);
	assert_number(o, "picture.offered", 0);
	assert_text(o, "picture.chains.0.owner", "driver");
	assert_number(o, "picture.chains.0.used_len", 2);
	assert_text(o, "picture.chains.0.out", "0200000001000000");
	assert_text(o, "picture.chains.0.in", "22ff");
	assert_text(o, "picture.chains.0.in_text", "\"\\\"\\xff\"");
	assert_text(o, "picture.chains.0.control", "PORT_ADD port 2");
	assert_text(o, "picture.chains.0.descs.0.names.0", "NEXT");
	assert_number(o, "picture.chains.0.descs.0.next", 1);
	assert_text(o, "picture.chains.0.descs.1.addr", "0xffffffffffffffff");
	assert_null(at(o, "picture.chains.0.descs.1.next"));
	assert_null(at(o, "picture.chains.0.fault"));
	assert_number(o, "picture.used.0.len", 2);
	json_object_put(o);
	rig_stop();
}

static void picture_has_faults_of_what_the_device_has(void **state)
{
	struct picture_desc descs[PICTURE_MAX_CHAIN] = { { .len = 1 } };
	struct picture_chain chains[] = {
		{ .fault = PICTURE_UNMAPPED, .n_descs = PICTURE_MAX_CHAIN, .n_more = 66 },
		{ .fault = PICTURE_UNMAPPED, .owner = PICTURE_DRIVER },
		{ .fault = PICTURE_REUSED },
	};
	const struct ring_picture picture = {
		.size = 256,
		.chains = chains,
		.n_chains = ARRAY_SIZE(chains),
		.descs = descs,
		.n_descs = ARRAY_SIZE(descs),
	};
	struct json_object *o;

	(void)state;
	rig_start(view_json_new, &timed);
	rig_show(&(struct trace_record){ .kind = TRACE_RING, .picture = &picture });
	o = last_object();
	assert_text(o, "picture.chains.0.fault", "a buffer is not in guest memory");
	assert_null(at(o, "picture.chains.0.reused"));
	assert_number(o, "picture.chains.0.more_descs", 66);
	assert_null(at(o, "picture.chains.1.fault"));
	assert_flag(o, "picture.chains.1.reused", true);
	assert_null(at(o, "picture.chains.1.more_descs"));
	assert_null(at(o, "picture.chains.2.fault"));
	json_object_put(o);
	rig_stop();
}

static void end_has_what_was_never_answered(void **state)
{
	struct json_object *o;

	(void)state;
	rig_start(view_json_new, &timed);
	rig_note(TRACE_OPEN, TRACE_TO_BACKEND, "/run/x");
	rig_ask(VHU_FE_GET_FEATURES);
	rig_note(TRACE_END, TRACE_TO_BACKEND, "");
	o = last_object();
	assert_null(at(o, "open"));
	json_object_put(o);
	rig_note(TRACE_END, TRACE_TO_FRONTEND, "reset");
	o = last_object();
	assert_text(o, "kind", "end");
	assert_text(o, "dir", "to-front-end");
	assert_text(o, "text", "reset");
	assert_flag(o, "open", false);
	assert_text(o, "unanswered.0.name", "GET_FEATURES");
	assert_text(o, "unanswered.0.dir", "to-back-end");
	assert_int_equal(json_object_array_length(at(o, "latency")), 0);
	json_object_put(o);
	rig_stop();
}

static void end_has_what_became_of_the_chains_of_rings(void **state)
{
	struct picture_chain waiting = { .out_len = 8 };
	const struct ring_picture one = {
		.size = 64,
		.avail_idx = 1,
		.chains = &waiting,
		.n_chains = 1,
	};
	struct json_object *o;

	(void)state;
	rig_start(view_json_new, &timed);
	rig_note(TRACE_OPEN, TRACE_TO_BACKEND, "/run/x");
	rig_ask_u64(VHU_FE_SET_FEATURES, BIT(VIRTIO_F_VERSION_1_BIT));
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_KICK);
	vhu_msg_put_u64(&msg, 0);
	rig_send_fds(&(struct fd_about){ .kind = FD_KIND_EVENTFD }, 1);
	rig_ask_ring(VHU_FE_SET_VRING_NUM, 3, 64);
	rig_show(
		&(struct trace_record){ .kind = TRACE_RING, .cause = TRACE_KICK, .picture = &one });
	rig.ns += UINT64_C(2000000000);
	rig_note(TRACE_END, TRACE_TO_BACKEND, "");
	rig_note(TRACE_END, TRACE_TO_FRONTEND, "");
	o = last_object();
	assert_number(o, "rings.0.ring", 0);
	assert_number(o, "rings.0.offered", 1);
	assert_number(o, "rings.0.returned", 0);
	assert_number(o, "rings.0.waiting", 1);
	assert_number(o, "rings.0.waited_ns", 2000200000);
	assert_flag(o, "rings.0.hangs", true);
	assert_number(o, "rings.0.kicks", 1);
	assert_number(o, "rings.1.ring", 3);
	assert_null(at(o, "rings.1.offered"));
	assert_null(at(o, "rings.1.kicks"));
	json_object_put(o);
	rig_show(&(struct trace_record){ .kind = TRACE_END, .channel = true, .text = "" });
	o = last_object();
	assert_null(at(o, "open"));
	assert_null(at(o, "rings"));
	json_object_put(o);
	rig_stop();
}

static void latency_counts_from_kick_to_used(void **state)
{
	struct picture_chain chain = { .owner = PICTURE_DEVICE };
	struct ring_picture picture = {
		.size = 64, .avail_idx = 1, .chains = &chain, .n_chains = 1
	};
	struct trace_record record = { .kind = TRACE_RING, .picture = &picture };
	struct json_object *o;

	(void)state;
	rig_start(view_json_new, &timed);
	rig_note(TRACE_OPEN, TRACE_TO_BACKEND, "/run/x");
	rig_show(&record);
	picture.used_idx = 1;
	record.cause = TRACE_USED;
	rig_show(&record);
	o = last_object();
	assert_number(o, "latency.n", 1);
	assert_number(o, "latency.max_ns", 100000);
	json_object_put(o);
	rig_note(TRACE_END, TRACE_TO_BACKEND, "");
	rig_note(TRACE_END, TRACE_TO_FRONTEND, "");
	o = last_object();
	assert_number(o, "latency.0.ring", 0);
	assert_number(o, "latency.0.buckets.0.0", 65536);
	assert_number(o, "latency.0.buckets.0.1", 1);
	json_object_put(o);
	rig_stop();
}

static void raw_bytes_and_notes_are_objects_too(void **state)
{
	struct json_object *o;

	(void)state;
	rig_start(view_json_new, &plain);
	rig_show(&(struct trace_record){
		.kind = TRACE_RAW,
		.dir = TRACE_TO_FRONTEND,
		.bytes = (const uint8_t *)"\x01\xff",
		.len = 2,
	});
	o = last_object();
	assert_text(o, "kind", "raw");
	assert_text(o, "dir", "to-front-end");
	assert_text(o, "bytes", "01ff");
	assert_number(o, "size", 2);
	json_object_put(o);
	rig_note(TRACE_CHANNEL, TRACE_TO_BACKEND, NULL);
	rig_note(TRACE_NOTE, TRACE_TO_BACKEND, "\"\n\033\xc3\x28");
	o = last_object();
	assert_text(o, "kind", "note");
	assert_text(o, "text", "\"\n\033\xef\xbf\xbd(");
	json_object_put(o);
	rig_stop();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(request_has_its_header_and_times),
	UNIT_TEST(reply_tells_what_it_answers_and_how_long_that_took),
	UNIT_TEST(object_without_times_has_none),
	UNIT_TEST(fields_cover_all_bytes_once),
	UNIT_TEST(field_of_a_choice_tells_each_bit),
	UNIT_TEST(message_with_a_hostile_name_stays_one_line_of_json),
	UNIT_TEST(message_that_changes_memory_has_the_whole_map),
	UNIT_TEST(ring_with_addresses_has_its_areas),
	UNIT_TEST(ring_that_cannot_be_is_told_by_its_index_alone),
	UNIT_TEST(picture_has_chains_with_descriptors_and_data),
	UNIT_TEST(picture_has_faults_of_what_the_device_has),
	UNIT_TEST(end_has_what_was_never_answered),
	UNIT_TEST(end_has_what_became_of_the_chains_of_rings),
	UNIT_TEST(latency_counts_from_kick_to_used),
	UNIT_TEST(raw_bytes_and_notes_are_objects_too),
};

UNIT_MAIN(tests)

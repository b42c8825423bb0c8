/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "unit.h"

#include <errno.h>
#include <time.h>

#include "view_rig.h"

/* Nothing that changes from run to run. */
static const struct view_options plain = { .times = TRACE_TIMES_NONE };

static const struct fd_about ram = {
	.kind = FD_KIND_MEMORY,
	.size = 1 << 20,
	.path = "/memfd:ram (deleted)",
};

static const struct fd_about eventfd_about = { .kind = FD_KIND_EVENTFD, .path = "anon_inode:x" };

static void assert_contains(const char *expected)
{
	if (!strstr(rig_text(), expected))
		fail_msg("no \"%s\" in:\n%s", expected, rig_text());
}

static void send_table(uint64_t size)
{
	const struct vhu_mem_table t = {
		.n_regions = 1,
		.regions = { { 0x1000, size, 0x7f0000000000, 0x2000 } },
	};

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_MEM_TABLE);
	vhu_msg_put(&msg, &t, 8 + 32);
	rig_send_fds(&ram, 1);
}

static void send_addresses(uint64_t desc, uint64_t avail, uint64_t used)
{
	const struct vhu_vring_addr a = { .desc = desc, .avail = avail, .used = used };

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_ADDR);
	vhu_msg_put(&msg, &a, sizeof(a));
	rig_send();
}

/* Lines. */

static void message_when_asked_and_answered_has_arrows_and_measures(void **state)
{
	const struct view_options times = { .times = TRACE_TIMES_DELTA };

	(void)state;
	rig_start(view_text_new, &times);
	rig_ask(VHU_FE_GET_FEATURES);
	rig_answer_u64(VHU_FE_GET_FEATURES, BIT(30));
	assert_string_equal(
		rig_text(),
		"  0.000000 +0.000000 -> GET_FEATURES\n"
		"  0.000100 +0.000100 <- GET_FEATURES reply value=0x40000000[PROTOCOL_FEATURES]"
		"  (8 bytes, 100 us)\n");
	rig_stop();
}

static void message_with_clock_begins_with_the_time_of_day(void **state)
{
	const struct view_options times = { .times = TRACE_TIMES_CLOCK };

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	rig_start(view_text_new, &times);
	rig_ask(VHU_FE_SET_OWNER);
	assert_string_equal(rig_text(), "22:13:20.123456 +0.000000 -> SET_OWNER\n");
	rig_stop();
}

static void message_without_times_has_none(void **state)
{
	(void)state;
	rig_start(view_text_new, &plain);
	rig_ask(VHU_FE_GET_QUEUE_NUM);
	rig_clear();
	rig_answer_u64(VHU_FE_GET_QUEUE_NUM, 4);
	assert_string_equal(strchr(rig_text(), '<'), "<- GET_QUEUE_NUM reply value=4  (8 bytes)\n");
	rig_stop();
}

static void message_with_descriptors_tells_what_they_are(void **state)
{
	(void)state;
	rig_start(view_text_new, &plain);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_CALL);
	vhu_msg_put_u64(&msg, 1);
	rig_send_fds(&eventfd_about, 1);
	assert_contains("-> SET_VRING_CALL ring=1 fds=[eventfd]  (8 bytes)\n");
	rig_stop();
}

static void message_of_the_channel_has_arrows_of_its_own(void **state)
{
	(void)state;
	rig_start(view_text_new, &plain);
	vhu_msg_init(&msg, VHU_BE, VHU_BE_CONFIG_CHANGE_MSG);
	rig_send();
	assert_contains("<= BACKEND_CONFIG_CHANGE_MSG\n");
	rig_clear();
	msg.flags = VHU_REPLY_FLAGS;
	vhu_msg_put_u64(&msg, 0);
	rig_send();
	assert_contains("=> BACKEND_CONFIG_CHANGE_MSG reply value=0  (8 bytes)\n");
	rig_stop();
}

static void message_that_is_long_goes_on_below_in_whole_groups(void **state)
{
	(void)state;
	rig_start(view_text_new, &plain);
	send_table(0x1000);
	assert_contains("-> SET_MEM_TABLE n_regions=1\n"
			"            regions=[{guest_addr=0x1000 size=0x1000 "
			"user_addr=0x7f0000000000 mmap_offset=0x2000}]\n"
			"            fds=[memfd:ram, 1 MiB]  (40 bytes)\n");
	rig_stop();
}

static void message_of_a_console_names_its_features(void **state)
{
	const struct view_options console = { .times = TRACE_TIMES_NONE, .device = "console" };

	(void)state;
	rig_start(view_text_new, &console);
	rig_ask(VHU_FE_GET_FEATURES);
	rig_clear();
	rig_answer_u64(VHU_FE_GET_FEATURES, BIT(1) | BIT(5));
	assert_string_equal(rig_text(),
			    "<- GET_FEATURES reply value=0x22[MULTIPORT bit5]  (8 bytes)\n");
	rig_stop();
}

static void sessions_when_there_are_several_are_numbered(void **state)
{
	(void)state;
	rig_start(view_text_new, &plain);
	rig_show(&(struct trace_record){ .kind = TRACE_OPEN, .text = "/run/x" });
	rig_show(&(struct trace_record){ .kind = TRACE_OPEN, .session = 2, .text = "/run/x" });
	rig_ask(VHU_FE_SET_OWNER);
	assert_string_equal(rig_text(), "-- session 1: a front-end has connected to /run/x\n"
					"#2  -- session 2: a front-end has connected to /run/x\n"
					"#1  -> SET_OWNER\n");
	rig_stop();
}

/* What is below a line. */

static void acknowledgement_that_says_failed_is_marked(void **state)
{
	(void)state;
	rig_start(view_text_new, &plain);
	rig_ask(VHU_FE_GET_FEATURES);
	rig_answer_u64(VHU_FE_GET_FEATURES, BIT(30));
	rig_ask(VHU_FE_GET_PROTOCOL_FEATURES);
	rig_answer_u64(VHU_FE_GET_PROTOCOL_FEATURES, BIT(VHU_PF_REPLY_ACK_BIT));
	rig_ask_u64(VHU_FE_SET_PROTOCOL_FEATURES, BIT(VHU_PF_REPLY_ACK_BIT));
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_OWNER);
	msg.flags |= VHU_FLAG_NEED_REPLY;
	rig_send();
	rig_clear();
	rig_answer_u64(VHU_FE_SET_OWNER, 1);
	assert_string_equal(rig_text(), "<- SET_OWNER reply value=1 FAILED  (8 bytes)\n");
	rig_stop();
}

static void rule_that_is_broken_is_named_with_its_clause(void **state)
{
	char expected[256];

	(void)state;
	rig_start(view_text_new, &plain);
	vhu_msg_init(&msg, VHU_FE, 999);
	rig_send();
	snprintf(expected, sizeof(expected), "-> unknown(999)\n        ! %s %s (UNKNOWN)\n",
		 vhu_rule_ref(VHU_RULE_UNKNOWN), vhu_rule_text(VHU_RULE_UNKNOWN));
	assert_string_equal(rig_text(), expected);
	rig_stop();
}

static void rule_that_is_only_noted_has_a_mark_of_its_own(void **state)
{
	(void)state;
	rig_start(view_text_new, &plain);
	rig_ask(VHU_FE_SET_OWNER);
	rig_ask(VHU_FE_SET_OWNER);
	assert_contains("-> SET_OWNER\n        ~ VU-045 a session starts once (OWNER_AGAIN)\n");
	rig_stop();
}

static void ring_that_changes_its_state_tells_from_where_to_where(void **state)
{
	(void)state;
	rig_start(view_text_new, &plain);
	rig_ask_ring(VHU_FE_SET_VRING_NUM, 0, 64);
	rig_ask_ring(VHU_FE_SET_VRING_BASE, 0, 7);
	rig_clear();
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_KICK);
	vhu_msg_put_u64(&msg, 0);
	rig_send_fds(&eventfd_about, 1);
	assert_contains("-> SET_VRING_KICK ring=0 fds=[eventfd]  (8 bytes)\n");
	assert_contains("(64 entries, base 7, kick)\n");
	assert_contains("        ring 0: ");
	rig_stop();
}

static void explanation_when_asked_for_is_the_row_of_the_table(void **state)
{
	const struct view_options explain = { .times = TRACE_TIMES_NONE, .explain = true };

	(void)state;
	rig_start(view_text_new, &explain);
	rig_ask(VHU_FE_SET_OWNER);
	assert_string_equal(rig_text(), "-> SET_OWNER\n        # mark the start of a session\n");
	rig_stop();
}

static void explanation_of_a_reply_says_what_it_means(void **state)
{
	const struct view_options explain = { .times = TRACE_TIMES_NONE, .explain = true };

	(void)state;
	rig_start(view_text_new, &explain);
	rig_ask(VHU_FE_GET_FEATURES);
	rig_answer_u64(VHU_FE_GET_FEATURES, BIT(30));
	assert_contains("# what the back-end offers; only this may be accepted\n");
	rig_ask(VHU_FE_GET_PROTOCOL_FEATURES);
	rig_answer_u64(VHU_FE_GET_PROTOCOL_FEATURES, BIT(VHU_PF_REPLY_ACK_BIT));
	rig_ask_u64(VHU_FE_SET_PROTOCOL_FEATURES, BIT(VHU_PF_REPLY_ACK_BIT));
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_OWNER);
	msg.flags |= VHU_FLAG_NEED_REPLY;
	rig_send();
	rig_answer_u64(VHU_FE_SET_OWNER, 0);
	assert_contains("# 0, it was done: mark the start of a session\n");
	rig_answer_u64(VHU_FE_SET_OWNER, 0);
	assert_contains("# no request waits for this\n");
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_OWNER);
	msg.flags |= VHU_FLAG_NEED_REPLY;
	rig_send();
	rig_answer_u64(VHU_FE_SET_OWNER, 1);
	assert_contains("# this could not be done: mark the start of a session\n");
	rig_stop();
}

static void comment_has_the_rule_behind_the_line(void **state)
{
	const struct trace_record record = { .kind = TRACE_RAW, .len = 3 };
	struct trace_told told = { .record = &record };
	char *comment;

	(void)state;
	comment = view_comment(&told, &plain);
	assert_string_equal(comment, "-> 3 bytes that make no message");
	free(comment);
	told.rule = VHU_RULE_REPLY_BIT;
	comment = view_comment(&told, &plain);
	assert_string_equal(comment,
			    "-> 3 bytes that make no message ! REPLY_BIT a request has the "
			    "reply bit clear (VU-007)");
	free(comment);
	told.rule = VHU_RULE_RESERVED_FLAGS;
	comment = view_comment(&told, &plain);
	assert_non_null(strstr(comment, " ~ RESERVED_FLAGS "));
	free(comment);
}

/* Fields and bytes. */

static void fields_of_a_choice_tell_what_was_offered(void **state)
{
	const struct view_options fields = { .times = TRACE_TIMES_NONE, .fields = true };

	(void)state;
	rig_start(view_text_new, &fields);
	rig_ask(VHU_FE_GET_FEATURES);
	rig_answer_u64(VHU_FE_GET_FEATURES, BIT(28) | BIT(29));
	assert_contains("        value    0x30000000 ");
	assert_contains("\n            28  INDIRECT_DESC\n            29  EVENT_IDX\n");
	rig_clear();
	rig_ask_u64(VHU_FE_SET_FEATURES, BIT(29) | BIT(5));
	assert_contains("\n             5  bit5                    ! accepted, NOT offered\n"
			"            28  INDIRECT_DESC           - offered, not accepted\n"
			"            29  EVENT_IDX               + accepted\n");
	rig_stop();
}

static void fields_of_a_ring_message_have_a_line_each(void **state)
{
	char *text = NULL;
	size_t len = 0, n_lines = 0;
	FILE *out = open_memstream(&text, &len);
	const struct vhu_vring_state ring = { .index = 3, .num = 256 };

	(void)state;
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_NUM);
	vhu_msg_put(&msg, &ring, sizeof(ring));
	view_text_fields(out, &msg, 0, NULL, 2);
	fclose(out);
	assert_non_null(strstr(text, "\n  index    3                   ring index, from 0\n"));
	assert_non_null(strstr(text, "\n  num      256 "));
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		n_lines++;
	assert_true(n_lines >= 5);
	free(text);
}

static void hex_begins_a_row_for_each_field(void **state)
{
	const struct view_options hex = { .times = TRACE_TIMES_NONE, .hex = true };

	(void)state;
	rig_start(view_text_new, &hex);
	rig_ask_ring(VHU_FE_SET_VRING_NUM, 2, 256);
	assert_contains("        0000  08 00 00 00              request = 8\n"
			"        0004  01 00 00 00              flags = 0x1\n"
			"        0008  08 00 00 00              size = 8\n"
			"        000c  02 00 00 00              index = 2\n"
			"        0010  00 01 00 00              num = 256\n");
	rig_stop();
}

static void hex_of_many_equal_bytes_is_short(void **state)
{
	const uint32_t header[3] = { 0, 64, 1 };
	uint8_t bytes[76] = { 0 };
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	memcpy(bytes, header, sizeof(header));
	memcpy(bytes + 12, "a\033b", 3);
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_CONFIG);
	vhu_msg_put(&msg, bytes, sizeof(bytes));
	view_text_hex(out, &msg, 0);
	fclose(out);
	assert_non_null(strstr(text, "0018  61 1b 62 00 00 00 00 00  |a.b.....|  bytes, 64 bytes\n"
				     "0020  00 00 00 00 00 00 00 00  |........|\n"
				     "*\n"
				     "0050  00 00 00 00 00 00 00 00  |........|\n"));
	free(text);
}

/* The map. */

static void map_when_memory_changes_has_the_regions(void **state)
{
	const struct view_options map = { .times = TRACE_TIMES_NONE, .map = true };

	(void)state;
	rig_start(view_text_new, &map);
	send_table(0x10000);
	assert_contains(
		"          guest address       front-end address   length              in file\n"
		"          0x1000              0x7f0000000000      0x10000             "
		"0x2000 of memfd:ram, 1 MiB\n");
	rig_stop();
}

static void map_of_a_region_that_passes_its_file_says_so(void **state)
{
	const struct view_options map = { .times = TRACE_TIMES_NONE, .map = true };

	(void)state;
	rig_start(view_text_new, &map);
	send_table(1 << 20);
	assert_contains("        ! ends after the end of its file\n");
	rig_stop();
}

static void map_of_ring_addresses_places_them_in_guest_memory(void **state)
{
	const struct view_options map = { .times = TRACE_TIMES_NONE, .map = true };

	(void)state;
	rig_start(view_text_new, &map);
	send_table(0x10000);
	rig_ask_ring(VHU_FE_SET_VRING_NUM, 0, 4);
	rig_clear();
	send_addresses(0x7f0000000000, 0x7f000000fffc, 0x1234000);
	assert_contains("          0x1000              0x7f0000000000      0x40                "
			"  ring 0 descriptors\n"
			"        ! 0x10ffc             0x7f000000fffc      0xe                 "
			"  ring 0 available, ends outside of its region\n"
			"        ! -                   0x1234000           0x26                "
			"  ring 0 used, in no region\n");
	rig_clear();
	send_table(0x10000);
	assert_contains("memfd:ram, 1 MiB\n          0x1000              0x7f0000000000      0x40");
	rig_stop();
}

static void map_of_no_memory_says_so(void **state)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	struct story_session *session = calloc(1, sizeof(*session));

	(void)state;
	assert_non_null(session);
	view_text_map(out, session, 0);
	fclose(out);
	assert_string_equal(text, "  no guest memory is mapped\n");
	free(session);
	free(text);
}

/* Other records. */

static void records_that_are_no_messages_have_lines_of_words(void **state)
{
	(void)state;
	rig_start(view_text_new, &plain);
	rig_note(TRACE_OPEN, TRACE_TO_BACKEND, "/run/a\033[2Jb");
	rig_note(TRACE_CHANNEL, TRACE_TO_BACKEND, NULL);
	rig_note(TRACE_NOTE, TRACE_TO_BACKEND, "two\nlines");
	rig_note(TRACE_END, TRACE_TO_BACKEND, "");
	rig_note(TRACE_END, TRACE_TO_FRONTEND, "reset");
	assert_string_equal(rig_text(),
			    "-- session 1: a front-end has connected to /run/a\xef\xbf\xbd[2Jb\n"
			    "-- the back-end's channel is open, its messages are <= and =>\n"
			    "-- note: two lines\n"
			    "-- the front-end has closed\n"
			    "-- the back-end has closed: reset\n");
	rig_stop();
}

static void raw_bytes_are_shown_in_part(void **state)
{
	uint8_t bytes[40];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i + 'A');
	rig_start(view_text_new, &plain);
	rig_show(&(struct trace_record){
		.kind = TRACE_RAW,
		.dir = TRACE_TO_FRONTEND,
		.bytes = bytes,
		.len = sizeof(bytes),
	});
	assert_contains("<- 40 bytes that make no message\n"
			"        0000  41 42 43 44 45 46 47 48 49 4a 4b 4c 4d 4e 4f 50  "
			"|ABCDEFGHIJKLMNOP|\n");
	assert_contains("        ... 8 more\n");
	rig_stop();
}

static void end_of_a_session_names_what_was_never_answered(void **state)
{
	(void)state;
	rig_start(view_text_new, &plain);
	rig_note(TRACE_OPEN, TRACE_TO_BACKEND, "/run/x");
	rig_ask(VHU_FE_GET_FEATURES);
	rig_note(TRACE_END, TRACE_TO_BACKEND, "");
	rig_note(TRACE_END, TRACE_TO_FRONTEND, "");
	assert_contains("-- the back-end has closed\n        ! GET_FEATURES was never answered\n");
	rig_stop();
}

/* A ring of one chain that runs, and that nobody serves until the end of the session. */
static void show_hanging_ring(const struct view_options *options, uint32_t out_len, uint64_t ns)
{
	static struct picture_chain waiting;
	const struct ring_picture none = { .size = 64 };
	const struct ring_picture one = {
		.size = 64,
		.avail_idx = 1,
		.chains = &waiting,
		.n_chains = 1,
	};

	waiting = (struct picture_chain){ .out_len = out_len, .in_len = 8 };
	rig_start(view_text_new, options);
	rig_note(TRACE_OPEN, TRACE_TO_BACKEND, "/run/x");
	rig_ask_u64(VHU_FE_SET_FEATURES, BIT(VIRTIO_F_VERSION_1_BIT));
	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_KICK);
	vhu_msg_put_u64(&msg, 1);
	rig_send_fds(&eventfd_about, 1);
	rig_show(&(struct trace_record){
		.kind = TRACE_RING, .ring = 1, .cause = TRACE_BEGIN, .picture = &none });
	rig_show(&(struct trace_record){ .kind = TRACE_RING, .ring = 1, .picture = &one });
	rig.ns += ns;
	rig_clear();
	rig_note(TRACE_END, TRACE_TO_BACKEND, "");
	rig_note(TRACE_END, TRACE_TO_FRONTEND, "");
	rig_show(&(struct trace_record){ .kind = TRACE_END, .channel = true, .text = "" });
}

static unsigned int times_said(const char *part)
{
	unsigned int n = 0;

	for (const char *at = rig_text(); (at = strstr(at, part)); at++)
		n++;
	return n;
}

static void end_of_a_session_names_a_ring_that_hangs(void **state)
{
	const struct view_options times = { .times = TRACE_TIMES_DELTA };

	(void)state;
	show_hanging_ring(&times, 8, UINT64_C(5100000000));
	assert_contains("        ring 1: 1 chain was never returned, offered 5.10 s before\n");
	assert_int_equal(times_said("never returned"), 1);
	rig_stop();
	show_hanging_ring(&plain, 8, UINT64_C(5100000000));
	assert_contains("        ring 1: 1 chain was never returned\n");
	rig_stop();
	show_hanging_ring(&times, 0, UINT64_C(5100000000));
	assert_int_equal(times_said("never returned"), 0);
	rig_stop();
	show_hanging_ring(&times, 8, 1000);
	assert_int_equal(times_said("never returned"), 0);
	rig_stop();
}

static void latency_counts_what_came_back_and_what_did_not_once(void **state)
{
	const struct view_options latency = { .times = TRACE_TIMES_DELTA, .latency = true };

	(void)state;
	show_hanging_ring(&latency, 8, 500000000);
	assert_contains(
		"        chains         offered  returned     never\n"
		"        ring 1               1         0         1  offered 500 ms before\n");
	assert_int_equal(times_said("chains  "), 1);
	rig_stop();
	show_hanging_ring(&latency, 0, 500000000);
	assert_contains(
		"        ring 1               1         0         1  room for what comes\n");
	rig_stop();
}

static void map_stands_at_the_end_of_a_session_with_its_rings(void **state)
{
	const struct view_options map = { .times = TRACE_TIMES_NONE, .map = true };

	(void)state;
	rig_start(view_text_new, &map);
	send_table(0x10000);
	rig_ask_ring(VHU_FE_SET_VRING_NUM, 0, 64);
	send_addresses(0x7f0000001000, 0x7f0000002000, 0x7f0000003000);
	rig_clear();
	rig_note(TRACE_END, TRACE_TO_BACKEND, "");
	assert_null(strstr(rig_text(), "guest address"));
	rig_note(TRACE_END, TRACE_TO_FRONTEND, "");
	assert_contains("guest address");
	assert_contains("ring 0 used");
	rig_stop();
}

static struct picture_chain chain;

/* One chain of the driver's message of a control queue. */
static struct ring_picture control_picture(uint8_t data[8])
{
	static struct picture_desc desc = { .addr = 0x1000, .len = 8 };

	chain = (struct picture_chain){ .at = 7, .n_descs = 1, .n_out = 8, .out_len = 8 };
	return (struct ring_picture){
		.size = 64,
		.avail_idx = 8,
		.used_idx = 7,
		.chains = &chain,
		.n_chains = 1,
		.descs = &desc,
		.n_descs = 1,
		.data = data,
		.n_data = 8,
	};
}

static void picture_of_a_control_queue_has_its_messages_in_words(void **state)
{
	const struct view_options console = { .times = TRACE_TIMES_NONE, .device = "console" };
	uint8_t port_add[8] = { 1, 0, 0, 0, 1, 0, 0, 0 };
	struct ring_picture picture = control_picture(port_add);
	struct trace_record record = { .kind = TRACE_RING, .ring = 3, .picture = &picture };

	(void)state;
	rig_start(view_text_new, &console);
	rig_show(&record);
	assert_contains("() ring 3: kick, 1 chain offered\n        [7] PORT_ADD port 1\n");
	assert_contains("64 entries");
	rig_clear();
	record.ring = 5;
	rig_show(&record);
	assert_null(strstr(rig_text(), "PORT_ADD"));
	rig_stop();
}

static void latency_has_a_table_and_bars(void **state)
{
	struct story_session *session = calloc(1, sizeof(*session));
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(session);
	histogram_add(&session->ring[2].latency, 20000);
	histogram_add(&session->ring[2].latency, 21000);
	histogram_add(&session->ring[2].latency, 70000);
	view_text_latency(out, session, 0);
	fclose(out);
	assert_string_equal(
		text, "kick to used         n      mean      median        99 %   longest\n"
		      "ring 2               3   37.0 us   < 32.8 us  <= 70.0 us   70.0 us\n"
		      "    from   16.4 us         2  ########################################\n"
		      "    from   32.8 us         0\n"
		      "    from   65.5 us         1  ####################\n");
	free(session);
	free(text);
}

static void color_is_there_only_when_asked_for(void **state)
{
	const struct view_options color = { .times = TRACE_TIMES_NONE, .color = true };

	(void)state;
	rig_start(view_text_new, &color);
	rig_ask(VHU_FE_SET_OWNER);
	assert_string_equal(rig_text(), "\033[1m-> SET_OWNER\033[0m\n");
	rig_stop();
	rig_start(view_text_new, &plain);
	rig_ask(VHU_FE_SET_OWNER);
	assert_null(strchr(rig_text(), '\033'));
	rig_stop();
}

/* Writing. */

static void finish_after_the_reader_has_gone_tells_of_it(void **state)
{
	FILE *full = fopen("/dev/full", "w");
	struct trace_view *view = view_text_new(full, &plain);
	struct trace_story *story = story_new();
	const struct trace_record record = { .kind = TRACE_NOTE, .session = 1, .text = "x" };
	struct trace_told told;

	(void)state;
	assert_non_null(view);
	story_tell(story, &record, &told);
	view->show(view, &told);
	view->show(view, &told);
	assert_int_equal(view->finish(view), -ENOSPC);
	story_free(story);
	fclose(full);
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(message_when_asked_and_answered_has_arrows_and_measures),
	UNIT_TEST(message_with_clock_begins_with_the_time_of_day),
	UNIT_TEST(message_without_times_has_none),
	UNIT_TEST(message_with_descriptors_tells_what_they_are),
	UNIT_TEST(message_of_the_channel_has_arrows_of_its_own),
	UNIT_TEST(message_that_is_long_goes_on_below_in_whole_groups),
	UNIT_TEST(message_of_a_console_names_its_features),
	UNIT_TEST(sessions_when_there_are_several_are_numbered),
	UNIT_TEST(acknowledgement_that_says_failed_is_marked),
	UNIT_TEST(rule_that_is_broken_is_named_with_its_clause),
	UNIT_TEST(rule_that_is_only_noted_has_a_mark_of_its_own),
	UNIT_TEST(ring_that_changes_its_state_tells_from_where_to_where),
	UNIT_TEST(explanation_when_asked_for_is_the_row_of_the_table),
	UNIT_TEST(explanation_of_a_reply_says_what_it_means),
	UNIT_TEST(comment_has_the_rule_behind_the_line),
	UNIT_TEST(fields_of_a_choice_tell_what_was_offered),
	UNIT_TEST(fields_of_a_ring_message_have_a_line_each),
	UNIT_TEST(hex_begins_a_row_for_each_field),
	UNIT_TEST(hex_of_many_equal_bytes_is_short),
	UNIT_TEST(map_when_memory_changes_has_the_regions),
	UNIT_TEST(map_of_a_region_that_passes_its_file_says_so),
	UNIT_TEST(map_of_ring_addresses_places_them_in_guest_memory),
	UNIT_TEST(map_of_no_memory_says_so),
	UNIT_TEST(records_that_are_no_messages_have_lines_of_words),
	UNIT_TEST(raw_bytes_are_shown_in_part),
	UNIT_TEST(end_of_a_session_names_what_was_never_answered),
	UNIT_TEST(end_of_a_session_names_a_ring_that_hangs),
	UNIT_TEST(latency_counts_what_came_back_and_what_did_not_once),
	UNIT_TEST(map_stands_at_the_end_of_a_session_with_its_rings),
	UNIT_TEST(picture_of_a_control_queue_has_its_messages_in_words),
	UNIT_TEST(latency_has_a_table_and_bars),
	UNIT_TEST(color_is_there_only_when_asked_for),
	UNIT_TEST(finish_after_the_reader_has_gone_tells_of_it),
};

UNIT_MAIN(tests)

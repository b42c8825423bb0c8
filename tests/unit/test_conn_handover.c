/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A connection that is written down amid its messages, and made again from that. */
#include "conn_rig.h"

#include <stdio.h>

#include "handover.h"

enum { TAG = 1, PARK_NS = 1000 * 1000 * 1000, OUT_OF_THE_WAY = 200, MAX_FDS = 64 };

static struct handover_out out;

static void save(void)
{
	assert_int_equal(loop_park(rig.loop, PARK_NS), 0);
	handover_out_init(&out);
	vhu_conn_save(&rig.conn, &out, TAG);
	assert_int_equal(state_finish(&out.state), 0);
}

/* Its descriptors outlive the connection, under their numbers, as they outlive a process. */
static void leave(void)
{
	int kept[MAX_FDS] = { 0 };

	assert_true(out.n_fds <= MAX_FDS);
	for (size_t i = 0; i < out.n_fds; i++)
		kept[i] = fcntl(out.fds[i], F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
	vhu_conn_close(&rig.conn, on_closed);
	loop_unpark(rig.loop);
	run_until(&rig.n_closed, 1);
	rig.n_closed = 0;
	for (size_t i = 0; i < out.n_fds; i++) {
		assert_int_equal(dup2(kept[i], out.fds[i]), out.fds[i]);
		close(kept[i]);
	}
}

/* In its place. Returns the sentence, "" if all is well. */
static const char *come(const void *bytes, size_t len)
{
	static char why[STATE_WHY_MAX];
	struct handover_in in;

	assert_int_equal(handover_in_init(&in, bytes, len), 0);
	vhu_conn_load(&rig.conn, rig.loop, VHU_FE, &ops, &in, TAG);
	snprintf(why, sizeof(why), "%s", in.state.why);
	assert_int_equal(in.state.failed, why[0] != '\0');
	handover_in_fini(&in);
	return why;
}

static void hand_over(void)
{
	save();
	assert_string_equal(out.why, "");
	leave();
	assert_string_equal(come(out.state.buf, out.state.len), "");
	handover_out_fini(&out);
}

/* VU-001, VU-022: wherever it was cut, and with what had come along. */
static void message_when_it_has_come_in_part_goes_on(void **state)
{
	uint8_t bytes[32];
	size_t len = pack(bytes, 2, &word, 8);

	(void)state;
	for (size_t cut = 0; cut < len; cut++) {
		begin();
		if (cut > 0)
			peer_sends(bytes, cut, 3);
		settle();
		hand_over();
		peer_sends(bytes + cut, len - cut, cut > 0 ? 0 : 3);
		run_until(&rig.n_messages, 1);
		assert_int_equal(rig.last.id, 2);
		assert_true(vhu_msg_u64(&rig.last) == word);
		assert_int_equal(rig.n_fds, 3);
		end();
	}
}

/* What the peer has not taken yet leaves in order, each with its descriptors, once. */
static void messages_when_queued_leave_afterwards(void **state)
{
	unsigned int n_queued = 0;
	struct vhu_msg msg;

	(void)state;
	begin();
	while (!vhu_conn_sending(&rig.conn)) {
		make_reply(&msg, n_queued++, VHU_MAX_PAYLOAD);
		assert_int_equal(vhu_conn_send(&rig.conn, &msg), 0);
		settle();
	}
	for (unsigned int i = 0; i < 3; i++) {
		make_reply(&msg, n_queued++, 8);
		msg.fds.fd[msg.fds.n_fds++] = eventfd(0, EFD_CLOEXEC);
		assert_int_equal(vhu_conn_send(&rig.conn, &msg), 0);
	}
	settle();
	hand_over();
	assert_true(vhu_conn_sending(&rig.conn));
	for (unsigned int i = 0; i < n_queued; i++) {
		bool small = i + 3 >= n_queued;

		assert_int_equal(peer_reads(i, small ? 8 : VHU_MAX_PAYLOAD), small);
	}
	settle();
	assert_false(vhu_conn_sending(&rig.conn));
	end();
}

/* A connection that is not being read from is left alone afterwards, too. */
static void connection_when_not_read_is_not_read_afterwards(void **state)
{
	uint8_t bytes[32];
	size_t len = pack(bytes, 2, &word, 8);

	(void)state;
	begin();
	rig.read_on = false;
	peer_sends(bytes, len, 0);
	run_until(&rig.n_messages, 1);
	hand_over();
	peer_sends(bytes, len, 0);
	settle();
	assert_int_equal(rig.n_messages, 1);
	vhu_conn_read(&rig.conn);
	run_until(&rig.n_messages, 2);
	end();
}

/* A state whose connection came with these bytes of a message. */
static void write_came(struct state_writer *w, int fd, bool in_payload, const void *bytes,
		       size_t len)
{
	enum { TAG_FD = 1, TAG_READING, TAG_IN_PAYLOAD, TAG_CAME };

	state_writer_init(w, HANDOVER_KIND, HANDOVER_VERSION);
	state_begin_group(w, TAG);
	state_put_number(w, TAG_FD, (uint64_t)fd + 1);
	state_put_number(w, TAG_READING, 0);
	state_put_number(w, TAG_IN_PAYLOAD, in_payload);
	state_put_bytes(w, TAG_CAME, bytes, len);
	state_end(w);
	assert_int_equal(state_finish(w), 0);
}

static void connection_when_its_message_makes_no_sense_is_refused(void **state)
{
	uint8_t bytes[64] = { 0 };
	const struct {
		bool in_payload;
		uint32_t size; /* by the header */
		size_t len;
		const char *why;
	} wrong[] = {
		{ false, 8, VHU_HDR_LEN + 1, "no part of one" },
		{ true, 8, VHU_HDR_LEN - 1, "no part of one" },
		{ true, 8, VHU_HDR_LEN + 8, "more has come" },
		{ true, VHU_MAX_PAYLOAD + 1, VHU_HDR_LEN + 8, "more has come" },
	};
	struct state_writer w;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		begin();
		save();
		leave();
		memcpy(bytes, (const uint32_t[]){ 2, 1, wrong[i].size }, VHU_HDR_LEN);
		write_came(&w, out.fds[0], wrong[i].in_payload, bytes, wrong[i].len);
		assert_non_null(strstr(come(w.buf, w.len), wrong[i].why));
		state_writer_fini(&w);
		handover_out_fini(&out);
		end();
	}
}

static void connection_when_it_is_not_there_is_refused(void **state)
{
	struct state_writer w;

	(void)state;
	begin();
	save();
	leave();
	state_writer_init(&w, HANDOVER_KIND, HANDOVER_VERSION);
	assert_int_equal(state_finish(&w), 0);
	assert_non_null(strstr(come(w.buf, w.len), "connection"));
	state_writer_fini(&w);
	fd_close(out.fds[0]);
	handover_out_fini(&out);
	end();
}

static const struct CMUnitTest tests[] = {
	UNIT_TEST(message_when_it_has_come_in_part_goes_on),
	UNIT_TEST(messages_when_queued_leave_afterwards),
	UNIT_TEST(connection_when_not_read_is_not_read_afterwards),
	UNIT_TEST(connection_when_its_message_makes_no_sense_is_refused),
	UNIT_TEST(connection_when_it_is_not_there_is_refused),
};
UNIT_MAIN(tests)

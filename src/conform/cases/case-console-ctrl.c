/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The control channel: what either side may send, and in what buffers. */
#include <errno.h>
#include <string.h>

#include "conform/cases/case-console.h"
#include "conform/cases/case-list.h"

enum { RESIZE_LEN = CONSOLE_MSG_LEN + 4, TOGGLES = 40, FLOOD = 4 << 20 };

int case_vc_control_returned(struct trial *t)
{
	int err = con_start(t, NULL);

	if (err == 0)
		con_of(t)->strict = true;
	for (unsigned int i = 0; i < 40 && err == 0; i++)
		err = con_tell(t, 0, CONSOLE_PORT_OPEN, i % 2);
	return err;
}

int case_vc_control_independent(struct trial *t)
{
	unsigned int id;
	bool held;
	int err = con_start_join_any(t, NULL, &id);

	if (err == 0)
		err = con_fill_up(t, id, FLOOD, &held, NULL);
	if (err == 0 && !held)
		trial_remark(t, "port %u takes output that nobody reads", id);
	for (unsigned int i = 0; i < 4 && err == 0; i++)
		err = con_tell(t, id, CONSOLE_PORT_OPEN, 1);
	return err;
}

/* After messages that make no sense the device understands those that do. */
static int still_speaks(struct trial *t)
{
	int err = con_shake_hands(t);

	if (err == 0 && con_of(t)->n_msgs == 0)
		err = trial_fail(t, "then DEVICE_READY: expected PORT_ADD, but no message came");
	return err < 0 ? err : con_exchange(t, 1);
}

int case_vc_control_short(struct trial *t)
{
	static const uint8_t bytes[CONSOLE_MSG_LEN] = { 0, 0, 0, 0, 0, 0, 1, 0 };
	int err = con_boot(t, NULL);

	for (size_t len = 1; len < CONSOLE_MSG_LEN && err == 0; len += 3)
		err = con_tell_bytes(t, bytes, len);
	if (err == 0)
		err = con_expect_none(t, 0, CON_ANY, CON_ANY,
				      "after control messages of less than 8 bytes");
	return err < 0 ? err : still_speaks(t);
}

int case_vc_control_long(struct trial *t)
{
	uint8_t bytes[64] = { 0xff, 0xff, 0xff, 0xff, CONSOLE_DEVICE_READY, 0, 1, 0 };
	struct con_msg *msg;
	int err = con_boot(t, NULL);

	memset(bytes + CONSOLE_MSG_LEN, 0xa5, sizeof(bytes) - CONSOLE_MSG_LEN);
	if (err == 0)
		err = con_tell_bytes(t, bytes, sizeof(bytes));
	if (err == 0)
		err = con_hear(t, &msg, TRIAL_ANSWER_MS);
	if (err == 0 && !msg)
		err = trial_fail(t, "DEVICE_READY with 56 more bytes: expected PORT_ADD, but no "
				    "message came");
	return err;
}

int case_vc_control_unknown(struct trial *t)
{
	static const uint16_t events[] = { 8, 100, 0xffff };
	int err = con_boot(t, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(events) && err == 0; i++)
		err = con_tell(t, 0, events[i], 1);
	if (err == 0)
		err = con_expect_none(t, 0, CON_ANY, CON_ANY, "after unknown events");
	return err < 0 ? err : still_speaks(t);
}

int case_vc_control_device_only(struct trial *t)
{
	static const uint16_t events[] = {
		CONSOLE_PORT_ADD, CONSOLE_PORT_REMOVE, CONSOLE_CONSOLE_PORT,
		CONSOLE_RESIZE,	  CONSOLE_PORT_NAME,
	};
	unsigned int first;
	int err = con_start(t, NULL);

	if (err < 0)
		return err;
	first = con_of(t)->n_msgs;
	for (size_t i = 0; i < ARRAY_SIZE(events) && err == 0; i++)
		err = con_tell(t, 0, events[i], 1);
	if (err == 0)
		err = con_expect_none(t, first, CON_ANY, CON_ANY,
				      "after events that only a device sends");
	return err < 0 ? err : con_exchange(t, 2);
}

int case_vc_control_open_value(struct trial *t)
{
	int err = con_start(t, NULL);

	if (err == 0)
		err = con_tell(t, 0, CONSOLE_PORT_OPEN, 2);
	if (err == 0)
		err = con_tell(t, 0, CONSOLE_PORT_OPEN, 0xffff);
	return err < 0 ? err : con_exchange(t, 2);
}

static int check_length(struct trial *t, const struct con_msg *msg)
{
	bool right = msg->event == CONSOLE_PORT_NAME ? msg->len > CONSOLE_MSG_LEN
		     : msg->event == CONSOLE_RESIZE  ? msg->len == RESIZE_LEN
						     : msg->len == CONSOLE_MSG_LEN;

	if (right)
		return 0;
	return trial_fail(t, "%s for port %u: expected %s bytes, but %u came",
			  con_event_name(msg->event), msg->id,
			  msg->event == CONSOLE_PORT_NAME ? "more than 8"
			  : msg->event == CONSOLE_RESIZE  ? "12"
							  : "8",
			  msg->len);
}

int case_vc_control_length(struct trial *t)
{
	int err = con_start(t, NULL);

	for (unsigned int i = 0; err == 0 && i < con_of(t)->n_msgs; i++)
		err = check_length(t, &con_of(t)->msgs[i]);
	return err;
}

/* How many messages of a handshake there are with n buffers at a time. */
static int count_messages(struct trial *t, unsigned int n_bufs, unsigned int *ret_n)
{
	int err = con_start_with(t, n_bufs);

	*ret_n = err == 0 ? con_of(t)->n_msgs : 0;
	return err;
}

int case_vc_control_one_buffer(struct trial *t)
{
	unsigned int many = 0, few = 0;
	int err = count_messages(t, 8, &many);

	if (err == 0)
		err = trial_reconnect(t);
	if (err == 0)
		err = count_messages(t, 1, &few);
	if (err == 0 && few < many)
		err = trial_fail(t,
				 "with one control buffer at a time: expected %u messages as with "
				 "eight, but %u came",
				 many, few);
	return err;
}

/* Messages that come while there is no buffer wait, and nothing that has passed is told as true. */
int case_vc_control_coalesce(struct trial *t)
{
	unsigned int id;
	struct con *con;
	int err = con_start_holding(t, &id);

	if (err < 0)
		return err;
	con = con_of(t);
	for (unsigned int i = 0; i < TOGGLES && err == 0; i++) {
		con_leave(t);
		err = con_reach_again(t, id);
	}
	if (err == 0)
		err = con_settle(t, TRIAL_QUIET_MS);
	if (err == 0)
		err = con_release(t);
	if (err == 0)
		err = con_settle(t, TRIAL_QUIET_MS);
	if (err == 0 && !con->ports[id].host_open)
		err = trial_fail(t,
				 "the host's side of port %u went and came %d times while there "
				 "was no control buffer: expected PORT_OPEN 1 to be the last "
				 "word, but it is not",
				 id, TOGGLES);
	return err;
}

/* DEVICE_READY with control buffers of len bytes; *ret_msg: what came back first, or NULL. */
static int ready_with(struct trial *t, uint32_t len, struct con_msg **ret_msg)
{
	int err = con_boot_bare(t, NULL);

	if (err == 0)
		err = con_post_control(t, 8, len);
	if (err == 0)
		err = con_tell(t, UINT32_MAX, CONSOLE_DEVICE_READY, 1);
	return err < 0 ? err : con_hear(t, ret_msg, TRIAL_QUIET_MS);
}

/* Nothing, a fault of the ring, or empty buffers: anything but half a message. */
int case_vc_control_too_small(struct trial *t)
{
	struct con_msg *msg = NULL;
	int err = ready_with(t, 4, &msg);

	if (err == 0 && msg && msg->len > 0)
		err = trial_fail(t,
				 "control buffers of 4 bytes: expected them back empty or not at "
				 "all, but one has %u bytes",
				 msg->len);
	return err < 0 ? err : trial_ping(t);
}

int case_vc_control_small(struct trial *t)
{
	struct con_msg *msg = NULL;
	int err = ready_with(t, 10, &msg);

	if (err == 0 && !msg)
		err = trial_fail(t, "control buffers of 10 bytes: expected PORT_ADD, which is 8 "
				    "bytes long, but no message came");
	while (err == 0 && msg) {
		if (msg->event == CONSOLE_PORT_ADD)
			err = con_tell(t, msg->id, CONSOLE_PORT_READY, 1);
		if (err == 0 && msg->event == CONSOLE_RESIZE && msg->len > 0)
			err = trial_fail(t,
					 "control buffers of 10 bytes: expected no RESIZE, "
					 "which is 12 bytes long, but %u bytes of it came",
					 msg->len);
		if (err == 0)
			err = con_hear(t, &msg, TRIAL_QUIET_MS);
	}
	return err < 0 ? err : trial_ping(t);
}

int case_vc_control_scattered(struct trial *t)
{
	static const uint32_t lens[] = { 3, 5, 100 };
	struct driverq_buf bufs[ARRAY_SIZE(lens)];
	const struct con_page *page;
	uint32_t len = 0;
	void *token = NULL;
	int err = con_boot_bare(t, NULL);

	if (err < 0)
		return err;
	page = &con_of(t)->ctrl[0];
	for (size_t i = 0; i < ARRAY_SIZE(lens); i++)
		bufs[i] = (struct driverq_buf){ page->addr + 256 * i, lens[i] };
	memset(page->host, 0xee, 1024);
	err = driverq_add(&t->fe.rings[CON_CTRL_RX].q, bufs, 0, ARRAY_SIZE(bufs), false, con_of(t));
	if (err < 0)
		return trial_error(t, "a control buffer: %s", strerror(-err));
	err = trial_step(t, vhu_frontend_publish(&t->fe, CON_CTRL_RX), "a kick");
	if (err == 0)
		err = con_tell(t, UINT32_MAX, CONSOLE_DEVICE_READY, 1);
	if (err == 0)
		err = con_take(t, CON_CTRL_RX, &token, &len, TRIAL_ANSWER_MS);
	if (err == 0 && (!token || len != CONSOLE_MSG_LEN))
		err = trial_fail(t,
				 "a control buffer of 3, 5 and 100 bytes: expected PORT_ADD in it, "
				 "but it came back with %u bytes or not at all",
				 len);
	/* The event is the second and third byte of the second piece. */
	if (err == 0 && (page->host[256 + 1] != CONSOLE_PORT_ADD || page->host[256 + 2] != 0))
		err = trial_fail(t, "a control buffer of 3, 5 and 100 bytes: expected the event of "
				    "PORT_ADD in the second piece, but it is not there");
	if (err == 0 && page->host[512] != 0xee)
		err = trial_fail(t, "a control buffer of 3, 5 and 100 bytes: expected nothing in "
				    "the last piece, but it was written");
	return err;
}

/* DEVICE_READY in pieces of 3 and 5 bytes. */
static int say_ready_in_pieces(struct trial *t)
{
	static const uint8_t ready[] = { 0xff, 0xff, 0xff, 0xff, CONSOLE_DEVICE_READY, 0, 1, 0 };
	const struct con_page *page = &con_of(t)->ctrl_out;
	const struct driverq_buf bufs[] = { { page->addr, 3 }, { page->addr + 256, 5 } };

	memcpy(page->host, ready, 3);
	memcpy(page->host + 256, ready + 3, 5);
	return con_tell_pieces(t, bufs, ARRAY_SIZE(bufs));
}

int case_vc_control_pieces(struct trial *t)
{
	struct con_msg *msg = NULL;
	int err = con_boot(t, NULL);

	if (err == 0)
		err = say_ready_in_pieces(t);
	if (err == 0)
		err = con_hear(t, &msg, TRIAL_ANSWER_MS);
	if (err == 0 && (!msg || msg->event != CONSOLE_PORT_ADD))
		err = trial_fail(t,
				 "DEVICE_READY in pieces of 3 and 5 bytes: expected PORT_ADD, but "
				 "%s came",
				 msg ? con_event_name(msg->event) : "nothing");
	return err;
}

int case_vc_control_tiny_ring(struct trial *t)
{
	static const struct trial_plan plan = { .ring_size = 1 };
	int err = con_start(t, &plan);

	return err < 0 ? err : con_exchange(t, 3);
}

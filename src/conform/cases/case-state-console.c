/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Ring states as a console's other side sees them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conform/cases/case-console.h"
#include "conform/cases/case-list.h"
#include "conform/cases/case-setup.h"

enum { POSTED = 8, ROOM = 64 };

static int peer_is_silent(struct trial *t, const char *when)
{
	uint8_t bytes[ROOM];

	if (setup_readable(t, t->peer_fd, trial_ms(t, TRIAL_QUIET_MS)) &&
	    read(t->peer_fd, bytes, sizeof(bytes)) > 0)
		return trial_fail(t, "%s: expected no output, but some came", when);
	return 0;
}

int case_state_disabled_output(struct trial *t)
{
	static const char text[] = "not to be seen while disabled\n";
	unsigned int id;
	int err = con_start_join(t, NULL, true, &id);

	if (err == 0)
		err = setup_enable(t, con_tx(id), false);
	if (err == 0)
		err = con_offer_output(t, id, text, sizeof(text) - 1);
	return err < 0 ? err : peer_is_silent(t, "a disabled transmit ring");
}

int case_state_disabled_input(struct trial *t)
{
	static const char text[] = "input";
	unsigned int id;
	int err = con_start_join(t, NULL, true, &id);

	if (err == 0)
		err = con_post_input(t, id, POSTED, ROOM);
	if (err == 0)
		err = setup_enable(t, con_rx(id), false);
	if (err == 0)
		err = con_peer_write(t, text, sizeof(text) - 1);
	return err < 0 ? err : trial_quiet(t, con_rx(id));
}

/* Of eight buffers two are filled: the others were never taken. */
int case_state_held_buffers(struct trial *t)
{
	unsigned int id;
	uint16_t base, used;
	int err = con_start_join(t, NULL, true, &id);

	if (err == 0)
		err = con_post_input(t, id, POSTED, ROOM);
	for (unsigned int i = 0; i < 2 && err == 0; i++) {
		struct con_page *page;
		uint32_t len;

		err = con_peer_write(t, "x", 1);
		if (err == 0)
			err = con_take_input(t, id, &page, &len, TRIAL_ANSWER_MS);
		if (err == 0 && !page)
			err = trial_fail(t, "a byte of input: expected a buffer, but none came");
	}
	if (err == 0)
		err = trial_stop_ring(t, con_rx(id), &base);
	if (err < 0)
		return err;
	used = t->fe.rings[con_rx(id)].q.last_used;
	if (base != used)
		err = trial_fail(t,
				 "GET_VRING_BASE of a receive ring of which %u buffers came back: "
				 "expected %u, but %u came",
				 used, used, base);
	return err;
}

int case_state_stopped_input(struct trial *t)
{
	unsigned int id;
	uint16_t base;
	int err = con_start_join(t, NULL, true, &id);

	if (err == 0)
		err = con_post_input(t, id, POSTED, ROOM);
	if (err == 0)
		err = trial_stop_ring(t, con_rx(id), &base);
	if (err < 0)
		return err;
	vhu_frontend_take_calls(&t->fe, con_rx(id));
	err = con_peer_write(t, "input", 5);
	if (err == 0)
		err = trial_quiet(t, con_rx(id));
	for (unsigned int i = 0; i < POSTED && err == 0; i++)
		for (unsigned int j = 0; j < ROOM && err == 0; j++)
			if (con_of(t)->in[i].host[j] != 0)
				err = trial_fail(t, "a stopped receive ring: expected its buffers "
						    "to stay as they are, but one was written");
	return err;
}

int case_state_suspended_input(struct trial *t)
{
	static const char text[] = "typed while suspended";
	unsigned int id;
	int err = con_start_join(t, NULL, true, &id);

	if (err == 0)
		err = con_post_input(t, id, POSTED, ROOM);
	if (err == 0)
		err = trial_stop_rings(t);
	if (err == 0)
		err = con_peer_write(t, text, sizeof(text) - 1);
	if (err == 0)
		err = trial_quiet(t, con_rx(id));
	if (err == 0)
		err = trial_ping(t);
	if (err == 0)
		err = trial_start_rings(t, NULL);
	return err < 0 ? err
		       : con_expect_input(t, id, text, sizeof(text) - 1, "input while suspended");
}

int case_state_suspended_resize(struct trial *t)
{
	struct con_msg *msg;
	unsigned int id, n_heard;
	int err = con_start_join(t, NULL, true, &id);

	if (err == 0)
		err = con_act(t, "resize", id, "cols=91", "rows=37");
	if (err == 0)
		err = con_settle(t, CON_SETTLE_MS);
	if (err == 0)
		err = trial_stop_rings(t);
	if (err < 0)
		return err;
	con_of(t)->n_seen = con_of(t)->n_msgs;
	n_heard = t->fe.heard.n_messages;
	err = con_act(t, "resize", id, "cols=113", "rows=41");
	if (err == 0)
		err = trial_quiet(t, CON_CTRL_RX);
	if (err == 0 && t->fe.heard.n_messages != n_heard)
		err = trial_fail(t, "a resize while suspended: expected no message, but one came");
	if (err == 0)
		err = trial_start_rings(t, NULL);
	return err < 0 ? err : con_expect(t, id, CONSOLE_RESIZE, CON_ANY, &msg);
}

/* Buffers that the device already holds serve it after SET_VRING_ADDR has come once more. */
int case_vring_held_buffers(struct trial *t)
{
	unsigned int id;
	int err = con_start_join(t, NULL, true, &id);

	if (err == 0)
		err = con_post_input(t, id, POSTED, ROOM);
	if (err == 0)
		err = trial_ping(t);
	for (unsigned int i = 0; i < 3 && err == 0; i++) {
		err = setup_addr(t, con_rx(id));
		if (err == 0)
			err = con_peer_write(t, "input", 5);
		if (err == 0)
			err = con_expect_input(t, id, "input", 5,
					       "input after SET_VRING_ADDR came once more");
	}
	return err;
}

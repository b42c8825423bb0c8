/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* How driver and device begin with each other. */
#include <errno.h>

#include "conform/cases/case-console.h"
#include "conform/cases/case-list.h"

enum { SET_MESSAGES = 4 /* that PORT_READY may be answered with */ };

static const unsigned int answers[SET_MESSAGES] = {
	CONSOLE_CONSOLE_PORT,
	CONSOLE_PORT_NAME,
	CONSOLE_PORT_OPEN,
	CONSOLE_RESIZE,
};

/* DEVICE_READY, and all ports that are added, which are not made ready. */
static int hear_ports(struct trial *t, uint32_t id)
{
	struct con_msg *msg;
	int err = con_tell(t, id, CONSOLE_DEVICE_READY, 1);

	if (err == 0)
		err = con_hear(t, &msg, TRIAL_ANSWER_MS);
	if (err == 0 && !msg)
		err = trial_fail(t,
				 "after DEVICE_READY with id %#x: expected PORT_ADD, but no "
				 "message came",
				 id);
	return err < 0 ? err : con_settle(t, CON_SETTLE_MS);
}

static int begin(struct trial *t)
{
	int err = con_boot(t, NULL);

	return err < 0 ? err : hear_ports(t, UINT32_MAX);
}

int case_vc_start_silent(struct trial *t)
{
	int err = con_boot(t, NULL);

	return err < 0 ? err : con_expect_none(t, 0, CON_ANY, CON_ANY, "before DEVICE_READY");
}

int case_vc_start_ports(struct trial *t)
{
	struct con *con;
	int64_t last = -1;
	int err = begin(t);

	con = con_of(t);
	for (unsigned int i = 0; err == 0 && i < con->n_msgs; i++) {
		const struct con_msg *msg = &con->msgs[i];

		if (msg->event != CONSOLE_PORT_ADD)
			continue;
		if (msg->id <= last)
			err = trial_fail(t,
					 "after DEVICE_READY: expected each port once, in "
					 "ascending order, but port %u came after port %lld",
					 msg->id, (long long)last);
		last = msg->id;
	}
	return err;
}

int case_vc_start_ports_below(struct trial *t)
{
	struct con *con;
	uint32_t max = 0;
	int err = begin(t);

	if (err == 0)
		err = con_max_ports(t, &max);
	con = con_of(t);
	for (unsigned int i = 0; err == 0 && i < con->n_msgs; i++)
		if (con->msgs[i].event == CONSOLE_PORT_ADD && con->msgs[i].id >= max)
			err = trial_fail(t,
					 "expected ports below max_nr_ports, which is %u, but port "
					 "%u was added",
					 max, con->msgs[i].id);
	return err;
}

int case_vc_start_failed(struct trial *t)
{
	int err = con_boot(t, NULL);

	if (err == 0)
		err = con_tell(t, UINT32_MAX, CONSOLE_DEVICE_READY, 0);
	return err < 0 ? err : con_expect_none(t, 0, CON_ANY, CON_ANY, "after DEVICE_READY 0");
}

int case_vc_start_any_id(struct trial *t)
{
	int err = con_boot(t, NULL);

	return err < 0 ? err : hear_ports(t, 7);
}

int case_vc_start_again(struct trial *t)
{
	unsigned int first, n_before = 0, n_again = 0;
	struct con *con;
	int err = con_start(t, NULL);

	if (err < 0)
		return err;
	con = con_of(t);
	first = con->n_msgs;
	err = con_shake_hands(t);
	for (unsigned int i = 0; i < con->n_msgs; i++)
		if (con->msgs[i].event == CONSOLE_PORT_ADD)
			(*(i < first ? &n_before : &n_again))++;
	if (err == 0 && n_again != n_before)
		trial_remark(t, "a second DEVICE_READY adds %u of %u ports", n_again, n_before);
	return err < 0 ? err : con_exchange(t, 1);
}

/* Linux has a console's size only when it knows that it is one, and wants CONSOLE_PORT 1. */
int con_check_order(struct trial *t, uint32_t id)
{
	static const unsigned int usual[SET_MESSAGES] = { 0, 1, 2, 3 };
	struct con *con = con_of(t);
	bool console = false, unusual = false;
	unsigned int last = 0;

	for (unsigned int i = 0; i < con->n_msgs; i++) {
		const struct con_msg *msg = &con->msgs[i];

		if (msg->id != id)
			continue;
		if (msg->event == CONSOLE_CONSOLE_PORT && msg->value == 0)
			return trial_fail(t, "port %u: expected CONSOLE_PORT 1, but its value is 0",
					  id);
		console |= msg->event == CONSOLE_CONSOLE_PORT;
		if (msg->event == CONSOLE_RESIZE && !console)
			return trial_fail(
				t,
				"port %u: expected CONSOLE_PORT before RESIZE, but RESIZE "
				"came first",
				id);
		for (unsigned int k = 0; k < SET_MESSAGES; k++) {
			if (msg->event != answers[k])
				continue;
			unusual |= usual[k] < last;
			last = usual[k];
		}
	}
	if (unusual)
		trial_remark(t,
			     "port %u: not in the order CONSOLE_PORT, PORT_NAME, PORT_OPEN, "
			     "RESIZE",
			     id);
	return 0;
}

int case_vc_start_order(struct trial *t)
{
	int err = con_start(t, NULL);

	for (unsigned int id = 0; err == 0 && id < con_of(t)->n_ports; id++)
		err = con_check_order(t, id);
	return err;
}

/* The host's side is open or not before PORT_READY: it is told after. */
int case_vc_start_host_open(struct trial *t)
{
	struct con_msg *msg;
	unsigned int id;
	int err = con_start_join(t, NULL, true, &id);

	if (err < 0)
		return err;
	msg = con_find(t, 0, id, CONSOLE_PORT_OPEN);
	con_of(t)->n_seen = con_of(t)->n_msgs;
	err = con_tell(t, id, CONSOLE_PORT_READY, 1);
	if (err == 0 && msg)
		err = con_expect(t, id, CONSOLE_PORT_OPEN, 1, NULL);
	return err;
}

int case_vc_start_early(struct trial *t)
{
	struct con *con;
	int err = con_boot(t, NULL);

	if (err == 0)
		err = con_tell(t, UINT32_MAX, CONSOLE_DEVICE_READY, 1);
	if (err == 0)
		err = con_settle(t, TRIAL_QUIET_MS);
	con = con_of(t);
	for (unsigned int i = 0; err == 0 && i < con->n_msgs; i++) {
		const struct con_msg *msg = &con->msgs[i];
		const struct con_msg *add = con_find(t, 0, msg->id, CONSOLE_PORT_ADD);

		if (!add || add > msg)
			err = trial_fail(t,
					 "port %u: expected PORT_ADD first, but %s came before it",
					 msg->id, con_event_name(msg->event));
		else if (msg->event != CONSOLE_PORT_ADD)
			trial_remark(t, "port %u: %s before PORT_READY", msg->id,
				     con_event_name(msg->event));
	}
	return err;
}

int case_vc_start_not_ready(struct trial *t)
{
	struct con_msg *add = NULL;
	struct con *con;
	unsigned int first;
	int err = begin(t);

	con = con_of(t);
	for (unsigned int i = 0; err == 0 && i < con->n_msgs && !add; i++)
		if (con->msgs[i].event == CONSOLE_PORT_ADD)
			add = &con->msgs[i];
	if (err < 0 || !add)
		return err < 0 ? err : trial_fail(t, "expected PORT_ADD, but it did not come");
	first = con->n_msgs;
	err = con_tell(t, add->id, CONSOLE_PORT_READY, 0);
	return err < 0 ? err : con_expect_none(t, first, add->id, CON_ANY, "after PORT_READY 0");
}

int case_vc_start_unknown(struct trial *t)
{
	static const uint32_t ids[] = { 99, 511, 32768, UINT32_MAX };
	unsigned int first;
	int err = con_start(t, NULL);

	if (err < 0)
		return err;
	first = con_of(t)->n_msgs;
	for (size_t i = 0; i < ARRAY_SIZE(ids) && err == 0; i++)
		err = con_tell(t, ids[i], CONSOLE_PORT_READY, 1);
	for (uint32_t id = 0; id < CON_PORTS && err == 0; id++)
		if (!con_of(t)->ports[id].added)
			err = con_tell(t, id, CONSOLE_PORT_READY, 1);
	if (err == 0)
		err = con_expect_none(t, first, CON_ANY, CON_ANY,
				      "after PORT_READY for ports that there are not");
	return err < 0 ? err : con_exchange(t, 1);
}

/* What PORT_READY for port id is answered with, from message first on, is what it was before. */
static int same_answers(struct trial *t, unsigned int first, uint32_t id, const bool *before,
			const char *what)
{
	int err = con_settle(t, TRIAL_QUIET_MS);

	for (unsigned int k = 0; k < SET_MESSAGES && err == 0; k++)
		if (before[k] && !con_find(t, first, id, answers[k]))
			err = trial_fail(t,
					 "%s of port %u: expected %s as the first time, but it "
					 "did not come",
					 what, id, con_event_name(answers[k]));
	return err;
}

/* Which of the answers came for port id since message first; whether any did. */
static bool note_answers(struct trial *t, unsigned int first, uint32_t id, bool *ret_heard)
{
	bool any = false;

	for (unsigned int k = 0; k < SET_MESSAGES; k++) {
		const struct con_msg *msg = con_find(t, first, id, answers[k]);

		/* That the host's side is closed need not be told. */
		ret_heard[k] = msg && (answers[k] != CONSOLE_PORT_OPEN || msg->value);
		any |= ret_heard[k];
	}
	return any;
}

/* A port that has something to tell after PORT_READY, and what. */
static int learn(struct trial *t, uint32_t *ret_id, bool *ret_heard)
{
	int err = begin(t);

	for (unsigned int id = 0; err == 0 && id < con_of(t)->n_ports; id++) {
		unsigned int first = con_of(t)->n_msgs;

		if (!con_of(t)->ports[id].added)
			continue;
		err = con_tell(t, id, CONSOLE_PORT_READY, 1);
		if (err == 0)
			err = con_settle(t, CON_SETTLE_MS);
		*ret_id = id;
		if (err == 0 && note_answers(t, first, id, ret_heard))
			return 0;
	}
	return err < 0 ? err : trial_na(t, "no port has anything to tell after PORT_READY");
}

int case_vc_start_restore(struct trial *t)
{
	bool before[SET_MESSAGES] = { false };
	uint32_t id = 0;
	int err = learn(t, &id, before);

	if (err == 0)
		err = trial_reconnect(t);
	if (err == 0)
		err = con_boot(t, NULL);
	if (err == 0)
		err = con_tell(t, id, CONSOLE_PORT_READY, 1);
	return err < 0 ? err : same_answers(t, 0, id, before, "PORT_READY without DEVICE_READY");
}

int case_vc_start_repeat(struct trial *t)
{
	bool before[SET_MESSAGES] = { false };
	unsigned int first;
	uint32_t id = 0;
	int err = learn(t, &id, before);

	if (err < 0)
		return err;
	first = con_of(t)->n_msgs;
	err = con_tell(t, id, CONSOLE_PORT_READY, 1);
	return err < 0 ? err : same_answers(t, first, id, before, "a second PORT_READY");
}

/* The guest's side opens before the device has said anything, and closes; the host's side stays. */
int case_vc_start_open_first(struct trial *t)
{
	unsigned int first;
	int err = begin(t);

	if (err == 0)
		err = con_tell(t, 0, CONSOLE_PORT_READY, 1);
	if (err == 0)
		err = con_tell(t, 0, CONSOLE_PORT_OPEN, 1);
	if (err == 0)
		err = con_settle(t, TRIAL_QUIET_MS);
	if (err == 0)
		err = con_exchange(t, 2);
	if (err < 0)
		return err;
	first = con_of(t)->n_msgs;
	err = con_tell(t, 0, CONSOLE_PORT_OPEN, 0);
	if (err == 0)
		err = con_tell(t, 0, CONSOLE_PORT_OPEN, 1);
	return err < 0 ? err
		       : con_expect_none(t, first, 0, CONSOLE_PORT_OPEN,
					 "the guest's side closed and opened");
}

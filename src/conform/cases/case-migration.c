/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/cases/case-migration.h"

enum { STATUS_BEGUN = 0x0b }; /* ACKNOWLEDGE, DRIVER, FEATURES_OK */

int migration_ask(struct trial *t, const struct vhu_msg *msg, struct vhu_msg *ret_reply,
		  bool *ret_closed)
{
	const char *name = vhu_msg_name(msg->dir, msg->id);
	struct vhu_msg reply;
	int err = vhu_frontend_send_unchecked(&t->fe, msg);

	if (err < 0)
		return trial_step(t, err, "%s", name);
	err = trial_receive(t, &reply, ret_closed);
	if (err < 0 || *ret_closed)
		return err;
	if (reply.id == msg->id && reply.flags == VHU_REPLY_FLAGS) {
		*ret_reply = reply;
		return 0;
	}
	fdset_close(&reply.fds);
	return trial_fail(t, "%s: expected its reply, but %s with flags %#x came", name,
			  vhu_msg_name(VHU_FE, reply.id), reply.flags);
}

/* splitmix64 */
uint64_t migration_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

int migration_begin(struct trial *t, uint64_t features, uint64_t protocol)
{
	int err = trial_handshake_with(t, features, protocol);

	if (err == 0 && vhu_frontend_has_protocol(&t->fe, VHU_PF_STATUS_BIT))
		err = trial_step(
			t, vhu_frontend_set_u64(&t->fe, VHU_FE_SET_STATUS, STATUS_BEGUN, true),
			"SET_STATUS of %#x", STATUS_BEGUN);
	return err < 0 ? err : trial_make_memory(t, NULL);
}

int migration_run(struct trial *t, const struct trial_plan *plan)
{
	int err = trial_send_memory(t);

	return err < 0 ? err : trial_run(t, plan);
}

int migration_move(struct trial *t)
{
	int fd, err;

	vhu_frontend_disconnect(&t->fe);
	target_stop(t->target);
	err = target_start(t->target);
	if (err == 0)
		err = target_connect(t->target, &fd);
	if (err < 0)
		return trial_error(t, "another back-end process: %s", t->target->error);
	vhu_frontend_attach(&t->fe, fd);
	if (t->evidence)
		evidence_attach(t->evidence, &t->fe);
	return 0;
}

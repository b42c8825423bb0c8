/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A console that is reset, paused and resumed. */
#include <errno.h>
#include <string.h>

#include "conform/cases/case-console.h"
#include "conform/cases/case-list.h"

static int set_status(struct trial *t, uint64_t status)
{
	if (!vhu_frontend_has_protocol(&t->fe, VHU_PF_STATUS_BIT))
		return 0;
	return trial_step(t, vhu_frontend_set_u64(&t->fe, VHU_FE_SET_STATUS, status, true),
			  "SET_STATUS of %#llx", (unsigned long long)status);
}

static int start_all(struct trial *t)
{
	int err = trial_start_rings(t, NULL);

	return err < 0 ? err : trial_ping(t);
}

/* As a driver that resets the device: everything stops, and begins from index 0. */
static int reset(struct trial *t)
{
	int err = trial_stop_rings(t);

	if (err == 0)
		err = set_status(t, 0);
	if (err == 0) /* some forget them with the status */
		err = trial_step(t,
				 vhu_frontend_set_u64(&t->fe, VHU_FE_SET_FEATURES,
						      t->fe.nego.features, true),
				 "SET_FEATURES after a reset");
	for (unsigned int i = 0; i < t->fe.n_rings && err == 0; i++) {
		vhu_frontend_take_calls(&t->fe, i);
		vhu_frontend_reset_ring(&t->fe, i);
		t->fe.rings[i].base = 0;
	}
	if (err == 0)
		err = set_status(t, 0x0b);
	if (err == 0)
		err = start_all(t);
	if (err == 0)
		err = set_status(t, 0x0f);
	if (err == 0)
		err = con_begin(t);
	return err < 0 ? err : con_post_control(t, 8, CON_PAGE);
}

int case_vc_reset_full(struct trial *t)
{
	struct con_msg before[CON_PORTS];
	unsigned int n = 0;
	struct con *con;
	int err = con_start(t, NULL);

	con = con_of(t);
	for (unsigned int i = 0; err == 0 && i < con->n_msgs && n < CON_PORTS; i++)
		if (con->msgs[i].event != CONSOLE_PORT_OPEN || con->msgs[i].value)
			before[n++] = con->msgs[i];
	if (err == 0)
		err = reset(t);
	if (err == 0)
		err = con_expect_none(t, 0, CON_ANY, CON_ANY, "a reset, before DEVICE_READY");
	if (err == 0)
		err = con_shake_hands(t);
	for (unsigned int i = 0; i < n && err == 0; i++)
		if (!con_find(t, 0, before[i].id, before[i].event))
			err = trial_fail(t,
					 "after a reset: expected %s for port %u as before it, but "
					 "it did not come",
					 con_event_name(before[i].event), before[i].id);
	return err < 0 ? err : con_exchange(t, 1);
}

/* The host's connection stays, and the guest's side is closed until it opens again. */
static int reset_closes(struct trial *t, const struct trial_plan *plan)
{
	unsigned int id;
	int err = con_start_join(t, plan, false, &id);

	if (err == 0)
		err = reset(t);
	if (err == 0)
		err = con_post_input(t, id, 4, CON_PAGE);
	if (err == 0)
		err = con_peer_write(t, "reset", 5);
	if (err == 0)
		err = trial_quiet(t, con_rx(id));
	if (err == 0)
		err = con_tell(t, UINT32_MAX, CONSOLE_DEVICE_READY, 1);
	if (err == 0)
		err = con_expect(t, id, CONSOLE_PORT_ADD, CON_ANY, NULL);
	if (err == 0)
		err = con_tell(t, id, CONSOLE_PORT_READY, 1);
	if (err == 0)
		err = con_expect(t, id, CONSOLE_PORT_OPEN, 1, NULL);
	if (err == 0)
		err = trial_quiet(t, con_rx(id));
	if (err == 0)
		err = con_tell(t, id, CONSOLE_PORT_OPEN, 1);
	return err < 0 ? err : con_expect_input(t, id, "reset", 5, "input after a reset");
}

int case_vc_reset_closed(struct trial *t)
{
	return reset_closes(t, NULL);
}

/* As front-ends that know no status: rings that begin from index 0 are a reset. */
int case_vc_reset_rings(struct trial *t)
{
	static const struct trial_plan plan = {
		.without_protocol = BIT(VHU_PF_STATUS_BIT) | BIT(VHU_PF_RESET_DEVICE_BIT),
	};

	return reset_closes(t, &plan);
}

int case_vc_pause_output(struct trial *t)
{
	int err = con_start(t, NULL);

	if (err == 0)
		err = con_exchange(t, 3);
	if (err == 0)
		err = trial_stop_rings(t);
	if (err == 0)
		err = start_all(t);
	if (err == 0)
		err = con_exchange(t, 3);
	return err < 0 ? err : con_tell(t, 0, CONSOLE_PORT_OPEN, 1);
}

int case_vc_pause_input(struct trial *t)
{
	unsigned int id;
	int err = con_start_join_any(t, NULL, &id);

	if (err == 0)
		err = con_post_input(t, id, 8, CON_PAGE);
	if (err == 0)
		err = trial_stop_rings(t);
	if (err == 0)
		err = con_peer_write(t, "paused", 6);
	if (err == 0)
		err = start_all(t);
	return err < 0 ? err
		       : con_expect_input(t, id, "paused", 6, "input while the rings were stopped");
}

/* What the host's side does while the rings are stopped is told afterwards. */
int case_vc_pause_event(struct trial *t)
{
	unsigned int id;
	int err = con_start_join_any(t, NULL, &id);

	if (err == 0)
		err = trial_stop_rings(t);
	if (err < 0)
		return err;
	con_leave(t);
	err = start_all(t);
	return err < 0 ? err : con_expect(t, id, CONSOLE_PORT_OPEN, 0, NULL);
}

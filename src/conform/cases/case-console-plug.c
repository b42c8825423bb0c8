/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Ports that are plugged in and removed while the guest runs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conform/cases/case-console.h"
#include "conform/cases/case-list.h"

enum { FLOOD = 8 << 20 };

/* A number that no port has, with rings. */
static int find_free(struct trial *t, unsigned int *ret_id)
{
	for (unsigned int id = 1; id < con_of(t)->n_ports; id++) {
		if (!con_of(t)->ports[id].added) {
			*ret_id = id;
			return 0;
		}
	}
	return trial_na(t, "no port number with rings is free");
}

static int start(struct trial *t, unsigned int *ret_id)
{
	int err = con_start(t, NULL);

	return err < 0 ? err : find_free(t, ret_id);
}

static int plug(struct trial *t, unsigned int id)
{
	return con_act(t, "plug", id, "name=org.test.plugged", NULL);
}

/* Until PORT_ADD, then ready and opened. */
static int plug_and_open(struct trial *t, unsigned int id)
{
	int err = plug(t, id);

	if (err == 0)
		err = con_expect(t, id, CONSOLE_PORT_ADD, CON_ANY, NULL);
	if (err == 0)
		err = con_tell(t, id, CONSOLE_PORT_READY, 1);
	if (err == 0)
		err = con_tell(t, id, CONSOLE_PORT_OPEN, 1);
	con_of(t)->ports[id].ready = err == 0;
	return err;
}

static int unplug(struct trial *t, unsigned int id)
{
	int err = con_act(t, "unplug", id, NULL, NULL);

	return err < 0 ? err : con_expect(t, id, CONSOLE_PORT_REMOVE, CON_ANY, NULL);
}

/* The host's side of the port that was plugged in, if --peer can reach it. */
static int connect_to(struct trial *t, unsigned int id)
{
	int err = con_reach(t, id);

	return err < 0 ? err : con_expect(t, id, CONSOLE_PORT_OPEN, 1, NULL);
}

int case_vc_plug_add(struct trial *t)
{
	static const char name[] = "org.test.plugged";
	struct con_msg *msg = NULL;
	unsigned int id;
	int err = start(t, &id);

	if (err == 0)
		err = plug_and_open(t, id);
	if (err == 0)
		err = con_expect(t, id, CONSOLE_PORT_NAME, CON_ANY, &msg);
	if (err == 0 && (msg->len < CONSOLE_MSG_LEN + strlen(name) ||
			 memcmp(msg->data, name, strlen(name)) != 0))
		err = trial_fail(t,
				 "a port that was plugged in: expected its name to be %s, but it "
				 "is another",
				 name);
	if (err == 0)
		err = con_settle(t, TRIAL_QUIET_MS);
	if (err == 0 && con_of(t)->ports[id].n_added != 1)
		err = trial_fail(t,
				 "a port that was plugged in: expected PORT_ADD once, but it came "
				 "%u times",
				 con_of(t)->ports[id].n_added);
	if (err == 0)
		err = con_write(t, id, "to a new port", 13);
	return err < 0 ? err : unplug(t, id);
}

int case_vc_plug_before_ready(struct trial *t)
{
	unsigned int id;
	int err = start(t, &id);

	if (err == 0)
		err = trial_reconnect(t);
	if (err == 0)
		err = con_boot(t, NULL);
	if (err == 0)
		err = plug(t, id);
	if (err == 0)
		err = con_expect_none(t, 0, CON_ANY, CON_ANY,
				      "a port was plugged in before DEVICE_READY");
	if (err == 0)
		err = con_tell(t, UINT32_MAX, CONSOLE_DEVICE_READY, 1);
	if (err == 0)
		err = con_expect(t, id, CONSOLE_PORT_ADD, CON_ANY, NULL);
	return err < 0 ? err : unplug(t, id);
}

int case_vc_plug_remove(struct trial *t)
{
	unsigned int id, first;
	int err = start(t, &id);

	if (err == 0)
		err = plug_and_open(t, id);
	if (err == 0)
		err = unplug(t, id);
	if (err < 0)
		return err;
	first = con_of(t)->n_msgs;
	err = con_tell(t, id, CONSOLE_PORT_OPEN, 0);
	if (err == 0)
		err = con_expect_none(t, first, id, CON_ANY, "after PORT_REMOVE");
	return err < 0 ? err : con_exchange(t, 1);
}

int case_vc_plug_remove_held(struct trial *t)
{
	uint32_t used_len = 0;
	void *token = NULL;
	unsigned int id;
	bool held;
	int err = start(t, &id);

	if (err == 0)
		err = plug_and_open(t, id);
	if (err == 0)
		err = connect_to(t, id);
	if (err == 0)
		err = con_fill_up(t, id, FLOOD, &held, NULL);
	if (err == 0 && !held)
		trial_remark(t, "output is taken while the host does not read");
	if (err == 0)
		err = unplug(t, id);
	if (err < 0 || !held)
		return err;
	err = con_take(t, con_tx(id), &token, &used_len, 0);
	if (err == 0 && !token)
		err = trial_fail(t, "when PORT_REMOVE came: expected the output that waited to be "
				    "back, but the device has it still");
	return err;
}

int case_vc_plug_again(struct trial *t)
{
	struct con_page *page = NULL;
	unsigned int id;
	uint32_t len = 0;
	int err = start(t, &id);

	if (err == 0)
		err = plug_and_open(t, id);
	if (err == 0)
		err = con_post_input(t, id, 4, CON_PAGE);
	if (err == 0)
		err = unplug(t, id);
	if (err == 0)
		err = plug_and_open(t, id);
	if (err == 0)
		err = connect_to(t, id);
	if (err == 0)
		err = con_peer_write(t, "x", 1);
	if (err == 0)
		err = con_take_input(t, id, &page, &len, TRIAL_ANSWER_MS);
	if (err == 0 && (page != &con_of(t)->in[0] || len != 1))
		err = trial_fail(t,
				 "a port removed and plugged in again: expected input in the "
				 "oldest buffer that was posted before, but %s",
				 page ? "it came in another" : "none came");
	con_leave(t);
	return err < 0 ? err : unplug(t, id);
}

int case_vc_plug_config(struct trial *t)
{
	uint32_t before = 0, after = 0;
	unsigned int id;
	int err = start(t, &id);

	if (err == 0)
		err = con_max_ports(t, &before);
	if (err == 0)
		err = plug_and_open(t, id);
	if (err == 0)
		err = con_max_ports(t, &after);
	if (err == 0)
		err = unplug(t, id);
	if (err == 0 && before != after)
		err = trial_fail(t,
				 "a port was plugged in: expected max_nr_ports to stay %u, but it "
				 "became %u",
				 before, after);
	return err;
}

/* Output to nowhere may be thrown away as well. */
int case_vc_plug_untouched(struct trial *t)
{
	uint32_t used_len = 0;
	void *token = NULL;
	unsigned int id;
	int err = start(t, &id);

	if (err == 0)
		err = con_post_input(t, id, 2, CON_PAGE);
	if (err == 0)
		err = trial_quiet(t, con_rx(id));
	if (err == 0)
		err = con_offer_output(t, id, "to nowhere", 10);
	if (err == 0)
		err = con_take(t, con_tx(id), &token, &used_len, TRIAL_QUIET_MS);
	if (err == 0 && token)
		trial_remark(t, "output to a port that there is not is thrown away");
	return err < 0 ? err : trial_ping(t);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The size of a console's terminal, and the names of ports. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conform/cases/case-console.h"
#include "conform/cases/case-list.h"

enum {
	RESIZE_LEN = CONSOLE_MSG_LEN + 4,
	STEP_MS = 5,
	OTHER_COLS = 70,
	OTHER_ROWS = 20,
	NAME_MAX_LEN = CON_PAGE - CONSOLE_MSG_LEN,
};

static int resize(struct trial *t, unsigned int port, unsigned int cols, unsigned int rows)
{
	char c[32], r[32];

	snprintf(c, sizeof(c), "cols=%u", cols);
	snprintf(r, sizeof(r), "rows=%u", rows);
	return con_act(t, "resize", port, c, r);
}

/* Only a change is told: the size is another one first, whatever it was. */
static int make_other(struct trial *t, unsigned int port)
{
	int err = resize(t, port, OTHER_COLS, OTHER_ROWS);

	if (err == 0 && con_of(t)->multiport)
		err = con_settle(t, CON_SETTLE_MS);
	else if (err == 0)
		err = trial_step(t, vhu_frontend_pass_time(&t->fe, trial_ms(t, CON_SETTLE_MS)),
				 "the back-end channel");
	con_of(t)->n_seen = con_of(t)->n_msgs;
	return err;
}

static int check_size(struct trial *t, const struct con_msg *msg, unsigned int cols,
		      unsigned int rows)
{
	unsigned int first = get_le16(msg->data);
	unsigned int second = get_le16(msg->data + 2);

	if (msg->len != RESIZE_LEN)
		return trial_fail(t, "RESIZE: expected 12 bytes, but %u came", msg->len);
	if (first == cols && second == rows)
		return 0;
	if (first == rows && second == cols)
		return trial_warn(t, "RESIZE: expected columns first, but rows come first");
	return trial_fail(t, "RESIZE: expected %u columns and %u rows, but they are %u and %u",
			  cols, rows, first, second);
}

static int start_console(struct trial *t, unsigned int *ret_id)
{
	int err = con_start(t, NULL);

	return err < 0 ? err : con_pick(t, true, ret_id);
}

int case_vc_size_order(struct trial *t)
{
	struct con_msg *msg = NULL;
	unsigned int id;
	int err = start_console(t, &id);

	if (err == 0)
		err = make_other(t, id);
	if (err == 0)
		err = resize(t, id, 132, 43);
	if (err == 0)
		err = con_expect(t, id, CONSOLE_RESIZE, CON_ANY, &msg);
	return err < 0 ? err : check_size(t, msg, 132, 43);
}

int case_vc_size_every(struct trial *t)
{
	static const struct {
		unsigned int cols, rows;
	} sizes[] = { { 81, 26 }, { 300, 100 }, { 40, 24 } };
	struct con_msg *msg = NULL;
	unsigned int id;
	int err = start_console(t, &id);

	if (err == 0)
		err = make_other(t, id);
	for (size_t i = 0; i < ARRAY_SIZE(sizes) && err == 0; i++) {
		err = resize(t, id, sizes[i].cols, sizes[i].rows);
		if (err == 0)
			err = con_expect(t, id, CONSOLE_RESIZE, CON_ANY, &msg);
		if (err == 0)
			err = check_size(t, msg, sizes[i].cols, sizes[i].rows);
	}
	return err;
}

int case_vc_size_initial(struct trial *t)
{
	struct con *con;
	unsigned int n = 0;
	int err = con_boot(t, NULL);

	if (err == 0)
		err = resize(t, 0, 132, 43);
	if (err == 0)
		err = con_expect_none(t, 0, CON_ANY, CON_ANY, "a size before DEVICE_READY");
	if (err == 0)
		err = con_shake_hands(t);
	if (err < 0)
		return err;
	con = con_of(t);
	if (!con->ports[0].console)
		return trial_na(t, "port 0 is not a console");
	for (unsigned int i = 0; i < con->n_msgs && err == 0; i++) {
		if (con->msgs[i].event != CONSOLE_RESIZE || con->msgs[i].id != 0)
			continue;
		err = check_size(t, &con->msgs[i], 132, 43);
		n++;
	}
	if (err == 0 && n != 1)
		err = trial_fail(t,
				 "a size that is known before the handshake: expected RESIZE "
				 "once, but it came %u times",
				 n);
	return err < 0 ? err : con_check_order(t, 0);
}

int case_vc_size_not_accepted(struct trial *t)
{
	static const struct trial_plan plan = { .without_features = CON_SIZE };
	unsigned int id;
	int err = con_start(t, &plan);

	if (err == 0)
		err = con_pick(t, true, &id);
	if (err == 0)
		err = resize(t, id, OTHER_COLS, OTHER_ROWS);
	if (err == 0)
		err = resize(t, id, 132, 43);
	return err < 0 ? err
		       : con_expect_none(t, 0, CON_ANY, CONSOLE_RESIZE,
					 "VIRTIO_CONSOLE_F_SIZE is not accepted");
}

/* A host may well refuse to give such a port a size. */
int case_vc_size_generic(struct trial *t)
{
	char number[32];
	const char *words[] = { number, "cols=132", "rows=43", NULL };
	unsigned int id;
	int err = con_start(t, NULL);

	if (err == 0)
		err = con_pick(t, false, &id);
	if (err < 0)
		return err;
	snprintf(number, sizeof(number), "port=%u", id);
	if (target_act(t->target, "resize", words) < 0)
		trial_remark(t,
			     "the command of --do resize fails for a port that is not a console");
	return con_expect_none(t, 0, id, CONSOLE_RESIZE, "a port that is not a console");
}

int case_vc_size_known(struct trial *t)
{
	static const uint8_t none[2];
	struct con *con;
	int err = con_start(t, NULL);

	con = con_of(t);
	for (unsigned int i = 0; err == 0 && i < con->n_msgs; i++) {
		const struct con_msg *msg = &con->msgs[i];

		if (msg->event == CONSOLE_RESIZE &&
		    (memcmp(msg->data, none, 2) == 0 || memcmp(msg->data + 2, none, 2) == 0))
			err = trial_fail(t,
					 "port %u: expected no RESIZE without a size, but one "
					 "with 0 columns or rows came",
					 msg->id);
	}
	return err;
}

/* The configuration. */

static bool config_is(const uint8_t *b, unsigned int cols, unsigned int rows)
{
	return get_le16(b) == cols && get_le16(b + 2) == rows;
}

static int expect_config(struct trial *t, unsigned int cols, unsigned int rows, const char *when)
{
	uint8_t b[4] = { 0 };
	int err = con_read_config(t, 0, sizeof(b), b);

	if (err == 0 && !config_is(b, cols, rows))
		err = trial_fail(t,
				 "%s: expected %u columns and %u rows in the configuration, but "
				 "its bytes are %02x %02x %02x %02x",
				 when, cols, rows, b[0], b[1], b[2], b[3]);
	return err;
}

int case_vc_config_size(struct trial *t)
{
	int err = con_start(t, NULL);

	if (err == 0 && !con_of(t)->ports[0].console)
		return trial_na(t, "port 0 is not a console");
	if (err == 0)
		err = make_other(t, 0);
	if (err == 0)
		err = resize(t, 0, 132, 43);
	if (err == 0)
		err = con_expect(t, 0, CONSOLE_RESIZE, CON_ANY, NULL);
	return err < 0 ? err : expect_config(t, 132, 43, "when RESIZE came");
}

int case_vc_config_size_single(struct trial *t)
{
	static const struct trial_plan plan = { .without_features = CON_MULTIPORT };
	unsigned int before, waited = 0;
	int err = trial_boot(t, &plan);

	if (err == 0)
		err = make_other(t, 0);
	before = t->fe.heard.n_config_changes;
	if (err == 0)
		err = resize(t, 0, 132, 43);
	while (err == 0 && t->fe.heard.n_config_changes == before && waited < TRIAL_ANSWER_MS) {
		err = trial_step(t, vhu_frontend_pass_time(&t->fe, trial_ms(t, STEP_MS)),
				 "the back-end channel");
		waited += STEP_MS;
	}
	if (err == 0 && t->fe.heard.n_config_changes == before)
		err = trial_fail(t, "a new size without MULTIPORT: expected CONFIG_CHANGE_MSG, but "
				    "it did not come");
	return err < 0 ? err : expect_config(t, 132, 43, "after CONFIG_CHANGE_MSG");
}

int case_vc_config_size_other(struct trial *t)
{
	uint8_t before[4], after[4];
	struct con_msg *msg = NULL;
	unsigned int id = 1;
	int err = con_start(t, NULL);

	if (err < 0)
		return err;
	while (id < con_of(t)->n_ports && !con_of(t)->ports[id].console)
		id++;
	if (id == con_of(t)->n_ports)
		return trial_na(t, "there is no console beside port 0");
	err = make_other(t, id);
	if (err == 0)
		err = con_read_config(t, 0, sizeof(before), before);
	if (err == 0)
		err = resize(t, id, 99, 33);
	if (err == 0)
		err = con_expect(t, id, CONSOLE_RESIZE, CON_ANY, &msg);
	if (err == 0)
		err = check_size(t, msg, 99, 33);
	if (err == 0)
		err = con_read_config(t, 0, sizeof(after), after);
	if (err == 0 && memcmp(before, after, sizeof(after)) != 0)
		err = trial_fail(t,
				 "a new size of port %u: expected port 0's in the configuration to "
				 "stay, but it changed",
				 id);
	return err;
}

/* Names. */

/* Its bytes without the one NUL that QEMU appends. */
static uint32_t name_len(const struct con_msg *msg)
{
	uint32_t len = msg->len - CONSOLE_MSG_LEN;

	if (len > 0 && len <= CON_DATA && msg->data[len - 1] == '\0')
		len--;
	return len;
}

static int check_name(struct trial *t, const struct con_msg *msg)
{
	uint32_t len = name_len(msg);
	uint32_t seen = (uint32_t)min_size(len, CON_DATA);

	if (len == 0 || len > NAME_MAX_LEN)
		return trial_fail(t, "port %u: expected a name of 1 to %d bytes, but it has %u",
				  msg->id, NAME_MAX_LEN, len);
	if (memchr(msg->data, '\0', seen) || memchr(msg->data, '/', seen))
		return trial_fail(t,
				  "port %u: expected a name without NUL and \"/\" in it, but it "
				  "has one",
				  msg->id);
	return 0;
}

static int no_names(struct trial *t)
{
	return trial_na(t, "no port has a name");
}

int case_vc_name_valid(struct trial *t)
{
	struct con *con;
	unsigned int n = 0;
	int err = con_start(t, NULL);

	con = con_of(t);
	for (unsigned int i = 0; err == 0 && i < con->n_msgs; i++) {
		if (con->msgs[i].event != CONSOLE_PORT_NAME)
			continue;
		err = check_name(t, &con->msgs[i]);
		n++;
	}
	return err == 0 && n == 0 ? no_names(t) : err;
}

int case_vc_name_end(struct trial *t)
{
	struct con *con;
	unsigned int n = 0, n_nul = 0;
	int err = con_start(t, NULL);

	con = con_of(t);
	for (unsigned int i = 0; err == 0 && i < con->n_msgs; i++) {
		const struct con_msg *msg = &con->msgs[i];

		if (msg->event != CONSOLE_PORT_NAME || msg->len <= CONSOLE_MSG_LEN)
			continue;
		n++;
		n_nul += name_len(msg) != msg->len - CONSOLE_MSG_LEN;
	}
	if (err < 0 || n == 0)
		return err < 0 ? err : no_names(t);
	if (n_nul > 0 && n_nul < n)
		return trial_fail(t, "expected all names to end alike, but %u of %u end with NUL",
				  n_nul, n);
	return n_nul > 0 ? trial_warn(t, "expected names without NUL, but they end with one") : 0;
}

int case_vc_name_unique(struct trial *t)
{
	struct con *con;
	unsigned int n = 0;
	int err = con_start(t, NULL);

	con = con_of(t);
	for (unsigned int i = 0; err == 0 && i < con->n_msgs; i++) {
		const struct con_msg *a = &con->msgs[i];

		n += a->event == CONSOLE_PORT_NAME;
		for (unsigned int k = 0; k < i && err == 0; k++) {
			const struct con_msg *b = &con->msgs[k];

			if (a->event != CONSOLE_PORT_NAME || b->event != a->event ||
			    a->id == b->id || name_len(a) != name_len(b) ||
			    memcmp(a->data, b->data, min_size(name_len(a), CON_DATA)) != 0)
				continue;
			err = trial_fail(t,
					 "expected each name once, but ports %u and %u have the "
					 "same",
					 b->id, a->id);
		}
	}
	return err == 0 && n == 0 ? no_names(t) : err;
}

int case_vc_port_zero(struct trial *t)
{
	int err = con_start(t, NULL);

	if (err < 0)
		return err;
	if (!con_of(t)->ports[0].added)
		return trial_remark(t, "there is no port 0");
	return trial_remark(t, "port 0 is %sa console", con_of(t)->ports[0].console ? "" : "not ");
}

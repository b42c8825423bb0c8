/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Host sides that come, go, and do not read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conform/cases/case-console.h"
#include "conform/cases/case-list.h"

enum {
	FLOOD = 8 << 20,
	SLOW_LEN = 32 << 10,
	ROUNDS = 3,
	LARGE_LEN = 100003, /* bytes of a chain */
	LARGE_N = 40,	    /* of those at most */
	LARGE_SEED = 1000,
	NOTICED_MS = 700, /* that a peer has left: some wait a while for what it may still read */
};

/* The host's side leaves, the guest hears of it, another one comes. */
static int come_again(struct trial *t, unsigned int id)
{
	int err;

	con_leave(t);
	err = con_expect(t, id, CONSOLE_PORT_OPEN, 0, NULL);
	if (err == 0)
		err = con_connect(t, id, &t->peer_fd);
	if (err == -ENOENT)
		return trial_fail(t,
				  "port %u: expected the host's side to be connected again, but "
				  "it was not taken",
				  id);
	return err < 0 ? err : con_expect(t, id, CONSOLE_PORT_OPEN, 1, NULL);
}

int case_vc_open_host(struct trial *t)
{
	unsigned int id;
	int err = con_start_join_any(t, NULL, &id);

	return err < 0 ? err : come_again(t, id);
}

int case_vc_open_again(struct trial *t)
{
	unsigned int id;
	int err = con_start_join_any(t, NULL, &id);

	for (unsigned int i = 0; i < ROUNDS && err == 0; i++) {
		err = come_again(t, id);
		if (err == 0)
			err = con_sync(t, id);
		if (err == 0)
			err = con_peer_write(t, "again", 5);
		if (err == 0)
			err = con_expect_input(t, id, "again", 5,
					       "input after the host's side came again");
	}
	return err;
}

/* Each PORT_OPEN for the port, from message first on, says another thing than the one before. */
static int alternate(struct trial *t, unsigned int first, unsigned int id, bool last)
{
	struct con *con = con_of(t);
	int err = 0;

	for (unsigned int i = first; err == 0 && i < con->n_msgs; i++) {
		const struct con_msg *msg = &con->msgs[i];

		if (msg->id != id || msg->event != CONSOLE_PORT_OPEN)
			continue;
		if ((msg->value != 0) == last)
			err = trial_fail(t,
					 "port %u: expected PORT_OPEN only when its state changes, "
					 "but %u came twice",
					 id, msg->value);
		last = msg->value != 0;
	}
	return err;
}

int case_vc_open_duplicate(struct trial *t)
{
	unsigned int id, first = 0;
	int err = con_start_join_any(t, NULL, &id);

	if (err == 0)
		first = con_of(t)->n_msgs;
	for (unsigned int i = 0; i < 8 && err == 0; i++) {
		con_leave(t);
		err = con_reach_again(t, id);
	}
	if (err == 0)
		err = con_settle(t, TRIAL_QUIET_MS);
	return err < 0 ? err : alternate(t, first, id, true);
}

/* A host's side that came and left while there was no buffer to tell it in is as it was. */
int case_vc_open_unheard(struct trial *t)
{
	unsigned int id = 0, first;
	struct con *con;
	int err = con_start_holding(t, &id);

	if (err < 0)
		return err;
	con = con_of(t);
	con_leave(t);
	err = con_expect(t, id, CONSOLE_PORT_OPEN, 0, NULL);
	first = con->n_msgs;
	if (err == 0)
		err = con_reach_again(t, id);
	if (err == 0)
		err = trial_pass(t, trial_ms(t, TRIAL_QUIET_MS));
	con_leave(t);
	if (err == 0)
		err = trial_pass(t, trial_ms(t, NOTICED_MS));
	if (err == 0)
		err = con_release(t);
	if (err == 0)
		err = con_settle(t, TRIAL_QUIET_MS);
	return err < 0 ? err : alternate(t, first, id, false);
}

/* What the host sends while no program has the port open waits, and no buffer is used for it. */
int case_vc_open_guest(struct trial *t)
{
	unsigned int id;
	int err = con_start_join(t, NULL, false, &id);

	if (err == 0)
		err = con_tell(t, id, CONSOLE_PORT_OPEN, 0);
	if (err == 0)
		err = con_post_input(t, id, 4, CON_PAGE);
	if (err == 0)
		err = con_peer_write(t, "waits!", 6);
	if (err == 0)
		err = trial_quiet(t, con_rx(id));
	if (err == 0)
		err = con_tell(t, id, CONSOLE_PORT_OPEN, 1);
	return err < 0 ? err
		       : con_expect_input(t, id, "waits!", 6, "input while the port was closed");
}

int case_vc_flow_console(struct trial *t)
{
	unsigned int id;
	bool held;
	size_t len;
	int err = con_start_join(t, NULL, true, &id);

	if (err == 0)
		err = con_fill_up(t, id, FLOOD, &held, &len);
	if (err == 0 && held)
		err = trial_fail(t,
				 "a console whose host does not read: expected all output to be "
				 "taken at once, but after %zu bytes a page was kept",
				 len);
	return err;
}

/* All pages that con_fill_up() gave, in order. */
static int read_back(struct trial *t, size_t len)
{
	uint8_t page[CON_PAGE];
	int err = 0;

	for (size_t done = 0; done < len && err == 0; done += sizeof(page)) {
		con_fill(page, sizeof(page), 1 + done / CON_PAGE);
		err = con_peer_expect(t, page, sizeof(page), "output that had to wait");
	}
	return err;
}

/* The page that was kept while the host did not read. */
static int await_held(struct trial *t, unsigned int id, const char *when)
{
	uint32_t used_len = 0;
	void *token = NULL;
	int err = con_take(t, con_tx(id), &token, &used_len, TRIAL_ANSWER_MS);

	if (err == 0 && !token)
		err = trial_fail(t,
				 "%s: expected the page that was kept to come back, but it did "
				 "not",
				 when);
	return err < 0 ? err : con_check_length(t, con_tx(id), used_len);
}

int case_vc_flow_hold(struct trial *t)
{
	unsigned int id;
	bool held = false;
	size_t len = 0;
	int err = con_start_join(t, NULL, false, &id);

	if (err == 0)
		err = con_fill_up(t, id, FLOOD, &held, &len);
	if (err == 0 && !held)
		trial_remark(t, "%zu bytes were taken while the host did not read", len);
	if (err == 0)
		err = read_back(t, len);
	if (err == 0 && held)
		err = await_held(t, id, "the host has read everything");
	if (err == 0)
		err = con_write(t, id, "afterwards", 10);
	return err < 0 ? err : con_peer_expect(t, "afterwards", 10, "output after it had to wait");
}

/* One chain of LARGE_LEN bytes, the same memory each time; *ret_back: within a while. */
static int write_large(struct trial *t, unsigned int id, const struct con_page *mem,
		       uint64_t number, bool *ret_back)
{
	const struct driverq_buf buf = { .addr = mem->addr, .len = LARGE_LEN };
	uint32_t used_len;
	void *token = NULL;
	int err;

	con_fill(mem->host, LARGE_LEN, LARGE_SEED + number);
	err = driverq_add(&t->fe.rings[con_tx(id)].q, &buf, 1, 0, false, con_of(t));
	if (err < 0)
		return trial_error(t, "a chain of %d bytes: %s", LARGE_LEN, strerror(-err));
	err = trial_step(t, vhu_frontend_publish(&t->fe, con_tx(id)), "a kick");
	if (err == 0)
		err = con_take(t, con_tx(id), &token, &used_len, TRIAL_QUIET_MS);
	*ret_back = token != NULL;
	return err;
}

/* A chain that is larger than what the host's socket has room for is taken in parts. */
int case_vc_flow_parts(struct trial *t)
{
	uint8_t *bytes = malloc(LARGE_LEN);
	struct con_page mem = { .len = LARGE_LEN };
	unsigned int id, n = 0;
	bool back = true;
	void *host = NULL;
	int err = bytes ? con_start_join(t, NULL, false, &id) : trial_error(t, "memory for output");

	if (err == 0)
		err = trial_alloc(t, LARGE_LEN, 16, &host, &mem.addr);
	mem.host = host;
	while (err == 0 && back && n < LARGE_N)
		err = write_large(t, id, &mem, n++, &back);
	for (unsigned int i = 0; i < n && err == 0; i++) {
		con_fill(bytes, LARGE_LEN, LARGE_SEED + i);
		err = con_peer_expect(t, bytes, LARGE_LEN, "output that was taken in parts");
	}
	if (err == 0 && !back)
		err = await_held(t, id, "the host has read everything");
	free(bytes);
	return err;
}

int case_vc_flow_nobody(struct trial *t)
{
	unsigned int id = 0, n = 0;
	int err = con_start(t, NULL);

	for (; err == 0 && id < con_of(t)->n_ports; id++) {
		const struct con_port *p = &con_of(t)->ports[id];

		if (!p->ready || p->console || p->host_open)
			continue;
		err = con_write(t, id, "to nobody", 9);
		n++;
	}
	if (err == 0 && n == 0)
		err = trial_na(t, "there is no port without a console whose host side is closed");
	return err;
}

int case_vc_flow_leave(struct trial *t)
{
	unsigned int id;
	bool held;
	int err = con_start_join(t, NULL, false, &id);

	if (err == 0)
		err = con_fill_up(t, id, FLOOD, &held, NULL);
	if (err < 0)
		return err;
	con_leave(t);
	if (held)
		err = await_held(t, id, "the host's side left");
	if (err == 0)
		err = con_expect(t, id, CONSOLE_PORT_OPEN, 0, NULL);
	return err < 0 ? err : con_write(t, id, "to nobody", 9);
}

int case_vc_flow_others(struct trial *t)
{
	unsigned int id, n = 0;
	bool held = false;
	int err = con_start_join(t, NULL, false, &id);

	if (err == 0)
		err = con_fill_up(t, id, FLOOD, &held, NULL);
	if (err == 0 && !held)
		return trial_na(t, "port %u takes all output while its host does not read", id);
	for (unsigned int i = 0; err == 0 && i < con_of(t)->n_ports; i++) {
		if (i == id || !con_of(t)->ports[i].ready)
			continue;
		/* The page that is kept stays as it is: the others' bytes go beside it. */
		err = con_write_beside(t, i, "another port", 12);
		n++;
	}
	if (err == 0 && n == 0)
		err = trial_na(t, "there is no other port");
	return err;
}

int case_vc_flow_pieces(struct trial *t)
{
	uint8_t *bytes = malloc(SLOW_LEN);
	unsigned int id;
	int err = bytes ? con_start_join_any(t, NULL, &id) : trial_error(t, "memory for output");

	if (err == 0) {
		con_fill(bytes, SLOW_LEN, 3);
		err = con_write(t, id, bytes, SLOW_LEN);
	}
	for (size_t done = 0, part = 1; done < SLOW_LEN && err == 0; part = part % 13 + 1) {
		size_t n = min_size(part, SLOW_LEN - done);

		err = con_peer_expect(t, bytes + done, n, "output that is read bit by bit");
		done += n;
	}
	free(bytes);
	return err;
}

/* A connection that ends with unread output resets it: the next write fails. */
int case_vc_flow_broken(struct trial *t)
{
	uint8_t page[CON_PAGE] = { 'x' };
	unsigned int id;
	int err = con_start_join_any(t, NULL, &id);

	if (err == 0)
		err = con_write(t, id, page, sizeof(page));
	if (err < 0)
		return err;
	con_leave(t);
	for (unsigned int i = 0; i < 8 && err == 0; i++)
		err = con_write(t, id, page, sizeof(page));
	if (err == 0)
		err = con_expect(t, id, CONSOLE_PORT_OPEN, 0, NULL);
	return err < 0 ? err : trial_ping(t);
}

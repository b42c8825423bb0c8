/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtio/console-journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/port-journal.h"

enum {
	JOURNAL_KIND_CONSOLE = 2,

	SEEN_KNOWN = 0x01,
	SEEN_READY = 0x02,
	SEEN_GUEST_OPEN = 0x04,
	SEEN_TOLD_OPEN = 0x08,
	SEEN_DRAINING = 0x10,
};

struct seen_port {
	uint8_t flags;
	uint8_t todo;
};

struct console_commit {
	uint64_t guest; /* by its in-flight record; 0: nobody */
	uint32_t limit, next;
	struct ring_mark returned[2]; /* of the control queues */
	uint8_t driver_ready, single;
	struct seen_port ports[CONSOLE_MAX_PORTS];
};

struct console_journal {
	struct journal file;
	struct console_commit now;
	bool fresh;    /* no guest has come yet */
	bool found[2]; /* of a control queue: what was found was not asked for yet */
};

int console_journal_new(struct console *con, const char *path, char *ret_why, size_t why_cap)
{
	struct console_journal *j = calloc(1, sizeof(*j));
	bool found = false;
	int err;

	if (!j) {
		snprintf(ret_why, why_cap, "%s: no memory for a journal", path);
		return -ENOMEM;
	}
	err = journal_open(&j->file, path, JOURNAL_KIND_CONSOLE, sizeof(j->now), 0, &found, ret_why,
			   why_cap);
	if (err < 0) {
		free(j);
		return err;
	}
	if (found)
		memcpy(&j->now, journal_last(&j->file), sizeof(j->now));
	j->found[0] = j->found[1] = j->fresh = true;
	con->journal = j;
	return 0;
}

int console_journal_fd(const struct console *con)
{
	return con->journal ? con->journal->file.fd : -1;
}

void console_journal_free(struct console *con)
{
	if (!con->journal)
		return;
	journal_close(&con->journal->file);
	free(con->journal);
	con->journal = NULL;
}

static struct seen_port see(const struct console_port *p)
{
	return (struct seen_port){
		.flags = (uint8_t)((p->known ? SEEN_KNOWN : 0) | (p->ready ? SEEN_READY : 0) |
				   (p->guest_open ? SEEN_GUEST_OPEN : 0) |
				   (p->told_open ? SEEN_TOLD_OPEN : 0) |
				   (p->draining ? SEEN_DRAINING : 0)),
		.todo = (uint8_t)p->todo,
	};
}

static void commit(struct console *con)
{
	struct console_journal *j = con->journal;
	const struct console_ctrl *ctrl = &con->ctrl;

	j->now.driver_ready = ctrl->driver_ready;
	j->now.single = con->single;
	j->now.limit = ctrl->limit;
	j->now.next = ctrl->next;
	for (unsigned int i = 0; i < ctrl->n_ports; i++)
		j->now.ports[i] = see(&ctrl->ports[i]);
	journal_commit(&j->file, &j->now);
}

void console_journal_note(struct console *con, unsigned int idx, const struct ring_mark *mark)
{
	if (!con->journal || con->guest == 0)
		return;
	con->journal->now.returned[idx % 2] = *mark;
	commit(con);
}

/* A port that is of this daemon alone, or was of the other alone, is news to the driver. */
static void bring_back_port(struct console_ctrl *ctrl, unsigned int idx,
			    const struct seen_port *seen)
{
	const struct console_port was = {
		.known = seen->flags & SEEN_KNOWN,
		.ready = seen->flags & SEEN_READY,
		.guest_open = seen->flags & SEEN_GUEST_OPEN,
		.told_open = seen->flags & SEEN_TOLD_OPEN,
		.draining = seen->flags & SEEN_DRAINING,
		.todo = seen->todo,
	};

	console_ctrl_restore_port(ctrl, idx, &was);
	if (!ctrl->ports[idx].port) {
		if (was.known)
			console_ctrl_forget(ctrl, idx);
		return;
	}
	if (!was.known)
		console_ctrl_port_added(ctrl, idx);
	console_ctrl_host_open_changed(ctrl, idx);
	console_ctrl_size_changed(ctrl, idx);
}

static bool plausible(const struct console *con, const struct console_commit *was)
{
	return was->limit <= con->ctrl.n_ports && was->next <= con->ctrl.n_ports;
}

static void bring_back(struct console *con)
{
	const struct console_commit was = con->journal->now;
	struct console_ctrl *ctrl = &con->ctrl;

	if (!plausible(con, &was))
		return;
	con->single = was.single;
	ctrl->driver_ready = was.driver_ready;
	ctrl->limit = was.limit;
	ctrl->next = was.next;
	for (unsigned int i = 0; i < ctrl->n_ports; i++)
		bring_back_port(ctrl, i, &was.ports[i]);
}

/* The first queue that starts tells whether it is the guest that was there before. */
static void meet(struct console *con, uint64_t guest)
{
	struct console_journal *j = con->journal;

	if (guest != 0 && j->fresh && j->now.guest == guest)
		bring_back(con);
	j->fresh = false;
	if (j->now.guest == guest)
		return;
	j->found[0] = j->found[1] = false;
	j->now.guest = guest;
	memset(j->now.returned, 0, sizeof(j->now.returned));
	commit(con);
}

bool console_journal_resume(struct console *con, unsigned int idx, uint64_t guest,
			    struct ring_mark *ret_mark)
{
	struct console_journal *j = con->journal;
	struct ring_mark mark = { 0 };
	bool found;

	con->guest = guest;
	if (!j)
		return false;
	meet(con, guest);
	if (!console_is_ctrl_queue(idx))
		return false;
	found = j->found[idx % 2] && guest != 0;
	if (found)
		mark = *ret_mark = j->now.returned[idx % 2];
	j->found[idx % 2] = false;
	console_journal_note(con, idx, &mark);
	return found;
}

/* Another process. */

enum journal_tag { TAG_FILE = 1, TAG_FLAGS, TAG_COMMIT };
enum journal_flag { FLAG_FRESH, FLAG_FOUND_0, FLAG_FOUND_1, N_FLAGS };

void console_journal_save(const struct console *con, struct handover_out *out, unsigned int tag)
{
	const struct console_journal *j = con->journal;
	struct state_writer *w = &out->state;

	if (!j)
		return;
	state_begin_group(w, tag);
	journal_save(&j->file, out, TAG_FILE);
	state_put_number(w, TAG_FLAGS,
			 (uint64_t)j->fresh << FLAG_FRESH | (uint64_t)j->found[0] << FLAG_FOUND_0 |
				 (uint64_t)j->found[1] << FLAG_FOUND_1);
	state_put_bytes(w, TAG_COMMIT, &j->now, sizeof(j->now));
	state_end(w);
}

void console_journal_load(struct console *con, struct handover_in *in, unsigned int tag)
{
	struct state_reader *r = &in->state;
	struct console_journal *j;
	uint64_t flags;

	if (!state_has(r, tag) || !state_enter(r, tag, "journal"))
		return;
	j = calloc(1, sizeof(*j));
	if (!j) {
		state_fail(r, "no memory");
		return;
	}
	con->journal = j;
	journal_load(&j->file, in, TAG_FILE, JOURNAL_KIND_CONSOLE, sizeof(j->now), 0);
	flags = state_take_number(r, TAG_FLAGS, "flags", BIT(N_FLAGS) - 1);
	j->fresh = flags & BIT(FLAG_FRESH);
	j->found[0] = flags & BIT(FLAG_FOUND_0);
	j->found[1] = flags & BIT(FLAG_FOUND_1);
	handover_take_exact(in, TAG_COMMIT, "commit", &j->now, sizeof(j->now));
	state_leave(r);
}

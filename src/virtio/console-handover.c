/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtio/console-handover.h"

#include "virtio/console-journal.h"

enum console_tag {
	TAG_FEATURES = 1,
	TAG_FLAGS,
	TAG_LIMIT,
	TAG_NEXT,
	TAG_PENDING, /* as in struct console_ctrl */
	TAG_PORT,
	TAG_GUEST, /* by its in-flight record */
	TAG_PAUSES,
	TAG_JOURNAL,
};

enum console_flag { FLAG_SINGLE, FLAG_DRIVER_READY, FLAG_SIZE, FLAG_CTRL_RESUMES, N_FLAGS };

enum port_tag { PORT_IDX = 1, PORT_FLAGS, PORT_TODO, PORT_OUT_DONE, PORT_OUT_BASE, PORT_PAUSES };

enum port_flag {
	PORT_KNOWN,
	PORT_READY,
	PORT_GUEST_OPEN,
	PORT_TOLD_OPEN,
	PORT_DRAINING,
	PORT_REMOVE_WAITS,
	PORT_RESUMES,
	N_PORT_FLAGS,
};

static void save_port(const struct console_port *p, unsigned int idx, struct state_writer *w)
{
	state_begin_group(w, TAG_PORT);
	state_put_number(w, PORT_IDX, idx);
	state_put_number(w, PORT_FLAGS,
			 (uint64_t)p->known << PORT_KNOWN | (uint64_t)p->ready << PORT_READY |
				 (uint64_t)p->guest_open << PORT_GUEST_OPEN |
				 (uint64_t)p->told_open << PORT_TOLD_OPEN |
				 (uint64_t)p->draining << PORT_DRAINING |
				 (uint64_t)p->remove_waits << PORT_REMOVE_WAITS |
				 (uint64_t)p->resumes << PORT_RESUMES);
	state_put_number(w, PORT_TODO, p->todo);
	state_put_number(w, PORT_OUT_DONE, p->out_done);
	state_put_number(w, PORT_OUT_BASE, p->out_base);
	state_put_number(w, PORT_PAUSES, p->out_pauses);
	state_end(w);
}

void console_handover_save(const struct console *con, struct handover_out *out, unsigned int tag)
{
	const struct console_ctrl *ctrl = &con->ctrl;
	struct state_writer *w = &out->state;

	if (con->frozen || con->loaded)
		handover_busy(out, "the device's state has come or is to go with a migration");
	state_begin_group(w, tag);
	state_put_number(w, TAG_FEATURES, con->features);
	state_put_number(w, TAG_FLAGS,
			 (uint64_t)con->single << FLAG_SINGLE |
				 (uint64_t)ctrl->driver_ready << FLAG_DRIVER_READY |
				 (uint64_t)ctrl->size << FLAG_SIZE |
				 (uint64_t)con->ctrl_resumes << FLAG_CTRL_RESUMES);
	state_put_number(w, TAG_LIMIT, ctrl->limit);
	state_put_number(w, TAG_NEXT, ctrl->next);
	state_put_bytes(w, TAG_PENDING, ctrl->pending, sizeof(ctrl->pending));
	for (unsigned int i = 0; i < ctrl->n_ports; i++)
		save_port(&ctrl->ports[i], i, w);
	state_put_number(w, TAG_GUEST, con->guest);
	state_put_number(w, TAG_PAUSES, con->n_pauses);
	console_journal_save(con, out, TAG_JOURNAL);
	state_end(w);
}

static void load_port(struct console *con, struct state_reader *r)
{
	struct console_port *p;
	uint64_t flags;

	if (!state_enter(r, TAG_PORT, "port"))
		return;
	p = &con->ctrl.ports[state_take_number(r, PORT_IDX, "number", con->ctrl.n_ports - 1)];
	flags = state_take_number(r, PORT_FLAGS, "flags", BIT(N_PORT_FLAGS) - 1);
	p->known = flags & BIT(PORT_KNOWN);
	p->ready = flags & BIT(PORT_READY);
	p->guest_open = flags & BIT(PORT_GUEST_OPEN);
	p->told_open = flags & BIT(PORT_TOLD_OPEN);
	p->draining = flags & BIT(PORT_DRAINING);
	p->remove_waits = flags & BIT(PORT_REMOVE_WAITS);
	p->resumes = flags & BIT(PORT_RESUMES);
	p->todo = state_take_number(r, PORT_TODO, "to be told", UINT64_MAX);
	p->out_done = state_take_number(r, PORT_OUT_DONE, "bytes done", UINT64_MAX);
	p->out_base = (uint32_t)state_take_number(r, PORT_OUT_BASE, "index", UINT32_MAX);
	p->out_pauses = (unsigned int)state_take_number(r, PORT_PAUSES, "pauses", UINT32_MAX);
	state_leave(r);
}

void console_handover_load(struct console *con, struct handover_in *in, unsigned int tag)
{
	struct console_ctrl *ctrl = &con->ctrl;
	struct state_reader *r = &in->state;
	uint64_t flags;

	if (!state_enter(r, tag, "console"))
		return;
	con->features = state_take_number(r, TAG_FEATURES, "features", UINT64_MAX);
	flags = state_take_number(r, TAG_FLAGS, "flags", BIT(N_FLAGS) - 1);
	con->single = flags & BIT(FLAG_SINGLE);
	ctrl->driver_ready = flags & BIT(FLAG_DRIVER_READY);
	ctrl->size = flags & BIT(FLAG_SIZE);
	con->ctrl_resumes = flags & BIT(FLAG_CTRL_RESUMES);
	ctrl->limit = (unsigned int)state_take_number(r, TAG_LIMIT, "limit", ctrl->n_ports);
	ctrl->next = (unsigned int)state_take_number(r, TAG_NEXT, "next", ctrl->n_ports);
	handover_take_exact(in, TAG_PENDING, "pending", ctrl->pending, sizeof(ctrl->pending));
	while (state_has(r, TAG_PORT))
		load_port(con, r);
	con->guest = state_take_number(r, TAG_GUEST, "guest", UINT64_MAX);
	con->n_pauses = (unsigned int)state_take_number(r, TAG_PAUSES, "pauses", UINT32_MAX);
	console_journal_load(con, in, TAG_JOURNAL);
	state_leave(r);
}

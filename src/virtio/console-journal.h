/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What a console's driver was told and has said, in a journal, for a daemon
 * that is killed: the next one goes on with the same driver. Contents of ports
 * are in journals of their own (backends/port-journal.h).
 */
#ifndef VHU_VIRTIO_CONSOLE_JOURNAL_H
#define VHU_VIRTIO_CONSOLE_JOURNAL_H

#include "handover.h"
#include "virtio/console.h"

/*
 * Opens the journal at path for con, which has it from now on. 0, or -errno with
 * one sentence. The caller frees it by console_journal_free() when con is done.
 */
int console_journal_new(struct console *con, const char *path, char *ret_why, size_t why_cap);

/* Its descriptor, lent; -1: there is no journal. */
int console_journal_fd(const struct console *con);

/* Allowed for a console without one. The file stays. */
void console_journal_free(struct console *con);

/*
 * The control queue idx has returned chains that are not published yet: what
 * they mean is committed. Nothing happens without a journal.
 */
void console_journal_note(struct console *con, unsigned int idx, const struct ring_mark *mark);

/* See vdev_ops.queue_resume: of any queue; the driver's state comes back with the first. */
bool console_journal_resume(struct console *con, unsigned int idx, uint64_t guest,
			    struct ring_mark *ret_mark);

/*
 * For a hand-over, as a group, if there is one; loaded when all queues have started.
 * Neither changes anything in the file.
 */
void console_journal_save(const struct console *con, struct handover_out *out, unsigned int tag);
void console_journal_load(struct console *con, struct handover_in *in, unsigned int tag);

#endif

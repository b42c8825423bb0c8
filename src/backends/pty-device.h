/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A pseudo-terminal as a device for others: its master, the symbolic link that
 * gives it a stable name, and word of every open() and close() of its slave. The kernel
 * tells a master that the last slave was closed, but not that one was opened.
 */
#ifndef VHU_BACKENDS_PTY_DEVICE_H
#define VHU_BACKENDS_PTY_DEVICE_H

#include "backends/attachment.h"

enum { PTY_NAME_MAX = 32 };

/* By the time it is told, more may have happened. */
enum pty_event {
	PTY_OPENED, /* somebody has opened the slave */
	PTY_CLOSED, /* one of those has closed it */
};

struct pty_device {
	int master;		 /* non-blocking; -1: closed */
	char name[PTY_NAME_MAX]; /* of the slave, "/dev/pts/3" */
	const char *link;	 /* NULL: none */

	struct scope scope; /* of the two operations below; the owner cancels it */
	struct op watch;
	struct timer tick; /* in place of inotify where there is none */
	int watched;	   /* inotify's number; -1: none */
	struct task again; /* a look for what was missed while we had the slave open */
	struct list_node link_in_watcher;
	void (*touched)(struct pty_device *d, enum pty_event event);
};

/*
 * Opens it: raw, so that bytes pass as they are, with mode, owner and group of
 * the options. On failure -errno and one sentence, and nothing is left behind.
 */
int pty_device_open(struct pty_device *d, struct loop *loop,
		    const struct attachment_options *options,
		    void (*touched)(struct pty_device *d, enum pty_event event), char *ret_why,
		    size_t why_cap);

/* Stops watching; idle runs later than this call, when pty_device_close() is allowed. */
void pty_device_stop(struct pty_device *d, scope_idle_fn *idle);

/* Closes the master, so that whoever has the slave open is hung up; removes the link. */
void pty_device_close(struct pty_device *d);

/* Whether somebody has the slave open. */
bool pty_device_in_use(const struct pty_device *d);

/*
 * Throws away what nobody has read of the output; what was typed stays. Never
 * waits, even for one who waits to write to the slave.
 */
void pty_device_flush(struct pty_device *d);

/* Gives the terminal the modes that it was opened with. */
void pty_device_reset_modes(struct pty_device *d);

/* Whether the slave has nothing to read, nor has it on its way. */
bool pty_device_drained(const struct pty_device *d);

/*
 * For a hand-over, as a group; in place of pty_device_open(). Whoever has opened
 * it meanwhile is told of as ever.
 */
void pty_device_save(const struct pty_device *d, struct handover_out *out, unsigned int tag);
void pty_device_load(struct pty_device *d, struct loop *loop,
		     const struct attachment_options *options,
		     void (*touched)(struct pty_device *d, enum pty_event event),
		     struct handover_in *in, unsigned int tag);

#endif

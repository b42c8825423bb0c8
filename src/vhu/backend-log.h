/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The session's part in live migration: the dirty log that rings and buffers
 * are marked in, and the descriptor that is signalled when it has changed.
 * (vhost-user text, "Migration")
 *
 * Rings write to guest memory in their turns alone, so a log is switched between
 * two turns and the old one is not touched any more (VU-165).
 */
#ifndef VHU_VHU_BACKEND_LOG_H
#define VHU_VHU_BACKEND_LOG_H

#include "handover.h"
#include "vhu/proto.h"
#include "virtio/dirtylog.h"

struct vhu_backend;
struct vqio;
struct vhu_log_signal;

/* Begins as VHU_BACKEND_LOG_NONE. */
struct vhu_backend_log {
	struct dirty_log *map;	       /* NULL: none was given */
	int fd;			       /* its file; -1: none */
	struct vhu_log place;	       /* in that file */
	struct vhu_log_signal *signal; /* NULL: nobody wants to be told */
	bool warned;		       /* that it is too short */
};

#define VHU_BACKEND_LOG_NONE                                                                       \
	(struct vhu_backend_log)                                                                   \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/*
 * Switches to the log at place in the file fd (taken, also on failure), under the
 * features accepted.
 */
enum gmem_result vhu_log_set(struct vhu_backend *b, int fd, const struct vhu_log *place);

/* Signals fd (taken) from now on, in place of the one before. 0 or -ENOMEM. */
int vhu_log_set_signal(struct vhu_backend *b, int fd);

/* What is signalled, lent; -1: nothing. */
int vhu_log_signal_fd(const struct vhu_backend *b);

/* The features accepted, or the ring's log flag, have changed: what the ring marks from now on. */
void vhu_log_update(struct vhu_backend *b, uint64_t features);
void vhu_log_update_ring(struct vqio *v, uint64_t features);

/* After a turn: signals the front-end if the log has changed. */
void vhu_log_tell(struct vhu_backend *b);

/* Nothing is signalled any more; vhu_backend_part_closed() follows for what counted as open. */
void vhu_log_close(struct vhu_backend *b);

/* For a hand-over, as a group; loaded after the features. Who is told of changes, is told again. */
void vhu_log_save(const struct vhu_backend *b, struct handover_out *out, unsigned int tag);
void vhu_log_load(struct vhu_backend *b, struct handover_in *in, unsigned int tag);

/* Gives up the log. The rings are stopped. */
void vhu_log_release(struct vhu_backend *b);

#endif

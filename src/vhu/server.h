/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * One device's place on the outside: a socket where front-ends connect, one
 * at a time, for as long as the daemon runs. The device stays when they go.
 */
#ifndef VHU_VHU_SERVER_H
#define VHU_VHU_SERVER_H

#include "listener.h"
#include "vhu/backend.h"

struct vhu_server {
	struct loop *loop;
	struct vdev *dev;
	struct vhu_backend_options options;
	struct listener listener;
	bool listening;
	struct vhu_backend *session; /* NULL: no front-end */
	int next_fd;		     /* came while the session before it was ending */
	struct vhu_log_limits limits;
	struct share share; /* what front-ends cost, however many sessions they make of it */
	bool closing;
	void (*closed)(struct vhu_server *s);
	/* The only connection there will ever be is gone (served from a connected fd). */
	void (*finished)(struct vhu_server *s);
};

/*
 * Serves dev on fd (taken): a listening socket, whose file is path unless NULL,
 * or a connected one, told apart by SO_ACCEPTCONN. who in options is lent.
 * Returns 0 or -errno.
 */
int vhu_server_start(struct vhu_server *s, struct loop *loop, struct vdev *dev, int fd,
		     const char *path, const struct vhu_backend_options *options,
		     void (*finished)(struct vhu_server *s));

/* Ends the session and stops listening; closed is called once both are done, perhaps at once. */
void vhu_server_close(struct vhu_server *s, void (*closed)(struct vhu_server *s));

/*
 * For a hand-over, as a group: the listening socket, if any, and the session.
 * vhu_server_load() is in place of vhu_server_start(). 0 or -ENOMEM; what is
 * wrong otherwise is the reader's to say.
 */
void vhu_server_save(const struct vhu_server *s, struct handover_out *out, unsigned int tag);
int vhu_server_load(struct vhu_server *s, struct loop *loop, struct vdev *dev,
		    struct handover_in *in, unsigned int tag, const char *path,
		    const struct vhu_backend_options *options,
		    void (*finished)(struct vhu_server *s));

#endif

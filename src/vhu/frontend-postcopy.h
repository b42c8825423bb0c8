/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Memory that comes late (vhost-user "Postcopy support"): the back-end's
 * userfaultfd, our own for the guest's side, and a thread that serves the faults
 * of both from a copy of the memory as the source left it.
 *
 * In order: begin, listen, then the handshake's memory through
 * vhu_frontend_postcopy_table(), rings, traffic; fill; end.
 */
#ifndef VHU_VHU_FRONTEND_POSTCOPY_H
#define VHU_VHU_FRONTEND_POSTCOPY_H

#include <pthread.h>

#include "vhu/frontend-migrate.h"

struct vhu_frontend_postcopy {
	int backend_fd;	 /* the back-end's userfaultfd; -1: none */
	int own_fd;	 /* ours, for the guest's own accesses; -1: none */
	int wake_fd;	 /* ends the thread */
	uint8_t *host;	 /* fe's memory, where it is missing */
	uint8_t *source; /* what is to be there; not ours */
	size_t len;	 /* bytes of both */
	bool begun;	 /* and not at its end yet */
	bool serving;	 /* the thread runs */
	pthread_t thread;
	pthread_mutex_t lock; /* of what is below */
	struct vhu_frontend_late {
		uint64_t backend_addr; /* where the back-end has the region */
		uint64_t offset;       /* of it in source and host */
		uint64_t size;
	} regions[VHU_MAX_REGIONS];
	unsigned int n_regions; /* 0: the back-end has not told yet */
	size_t filled;		/* bytes from the beginning that nothing is missing of */
	uint64_t n_backend_faults, n_own_faults, n_pages; /* served; pages put in place */
	int err; /* the first failure of the thread, or 0 */
};

/*
 * POSTCOPY_ADVISE. fe's memory must be the new, empty one (frontend-migrate.h)
 * and source its content, len bytes, which the caller keeps until end. From now
 * on a page that anybody touches comes from there. -ENOTSUP: no userfaultfd
 * here; -EREMOTEIO: the back-end gave none.
 */
int vhu_frontend_postcopy_begin(struct vhu_frontend *fe, struct vhu_frontend_postcopy *pc,
				uint8_t *source, size_t len);

/* POSTCOPY_LISTEN, which is always acknowledged. */
int vhu_frontend_postcopy_listen(struct vhu_frontend *fe);

/* SET_MEM_TABLE, the back-end's own table in return, and leave to go on. */
int vhu_frontend_postcopy_table(struct vhu_frontend *fe, struct vhu_frontend_postcopy *pc);

/* Puts up to n pages in place that nobody has asked for yet; *ret_left: those still missing. */
int vhu_frontend_postcopy_fill(struct vhu_frontend *fe, struct vhu_frontend_postcopy *pc, size_t n,
			       size_t *ret_left);

/* Served so far: faults of the back-end, and ours; pages that were put in place. */
struct vhu_frontend_faults {
	uint64_t n_backend, n_own, n_pages;
};
struct vhu_frontend_faults vhu_frontend_postcopy_faults(struct vhu_frontend_postcopy *pc);

/* All that is missing, then POSTCOPY_END; the thread ends. */
int vhu_frontend_postcopy_end(struct vhu_frontend *fe, struct vhu_frontend_postcopy *pc);

/* Ends the thread and closes, wherever it stands. Allowed on a zeroed struct, and twice. */
void vhu_frontend_postcopy_fini(struct vhu_frontend_postcopy *pc);

#endif

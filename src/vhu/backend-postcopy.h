/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Guest memory that is still elsewhere: the front-end puts each page in place
 * when it is first touched. (vhost-user text, "Postcopy support")
 *
 * A thread that touches such a page sleeps until it is there, and only the
 * front-end can see to that; so the loop stands still for as long as one page
 * takes. A front-end that goes away must not leave it so: a thread watches for
 * that, and lets the memory be what it is then.
 */
#ifndef VHU_VHU_BACKEND_POSTCOPY_H
#define VHU_VHU_BACKEND_POSTCOPY_H

#include <stdbool.h>

#include "vhu/proto.h"
#include "virtio/gmem.h"

struct vhu_backend;
struct vhu_postcopy;

/*
 * Whether this process may have faults of shared memory served, its own and
 * those that the kernel makes for it (VU-178).
 */
bool vhu_postcopy_works(const char *who);

/* Whether SET_MEM_TABLE is answered by a table now. */
bool vhu_postcopy_listens(const struct vhu_backend *b);

/* Whether msg is not a table, but leave to use the last one (VU-179). */
bool vhu_postcopy_is_leave(const struct vhu_backend *b, const struct vhu_msg *msg);

/*
 * A new table (mem, of these regions in the order of the message), whose pages
 * are missing from now on. It waits for leave. 0 or -errno; then nothing waits.
 */
int vhu_postcopy_hold_table(struct vhu_backend *b, struct gmem *mem,
			    struct gmem_region *const *regions, unsigned int n);

/* Leave: the table that waited, with a reference that is the caller's. NULL: none did. */
struct gmem *vhu_postcopy_take_table(struct vhu_backend *b);

/* The session ends; repeatable. */
void vhu_postcopy_release(struct vhu_backend *b);

#endif

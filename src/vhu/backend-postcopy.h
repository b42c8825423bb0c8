/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Guest memory that is still elsewhere: the front-end puts each page in place
 * when it is first touched. (vhost-user text, "Postcopy support")
 *
 * A thread that touches such a page sleeps until it is there, and only the
 * front-end can see to that. So the loop looks before it touches: a ring whose
 * next chain lacks a page waits while a thread of the session's fetches it, and
 * other rings and guests go on. Another thread watches for a front-end that
 * goes away, and lets the memory be what it is then: nobody sleeps for ever.
 */
#ifndef VHU_VHU_BACKEND_POSTCOPY_H
#define VHU_VHU_BACKEND_POSTCOPY_H

#include <stdbool.h>

#include "vhu/proto.h"
#include "virtio/gmem.h"

struct vhu_backend;
struct vqio;
struct vhu_postcopy;

/* Whether SET_MEM_TABLE is answered by a table now. */
bool vhu_postcopy_listens(const struct vhu_backend *b);

/* Whether msg is not a table, but leave to use the last one (VU-179). */
bool vhu_postcopy_is_leave(const struct vhu_backend *b, const struct vhu_msg *msg);

/*
 * A new table (mem, of these regions in the order of the message), whose pages
 * are missing from now on. It waits for leave. Nothing uses another one any more,
 * as that is cut off. 0 or -errno; then nothing waits.
 */
int vhu_postcopy_hold_table(struct vhu_backend *b, struct gmem *mem,
			    struct gmem_region *const *regions, unsigned int n);

/* Leave: the table that waited, with a reference that is the caller's. NULL: none did. */
struct gmem *vhu_postcopy_take_table(struct vhu_backend *b);

/*
 * Whether a page of len bytes at host is not there yet. Then it is fetched, and the
 * ring looked at again.
 */
bool vhu_postcopy_lacks(struct vqio *v, const void *host, size_t len);

/* The same for the chain by which the ring's turn was ended. */
bool vhu_postcopy_lacks_chain(struct vqio *v);

/*
 * The session ends: false if there is nothing to wait for, else
 * vhu_backend_part_closed() is called later.
 */
bool vhu_postcopy_close(struct vhu_backend *b);

/* Whether memory may be elsewhere, now or soon: nothing of it can be handed over. */
bool vhu_postcopy_under_way(const struct vhu_backend *b);

/* All is closed. */
void vhu_postcopy_release(struct vhu_backend *b);

#endif

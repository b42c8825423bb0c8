/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The dirty log: a bitmap, shared with the front-end, of the pages of guest
 * memory that the device has written (vhost-user text, "Migration"). A bit is
 * set before the used index tells of the write, and with its neighbours left
 * alone: the front-end clears bits at the same time.
 *
 * One thread uses a log. A log that ends too early is marked as far as it goes.
 */
#ifndef VHU_VIRTIO_DIRTYLOG_H
#define VHU_VIRTIO_DIRTYLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio/gmem.h"

enum { DIRTY_PAGE = 4096 };

struct dirty_log;

/*
 * Maps size bytes of the file fd (stays the caller's) from offset on. The
 * caller gets the only reference. A file that is cut off later is survived, as
 * guest memory is (gmem_fault_guard_install()).
 */
enum gmem_result dirty_log_map(uint64_t size, uint64_t offset, int fd, struct dirty_log **ret_log);

/* Returns log, with one more reference. NULL is allowed. */
struct dirty_log *dirty_log_ref(struct dirty_log *log);

/* Unmaps with the last reference. NULL is allowed. */
void dirty_log_unref(struct dirty_log *log);

/*
 * Marks the pages of [guest_addr, guest_addr + len). True when a bit was set
 * that was clear, or some page lies past the log's end. NULL is allowed: false.
 */
bool dirty_log_mark(struct dirty_log *log, uint64_t guest_addr, uint64_t len);

/* Whether a mark has returned true since this was last asked. */
bool dirty_log_take_changed(struct dirty_log *log);

/* Pages that could not be marked, as the log was too short for them. */
uint64_t dirty_log_n_missed(const struct dirty_log *log);

/* Whether the log lost its file. */
bool dirty_log_faulted(const struct dirty_log *log);

#endif

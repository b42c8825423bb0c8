/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The dirty log as a front-end keeps it (vhost-user "Migration"): a file of its
 * own with a bit for each page of guest memory, counted from guest address 0.
 */
#ifndef VHU_VHU_FRONTEND_LOG_H
#define VHU_VHU_FRONTEND_LOG_H

#include "vhu/frontend-rings.h"

enum { VHU_LOG_PAGE = 4096 }; /* bytes of guest memory that a bit stands for */

struct vhu_frontend_log {
	int fd;		 /* -1: none */
	uint8_t *map;	 /* of the whole file */
	size_t map_len;	 /* bytes */
	uint64_t size;	 /* bytes of the log itself, as the back-end is told */
	uint64_t offset; /* where it begins in its file */
};

/* Nothing; what fini leaves, too. */
#define VHU_FRONTEND_LOG_NONE                                                                      \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/*
 * A log of zeroes, large enough for fe's guest memory, offset bytes into a file
 * that cannot shrink. Filled in as far as it got: fini is due either way.
 */
int vhu_frontend_log_make(struct vhu_frontend *fe, struct vhu_frontend_log *log, uint64_t offset);
void vhu_frontend_log_fini(struct vhu_frontend_log *log);

/* SET_LOG_BASE, again for each new log: after the reply the one before is written no more. */
int vhu_frontend_log_give(struct vhu_frontend *fe, const struct vhu_frontend_log *log);

/* SET_LOG_FD; the descriptor is lent. */
int vhu_frontend_log_fd(struct vhu_frontend *fe, int fd);

/*
 * Logging on or off while rings run, as QEMU does it: SET_FEATURES with or
 * without LOG_ALL, then SET_VRING_ADDR of each of the first n rings with or
 * without its log flag, under the used ring's own guest address.
 */
int vhu_frontend_log_switch(struct vhu_frontend *fe, unsigned int n, bool on);

/* Whether the page of a guest address is marked. Beyond the log: false. */
bool vhu_frontend_log_has(const struct vhu_frontend_log *log, uint64_t guest_addr);

/* Whether that page was marked, and takes the mark away, atomically. */
bool vhu_frontend_log_take(struct vhu_frontend_log *log, uint64_t guest_addr);

/* Marks in the whole file, whatever they stand for; and all of them taken away. */
unsigned int vhu_frontend_log_count(const struct vhu_frontend_log *log);
void vhu_frontend_log_clear(struct vhu_frontend_log *log);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The log of pages that a device has written, as the front-end has it. */
#ifndef VHU_CONFORM_DIRTY_LOG_H
#define VHU_CONFORM_DIRTY_LOG_H

#include "conform/trial/trial.h"

enum { DIRTY_LOG_PAGE = 4096 };

/* A log in a file of its own. */
struct dirty_log {
	int fd;
	uint8_t *map; /* of the whole file */
	size_t map_len;
	uint64_t size, offset; /* as the back-end is told */
};

#define DIRTY_LOG_NONE                                                                             \
	{                                                                                          \
		.fd = -1                                                                           \
	}
#define AUTO_DIRTY_LOG AUTO(dirty_log_fini) struct dirty_log

/* A file of zeroes for size bytes at offset. Filled in as far as it got: fini is due. */
int dirty_log_make(struct trial *t, struct dirty_log *log, uint64_t size, uint64_t offset);
void dirty_log_fini(struct dirty_log *log);

/* Bytes that are enough for all of guest memory, and some pages behind it. */
uint64_t dirty_log_size(const struct trial *t);

/* Where the bit of a guest address is. */
uint8_t *dirty_log_byte(const struct dirty_log *log, uint64_t addr);
uint8_t dirty_log_mask(uint64_t addr);

bool dirty_log_has(const struct dirty_log *log, uint64_t addr);
void dirty_log_clear(struct dirty_log *log);

/* Bits in the whole file, whatever they stand for. */
unsigned int dirty_log_count(const struct dirty_log *log);

/* SET_LOG_BASE, which is answered, by whatever length, or ends the connection. */
int dirty_log_ask(struct trial *t, const struct dirty_log *log, uint32_t *ret_len,
		  bool *ret_closed);

/* The same; the connection must go on. ret_len may be NULL. */
int dirty_log_give(struct trial *t, const struct dirty_log *log, uint32_t *ret_len);

/* LOG_ALL comes or goes while rings run. */
int dirty_log_switch(struct trial *t, bool on);

/* Guest address of the used ring of requests. */
uint64_t dirty_log_used_addr(const struct trial *t);

/* Writes to that used ring are logged, or not, from addr on. */
int dirty_log_used(struct trial *t, bool on, uint64_t addr);

/* Rings that run, and LOG_SHMFD accepted. */
int dirty_log_boot(struct trial *t);

/* The same, a log in force, and the used ring of requests logged in it. */
int dirty_log_start(struct trial *t, struct dirty_log *log, uint64_t offset);

int dirty_log_expect_used(struct trial *t, const struct dirty_log *log, const char *when);
int dirty_log_expect_nothing(struct trial *t, const struct dirty_log *log, const char *when);

#endif

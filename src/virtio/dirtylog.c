/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "virtio/dirtylog.h"

#include <assert.h>
#include <stdlib.h>

#include "base.h"

struct dirty_log {
	unsigned int n_refs;
	struct gmem *mem; /* one region: the log, with the guard that guest memory has */
	uint8_t *bytes;
	uint64_t n_pages; /* that it has bits for */
	uint64_t n_missed;
	bool changed;
};

enum { BYTE_PAGES = 8 };

enum gmem_result dirty_log_map(uint64_t size, uint64_t offset, int fd, struct dirty_log **ret_log)
{
	const struct gmem_desc desc = { .size = size, .mmap_offset = offset };
	struct dirty_log *log = calloc(1, sizeof(*log));
	enum gmem_result result;

	if (!log)
		return GMEM_NO_MEMORY;
	result = gmem_map_one(&desc, fd, &log->mem);
	if (result != GMEM_OK) {
		free(log);
		return result;
	}
	log->n_refs = 1;
	log->bytes = gmem_host_from_guest(log->mem, 0, size);
	/* One that has more bits than there are pages is as good as one that has enough. */
	if (!mul_u64(size, BYTE_PAGES, &log->n_pages))
		log->n_pages = UINT64_MAX;
	*ret_log = log;
	return GMEM_OK;
}

struct dirty_log *dirty_log_ref(struct dirty_log *log)
{
	if (log)
		log->n_refs++;
	return log;
}

void dirty_log_unref(struct dirty_log *log)
{
	if (!log)
		return;
	assert(log->n_refs > 0);
	if (--log->n_refs > 0)
		return;
	gmem_unref(log->mem);
	free(log);
}

/* Bits of one byte: those of the pages [first, last], which all lie in it. */
static uint8_t byte_mask(uint64_t first, uint64_t last)
{
	unsigned int low = (unsigned int)(first % BYTE_PAGES);
	unsigned int high = (unsigned int)(last % BYTE_PAGES);

	return (uint8_t)((0xffu << low) & (0xffu >> (BYTE_PAGES - 1 - high)));
}

/*
 * Never a look first and a store then: the front-end may take a bit away
 * between them, and copy the page before what was written there is visible.
 * Release: whoever takes the bit sees the write that it stands for.
 */
static bool byte_mark(struct dirty_log *log, uint64_t first, uint64_t last)
{
	uint8_t mask = byte_mask(first, last);

	return (__atomic_fetch_or(&log->bytes[first / BYTE_PAGES], mask, __ATOMIC_RELEASE) &
		mask) != mask;
}

/* Those past the end of the log are counted. Whether there were any. */
static bool pages_miss(struct dirty_log *log, uint64_t first, uint64_t last)
{
	if (last < log->n_pages)
		return false;
	log->n_missed += last - (first > log->n_pages ? first : log->n_pages) + 1;
	return true;
}

bool dirty_log_mark(struct dirty_log *log, uint64_t guest_addr, uint64_t len)
{
	uint64_t page = guest_addr / DIRTY_PAGE;
	uint64_t last_addr, end;
	bool changed;

	if (!log || len == 0)
		return false;
	if (!add_u64(guest_addr, len - 1, &last_addr))
		last_addr = UINT64_MAX;
	changed = pages_miss(log, page, last_addr / DIRTY_PAGE);
	end = min_u64(last_addr / DIRTY_PAGE + 1, log->n_pages);
	while (page < end) {
		uint64_t byte_last = min_u64(end - 1, page | (BYTE_PAGES - 1));

		changed |= byte_mark(log, page, byte_last);
		page = byte_last + 1;
	}
	log->changed |= changed;
	return changed;
}

bool dirty_log_take_changed(struct dirty_log *log)
{
	bool changed = log->changed;

	log->changed = false;
	return changed;
}

uint64_t dirty_log_n_missed(const struct dirty_log *log)
{
	return log->n_missed;
}

bool dirty_log_faulted(const struct dirty_log *log)
{
	return gmem_faulted(log->mem);
}

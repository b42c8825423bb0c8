/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base.h"
#include "fd.h"
#include "virtio/gmem-private.h"

/* What a look-up touches, packed: a few cache lines also for many regions. */
struct gmem_span {
	uint64_t guest_addr;
	uint64_t size;
	unsigned char *host;
};

struct gmem {
	unsigned int n_refs;
	unsigned int n_regions;
	bool late;		 /* pages may be missing */
	unsigned int *last_hit;	 /* a hint only; written by look-ups */
	struct gmem_span *spans; /* sorted by guest address, as regions */
	struct gmem_region *regions[];
};

/* Checks of the numbers alone; *ret_file_end is where the region ends in its file. */
static enum gmem_result desc_check(const struct gmem_desc *desc, uint64_t *ret_file_end)
{
	uint64_t guest_end;
	uint64_t user_end;
	uint64_t file_end;

	if (desc->size == 0)
		return GMEM_EMPTY_REGION;
	if (!add_u64(desc->guest_addr, desc->size, &guest_end) ||
	    !add_u64(desc->user_addr, desc->size, &user_end) ||
	    !add_u64(desc->mmap_offset, desc->size, &file_end))
		return GMEM_WRAPS;
	*ret_file_end = file_end;
	return GMEM_OK;
}

/* The unit in which fd's file is mapped: its huge page size, or the page size. */
static bool file_page_size(int fd, uint64_t *ret_size)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0) /* seccomp: fstatfs */
		return false;
	if (fs.f_type == HUGETLBFS_MAGIC && is_power_of_two((uint64_t)fs.f_bsize))
		*ret_size = (uint64_t)fs.f_bsize;
	else
		*ret_size = (uint64_t)sysconf(_SC_PAGESIZE);
	return true;
}

/* Fills host, map and map_len of region, whose desc has been checked and prot is set. */
static enum gmem_result region_mmap(struct gmem_region *region, int fd, uint64_t file_end)
{
	const struct gmem_desc *desc = &region->desc;
	struct stat st;
	uint64_t page;
	uint64_t lead;
	uint64_t len;
	void *map; /* seccomp: fstat newfstatat mmap madvise munmap */

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !file_page_size(fd, &page))
		return GMEM_MAP_FAILED;
	if (file_end > (uint64_t)st.st_size)
		return GMEM_PAST_FILE;
	lead = desc->mmap_offset & (page - 1);
	if (!add_u64(desc->size, lead + page - 1, &len))
		return GMEM_MAP_FAILED;
	len &= ~(page - 1);
	map = mmap(NULL, len, region->prot, MAP_SHARED, fd, (off_t)(desc->mmap_offset - lead));
	if (map == MAP_FAILED)
		return GMEM_MAP_FAILED;
	/* Only makes a core dump smaller: its failure costs nothing else. */
	(void)madvise(map, len, MADV_DONTDUMP);
	region->map = map;
	region->map_len = len;
	region->host = (unsigned char *)map + lead;
	return GMEM_OK;
}

static enum gmem_result map_region(const struct gmem_desc *desc, int fd, int prot,
				   struct gmem_region **ret_region)
{
	struct gmem_region *region;
	enum gmem_result result;
	uint64_t file_end;

	result = desc_check(desc, &file_end);
	if (result != GMEM_OK)
		return result;
	region = calloc(1, sizeof(*region));
	if (!region)
		return GMEM_NO_MEMORY;
	region->desc = *desc;
	region->prot = prot;
	region->n_refs = 1;
	result = region_mmap(region, fd, file_end);
	if (result != GMEM_OK) {
		free(region);
		return result;
	}
	region->fd = prot & PROT_WRITE ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
	gmem_guard_add(region); /* seccomp: fcntl:F_DUPFD_CLOEXEC */
	*ret_region = region;
	return GMEM_OK;
}

enum gmem_result gmem_region_map(const struct gmem_desc *desc, int fd,
				 struct gmem_region **ret_region)
{
	return map_region(desc, fd, PROT_READ | PROT_WRITE, ret_region);
}

enum gmem_result gmem_region_map_to_read(const struct gmem_desc *desc, int fd,
					 struct gmem_region **ret_region)
{
	return map_region(desc, fd, PROT_READ, ret_region);
}

struct gmem_region *gmem_region_ref(struct gmem_region *region)
{
	region->n_refs++;
	return region;
}

void *gmem_region_host(const struct gmem_region *region)
{
	return region->host;
}

void *gmem_region_mapping(const struct gmem_region *region, size_t *ret_len)
{
	*ret_len = region->map_len;
	return region->map;
}

void gmem_region_unref(struct gmem_region *region)
{
	int err;

	if (!region)
		return;
	assert(region->n_refs > 0);
	if (--region->n_refs > 0)
		return;
	gmem_guard_remove(region);
	err = munmap(region->map, region->map_len);
	assert(err == 0);
	(void)err;
	fd_close(region->fd);
	free(region);
}

int gmem_region_fd(const struct gmem_region *region)
{
	return region->fd;
}

const struct gmem_desc *gmem_region_desc(const struct gmem_region *region)
{
	return &region->desc;
}

struct gmem_region *gmem_region_at(const struct gmem *mem, size_t idx)
{
	return mem->regions[idx];
}

static bool ranges_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b ? b - a < a_size : a - b < b_size;
}

/* mem->regions is sorted by guest address. */
static bool regions_overlap(const struct gmem *mem)
{
	for (size_t i = 1; i < mem->n_regions; i++) {
		const struct gmem_desc *b = &mem->regions[i]->desc;
		const struct gmem_desc *below = &mem->regions[i - 1]->desc;

		if (ranges_overlap(below->guest_addr, below->size, b->guest_addr, b->size))
			return true;
		for (size_t j = 0; j < i; j++) {
			const struct gmem_desc *a = &mem->regions[j]->desc;

			if (ranges_overlap(a->user_addr, a->size, b->user_addr, b->size))
				return true;
		}
	}
	return false;
}

static int region_compare(const void *va, const void *vb)
{
	struct gmem_region *const *a = va;
	struct gmem_region *const *b = vb;

	if ((*a)->desc.guest_addr != (*b)->desc.guest_addr)
		return (*a)->desc.guest_addr < (*b)->desc.guest_addr ? -1 : 1;
	return 0;
}

/* Room for n regions, with no reference taken yet. */
static struct gmem *gmem_alloc(size_t n)
{
	struct gmem *mem;

	mem = calloc(1, sizeof(*mem) + n * sizeof(mem->regions[0]));
	if (!mem)
		return NULL;
	mem->last_hit = calloc(1, sizeof(*mem->last_hit));
	mem->spans = calloc(n ? n : 1, sizeof(*mem->spans));
	if (!mem->last_hit || !mem->spans) {
		free(mem->last_hit);
		free(mem->spans);
		free(mem);
		return NULL;
	}
	mem->n_refs = 1;
	return mem;
}

/* No sum can wrap: a region that passes the limit alone ends it. */
static bool too_large(struct gmem_region *const *regions, size_t n)
{
	uint64_t left = GMEM_MAX_BYTES;

	for (size_t i = 0; i < n; i++) {
		if (regions[i]->desc.size > left)
			return true;
		left -= regions[i]->desc.size;
	}
	return false;
}

enum gmem_result gmem_new(struct gmem_region *const *regions, size_t n, struct gmem **ret_mem)
{
	struct gmem *mem;

	if (n > GMEM_MAX_REGIONS)
		return GMEM_TOO_MANY;
	if (too_large(regions, n))
		return GMEM_TOO_LARGE;
	mem = gmem_alloc(n);
	if (!mem)
		return GMEM_NO_MEMORY;
	for (size_t i = 0; i < n; i++)
		mem->regions[i] = gmem_region_ref(regions[i]);
	mem->n_regions = (unsigned int)n;
	if (n > 1)
		qsort(mem->regions, n, sizeof(mem->regions[0]), region_compare);
	for (size_t i = 0; i < n; i++) {
		mem->spans[i].guest_addr = mem->regions[i]->desc.guest_addr;
		mem->spans[i].size = mem->regions[i]->desc.size;
		mem->spans[i].host = mem->regions[i]->host;
	}
	if (regions_overlap(mem)) {
		gmem_unref(mem);
		return GMEM_OVERLAP;
	}
	*ret_mem = mem;
	return GMEM_OK;
}

enum gmem_result gmem_with(const struct gmem *old, struct gmem_region *add, struct gmem **ret_mem)
{
	struct gmem_region *regions[GMEM_MAX_REGIONS];
	size_t n = gmem_n_regions(old);

	if (n >= GMEM_MAX_REGIONS)
		return GMEM_TOO_MANY;
	if (old)
		memcpy(regions, old->regions, n * sizeof(regions[0]));
	regions[n] = add;
	return gmem_new(regions, n + 1, ret_mem);
}

enum gmem_result gmem_without(const struct gmem *old, const struct gmem_desc *match,
			      struct gmem **ret_mem)
{
	struct gmem_region *regions[GMEM_MAX_REGIONS];
	size_t n = 0;

	for (size_t i = 0; i < gmem_n_regions(old); i++) {
		const struct gmem_desc *desc = &old->regions[i]->desc;

		if (desc->guest_addr != match->guest_addr || desc->user_addr != match->user_addr ||
		    desc->size != match->size)
			regions[n++] = old->regions[i];
	}
	if (n == gmem_n_regions(old))
		return GMEM_NOT_FOUND;
	return gmem_new(regions, n, ret_mem);
}

enum gmem_result gmem_map_one(const struct gmem_desc *desc, int fd, struct gmem **ret_mem)
{
	struct gmem_region *region;
	enum gmem_result result = gmem_region_map(desc, fd, &region);

	if (result != GMEM_OK)
		return result;
	result = gmem_new(&region, 1, ret_mem);
	gmem_region_unref(region);
	return result;
}

struct gmem *gmem_ref(struct gmem *mem)
{
	if (mem)
		mem->n_refs++;
	return mem;
}

void gmem_unref(struct gmem *mem)
{
	if (!mem)
		return;
	assert(mem->n_refs > 0);
	if (--mem->n_refs > 0)
		return;
	for (size_t i = 0; i < mem->n_regions; i++)
		gmem_region_unref(mem->regions[i]);
	free(mem->last_hit);
	free(mem->spans);
	free(mem);
}

size_t gmem_n_regions(const struct gmem *mem)
{
	return mem ? mem->n_regions : 0;
}

static bool span_holds(const struct gmem_span *span, uint64_t guest_addr)
{
	return guest_addr - span->guest_addr < span->size;
}

/* The span around guest_addr, or NULL. A span's size is never 0. */
static const struct gmem_span *gmem_find(const struct gmem *mem, uint64_t guest_addr)
{
	unsigned int low = 0;
	unsigned int high;

	if (!mem || mem->n_regions == 0)
		return NULL;
	low = __atomic_load_n(mem->last_hit, __ATOMIC_RELAXED);
	if (span_holds(&mem->spans[low], guest_addr))
		return &mem->spans[low];
	low = 0;
	high = mem->n_regions;
	while (high - low > 1) {
		unsigned int mid = low + (high - low) / 2;

		if (mem->spans[mid].guest_addr <= guest_addr)
			low = mid;
		else
			high = mid;
	}
	if (!span_holds(&mem->spans[low], guest_addr))
		return NULL;
	__atomic_store_n(mem->last_hit, low, __ATOMIC_RELAXED);
	return &mem->spans[low];
}

/* Ring addresses are resolved rarely: a walk is enough. */
void *gmem_host_from_user(const struct gmem *mem, uint64_t addr, uint64_t len)
{
	for (size_t i = 0; i < gmem_n_regions(mem); i++) {
		const struct gmem_region *region = mem->regions[i];

		if (addr - region->desc.user_addr < region->desc.size &&
		    range_within(addr, len, region->desc.user_addr, region->desc.size))
			return region->host + (addr - region->desc.user_addr);
	}
	return NULL;
}

void *gmem_host_from_guest(const struct gmem *mem, uint64_t addr, uint64_t len)
{
	const struct gmem_span *span = gmem_find(mem, addr);

	if (!span || !range_within(addr, len, span->guest_addr, span->size))
		return NULL;
	return span->host + (addr - span->guest_addr);
}

bool gmem_guest_from_host(const struct gmem *mem, const void *host, uint64_t *ret_guest_addr)
{
	for (size_t i = 0; i < gmem_n_regions(mem); i++) {
		const struct gmem_span *span = &mem->spans[i];
		uint64_t off = (uint64_t)((uintptr_t)host - (uintptr_t)span->host);

		if (off < span->size) {
			*ret_guest_addr = span->guest_addr + off;
			return true;
		}
	}
	return false;
}

size_t gmem_run(const struct gmem *mem, uint64_t guest_addr, uint64_t len, void **ret_host)
{
	const struct gmem_span *span;
	uint64_t off;

	if (len == 0)
		return 0;
	span = gmem_find(mem, guest_addr);
	if (!span)
		return 0;
	off = guest_addr - span->guest_addr;
	*ret_host = span->host + off;
	return (size_t)min_u64(len, span->size - off);
}

bool gmem_covers(const struct gmem *mem, uint64_t guest_addr, uint64_t len)
{
	void *host;

	while (len > 0) {
		size_t run = gmem_run(mem, guest_addr, len, &host);

		/* No region ends at 2^64, so the address cannot wrap into another. */
		if (run == 0)
			return false;
		guest_addr += run;
		len -= run;
	}
	return true;
}

void gmem_set_late(struct gmem *mem, bool late)
{
	mem->late = late;
}

bool gmem_is_late(const struct gmem *mem)
{
	return mem && mem->late;
}

bool gmem_window_at(const struct gmem *mem, uint64_t guest_addr, struct gmem_window *ret_window)
{
	const struct gmem_span *span = gmem_find(mem, guest_addr);

	struct gmem_window w;

	if (!span)
		return false;
	w = (struct gmem_window){ span->guest_addr, span->size, span->host };
	if (mem->late && !gmem_window_narrow(&w, guest_addr))
		return false;
	*ret_window = w;
	return true;
}

bool gmem_user_window_at(const struct gmem *mem, uint64_t user_addr, struct gmem_window *ret_window)
{
	for (size_t i = 0; i < gmem_n_regions(mem); i++) {
		const struct gmem_region *region = mem->regions[i];

		if (user_addr - region->desc.user_addr >= region->desc.size)
			continue;
		*ret_window = (struct gmem_window){
			.guest_addr = region->desc.user_addr,
			.size = region->desc.size,
			.host = region->host,
		};
		return true;
	}
	return false;
}

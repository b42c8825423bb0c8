/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* A record as a whole: its file, its parts. */
#include "virtio/inflight.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "virtio/inflight-private.h"
#include "virtio/vring.h"

struct inflight {
	unsigned int n_refs;
	struct gmem *mem; /* one region, with the guard that guest memory has */
	uint8_t *bytes;
	uint8_t *kept; /* NULL: no room */
	uint32_t n_rings;
	uint32_t size;
	bool packed;
	uint64_t identity;
};

enum { PAGE = 4096 };

static const char kept_mark[8] = "vhukept1";

enum { KEPT_LEN = sizeof(kept_mark) + INFLIGHT_KEPT_BYTES };

static uint64_t head_bytes(bool packed)
{
	return packed ? INFLIGHT_PACKED_HEAD : INFLIGHT_SPLIT_HEAD;
}

static uint64_t entry_bytes(bool packed)
{
	return packed ? INFLIGHT_PACKED_DESC : INFLIGHT_SPLIT_DESC;
}

/* Of one ring; size is at most 32768. */
static uint64_t part_bytes(uint32_t size, bool packed)
{
	uint64_t bytes = head_bytes(packed) + size * entry_bytes(packed);

	return (bytes + INFLIGHT_ALIGN - 1) & ~(uint64_t)(INFLIGHT_ALIGN - 1);
}

/* Rings are counted in sixteen bits, so no product wraps. */
uint64_t inflight_bytes(uint32_t n_rings, uint32_t size, bool packed)
{
	if (n_rings == 0 || n_rings > UINT16_MAX || size == 0 || size > VRING_MAX_SIZE)
		return 0;
	return n_rings * part_bytes(size, packed);
}

static struct inflight *record_alloc(uint32_t n_rings, uint32_t size, bool packed)
{
	struct inflight *record = calloc(1, sizeof(*record));

	if (!record)
		return NULL;
	record->n_refs = 1;
	record->n_rings = n_rings;
	record->size = size;
	record->packed = packed;
	return record;
}

/* Files in memory have numbers that are not given twice while a machine runs. */
static uint64_t file_identity(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return 1;
	return (uint64_t)st.st_ino ^ (uint64_t)st.st_dev << 48 ^ BIT(63);
}

/* Where the mark of room for the device's bytes is in a file of ours; they follow it. */
static uint64_t kept_offset(uint64_t bytes)
{
	return (bytes + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

/* Only a file of ours has the mark there. */
/* seccomp: fstat newfstatat pread64 fcntl:F_GET_SEALS */
static bool has_room(int fd, uint64_t bytes, uint64_t offset)
{
	char mark[sizeof(kept_mark)];
	struct stat st;

	return offset == 0 && fstat(fd, &st) == 0 &&
	       (uint64_t)st.st_size == kept_offset(bytes) + KEPT_LEN &&
	       pread(fd, mark, sizeof(mark), (off_t)kept_offset(bytes)) == sizeof(mark) &&
	       memcmp(mark, kept_mark, sizeof(mark)) == 0;
}

static enum gmem_result record_map(struct inflight *record, uint64_t offset, int fd)
{
	uint64_t bytes = inflight_bytes(record->n_rings, record->size, record->packed);
	bool room = has_room(fd, bytes, offset);
	const struct gmem_desc desc = {
		.size = room ? kept_offset(bytes) + KEPT_LEN : bytes,
		.mmap_offset = offset,
	};
	enum gmem_result result;

	if (offset % sizeof(uint64_t) != 0)
		return GMEM_MAP_FAILED; /* its words could not be stored whole */
	result = gmem_map_one(&desc, fd, &record->mem);
	record->identity = file_identity(fd);
	if (result != GMEM_OK)
		return result;
	record->bytes = gmem_host_from_guest(record->mem, 0, bytes);
	if (room)
		record->kept = record->bytes + kept_offset(bytes) + sizeof(kept_mark);
	return GMEM_OK;
}

/* A sealed file of that many zeroes, and room behind them, or a negative errno. */
/* seccomp: close memfd_create ftruncate pwrite64 fcntl:F_ADD_SEALS */
static int record_file(uint64_t bytes)
{
	int fd = memfd_create("inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int err;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)(kept_offset(bytes) + KEPT_LEN)) == 0 &&
	    pwrite(fd, kept_mark, sizeof(kept_mark), (off_t)kept_offset(bytes)) ==
		    sizeof(kept_mark) &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int inflight_new(uint32_t n_rings, uint32_t size, bool packed, struct inflight **ret_record,
		 int *ret_fd)
{
	uint64_t bytes = inflight_bytes(n_rings, size, packed);
	struct inflight *record;
	int fd;

	if (bytes == 0)
		return -EINVAL;
	record = record_alloc(n_rings, size, packed);
	if (!record)
		return -ENOMEM;
	fd = record_file(bytes);
	if (fd < 0 || record_map(record, 0, fd) != GMEM_OK) {
		int err = fd < 0 ? fd : -ENOMEM;

		if (fd >= 0)
			close(fd);
		free(record);
		return err;
	}
	*ret_record = record;
	*ret_fd = fd;
	return 0;
}

enum gmem_result inflight_map(uint64_t len, uint64_t offset, int fd, uint32_t n_rings,
			      uint32_t size, bool packed, struct inflight **ret_record)
{
	uint64_t bytes = inflight_bytes(n_rings, size, packed);
	struct inflight *record;
	enum gmem_result result;

	if (bytes == 0)
		return GMEM_EMPTY_REGION;
	if (len < bytes)
		return GMEM_PAST_FILE;
	record = record_alloc(n_rings, size, packed);
	if (!record)
		return GMEM_NO_MEMORY;
	result = record_map(record, offset, fd);
	if (result == GMEM_OK)
		*ret_record = record;
	else
		free(record);
	return result;
}

struct inflight *inflight_ref(struct inflight *record)
{
	if (record)
		record->n_refs++;
	return record;
}

void inflight_unref(struct inflight *record)
{
	if (!record)
		return;
	assert(record->n_refs > 0);
	if (--record->n_refs > 0)
		return;
	gmem_unref(record->mem);
	free(record);
}

uint64_t inflight_identity(const struct inflight *record)
{
	return record->identity;
}

bool inflight_fits(const struct inflight *record, uint32_t idx, uint32_t size, bool packed)
{
	return idx < record->n_rings && size > 0 && size <= record->size &&
	       packed == record->packed;
}

void inflight_keep(struct inflight *record, unsigned int idx, uint8_t value)
{
	assert(idx < INFLIGHT_KEPT_BYTES);
	if (record && record->kept)
		part_store8(record->kept, idx, value);
}

uint8_t inflight_kept(const struct inflight *record, unsigned int idx)
{
	assert(idx < INFLIGHT_KEPT_BYTES);
	return record && record->kept ? part_load8(record->kept, idx) : 0;
}

bool inflight_is_packed(const struct inflight *record)
{
	return record->packed;
}

bool inflight_faulted(const struct inflight *record)
{
	return gmem_faulted(record->mem);
}

static uint8_t *part_of(const struct inflight *record, uint32_t idx)
{
	return record->bytes + idx * part_bytes(record->size, record->packed);
}

void inflight_close(struct inflight *record, uint32_t idx)
{
	uint8_t *bytes = part_of(record, idx);

	for (uint32_t i = 0; i < record->size; i++) {
		uint64_t entry = head_bytes(record->packed) + i * entry_bytes(record->packed);

		if (part_load8(bytes, entry + ENTRY_INFLIGHT) != 0)
			return;
	}
	part_store16(bytes, PART_VERSION, 0);
}

void inflight_attach(struct inflight_ring *r, struct inflight *record, uint32_t idx, uint32_t size)
{
	inflight_detach(r);
	if (!record)
		return;
	assert(inflight_fits(record, idx, size, record->packed));
	r->record = inflight_ref(record);
	r->bytes = part_of(record, idx);
	r->size = size;
}

void inflight_detach(struct inflight_ring *r)
{
	inflight_unref(r->record);
	free(r->next);
	*r = (struct inflight_ring){ .record = NULL };
}

bool inflight_part_begun(const struct inflight_ring *r)
{
	return part_load16(r->bytes, PART_VERSION) == INFLIGHT_VERSION &&
	       part_load16(r->bytes, PART_DESC_NUM) == r->size;
}

static int compare_found(const void *va, const void *vb)
{
	const struct inflight_found *a = va, *b = vb;

	if (a->counter != b->counter)
		return a->counter < b->counter ? -1 : 1;
	return (int)a->entry - (int)b->entry;
}

void inflight_sort(struct inflight_found *found, size_t n)
{
	if (n > 1)
		qsort(found, n, sizeof(*found), compare_found);
}

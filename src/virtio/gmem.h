/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Guest memory: counted mappings of the files that a front-end shares, and an
 * immutable, counted, sorted table of them. Changing memory means building
 * another table and swapping a pointer; a mapping ends with its last holder.
 *
 * Reference counts are not atomic: one thread takes and drops references.
 * Look-ups are safe from any thread that is lent a reference.
 */
#ifndef VHU_VIRTIO_GMEM_H
#define VHU_VIRTIO_GMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	GMEM_MAX_REGIONS = 256,
};

/*
 * What one table may map: far more than a guest has, and a fraction of what a
 * process can address, so that no front-end uses up the others' share.
 */
#define GMEM_MAX_BYTES (UINT64_C(1) << 43)

enum gmem_result {
	GMEM_OK = 0,
	GMEM_EMPTY_REGION, /* a region of size 0 */
	GMEM_WRAPS,	   /* an address or offset plus the size passes 2^64 */
	GMEM_OVERLAP,	   /* two regions share guest or user addresses */
	GMEM_PAST_FILE,	   /* the file ends before the region does */
	GMEM_MAP_FAILED,   /* not a file that can be mapped shared and writable */
	GMEM_TOO_MANY,	   /* more than GMEM_MAX_REGIONS */
	GMEM_TOO_LARGE,	   /* more than GMEM_MAX_BYTES in all */
	GMEM_NOT_FOUND,	   /* no region with these addresses and this size */
	GMEM_NO_MEMORY,	   /* our own allocation failed */
};

/* One region as the front-end describes it; all in bytes. */
struct gmem_desc {
	uint64_t guest_addr; /* what descriptors use */
	uint64_t size;
	uint64_t user_addr;   /* what ring addresses use: the front-end's own */
	uint64_t mmap_offset; /* where the region begins in its file */
};

struct gmem_region;
struct gmem;

/*
 * A stretch of guest addresses that is contiguous here too: what a caller may
 * keep beside a gmem reference to skip the look-up of the next address.
 */
struct gmem_window {
	uint64_t guest_addr;
	uint64_t size; /* 0: holds no address */
	unsigned char *host;
};

/* A sentence that says what was expected; static storage. */
const char *gmem_result_text(enum gmem_result result);

/*
 * Maps what desc says of the file fd. The fd stays the caller's and may be
 * closed at once. The caller gets the only reference in *ret_region. Checks
 * the region alone; gmem_new() and gmem_with() check regions against each
 * other. (Memory regions description.)
 */
enum gmem_result gmem_region_map(const struct gmem_desc *desc, int fd,
				 struct gmem_region **ret_region);

/*
 * The same for somebody who only looks on: it cannot be written here, and a
 * descriptor that can only be read will do.
 */
enum gmem_result gmem_region_map_to_read(const struct gmem_desc *desc, int fd,
					 struct gmem_region **ret_region);

/* Returns region, with one more reference. */
struct gmem_region *gmem_region_ref(struct gmem_region *region);

/* Where its first byte is here; and all that is mapped for it, in whole pages. */
void *gmem_region_host(const struct gmem_region *region);
void *gmem_region_mapping(const struct gmem_region *region, size_t *ret_len);

/*
 * For whoever maps it again in another process: what it is, and its file, whose
 * descriptor is lent (-1: the system had none left, or it is mapped to be read).
 */
int gmem_region_fd(const struct gmem_region *region);
const struct gmem_desc *gmem_region_desc(const struct gmem_region *region);

/* The idx-th of a table, below gmem_n_regions(); lent. */
struct gmem_region *gmem_region_at(const struct gmem *mem, size_t idx);

/* Drops a reference; unmaps with the last. NULL is allowed. */
void gmem_region_unref(struct gmem_region *region);

/*
 * A table of n regions (0 allowed) in any order. Takes references of its own;
 * the caller's stay the caller's, also on failure.
 */
enum gmem_result gmem_new(struct gmem_region *const *regions, size_t n, struct gmem **ret_mem);

/* A new table: old (NULL: empty) and one region more. Leaves old alone. */
enum gmem_result gmem_with(const struct gmem *old, struct gmem_region *add, struct gmem **ret_mem);

/*
 * A new table: old without the region whose guest address, user address and
 * size are those of match; its offset is ignored (REM_MEM_REG).
 */
enum gmem_result gmem_without(const struct gmem *old, const struct gmem_desc *match,
			      struct gmem **ret_mem);

/*
 * A table of the one region that desc says of the file fd (stays the caller's):
 * what else than guest memory a front-end shares, with the same care.
 */
enum gmem_result gmem_map_one(const struct gmem_desc *desc, int fd, struct gmem **ret_mem);

/* Returns mem, with one more reference. NULL is allowed. */
struct gmem *gmem_ref(struct gmem *mem);

/* Drops a reference; with the last, the table's references to regions. NULL is allowed. */
void gmem_unref(struct gmem *mem);

/* NULL counts as a table of none. */
size_t gmem_n_regions(const struct gmem *mem);

/*
 * Where [addr, addr + len) of the front-end's (user) or the guest's (guest)
 * address space lies here; NULL unless all of it is in one region, and for
 * every address when mem is NULL.
 */
void *gmem_host_from_user(const struct gmem *mem, uint64_t addr, uint64_t len);
void *gmem_host_from_guest(const struct gmem *mem, uint64_t addr, uint64_t len);

/* The guest address of a byte that one of the above pointed at. False: host is in no region. */
bool gmem_guest_from_host(const struct gmem *mem, const void *host, uint64_t *ret_guest_addr);

/*
 * How many of the len bytes at guest_addr one region holds contiguously, from
 * guest_addr on; *ret_host is where. 0: nothing is mapped there (or len is 0)
 * and *ret_host is not written. A buffer that goes on in an adjacent region
 * takes one call per region.
 */
size_t gmem_run(const struct gmem *mem, uint64_t guest_addr, uint64_t len, void **ret_host);

/* Whether every byte of [guest_addr, guest_addr + len) is mapped, in any number of regions. */
bool gmem_covers(const struct gmem *mem, uint64_t guest_addr, uint64_t len);

/*
 * Memory whose pages may be missing (userfaultfd): while it is late, a window is
 * what is there around an address, and none where nothing is. Whoever looks
 * goes on without sleeping, and has the page fetched.
 */
void gmem_set_late(struct gmem *mem, bool late);
bool gmem_is_late(const struct gmem *mem);

/* Whether all pages of len bytes at host, which is in a mapped region, are there. */
bool gmem_is_present(const void *host, size_t len);

/* Makes the window what is there from guest_addr, which is in it, on. False: nothing is. */
bool gmem_window_narrow(struct gmem_window *w, uint64_t guest_addr);

/* The whole region around guest_addr; false, and nothing written, when there is none. */
bool gmem_window_at(const struct gmem *mem, uint64_t guest_addr, struct gmem_window *ret_window);

/* The same for the front-end's addresses: guest_addr of the window is a user address then. */
bool gmem_user_window_at(const struct gmem *mem, uint64_t user_addr,
			 struct gmem_window *ret_window);

/*
 * Makes the process survive a front-end that truncates a mapped file: from
 * then on a SIGBUS inside a mapped region puts private zero pages in its place
 * and marks it; any other SIGBUS acts as it did before. Replaces the process's
 * handler; calling it again is harmless. Regions must be mapped and unmapped
 * by one thread.
 * Returns 0 or a negative errno.
 */
int gmem_fault_guard_install(void);

/* Whether a region of mem lost its file (see above). Cheap when none ever did. */
bool gmem_faulted(const struct gmem *mem);

#endif

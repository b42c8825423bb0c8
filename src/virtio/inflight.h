/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The record of requests in flight, in memory that the front-end keeps while a
 * back-end is restarted (vhost-user text, "Inflight I/O tracking"): which
 * chains of a ring were taken and not returned, in which order. A back-end
 * that finds a record does again what is in flight there, once.
 *
 * The front-end can write to the record at any time. It is read once, when a
 * ring starts, and nothing in it is believed that does not fit the ring; from
 * then on it is written only, and what we know ourselves is private.
 *
 * Killed between any two stores, we leave a record that the next one repairs:
 * so the order of stores is the procedure's, and the numbers that have to
 * change together share a word.
 */
#ifndef VHU_VIRTIO_INFLIGHT_H
#define VHU_VIRTIO_INFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "state.h"
#include "virtio/gmem.h"
#include "virtio/packed.h"

enum {
	INFLIGHT_VERSION = 1, /* 0: nobody has begun the part */
	INFLIGHT_ALIGN = 64,
	INFLIGHT_SPLIT_HEAD = 16,
	INFLIGHT_SPLIT_DESC = 16,
	INFLIGHT_PACKED_HEAD = 32,
	INFLIGHT_PACKED_DESC = 32,
	INFLIGHT_NO_ENTRY = 0xffff,
	INFLIGHT_KEPT_BYTES = 1024,
};

struct inflight;

/* One ring's part of a record. */
struct inflight_ring {
	struct inflight *record; /* a reference; NULL: nothing is recorded */
	uint8_t *bytes;		 /* of the part */
	uint32_t size;		 /* entries of the ring */
	uint64_t counter;	 /* of the next request */
	uint16_t *next;		 /* our own lists, by entry */
	uint16_t *last, *num;	 /* packed: of the chain that begins there */
	unsigned int n_batch;	 /* returned and not published */
	uint16_t batch_head;	 /* the newest of them, */
	uint16_t batch_tail;	 /* and packed: the last entry of the oldest */
	uint16_t free_head;	 /* packed */
	struct packed_position used;
};

/* Packed: a chain in flight, by the entry that its descriptors begin at. */
struct inflight_chain {
	uint16_t entry;
	uint16_t n_descs; /* slots of the ring that it takes up */
};

/* Bytes of a record for n_rings rings of size entries each; 0: not possible. */
uint64_t inflight_bytes(uint32_t n_rings, uint32_t size, bool packed);

/*
 * A new record, zeroed, in a file of its own, *ret_fd (the caller's), which
 * cannot be resized. The caller gets the only reference. 0 or a negative errno.
 */
int inflight_new(uint32_t n_rings, uint32_t size, bool packed, struct inflight **ret_record,
		 int *ret_fd);

/*
 * The record that the front-end gives back: len bytes of the file fd (stays the
 * caller's) from offset on, for n_rings of size entries. GMEM_EMPTY_REGION for a
 * number that is not possible, GMEM_PAST_FILE when len bytes are too few.
 */
enum gmem_result inflight_map(uint64_t len, uint64_t offset, int fd, uint32_t n_rings,
			      uint32_t size, bool packed, struct inflight **ret_record);

/* Returns record, with one more reference. NULL is allowed. */
struct inflight *inflight_ref(struct inflight *record);

/* Unmaps with the last reference. NULL is allowed. */
void inflight_unref(struct inflight *record);

/*
 * Whether the record has ring idx in that layout, with room for that many
 * entries: front-ends size a record by one of their rings.
 */
bool inflight_fits(const struct inflight *record, uint32_t idx, uint32_t size, bool packed);

/*
 * A number for the record's file, the same in each process that has it, and never 0:
 * a guest keeps its record when back-ends come and go.
 */
uint64_t inflight_identity(const struct inflight *record);

/*
 * A record that was made by inflight_new() has room for some bytes of the
 * device's own behind what the front-end knows of, so that they, too, outlive us.
 * Each is stored by itself; the front-end may write them, as all else there. Of a
 * record without that room, or none (NULL), all are 0. idx is below
 * INFLIGHT_KEPT_BYTES.
 */
void inflight_keep(struct inflight *record, unsigned int idx, uint8_t value);
uint8_t inflight_kept(const struct inflight *record, unsigned int idx);

/* The layout that it was made for. */
bool inflight_is_packed(const struct inflight *record);

/* Whether the record lost its file. */
bool inflight_faulted(const struct inflight *record);

/*
 * A ring was stopped with an answer that says where it is to go on. With
 * nothing in flight, its part is as if nobody had begun it, so that the next
 * start goes by what the front-end says.
 */
void inflight_close(struct inflight *record, uint32_t idx);

/*
 * Begins to record ring idx of size entries, which inflight_fits(); drops what r
 * had before. A resume must follow. NULL: r records nothing from now on.
 */
void inflight_attach(struct inflight_ring *r, struct inflight *record, uint32_t idx, uint32_t size);

/*
 * For a hand-over, in place of a resume: what r knows by itself, as a group. Nothing
 * is returned and not published. The record is neither read nor written.
 */
void inflight_save(const struct inflight_ring *r, bool packed, struct state_writer *w,
		   unsigned int tag);
void inflight_load(struct inflight_ring *r, bool packed, struct state_reader *reader,
		   unsigned int tag);

/* Also frees what a resume allocated. Allowed on a zeroed struct, and twice. */
void inflight_detach(struct inflight_ring *r);

/*
 * Split. What an earlier back-end left: repairs the record against the used
 * index that the ring's memory holds, and lists the heads in flight, oldest
 * first, in ret_heads[size]. Returns how many; the next available index is then
 * used_idx plus that many. A record that nobody began, or that makes no sense, is
 * begun anew: -ENOENT, and the front-end's base counts; where that base is not
 * used_idx, chains are out that no record knows, so r is detached. -ENOMEM
 * detaches r, too, and the ring must not run.
 */
int inflight_split_resume(struct inflight_ring *r, uint16_t used_idx, uint16_t base,
			  uint16_t *ret_heads);

/*
 * Split: a chain was taken, or given back untouched, or returned in the used ring;
 * then all those returned were published with that used index. r may record nothing.
 */
void inflight_split_take(struct inflight_ring *r, uint16_t head);
void inflight_split_untake(struct inflight_ring *r, uint16_t head);
void inflight_split_return(struct inflight_ring *r, uint16_t head);
void inflight_split_published(struct inflight_ring *r, uint16_t used_idx);

/*
 * Packed, the same: lists the chains in flight, oldest first, in ret_chains[size].
 * Their descriptors may be gone from the ring: inflight_packed_load() has them.
 * *used goes in as the front-end's base and comes out as where the ring's used
 * descriptors go on (unchanged for -ENOENT); the next available descriptor is
 * there plus the slots of all that are in flight.
 */
int inflight_packed_resume(struct inflight_ring *r, const struct packed_ring *ring,
			   struct packed_position avail, struct packed_position *used,
			   struct inflight_chain *ret_chains);

/* The n_descs descriptors of a chain in flight, as they were taken; none of it is checked. */
void inflight_packed_load(const struct inflight_ring *r, uint16_t entry,
			  struct packed_desc *ret_descs);

/*
 * Packed: a chain of n descriptors was taken; returns its entry, or
 * INFLIGHT_NO_ENTRY when more are out than the ring has (or r records nothing).
 * For an indirect one, n is 1.
 */
uint16_t inflight_packed_take(struct inflight_ring *r, const struct packed_desc *descs,
			      unsigned int n);

/*
 * The newest, which was taken since the start, goes back untouched. Here and below
 * INFLIGHT_NO_ENTRY is a chain that the record does not know of.
 */
void inflight_packed_untake(struct inflight_ring *r, uint16_t entry);

/* Returned; told of by the next publish. */
void inflight_packed_return(struct inflight_ring *r, uint16_t entry);

/*
 * Around the store that shows the driver all that was returned: before it, with
 * the position after the last used descriptor, and after it.
 */
void inflight_packed_publish(struct inflight_ring *r, struct packed_position used);
void inflight_packed_published(struct inflight_ring *r);

/*
 * Before a resume: does what inflight_packed_publish() did, or was about to, for
 * an earlier back-end whose batch begins at first and ends before end, with
 * batch_head and batch_tail as they were. The caller has seen that it was not
 * shown, and shows it then. False: the record is not at that point.
 */
bool inflight_packed_finish(struct inflight_ring *r, struct packed_position first,
			    struct packed_position end, uint16_t batch_head, uint16_t batch_tail);

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A picture of a ring: a private copy of what it shows at one moment, the
 * windows of both sides, the chains, and who owns them. The ring may be wrong
 * in every way, and change meanwhile: each shared value is loaded once, nothing
 * found is followed without a check, and nothing is followed for ever.
 */
#ifndef VHU_VIRTIO_PICTURE_H
#define VHU_VIRTIO_PICTURE_H

#include <stdio.h>

#include "virtio/packed.h"
#include "virtio/vring.h"

enum {
	PICTURE_SLOTS = 8,	 /* last entries of each side, unless more are wanted */
	PICTURE_MAX_SLOTS = 256, /* that can be wanted */
	PICTURE_MAX_CHAIN = 64,	 /* descriptors kept of one chain, those of tables included */
	PICTURE_MAX_FOLLOWED = 1 << 16, /* descriptors of one chain that are looked at */
	PICTURE_MAX_DATA = 4096,	/* bytes of one chain */
	PICTURE_MAX_BYTES = 1 << 20	/* of a packed picture */
};

enum picture_owner {
	PICTURE_DEVICE, /* offered, and not returned */
	PICTURE_DRIVER, /* returned: the driver may use it again */
};

/* Why a chain could not be followed to its end. */
enum picture_fault {
	PICTURE_SOUND,
	PICTURE_HEAD_RANGE,	/* the head is no descriptor of this ring */
	PICTURE_NEXT_RANGE,	/* a next is none */
	PICTURE_LONG,		/* more than its ring, or its table, can have: a loop */
	PICTURE_TABLE_UNMAPPED, /* an indirect table is not in guest memory */
	PICTURE_UNMAPPED,	/* a buffer is not */
	/*
	 * It came back, and its descriptors, its table or its buffers have become
	 * something else since: nobody did anything wrong, and nothing is known of it.
	 */
	PICTURE_REUSED,
	PICTURE_N_FAULTS,
};

/*
 * What is wrong with a used entry. Only what cannot be otherwise is said: rings
 * are written over, and both sides are ahead of their indices.
 */
enum picture_return {
	PICTURE_RETURN_SOUND,
	PICTURE_RETURN_RANGE,	    /* its id is no descriptor of this ring */
	PICTURE_RETURN_NOT_OFFERED, /* it is no head that was offered */
	PICTURE_RETURN_AGAIN,	    /* more often than it was offered */
	PICTURE_N_RETURNS,
};

struct picture_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;	 /* VRING_DESC_F_* also for packed rings, whose other bits stay */
	uint16_t next;	 /* split: meant if F_NEXT. packed: the id */
	uint16_t number; /* in the ring, or in its table */
	bool in_table;
};

struct picture_chain {
	uint16_t at;   /* split: index in the available ring. packed: offset of the first */
	uint16_t head; /* packed: the id */
	enum picture_owner owner;
	enum picture_fault fault;
	bool has_used; /* the return is in the window of used entries, too */
	uint32_t used_len;
	uint32_t first_desc, n_descs; /* in descs */
	uint32_t n_more;	      /* descriptors that follow and were not kept */
	/* The beginnings of what the device may read, and of what it has written (if has_used). */
	uint32_t out_at, n_out;	  /* in data */
	uint32_t in_at, n_in;	  /* in data */
	uint64_t out_len, in_len; /* bytes of the chain's readable and writable buffers */
};

struct picture_used {
	uint16_t at; /* index in the used ring; packed: offset */
	uint32_t id;
	uint32_t len;
	enum picture_return fault;
};

struct ring_picture {
	bool packed, event_idx;
	uint32_t size;
	/* Free-running indices; packed: offset, and the wrap counter in bit 15. */
	uint16_t avail_idx, used_idx;
	/* split: flags and event words as they stand. packed: flags and offset (bit 15: wrap). */
	uint16_t avail_flags, used_event; /* what the driver wants: calls */
	uint16_t used_flags, avail_event; /* what the device wants: kicks */
	uint16_t n_missed; /* entries offered since the last picture that are not in this one */

	struct picture_chain *chains; /* oldest first */
	size_t n_chains;
	struct picture_used *used; /* oldest first; split only */
	size_t n_used;
	struct picture_desc *descs;
	size_t n_descs;
	uint8_t *data;
	size_t n_data;
};

/* Where a ring lies; the memory stays mapped during the call. */
struct picture_source {
	const struct vring *split; /* either this */
	const struct packed_ring *packed;
	bool event_idx;
	/* split: one used entry may stand for many, so what is in the others says nothing. */
	bool in_order;
	/* split: the indices began at 0 and have not wrapped, as far as is known. */
	bool from_zero;
	/*
	 * [addr, addr + len) of guest memory, or NULL unless all of it is there in one
	 * piece. host may be NULL, where guest addresses cannot be looked up: then
	 * neither tables nor buffers are looked at.
	 */
	const void *(*host)(void *arg, uint64_t guest_addr, uint64_t len);
	void *arg;
	/*
	 * packed: up to where each side has come, as far as is known; picture_take()
	 * moves them on. First from SET_VRING_BASE, or offset 0 and wrap 1.
	 */
	struct packed_position *avail, *used;
	/*
	 * packed: how many descriptors the list of each id has, as last seen offered,
	 * which a used descriptor does not say: ring's size of them, 0 at first. May be
	 * NULL: then only lists are told apart that carry their id in every descriptor.
	 */
	uint16_t *lists;
};

struct picture_want {
	unsigned int slots; /* 0: PICTURE_SLOTS */
	unsigned int data;  /* bytes of each direction of a chain; 0: none */
	/* Everything since the picture before is wanted, if PICTURE_MAX_SLOTS suffice. */
	bool since;
	uint16_t since_avail, since_used; /* indices of that picture */
};

/* A new picture, or NULL: no memory. */
struct ring_picture *picture_take(const struct picture_source *source,
				  const struct picture_want *want);
void picture_free(struct ring_picture *p);

/* Whether the driver has offered, the device returned something since: a few loads. */
bool picture_offered_since(const struct picture_source *source, uint16_t since_avail);
bool picture_used_since(const struct picture_source *source, uint16_t since_used);

/*
 * As bytes, little-endian, for files; and back. pack: a new string of *ret_len
 * bytes or NULL. unpack takes foreign bytes: NULL unless all is consistent, so
 * that every index in it may be used.
 */
uint8_t *picture_pack(const struct ring_picture *p, size_t *ret_len);
struct ring_picture *picture_unpack(const uint8_t *bytes, size_t len);

/* Chains that the device has. packed: those in the picture. */
unsigned int picture_n_offered(const struct ring_picture *p);

/* False: the windows contradict each other, the device would have more than there are. */
bool picture_windows_sound(const struct ring_picture *p);

/* Whether the device has it and it is wrong. What is the driver's again may be anything. */
bool picture_chain_broken(const struct picture_chain *c);

/*
 * What the device did wrong, one thing after the other from i = 0 on, as a phrase
 * with the clause; false: no more.
 */
bool picture_device_wrong(const struct ring_picture *p, size_t i, char *ret_text, size_t cap);

/* Whether there is any. */
bool picture_device_broken(const struct ring_picture *p);

/* Whether the driver asks for no call, and the device for no kick, at its next step. */
bool picture_calls_off(const struct ring_picture *p);
bool picture_kicks_off(const struct ring_picture *p);

/* "offered, device's", ...; a sentence for a fault, NULL for PICTURE_SOUND. */
const char *picture_owner_text(enum picture_owner owner);
const char *picture_fault_text(enum picture_fault fault);

/* "which was not offered (VR-051)", ...; NULL for PICTURE_RETURN_SOUND. */
const char *picture_return_text(enum picture_return fault);

/* Lines for people, each after indent spaces; hex: data as a hexdump, too. */
void picture_print(FILE *out, const struct ring_picture *p, int indent, bool hex);

#endif

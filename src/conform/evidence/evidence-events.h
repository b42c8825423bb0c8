/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* How evidence is kept: for the files that collect it and those that write it out. */
#ifndef VHU_CONFORM_EVIDENCE_EVENTS_H
#define VHU_CONFORM_EVIDENCE_EVENTS_H

#include "conform/evidence/evidence.h"
#include "fdkind.h"
#include "vhu/codec.h"

enum {
	EVIDENCE_KEEP = 32,	       /* messages, kicks and notes that are shown */
	EVIDENCE_PICTURES = 8,	       /* of rings */
	EVIDENCE_OWNED = 128,	       /* places in rings that are known of at once */
	EVIDENCE_CHUNK = 64 << 10,     /* of memory that is compared at once */
	EVIDENCE_MAX_BYTES = 64 << 20, /* of a recording */
};

/* What a descriptor is, so far as another process could make its like. */
enum object_kind {
	OBJECT_MEMORY = FD_KIND_MEMORY,
	OBJECT_EVENTFD = FD_KIND_EVENTFD,
	OBJECT_SOCKET = FD_KIND_SOCKET,
	OBJECT_PIPE_READ = FD_KIND_PIPE_READ,
	OBJECT_PIPE_WRITE = FD_KIND_PIPE_WRITE,
	OBJECT_FILE = FD_KIND_FILE, /* whatever else has a path */
	OBJECT_N_KINDS,
};

/* A thing that descriptors meant. Two descriptors of one thing are one object. */
struct object {
	enum object_kind kind;
	unsigned int number; /* among its kind, from 1 */
	uint64_t device, inode;
	uint64_t eventfd_id; /* eventfds share one inode */
	bool nonblock, readonly;
	bool received; /* the back-end's */
	unsigned int seals;
	int same_as; /* the object that is the same file, opened otherwise; -1 */
	char path[96];

	/* A memory file that is recorded. */
	int fd;		 /* -1: it is not */
	uint8_t *shadow; /* as it was when last looked at */
	uint64_t size, shadow_len;
};

enum event_kind {
	EVENT_OPEN,  /* a connection */
	EVENT_CLOSE, /* by us */
	EVENT_SHUT,  /* our side, for sending */
	EVENT_ENDED, /* by the back-end */
	EVENT_SENT,
	EVENT_RECEIVED,
	EVENT_KICK,
	EVENT_NOTE,
	/* These are recorded, and not shown. */
	EVENT_OBJECT,
	EVENT_RESIZE,
	EVENT_WRITE, /* into memory, by us */
	EVENT_AWAIT, /* 16 bits of memory were written by the back-end */
	EVENT_NUDGE, /* there was no kick, but there should be one when it is played again */
};

struct event {
	enum event_kind kind;
	uint64_t ns; /* since the case began */
	unsigned int conn;
	bool channel;
	unsigned int ring, object;
	uint64_t at, value;
	unsigned int n_more; /* kicks just like it */
	bool unread;	     /* something had come by then that the case did not look at */
	uint8_t *bytes;
	size_t len;
	unsigned int *objects; /* that came along */
	size_t n_objects;
	char *text; /* lines, decoded */
};

/*
 * A used ring in a memory file: what changes there is the back-end's doing. Or,
 * last, the index of an available ring: a back-end that looks at it without
 * being kicked must find all else written.
 */
struct owned {
	bool active, last;
	unsigned int conn, ring, object;
	uint64_t at, len;
	uint16_t seen; /* used index that was recorded last */
};

/* Where a connection's ring addresses lead. */
struct span {
	uint64_t user_addr, size, at;
	unsigned int object;
};

/* One direction of one socket. */
struct stream {
	struct vhu_assembler assembler;
	unsigned int objects[FDSET_MAX]; /* of the message that is under way */
	size_t n_objects;
};

/* A connection that is listened to. */
struct listener {
	struct vhu_frontend_ear ear;
	struct evidence *evidence;
	struct vhu_frontend *fe;
	unsigned int conn;
	bool open;
	struct stream main, channel; /* what we send */
	struct span spans[VHU_MAX_REGIONS];
	unsigned int n_spans;
	uint32_t sizes[VHU_MAX_RINGS];	      /* of rings */
	unsigned int kicks[VHU_MAX_FD_RINGS]; /* objects of SET_VRING_KICK, plus one; 0: none */
	uint32_t base_of;		      /* ring of the last GET_VRING_BASE */
	uint64_t kicked[VHU_MAX_RINGS / 64];  /* which rings were */
	bool packed;			      /* RING_PACKED was accepted */
	struct listener *next;
};

struct picture {
	unsigned int ring;
	char *text;
};

struct evidence {
	bool recording, lost; /* lost: something could not be kept */
	bool packed;	      /* a connection has packed rings */
	uint64_t start_ns, n_bytes;
	struct event *events;
	size_t n_events, cap_events;
	size_t judged;	/* events there were when the case was judged; 0: not known */
	size_t n_shown; /* events of the kinds that are shown, forgotten ones included */
	struct object *objects;
	unsigned int n_objects, cap_objects;
	struct owned owned[EVIDENCE_OWNED];
	struct listener *listeners;
	unsigned int n_conns;
	struct picture pictures[EVIDENCE_PICTURES];
	unsigned int n_pictures;
};

static inline bool event_shown(enum event_kind kind)
{
	return kind < EVENT_OBJECT;
}

/* The next event, empty but for kind and time; NULL: no memory (and lost is set). */
struct event *evidence_add(struct evidence *e, enum event_kind kind);

/* Which object fd is, new or known; UINT_MAX: no memory. */
unsigned int evidence_object(struct evidence *e, int fd, bool received);
void evidence_object_fini(struct object *o);

/* "m1" into buf. */
const char *object_name(const struct object *o, char buf[16]);
const char *object_kind_name(enum object_kind kind);

/* What we, and the back-end, have changed in memory since the last look. */
void evidence_look(struct evidence *e);

/* The 16 bits at `at` of the object's file; false: they are not there. */
bool object_peek16(const struct object *o, uint64_t at, uint16_t *ret_value);

/* Learns from a message of ours, or a reply, where used rings are. objects came with it. */
void evidence_learn_sent(struct listener *l, const struct vhu_msg *msg, const unsigned int *objects,
			 size_t n_objects);
void evidence_learn_received(struct listener *l, const struct vhu_msg *msg);
void evidence_forget_rings(struct evidence *e, unsigned int conn);

#endif

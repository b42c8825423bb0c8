/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * What records mean: sessions with their negotiation, memory and rings, which
 * reply answers which request, and which rules are broken. Pure; the same for
 * what is seen live and what is read from a capture.
 */
#ifndef VHU_TRACE_STORY_H
#define VHU_TRACE_STORY_H

#include "histogram.h"
#include "trace/record.h"
#include "vhu/rules.h"

enum {
	STORY_MAX_REGIONS = 256,
	STORY_MAX_SESSIONS = 64, /* open at once that are understood */
};

struct story_region {
	struct vhu_region wire;
	struct fd_about file; /* path "" if none came along */
	bool overlaps;	      /* another region, in guest or front-end addresses */
	bool past_file;	      /* ends after its file, as far as its size is known */
};

struct story_memory {
	struct story_region region[STORY_MAX_REGIONS]; /* by guest address */
	unsigned int n_regions;
};

/* Where a ring stands; in the order in which they are reached. */
enum story_state {
	STORY_STOPPED, /* no kick, or stopped since */
	STORY_STARTED, /* kicked, not enabled */
	STORY_ENABLED, /* enabled, not started */
	STORY_RUNNING, /* both */
	STORY_N_STATES,
};

/* Kicks or calls of a ring, as far as they can be seen. */
struct story_signals {
	uint64_t n_messages; /* in-band */
	uint64_t n_pictures; /* that one of them was the cause of */
	bool opaque;	     /* the descriptor is none that can be watched */
};

struct story_chains;

struct story_ring {
	bool seen; /* a message has named it */
	enum story_state state;
	uint32_t num;		    /* entries; 0: not said */
	struct vhu_vring_addr addr; /* if nego's addr_set */
	uint32_t base;		    /* as SET_VRING_BASE said, or GET_VRING_BASE answered */
	bool kick_fd, call_fd, err_fd;
	/* From pictures. */
	uint64_t kicked_ns;	  /* of the oldest kick that waits for its chains; 0: none */
	uint16_t kicked_idx;	  /* available index at that kick */
	struct histogram latency; /* kick to used, in ns */
	uint32_t n_pictures;
	uint16_t avail_idx, used_idx; /* of the last picture */
	bool watched;		      /* there are pictures that nobody has asked for */
	struct story_signals kicks, calls;
	uint64_t n_returned;	     /* chains that came back, since the first picture */
	uint64_t progress_ns;	     /* when some did last, or the ring began */
	uint32_t n_waiting;	     /* chains that the device has */
	uint64_t waiting_ns;	     /* when the oldest of them was first seen, if n_waiting */
	bool waiting_readable;	     /* one of them has something to read, not just room */
	struct story_chains *chains; /* private; NULL: none were seen */
};

struct story_session {
	uint32_t number;
	bool open;
	struct vhu_nego nego;
	struct story_memory memory;
	struct story_ring ring[VHU_MAX_RINGS];
	/* private: requests that wait for a reply, by enum vhu_dir; see story_unanswered() */
	struct story_waiting *waiting[2];
};

/* A record, understood. What points into sessions is as of now. */
struct trace_told {
	const struct trace_record *record;
	uint64_t number;	 /* of the record, from 1 */
	uint64_t since_first_ns; /* 0 for the first record */
	uint64_t since_last_ns;
	const struct story_session *session; /* NULL: too many at once */

	bool ends_session; /* END: both sides have closed, and nobody has said so before */

	/* MESSAGE only from here on, but for the ring, which pictures have, too. */
	const struct vhu_msg *msg; /* never NULL then; n_fds is at most FDSET_MAX, no fd is there */
	const struct vhu_desc *desc; /* NULL: the id is in no table */
	bool is_reply;
	const struct vhu_msg *request; /* that this reply answers; NULL: none waits, or no reply */
	uint64_t answered_ns;	       /* how long that took */
	bool refuses;		       /* a reply that says: failed */
	enum vhu_rule rule;	       /* that is broken; VHU_OK. RAW, too: why framing is lost */
	bool has_ring;		       /* a ring is named */
	uint32_t ring;
	enum story_state before, after; /* of that ring */
	bool memory_changed;
	uint64_t was_offered; /* FEATURES, PROTOCOL fields of requests: what the back-end offers */
};

struct trace_story;

struct trace_story *story_new(void); /* NULL: no memory */
void story_free(struct trace_story *s);

/* Follows the record. *ret_told is good until the next call. */
void story_tell(struct trace_story *s, const struct trace_record *record,
		struct trace_told *ret_told);

/* Session number, or NULL. */
const struct story_session *story_session(const struct trace_story *s, uint32_t number);

/*
 * The i-th request, from 0 for the oldest, that still waits for its reply: of
 * the front-end (VHU_FE), or of the back-end on its channel. NULL: no more.
 */
const struct vhu_msg *story_unanswered(const struct story_session *session, enum vhu_dir dir,
				       unsigned int i);

/*
 * Whether the device lets a running ring wait: at ns, chains with something to
 * read have waited for more than a second, and none came back meanwhile.
 */
bool story_ring_hangs(const struct story_ring *ring, uint64_t ns);

/* How many of its kicks, or calls, were seen; false: they cannot be. */
bool story_signals_seen(const struct story_ring *ring, const struct story_signals *signals,
			uint64_t *ret_n);

/* "stopped", "started", "enabled", "running". */
const char *story_state_name(enum story_state state);

/*
 * A bit of the FEATURES word by its name in this session's device: "console"
 * knows SIZE, MULTIPORT, EMERG_WRITE. NULL: it has none. device may be NULL.
 */
const char *story_feature_name(const char *device, unsigned int bit);

/*
 * A message of the console's control queues in words, "PORT_ADD port 1" (port
 * names without controls), as snprintf().
 */
size_t story_control_text(char *buf, size_t cap, const uint8_t *bytes, size_t len);

#endif

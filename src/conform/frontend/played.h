/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A back-end that is played: it serves one connection of a front-end as a
 * decent back-end does, judges every message and everything in the rings, and
 * does one thing wrong when its script says so.
 *
 * One thread, poll(), a deadline for every wait.
 */
#ifndef VHU_CONFORM_PLAYED_H
#define VHU_CONFORM_PLAYED_H

#include <stdio.h>

#include "vhu/rules.h"
#include "virtio/virtq.h"

enum {
	PLAYED_MAX_RINGS = 64,
	PLAYED_MAX_SLOTS = 32,	  /* memory regions */
	PLAYED_MESSAGE_MS = 3000, /* what remains of a message comes by then */
	PLAYED_LINES = 48,	  /* of what passed, kept for reports */
	PLAYED_LINE = 240,
	PLAYED_TEXT = 384,
};

/* Duties of a front-end beside the rules of rules.def. */
enum played_duty {
#define DUTY(IDENT, ...) DUTY_##IDENT,
#include "conform/frontend/frontend-duties.def"
	N_DUTIES
};

/* What came of a rule or a duty. */
struct played_point {
	unsigned int n_applied;
	unsigned int n_broken;
	char broken[PLAYED_TEXT]; /* the first time */
};

/* What is done wrong, once, at its place. */
enum played_fault {
	FAULT_NONE,
	/* Instead of the answer to a request. */
	FAULT_NACK,	    /* refuse it */
	FAULT_REPLY_SHORT,  /* half the payload, and the header says so */
	FAULT_REPLY_LONG,   /* eight bytes more, and the header says so */
	FAULT_REPLY_HUGE,   /* the header promises arg bytes */
	FAULT_REPLY_CUT,    /* the header promises bytes that do not come */
	FAULT_REPLY_FLAGS,  /* flags are arg */
	FAULT_REPLY_ID,	    /* another request's id */
	FAULT_REPLY_FDS,    /* with two descriptors too many */
	FAULT_REPLY_TWICE,  /* the same again */
	FAULT_REPLY_VALUE,  /* a u64 that is arg */
	FAULT_REPLY_PIECES, /* all right, byte by byte */
	FAULT_SLOW,	    /* all right, arg milliseconds late */
	FAULT_CONFIG_SHORT, /* half the config bytes, size and header agree */
	FAULT_CONFIG_ERROR, /* an empty reply: the error of GET_CONFIG */
	/* Instead of taking a request. */
	FAULT_DIE,	/* close the connection */
	FAULT_DIE_HALF, /* close it in the middle of the reply's header */
	/* At a time of its own. */
	FAULT_UNASKED,	       /* a reply before any request */
	FAULT_UNASKED_RUNNING, /* a reply that nobody asked for, when rings run */
	FAULT_DIE_RUNNING,
	FAULT_CHANNEL_GARBAGE,
	FAULT_CHANNEL_HUGE,    /* a header that promises 2 GiB */
	FAULT_CHANNEL_UNKNOWN, /* an id that is none, with an acknowledgement asked for */
	FAULT_CHANNEL_REPLY,
	FAULT_CHANNEL_CUT, /* half a header, then the end of the channel */
	FAULT_CHANNEL_CLOSED,
	FAULT_CONFIG_FLOOD, /* arg config changes */
	FAULT_CALL_STORM,   /* arg calls of each ring */
	FAULT_ERR,	    /* the error descriptor of each ring */
	/* In the used ring, instead of the first right entry. */
	FAULT_USED_RANGE, /* an id beyond the table */
	FAULT_USED_FREE,  /* the id of a descriptor that is no head on its way */
	FAULT_USED_LEN,	  /* more bytes than the chain has room for */
	FAULT_USED_TWICE, /* the same entry again */
	FAULT_USED_JUMP,  /* the index goes on by twice the ring */
	FAULT_USED_NEVER, /* nothing is ever used */
	N_FAULTS,
};

/* What the played back-end offers, and what it does wrong. Zero: all, nothing. */
struct played_script {
	uint64_t without_features, with_features;
	uint64_t without_protocol, with_protocol;
	bool only_version_1;	 /* no other feature, and no protocol feature */
	unsigned int n_rings;	 /* 0: the device's */
	unsigned int max_size;	 /* of a ring; larger ones are refused; 0: any */
	unsigned int config_cut; /* bytes that the config space lacks at its end */
	unsigned int n_slots;	 /* 0: PLAYED_MAX_SLOTS */
	bool lenient; /* the offer is not in order itself: what is broken now is a warning */
	enum played_fault fault;
	uint32_t message; /* at the first request of this id; 0: at the first of any */
	uint64_t arg;
};

struct played;

/* A device as far as a Linux driver needs one; rows are in played-devices.def. */
struct played_device {
	const char *name;
	unsigned int n_rings;
	unsigned int per_queue; /* rings that front-ends may take one of GET_QUEUE_NUM's for */
	uint64_t features;	/* of its own bits */
	uint32_t config_len;
	void (*make_config)(uint8_t *config); /* of zeroed bytes */
	/* Takes what is available on ring idx, as far as there is something to do with it. */
	void (*serve)(struct played *p, unsigned int idx);
	uint64_t poked; /* mask of rings where buffers lie until there is something for them */
};

extern const struct played_device played_devices[];
extern const size_t n_played_devices;

const struct played_device *played_device_find(const char *name);

struct played_ring {
	struct virtq q;
	struct vhu_vring_addr addr;
	uint32_t num;
	uint32_t base;
	bool num_set, addr_set, enabled, was_enabled, started, live;
	int kick_fd, call_fd, err_fd;
	bool polled;	   /* started without a kick descriptor */
	uint64_t ready_ns; /* live and enabled since then; 0: not yet */
	uint64_t late_ns;  /* since when buffers lie there without a kick; 0: none do */
	uint64_t n_chains, n_kicks;
};

struct played {
	const struct played_device *device;
	struct played_script script;
	int fd;		/* -1: the connection is over */
	int channel_fd; /* or -1 */
	bool left;	/* the front-end closed the connection */
	bool died;	/* we did, as the script wants it, or because of a broken rule */
	struct vhu_nego nego;
	uint64_t features, protocol; /* offered */
	unsigned int n_rings;
	struct played_ring rings[PLAYED_MAX_RINGS];
	struct played_slot {
		struct vhu_region wire;
		struct gmem_region *region;
	} slots[PLAYED_MAX_SLOTS];
	unsigned int n_slots;
	struct gmem *mem;
	uint8_t status;
	uint8_t config[256];
	struct vhu_inflight inflight; /* handed out; size 0: none */
	uint8_t *disk;		      /* the device's memory, of block */
	uint8_t *answers;	      /* packets on their way to the driver, of vsock */
	size_t n_answers;	      /* bytes */
	bool newline_sent;	      /* of console */

	struct played_point rules[VHU_N_RULES];
	struct played_point duties[N_DUTIES];
	char lines[PLAYED_LINES][PLAYED_LINE];
	uint64_t n_lines;
	FILE *trace;		    /* every line goes there, too; or NULL. Lent */
	uint64_t began_ns, last_ns; /* of the last message */
	uint64_t ran_ns;	    /* when the first chain was taken; 0: none was */
	uint64_t n_messages;
	uint64_t n_chains;
	uint32_t seen[64];  /* front-end requests, by id */
	uint32_t asked[64]; /* of them, with an acknowledgement asked for, after REPLY_ACK */
	uint32_t last_id;

	bool fault_done;
	uint64_t fault_ns;
	uint64_t messages_at_fault, chains_at_fault;
	unsigned int n_nacks; /* on the channel, and acknowledgements */
	unsigned int n_acks;
	uint64_t channel_asked_ns; /* when the answer became due; 0: none is */
	struct vhu_msg channel_request;
	bool channel_closed; /* by the front-end */
};

/* Takes fd, a new connection. device is lent. 0 or -ENOMEM, and played_fini() is due. */
int played_init(struct played *p, int fd, const struct played_device *device,
		const struct played_script *script);
void played_fini(struct played *p);

/*
 * Waits up to ms for something to happen and deals with it. other: a further
 * descriptor whose becoming readable ends the wait, or -1.
 */
void played_step(struct played *p, int ms, int other);

/* Whether some ring can be served, and how far all have come. */
bool played_rings_run(const struct played *p);

/* Closes the connection. */
void played_close(struct played *p);

/* BACKEND_CONFIG_CHANGE_MSG, acknowledged if that was agreed on. False: there is no channel for it.
 */
bool played_config_change(struct played *p);

/* The end of the session: what can be judged only then. */
void played_judge_end(struct played *p);

/* The faults that have a time of their own; called while rings run. */
void played_fault_running(struct played *p);

/* Name of a fault in words, for reports. */
const char *played_fault_text(enum played_fault fault);
bool played_fault_is_running(enum played_fault fault);
/* Late, or in pieces, but right: a front-end has to go on. */
bool played_fault_is_right(enum played_fault fault);

/* For its parts. */

PRINTF_LIKE(2, 3) void played_note(struct played *p, const char *fmt, ...);
void played_note_message(struct played *p, const char *arrow, const struct vhu_msg *m);

/* A duty applies, and is met or not. fmt: what was seen instead. */
PRINTF_LIKE(4, 5)
void played_judge(struct played *p, enum played_duty duty, bool met, const char *fmt, ...);

/* played-rules.c: a request by the rules of rules.def: the one that it breaks, or VHU_OK. */
enum vhu_rule played_judge_request(struct played *p, const struct vhu_msg *m, bool truncated);
void played_judge_rule(struct played *p, enum vhu_rule rule, bool met, const struct vhu_msg *m);
/* Whether a front-end can break it. */
bool played_rule_concerns(enum vhu_rule rule);
/* Broken by front-ends in use, and put up with by back-ends in use: a warning, and the request is
 * served. */
bool played_rule_is_lenient(enum vhu_rule rule);

/* played-requests.c: acts on a good request. False: it is refused. ret_reply: its own reply, if it
 * has one. */
bool played_act(struct played *p, struct vhu_msg *m, struct vhu_msg *ret_reply);

/* played-faults.c */
void played_answer(struct played *p, const struct vhu_msg *m, struct vhu_msg *reply);
bool played_fault_at(struct played *p, const struct vhu_msg *m); /* true: the connection is over */
void played_fault_asked(struct played *p);			 /* before the first request */
bool played_fault_used(struct played *p, unsigned int idx, uint16_t head, uint32_t len);
int played_send(struct played *p, int fd, const void *bytes, size_t len, const int *fds,
		size_t n_fds);

/* played-ring.c */
int played_rings_init(struct played *p);
void played_rings_fini(struct played *p);
void played_ring_update(struct played *p, unsigned int idx);
void played_rings_remap(struct played *p);
void played_ring_start(struct played *p, unsigned int idx);
void played_ring_stop(struct played *p, unsigned int idx);
void played_ring_kicked(struct played *p, unsigned int idx);
void played_rings_serve(struct played *p);
bool played_ring_runs(const struct played *p, unsigned int idx);
void played_ring_call(struct played *p, unsigned int idx);
/* The next chain; judges it. False: there is none. */
bool played_ring_pop(struct played *p, unsigned int idx, struct chain *ret_chain);
void played_ring_push(struct played *p, unsigned int idx, uint16_t head, uint32_t len);

#endif

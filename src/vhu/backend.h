/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * A back-end session: one front-end's connection to one device. It owns the
 * negotiation, the guest's memory and the rings; the device outlives it.
 *
 * Each message is checked by vhu/rules, the rings that its row names are
 * silenced, its handler runs, the answer goes out, the rings go on. Nothing
 * further is read in between, so order is kept for free.
 */
#ifndef VHU_VHU_BACKEND_H
#define VHU_VHU_BACKEND_H

#include "log.h"
#include "loop-fair.h"
#include "loop-share.h"
#include "loop.h"
#include "vhu/backend-channel.h"
#include "vhu/backend-inflight.h"
#include "vhu/backend-iommu.h"
#include "vhu/backend-log.h"
#include "vhu/backend-postcopy.h"
#include "vhu/backend-state.h"
#include "vhu/backend-vring.h"
#include "vhu/conn.h"
#include "vhu/rules.h"
#include "virtio/device.h"
#include "virtio/gmem.h"

enum {
	VHU_QUIESCE_DEADLINE_MS = 2000,
};

/* Bits of the device status (virtio 1.x, "Device Status Field"). */
enum {
	VIRTIO_STATUS_ACKNOWLEDGE = 0x01,
	VIRTIO_STATUS_DRIVER = 0x02,
	VIRTIO_STATUS_DRIVER_OK = 0x04,
	VIRTIO_STATUS_NEEDS_RESET = 0x40,
};

/* What became of a message. */
enum vhu_outcome {
	VHU_DONE,     /* in force; answer as the row says */
	VHU_REFUSED,  /* not executed: negative acknowledgement if asked for, else close */
	VHU_ANSWERED, /* in force; reply is what the row does not say */
	VHU_LATER,    /* not yet: the part that it waits for calls vhu_backend_act() again */
};

/* What keeps front-ends from filling the log, however many sessions they make of it. */
struct vhu_log_limits {
	struct log_limit sessions; /* that come and go */
	struct log_limit warnings; /* of a guest or peer that misbehaves */
};

struct vhu_backend_options {
	const char *who;	       /* prefix of log lines; copied */
	unsigned int max_queue_size;   /* power of two, at most 32768 */
	bool iommu;		       /* offer ACCESS_PLATFORM */
	struct vhu_log_limits *limits; /* lent; NULL: the session has its own */
	struct vhu_ear *ear;	       /* lent; NULL: nobody listens */
	/* Of a server: whether who has connected may be a front-end; says why not. NULL: yes. */
	bool (*admits)(void *arg, int fd);
	void *admits_arg;
	struct share *share; /* lent: what it costs is charged there; NULL: nowhere */
};

struct vhu_backend {
	struct loop *loop;
	struct vdev *dev;
	char who[32];
	struct vhu_conn conn;
	struct vhu_channel *channel;   /* NULL: none given */
	struct vhu_postcopy *postcopy; /* NULL: not advised of */
	struct vhu_state *state;       /* NULL: the device's was never moved */
	struct vhu_nego nego;
	struct gmem *mem; /* NULL: no table yet */
	struct vhu_backend_log log;
	struct vhu_backend_inflight inflight;
	struct iotlb *iotlb;	/* NULL: addresses are not translated */
	struct list_node lacks; /* of rings: translations to be asked for */
	struct vqio *vqs;
	unsigned int n_vqs;
	struct list_node ready_rings; /* to be served, the next one first */
	struct task serve_rings;
	struct fair turns;   /* of that */
	uint8_t status;	     /* virtio device status */
	bool config_pending; /* a config change to be told once rings run */

	/* What the front-end was seen to have, as opposed to what its guest uses
	 * (backend-device.c). */
	unsigned int n_named;	/* the highest ring named so far, and one; 0: unknown */
	bool rings_set_up;	/* a guest's driver has come: a ring was given a size */
	bool told_n_queues;	/* GET_QUEUE_NUM was answered */
	bool warned_few_queues; /* once per session */

	struct vhu_msg *msg; /* the request under way */
	struct vhu_msg reply;
	struct share *share; /* NULL: nobody counts */
	uint64_t began_ns;   /* work on the request, while it is ours; 0: it is not */
	bool read_put_off;   /* until the rest of its share is over */

	/* Quiesce (quiesce.c): rings first_vq .. first_vq + n_quiet are silenced. */
	unsigned int first_quiet, n_quiet;
	unsigned int n_busy; /* of them, those not idle yet */
	struct scope timer_scope;
	struct timer deadline;
	bool overdue; /* it has passed, and what came before it is looked at once more */

	bool closing;
	unsigned int n_open; /* parts that are not closed yet */
	void (*closed)(struct vhu_backend *b, void *arg);
	void *closed_arg;
	struct vhu_log_limits own_limits, *limits;
};

/*
 * Starts a session on fd (taken). dev is lent and outlives it. closed runs
 * once, from the loop, when the session has ended by itself or by
 * vhu_backend_close() and everything is released; the caller then frees it
 * with vhu_backend_free(). Returns 0 or -errno (fd is closed then).
 */
int vhu_backend_new(struct loop *loop, struct vdev *dev, int fd,
		    const struct vhu_backend_options *options,
		    void (*closed)(struct vhu_backend *b, void *arg), void *arg,
		    struct vhu_backend **ret_backend);
void vhu_backend_free(struct vhu_backend *b);

/* The rest of its share is over. */
void vhu_backend_rested(struct vhu_backend *b);

/* Ends the session; why is one sentence for the log, or NULL for silence. */
void vhu_backend_close(struct vhu_backend *b, enum log_level level, const char *why);

/* For the parts of the session. */

/* A session without its connection, whose operations are these. Errors as vhu_backend_new(). */
int vhu_backend_make(struct loop *loop, struct vdev *dev, const struct vhu_backend_options *options,
		     void (*closed)(struct vhu_backend *b, void *arg), void *arg,
		     struct vhu_backend **ret_backend);
extern const struct vhu_conn_ops vhu_backend_conn_ops;

/* Logs, rate-limited, why a message was refused. Always VHU_REFUSED. */
PRINTF_LIKE(2, 3)
enum vhu_outcome vhu_backend_refuse(struct vhu_backend *b, const char *fmt, ...);

/* One line, if limit lets it pass; it tells how many did not. */
PRINTF_LIKE(4, 5)
void vhu_log_limited(struct log_limit *limit, enum log_level level, const char *who,
		     const char *fmt, ...);

/* A misbehaving guest or peer, rate-limited. */
PRINTF_LIKE(3, 4)
void vhu_backend_warn(struct vhu_backend *b, const char *who, const char *fmt, ...);

bool vhu_backend_has_protocol(const struct vhu_backend *b, unsigned int bit);

/* Whether the device status lets the device act: not while a driver is short of DRIVER_OK. */
bool vhu_backend_driver_ok(const struct vhu_backend *b);

/* Tells the driver of a config change, now or as soon as a ring runs. */
void vhu_backend_flush_config(struct vhu_backend *b);

/* The device is beyond repair until it is reset (DEVICE_NEEDS_RESET). */
void vhu_backend_needs_reset(struct vhu_backend *b);

/* Takes note of the rings that an accepted request tells the front-end to have. */
void vhu_backend_note_rings(struct vhu_backend *b, const struct vhu_msg *msg);

/* The front-end has gone by itself: says so if it may have wanted other queues. */
void vhu_backend_note_departure(const struct vhu_backend *b);

/* A part that close() had to wait for is closed. */
void vhu_backend_part_closed(struct vhu_backend *b);

/* Whether the session has cost so much that nothing is taken from it for now. */
bool vhu_backend_rests(const struct vhu_backend *b);

/* quiesce.c: silences rings [first, first + n), then vhu_backend_act(). */
void vhu_quiesce_init(struct vhu_backend *b);
void vhu_quiesce_start(struct vhu_backend *b, unsigned int first, unsigned int n);
void vhu_quiesce_resume(struct vhu_backend *b);

/* The next request, unless replies are unsent or the share rests: then it comes after that. */
void vhu_backend_read_next(struct vhu_backend *b);

/* The rings are silent: run the handler of the request under way, answer, go on. */
void vhu_backend_act(struct vhu_backend *b);

/*
 * Handlers: one per row of messages.def, so that a row without one does not
 * link. A handler reads the request, which has passed vhu_check_request(), and
 * fills reply when the row has a reply of its own.
 */
typedef enum vhu_outcome vhu_handler_fn(struct vhu_backend *b, struct vhu_msg *msg,
					struct vhu_msg *reply);
#define FE(NAME, ...) vhu_handler_fn vhu_on_##NAME;
#include "vhu/messages.def"

#endif

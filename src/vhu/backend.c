/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/backend.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "fd.h"
#include "vhu/backend-userfault.h"
#include "vhu/codec.h"
#include "vhu/format.h"
#include "virtio/features.h"

/* What we do, exactly (VU-033): the device adds its own bits. */
static const uint64_t ring_features = BIT(VIRTIO_F_VERSION_1_BIT) |
				      BIT(VIRTIO_F_INDIRECT_DESC_BIT) |
				      BIT(VIRTIO_F_EVENT_IDX_BIT) | BIT(VIRTIO_F_RING_PACKED_BIT) |
				      BIT(VIRTIO_F_IN_ORDER_BIT) | BIT(VIRTIO_F_RING_RESET_BIT);

static const uint64_t protocol_features =
	BIT(VHU_PF_MQ_BIT) | BIT(VHU_PF_REPLY_ACK_BIT) | BIT(VHU_PF_BACKEND_REQ_BIT) |
	BIT(VHU_PF_CONFIG_BIT) | BIT(VHU_PF_RESET_DEVICE_BIT) |
	BIT(VHU_PF_INBAND_NOTIFICATIONS_BIT) | BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT) |
	BIT(VHU_PF_STATUS_BIT) | BIT(VHU_PF_DEVICE_STATE_BIT) | BIT(VHU_PF_LOG_SHMFD_BIT) |
	BIT(VHU_PF_INFLIGHT_SHMFD_BIT) | BIT(VHU_PF_GET_VRING_BASE_INFLIGHT_BIT) |
	BIT(VHU_PF_GET_VRING_BASE_SKIP_DRAIN_BIT) | BIT(VHU_PF_GPA_ADDRESSES_BIT);

static struct vhu_backend *to_backend(struct vhu_conn *conn)
{
	return container_of(conn, struct vhu_backend, conn);
}

bool vhu_backend_has_protocol(const struct vhu_backend *b, unsigned int bit)
{
	return vhu_nego_has_protocol(&b->nego, bit);
}

/*
 * A driver that has begun to write the status is waited for. But QEMU's generic
 * device writes FEATURES_OK and then nothing more, long after the guest's own
 * DRIVER_OK: that status holds nobody back.
 */
bool vhu_backend_driver_ok(const struct vhu_backend *b)
{
	return (b->status & VIRTIO_STATUS_DRIVER_OK) ||
	       !(b->status & (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER));
}

static PRINTF_LIKE(4, 0) void log_v(struct log_limit *limit, enum log_level level, const char *who,
				    const char *fmt, va_list args)
{
	unsigned int n_suppressed;
	char text[256];

	if (!log_enabled(level) || !log_limit_pass(limit, &n_suppressed))
		return;
	vsnprintf(text, sizeof(text), fmt, args);
	if (n_suppressed > 0)
		log_at(level, who, "%s (%u more like this were not shown)", text, n_suppressed);
	else
		log_at(level, who, "%s", text);
}

void vhu_log_limited(struct log_limit *limit, enum log_level level, const char *who,
		     const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_v(limit, level, who, fmt, args);
	va_end(args);
}

void vhu_backend_warn(struct vhu_backend *b, const char *who, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_v(&b->limits->warnings, LOG_LEVEL_WARNING, who, fmt, args);
	va_end(args);
}

enum vhu_outcome vhu_backend_refuse(struct vhu_backend *b, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_v(&b->limits->warnings, LOG_LEVEL_WARNING, b->who, fmt, args);
	va_end(args);
	return VHU_REFUSED;
}

/* Nothing is said to a suspended front-end: all rings stopped (VU-118, VU-154). */
static bool may_notify(const struct vhu_backend *b)
{
	for (unsigned int i = 0; i < b->n_vqs; i++)
		if (b->vqs[i].q.running)
			return true;
	return false;
}

void vhu_backend_flush_config(struct vhu_backend *b)
{
	if (b->config_pending && may_notify(b) && vhu_backend_has_protocol(b, VHU_PF_CONFIG_BIT) &&
	    vhu_channel_config_change(b))
		b->config_pending = false;
}

static void config_changed(void *carrier)
{
	struct vhu_backend *b = carrier;

	b->config_pending = true;
	vhu_backend_flush_config(b);
}

void vhu_backend_needs_reset(struct vhu_backend *b)
{
	if (!vhu_backend_has_protocol(b, VHU_PF_STATUS_BIT))
		return;
	b->status |= VIRTIO_STATUS_NEEDS_RESET;
	if (b->status & VIRTIO_STATUS_DRIVER_OK)
		config_changed(b);
}

/* The end of a session. */

static void release(struct vhu_backend *b)
{
	b->dev->config_changed = NULL;
	b->dev->carrier = NULL;
	b->dev->n_queues_seen = 0;
	for (unsigned int i = 0; i < b->n_vqs; i++)
		vqio_stop(&b->vqs[i]);
	vhu_log_release(b);
	vhu_inflight_drop(b);
	for (unsigned int i = 0; i < b->n_vqs; i++)
		vqio_fini(&b->vqs[i]);
	task_cancel(&b->serve_rings);
	fair_leave(b->loop, &b->turns);
	scope_fini(&b->timer_scope);
	vhu_postcopy_release(b);
	vhu_iommu_fini(b);
	gmem_unref(b->mem);
	b->mem = NULL;
	vhu_state_release(b);
	b->dev->ops->set_present(b->dev, false);
	b->closed(b, b->closed_arg);
}

void vhu_backend_part_closed(struct vhu_backend *b)
{
	if (--b->n_open == 0)
		release(b);
}

static void conn_closed(struct vhu_conn *conn)
{
	vhu_backend_part_closed(to_backend(conn));
}

static void ring_closed(struct scope *scope)
{
	vhu_backend_part_closed(container_of(scope, struct vqio, scope)->b);
}

static void timer_closed(struct scope *scope)
{
	vhu_backend_part_closed(container_of(scope, struct vhu_backend, timer_scope));
}

void vhu_backend_close(struct vhu_backend *b, enum log_level level, const char *why)
{
	if (b->closing)
		return;
	if (why)
		vhu_log_limited(&b->limits->sessions, level, b->who, "session closed: %s", why);
	b->closing = true;
	if (b->conn.ear)
		b->conn.ear->closed(b->conn.ear, why ? why : "");
	b->n_open += b->n_vqs + 1; /* the connection and the channel count already */
	for (unsigned int i = 0; i < b->n_vqs; i++) {
		vqio_silence(&b->vqs[i]);
		scope_cancel(&b->vqs[i].scope, ring_closed);
	}
	scope_cancel(&b->timer_scope, timer_closed);
	b->n_open += vhu_state_close(b);
	b->n_open += vhu_postcopy_close(b);
	vhu_channel_close(b);
	vhu_log_close(b);
	vhu_conn_close(&b->conn, conn_closed);
}

/* One message: check, silence, act, answer, go on. */

static void log_message(const struct vhu_backend *b, const char *what, const struct vhu_msg *msg)
{
	char line[512];

	if (!log_enabled(LOG_LEVEL_DEBUG))
		return;
	vhu_format_line(line, sizeof(line), msg);
	log_debug(b->who, "%s %s", what, line);
}

bool vhu_backend_rests(const struct vhu_backend *b)
{
	return b->share && share_rests(b->share);
}

void vhu_backend_read_next(struct vhu_backend *b)
{
	b->read_put_off = vhu_backend_rests(b);
	if (b->read_put_off)
		return;
	/* A front-end that does not take its replies is not read from (VU-020). */
	if (!b->closing && !vhu_conn_sending(&b->conn))
		vhu_conn_read(&b->conn);
}

void vhu_backend_rested(struct vhu_backend *b)
{
	if (b->closing)
		return;
	for (unsigned int i = 0; i < b->n_vqs; i++)
		vqio_update(&b->vqs[i]);
	if (b->read_put_off)
		vhu_backend_read_next(b);
}

/* The request has been dealt with. */
static void charge(struct vhu_backend *b)
{
	if (b->share && b->began_ns > 0)
		share_charge_since(b->share, b->began_ns, SHARE_MESSAGE_NS);
	else if (b->share)
		share_charge(b->share, SHARE_MESSAGE_NS);
}

static void send_reply(struct vhu_backend *b)
{
	int err;

	log_message(b, "->", &b->reply);
	err = vhu_conn_send(&b->conn, &b->reply);
	if (err < 0 && !b->closing) {
		log_errno(LOG_LEVEL_ERROR, b->who, err, "cannot answer %s",
			  vhu_msg_name(VHU_FE, b->reply.id));
		vhu_backend_close(b, LOG_LEVEL_ERROR, "no answer can be sent");
	}
}

/*
 * A refusal: the acknowledgement if one was asked for, the empty reply by
 * which GET_CONFIG says no (VU-145), the error of SET_DEVICE_STATE_FD (VU-198),
 * else the end of the session.
 */
static void answer_refusal(struct vhu_backend *b)
{
	const struct vhu_desc *desc = vhu_desc_find(VHU_FE, b->msg->id);
	bool asked = vhu_reply_due(&b->nego, b->msg);
	char why[96];

	vhu_msg_init_reply(&b->reply, b->msg);
	if (b->msg->id == VHU_FE_GET_CONFIG && vhu_backend_has_protocol(b, VHU_PF_CONFIG_BIT)) {
		send_reply(b);
	} else if (b->msg->id == VHU_FE_SET_DEVICE_STATE_FD &&
		   vhu_backend_has_protocol(b, VHU_PF_DEVICE_STATE_BIT)) {
		vhu_msg_put_u64(&b->reply, VHU_DEVICE_STATE_NOFD | VHU_STATE_FAILED);
		send_reply(b);
	} else if ((b->msg->id == VHU_FE_IOTLB_MSG && b->iotlb) ||
		   (asked && !(desc && vhu_has_own_reply(desc, &b->nego)))) {
		/* That one's own reply is a number that says whether it was done, too (VU-211). */
		vhu_msg_put_u64(&b->reply, 1);
		send_reply(b);
	} else {
		snprintf(why, sizeof(why), "%s was refused and has no way to be told",
			 desc ? desc->name : "an unknown request");
		vhu_backend_close(b, LOG_LEVEL_WARNING, why);
	}
}

static vhu_handler_fn *const handlers[] = {
#define FE(NAME, id, ...) [id] = vhu_on_##NAME,
#include "vhu/messages.def"
};

void vhu_backend_act(struct vhu_backend *b)
{
	struct vhu_msg *msg = b->msg;
	enum vhu_outcome outcome;
	bool due;

	vhu_msg_init_reply(&b->reply, msg);
	outcome = handlers[msg->id](b, msg, &b->reply);
	if (outcome == VHU_LATER)
		return;
	if (outcome != VHU_REFUSED) {
		vhu_observe(&b->nego, msg);
		vhu_backend_note_rings(b, msg);
	}
	if (b->closing)
		return;
	vhu_quiesce_resume(b);
	due = outcome == VHU_ANSWERED || vhu_reply_due(&b->nego, msg);
	if (outcome == VHU_REFUSED)
		answer_refusal(b);
	else if (due && outcome == VHU_DONE &&
		 !vhu_has_own_reply(vhu_desc_find(VHU_FE, msg->id), &b->nego))
		vhu_msg_put_u64(&b->reply, 0);
	if (outcome != VHU_REFUSED && due)
		send_reply(b);
	charge(b);
	vhu_backend_read_next(b);
}

static void refuse_rule(struct vhu_backend *b, enum vhu_rule rule)
{
	char line[160];

	vhu_format_line(line, sizeof(line), b->msg);
	vhu_backend_refuse(b, "refused %s: expected that %s%s [%s]", line, vhu_rule_text(rule),
			   rule == VHU_RULE_NUM_MAX ? " (--max-queue-size)" : "",
			   vhu_rule_name(rule));
	if (vhu_rule_severity(rule) == VHU_CLOSE) {
		vhu_backend_close(b, LOG_LEVEL_WARNING, "the message cannot be answered");
		return;
	}
	answer_refusal(b);
	charge(b);
	vhu_backend_read_next(b);
}

static void take_message(struct vhu_backend *b, struct vhu_msg *msg)
{
	const struct vhu_desc *desc;
	enum vhu_rule rule;
	uint32_t ring = 0;

	b->msg = msg;
	log_message(b, "<-", msg);
	rule = vhu_postcopy_is_leave(b, msg) ? VHU_OK : vhu_check_request(&b->nego, msg);
	if (rule != VHU_OK && vhu_rule_severity(rule) != VHU_NOTE) {
		refuse_rule(b, rule);
		return;
	}
	if (rule != VHU_OK)
		log_debug(b->who, "noted: expected that %s [%s]", vhu_rule_text(rule),
			  vhu_rule_ref(rule));
	desc = vhu_desc_find(VHU_FE, msg->id);
	if (desc->quiesce == VHU_QUIESCE_RING && vhu_msg_ring(msg, &ring))
		vhu_quiesce_start(b, ring, 1);
	else
		vhu_quiesce_start(b, 0, desc->quiesce == VHU_QUIESCE_ALL ? b->n_vqs : 0);
}

static void on_message(struct vhu_conn *conn, struct vhu_msg *msg)
{
	struct vhu_backend *b = to_backend(conn);

	b->began_ns = b->share ? monotonic_ns() : 0;
	take_message(b, msg);
	b->began_ns = 0;
}

static enum vhu_rule on_header(struct vhu_conn *conn, const struct vhu_msg *msg)
{
	return vhu_check_header(&to_backend(conn)->nego, msg);
}

static void on_sent(struct vhu_conn *conn)
{
	vhu_backend_read_next(to_backend(conn));
}

static void on_ended(struct vhu_conn *conn, int err, enum vhu_rule rule)
{
	struct vhu_backend *b = to_backend(conn);
	char why[256];

	if (rule != VHU_OK) {
		snprintf(why, sizeof(why), "expected that %s [%s: %s]", vhu_rule_text(rule),
			 vhu_rule_name(rule), vhu_rule_ref(rule));
		vhu_backend_close(b, LOG_LEVEL_WARNING, why);
	} else if (err == -ELOOP) {
		vhu_backend_close(b, LOG_LEVEL_WARNING,
				  "a descriptor leads to this very socket: expected another one");
	} else if (err == -EMFILE) {
		vhu_backend_close(b, LOG_LEVEL_ERROR,
				  "descriptors of its message were lost: this process may have no "
				  "more of them (LimitNOFILE=)");
	} else if (err < 0 && err != -ECONNRESET) {
		vhu_backend_close(b, LOG_LEVEL_WARNING, strerror(-err));
	} else {
		vhu_backend_note_departure(b);
		vhu_backend_close(b, LOG_LEVEL_INFO, "the front-end is gone");
	}
}

const struct vhu_conn_ops vhu_backend_conn_ops = {
	.header = on_header,
	.message = on_message,
	.sent = on_sent,
	.ended = on_ended,
};

static void offer(struct vhu_backend *b, const struct vhu_backend_options *options)
{
	vhu_nego_init(&b->nego);
	b->nego.offered_features = b->dev->ops->features(b->dev) | ring_features |
				   BIT(VHU_F_PROTOCOL_FEATURES_BIT) | BIT(VHOST_F_LOG_ALL_BIT);
	if (options->iommu)
		b->nego.offered_features |= BIT(VIRTIO_F_ACCESS_PLATFORM_BIT);
	b->nego.offered_protocol = protocol_features;
	if (vhu_postcopy_works(b->who))
		b->nego.offered_protocol |= BIT(VHU_PF_PAGEFAULT_BIT);
	b->nego.n_queues = b->n_vqs;
	b->nego.max_queue_size = options->max_queue_size;
}

int vhu_backend_make(struct loop *loop, struct vdev *dev, const struct vhu_backend_options *options,
		     void (*closed)(struct vhu_backend *b, void *arg), void *arg,
		     struct vhu_backend **ret_backend)
{
	struct vhu_backend *b = calloc(1, sizeof(*b));
	int err = 0;

	assert(dev->n_queues <= VHU_MAX_RINGS);
	if (b)
		b->vqs = calloc(dev->n_queues, sizeof(*b->vqs));
	if (!b || !b->vqs) {
		vhu_backend_free(b);
		return -ENOMEM;
	}
	b->loop = loop;
	b->dev = dev;
	b->log = VHU_BACKEND_LOG_NONE;
	b->inflight = VHU_BACKEND_INFLIGHT_NONE;
	b->share = options->share;
	b->limits = options->limits ? options->limits : &b->own_limits;
	list_init(&b->ready_rings);
	list_init(&b->lacks);
	task_init(&b->serve_rings, vqio_serve_ready);
	snprintf(b->who, sizeof(b->who), "%s", options->who);
	vhu_quiesce_init(b);
	for (; b->n_vqs < dev->n_queues && err == 0; b->n_vqs++)
		err = vqio_init(&b->vqs[b->n_vqs], b, b->n_vqs, options->max_queue_size);
	if (err < 0) {
		while (b->n_vqs > 0)
			vqio_fini(&b->vqs[--b->n_vqs]);
		vhu_backend_free(b);
		return err;
	}
	offer(b, options);
	b->closed = closed;
	b->closed_arg = arg;
	dev->n_queues_seen = 0;
	dev->carrier = b;
	dev->config_changed = config_changed;
	dev->ops->set_features(dev, 0);
	dev->ops->set_present(dev, true);
	b->n_open = 1; /* the connection */
	*ret_backend = b;
	return 0;
}

int vhu_backend_new(struct loop *loop, struct vdev *dev, int fd,
		    const struct vhu_backend_options *options,
		    void (*closed)(struct vhu_backend *b, void *arg), void *arg,
		    struct vhu_backend **ret_backend)
{
	struct vhu_backend *b;
	int err = vhu_backend_make(loop, dev, options, closed, arg, &b);

	if (err < 0) {
		fd_close(fd);
		return err;
	}
	vhu_conn_init(&b->conn, loop, fd, VHU_FE, &vhu_backend_conn_ops);
	b->conn.ear = options->ear;
	if (options->ear)
		options->ear->opened(options->ear);
	vhu_conn_read(&b->conn);
	*ret_backend = b;
	return 0;
}

void vhu_backend_free(struct vhu_backend *b)
{
	if (!b)
		return;
	free(b->vqs);
	free(b);
}

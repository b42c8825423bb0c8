/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* What a back-end says of itself, and how it takes connections. */
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "conform/target/process.h"
#include "conform/target/target.h"
#include "vhu/codec.h"
#include "vhu/frontend.h"
#include "virtio/features.h"

enum {
	ANSWER_MS = 2000,  /* for a request of the probe */
	OTHER_MS = 500,	   /* a connection that is not answered so long is not served */
	LEAVE_MS = 200,	   /* to end after its only front-end has left */
	SETTLE_MS = 60,	   /* no change of the number of descriptors for so long, */
	SETTLED_MS = 2000, /* but at most so long */
	TICK_MS = 5,
	LATE_MS = 100,	 /* for an answer that comes after another */
	SKIPPED_MAX = 4, /* of those */
	N_PLAIN = 5,	 /* sessions to learn what each of them costs */
};

/* What the probe accepts: requests that only ask. */
#define ASKING (BIT(VHU_PF_MQ_BIT) | BIT(VHU_PF_CONFIG_BIT) | BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT))

static int open_session(struct target *target, struct vhu_frontend *fe, int ms)
{
	int fd, err = target_connect(target, &fd);

	vhu_frontend_init(fe, -1);
	fe->timeout_ms = target_ms(target, ms);
	if (err == 0)
		vhu_frontend_attach(fe, fd);
	return err;
}

/*
 * Questions. Answers are taken as they come, right or wrong: a back-end is not
 * there only when it says nothing.
 */

static int tell(struct vhu_frontend *fe, const struct vhu_msg *msg)
{
	return fe->fd >= 0 ? vhu_frontend_send_unchecked(fe, msg) : -ENOTCONN;
}

/* The first answer that names the request, or else the first at all. */
static int ask_for(struct vhu_frontend *fe, const struct vhu_msg *msg, struct vhu_msg *ret_reply)
{
	struct vhu_msg next;
	int err = tell(fe, msg);

	if (err == 0)
		err = vhu_frontend_receive(fe, ret_reply, fe->timeout_ms);
	if (err < 0)
		return err;
	fdset_close(&ret_reply->fds);
	for (unsigned int i = 0; i < SKIPPED_MAX && ret_reply->id != msg->id; i++) {
		if (vhu_frontend_receive(fe, &next, LATE_MS) < 0)
			break;
		fdset_close(&next.fds);
		if (next.id == msg->id)
			*ret_reply = next;
	}
	return 0;
}

static int ask_u64(struct vhu_frontend *fe, enum vhu_fe_id id, uint64_t *ret_value)
{
	struct vhu_msg msg, reply;
	int err;

	vhu_msg_init(&msg, VHU_FE, id);
	err = ask_for(fe, &msg, &reply);
	if (err == 0)
		*ret_value = vhu_msg_u64(&reply);
	return err;
}

/* Another message's value is no offer: 0 then, and the cases say what is wrong. */
static int ask_protocol(struct vhu_frontend *fe, uint64_t *ret_value)
{
	struct vhu_msg msg, reply;
	int err;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_PROTOCOL_FEATURES);
	err = ask_for(fe, &msg, &reply);
	if (err == 0 && (reply.id != msg.id || reply.size != sizeof(uint64_t)))
		err = -EPROTO;
	if (err == 0)
		*ret_value = vhu_msg_u64(&reply);
	return err;
}

static int tell_u64(struct vhu_frontend *fe, enum vhu_fe_id id, uint64_t value)
{
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, id);
	vhu_msg_put_u64(&msg, value);
	return tell(fe, &msg);
}

static int tell_owner(struct vhu_frontend *fe)
{
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_OWNER);
	return tell(fe, &msg);
}

/* Config. */

/* Whether anything is given out; that it may be the wrong thing is for the cases to tell. */
static bool can_read(struct vhu_frontend *fe, uint32_t len, uint8_t *bytes)
{
	struct vhu_config config = { .size = len };
	const uint32_t head = offsetof(struct vhu_config, bytes);
	struct vhu_msg msg, reply;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_GET_CONFIG);
	vhu_msg_put(&msg, &config, head + len);
	if (ask_for(fe, &msg, &reply) < 0 || reply.size <= head)
		return false;
	vhu_msg_get(&reply, &config, sizeof(config));
	memcpy(bytes, config.bytes, len);
	return true;
}

/* The longest piece from offset 0 that is given out. */
static void read_config(struct vhu_frontend *fe, struct target_info *info)
{
	uint32_t good = 0, bad = sizeof(info->config) + 1, len = sizeof(info->config);
	uint8_t bytes[sizeof(info->config)];

	while (good + 1 < bad) {
		if (can_read(fe, len, bytes)) {
			memcpy(info->config, bytes, len);
			good = len;
		} else {
			bad = len;
		}
		len = good + (bad - good) / 2;
	}
	info->config_len = good;
}

/* Asking. */

static void ask_more(struct vhu_frontend *fe, struct target_info *info)
{
	uint64_t value;

	if (!(info->features & BIT(VHU_F_PROTOCOL_FEATURES_BIT)) ||
	    ask_protocol(fe, &info->protocol) < 0 ||
	    tell_u64(fe, VHU_FE_SET_PROTOCOL_FEATURES, info->protocol & ASKING) < 0)
		return;
	if ((info->protocol & BIT(VHU_PF_MQ_BIT)) && ask_u64(fe, VHU_FE_GET_QUEUE_NUM, &value) == 0)
		info->n_rings = (unsigned int)(value < VHU_MAX_RINGS ? value : VHU_MAX_RINGS);
	if ((info->protocol & BIT(VHU_PF_CONFIGURE_MEM_SLOTS_BIT)) &&
	    ask_u64(fe, VHU_FE_GET_MAX_MEM_SLOTS, &value) == 0)
		info->max_slots = value;
	if (tell_owner(fe) == 0 && (info->protocol & BIT(VHU_PF_CONFIG_BIT)))
		read_config(fe, info);
}

int target_ask(const struct target *target, int fd, int ms)
{
	struct vhu_frontend fe;
	int err;

	vhu_frontend_init(&fe, fd);
	fe.timeout_ms = target_ms(target, ms);
	err = vhu_frontend_ping(&fe);
	fe.fd = -1;
	vhu_frontend_fini(&fe);
	return err;
}

/* One that gives it out only once features were accepted, which it should not wait for. */
static void ask_config_late(struct target *target)
{
	struct target_info *info = &target->info;
	const uint64_t features =
		info->features & (BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VHU_F_PROTOCOL_FEATURES_BIT));
	struct vhu_frontend fe;
	uint64_t value;

	if (open_session(target, &fe, ANSWER_MS) == 0 && tell_owner(&fe) == 0 &&
	    ask_u64(&fe, VHU_FE_GET_FEATURES, &value) == 0 &&
	    ask_u64(&fe, VHU_FE_GET_PROTOCOL_FEATURES, &value) == 0 &&
	    tell_u64(&fe, VHU_FE_SET_PROTOCOL_FEATURES, info->protocol & ASKING) == 0 &&
	    tell_u64(&fe, VHU_FE_SET_FEATURES, features) == 0)
		read_config(&fe, info);
	vhu_frontend_fini(&fe);
}

/* The only connection stays as new as can be: it is asked, and nothing is set. */
static int ask_once(struct target *target)
{
	struct target_info *info = &target->info;
	struct vhu_frontend fe;
	int err;

	vhu_frontend_init(&fe, target->connect_fd);
	fe.timeout_ms = target_ms(target, ANSWER_MS);
	err = ask_u64(&fe, VHU_FE_GET_FEATURES, &info->features);
	if (err < 0)
		target_fail(target, err, "GET_FEATURES: expected %s", fe.error);
	else if (info->features & BIT(VHU_F_PROTOCOL_FEATURES_BIT))
		(void)ask_protocol(&fe, &info->protocol);
	fe.fd = -1;
	vhu_frontend_fini(&fe);
	return err;
}

static int ask(struct target *target)
{
	struct target_info *info = &target->info;
	struct vhu_frontend fe;
	int err = open_session(target, &fe, ANSWER_MS);

	if (err == 0) {
		err = ask_u64(&fe, VHU_FE_GET_FEATURES, &info->features);
		if (err < 0)
			target_fail(target, err, "GET_FEATURES: expected %s", fe.error);
	}
	if (err == 0)
		ask_more(&fe, info);
	vhu_frontend_fini(&fe);
	if (err == 0 && (info->protocol & BIT(VHU_PF_CONFIG_BIT)) && info->config_len == 0)
		ask_config_late(target);
	return err;
}

/* How it takes connections. */

static bool answers(struct target *target, struct vhu_frontend *fe, int ms)
{
	uint64_t features;

	return open_session(target, fe, ms) == 0 &&
	       ask_u64(fe, VHU_FE_GET_FEATURES, &features) == 0;
}

void target_closes_early(struct target *target)
{
	target->info.closes_early = true;
	target->n_sessions--;
}

/* One front-end right after another: where some are closed at once others are served. */
static bool replace_session(struct target *target)
{
	int64_t deadline = monotonic_ms() + target_ms(target, ANSWER_MS);
	int fd, err;

	do {
		if (target_connect(target, &fd) < 0)
			return false;
		err = target_ask(target, fd, ANSWER_MS);
		fd_close(fd);
		if (err == -ECONNRESET)
			target_closes_early(target);
	} while (err == -ECONNRESET && monotonic_ms() < deadline);
	return err == 0;
}

static void probe_persistence(struct target *target)
{
	/* One that ends takes a moment for it, and its socket may outlive it. */
	if (target_ended(target, target_ms(target, LEAVE_MS)))
		return;
	target->info.persistent = replace_session(target);
	if (!target->info.persistent)
		target->info.closes_early = false;
}

static void probe_parallel(struct target *target)
{
	struct vhu_frontend first, second;

	if (answers(target, &first, ANSWER_MS)) {
		target->info.parallel = answers(target, &second, OTHER_MS);
		vhu_frontend_fini(&second);
		if (!target->info.parallel && target->info.closes_early)
			target_closes_early(target);
	}
	vhu_frontend_fini(&first);
}

/* Sessions are closed some time after their connections. */
static int settled_fds(const struct target *target)
{
	int64_t now = monotonic_ms(), end = now + target_ms(target, SETTLED_MS), since = now;
	int n = process_n_fds(target->pid), was = n;

	while (n > 0 && now < end && now < since + target_ms(target, SETTLE_MS)) {
		(void)target_wait_fd(target->pidfd, TICK_MS);
		now = monotonic_ms();
		n = process_n_fds(target->pid);
		if (n != was)
			since = now;
		was = n;
	}
	return n;
}

int target_n_fds(const struct target *target)
{
	int n = process_n_fds(target->pid);

	return n < 0 ? n : n - target->n_sessions * target->info.lost_fds;
}

/* What sessions cost in which nothing is done. */
static void probe_plain_sessions(struct target *target)
{
	int before = settled_fds(target), sessions = target->n_sessions, after;

	for (unsigned int i = 0; i < N_PLAIN; i++)
		if (!replace_session(target))
			return;
	after = settled_fds(target);
	sessions = target->n_sessions - sessions;
	if (before >= 0 && after > before)
		target->info.lost_fds = (after - before + sessions / 2) / sessions;
}

void target_rest(struct target *target)
{
	target_drop_spare(target);
	settled_fds(target);
	target->idle_fds = target_n_fds(target);
}

int target_probe(struct target *target, unsigned int device_min_rings)
{
	int err = target_start(target);

	target->info = (struct target_info){ .n_rings = device_min_rings };
	if (err < 0)
		return err;
	if (!target->path)
		return ask_once(target);
	err = ask(target);
	if (err < 0)
		return err;
	probe_persistence(target);
	if (!target->info.persistent && target->exec) {
		target_stop(target);
		if (target_start(target) < 0)
			return 0;
	}
	target->visible = process_visible(target->pid);
	if (target->info.persistent)
		probe_plain_sessions(target);
	probe_parallel(target);
	if (target->info.persistent)
		target_rest(target);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Messages about rings. */
#include <sys/stat.h>

#include "fd.h"
#include "vhu/backend.h"
#include "vhu/codec.h"

static struct vqio *ring_of(struct vhu_backend *b, uint32_t idx)
{
	return &b->vqs[idx]; /* vhu_check_request() has checked the range */
}

static struct vqio *ring_of_state(struct vhu_backend *b, const struct vhu_msg *msg,
				  uint32_t *ret_num)
{
	struct vhu_vring_state state;

	vhu_msg_get(msg, &state, sizeof(state));
	*ret_num = state.num;
	return ring_of(b, state.index);
}

/*
 * A size or a base for a live ring begins a new set-up: UML and libkrun reset
 * rings like that, without GET_VRING_BASE (VU-095). It is stopped until the
 * next kick descriptor or message. A ring that was kicked before it had them
 * goes live when all is there (VU-121).
 */
enum vhu_outcome vhu_on_SET_VRING_NUM(struct vhu_backend *b, struct vhu_msg *msg,
				      struct vhu_msg *reply)
{
	uint32_t num;
	struct vqio *v = ring_of_state(b, msg, &num);

	(void)reply;
	if (v->live)
		vqio_stop(v);
	v->num = num;
	v->num_set = true;
	vqio_go_live(v);
	return VHU_DONE;
}

enum vhu_outcome vhu_on_SET_VRING_BASE(struct vhu_backend *b, struct vhu_msg *msg,
				       struct vhu_msg *reply)
{
	uint32_t num;
	struct vqio *v = ring_of_state(b, msg, &num);

	(void)reply;
	if (v->live)
		vqio_stop(v);
	v->base = num;
	return VHU_DONE;
}

/*
 * On a running ring front-ends only flip the log flag, so indices stay (VU-094).
 * A log address without the flag means nothing.
 */
enum vhu_outcome vhu_on_SET_VRING_ADDR(struct vhu_backend *b, struct vhu_msg *msg,
				       struct vhu_msg *reply)
{
	struct vhu_vring_addr addr;
	struct vqio *v;
	bool same;

	(void)reply;
	vhu_msg_get(msg, &addr, sizeof(addr));
	v = ring_of(b, addr.index);
	same = v->addr_set && v->addr.desc == addr.desc && v->addr.avail == addr.avail &&
	       v->addr.used == addr.used;
	v->addr = addr;
	v->addr_set = true;
	vhu_log_update_ring(v, b->nego.features);
	if (same)
		return VHU_DONE;
	if (v->live) {
		vqio_stop(v);
		v->started = true;
	}
	vqio_go_live(v);
	return VHU_DONE;
}

enum vhu_outcome vhu_on_GET_VRING_BASE(struct vhu_backend *b, struct vhu_msg *msg,
				       struct vhu_msg *reply)
{
	uint32_t num;
	struct vqio *v = ring_of_state(b, msg, &num);
	struct vhu_vring_state state = { .index = v->q.idx };

	vqio_stop(v);
	v->polled = false;
	v->call_again = false;
	v->kick_fd = fd_close(v->kick_fd);
	v->call_fd = fd_close(v->call_fd);
	vhu_inflight_ring_stopped(v);
	state.num = v->base;
	vhu_msg_put(reply, &state, sizeof(state));
	return VHU_DONE;
}

static struct vqio *ring_of_word(struct vhu_backend *b, const struct vhu_msg *msg)
{
	return ring_of(b, (uint32_t)(vhu_msg_u64(msg) & VHU_VRING_IDX_MASK));
}

/* seccomp: fstat newfstatat */
bool vqio_takes_fd(struct vhu_backend *b, const struct vhu_msg *msg)
{
	struct stat st = { 0 };
	int fd = msg->fds.n_fds > 0 ? msg->fds.fd[0] : -1;

	/* An eventfd has no file type. */
	if (fd < 0 || (fstat(fd, &st) == 0 && ((st.st_mode & S_IFMT) == 0 || S_ISFIFO(st.st_mode) ||
					       S_ISSOCK(st.st_mode))))
		return true;
	vhu_backend_refuse(b, "%s: expected an eventfd, a pipe or a socket",
			   vhu_msg_name(VHU_FE, msg->id));
	return false;
}

bool vqio_fd_can_wait(int fd)
{
	struct stat st;

	return fd >= 0 && (fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) != 0);
}

void vqio_note_fds(struct vqio *v)
{
	v->kick.apart = vqio_fd_can_wait(v->kick_fd);
	v->call.apart = vqio_fd_can_wait(v->call_fd);
	v->err.apart = vqio_fd_can_wait(v->err_fd);
}

/* Puts the message's descriptor, or -1, in the place of the one there, which nothing uses. */
static bool replace_fd(struct vhu_backend *b, int *fd, struct op *op, struct vhu_msg *msg)
{
	if (!vqio_takes_fd(b, msg))
		return false;
	fd_close(*fd);
	*fd = fdset_take(&msg->fds, 0);
	op->apart = vqio_fd_can_wait(*fd);
	return true;
}

/* Starts the ring; a kick that was sent before we listened is made good by serving it. */
enum vhu_outcome vhu_on_SET_VRING_KICK(struct vhu_backend *b, struct vhu_msg *msg,
				       struct vhu_msg *reply)
{
	struct vqio *v = ring_of_word(b, msg);

	(void)reply;
	if (!replace_fd(b, &v->kick_fd, &v->kick, msg))
		return VHU_REFUSED;
	v->polled = v->kick_fd < 0 && !vhu_backend_has_protocol(b, VHU_PF_INBAND_NOTIFICATIONS_BIT);
	if (virtq_broken(&v->q.vq) == VIRTQ_FAULT_KICK)
		vqio_stop(v); /* what was wrong has been replaced */
	vqio_start(v);
	return VHU_DONE;
}

enum vhu_outcome vhu_on_SET_VRING_CALL(struct vhu_backend *b, struct vhu_msg *msg,
				       struct vhu_msg *reply)
{
	struct vqio *v = ring_of_word(b, msg);

	(void)reply;
	if (!replace_fd(b, &v->call_fd, &v->call, msg))
		return VHU_REFUSED;
	/* What the old descriptor was told may never have been read (VU-134). */
	v->call_again = v->live && v->call_fd >= 0;
	return VHU_DONE;
}

enum vhu_outcome vhu_on_SET_VRING_ERR(struct vhu_backend *b, struct vhu_msg *msg,
				      struct vhu_msg *reply)
{
	struct vqio *v = ring_of_word(b, msg);

	(void)reply;
	return replace_fd(b, &v->err_fd, &v->err, msg) ? VHU_DONE : VHU_REFUSED;
}

enum vhu_outcome vhu_on_SET_VRING_ENABLE(struct vhu_backend *b, struct vhu_msg *msg,
					 struct vhu_msg *reply)
{
	uint32_t num;
	struct vqio *v = ring_of_state(b, msg, &num);

	(void)reply;
	v->enabled = num == 1;
	return VHU_DONE;
}

/* The acknowledgement says that the ring has been served (VU-139). */
enum vhu_outcome vhu_on_VRING_KICK(struct vhu_backend *b, struct vhu_msg *msg,
				   struct vhu_msg *reply)
{
	uint32_t num;
	struct vqio *v = ring_of_state(b, msg, &num);

	(void)reply;
	if (!v->started)
		vqio_start(v);
	vqio_note_kick(v);
	vqio_service_now(v);
	return VHU_DONE;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/backend-log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "vhu/backend.h"
#include "vhu/codec.h"

/* It outlives its place in the session by the write that is under way. */
struct vhu_log_signal {
	struct vhu_backend *b;
	struct scope scope;
	struct op write;
	int fd;
	bool again; /* the log has changed since that write began */
};

static const uint64_t one = 1;

static void write_done(struct op *op, int res)
{
	struct vhu_log_signal *s = container_of(op, struct vhu_log_signal, write);

	if (res == -EDEADLK) /* it held up the loop, and so all others */
		vhu_backend_close(s->b, LOG_LEVEL_WARNING,
				  "the dirty log's descriptor was ready, and then made us wait");
	/* A descriptor that takes no more was signalled and not read: told already. */
	else if (res < 0 && res != -EAGAIN && res != -ECANCELED && res != -EINTR)
		vhu_backend_warn(s->b, s->b->who,
				 "cannot signal that the dirty log has changed (error %d)", -res);
	if (s->again && !scope_cancelling(&s->scope)) {
		s->again = false;
		op_write(op, s->fd, &one, sizeof(one));
	}
}

static void signal_idle(struct scope *scope)
{
	struct vhu_log_signal *s = container_of(scope, struct vhu_log_signal, scope);
	struct vhu_backend *b = s->b;

	scope_fini(&s->scope);
	fd_close(s->fd);
	free(s);
	vhu_backend_part_closed(b);
}

void vhu_log_close(struct vhu_backend *b)
{
	struct vhu_log_signal *s = b->log.signal;

	b->log.signal = NULL;
	if (s)
		scope_cancel(&s->scope, signal_idle);
}

int vhu_log_set_signal(struct vhu_backend *b, int fd)
{
	struct vhu_log_signal *s = calloc(1, sizeof(*s));

	if (!s) {
		fd_close(fd);
		return -ENOMEM;
	}
	vhu_log_close(b);
	s->b = b;
	s->fd = fd;
	scope_init(&s->scope, b->loop);
	op_init(&s->write, &s->scope, write_done);
	s->write.apart = vqio_fd_can_wait(fd);
	b->log.signal = s;
	b->n_open++;
	return 0;
}

int vhu_log_signal_fd(const struct vhu_backend *b)
{
	return b->log.signal ? b->log.signal->fd : -1;
}

static void warn_missed(struct vhu_backend *b)
{
	if (b->log.warned || dirty_log_n_missed(b->log.map) == 0)
		return;
	b->log.warned = true;
	vhu_backend_warn(b, b->who,
			 "the dirty log of 0x%" PRIx64
			 " bytes ends before guest memory that the device writes to",
			 b->log.place.mmap_size);
}

void vhu_log_tell(struct vhu_backend *b)
{
	struct vhu_log_signal *s = b->log.signal;

	if (!b->log.map || !dirty_log_take_changed(b->log.map))
		return;
	warn_missed(b);
	if (!s)
		return;
	if (op_armed(&s->write))
		s->again = true;
	else
		op_write(&s->write, s->fd, &one, sizeof(one));
}

void vhu_log_update_ring(struct vqio *v, uint64_t features)
{
	bool on = features & BIT(VHOST_F_LOG_ALL_BIT);

	virtq_set_log(&v->q.vq, on ? v->b->log.map : NULL, v->addr.flags & VHU_VRING_F_LOG,
		      vhu_iommu_log_addr(v));
}

void vhu_log_update(struct vhu_backend *b, uint64_t features)
{
	for (unsigned int i = 0; i < b->n_vqs; i++)
		vhu_log_update_ring(&b->vqs[i], features);
}

/* Puts log, or none, in the place of the one there. */
static void replace(struct vhu_backend *b, struct dirty_log *map, int fd,
		    const struct vhu_log *place)
{
	struct dirty_log *old = b->log.map;

	b->log.map = map;
	b->log.place = *place;
	b->log.warned = false;
	fd_close(b->log.fd);
	b->log.fd = fd;
	vhu_log_update(b, b->nego.features);
	dirty_log_unref(old);
}

enum gmem_result vhu_log_set(struct vhu_backend *b, int fd, const struct vhu_log *place)
{
	struct dirty_log *map = NULL;
	enum gmem_result result = dirty_log_map(place->mmap_size, place->mmap_offset, fd, &map);

	if (result == GMEM_OK)
		replace(b, map, fd, place);
	else
		fd_close(fd);
	return result;
}

void vhu_log_release(struct vhu_backend *b)
{
	const struct vhu_log none = { .mmap_size = 0 };

	replace(b, NULL, -1, &none);
}

/* Another process. */

enum log_tag { LOG_FD = 1, LOG_SIZE, LOG_OFFSET, LOG_SIGNAL };

void vhu_log_save(const struct vhu_backend *b, struct handover_out *out, unsigned int tag)
{
	struct state_writer *w = &out->state;

	state_begin_group(w, tag);
	handover_put_fd(out, LOG_FD, b->log.map ? b->log.fd : -1);
	state_put_number(w, LOG_SIZE, b->log.place.mmap_size);
	state_put_number(w, LOG_OFFSET, b->log.place.mmap_offset);
	handover_put_fd(out, LOG_SIGNAL, vhu_log_signal_fd(b));
	state_end(w);
}

/* A change that was not told yet, or its telling cut short: so it is told in any case. */
static void load_signal(struct vhu_backend *b, struct state_reader *r, int fd)
{
	if (fd < 0)
		return;
	if (vhu_log_set_signal(b, fd) < 0)
		state_fail(r, "no memory");
	else if (b->log.map)
		op_write(&b->log.signal->write, fd, &one, sizeof(one));
}

void vhu_log_load(struct vhu_backend *b, struct handover_in *in, unsigned int tag)
{
	struct vhu_log place = { .mmap_size = 0 };
	struct state_reader *r = &in->state;
	enum gmem_result result = GMEM_OK;
	int fd;

	if (!state_enter(r, tag, "dirty log"))
		return;
	fd = handover_take_fd(in, LOG_FD, "file", false);
	place.mmap_size = state_take_number(r, LOG_SIZE, "size", UINT64_MAX);
	place.mmap_offset = state_take_number(r, LOG_OFFSET, "offset", UINT64_MAX);
	if (fd >= 0)
		result = vhu_log_set(b, fd, &place);
	if (result != GMEM_OK)
		state_fail(r, "%s", gmem_result_text(result));
	load_signal(b, r, handover_take_fd(in, LOG_SIGNAL, "signal", false));
	state_leave(r);
}

/*
 * The old log stays in force when the new one is no good: its reply cannot say
 * so, and the session ends. Without LOG_SHMFD there is no log that another
 * process could reach.
 */
enum vhu_outcome vhu_on_SET_LOG_BASE(struct vhu_backend *b, struct vhu_msg *msg,
				     struct vhu_msg *reply)
{
	struct vhu_log place = { .mmap_size = 0 };
	enum gmem_result result;

	if (!vhu_backend_has_protocol(b, VHU_PF_LOG_SHMFD_BIT)) {
		vhu_backend_warn(b, b->who,
				 "a dirty log without LOG_SHMFD cannot be reached: nothing is "
				 "logged");
		return VHU_DONE;
	}
	vhu_msg_get(msg, &place, sizeof(place));
	result = vhu_log_set(b, fdset_take(&msg->fds, 0), &place);
	if (result != GMEM_OK)
		return vhu_backend_refuse(
			b, "dirty log size 0x%" PRIx64 " offset 0x%" PRIx64 ": %s", place.mmap_size,
			place.mmap_offset, gmem_result_text(result));
	vhu_msg_put(reply, &place, sizeof(place));
	return VHU_DONE;
}

enum vhu_outcome vhu_on_SET_LOG_FD(struct vhu_backend *b, struct vhu_msg *msg,
				   struct vhu_msg *reply)
{
	(void)reply;
	if (!vqio_takes_fd(b, msg))
		return VHU_REFUSED;
	if (vhu_log_set_signal(b, fdset_take(&msg->fds, 0)) < 0)
		return vhu_backend_refuse(b, "no memory for the log's descriptor");
	return VHU_DONE;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/backend-inflight.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "vhu/backend.h"
#include "vhu/codec.h"
#include "virtio/features.h"

static bool is_packed(const struct vhu_backend *b)
{
	return vhu_nego_has_feature(&b->nego, VIRTIO_F_RING_PACKED_BIT);
}

static void replace(struct vhu_backend *b, struct inflight *record, int fd,
		    const struct vhu_inflight *place)
{
	inflight_unref(b->inflight.record);
	fd_close(b->inflight.fd);
	b->inflight = (struct vhu_backend_inflight){ record, fd, *place };
	b->dev->record = record;
	for (unsigned int i = 0; i < b->n_vqs; i++)
		virtq_set_inflight(&b->vqs[i].q.vq, record, i);
}

static enum gmem_result adopt(struct vhu_backend *b, int fd, const struct vhu_inflight *place,
			      bool packed)
{
	struct inflight *record = NULL;
	enum gmem_result result =
		inflight_map(place->mmap_size, place->mmap_offset, fd, place->num_queues,
			     place->queue_size, packed, &record);

	if (result == GMEM_OK)
		replace(b, record, fd, place);
	else
		fd_close(fd);
	return result;
}

enum gmem_result vhu_inflight_set(struct vhu_backend *b, int fd, const struct vhu_inflight *place)
{
	return adopt(b, fd, place, is_packed(b));
}

void vhu_inflight_drop(struct vhu_backend *b)
{
	const struct vhu_inflight none = { .mmap_size = 0 };

	replace(b, NULL, -1, &none);
}

void vhu_inflight_ring_stopped(struct vqio *v)
{
	struct inflight *record = v->b->inflight.record;

	if (record && inflight_fits(record, v->q.idx, 1, is_packed(v->b)))
		inflight_close(record, v->q.idx);
}

/* Another process. */

enum inflight_tag {
	INFLIGHT_FD = 1,
	INFLIGHT_SIZE,
	INFLIGHT_OFFSET,
	INFLIGHT_QUEUES,
	INFLIGHT_NUM,
	INFLIGHT_PACKED, /* as the features were when it was given, which may have come later */
};

void vhu_inflight_save(const struct vhu_backend *b, struct handover_out *out, unsigned int tag)
{
	const struct vhu_inflight *place = &b->inflight.place;
	struct state_writer *w = &out->state;

	if (!b->inflight.record)
		return;
	state_begin_group(w, tag);
	handover_put_fd(out, INFLIGHT_FD, b->inflight.fd);
	state_put_number(w, INFLIGHT_SIZE, place->mmap_size);
	state_put_number(w, INFLIGHT_OFFSET, place->mmap_offset);
	state_put_number(w, INFLIGHT_QUEUES, place->num_queues);
	state_put_number(w, INFLIGHT_NUM, place->queue_size);
	state_put_number(w, INFLIGHT_PACKED, inflight_is_packed(b->inflight.record));
	state_end(w);
}

void vhu_inflight_load(struct vhu_backend *b, struct handover_in *in, unsigned int tag)
{
	struct state_reader *r = &in->state;
	struct vhu_inflight place = { .mmap_size = 0 };
	enum gmem_result result;
	bool packed;
	int fd;

	if (!state_has(r, tag) || !state_enter(r, tag, "record of requests in flight"))
		return;
	fd = handover_take_fd(in, INFLIGHT_FD, "file", true);
	place.mmap_size = state_take_number(r, INFLIGHT_SIZE, "size", UINT64_MAX);
	place.mmap_offset = state_take_number(r, INFLIGHT_OFFSET, "offset", UINT64_MAX);
	place.num_queues = (uint16_t)state_take_number(r, INFLIGHT_QUEUES, "rings", UINT16_MAX);
	place.queue_size = (uint16_t)state_take_number(r, INFLIGHT_NUM, "entries", UINT16_MAX);
	packed = state_take_flag(r, INFLIGHT_PACKED, "packed");
	if (r->failed) {
		fd_close(fd);
	} else {
		result = adopt(b, fd, &place, packed);
		if (result != GMEM_OK)
			state_fail(r, "%s", gmem_result_text(result));
	}
	state_leave(r);
}

/*
 * A failure is an answer of size 0 without a descriptor. What is handed out is
 * not in force before it comes back: the front-end may ask at any time, and again
 * (VU-176).
 */
enum vhu_outcome vhu_on_GET_INFLIGHT_FD(struct vhu_backend *b, struct vhu_msg *msg,
					struct vhu_msg *reply)
{
	struct vhu_inflight place;
	struct inflight *record;
	int err = -EINVAL, fd = -1;

	vhu_msg_get(msg, &place, sizeof(place));
	if (place.num_queues <= VHU_MAX_RINGS)
		err = inflight_new(place.num_queues, place.queue_size, is_packed(b), &record, &fd);
	place.mmap_size = place.mmap_offset = 0;
	if (err == 0) {
		place.mmap_size = inflight_bytes(place.num_queues, place.queue_size, is_packed(b));
		inflight_unref(record);
		reply->fds.fd[reply->fds.n_fds++] = fd;
	} else {
		vhu_backend_warn(b, b->who,
				 "no record of requests in flight for %u rings of %u entries: %s",
				 place.num_queues, place.queue_size, strerror(-err));
	}
	vhu_msg_put(reply, &place, sizeof(place));
	return VHU_DONE;
}

enum vhu_outcome vhu_on_SET_INFLIGHT_FD(struct vhu_backend *b, struct vhu_msg *msg,
					struct vhu_msg *reply)
{
	struct vhu_inflight place;
	enum gmem_result result;

	(void)reply;
	vhu_msg_get(msg, &place, sizeof(place));
	result = vhu_inflight_set(b, fdset_take(&msg->fds, 0), &place);
	if (result == GMEM_OK)
		return VHU_DONE;
	return vhu_backend_refuse(b,
				  "record of requests in flight, size 0x%" PRIx64
				  " offset 0x%" PRIx64 " for %u rings of %u entries: %s",
				  place.mmap_size, place.mmap_offset, place.num_queues,
				  place.queue_size, gmem_result_text(result));
}

/*
 * The console returns or puts back what it has taken before its turn ends, so
 * nothing needs to be waited for, and what an earlier back-end left is in the
 * record: the two messages do the same.
 */
enum vhu_outcome vhu_on_GET_VRING_BASE_SKIP_DRAIN(struct vhu_backend *b, struct vhu_msg *msg,
						  struct vhu_msg *reply)
{
	return vhu_on_GET_VRING_BASE(b, msg, reply);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/cases/inflight.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "conform/cases/case-migration.h"
#include "conform/trial/trial-ring.h"

enum { OTHER_HALF = 8 }; /* from a head to the descriptor for what the device writes */

void trial_inflight_fini(struct trial_inflight *r)
{
	if (r->map)
		munmap(r->map, r->wire.mmap_size);
	r->map = NULL;
	r->fd = fd_close(r->fd);
}

uint64_t trial_inflight_protocol(const struct trial *t)
{
	return trial_protocol(t) | BIT(VHU_PF_INFLIGHT_SHMFD_BIT);
}

/* Without the device's own features: no handshake of its own is needed then. */
uint64_t trial_inflight_features(const struct trial *t)
{
	return trial_features(t) & ~(t->device ? t->device->features : 0);
}

void trial_inflight_get_message(struct vhu_msg *ret_msg, unsigned int n_queues,
				unsigned int queue_size)
{
	const struct vhu_inflight payload = {
		.num_queues = (uint16_t)n_queues,
		.queue_size = (uint16_t)queue_size,
	};

	vhu_msg_init(ret_msg, VHU_FE, VHU_FE_GET_INFLIGHT_FD);
	vhu_msg_put(ret_msg, &payload, sizeof(payload));
}

/* GET_INFLIGHT_FD, which must bring a description and one descriptor. */
int trial_inflight_get(struct trial *t, struct trial_inflight *r)
{
	unsigned int n = t->fe.n_rings;
	struct vhu_msg msg, reply;
	bool closed;
	int err;

	trial_inflight_get_message(&msg, n, TRIAL_RING);
	err = migration_ask(t, &msg, &reply, &closed);
	if (err < 0)
		return err;
	if (closed)
		return trial_fail(t,
				  "GET_INFLIGHT_FD of %u rings: expected a reply, but the "
				  "connection was closed",
				  n);
	if (reply.size == sizeof(r->wire) && reply.fds.n_fds == 1) {
		vhu_msg_get(&reply, &r->wire, sizeof(r->wire));
		r->fd = fdset_take(&reply.fds, 0);
		return 0;
	}
	fdset_close(&reply.fds);
	return trial_fail(t,
			  "GET_INFLIGHT_FD of %u rings: expected 24 bytes and one descriptor, but "
			  "%u bytes and %u came",
			  n, reply.size, reply.fds.n_fds);
}

int trial_inflight_map(struct trial *t, struct trial_inflight *r)
{
	struct stat st;

	if (fstat(r->fd, &st) < 0)
		return trial_error(t, "the record's file: %s", strerror(errno));
	if (r->wire.mmap_size == 0 ||
	    !range_within(r->wire.mmap_offset, r->wire.mmap_size, 0, (uint64_t)st.st_size))
		return trial_fail(t,
				  "GET_INFLIGHT_FD: expected a description within its file of %lld "
				  "bytes, but it says %llu bytes at offset %llu",
				  (long long)st.st_size, (unsigned long long)r->wire.mmap_size,
				  (unsigned long long)r->wire.mmap_offset);
	r->map = mmap(NULL, r->wire.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		      (off_t)r->wire.mmap_offset);
	if (r->map != MAP_FAILED)
		return 0;
	r->map = NULL;
	return trial_fail(t, "GET_INFLIGHT_FD: expected a file that can be mapped: %s",
			  strerror(errno));
}

size_t trial_inflight_bytes(unsigned int size)
{
	return sizeof(struct split_record) + size * sizeof(struct split_entry);
}

/* The part of ring idx: all parts are of one length. */
struct split_record *trial_inflight_of(const struct trial *t, const struct trial_inflight *r,
				       unsigned int idx)
{
	void *at = r->map + r->wire.mmap_size / t->fe.n_rings * idx;

	return at;
}

int trial_inflight_begin(struct trial *t, struct trial_inflight *r)
{
	int err = migration_begin(t, trial_inflight_features(t), trial_inflight_protocol(t));

	if (err == 0)
		err = trial_inflight_get(t, r);
	return err < 0 ? err : trial_inflight_map(t, r);
}

void trial_inflight_set_message(const struct trial *t, const struct trial_inflight *r,
				struct vhu_msg *ret_msg)
{
	trial_msg(t, ret_msg, VHU_FE_SET_INFLIGHT_FD);
	vhu_msg_put(ret_msg, &r->wire, sizeof(r->wire));
	ret_msg->fds.fd[ret_msg->fds.n_fds++] = r->fd;
}

int trial_inflight_set(struct trial *t, const struct trial_inflight *r)
{
	struct vhu_inflight wire = r->wire;
	struct vhu_msg msg;
	int err;

	wire.num_queues = (uint16_t)t->fe.n_rings;
	wire.queue_size = TRIAL_RING;
	trial_inflight_set_message(t, r, &msg);
	vhu_msg_put(&msg, &wire, sizeof(wire));
	err = trial_request(t, &msg, NULL);
	return err < 0 ? err : trial_ping(t);
}

int trial_inflight_make_request(struct trial *t, uint16_t head)
{
	unsigned int ring = trial_ring(t);
	struct trial_request q;
	int err = trial_make_request(t, &q);

	if (err < 0)
		return err;
	if (q.r.out_len == 0)
		trial_desc(t, ring, head, q.in_addr, (uint32_t)q.r.in_len, VRING_DESC_F_WRITE, 0);
	else if (q.r.in_len == 0)
		trial_desc(t, ring, head, q.out_addr, (uint32_t)q.r.out_len, 0, 0);
	else
		trial_desc(t, ring, head, q.out_addr, (uint32_t)q.r.out_len, VRING_DESC_F_NEXT,
			   (uint16_t)(head + OTHER_HALF));
	if (q.r.out_len > 0 && q.r.in_len > 0)
		trial_desc(t, ring, (uint16_t)(head + OTHER_HALF), q.in_addr, (uint32_t)q.r.in_len,
			   VRING_DESC_F_WRITE, 0);
	trial_avail(t, ring, head);
	return 0;
}

/* A ring and a record as a back-end that died left them: two requests fetched, none done. */
int trial_inflight_forge(struct trial *t, struct trial_inflight *r)
{
	struct split_record *part;
	int err = trial_inflight_begin(t, r);

	if (err == 0)
		err = trial_inflight_make_request(t, INFLIGHT_FIRST);
	if (err == 0)
		err = trial_inflight_make_request(t, INFLIGHT_SECOND);
	if (err < 0)
		return err;
	if (r->wire.mmap_size / t->fe.n_rings < trial_inflight_bytes(TRIAL_RING))
		return trial_fail(t, "a record of %llu bytes has no room for %u rings",
				  (unsigned long long)r->wire.mmap_size, t->fe.n_rings);
	part = trial_inflight_of(t, r, trial_ring(t));
	part->version = 1;
	part->desc_num = TRIAL_RING;
	part->desc[INFLIGHT_FIRST] = (struct split_entry){ .inflight = 1, .counter = 1 };
	part->desc[INFLIGHT_SECOND] = (struct split_entry){ .inflight = 1, .counter = 2 };
	t->fe.rings[trial_ring(t)].base = 2;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/frontend-rings.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "vhu/codec.h"
#include "virtio/features.h"

enum { RING_ALIGN = 4096 };

/* The plain memory: no address space begins at 0 or where another does. */
static const struct vhu_region plain = {
	.guest_addr = 0x40000000,
	.user_addr = 0x7f5500000000,
	.mmap_offset = 0x100000,
};

int vhu_frontend_make_memory(struct vhu_frontend *fe, const struct vhu_region *regions,
			     unsigned int n)
{
	uint64_t len = 0;

	for (unsigned int i = 0; i < n; i++) {
		uint64_t end;

		if (!add_u64(regions[i].mmap_offset, regions[i].size, &end) || end > SIZE_MAX / 2)
			return vhu_frontend_fail(fe, -EINVAL, "a region within a file");
		len = end > len ? end : len;
	}
	if (n == 0 || n > VHU_MAX_REGIONS || fe->mem_fd >= 0)
		return vhu_frontend_fail(fe, -EINVAL, "memory of one to eight regions, once");
	fe->mem_fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fe->mem_fd < 0 || ftruncate(fe->mem_fd, (off_t)len) < 0 ||
	    (fe->seal_memory && fcntl(fe->mem_fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0))
		return vhu_frontend_fail(fe, -errno, "a file for memory: %s", strerror(errno));
	fe->mem_map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fe->mem_fd, 0);
	if (fe->mem_map == MAP_FAILED) {
		fe->mem_map = NULL;
		return vhu_frontend_fail(fe, -errno, "memory mapped: %s", strerror(errno));
	}
	fe->mem_len = len;
	fe->n_regions = n;
	for (unsigned int i = 0; i < n; i++)
		fe->regions[i] = (struct vhu_frontend_region){
			.wire = regions[i],
			.host = fe->mem_map + regions[i].mmap_offset,
		};
	return 0;
}

int vhu_frontend_make_plain_memory(struct vhu_frontend *fe, uint64_t len, bool flat)
{
	struct vhu_region region = plain;

	region.size = len;
	if (flat)
		region.user_addr = region.guest_addr;
	return vhu_frontend_make_memory(fe, &region, 1);
}

void *vhu_frontend_alloc(struct vhu_frontend *fe, size_t len, size_t align,
			 uint64_t *ret_guest_addr)
{
	for (unsigned int i = 0; i < fe->n_regions; i++) {
		struct vhu_frontend_region *r = &fe->regions[i];
		size_t at = (r->n_taken + align - 1) & ~(align - 1);

		if (at > r->wire.size || len > r->wire.size - at)
			continue;
		r->n_taken = at + len;
		*ret_guest_addr = r->wire.guest_addr + at + fe->iova_shift;
		memset(r->host + at, 0, len);
		return r->host + at;
	}
	vhu_frontend_fail(fe, -ENOMEM, "%zu bytes of guest memory", len);
	return NULL;
}

/* Of an address as vhu_frontend_alloc() gives it. */
static const struct vhu_frontend_region *region_of(const struct vhu_frontend *fe,
						   uint64_t guest_addr)
{
	for (unsigned int i = 0; i < fe->n_regions; i++)
		if (range_within(guest_addr - fe->iova_shift, 1, fe->regions[i].wire.guest_addr,
				 fe->regions[i].wire.size))
			return &fe->regions[i];
	return NULL;
}

void *vhu_frontend_host(const struct vhu_frontend *fe, uint64_t guest_addr)
{
	const struct vhu_frontend_region *r = region_of(fe, guest_addr);

	return r ? r->host + (guest_addr - fe->iova_shift - r->wire.guest_addr) : NULL;
}

uint64_t vhu_frontend_user_addr(const struct vhu_frontend *fe, uint64_t guest_addr)
{
	const struct vhu_frontend_region *r = region_of(fe, guest_addr);

	if (vhu_nego_has_feature(&fe->nego, VIRTIO_F_ACCESS_PLATFORM_BIT) ||
	    vhu_frontend_has_protocol(fe, VHU_PF_GPA_ADDRESSES_BIT))
		return guest_addr;
	return r ? r->wire.user_addr + (guest_addr - r->wire.guest_addr) : 0;
}

/* A region as messages have it: with GPA_ADDRESSES there are no addresses but the guest's. */
static struct vhu_region wire_region(const struct vhu_frontend *fe, unsigned int i)
{
	struct vhu_region region = fe->regions[i].wire;

	if (vhu_frontend_has_protocol(fe, VHU_PF_GPA_ADDRESSES_BIT))
		region.user_addr = region.guest_addr;
	return region;
}

/* Messages about memory. */

static int request(struct vhu_frontend *fe, struct vhu_msg *msg, bool need_reply)
{
	if ((need_reply || fe->ack_all) && vhu_frontend_has_protocol(fe, VHU_PF_REPLY_ACK_BIT))
		msg->flags |= VHU_FLAG_NEED_REPLY;
	return vhu_frontend_request(fe, msg, NULL, fe->timeout_ms);
}

void vhu_frontend_mem_table_message(const struct vhu_frontend *fe, struct vhu_msg *ret_msg)
{
	struct vhu_mem_table table = { .n_regions = fe->n_regions };

	vhu_msg_init(ret_msg, VHU_FE, VHU_FE_SET_MEM_TABLE);
	for (unsigned int i = 0; i < fe->n_regions; i++) {
		table.regions[i] = wire_region(fe, i);
		ret_msg->fds.fd[ret_msg->fds.n_fds++] = fe->mem_fd;
	}
	vhu_msg_put(ret_msg, &table,
		    offsetof(struct vhu_mem_table, regions) +
			    fe->n_regions * sizeof(table.regions[0]));
}

int vhu_frontend_set_mem_table(struct vhu_frontend *fe, size_t payload_len, bool need_reply)
{
	struct vhu_msg msg;

	vhu_frontend_mem_table_message(fe, &msg);
	payload_len = min_size(payload_len, sizeof(struct vhu_mem_table));
	if (payload_len > msg.size) {
		memset(msg.payload + msg.size, 0, payload_len - msg.size);
		msg.size = (uint32_t)payload_len;
	}
	return request(fe, &msg, need_reply);
}

static void region_message(const struct vhu_frontend *fe, struct vhu_msg *msg, enum vhu_fe_id id,
			   unsigned int i)
{
	struct vhu_single_region single = { .region = wire_region(fe, i) };

	vhu_msg_init(msg, VHU_FE, id);
	if (id == VHU_FE_REM_MEM_REG)
		single.region.mmap_offset = 0; /* as QEMU: it does not identify a region */
	vhu_msg_put(msg, &single, sizeof(single));
}

int vhu_frontend_add_region(struct vhu_frontend *fe, unsigned int i, bool need_reply)
{
	struct vhu_msg msg;
	int err;

	region_message(fe, &msg, VHU_FE_ADD_MEM_REG, i);
	msg.fds.fd[msg.fds.n_fds++] = fe->mem_fd;
	err = request(fe, &msg, need_reply);
	if (err == 0)
		fe->regions[i].added = true;
	return err;
}

int vhu_frontend_remove_region(struct vhu_frontend *fe, unsigned int i, bool with_fd,
			       bool need_reply)
{
	struct vhu_msg msg;
	int err;

	region_message(fe, &msg, VHU_FE_REM_MEM_REG, i);
	if (with_fd)
		msg.fds.fd[msg.fds.n_fds++] = fe->mem_fd;
	err = request(fe, &msg, need_reply);
	if (err == 0)
		fe->regions[i].added = false;
	return err;
}

/* Rings. */

static void close_ring_fds(struct vhu_frontend_ring *r)
{
	if (r->call_peer != r->call_fd)
		fd_close(r->call_peer);
	r->call_peer = -1;
	r->call_fd = fd_close(r->call_fd);
	r->kick_fd = fd_close(r->kick_fd);
	r->err_fd = fd_close(r->err_fd);
}

static bool make_call(struct vhu_frontend_ring *r, enum vhu_call_kind kind)
{
	int fds[2];

	switch (kind) {
	case VHU_CALL_NONE:
		return true;
	case VHU_CALL_EVENTFD:
		r->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); /* as most do */
		r->call_peer = r->call_fd;
		break;
	case VHU_CALL_SOCKET:
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0) {
			r->call_fd = fds[0];
			r->call_peer = fds[1];
		}
		break;
	}
	return r->call_fd >= 0;
}

static int make_descriptors(struct vhu_frontend *fe, struct vhu_frontend_ring *r,
			    enum vhu_call_kind call)
{
	int err;

	r->kick_fd = eventfd(0, EFD_CLOEXEC);
	r->err_fd = eventfd(0, EFD_CLOEXEC);
	if (r->kick_fd >= 0 && r->err_fd >= 0 && make_call(r, call))
		return 0;
	err = -errno;
	close_ring_fds(r);
	return vhu_frontend_fail(fe, err, "descriptors for rings: %s", strerror(-err));
}

int vhu_frontend_make_rings(struct vhu_frontend *fe, unsigned int n, enum vhu_call_kind call)
{
	int err = 0;

	if (n > VHU_MAX_RINGS)
		return vhu_frontend_fail(fe, -EINVAL, "at most %d rings", VHU_MAX_RINGS);
	fe->rings = calloc(n, sizeof(*fe->rings));
	if (!fe->rings)
		return vhu_frontend_fail(fe, -ENOMEM, "memory for rings");
	for (; fe->n_rings < n; fe->n_rings++) {
		struct vhu_frontend_ring *r = &fe->rings[fe->n_rings];

		r->call_fd = -1;
		r->call_peer = -1;
		r->kick_fd = -1;
		r->err_fd = -1;
		if (n <= VHU_MAX_FD_RINGS)
			err = make_descriptors(fe, r, call);
		if (err < 0)
			return err;
	}
	return 0;
}

int vhu_frontend_make_ring(struct vhu_frontend *fe, unsigned int idx, unsigned int size,
			   uint64_t features)
{
	struct vhu_frontend_ring *r = &fe->rings[idx];
	int err;

	driverq_fini(&r->q);
	r->size = 0;
	r->block = vhu_frontend_alloc(fe, driverq_bytes(size), RING_ALIGN, &r->guest_addr);
	if (!r->block)
		return -ENOMEM;
	err = driverq_init(&r->q, r->block, r->guest_addr, size, features);
	if (err < 0)
		return vhu_frontend_fail(fe, err, "a ring of %u entries", size);
	r->size = size;
	r->base = driverq_base(&r->q);
	return 0;
}

void vhu_frontend_reset_ring(struct vhu_frontend *fe, unsigned int idx)
{
	if (idx >= fe->n_rings)
		return;
	driverq_reset(&fe->rings[idx].q);
	fe->rings[idx].base = driverq_base(&fe->rings[idx].q);
}

int vhu_frontend_vring_addr(struct vhu_frontend *fe, unsigned int idx, uint32_t flags, uint64_t log,
			    bool need_reply)
{
	const struct driverq *q = &fe->rings[idx].q;
	struct vhu_vring_addr addr = {
		.index = idx,
		.flags = flags,
		.desc = vhu_frontend_user_addr(fe, q->desc_addr),
		.used = vhu_frontend_user_addr(fe, q->used_addr),
		.avail = vhu_frontend_user_addr(fe, q->avail_addr),
		.log = log,
	};
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_VRING_ADDR);
	vhu_msg_put(&msg, &addr, sizeof(addr));
	return request(fe, &msg, need_reply);
}

/* Notifications. */

int vhu_frontend_kick(struct vhu_frontend *fe, unsigned int idx)
{
	static const uint64_t one = 1;
	int fd = fe->rings[idx].kick_fd;

	if (fe->ear && fe->ear->kicked)
		fe->ear->kicked(fe->ear->arg, idx);
	if (vhu_frontend_has_protocol(fe, VHU_PF_INBAND_NOTIFICATIONS_BIT))
		return vhu_frontend_vring(fe, VHU_FE_VRING_KICK, idx, 0, true);
	if (fd < 0 || write(fd, &one, sizeof(one)) >= 0)
		return 0;
	if (errno == EPIPE)
		return vhu_frontend_fail(fe, -EPROTO,
					 "the back-end to keep the kick descriptor, "
					 "but nobody reads it any more");
	return vhu_frontend_fail(fe, -errno, "a kick: %s", strerror(errno));
}

/* One read takes an eventfd's whole count, or many calls of a socket; who never stops calling is
 * not listened to for ever. */
static bool take_descriptor_calls(int fd)
{
	enum { READS_MAX = 256 };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t values[64];
	bool any = false;

	for (int i = 0; i < READS_MAX && fd >= 0 && poll(&p, 1, 0) > 0; i++) {
		if (!(p.revents & POLLIN) || read(fd, values, sizeof(values)) <= 0)
			break;
		any = true;
	}
	return any;
}

bool vhu_frontend_take_calls(struct vhu_frontend *fe, unsigned int idx)
{
	struct vhu_frontend_ring *r;
	bool any;

	if (idx >= fe->n_rings)
		return false;
	r = &fe->rings[idx];
	any = take_descriptor_calls(r->call_fd);
	if (r->calls_seen != fe->heard.n_calls[idx])
		any = true;
	r->calls_seen = fe->heard.n_calls[idx];
	return any;
}

int vhu_frontend_await_call(struct vhu_frontend *fe, unsigned int idx, int timeout_ms)
{
	int64_t deadline = monotonic_ms() + timeout_ms;
	bool late = false;
	int err = 0;

	while (err == 0) {
		int64_t left = deadline - monotonic_ms();

		if (vhu_frontend_take_calls(fe, idx))
			return 0;
		if (late) {
			err = -ETIMEDOUT;
			break;
		}
		late = left <= 0;
		/* In-band calls come on the channel, which is served while we wait. */
		err = vhu_frontend_await_readable(fe, &fe->rings[idx].call_fd, 1,
						  late ? 0 : (int)left);
	}
	if (err == -ETIMEDOUT)
		vhu_frontend_fail(fe, err, "a call for ring %u", idx);
	return err;
}

int vhu_frontend_await_any_call(struct vhu_frontend *fe, int timeout_ms)
{
	int fds[VHU_MAX_FD_RINGS];
	size_t n = 0;

	for (unsigned int i = 0; i < fe->n_rings; i++)
		if (fe->rings[i].call_fd >= 0)
			fds[n++] = fe->rings[i].call_fd;
	return vhu_frontend_await_readable(fe, fds, n, timeout_ms);
}

int vhu_frontend_publish(struct vhu_frontend *fe, unsigned int idx)
{
	return driverq_publish(&fe->rings[idx].q) ? vhu_frontend_kick(fe, idx) : 0;
}

int vhu_frontend_await_used(struct vhu_frontend *fe, unsigned int idx, void **ret_token,
			    uint32_t *ret_len, int timeout_ms)
{
	struct driverq *q = &fe->rings[idx].q;
	int64_t deadline = monotonic_ms() + timeout_ms;

	for (;;) {
		enum driverq_result result = driverq_get(q, ret_token, ret_len);
		int64_t left = deadline - monotonic_ms();
		int err;

		if (result == DRIVERQ_USED)
			return 0;
		if (result != DRIVERQ_EMPTY)
			return vhu_frontend_fail(fe, -EPROTO, "ring %u to be kept: %s", idx,
						 driverq_result_text(result));
		if (driverq_calls_on(q))
			continue;
		err = left > 0 ? vhu_frontend_await_call(fe, idx, (int)left) : -ETIMEDOUT;
		if (err < 0)
			return vhu_frontend_fail(fe, err, "a chain to come back on ring %u", idx);
		driverq_calls_off(q);
	}
}

void vhu_frontend_fini(struct vhu_frontend *fe)
{
	vhu_frontend_disconnect(fe);
	for (unsigned int i = 0; i < fe->n_rings; i++) {
		close_ring_fds(&fe->rings[i]);
		driverq_fini(&fe->rings[i].q);
	}
	free(fe->rings);
	if (fe->mem_map)
		munmap(fe->mem_map, fe->mem_len);
	fd_close(fe->mem_fd);
	vhu_frontend_init(fe, -1);
}

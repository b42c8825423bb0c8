/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/frontend-log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhu/codec.h"

enum { PAGES_PER_BYTE = 8 };

/* Memory's own bytes and some pages more, in bytes of log. */
static uint64_t log_size(const struct vhu_frontend *fe)
{
	uint64_t end = 0;

	for (unsigned int i = 0; i < fe->n_regions; i++) {
		const struct vhu_region *r = &fe->regions[i].wire;

		if (r->guest_addr + r->size > end)
			end = r->guest_addr + r->size;
	}
	return end / VHU_LOG_PAGE / PAGES_PER_BYTE + VHU_LOG_PAGE;
}

int vhu_frontend_log_make(struct vhu_frontend *fe, struct vhu_frontend_log *log, uint64_t offset)
{
	uint64_t size = log_size(fe), len;

	*log = (struct vhu_frontend_log){ .fd = -1, .size = size, .offset = offset };
	if (!add_u64(size, offset, &len) || len > SIZE_MAX / 2)
		return vhu_frontend_fail(fe, -EINVAL, "a log within a file");
	log->map_len = ((size_t)len + VHU_LOG_PAGE - 1) / VHU_LOG_PAGE * VHU_LOG_PAGE;
	log->fd = memfd_create("log", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (log->fd < 0 || ftruncate(log->fd, (off_t)log->map_len) < 0 ||
	    fcntl(log->fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		return vhu_frontend_fail(fe, -errno, "a file for the log: %s", strerror(errno));
	log->map = mmap(NULL, log->map_len, PROT_READ | PROT_WRITE, MAP_SHARED, log->fd, 0);
	if (log->map != MAP_FAILED)
		return 0;
	log->map = NULL;
	return vhu_frontend_fail(fe, -errno, "the log mapped: %s", strerror(errno));
}

void vhu_frontend_log_fini(struct vhu_frontend_log *log)
{
	if (log->map)
		munmap(log->map, log->map_len);
	log->map = NULL;
	log->fd = fd_close(log->fd);
}

int vhu_frontend_log_give(struct vhu_frontend *fe, const struct vhu_frontend_log *log)
{
	const struct vhu_log payload = { .mmap_size = log->size, .mmap_offset = log->offset };
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_LOG_BASE);
	vhu_msg_put(&msg, &payload, sizeof(payload));
	if (!vhu_frontend_has_protocol(fe, VHU_PF_LOG_SHMFD_BIT))
		return vhu_frontend_fail(fe, -EINVAL, "LOG_SHMFD to be accepted before a log");
	msg.fds.fd[msg.fds.n_fds++] = log->fd;
	return vhu_frontend_request(fe, &msg, NULL, fe->timeout_ms);
}

int vhu_frontend_log_fd(struct vhu_frontend *fe, int fd)
{
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_LOG_FD);
	if (vhu_frontend_has_protocol(fe, VHU_PF_REPLY_ACK_BIT))
		msg.flags |= VHU_FLAG_NEED_REPLY;
	msg.fds.fd[msg.fds.n_fds++] = fd;
	return vhu_frontend_request(fe, &msg, NULL, fe->timeout_ms);
}

/* Where a device writes when it returns a chain: in a packed ring, to the descriptors. */
static uint64_t returned_at(const struct vhu_frontend *fe, const struct driverq *q)
{
	return (q->packed ? q->desc_addr : q->used_addr) - fe->iova_shift;
}

int vhu_frontend_log_switch(struct vhu_frontend *fe, unsigned int n, bool on)
{
	uint64_t features = fe->nego.features & ~BIT(VHOST_F_LOG_ALL_BIT);
	int err;

	if (on)
		features |= BIT(VHOST_F_LOG_ALL_BIT);
	err = vhu_frontend_set_u64(fe, VHU_FE_SET_FEATURES, features, true);
	for (unsigned int i = 0; i < n && i < fe->n_rings && err == 0; i++)
		if (fe->rings[i].size > 0)
			err = vhu_frontend_vring_addr(fe, i, on ? VHU_VRING_F_LOG : 0,
						      returned_at(fe, &fe->rings[i].q), true);
	return err == 0 ? vhu_frontend_ping(fe) : err;
}

/* The byte of an address, or NULL beyond the log; *ret_mask: its bit there. */
static uint8_t *byte_of(const struct vhu_frontend_log *log, uint64_t guest_addr, uint8_t *ret_mask)
{
	uint64_t page = guest_addr / VHU_LOG_PAGE;

	if (page / PAGES_PER_BYTE >= log->size)
		return NULL;
	*ret_mask = (uint8_t)(1U << page % PAGES_PER_BYTE);
	return log->map + log->offset + page / PAGES_PER_BYTE;
}

bool vhu_frontend_log_has(const struct vhu_frontend_log *log, uint64_t guest_addr)
{
	uint8_t mask;
	const uint8_t *byte = byte_of(log, guest_addr, &mask);

	return byte && (__atomic_load_n(byte, __ATOMIC_ACQUIRE) & mask);
}

bool vhu_frontend_log_take(struct vhu_frontend_log *log, uint64_t guest_addr)
{
	uint8_t mask;
	uint8_t *byte = byte_of(log, guest_addr, &mask);

	if (!byte || !(__atomic_load_n(byte, __ATOMIC_RELAXED) & mask))
		return false;
	return __atomic_fetch_and(byte, (uint8_t)~mask, __ATOMIC_SEQ_CST) & mask;
}

unsigned int vhu_frontend_log_count(const struct vhu_frontend_log *log)
{
	unsigned int n = 0;

	for (size_t i = 0; i < log->map_len; i++)
		n += (unsigned int)__builtin_popcount(
			__atomic_load_n(&log->map[i], __ATOMIC_RELAXED));
	return n;
}

void vhu_frontend_log_clear(struct vhu_frontend_log *log)
{
	for (size_t i = 0; i < log->map_len; i++)
		if (__atomic_load_n(&log->map[i], __ATOMIC_RELAXED))
			__atomic_store_n(&log->map[i], 0, __ATOMIC_SEQ_CST);
}

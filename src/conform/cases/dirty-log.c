/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/cases/dirty-log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conform/cases/case-migration.h"
#include "virtio/features.h"

enum { PAGE = DIRTY_LOG_PAGE, PAGES_PER_BYTE = 8 };

void dirty_log_fini(struct dirty_log *log)
{
	if (log->map)
		munmap(log->map, log->map_len);
	log->map = NULL;
	log->fd = fd_close(log->fd);
}

int dirty_log_make(struct trial *t, struct dirty_log *log, uint64_t size, uint64_t offset)
{
	log->size = size;
	log->offset = offset;
	log->map_len = (size_t)((offset + size + PAGE - 1) / PAGE * PAGE);
	log->fd = memfd_create("log", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (log->fd < 0 || ftruncate(log->fd, (off_t)log->map_len) < 0 ||
	    fcntl(log->fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		return trial_error(t, "a file for the log: %s", strerror(errno));
	log->map = mmap(NULL, log->map_len, PROT_READ | PROT_WRITE, MAP_SHARED, log->fd, 0);
	if (log->map == MAP_FAILED) {
		log->map = NULL;
		return trial_error(t, "the log mapped: %s", strerror(errno));
	}
	return 0;
}

/* Enough for all of guest memory. */
uint64_t dirty_log_size(const struct trial *t)
{
	uint64_t end = 0;

	for (unsigned int i = 0; i < t->fe.n_regions; i++) {
		const struct vhu_region *r = &t->fe.regions[i].wire;

		if (r->guest_addr + r->size > end)
			end = r->guest_addr + r->size;
	}
	return end / PAGE / PAGES_PER_BYTE + PAGE;
}

uint8_t *dirty_log_byte(const struct dirty_log *log, uint64_t addr)
{
	return log->map + log->offset + addr / PAGE / PAGES_PER_BYTE;
}

uint8_t dirty_log_mask(uint64_t addr)
{
	return (uint8_t)(1U << (addr / PAGE % PAGES_PER_BYTE));
}

bool dirty_log_has(const struct dirty_log *log, uint64_t addr)
{
	return (__atomic_load_n(dirty_log_byte(log, addr), __ATOMIC_ACQUIRE) &
		dirty_log_mask(addr)) != 0;
}

void dirty_log_clear(struct dirty_log *log)
{
	for (size_t i = 0; i < log->map_len; i++)
		if (log->map[i])
			__atomic_store_n(&log->map[i], 0, __ATOMIC_SEQ_CST);
}

/* Bits in the whole file, whatever they stand for. */
unsigned int dirty_log_count(const struct dirty_log *log)
{
	unsigned int n = 0;

	for (size_t i = 0; i < log->map_len; i++)
		n += (unsigned int)__builtin_popcount(log->map[i]);
	return n;
}

int dirty_log_ask(struct trial *t, const struct dirty_log *log, uint32_t *ret_len, bool *ret_closed)
{
	const struct vhu_log payload = { .mmap_size = log->size, .mmap_offset = log->offset };
	struct vhu_msg msg, reply;
	int err;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_LOG_BASE);
	vhu_msg_put(&msg, &payload, sizeof(payload));
	msg.fds.fd[msg.fds.n_fds++] = log->fd;
	err = migration_ask(t, &msg, &reply, ret_closed);
	if (err < 0 || *ret_closed)
		return err;
	*ret_len = reply.size;
	fdset_close(&reply.fds);
	return 0;
}

int dirty_log_give(struct trial *t, const struct dirty_log *log, uint32_t *ret_len)
{
	uint32_t len;
	bool closed;
	int err = dirty_log_ask(t, log, &len, &closed);

	if (err < 0)
		return err;
	if (closed)
		return trial_fail(t,
				  "SET_LOG_BASE of %llu bytes at offset %llu: expected a reply, "
				  "but the connection was closed",
				  (unsigned long long)log->size, (unsigned long long)log->offset);
	if (ret_len)
		*ret_len = len;
	return 0;
}

int dirty_log_switch(struct trial *t, bool on)
{
	uint64_t features = t->fe.nego.features & ~BIT(VHOST_F_LOG_ALL_BIT);
	int err = vhu_frontend_set_u64(&t->fe, VHU_FE_SET_FEATURES,
				       features | (on ? BIT(VHOST_F_LOG_ALL_BIT) : 0), true);

	err = trial_step(t, err, "SET_FEATURES %s LOG_ALL while rings run",
			 on ? "with" : "without");
	return err < 0 ? err : trial_ping(t);
}

uint64_t dirty_log_used_addr(const struct trial *t)
{
	return t->fe.rings[trial_ring(t)].q.used_addr;
}

/* Writes to the used ring of requests are logged, or not, from addr on. */
int dirty_log_used(struct trial *t, bool on, uint64_t addr)
{
	int err = vhu_frontend_vring_addr(&t->fe, trial_ring(t), on ? VHU_VRING_F_LOG : 0, addr,
					  true);

	err = trial_step(t, err, "SET_VRING_ADDR %s the log flag while the ring runs",
			 on ? "with" : "without");
	return err < 0 ? err : trial_ping(t);
}

int dirty_log_boot(struct trial *t)
{
	const struct trial_plan plan = { .with_protocol = BIT(VHU_PF_LOG_SHMFD_BIT) };

	return trial_boot(t, &plan);
}

/* Rings that run, a log in force, and the used ring of requests logged in it. */
int dirty_log_start(struct trial *t, struct dirty_log *log, uint64_t offset)
{
	int err = dirty_log_boot(t);

	if (err == 0)
		err = dirty_log_make(t, log, dirty_log_size(t), offset);
	if (err == 0)
		err = dirty_log_give(t, log, NULL);
	if (err == 0)
		err = dirty_log_used(t, true, dirty_log_used_addr(t));
	return err < 0 ? err : dirty_log_switch(t, true);
}

int dirty_log_expect_used(struct trial *t, const struct dirty_log *log, const char *when)
{
	if (dirty_log_has(log, dirty_log_used_addr(t)))
		return 0;
	return trial_fail(t,
			  "%s: expected the bit of the used ring's page (guest address %#llx), "
			  "but it is clear; %u others are set",
			  when, (unsigned long long)dirty_log_used_addr(t), dirty_log_count(log));
}

int dirty_log_expect_nothing(struct trial *t, const struct dirty_log *log, const char *when)
{
	unsigned int n = dirty_log_count(log);

	if (n == 0)
		return 0;
	return trial_fail(t, "%s: expected an empty log, but %u bits are set", when, n);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/trial/trial-ring.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "conform/target/process.h"

int trial_alloc(struct trial *t, size_t len, size_t align, void **ret_host, uint64_t *ret_guest)
{
	void *host = vhu_frontend_alloc(&t->fe, len, align, ret_guest);

	if (!host)
		return trial_error(t, "guest memory: %s", t->fe.error);
	*ret_host = host;
	return 0;
}

/* In place of a ring that was not made: nobody else sees what is written to it. */
static struct vring *spare_vring(void)
{
	static _Alignas(VRING_DESC_ALIGN) uint64_t desc[2], avail[2], used[4];
	static struct vring ring;

	(void)vring_map(&ring, desc, avail, used, 1);
	return &ring;
}

struct vring *trial_vring(struct trial *t, unsigned int idx)
{
	bool made = idx < t->fe.n_rings && t->fe.rings[idx].q.ring.size > 0;

	return made ? &t->fe.rings[idx].q.ring : spare_vring();
}

void trial_desc(struct trial *t, unsigned int idx, uint16_t i, uint64_t addr, uint32_t len,
		uint16_t flags, uint16_t next)
{
	vring_desc_store(trial_vring(t, idx), i, (struct vring_desc){ addr, len, flags, next });
}

void trial_table_desc(void *table, unsigned int i, uint64_t addr, uint32_t len, uint16_t flags,
		      uint16_t next)
{
	uint64_t *at = (uint64_t *)table + 2 * (size_t)i;

	vring_desc_write(at, (struct vring_desc){ addr, len, flags, next });
}

void trial_avail(struct trial *t, unsigned int idx, uint16_t head)
{
	struct vring *ring = trial_vring(t, idx);
	uint16_t at = vring_avail_idx(ring);

	vring_set_avail_entry(ring, at, head);
	vring_set_avail_idx(ring, (uint16_t)(at + 1));
}

void trial_jump(struct trial *t, unsigned int idx)
{
	const struct vring *ring = trial_vring(t, idx);

	vring_set_avail_idx(ring, (uint16_t)(vring_avail_idx(ring) + ring->size + 1));
}

int trial_kick(struct trial *t, unsigned int idx)
{
	return trial_step(t, vhu_frontend_kick(&t->fe, idx), "a kick of ring %u", idx);
}

uint16_t trial_used_idx(struct trial *t, unsigned int idx)
{
	return vring_used_idx(trial_vring(t, idx));
}

/* The device need not call: it is looked at, and given time in between. */
static int look_again(struct trial *t, unsigned int idx, int ms)
{
	const int fds[] = { t->fe.rings[idx].call_fd };
	int err = vhu_frontend_await_readable(&t->fe, fds, ARRAY_SIZE(fds), ms);

	vhu_frontend_take_calls(&t->fe, idx);
	return err == -ETIMEDOUT ? 0 : err;
}

int trial_await_used_idx(struct trial *t, unsigned int idx, uint16_t used_idx)
{
	int64_t deadline = monotonic_ms() + trial_ms(t, TRIAL_ANSWER_MS);
	int err = 0;

	while (err == 0 && trial_used_idx(t, idx) != used_idx) {
		if (monotonic_ms() > deadline)
			return trial_fail(t,
					  "ring %u: expected the used index to become %u, but "
					  "it is %u",
					  idx, used_idx, trial_used_idx(t, idx));
		err = look_again(t, idx, 1);
	}
	if (err == 0)
		t->fe.rings[idx].q.last_used = used_idx;
	return trial_step(t, err, "used entries of ring %u", idx);
}

void trial_used_entry(struct trial *t, unsigned int idx, uint16_t at, uint32_t *ret_id,
		      uint32_t *ret_len)
{
	vring_used_entry(trial_vring(t, idx), at, ret_id, ret_len);
}

int trial_restart_ring(struct trial *t, unsigned int idx)
{
	uint16_t base;
	int err = trial_stop_ring(t, idx, &base);

	if (err < 0)
		return err;
	vhu_frontend_take_calls(&t->fe, idx);
	vhu_frontend_reset_ring(&t->fe, idx);
	return trial_start_ring(t, idx, NULL);
}

/* Ring faults. */

/* Takes the error that was signalled on ring idx, if one was. */
static bool take_error(const struct trial *t, unsigned int idx)
{
	struct pollfd p = { .fd = t->fe.rings[idx].err_fd, .events = POLLIN };
	uint64_t value;

	return poll(&p, 1, 0) > 0 && (p.revents & POLLIN) && read(p.fd, &value, sizeof(value)) > 0;
}

/* Until the error is signalled, the used index moves, or silence has lasted. */
static int await_reaction(struct trial *t, unsigned int idx, uint16_t used, bool *ret_signalled)
{
	enum { LOOK_MS = 10 };
	int64_t deadline = monotonic_ms() + trial_ms(t, TRIAL_QUIET_MS);
	const struct vhu_frontend_ring *r = &t->fe.rings[idx];
	int err = 0;

	*ret_signalled = false;
	while (err == 0 && !*ret_signalled && trial_used_idx(t, idx) == used &&
	       monotonic_ms() < deadline) {
		err = vhu_frontend_await_readable(&t->fe, &r->err_fd, 1, LOOK_MS);
		if (err == -ETIMEDOUT)
			err = 0;
		*ret_signalled = take_error(t, idx);
	}
	return err;
}

/* A process that polls may get little of a processor the second time, when others want it, too. */
enum { SPINS_PERCENT = 80, POLLS_PERCENT = 20 };

/* Whether the process burned more than percent of the time since began. */
static bool spun(const struct trial *t, int64_t cpu_before, int64_t began_ms, int percent)
{
	int64_t cpu = process_cpu_ns(t->target->pid), ms = monotonic_ms() - began_ms;

	return cpu_before >= 0 && cpu >= 0 && ms >= TRIAL_QUIET_MS / 2 &&
	       (cpu - cpu_before) / 10000 > ms * percent;
}

/* The ring runs again. Who is as busy with nothing to do always looks for work, and may. */
static int judge_spinning(struct trial *t, const char *what)
{
	int64_t cpu = process_cpu_ns(t->target->pid), began = monotonic_ms();

	vhu_frontend_pass_time(&t->fe, trial_ms(t, TRIAL_QUIET_MS));
	if (spun(t, cpu, began, POLLS_PERCENT))
		return trial_remark(t, "the back-end polls all the time");
	return trial_fail(t, "%s: expected the back-end to be idle, but it spins", what);
}

static int check_head(struct trial *t, unsigned int idx, uint16_t used, bool lenient,
		      const char *what)
{
	uint16_t now = trial_used_idx(t, idx);
	uint32_t id, len;

	if (now == used)
		return 0;
	trial_used_entry(t, idx, used, &id, &len);
	if (lenient && (uint16_t)(now - used) == 1 && len == 0)
		return trial_remark(t, "%s: the chain comes back with length 0", what);
	return trial_fail(t,
			  "%s: expected the ring to stop, but its used index went from %u to "
			  "%u, the first entry with length %u",
			  what, used, now, len);
}

int trial_ring_fault(struct trial *t, unsigned int idx, bool lenient, const char *fmt, ...)
{
	int64_t cpu = process_cpu_ns(t->target->pid), began = monotonic_ms();
	uint16_t used = t->fe.rings[idx].q.last_used;
	char what[256];
	bool signalled, busy;
	int err;

	FORMAT_SENTENCE(what, fmt);
	err = trial_step(t, await_reaction(t, idx, used, &signalled), "%s", what);
	busy = err == 0 && spun(t, cpu, began, SPINS_PERCENT);
	if (err == 0)
		err = check_head(t, idx, used, lenient, what);
	if (err == 0 && !signalled)
		trial_remark(t, "no error is signalled");
	if (err == 0)
		err = trial_step(t, vhu_frontend_ping(&t->fe), "%s, then GET_FEATURES", what);
	if (err == 0)
		err = trial_restart_ring(t, idx);
	if (err == 0 && t->device && idx == trial_ring(t))
		err = trial_exchange(t, 1);
	return err == 0 && busy ? judge_spinning(t, what) : err;
}

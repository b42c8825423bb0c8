/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Faults in every ring, descriptors that change while they are read, and random ones. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-ring-fault.h"

enum {
	RINGS_MAX = 8,
	RACES = 150,
	ROUNDS = 1500,
	AREA = 0x8000, /* bytes that random descriptors are about */
	ENDS_MAX = 20, /* sessions that may end before it is enough */
	END_MS = 50,   /* a process that ends its session has ended itself by then */
};

int case_fault_rings(struct trial *t)
{
	int err = trial_boot(t, NULL);

	for (unsigned int i = 0; i < t->fe.n_rings && i < RINGS_MAX && err == 0; i++) {
		trial_avail(t, i, UINT16_MAX);
		t->fe.rings[i].q.last_used = trial_used_idx(t, i);
		err = trial_kick(t, i);
		if (err == 0)
			err = trial_ring_fault(t, i, false, "head 65535 in ring %u", i);
	}
	if (err == 0)
		err = trial_restart_ring(t, trial_ring(t));
	return err < 0 ? err : trial_exchange(t, 3);
}

/*
 * After something was done to the ring it is set up anew, unless the session has
 * ended; the process must have survived either way.
 */
static int renew(struct trial *t, bool *ret_ended)
{
	unsigned int idx = trial_ring(t);
	uint32_t base;
	int err = vhu_frontend_vring_base(&t->fe, idx, &base);

	*ret_ended = err == -ECONNRESET;
	if (err == 0) {
		vhu_frontend_take_calls(&t->fe, idx);
		vhu_frontend_reset_ring(&t->fe, idx);
		return trial_start_ring(t, idx, NULL);
	}
	if (err != -ECONNRESET)
		return trial_step(t, err, "GET_VRING_BASE after a fault");
	t->ended_allowed = true;
	if (!target_ended(t->target, trial_ms(t, END_MS)))
		return 0;
	if (t->target->end == TARGET_SIGNALED)
		return trial_fail(t, "expected the back-end to survive, but signal %d ended it",
				  t->target->end_status);
	t->closed = true;
	return trial_warn(t, "expected rings to stop, but the whole process ended");
}

static int finish(struct trial *t, unsigned int n_ends)
{
	int err = trial_restart_ring(t, trial_ring(t));

	if (err == 0)
		err = trial_exchange(t, 3);
	if (err < 0 || n_ends == 0)
		return err;
	return trial_warn(t, "expected rings to stop, but the whole session ended, %u times",
			  n_ends);
}

/* Another core of the guest, which changes a descriptor back and forth. */
struct changer {
	struct vring ring;
	uint16_t at;
	struct vring_desc good, bad;
	bool stop;
};

static void *change(void *arg)
{
	struct changer *c = arg;

	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) {
		vring_desc_store(&c->ring, c->at, c->bad);
		cpu_relax();
		vring_desc_store(&c->ring, c->at, c->good);
		cpu_relax();
	}
	return NULL;
}

/* Until the request is used or the ring has stopped. */
static int race(struct hand *h)
{
	const int err_fd = h->t->fe.rings[h->idx].err_fd;
	int err = hand_show(h, 0);

	if (err < 0)
		return err;
	vhu_frontend_await_readable(&h->t->fe, &err_fd, 1, 1);
	return 0;
}

static int races(struct hand *h, struct changer *c, const struct hand_cut *pieces, bool *ret_ended)
{
	pthread_t thread;
	int err = 0;

	*ret_ended = false;
	if (pthread_create(&thread, NULL, change, c) != 0)
		return trial_error(h->t, "a thread that changes a descriptor");
	for (unsigned int i = 0; i < RACES && !*ret_ended && err == 0; i++) {
		hand_link(h, pieces, 0, pieces->n, 0);
		err = race(h);
		if (err == 0)
			err = renew(h->t, ret_ended);
	}
	__atomic_store_n(&c->stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return err;
}

int case_fault_race(struct trial *t)
{
	AUTO(hand_fini) struct hand h = { .t = t };
	struct changer c = { .at = 0 };
	struct hand_cut pieces;
	bool ended = false;
	int err = hand_boot(t, NULL, &h);

	if (err == 0)
		err = hand_make(&h, 0, 2, &pieces);
	if (err < 0)
		return err;
	c.ring = *h.ring; /* the same memory, whatever happens to the session */
	c.at = (uint16_t)(pieces.n - 1);
	c.good = (struct vring_desc){
		.addr = pieces.bufs[c.at].addr,
		.len = pieces.bufs[c.at].len,
		.flags = hand_flags(&pieces, c.at),
	};
	c.bad = (struct vring_desc){
		.addr = UINT64_MAX - 4096,
		.len = UINT32_MAX,
		.flags = VRING_DESC_F_NEXT | VRING_DESC_F_WRITE,
		.next = UINT16_MAX,
	};
	err = races(&h, &c, &pieces, &ended);
	if (err == 0 && ended)
		err = ring_reboot(t, NULL);
	return err < 0 ? err : finish(t, ended);
}

/* Random descriptors. What they read is zero and stays so: no request has an effect outside. */
struct fuzz {
	struct trial *t;
	unsigned int idx;
	uint64_t state;
	uint64_t zeroes, scratch, tables; /* guest addresses */
	uint8_t *host_tables;
};

static uint64_t random_addr(struct fuzz *f, uint16_t flags)
{
	uint64_t base = flags & VRING_DESC_F_INDIRECT ? f->tables
			: flags & VRING_DESC_F_WRITE  ? f->scratch
						      : f->zeroes;
	uint32_t kind = ring_random(&f->state) % 16;

	if (kind == 0)
		return (uint64_t)ring_random(&f->state) << 33 | ring_random(&f->state);
	if (kind == 1)
		return UINT64_MAX - ring_random(&f->state) % 4096;
	return base + ring_random(&f->state) % (AREA / 2) / 16 * 16;
}

static uint32_t random_len(struct fuzz *f, uint16_t flags)
{
	uint32_t r = ring_random(&f->state);

	switch (r % 16) {
	case 0:
		return UINT32_MAX - r / 16 % 16;
	case 1:
		return 0;
	case 2:
		return ring_random(&f->state);
	default:
		return flags & VRING_DESC_F_INDIRECT ? r / 16 % 80 * 16 : r / 16 % 1200;
	}
}

static struct vring_desc random_desc(struct fuzz *f)
{
	static const uint16_t flags[] = { 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 0xffff };
	struct vring_desc desc = { .flags = flags[ring_random(&f->state) % ARRAY_SIZE(flags)] };

	desc.addr = random_addr(f, desc.flags);
	desc.len = random_len(f, desc.flags);
	desc.next = (uint16_t)(ring_random(&f->state) % (ring_random(&f->state) % 64 ? 64 : 65536));
	return desc;
}

static int fuzz_round(struct fuzz *f)
{
	const struct vring *ring = trial_vring(f->t, f->idx);
	unsigned int n = 1 + ring_random(&f->state) % 8;

	for (unsigned int i = 0; i < AREA / VRING_DESC_BYTES;
	     i += 1 + ring_random(&f->state) % 32) {
		struct vring_desc d = random_desc(f);

		trial_table_desc(f->host_tables, i, d.addr, d.len, d.flags, d.next);
	}
	for (uint16_t i = 0; i < TRIAL_RING; i++)
		vring_desc_store(ring, i, random_desc(f));
	for (unsigned int i = 0; i < n; i++)
		trial_avail(f->t, f->idx, (uint16_t)(ring_random(&f->state) % 70));
	if (ring_random(&f->state) % 64 == 0)
		vring_set_avail_idx(ring, (uint16_t)ring_random(&f->state));
	return trial_kick(f->t, f->idx);
}

static int fuzz_areas(struct fuzz *f)
{
	void *host = NULL;
	int err = trial_alloc(f->t, AREA, 4096, &host, &f->zeroes);

	if (err == 0)
		err = trial_alloc(f->t, AREA, 4096, &host, &f->scratch);
	if (err == 0)
		err = trial_alloc(f->t, AREA, 4096, &host, &f->tables);
	f->host_tables = host;
	return err;
}

/* The ring's memory is fresh again, and its messages have all been answered. */
static int fuzz_between(struct fuzz *f, unsigned int *n_ends)
{
	bool ended;
	int err;

	if (ring_random(&f->state) % 4 == 0)
		vhu_frontend_pass_time(&f->t->fe, 1);
	err = renew(f->t, &ended);
	if (err == 0 && ended) {
		(*n_ends)++;
		err = ring_reboot(f->t, NULL);
		if (err == 0)
			err = fuzz_areas(f);
	}
	if (err == 0 && ring_random(&f->state) % 32 == 0)
		err = trial_send_memory(f->t);
	return err;
}

int case_fault_fuzz(struct trial *t)
{
	struct fuzz f = { .t = t, .idx = trial_ring(t), .state = 11 };
	unsigned int i = 0, n_ends = 0;
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = fuzz_areas(&f);
	for (; i < ROUNDS && n_ends < ENDS_MAX && err == 0; i++) {
		err = fuzz_round(&f);
		if (err == 0)
			err = fuzz_between(&f, &n_ends);
	}
	if (err < 0 || i < ROUNDS)
		trial_remark(t, "%u rounds of random descriptors were made", i);
	return err < 0 ? err : finish(t, n_ends);
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Records of requests in flight that make no sense. */
#include <errno.h>
#include <string.h>

#include "conform/cases/case-list.h"
#include "conform/cases/case-migration.h"
#include "conform/cases/inflight.h"
#include "conform/trial/trial-ring.h"

/* Not for use. */

/* A ring, as trial_start_ring() does, but a failure is no verdict. */
static int start_ring_anyway(struct trial *t, unsigned int idx)
{
	const struct vhu_frontend_ring *r = &t->fe.rings[idx];
	struct vhu_frontend *fe = &t->fe;
	int err = vhu_frontend_vring(fe, VHU_FE_SET_VRING_NUM, idx, r->size, true);

	if (err == 0)
		err = vhu_frontend_vring(fe, VHU_FE_SET_VRING_BASE, idx, r->base, true);
	if (err == 0)
		err = vhu_frontend_vring_addr(fe, idx, 0, 0, true);
	if (err == 0)
		err = vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_CALL, idx, r->call_peer, true);
	if (err == 0)
		err = vhu_frontend_vring_fd(fe, VHU_FE_SET_VRING_KICK, idx, r->kick_fd, true);
	return err < 0 ? err : vhu_frontend_vring(fe, VHU_FE_SET_VRING_ENABLE, idx, 1, true);
}

static int run_anyway(struct trial *t)
{
	int err = vhu_frontend_set_mem_table(&t->fe, 0, true);

	for (unsigned int i = 0; i < t->fe.n_rings && err == 0; i++)
		err = start_ring_anyway(t, i);
	if (err == 0)
		err = vhu_frontend_kick(&t->fe, trial_ring(t));
	if (err == 0)
		err = vhu_frontend_pass_time(&t->fe, trial_ms(t, TRIAL_QUIET_MS));
	return err < 0 ? err : vhu_frontend_ping(&t->fe);
}

/* The session may end over it, the process may not. */
static int contained(struct trial *t, const struct trial_inflight *r, const char *what)
{
	struct vhu_msg msg;
	bool accepted;
	int err;

	trial_inflight_set_message(t, r, &msg);
	err = trial_survives(t, &msg, &accepted, "SET_INFLIGHT_FD with %s", what);
	if (err < 0)
		return err;
	if (!t->closed)
		err = run_anyway(t);
	if (err == -ECONNRESET)
		t->closed = true;
	if (err != -ECONNRESET && err != -EREMOTEIO)
		err = trial_step(t, err, "a ring with %s in its record", what);
	else
		err = 0;
	return err < 0 ? err : trial_refresh(t);
}

/* A record to spoil, and the part of the request ring. */
static int forge(struct trial *t, struct trial_inflight *r, struct split_record **ret_part)
{
	int err = trial_inflight_forge(t, r);

	if (err == 0)
		*ret_part = trial_inflight_of(t, r, trial_ring(t));
	return err;
}

int case_inflight_forged_size(struct trial *t)
{
	AUTO_INFLIGHT r = INFLIGHT_NONE;
	struct split_record *part = NULL;
	int err = forge(t, &r, &part);

	if (err < 0)
		return err;
	part->desc_num = UINT16_MAX;
	return contained(t, &r, "65535 entries for a ring of 64");
}

int case_inflight_forged_batch(struct trial *t)
{
	AUTO_INFLIGHT r = INFLIGHT_NONE;
	struct split_record *part = NULL;
	int err = forge(t, &r, &part);

	if (err < 0)
		return err;
	part->last_batch_head = UINT16_MAX;
	part->used_idx = UINT16_MAX;
	return contained(t, &r, "a last batch beyond the ring");
}

int case_inflight_forged_cycle(struct trial *t)
{
	AUTO_INFLIGHT r = INFLIGHT_NONE;
	struct split_record *part = NULL;
	int err = forge(t, &r, &part);

	if (err < 0)
		return err;
	part->last_batch_head = INFLIGHT_FIRST;
	part->desc[INFLIGHT_FIRST].next = INFLIGHT_SECOND;
	part->desc[INFLIGHT_SECOND].next = INFLIGHT_FIRST;
	part->used_idx = 0x8000; /* 32768 entries to walk */
	return contained(t, &r, "a last batch that goes in circles");
}

int case_inflight_forged_counters(struct trial *t)
{
	AUTO_INFLIGHT r = INFLIGHT_NONE;
	struct split_record *part = NULL;
	int err = forge(t, &r, &part);

	if (err < 0)
		return err;
	for (unsigned int i = 0; i < TRIAL_RING; i++)
		part->desc[i] = (struct split_entry){ .inflight = 0xff, .counter = UINT64_MAX };
	return contained(t, &r, "every head in flight at the same place");
}

int case_inflight_none(struct trial *t)
{
	struct vhu_msg msg, reply;
	bool closed;
	int err = migration_begin(t, trial_inflight_features(t), trial_inflight_protocol(t));

	if (err < 0)
		return err;
	trial_inflight_get_message(&msg, 0, 0);
	err = migration_ask(t, &msg, &reply, &closed);
	if (err < 0)
		return err;
	if (!closed) {
		struct vhu_inflight wire;
		bool given = reply.fds.n_fds > 0;

		vhu_msg_get(&reply, &wire, sizeof(wire));
		fdset_close(&reply.fds);
		if (given && wire.mmap_size > 0)
			trial_remark(t, "GET_INFLIGHT_FD of no rings brings %llu bytes",
				     (unsigned long long)wire.mmap_size);
		err = trial_ping(t);
	}
	return err < 0 ? err : trial_refresh(t);
}

static int refused_record(struct trial *t, uint64_t size, unsigned int n, unsigned int entries,
			  const char *what)
{
	AUTO_INFLIGHT r = INFLIGHT_NONE;
	struct vhu_msg msg;
	uint64_t mapped;
	int err = trial_inflight_begin(t, &r);

	if (err < 0)
		return err;
	mapped = r.wire.mmap_size;
	if (size != UINT64_MAX)
		r.wire.mmap_size = size;
	r.wire.num_queues = (uint16_t)n;
	r.wire.queue_size = (uint16_t)entries;
	trial_inflight_set_message(t, &r, &msg);
	r.wire.mmap_size = mapped; /* for munmap() */
	err = trial_refused(t, &msg, "SET_INFLIGHT_FD %s", what);
	return err < 0 ? err : trial_refresh(t);
}

int case_inflight_set_no_rings(struct trial *t)
{
	return refused_record(t, UINT64_MAX, 0, TRIAL_RING, "of no rings");
}

int case_inflight_set_no_entries(struct trial *t)
{
	return refused_record(t, UINT64_MAX, 1, 0, "of rings of no entries");
}

int case_inflight_set_short(struct trial *t)
{
	return refused_record(t, sizeof(struct split_record), 1, TRIAL_RING,
			      "with 16 bytes for a ring of 64 entries");
}

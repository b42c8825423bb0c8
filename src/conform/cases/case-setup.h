/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Steps that cases about memory, ring set-up and notifications share: a ring's
 * messages one by one, chains whose bytes lie where a case wants them.
 *
 * As with trial.h: a negative result has given the trial its verdict. Every
 * message asks for an acknowledgement if that is agreed on.
 */
#ifndef VHU_CONFORM_CASE_SETUP_H
#define VHU_CONFORM_CASE_SETUP_H

#include "conform/trial/trial-ring.h"

int setup_num(struct trial *t, unsigned int idx, uint32_t num);
int setup_base(struct trial *t, unsigned int idx, uint16_t base);
int setup_addr(struct trial *t, unsigned int idx);
int setup_enable(struct trial *t, unsigned int idx, bool on);

/* SET_VRING_KICK, _CALL or _ERR; fd is lent, -1 is the no-fd bit. */
int setup_fd(struct trial *t, enum vhu_fe_id id, unsigned int idx, int fd);

/* NUM, BASE and ADDR: where the ring is, and where in it the device goes on. */
int setup_place(struct trial *t, unsigned int idx, uint16_t base);

/* NUM, BASE, ADDR, CALL, ERR, KICK of a stopped ring, whose memory stays as it is. */
int setup_all_but_enable(struct trial *t, unsigned int idx, uint16_t base);

/* The same and ENABLE. */
int setup_resume(struct trial *t, unsigned int idx, uint16_t base);

/* The same memory for another session: handshake, memory, all rings empty and running, ready. */
int setup_again(struct trial *t);

/* Every ring stopped, emptied and started anew, on the same session. */
int setup_restart_all(struct trial *t);

/* All rings of the plan but the one that requests go through. */
int setup_start_others(struct trial *t, const struct trial_plan *plan);

/* A booted device whose request ring is stopped again, with a request offered and not shown. */
int setup_offer_stopped(struct trial *t, struct trial_request *ret_request, uint16_t *ret_base);

/* All that trial_boot() does, except that request ring gets no message. */
int setup_all_but_ring(struct trial *t, const struct trial_plan *plan);

/* The driver notifies through `theirs` from now on: the end it writes is `ours`, which is taken. */
int setup_kick(struct trial *t, unsigned int idx, int theirs, int ours);

/* The same after GET_VRING_BASE: not every back-end takes another one for a ring that runs. */
int setup_restart_kick(struct trial *t, unsigned int idx, int theirs, int ours);

/* A ring that runs is stopped, and gets all of its messages again but SET_VRING_KICK and _ENABLE.
 */
int setup_without_kick(struct trial *t, unsigned int idx);

/* SET_MEM_TABLE as trial_send_memory() would send it, for cases to spoil; descriptors are lent. */
void setup_table_msg(const struct trial *t, struct vhu_msg *ret_msg,
		     struct vhu_mem_table *ret_table);

/* The same for SET_VRING_ADDR of a ring of ours. */
void setup_addr_msg(const struct trial *t, struct vhu_msg *ret_msg, unsigned int idx,
		    struct vhu_vring_addr *ret_addr);

/* Region i alone, as ADD_MEM_REG or REM_MEM_REG has it; with ADD its descriptor, lent. */
void setup_region_msg(const struct trial *t, struct vhu_msg *ret_msg, enum vhu_fe_id id,
		      const struct vhu_region *region);

/* Region i gets a file of its own, at offset, with what is in it now; the file is the caller's. */
int setup_own_file(struct trial *t, unsigned int i, uint64_t offset, int *ret_fd);

/* Bytes of guest memory of region i. */
int setup_alloc_in(struct trial *t, unsigned int i, size_t len, size_t align, uint64_t *ret_guest);

/* A request and where its bytes are: n_out descriptors to read, then n_in to write. */
struct setup_chain {
	struct trial_request q;
	struct driverq_buf bufs[2 * VHU_MAX_REGIONS];
	unsigned int n_out, n_in;
};

/* A request whose bytes lie in pieces in the n regions, the first ones first. */
int setup_scatter(struct trial *t, const unsigned int *regions, unsigned int n,
		  struct setup_chain *ret_chain);

/* Copies the request's bytes, offers it and kicks. */
int setup_chain_send(struct trial *t, struct setup_chain *chain);

/* Waits for it, and judges the answer. */
int setup_chain_answered(struct trial *t, struct setup_chain *chain);

/* One request in pieces in these regions, there and back. */
int setup_exchange_in(struct trial *t, const unsigned int *regions, unsigned int n);

/* Waits up to ms until the used index is no longer `used`: whether it is so. */
bool setup_used_moves(struct trial *t, unsigned int idx, uint16_t used, int ms);

/* As trial_exchange(), looking at the used index instead of waiting for calls. */
int setup_exchange_uncalled(struct trial *t, unsigned int n);

/* Shows the device what was offered; no kick. */
void setup_publish_unkicked(struct trial *t);

/* Whether fd is readable within ms; what comes on the back-end channel meanwhile is heard. */
bool setup_readable(struct trial *t, int fd, int ms);

/* How many percent of one core the back-end burns while ms pass. */
int setup_cpu_percent(struct trial *t, int ms, unsigned int *ret_percent);

/* The connection was closed, as it may be, and there can be no other. */
static inline bool setup_is_over(const struct trial *t)
{
	return t->closed && !t->target->info.persistent && !t->target->exec;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/cases/case-setup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "conform/target/process.h"

/* A ring's messages. */

int setup_num(struct trial *t, unsigned int idx, uint32_t num)
{
	return trial_step(t, vhu_frontend_vring(&t->fe, VHU_FE_SET_VRING_NUM, idx, num, true),
			  "SET_VRING_NUM of ring %u, %u entries", idx, num);
}

int setup_base(struct trial *t, unsigned int idx, uint16_t base)
{
	return trial_step(t, vhu_frontend_vring(&t->fe, VHU_FE_SET_VRING_BASE, idx, base, true),
			  "SET_VRING_BASE of ring %u, index %u", idx, base);
}

int setup_addr(struct trial *t, unsigned int idx)
{
	return trial_step(t, vhu_frontend_vring_addr(&t->fe, idx, 0, 0, true),
			  "SET_VRING_ADDR of ring %u", idx);
}

int setup_enable(struct trial *t, unsigned int idx, bool on)
{
	if (!vhu_nego_has_feature(&t->fe.nego, VHU_F_PROTOCOL_FEATURES_BIT))
		return 0;
	return trial_step(t, vhu_frontend_vring(&t->fe, VHU_FE_SET_VRING_ENABLE, idx, on, true),
			  "SET_VRING_ENABLE of ring %u, %d", idx, on);
}

int setup_fd(struct trial *t, enum vhu_fe_id id, unsigned int idx, int fd)
{
	return trial_step(t, vhu_frontend_vring_fd(&t->fe, id, idx, fd, true), "%s of ring %u%s",
			  vhu_msg_name(VHU_FE, id), idx, fd < 0 ? " without a descriptor" : "");
}

int setup_place(struct trial *t, unsigned int idx, uint16_t base)
{
	int err = setup_num(t, idx, t->fe.rings[idx].size);

	if (err == 0)
		err = setup_base(t, idx, base);
	return err < 0 ? err : setup_addr(t, idx);
}

/* NUM, BASE, ADDR, CALL, ERR of a stopped ring, whose memory stays as it is. */
static int prepare(struct trial *t, unsigned int idx, uint16_t base)
{
	const struct vhu_frontend_ring *r = &t->fe.rings[idx];
	int err = setup_place(t, idx, base);

	if (err == 0)
		err = setup_fd(t, VHU_FE_SET_VRING_CALL, idx, r->call_peer);
	return err < 0 ? err : setup_fd(t, VHU_FE_SET_VRING_ERR, idx, r->err_fd);
}

int setup_all_but_enable(struct trial *t, unsigned int idx, uint16_t base)
{
	int err = prepare(t, idx, base);

	return err < 0 ? err : setup_fd(t, VHU_FE_SET_VRING_KICK, idx, t->fe.rings[idx].kick_fd);
}

int setup_resume(struct trial *t, unsigned int idx, uint16_t base)
{
	int err = setup_all_but_enable(t, idx, base);

	return err < 0 ? err : setup_enable(t, idx, true);
}

int setup_without_kick(struct trial *t, unsigned int idx)
{
	uint16_t base;
	int err = trial_stop_ring(t, idx, &base);

	return err < 0 ? err : prepare(t, idx, base);
}

static void empty_rings(struct trial *t)
{
	for (unsigned int i = 0; i < t->fe.n_rings; i++) {
		if (t->fe.rings[i].size == 0)
			continue;
		vhu_frontend_take_calls(&t->fe, i);
		vhu_frontend_reset_ring(&t->fe, i);
	}
}

int setup_again(struct trial *t)
{
	int err = trial_handshake(t);

	if (err == 0)
		err = trial_send_memory(t);
	if (err < 0)
		return err;
	empty_rings(t);
	return trial_run(t, NULL);
}

int setup_restart_all(struct trial *t)
{
	int err = trial_stop_rings(t);

	if (err < 0)
		return err;
	empty_rings(t);
	return trial_start_rings(t, NULL);
}

int setup_start_others(struct trial *t, const struct trial_plan *plan)
{
	int err = 0;

	for (unsigned int i = 0; i < t->fe.n_rings && err == 0; i++)
		if (i != trial_ring(t) && t->fe.rings[i].size > 0)
			err = trial_start_ring(t, i, plan);
	return err;
}

int setup_offer_stopped(struct trial *t, struct trial_request *ret_request, uint16_t *ret_base)
{
	int err = trial_boot(t, NULL);

	if (err == 0)
		err = trial_exchange(t, 2);
	if (err == 0)
		err = trial_stop_ring(t, trial_ring(t), ret_base);
	return err < 0 ? err : trial_offer(t, NULL, ret_request);
}

int setup_all_but_ring(struct trial *t, const struct trial_plan *plan)
{
	static const struct trial_plan usual;
	struct trial_plan p = plan ? *plan : usual;
	int err = trial_handshake_with(t, trial_features(t) & ~p.without_features,
				       trial_protocol(t) & ~p.without_protocol);

	p.no_prepare = true;
	if (err == 0)
		err = trial_make_memory(t, &p);
	if (err == 0)
		err = trial_send_memory(t);
	if (err == 0)
		err = setup_start_others(t, &p);
	return err < 0 ? err : trial_driver_ready(t, &p);
}

int setup_kick(struct trial *t, unsigned int idx, int theirs, int ours)
{
	struct vhu_frontend_ring *r = &t->fe.rings[idx];

	if (r->kick_fd != ours)
		fd_close(r->kick_fd);
	r->kick_fd = ours;
	return setup_fd(t, VHU_FE_SET_VRING_KICK, idx, theirs);
}

int setup_restart_kick(struct trial *t, unsigned int idx, int theirs, int ours)
{
	int err = setup_without_kick(t, idx);

	if (err == 0)
		err = setup_kick(t, idx, theirs, ours);
	else if (ours != t->fe.rings[idx].kick_fd)
		fd_close(ours);
	return err < 0 ? err : setup_enable(t, idx, true);
}

/* Memory. */

void setup_table_msg(const struct trial *t, struct vhu_msg *ret_msg,
		     struct vhu_mem_table *ret_table)
{
	const struct vhu_frontend *fe = &t->fe;

	trial_msg(t, ret_msg, VHU_FE_SET_MEM_TABLE);
	*ret_table = (struct vhu_mem_table){ .n_regions = fe->n_regions };
	for (unsigned int i = 0; i < fe->n_regions; i++) {
		ret_table->regions[i] = fe->regions[i].wire;
		ret_msg->fds.fd[ret_msg->fds.n_fds++] = fe->mem_fd;
	}
	vhu_msg_put(ret_msg, ret_table,
		    offsetof(struct vhu_mem_table, regions) +
			    fe->n_regions * sizeof(ret_table->regions[0]));
}

void setup_addr_msg(const struct trial *t, struct vhu_msg *ret_msg, unsigned int idx,
		    struct vhu_vring_addr *ret_addr)
{
	const struct driverq *q = &t->fe.rings[idx].q;

	*ret_addr = (struct vhu_vring_addr){
		.index = idx,
		.desc = vhu_frontend_user_addr(&t->fe, q->desc_addr),
		.used = vhu_frontend_user_addr(&t->fe, q->used_addr),
		.avail = vhu_frontend_user_addr(&t->fe, q->avail_addr),
	};
	trial_msg(t, ret_msg, VHU_FE_SET_VRING_ADDR);
	vhu_msg_put(ret_msg, ret_addr, sizeof(*ret_addr));
}

void setup_region_msg(const struct trial *t, struct vhu_msg *ret_msg, enum vhu_fe_id id,
		      const struct vhu_region *region)
{
	struct vhu_single_region single = { .region = *region };

	trial_msg(t, ret_msg, id);
	vhu_msg_put(ret_msg, &single, sizeof(single));
	if (id == VHU_FE_ADD_MEM_REG)
		ret_msg->fds.fd[ret_msg->fds.n_fds++] = t->fe.mem_fd;
}

/* The new file takes the place of the old one in our own mapping, too. */
int setup_own_file(struct trial *t, unsigned int i, uint64_t offset, int *ret_fd)
{
	struct vhu_frontend_region *r = &t->fe.regions[i];
	size_t len = r->wire.size;
	AUTO_FD int fd = memfd_create("guest-other", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)(offset + len)) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		return trial_error(t, "a file for memory: %s", strerror(errno));
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(fd, r->host + done, len - done, (off_t)(offset + done));

		if (n <= 0)
			return trial_error(t, "a copy of memory: %s", strerror(errno));
		done += (size_t)n;
	}
	if (mmap(r->host, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (off_t)offset) ==
	    MAP_FAILED)
		return trial_error(t, "memory mapped: %s", strerror(errno));
	r->wire.mmap_offset = offset;
	*ret_fd = fd_take(&fd);
	return 0;
}

int setup_alloc_in(struct trial *t, unsigned int i, size_t len, size_t align, uint64_t *ret_guest)
{
	struct vhu_frontend_region *r = &t->fe.regions[i];
	size_t at = (r->n_taken + align - 1) & ~(align - 1);

	if (at > r->wire.size || len > r->wire.size - at)
		return trial_error(t, "guest memory: %zu bytes in region %u", len, i);
	r->n_taken = at + len;
	*ret_guest = r->wire.guest_addr + at;
	return 0;
}

/* Chains. */

/* len bytes in up to n pieces, one in each region. Returns how many, or a negative errno. */
static int cut(struct trial *t, const unsigned int *regions, unsigned int n, size_t len,
	       struct driverq_buf *bufs)
{
	unsigned int made = 0;

	while (len > 0) {
		size_t part = made + 1 < n ? (len + n - made - 1) / (n - made) : len;
		struct driverq_buf *b = &bufs[made];
		int err = setup_alloc_in(t, regions[made], part, 1, &b->addr);

		if (err < 0)
			return err;
		b->len = (uint32_t)part;
		len -= part;
		made++;
	}
	return (int)made;
}

int setup_scatter(struct trial *t, const unsigned int *regions, unsigned int n,
		  struct setup_chain *ret_chain)
{
	int made, err = trial_make_request(t, &ret_chain->q);

	if (err < 0)
		return err;
	made = cut(t, regions, n, ret_chain->q.r.out_len, ret_chain->bufs);
	if (made < 0)
		return made;
	ret_chain->n_out = (unsigned int)made;
	made = cut(t, regions, n, ret_chain->q.r.in_len, ret_chain->bufs + ret_chain->n_out);
	if (made < 0)
		return made;
	ret_chain->n_in = (unsigned int)made;
	return 0;
}

/* Byte by byte: a buffer may lie across regions, and is short. */
static void copy(struct trial *t, const struct driverq_buf *bufs, unsigned int n, uint8_t *bytes,
		 bool to_guest)
{
	for (unsigned int i = 0; i < n; i++) {
		for (uint32_t at = 0; at < bufs[i].len; at++, bytes++) {
			uint8_t *host = vhu_frontend_host(&t->fe, bufs[i].addr + at);

			if (!host)
				continue; /* nowhere, as the case wants */
			if (to_guest)
				*host = *bytes;
			else
				*bytes = *host;
		}
	}
}

int setup_chain_send(struct trial *t, struct setup_chain *chain)
{
	struct driverq *q = &t->fe.rings[trial_ring(t)].q;
	int err;

	copy(t, chain->bufs, chain->n_out, chain->q.r.out, true);
	err = driverq_add(q, chain->bufs, chain->n_out, chain->n_in, false, chain);
	if (err < 0)
		return trial_error(t, "a chain of %u descriptors: %s", chain->n_out + chain->n_in,
				   strerror(-err));
	return trial_publish(t);
}

int setup_chain_answered(struct trial *t, struct setup_chain *chain)
{
	void *token;
	int err = vhu_frontend_await_used(&t->fe, trial_ring(t), &token, &chain->q.r.used_len,
					  trial_ms(t, TRIAL_ANSWER_MS));

	if (err < 0)
		return trial_step(t, err, "request %llu in %u and %u pieces",
				  (unsigned long long)chain->q.r.number, chain->n_out, chain->n_in);
	if (token != chain)
		return trial_fail(t, "expected this request to come back, but another one did");
	copy(t, chain->bufs + chain->n_out, chain->n_in, chain->q.r.in, false);
	return t->device->answered(t, &chain->q.r);
}

int setup_exchange_in(struct trial *t, const unsigned int *regions, unsigned int n)
{
	struct setup_chain chain;
	int err = setup_scatter(t, regions, n, &chain);

	if (err == 0)
		err = setup_chain_send(t, &chain);
	return err < 0 ? err : setup_chain_answered(t, &chain);
}

/* Time. */

/* Who has closed the connection does nothing for its rings any more. */
static bool has_left(const struct trial *t)
{
	struct pollfd p = { .fd = t->fe.fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP));
}

bool setup_used_moves(struct trial *t, unsigned int idx, uint16_t used, int ms)
{
	int64_t deadline = monotonic_ms() + ms;

	while (trial_used_idx(t, idx) == used && monotonic_ms() < deadline && !has_left(t))
		if (vhu_frontend_pass_time(&t->fe, 1) < 0)
			break;
	return trial_used_idx(t, idx) != used;
}

bool setup_readable(struct trial *t, int fd, int ms)
{
	int64_t deadline = monotonic_ms() + ms;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, 0) <= 0) {
		int64_t left = deadline - monotonic_ms();

		if (left <= 0)
			return false;
		if (vhu_frontend_await_readable(&t->fe, &fd, 1, (int)left) < 0)
			return poll(&p, 1, 0) > 0;
	}
	return true;
}

int setup_exchange_uncalled(struct trial *t, unsigned int n)
{
	unsigned int ring = trial_ring(t);
	struct trial_request request;
	int err = 0;

	while (n-- > 0 && err == 0) {
		uint16_t used = t->fe.rings[ring].q.last_used;

		err = trial_offer(t, NULL, &request);
		if (err == 0)
			err = trial_publish(t);
		if (err == 0 && !setup_used_moves(t, ring, used, trial_ms(t, TRIAL_ANSWER_MS)))
			err = trial_fail(t,
					 "expected a request on ring %u to be processed, but the "
					 "used index stays at %u%s",
					 ring, used,
					 has_left(t) ? ", and the connection was closed" : "");
		if (err == 0)
			err = trial_answered(t, &request);
	}
	return err;
}

void setup_publish_unkicked(struct trial *t)
{
	if (trial_ring(t) < t->fe.n_rings)
		driverq_publish(&t->fe.rings[trial_ring(t)].q);
}

/*
 * Where cores are scarce a process that spins gets little of one: the time that
 * it waited for it does not count, most of it.
 */
int setup_cpu_percent(struct trial *t, int ms, unsigned int *ret_percent)
{
	pid_t pid = t->target->pid;
	int64_t before = process_cpu_ns(pid), waited = process_wait_ns(pid), after;
	int64_t began = monotonic_ms(), took;
	int err = trial_pass(t, ms);

	if (err < 0)
		return err;
	after = process_cpu_ns(pid);
	waited = (process_wait_ns(pid) - waited) / 1000000;
	took = monotonic_ms() - began;
	if (before < 0 || after < 0)
		return trial_na(t, "the time that process %d uses cannot be seen", (int)pid);
	if (waited > 0)
		took -= waited < took * 3 / 4 ? waited : took * 3 / 4;
	*ret_percent = took > 0 ? (unsigned int)((after - before) / 10000 / took) : 0;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/frontend-postcopy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vhu/codec.h"

enum { PAGE = 4096 };

static void close_all(struct vhu_frontend_postcopy *pc)
{
	pc->backend_fd = fd_close(pc->backend_fd);
	pc->own_fd = fd_close(pc->own_fd);
	pc->wake_fd = fd_close(pc->wake_fd);
}

/* Pages. Called with the lock. */

/*
 * A page that is there already is as good. A fault of the back-end may wait for it: our
 * userfaultfd wakes its own side alone.
 */
static int put_page(struct vhu_frontend_postcopy *pc, uint64_t offset)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)pc->host + offset,
		.src = (uintptr_t)pc->source + offset,
		.len = PAGE,
	};
	bool there;

	while (ioctl(pc->own_fd, UFFDIO_COPY, &copy) < 0 && errno == EAGAIN)
		copy.copy = 0;
	there = copy.copy == -EEXIST;
	if (copy.copy != PAGE && !there)
		return copy.copy < 0 ? (int)copy.copy : -EIO;
	pc->n_pages += !there;
	return 0;
}

/* Whoever waits for a page that is there now. Nobody has to, and the back-end may be gone. */
static void wake(int fd, uint64_t addr)
{
	struct uffdio_range range = { .start = addr, .len = PAGE };

	if (fd >= 0)
		ioctl(fd, UFFDIO_WAKE, &range);
}

static void wake_backend(const struct vhu_frontend_postcopy *pc, uint64_t offset)
{
	for (unsigned int i = 0; i < pc->n_regions; i++) {
		const struct vhu_frontend_late *r = &pc->regions[i];

		if (offset >= r->offset && offset - r->offset < r->size)
			wake(pc->backend_fd, r->backend_addr + (offset - r->offset));
	}
}

static int serve_page(struct vhu_frontend_postcopy *pc, uint64_t offset)
{
	int err = put_page(pc, offset);

	wake(pc->own_fd, (uintptr_t)pc->host + offset);
	wake_backend(pc, offset);
	return err;
}

/* Where in memory an address of the back-end's is. */
static bool find_backend(const struct vhu_frontend_postcopy *pc, uint64_t addr,
			 uint64_t *ret_offset)
{
	for (unsigned int i = 0; i < pc->n_regions; i++) {
		const struct vhu_frontend_late *r = &pc->regions[i];

		if (!range_within(addr, 1, r->backend_addr, r->size))
			continue;
		*ret_offset = r->offset + (addr - r->backend_addr);
		return true;
	}
	return false;
}

/* The thread. */

/* Takes one event; false when there is none, or no longer anybody who could have one. */
static bool read_fault(int fd, uint64_t *ret_addr)
{
	struct uffd_msg msg;

	if (read(fd, &msg, sizeof(msg)) != sizeof(msg) || msg.event != UFFD_EVENT_PAGEFAULT)
		return false;
	*ret_addr = msg.arg.pagefault.address / PAGE * PAGE;
	return true;
}

static void note_failure(struct vhu_frontend_postcopy *pc, int err)
{
	if (err < 0 && pc->err == 0)
		pc->err = err;
}

static void serve_own(struct vhu_frontend_postcopy *pc)
{
	uint64_t addr;

	if (!read_fault(pc->own_fd, &addr))
		return;
	pc->n_own_faults++;
	note_failure(pc, serve_page(pc, addr - (uintptr_t)pc->host));
}

static void serve_backend(struct vhu_frontend_postcopy *pc)
{
	uint64_t addr, offset;

	if (!read_fault(pc->backend_fd, &addr))
		return;
	pc->n_backend_faults++;
	if (find_backend(pc, addr, &offset))
		note_failure(pc, serve_page(pc, offset));
	else
		note_failure(pc, -EFAULT); /* a fault outside of what it told us of */
}

struct vhu_frontend_faults vhu_frontend_postcopy_faults(struct vhu_frontend_postcopy *pc)
{
	struct vhu_frontend_faults faults;

	pthread_mutex_lock(&pc->lock);
	faults = (struct vhu_frontend_faults){
		.n_backend = pc->n_backend_faults,
		.n_own = pc->n_own_faults,
		.n_pages = pc->n_pages,
	};
	pthread_mutex_unlock(&pc->lock);
	return faults;
}

static void *serve_faults(void *arg)
{
	struct vhu_frontend_postcopy *pc = arg;
	struct pollfd fds[] = {
		{ .fd = pc->wake_fd, .events = POLLIN },
		{ .fd = pc->own_fd, .events = POLLIN },
		{ .fd = pc->backend_fd, .events = POLLIN },
	};

	for (;;) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents)
			break;
		pthread_mutex_lock(&pc->lock);
		if (fds[1].revents & POLLIN)
			serve_own(pc);
		if (fds[2].revents & POLLIN)
			serve_backend(pc);
		pthread_mutex_unlock(&pc->lock);
		if (fds[2].revents & ~POLLIN)
			fds[2].fd = -1; /* the back-end has closed it, or is gone */
	}
	return NULL;
}

static int start_thread(struct vhu_frontend *fe, struct vhu_frontend_postcopy *pc)
{
	int err = -pthread_create(&pc->thread, NULL, serve_faults, pc);

	pc->serving = err == 0;
	return err < 0 ? vhu_frontend_fail(fe, err, "a thread for faults: %s", strerror(-err)) : 0;
}

static void end_thread(struct vhu_frontend_postcopy *pc)
{
	static const uint64_t one = 1;

	if (!pc->serving)
		return;
	if (write(pc->wake_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(pc->thread, NULL);
	pc->serving = false;
}

/* The beginning. */

static int open_own(struct vhu_frontend *fe, struct vhu_frontend_postcopy *pc)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MISSING_SHMEM };
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)pc->host, .len = pc->len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	pc->own_fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (pc->own_fd < 0)
		return vhu_frontend_fail(fe, -ENOTSUP, "userfaultfd to be allowed: %s",
					 strerror(errno));
	if (ioctl(pc->own_fd, UFFDIO_API, &api) < 0 || ioctl(pc->own_fd, UFFDIO_REGISTER, &reg) < 0)
		return vhu_frontend_fail(fe, -ENOTSUP, "missing pages of shared memory: %s",
					 strerror(errno));
	pc->wake_fd = eventfd(0, EFD_CLOEXEC);
	return pc->wake_fd >= 0 ? 0
				: vhu_frontend_fail(fe, -errno, "an eventfd: %s", strerror(errno));
}

static int advise(struct vhu_frontend *fe, struct vhu_frontend_postcopy *pc)
{
	struct vhu_msg msg, reply;
	int err;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_POSTCOPY_ADVISE);
	err = vhu_frontend_request(fe, &msg, &reply, fe->timeout_ms);
	if (err < 0)
		return err;
	if (reply.fds.n_fds == 0)
		return vhu_frontend_fail(fe, -EREMOTEIO, "POSTCOPY_ADVISE to bring a userfaultfd");
	pc->backend_fd = fdset_take(&reply.fds, 0);
	fdset_close(&reply.fds);
	/* The file description is the back-end's, too; it does not read from it. */
	fcntl(pc->backend_fd, F_SETFL, O_NONBLOCK);
	return 0;
}

int vhu_frontend_postcopy_begin(struct vhu_frontend *fe, struct vhu_frontend_postcopy *pc,
				uint8_t *source, size_t len)
{
	int err;

	*pc = (struct vhu_frontend_postcopy){
		.backend_fd = -1,
		.own_fd = -1,
		.wake_fd = -1,
		.host = fe->mem_map,
		.source = source,
		.len = len,
	};
	pthread_mutex_init(&pc->lock, NULL);
	pc->begun = true;
	if (len != fe->mem_len || len % PAGE != 0)
		return vhu_frontend_fail(fe, -EINVAL, "as much memory as the guest has, in pages");
	err = advise(fe, pc);
	if (err == 0)
		err = open_own(fe, pc);
	return err == 0 ? start_thread(fe, pc) : err;
}

int vhu_frontend_postcopy_listen(struct vhu_frontend *fe)
{
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_POSTCOPY_LISTEN);
	msg.flags |= VHU_FLAG_NEED_REPLY; /* as QEMU, whatever was agreed on */
	return vhu_frontend_request(fe, &msg, NULL, fe->timeout_ms);
}

/* The table. */

static int take_region(struct vhu_frontend *fe, struct vhu_frontend_postcopy *pc, unsigned int i,
		       const struct vhu_region *theirs)
{
	const struct vhu_frontend_region *ours = &fe->regions[i];
	uint64_t end;

	if (theirs->guest_addr != ours->wire.guest_addr || theirs->size != ours->wire.size)
		return vhu_frontend_fail(fe, -EPROTO, "region %u to be repeated", i);
	if (theirs->user_addr == 0 || theirs->user_addr % PAGE != 0 ||
	    !add_u64(theirs->user_addr, theirs->size, &end))
		return vhu_frontend_fail(fe, -EPROTO, "where region %u is mapped, not %#llx", i,
					 (unsigned long long)theirs->user_addr);
	pc->regions[i] = (struct vhu_frontend_late){
		.backend_addr = theirs->user_addr,
		.offset = (uint64_t)(ours->host - fe->mem_map),
		.size = theirs->size,
	};
	return 0;
}

/* SET_MEM_TABLE is answered by a table now, whatever need_reply says. */
static int take_table(struct vhu_frontend *fe, struct vhu_frontend_postcopy *pc,
		      const struct vhu_msg *msg, const struct vhu_msg *reply)
{
	struct vhu_mem_table table;
	int err = 0;

	if (reply->id != msg->id || reply->flags != VHU_REPLY_FLAGS || reply->size != msg->size)
		return vhu_frontend_fail(
			fe, -EPROTO,
			"the table of SET_MEM_TABLE with %u bytes, not %s with flags %#x and %u",
			msg->size, vhu_msg_name(VHU_FE, reply->id), reply->flags, reply->size);
	vhu_msg_get(reply, &table, sizeof(table));
	if (table.n_regions != fe->n_regions)
		return vhu_frontend_fail(fe, -EPROTO, "%u regions, not %u", fe->n_regions,
					 table.n_regions);
	pthread_mutex_lock(&pc->lock);
	for (unsigned int i = 0; i < fe->n_regions && err == 0; i++)
		err = take_region(fe, pc, i, &table.regions[i]);
	if (err == 0)
		pc->n_regions = fe->n_regions;
	pthread_mutex_unlock(&pc->lock);
	return err;
}

/* Leave for the back-end to go on, as QEMU gives it: the same request with an empty number. */
static int let_go_on(struct vhu_frontend *fe)
{
	struct vhu_msg msg;

	vhu_msg_init(&msg, VHU_FE, VHU_FE_SET_MEM_TABLE);
	vhu_msg_put_u64(&msg, 0);
	return vhu_frontend_send_unchecked(fe, &msg);
}

int vhu_frontend_postcopy_table(struct vhu_frontend *fe, struct vhu_frontend_postcopy *pc)
{
	struct vhu_msg msg, reply;
	int err;

	vhu_frontend_mem_table_message(fe, &msg);
	err = vhu_frontend_send(fe, &msg);
	if (err < 0)
		return err;
	fe->n_busy++;
	err = vhu_frontend_receive(fe, &reply, fe->timeout_ms);
	fe->n_busy--;
	if (err < 0)
		return err;
	err = take_table(fe, pc, &msg, &reply);
	fdset_close(&reply.fds);
	return err == 0 ? let_go_on(fe) : err;
}

/* The end. */

int vhu_frontend_postcopy_fill(struct vhu_frontend *fe, struct vhu_frontend_postcopy *pc, size_t n,
			       size_t *ret_left)
{
	int err = 0;

	pthread_mutex_lock(&pc->lock);
	for (; n > 0 && pc->filled < pc->len && err == 0; n--) {
		err = serve_page(pc, pc->filled);
		pc->filled += PAGE;
	}
	if (err == 0)
		err = pc->err;
	*ret_left = (pc->len - pc->filled) / PAGE;
	pthread_mutex_unlock(&pc->lock);
	return err < 0 ? vhu_frontend_fail(fe, err, "pages to be put in place: %s", strerror(-err))
		       : 0;
}

int vhu_frontend_postcopy_end(struct vhu_frontend *fe, struct vhu_frontend_postcopy *pc)
{
	size_t left;
	uint64_t value = 0;
	int err = vhu_frontend_postcopy_fill(fe, pc, SIZE_MAX, &left);

	if (err == 0)
		err = vhu_frontend_get_u64(fe, VHU_FE_POSTCOPY_END, &value);
	if (err == 0 && value != 0)
		err = vhu_frontend_fail(fe, -EREMOTEIO, "POSTCOPY_END to be accepted");
	vhu_frontend_postcopy_fini(pc);
	return err;
}

void vhu_frontend_postcopy_fini(struct vhu_frontend_postcopy *pc)
{
	if (!pc->begun)
		return;
	end_thread(pc);
	close_all(pc);
	pthread_mutex_destroy(&pc->lock);
	pc->begun = false;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/backend-postcopy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fd.h"
#include "vhu/backend.h"
#include "vhu/codec.h"

struct range {
	void *addr;
	size_t len;
};

struct vhu_postcopy {
	int fd; /* the userfaultfd, which the front-end has, too */
	bool listens;
	struct gmem *waiting; /* until the front-end gives leave; NULL: none */

	/* The table in whose regions pages may be missing; NULL: none. */
	struct gmem *late;
	struct range ranges[VHU_MAX_REGIONS];
	unsigned int n_ranges;

	/* Of the thread, while there is one: a copy of the front-end's socket. */
	bool watched;
	pthread_t thread;
	int conn_fd, stop_fd;
};

/* What there is of userfaultfd */

static int open_plain(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/* For those who may not use the call, where an administrator has let them use the device. */
static int open_device(void)
{
#ifdef USERFAULTFD_IOC_NEW
	AUTO_FD int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	int fd;

	if (device < 0)
		return -errno;
	fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
#else
	return -ENOSYS;
#endif
}

/* A userfaultfd for shared memory, or -errno. */
static int open_userfaultfd(void)
{
	const uint64_t needed = UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MISSING_HUGETLBFS;
	struct uffdio_api api = { .api = UFFD_API };
	int fd = open_plain();
	int err = 0;

	if (fd == -EPERM)
		fd = open_device();
	if (fd < 0)
		return fd;
	if (ioctl(fd, UFFDIO_API, &api) < 0)
		err = -errno;
	else if ((api.features & needed) != needed)
		err = -ENOTSUP;
	if (err == 0)
		return fd;
	fd_close(fd);
	return err;
}

/*
 * One for faults of user mode alone (UFFD_USER_MODE_ONLY) would be had by
 * everybody, but the kernel copies to and from guest memory for us as well.
 */
bool vhu_postcopy_works(const char *who)
{
	int fd = open_userfaultfd();

	if (fd < 0) {
		log_debug(who,
			  "postcopy is not offered: no userfaultfd for faults of the kernel: %s",
			  strerror(-fd));
		return false;
	}
	fd_close(fd);
	return true;
}

/* Regions whose pages may be missing */

static void unregister(const struct vhu_postcopy *pc)
{
	for (unsigned int i = 0; i < pc->n_ranges; i++) {
		struct uffdio_range range = {
			.start = (uintptr_t)pc->ranges[i].addr,
			.len = pc->ranges[i].len,
		};

		/* Who sleeps there wakes up, and finds what is in the file, or zeroes. */
		(void)ioctl(pc->fd, UFFDIO_UNREGISTER, &range);
	}
}

static int register_range(const struct vhu_postcopy *pc, const struct range *r)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)r->addr, .len = r->len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	/* Pages come one by one; and a mapping that was looked at before shall fault again. */
	(void)madvise(r->addr, r->len, MADV_NOHUGEPAGE);
	if (madvise(r->addr, r->len, MADV_DONTNEED) < 0 || ioctl(pc->fd, UFFDIO_REGISTER, &reg) < 0)
		return -errno;
	return reg.ioctls & (UINT64_C(1) << _UFFDIO_COPY) ? 0 : -ENOTSUP;
}

/*
 * Nothing but two descriptors is looked at: the front-end's end, for which the
 * loop may have no eyes, and ours.
 */
static void *watch(void *arg)
{
	struct vhu_postcopy *pc = arg;
	struct pollfd fds[] = {
		{ .fd = pc->stop_fd, .events = POLLIN },
		{ .fd = pc->conn_fd, .events = POLLRDHUP },
	};

	while (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno == EINTR)
		;
	if (fds[0].revents == 0)
		unregister(pc);
	return NULL;
}

static void stop_watching(struct vhu_postcopy *pc)
{
	static const uint64_t one = 1;

	if (pc->watched) {
		while (write(pc->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
		pthread_join(pc->thread, NULL);
	}
	pc->watched = false;
	pc->conn_fd = fd_close(pc->conn_fd);
	pc->stop_fd = fd_close(pc->stop_fd);
}

/* The signals of this process are not for the thread. */
static int start_thread(struct vhu_postcopy *pc)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&pc->thread, NULL, watch, pc);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pc->watched = err == 0;
	return -err;
}

static int start_watching(struct vhu_postcopy *pc, int conn_fd)
{
	int err = 0;

	pc->conn_fd = fcntl(conn_fd, F_DUPFD_CLOEXEC, 0);
	pc->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (pc->conn_fd < 0 || pc->stop_fd < 0)
		err = -errno;
	if (err == 0)
		err = start_thread(pc);
	if (err < 0)
		stop_watching(pc);
	return err;
}

/* All pages are there, or never will be. */
static void forget_late(struct vhu_postcopy *pc)
{
	stop_watching(pc);
	unregister(pc);
	pc->n_ranges = 0;
	gmem_unref(pc->late);
	pc->late = NULL;
}

static int make_late(struct vhu_postcopy *pc, struct gmem *mem, struct gmem_region *const *regions,
		     unsigned int n)
{
	int err = 0;

	for (unsigned int i = 0; i < n && err == 0; i++) {
		struct range *r = &pc->ranges[pc->n_ranges];

		r->addr = gmem_region_mapping(regions[i], &r->len);
		err = register_range(pc, r);
		pc->n_ranges += err == 0;
	}
	pc->late = gmem_ref(mem);
	return err;
}

bool vhu_postcopy_listens(const struct vhu_backend *b)
{
	return b->postcopy && b->postcopy->listens;
}

int vhu_postcopy_hold_table(struct vhu_backend *b, struct gmem *mem,
			    struct gmem_region *const *regions, unsigned int n)
{
	struct vhu_postcopy *pc = b->postcopy;
	int err;

	gmem_unref(pc->waiting);
	pc->waiting = NULL;
	forget_late(pc);
	err = make_late(pc, mem, regions, n);
	if (err == 0)
		err = start_watching(pc, b->conn.fd);
	if (err < 0)
		forget_late(pc);
	else
		pc->waiting = gmem_ref(mem);
	return err;
}

/* QEMU sends a number where the text has an empty table: eight zero bytes are both. */
bool vhu_postcopy_is_leave(const struct vhu_backend *b, const struct vhu_msg *msg)
{
	if (msg->id != VHU_FE_SET_MEM_TABLE || !b->postcopy || !b->postcopy->waiting ||
	    msg->fds.n_fds > 0)
		return false;
	return msg->size == 0 || (msg->size == sizeof(uint64_t) && vhu_msg_u64(msg) == 0);
}

struct gmem *vhu_postcopy_take_table(struct vhu_backend *b)
{
	struct gmem *mem = b->postcopy->waiting;

	b->postcopy->waiting = NULL;
	return mem;
}

void vhu_postcopy_release(struct vhu_backend *b)
{
	struct vhu_postcopy *pc = b->postcopy;

	if (!pc)
		return;
	forget_late(pc);
	gmem_unref(pc->waiting);
	fd_close(pc->fd);
	free(pc);
	b->postcopy = NULL;
}

/* Messages */

/* A refusal is an answer without a descriptor. */
enum vhu_outcome vhu_on_POSTCOPY_ADVISE(struct vhu_backend *b, struct vhu_msg *msg,
					struct vhu_msg *reply)
{
	struct vhu_postcopy *pc;
	int fd, theirs;

	(void)msg;
	vhu_postcopy_release(b);
	if (vhu_backend_has_protocol(b, VHU_PF_CONFIGURE_MEM_SLOTS_BIT)) {
		vhu_backend_refuse(b, "POSTCOPY_ADVISE: expected no CONFIGURE_MEM_SLOTS (VU-044)");
		return VHU_DONE;
	}
	fd = open_userfaultfd();
	theirs = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	pc = theirs < 0 ? NULL : calloc(1, sizeof(*pc));
	if (!pc) {
		vhu_backend_refuse(b, "POSTCOPY_ADVISE: no userfaultfd: %s",
				   strerror(fd < 0 ? -fd : ENOMEM));
		fd_close(theirs);
		fd_close(fd);
		return VHU_DONE;
	}
	*pc = (struct vhu_postcopy){ .fd = fd, .conn_fd = -1, .stop_fd = -1 };
	b->postcopy = pc;
	reply->fds.fd[reply->fds.n_fds++] = theirs;
	return VHU_DONE;
}

enum vhu_outcome vhu_on_POSTCOPY_LISTEN(struct vhu_backend *b, struct vhu_msg *msg,
					struct vhu_msg *reply)
{
	(void)msg;
	(void)reply;
	if (!b->postcopy)
		return vhu_backend_refuse(b, "POSTCOPY_LISTEN: expected POSTCOPY_ADVISE before");
	b->postcopy->listens = true;
	return VHU_DONE;
}

enum vhu_outcome vhu_on_POSTCOPY_END(struct vhu_backend *b, struct vhu_msg *msg,
				     struct vhu_msg *reply)
{
	(void)msg;
	if (!b->postcopy) {
		vhu_backend_refuse(b, "POSTCOPY_END: expected POSTCOPY_ADVISE before");
		vhu_msg_put_u64(reply, 1);
		return VHU_DONE;
	}
	vhu_postcopy_release(b);
	vhu_msg_put_u64(reply, 0);
	return VHU_DONE;
}

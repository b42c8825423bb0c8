/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/backend-postcopy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fd.h"
#include "thread.h"
#include "vhu/backend-userfault.h"
#include "vhu/backend.h"
#include "vhu/codec.h"

enum {
	FETCH_PAGE = 4096,
	PULSE_MS = 500,
	PULSES_MISSED = 10, /* in a row: the loop sleeps for a page */
};

/* What done_fd adds up: the low half counts wishes, the high half pulses. */
static const uint64_t one_pulse = UINT64_C(1) << 32;

struct range {
	void *addr;
	size_t len;
};
/* A page that the fetching thread is to touch. */
struct wish {
	const volatile unsigned char *at;
	size_t len;
};

struct vhu_postcopy {
	struct vhu_backend *b;
	int fd; /* the userfaultfd, which the front-end has, too; -1: not advised of */
	bool listens;
	struct gmem *waiting; /* until the front-end gives leave; NULL: none */

	/* The table in whose regions pages may be missing; NULL: none. */
	struct gmem *late;
	struct range ranges[VHU_MAX_REGIONS];
	unsigned int n_ranges;

	/* Of the watching thread, while there is one: a copy of the front-end's socket. */
	bool watched;
	pthread_t watcher;
	int conn_fd, stop_fd;
	bool cut;	       /* atomic: it took memory away from under the loop */
	unsigned int n_pulses; /* atomic: that the loop has felt */

	/* Of the fetching thread: wishes go in by ask_fd; done_fd is the session's. */
	bool fetches;
	pthread_t fetcher;
	int ask_fd, wish_fd;
	int done_fd; /* an eventfd */
	struct scope scope;
	struct op done;
	uint64_t n_done;
};

/* Regions whose pages may be missing */

static struct uffdio_range to_uffdio(const struct range *r)
{
	return (struct uffdio_range){ .start = (uintptr_t)r->addr, .len = r->len };
}

/* Every page is there. */
static void unregister(const struct vhu_postcopy *pc)
{
	for (unsigned int i = 0; i < pc->n_ranges; i++) {
		struct uffdio_range range = to_uffdio(&pc->ranges[i]);

		(void)ioctl(pc->fd, UFFDIO_UNREGISTER, &range);
	}
}

/*
 * Pages are missing that nobody will bring, or not here. Who sleeps for one finds
 * private zeroes: were it merely unregistered, the look itself would put a zero page
 * into the guest's file, where the true one still has to go.
 */
/* seccomp: mmap ioctl:UFFDIO_UNREGISTER ioctl:UFFDIO_WAKE */
static void cut_off(const struct vhu_postcopy *pc)
{
	for (unsigned int i = 0; i < pc->n_ranges; i++) {
		const struct range *r = &pc->ranges[i];
		struct uffdio_range range = to_uffdio(r);

		if (mmap(r->addr, r->len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
			 0) == MAP_FAILED)
			(void)ioctl(pc->fd, UFFDIO_UNREGISTER, &range);
		(void)madvise(r->addr, r->len, MADV_DONTDUMP);
		(void)ioctl(pc->fd, UFFDIO_WAKE, &range);
	}
}

/* seccomp: madvise ioctl:UFFDIO_REGISTER */
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
 * The loop touches no page before it is there, unless it came by a translation. But a
 * front-end can take one out of its file again, and all guests would wait for as long
 * as that one likes.
 */
/* seccomp: write */
static bool loop_is_stuck(struct vhu_postcopy *pc, unsigned int *felt, unsigned int *n_missed)
{
	unsigned int now = __atomic_load_n(&pc->n_pulses, __ATOMIC_RELAXED);

	*n_missed = now == *felt ? *n_missed + 1 : 0;
	*felt = now;
	if (*n_missed > PULSES_MISSED)
		return true;
	while (write(pc->done_fd, &one_pulse, sizeof(one_pulse)) < 0 && errno == EINTR)
		;
	return false;
}

/*
 * Nothing but two descriptors is looked at: the front-end's end, for which the
 * loop may have no eyes, and ours; and whether the loop is alive.
 */
/* seccomp: poll ppoll */
static void *watch(void *arg)
{
	struct vhu_postcopy *pc = arg;
	struct pollfd fds[] = {
		{ .fd = pc->stop_fd, .events = POLLIN },
		{ .fd = pc->conn_fd, .events = POLLRDHUP },
	};
	unsigned int felt = 0, n_missed = 0;
	bool stuck = false;
	int n;

	do {
		n = poll(fds, ARRAY_SIZE(fds), PULSE_MS);
		if (n == 0)
			stuck = loop_is_stuck(pc, &felt, &n_missed);
	} while (!stuck && (n == 0 || (n < 0 && errno == EINTR)));
	if (stuck)
		__atomic_store_n(&pc->cut, true, __ATOMIC_RELAXED);
	if (fds[0].revents == 0)
		cut_off(pc);
	return NULL;
}

static void stop_watching(struct vhu_postcopy *pc)
{
	static const uint64_t one = 1;

	if (pc->watched) {
		while (write(pc->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
		pthread_join(pc->watcher, NULL);
	}
	pc->watched = false;
	pc->conn_fd = fd_close(pc->conn_fd);
	pc->stop_fd = fd_close(pc->stop_fd);
}

/* seccomp: fcntl:F_DUPFD_CLOEXEC eventfd2 */
static int start_watching(struct vhu_postcopy *pc, int conn_fd)
{
	int err = 0;

	pc->conn_fd = fcntl(conn_fd, F_DUPFD_CLOEXEC, 0);
	pc->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (pc->conn_fd < 0 || pc->stop_fd < 0)
		err = -errno;
	if (err == 0)
		err = thread_start(&pc->watcher, watch, pc);
	pc->watched = err == 0;
	if (err < 0)
		stop_watching(pc);
	return err;
}

/* Touches pages, however long each takes. What others write there meanwhile is no race. */
/* seccomp: read write */
__attribute__((no_sanitize("thread"))) static void *fetch(void *arg)
{
	struct vhu_postcopy *pc = arg;
	static const uint64_t one = 1;
	struct wish wish;

	while (read(pc->wish_fd, &wish, sizeof(wish)) == sizeof(wish)) {
		for (size_t i = 0; i < wish.len;
		     i += FETCH_PAGE - ((uintptr_t)wish.at + i) % FETCH_PAGE)
			(void)wish.at[i];
		if (write(pc->done_fd, &one, sizeof(one)) < 0)
			break; /* it cannot be full */
	}
	return NULL;
}

/* seccomp: pipe2 fcntl:F_SETFL */
static int start_fetching(struct vhu_postcopy *pc)
{
	int fds[2], err;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pc->wish_fd = fds[0];
	pc->ask_fd = fds[1];
	fcntl(pc->ask_fd, F_SETFL, O_NONBLOCK);
	err = thread_start(&pc->fetcher, fetch, pc);
	pc->fetches = err == 0;
	return err;
}

/* What it sleeps for is not registered any more. */
static void stop_fetching(struct vhu_postcopy *pc)
{
	pc->ask_fd = fd_close(pc->ask_fd);
	if (pc->fetches)
		pthread_join(pc->fetcher, NULL);
	pc->fetches = false;
	pc->wish_fd = fd_close(pc->wish_fd);
}

/* Rings that waited are looked at again: what they lack now may be another page. */
static void look_again(struct vhu_backend *b)
{
	for (unsigned int i = 0; i < b->n_vqs; i++) {
		struct vqio *v = &b->vqs[i];

		if (!v->fetching)
			continue;
		v->fetching = false;
		if (v->mapped)
			vqueue_wake(&v->q);
		else
			vqio_remap(v);
	}
}

static void fetched(struct op *op, int res)
{
	struct vhu_postcopy *pc = container_of(op, struct vhu_postcopy, done);
	uint64_t wishes;

	if (scope_cancelling(&pc->scope) || res == -ECANCELED)
		return;
	__atomic_add_fetch(&pc->n_pulses, 1, __ATOMIC_RELAXED);
	if (__atomic_load_n(&pc->cut, __ATOMIC_RELAXED)) {
		vhu_backend_close(pc->b, LOG_LEVEL_WARNING,
				  "a page of guest memory that all waited for was not brought: "
				  "expected pages that have come to stay");
		return;
	}
	wishes = pc->n_done % one_pulse;
	op_read(op, pc->done_fd, &pc->n_done, sizeof(pc->n_done));
	if (wishes > 0)
		look_again(pc->b);
}

/* All pages are there; or the memory is of no use any more. */
static void forget_late(struct vhu_postcopy *pc, bool complete)
{
	struct vhu_backend *b = pc->b;

	stop_watching(pc);
	if (complete)
		unregister(pc);
	else
		cut_off(pc);
	stop_fetching(pc);
	pc->n_ranges = 0;
	if (!pc->late)
		return;
	gmem_set_late(pc->late, false);
	gmem_unref(pc->late);
	pc->late = NULL;
	if (b->closing)
		return;
	for (unsigned int i = 0; i < b->n_vqs; i++)
		if (b->vqs[i].mapped)
			virtq_memory_came(&b->vqs[i].q.vq);
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
	gmem_set_late(mem, true);
	return err;
}

bool vhu_postcopy_listens(const struct vhu_backend *b)
{
	return b->postcopy && b->postcopy->listens;
}

bool vhu_postcopy_lacks(struct vqio *v, const void *host, size_t len)
{
	struct vhu_postcopy *pc = v->b->postcopy;
	struct wish wish = { .at = host, .len = len };

	if (!pc || !pc->late || v->b->mem != pc->late || gmem_is_present(host, len))
		return false;
	/* One wish of each ring at a time: the pipe has room for as many. */
	if (!v->fetching && write(pc->ask_fd, &wish, sizeof(wish)) != sizeof(wish))
		return false; /* then the loop sleeps for it */
	v->fetching = true;
	return true;
}

bool vhu_postcopy_lacks_chain(struct vqio *v)
{
	uint64_t addr;
	uint8_t perm;
	void *host;

	if (!gmem_is_late(v->b->mem) || v->b->iotlb || !virtq_missing(&v->q.vq, &addr, &perm))
		return false;
	host = gmem_host_from_guest(v->b->mem, addr, 1);
	if (!vhu_postcopy_lacks(v, host, 1))
		vqueue_wake(&v->q); /* it has come meanwhile */
	return true;
}

int vhu_postcopy_hold_table(struct vhu_backend *b, struct gmem *mem,
			    struct gmem_region *const *regions, unsigned int n)
{
	struct vhu_postcopy *pc = b->postcopy;
	int err;

	gmem_unref(pc->waiting);
	pc->waiting = NULL;
	forget_late(pc, false);
	for (unsigned int i = 0; i < b->n_vqs; i++)
		b->vqs[i].fetching = false;
	err = make_late(pc, mem, regions, n);
	if (err == 0)
		err = start_fetching(pc);
	if (err == 0)
		err = start_watching(pc, b->conn.fd);
	if (err < 0)
		forget_late(pc, false);
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

/* The end of it; another may begin in the same session. */
static void end(struct vhu_postcopy *pc, bool complete)
{
	forget_late(pc, complete);
	gmem_unref(pc->waiting);
	pc->waiting = NULL;
	pc->fd = fd_close(pc->fd);
	pc->listens = false;
	if (!pc->b->closing)
		look_again(pc->b);
}

static void closed(struct scope *scope)
{
	vhu_backend_part_closed(container_of(scope, struct vhu_postcopy, scope)->b);
}

bool vhu_postcopy_close(struct vhu_backend *b)
{
	if (!b->postcopy)
		return false;
	scope_cancel(&b->postcopy->scope, closed);
	return true;
}

void vhu_postcopy_release(struct vhu_backend *b)
{
	struct vhu_postcopy *pc = b->postcopy;

	if (!pc)
		return;
	end(pc, false);
	scope_fini(&pc->scope);
	fd_close(pc->done_fd);
	free(pc);
	b->postcopy = NULL;
}

bool vhu_postcopy_under_way(const struct vhu_backend *b)
{
	const struct vhu_postcopy *pc = b->postcopy;

	return pc && (pc->fd >= 0 || pc->waiting || pc->late || pc->watched || pc->fetches);
}

/* Messages */

/* The session's one. NULL without memory or descriptors. */
/* seccomp: eventfd2 */
static struct vhu_postcopy *postcopy_of(struct vhu_backend *b)
{
	struct vhu_postcopy *pc = b->postcopy;

	if (pc)
		return pc;
	pc = calloc(1, sizeof(*pc));
	if (!pc)
		return NULL;
	*pc = (struct vhu_postcopy){ .b = b, .fd = -1, .conn_fd = -1, .stop_fd = -1 };
	pc->ask_fd = pc->wish_fd = -1;
	pc->done_fd = eventfd(0, EFD_CLOEXEC);
	if (pc->done_fd < 0) {
		free(pc);
		return NULL;
	}
	scope_init(&pc->scope, b->loop);
	op_init(&pc->done, &pc->scope, fetched);
	op_read(&pc->done, pc->done_fd, &pc->n_done, sizeof(pc->n_done));
	b->postcopy = pc;
	return pc;
}

/* A userfaultfd that is theirs as well: a copy, or -errno. */
/* seccomp: fcntl:F_DUPFD_CLOEXEC */
static int open_for_two(struct vhu_postcopy *pc)
{
	int theirs;

	end(pc, true);
	pc->fd = vhu_userfault_open();
	if (pc->fd < 0)
		return pc->fd;
	theirs = fcntl(pc->fd, F_DUPFD_CLOEXEC, 0);
	return theirs < 0 ? -errno : theirs;
}

/* A refusal is an answer without a descriptor. */
enum vhu_outcome vhu_on_POSTCOPY_ADVISE(struct vhu_backend *b, struct vhu_msg *msg,
					struct vhu_msg *reply)
{
	struct vhu_postcopy *pc;
	int fd;

	(void)msg;
	if (vhu_backend_has_protocol(b, VHU_PF_CONFIGURE_MEM_SLOTS_BIT)) {
		vhu_backend_refuse(b, "POSTCOPY_ADVISE: expected no CONFIGURE_MEM_SLOTS (VU-044)");
		return VHU_DONE;
	}
	if (b->postcopy && b->postcopy->late) {
		vhu_backend_refuse(b, "POSTCOPY_ADVISE: expected POSTCOPY_END before another one");
		return VHU_DONE;
	}
	pc = postcopy_of(b);
	fd = pc ? open_for_two(pc) : -ENOMEM;
	if (fd >= 0)
		reply->fds.fd[reply->fds.n_fds++] = fd;
	else
		vhu_backend_refuse(b, "POSTCOPY_ADVISE: no userfaultfd: %s", strerror(-fd));
	return VHU_DONE;
}

static bool advised(const struct vhu_backend *b)
{
	return b->postcopy && b->postcopy->fd >= 0;
}

enum vhu_outcome vhu_on_POSTCOPY_LISTEN(struct vhu_backend *b, struct vhu_msg *msg,
					struct vhu_msg *reply)
{
	(void)msg;
	(void)reply;
	if (!advised(b))
		return vhu_backend_refuse(b, "POSTCOPY_LISTEN: expected POSTCOPY_ADVISE before");
	b->postcopy->listens = true;
	return VHU_DONE;
}

enum vhu_outcome vhu_on_POSTCOPY_END(struct vhu_backend *b, struct vhu_msg *msg,
				     struct vhu_msg *reply)
{
	(void)msg;
	if (!advised(b)) {
		vhu_backend_refuse(b, "POSTCOPY_END: expected POSTCOPY_ADVISE before");
		vhu_msg_put_u64(reply, 1);
		return VHU_DONE;
	}
	end(b->postcopy, true);
	vhu_msg_put_u64(reply, 0);
	return VHU_DONE;
}

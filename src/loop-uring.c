/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* The engine of a loop whose operations are those of an io_uring. */
#include <assert.h>
#include <errno.h>

#include "loop-private.h"
#include "loop-setup.h"

/*
 * user_data is the address of the op. A cancel request completes to the same
 * address with this bit set; all it means then is one cancel less to expect.
 */
#define CANCEL_TAG UINT64_C(1)

/*
 * What was done at once: a number in place of an address, with this bit set.
 * Its result has been read when its turn comes.
 */
#define NOW_TAG UINT64_C(2)

enum {
	CQ_MIN_ENTRIES = 1024,
	CQ_MAX_ENTRIES = 32768,
};

static const uint8_t opcodes[] = {
	[OP_READ] = IORING_OP_READ,	  [OP_WRITE] = IORING_OP_WRITE,
	[OP_RECVMSG] = IORING_OP_RECVMSG, [OP_SENDMSG] = IORING_OP_SENDMSG,
	[OP_ACCEPT] = IORING_OP_ACCEPT,	  [OP_POLL] = IORING_OP_POLL_ADD,
	[OP_TIMEOUT] = IORING_OP_TIMEOUT,
};

static int uring_open(struct loop *loop, unsigned int n_ops, const char **ret_why)
{
	unsigned int cq_entries = CQ_MIN_ENTRIES;

	while (cq_entries < 2 * n_ops && cq_entries < CQ_MAX_ENTRIES)
		cq_entries *= 2;
	return loop_setup_ring(&loop->ring, cq_entries, &loop->restricted, ret_why);
}

/* seccomp: io_uring_register:21 munmap */
static void uring_close(struct loop *loop)
{
	io_uring_queue_exit(&loop->ring);
}

/* seccomp: io_uring_enter */
static int uring_submit(struct loop *loop)
{
	return io_uring_submit(&loop->ring);
}

static void make_room(struct loop *loop)
{
	if (loop->borrowed)
		loop->turns->submit(loop->turns_arg);
	else
		loop_submit(loop);
}

/* An empty submission entry; a full queue is handed to the kernel first. */
static struct io_uring_sqe *get_sqe(struct loop *loop)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);

	while (!sqe) {
		make_room(loop);
		sqe = io_uring_get_sqe(&loop->ring);
	}
	return sqe;
}

/* The kernel reads the mask of a poll as two halves, the lower one first. */
static uint32_t flags_of(const struct op_request *r)
{
	if (__BYTE_ORDER == __BIG_ENDIAN && r->code == OP_POLL)
		return r->flags << 16;
	return r->flags;
}

/* All that the operations differ in: see struct op_request. */
static void uring_begin(struct loop *loop, struct op *op)
{
	_Static_assert(sizeof(((struct timer *)0)->ts) == sizeof(struct __kernel_timespec),
		       "kernel layout");
	const struct op_request *r = &op->request;
	struct io_uring_sqe *sqe = get_sqe(loop);
	bool has_offset = r->code == OP_READ || r->code == OP_WRITE;

	io_uring_prep_rw(opcodes[r->code], sqe, r->fd, r->addr, r->len,
			 has_offset ? (uint64_t)-1 : 0);
	sqe->rw_flags = (int)flags_of(r);
	if (op->apart)
		io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
	io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)op);
}

static void uring_cancel(struct loop *loop, struct op *op)
{
	struct io_uring_sqe *sqe = get_sqe(loop);

	io_uring_prep_cancel(sqe, op, 0);
	io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)op | CANCEL_TAG);
}

static void uring_cancel_all(struct loop *loop)
{
	struct io_uring_sqe *sqe = get_sqe(loop);

	io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
	io_uring_sqe_set_data64(sqe, CANCEL_TAG);
}

static bool uring_prepared(const struct loop *loop)
{
	return io_uring_sq_ready(&loop->ring) > 0;
}

static int uring_enter(struct loop *loop)
{
	return io_uring_submit_and_get_events(&loop->ring);
}

static int wait_for(struct loop *loop, uint64_t wait_ns)
{
	struct __kernel_timespec wait = {
		.tv_sec = (int64_t)(wait_ns / UINT64_C(1000000000)),
		.tv_nsec = (int64_t)(wait_ns % UINT64_C(1000000000)),
	};
	struct io_uring_cqe *cqe;

	return io_uring_submit_and_wait_timeout(&loop->ring, &cqe, 1, &wait, NULL);
}

static int uring_wait(struct loop *loop, uint64_t wait_ns)
{
	if (wait_ns == UINT64_MAX)
		return io_uring_submit_and_wait(&loop->ring, 1);
	return wait_for(loop, wait_ns);
}

static int uring_sleep(struct loop *loop)
{
	struct io_uring_cqe *cqe;

	return io_uring_wait_cqe(&loop->ring, &cqe);
}

static bool uring_ready(const struct loop *loop)
{
	return io_uring_cq_ready(&loop->ring) > 0;
}

static bool uring_look(struct loop *loop)
{
	unsigned int flags = __atomic_load_n(loop->ring.sq.kflags, __ATOMIC_RELAXED);

	return uring_ready(loop) || (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW));
}

static void complete(struct loop *loop, struct io_uring_cqe *cqe)
{
	uint64_t data = io_uring_cqe_get_data64(cqe);
	int res = cqe->res;

	io_uring_cqe_seen(&loop->ring, cqe);
	loop->counters.n_completions++;
	if (data & (CANCEL_TAG | NOW_TAG))
		return; /* the op itself may be long gone, or there is none */
	loop_complete(loop, (struct op *)(uintptr_t)data, res);
}

static void uring_reap(struct loop *loop)
{
	struct io_uring_cqe *cqe;

	/* It enters the kernel if that has some; to find none it goes a long way. */
	while (uring_look(loop) && io_uring_peek_cqe(&loop->ring, &cqe) == 0)
		complete(loop, cqe);
}

/*
 * There must be room for the completions of all that goes with a message at
 * once, so that its own can be found.
 */
static bool room_for_now(struct loop *loop)
{
	unsigned int room = *loop->ring.cq.kring_entries - io_uring_cq_ready(&loop->ring);

	return room > CQ_MIN_ENTRIES / 2 &&
	       !(__atomic_load_n(loop->ring.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW);
}

/* MSG_DONTWAIT makes the kernel complete it while it takes it. */
static int uring_message_now(struct loop *loop, enum op_code code, int fd, const struct msghdr *msg)
{
	uint64_t data = ++loop->n_now << 2 | NOW_TAG;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	unsigned int head;

	if (!room_for_now(loop))
		return -EAGAIN;
	sqe = get_sqe(loop);
	io_uring_prep_rw(opcodes[code], sqe, fd, msg, 1, 0);
	sqe->msg_flags = MSG_DONTWAIT | (code == OP_SENDMSG ? MSG_NOSIGNAL : 0);
	io_uring_sqe_set_data64(sqe, data);
	do {
		loop_submit(loop);
	} while (io_uring_sq_ready(&loop->ring) > 0);
	io_uring_for_each_cqe(&loop->ring, head, cqe)
	{
		if (io_uring_cqe_get_data64(cqe) == data)
			return cqe->res;
	}
	assert(false);
	return -EIO;
}

const struct loop_engine loop_uring = {
	.name = "uring",
	.open = uring_open,
	.close = uring_close,
	.begin = uring_begin,
	.cancel = uring_cancel,
	.cancel_all = uring_cancel_all,
	.prepared = uring_prepared,
	.submit = uring_submit,
	.enter = uring_enter,
	.wait = uring_wait,
	.sleep = uring_sleep,
	.ready = uring_ready,
	.look = uring_look,
	.reap = uring_reap,
	.message_now = uring_message_now,
};

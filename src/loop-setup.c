/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "loop-setup.h"

#include <errno.h>
#include <string.h>

#include "log.h"

enum { SQ_ENTRIES = 256 };

/* Every operation the loop can be asked for; a kernel without one is refused at start. */
static const struct {
	int opcode;
	const char *missing;
} needed_ops[] = {
	{ IORING_OP_READ, "io_uring of this kernel lacks READ (Linux 5.19 or newer is needed)" },
	{ IORING_OP_WRITE, "io_uring of this kernel lacks WRITE (Linux 5.19 or newer is needed)" },
	{ IORING_OP_RECVMSG,
	  "io_uring of this kernel lacks RECVMSG (Linux 5.19 or newer is needed)" },
	{ IORING_OP_SENDMSG,
	  "io_uring of this kernel lacks SENDMSG (Linux 5.19 or newer is needed)" },
	{ IORING_OP_ACCEPT,
	  "io_uring of this kernel lacks ACCEPT (Linux 5.19 or newer is needed)" },
	{ IORING_OP_POLL_ADD,
	  "io_uring of this kernel lacks POLL_ADD (Linux 5.19 or newer is needed)" },
	{ IORING_OP_TIMEOUT,
	  "io_uring of this kernel lacks TIMEOUT (Linux 5.19 or newer is needed)" },
	{ IORING_OP_ASYNC_CANCEL,
	  "io_uring of this kernel lacks ASYNC_CANCEL (Linux 5.19 or newer is needed)" },
};

static const char *setup_failure(int err)
{
	switch (-err) {
	case EPERM:
	case EACCES:
		return "io_uring is forbidden here (sysctl kernel.io_uring_disabled, or a seccomp "
		       "profile as containers use): allow io_uring_setup, io_uring_enter and "
		       "io_uring_register";
	case ENOSYS:
		return "this kernel has no io_uring, or a seccomp profile hides it: Linux 5.19 or "
		       "newer is needed, with io_uring allowed";
	case ENOMEM:
		return "no memory for the io_uring rings (check RLIMIT_MEMLOCK)";
	case EMFILE:
	case ENFILE:
		return "no file descriptor left for io_uring (check RLIMIT_NOFILE)";
	default:
		return "io_uring could not be set up";
	}
}

/*
 * Best flags first: deferred task work (6.1), cooperative (5.19), then plain.
 * With the task-run flag, polling sees in memory that the kernel has work.
 * All of them begin disabled, as only then restrictions can be made.
 */
static int setup_ring(struct io_uring *ring, unsigned int cq_entries)
{
	static const unsigned int flags[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		0,
	};
	int err = -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(flags) && err == -EINVAL; i++) {
		struct io_uring_params params = {
			.flags = flags[i] | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE |
				 IORING_SETUP_CLAMP,
			.cq_entries = cq_entries,
		};

		err = io_uring_queue_init_params(SQ_ENTRIES, ring, &params);
	}
	return err;
}

/*
 * From the moment that the ring is enabled the kernel takes what is listed here
 * and nothing else, without any flag of an entry. Of registrations there is one
 * left: what liburing does when the ring goes.
 */
static int restrict_ring(struct io_uring *ring)
{
	struct io_uring_restriction allowed[ARRAY_SIZE(needed_ops) + 2] = {
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_UNREGISTER_RING_FDS },
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_ASYNC },
	};

	for (size_t i = 0; i < ARRAY_SIZE(needed_ops); i++)
		allowed[i + 2] = (struct io_uring_restriction){
			.opcode = IORING_RESTRICTION_SQE_OP,
			.sqe_op = (uint8_t)needed_ops[i].opcode,
		};
	/* liburing 2.3 declares functions for this and for enabling, and does not export them. */
	return io_uring_register((unsigned int)ring->ring_fd, IORING_REGISTER_RESTRICTIONS, allowed,
				 ARRAY_SIZE(allowed));
}

static const char *missing_op(struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	const char *missing = NULL;

	if (!probe)
		return "io_uring of this kernel cannot be probed (Linux 5.19 or newer is needed)";
	for (size_t i = 0; i < ARRAY_SIZE(needed_ops) && !missing; i++)
		if (!io_uring_opcode_supported(probe, needed_ops[i].opcode))
			missing = needed_ops[i].missing;
	io_uring_free_probe(probe);
	return missing;
}

/* What a ring is given before it is enabled. 0, or -errno with a sentence. */
static int equip_ring(struct io_uring *ring, bool *ret_restricted, const char **ret_why)
{
	int err;

	*ret_why = missing_op(ring);
	if (*ret_why)
		return -EOPNOTSUPP;
	io_uring_register_ring_fd(ring); /* saves a look-up per call; optional */
	err = restrict_ring(ring);
	*ret_restricted = err == 0;
	if (err < 0)
		log_debug(NULL, "io_uring is not held to what it is used for: %s", strerror(-err));
	err = io_uring_register((unsigned int)ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	if (err < 0)
		*ret_why = setup_failure(err);
	return err < 0 ? err : 0;
}

/* seccomp(start): io_uring_setup io_uring_register mmap munmap */
int loop_setup_ring(struct io_uring *ring, unsigned int cq_entries, bool *ret_restricted,
		    const char **ret_why)
{
	int err = setup_ring(ring, cq_entries);

	if (err < 0) {
		*ret_why = setup_failure(err);
		return err;
	}
	err = equip_ring(ring, ret_restricted, ret_why);
	if (err < 0)
		io_uring_queue_exit(ring);
	return err;
}

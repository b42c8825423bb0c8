/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/sandbox-seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "daemon/sandbox-violation.h"

/* Before Linux 6.3. */
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

/*
 * What the C library does by itself: memory, locks, threads and their end, signals, the end.
 * Linux restarts some calls by one of its own.
 */
/* seccomp: brk mmap munmap mremap mprotect madvise futex restart_syscall rt_sigreturn */
/* seccomp: rt_sigprocmask rt_sigaction exit exit_group getpid gettid tgkill getrandom */
/* seccomp: set_robust_list rseq sched_getaffinity sigaltstack clock_gettime gettimeofday */
/* seccomp: read write readv writev prctl:PR_SET_NAME sysinfo */

/* What a program does before main(), and what is left of that to do for an upgrade. */
/* seccomp(start): mmap:PROT_EXEC openat read pread64 fstat newfstatat access faccessat close */
/* seccomp(start): arch_prctl set_tid_address prlimit64 getuid geteuid getgid getegid lseek uname */
/* seccomp(start): sysinfo getcwd readlink readlinkat statfs fcntl:F_GETFD fcntl:F_GETFL */

/* Walls that are put up within walls, as after an upgrade to a stricter set-up. */
/* seccomp(start): seccomp prctl:PR_SET_NO_NEW_PRIVS prctl:PR_SET_MDWE prctl:PR_GET_SECCOMP */
/* seccomp(start): prctl:PR_SET_SECCOMP capget capset prctl:PR_CAPBSET_READ prctl:PR_CAP_AMBIENT */
/* seccomp(start): prctl:PR_GET_SECUREBITS prctl:PR_GET_NO_NEW_PRIVS fstatfs gettid futex */
/* seccomp(start): landlock_create_ruleset landlock_add_rule landlock_restrict_self close_range */

/* What sanitizers do: faults, leaks at the end, by another thread that looks at this one. */
/* seccomp(instruments): openat read close readlink readlinkat fstat newfstatat stat lseek */
/* seccomp(instruments): sigaltstack sched_yield getrlimit prlimit64 mincore getdents64 getcwd */
/* seccomp(instruments): clone ptrace wait4 prctl sched_getaffinity getppid kill pipe2 dup2 */
/* seccomp(instruments): uname set_tid_address ioctl fcntl unlink unlinkat mkdir mkdirat */
/* seccomp(instruments): open getdents lstat fork tkill rename renameat arch_prctl */
/* seccomp(instruments): clock_nanosleep nanosleep rt_sigtimedwait process_vm_readv */

/* One row of the list. */
struct call {
	const char *name;
	uint64_t argument;
	enum sandbox_group group;
	bool narrow; /* with this argument only */
};

static const struct call calls[] = {
#define CALL(grp, call) { #call, 0, SANDBOX_GROUP_##grp, false },
#define CALL_WITH(grp, call, value) { #call, (uint64_t)(value), SANDBOX_GROUP_##grp, true },
#include "daemon/sandbox-calls.h"
#undef CALL
#undef CALL_WITH
};

/* All of a clone() that says what becomes of it. */
#define CLONE_NATURE                                                                               \
	((uint64_t)CSIGNAL | CLONE_THREAD | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |         \
	 CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

/* All of a socket's type but its flags. */
enum { SOCKET_TYPES = 0xf };

/* Which argument a row means, and which of its bits count. */
static const struct {
	const char *name;
	unsigned int idx;
	uint64_t bits;
} arguments[] = {
	{ "clone", 0, CLONE_NATURE },
	{ "fcntl", 1, UINT32_MAX },
	{ "io_uring_register", 1, INT32_MAX }, /* its highest bit is about the ring's number */
	{ "ioctl", 1, UINT32_MAX },
	{ "kill", 1, UINT32_MAX },
	{ "prctl", 0, UINT32_MAX },
	{ "socketpair", 0, UINT32_MAX },
};

const char *sandbox_seccomp_missing(void)
{
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0 && errno == EINVAL)
		return "this kernel has no seccomp";
	return NULL;
}

static int allow(scmp_filter_ctx ctx, int number, unsigned int n, const struct scmp_arg_cmp *args)
{
	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, number, n, args);
}

/* Memory that can be executed is mapped from files and by a program that starts only. */
static int add_mapping(scmp_filter_ctx ctx, int number, const struct call *c)
{
	const struct scmp_arg_cmp plain[] = { SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0) };
	const struct scmp_arg_cmp of_file[] = {
		SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC | PROT_WRITE, PROT_EXEC),
		SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, 0),
	};

	if (c->narrow)
		return allow(ctx, number, ARRAY_SIZE(of_file), of_file);
	return allow(ctx, number, ARRAY_SIZE(plain), plain);
}

static int add_narrow(scmp_filter_ctx ctx, int number, const struct call *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(arguments); i++) {
		const struct scmp_arg_cmp arg = { .arg = arguments[i].idx,
						  .op = SCMP_CMP_MASKED_EQ,
						  .datum_a = arguments[i].bits,
						  .datum_b = c->argument };

		if (strcmp(arguments[i].name, c->name) == 0)
			return allow(ctx, number, 1, &arg);
	}
	return -EINVAL; /* the list names a call that the table above does not */
}

/*
 * Of the Internet TCP alone: Landlock, which knows the ports, says nothing about
 * other protocols, and Multipath TCP reaches the very same servers.
 */
static int add_socket(scmp_filter_ctx ctx, int number, const struct call *c)
{
	static const unsigned int protocols[] = { 0, IPPROTO_TCP };
	int err = 0;

	if (c->argument != AF_INET && c->argument != AF_INET6) {
		const struct scmp_arg_cmp any[] = {
			SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, c->argument),
		};

		return allow(ctx, number, ARRAY_SIZE(any), any);
	}
	for (size_t i = 0; i < ARRAY_SIZE(protocols) && err == 0; i++) {
		const struct scmp_arg_cmp tcp[] = {
			SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, c->argument),
			SCMP_A1(SCMP_CMP_MASKED_EQ, SOCKET_TYPES, SOCK_STREAM),
			SCMP_A2(SCMP_CMP_MASKED_EQ, UINT32_MAX, protocols[i]),
		};

		err = allow(ctx, number, ARRAY_SIZE(tcp), tcp);
	}
	return err;
}

/*
 * Bits of an argument that are never needed and that Landlock has no say about:
 * sending that connects first; programs that run as their owner.
 */
enum { MODE_RUNS_AS = 07000 };

static const struct {
	const char *name;
	unsigned int idx;
	uint64_t bits;
} refused[] = {
	{ "chmod", 1, MODE_RUNS_AS },	 { "fchmod", 1, MODE_RUNS_AS },
	{ "fchmodat", 2, MODE_RUNS_AS }, { "sendmmsg", 3, MSG_FASTOPEN },
	{ "sendmsg", 2, MSG_FASTOPEN },	 { "sendto", 3, MSG_FASTOPEN },
};

static int add_wide(scmp_filter_ctx ctx, int number, const struct call *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		const struct scmp_arg_cmp without = { .arg = refused[i].idx,
						      .op = SCMP_CMP_MASKED_EQ,
						      .datum_a = refused[i].bits,
						      .datum_b = 0 };

		if (strcmp(refused[i].name, c->name) == 0)
			return allow(ctx, number, 1, &without);
	}
	return allow(ctx, number, 0, NULL);
}

/* A signal to ourselves. */
static int add_to_self(scmp_filter_ctx ctx, int number)
{
	const struct scmp_arg_cmp self[] = { SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()) };

	return allow(ctx, number, ARRAY_SIZE(self), self);
}

static int add_call(scmp_filter_ctx ctx, const struct call *c)
{
	int number = seccomp_syscall_resolve_name(c->name);

	if (number == __NR_SCMP_ERROR)
		return 0; /* of another machine, or newer than libseccomp */
	if (strcmp(c->name, "mmap") == 0 || strcmp(c->name, "mprotect") == 0)
		return add_mapping(ctx, number, c);
	if (strcmp(c->name, "tgkill") == 0)
		return add_to_self(ctx, number);
	if (strcmp(c->name, "socket") == 0)
		return add_socket(ctx, number, c);
	if (c->narrow)
		return add_narrow(ctx, number, c);
	return add_wide(ctx, number, c);
}

/* Its flags are in memory; the C library does without when it is told that there is none. */
static int add_clone3(scmp_filter_ctx ctx)
{
	int number = seccomp_syscall_resolve_name("clone3");

	if (number == __NR_SCMP_ERROR)
		return 0;
	return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), number, 0);
}

static int add_all(scmp_filter_ctx ctx, const struct sandbox_needs *needs)
{
	int err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);

	if (err == 0)
		err = add_clone3(ctx);
	for (size_t i = 0; i < ARRAY_SIZE(calls) && err == 0; i++)
		if (needs->groups & BIT(calls[i].group))
			err = add_call(ctx, &calls[i]);
	/* A program for the machine's other instruction sets has other numbers. */
	if (err == 0)
		err = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	return err;
}

int sandbox_seccomp_enter(const struct sandbox_needs *needs)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);
	int err = ctx ? add_all(ctx, needs) : -ENOMEM;

	if (err == 0)
		err = sandbox_violation_handle();
	if (err == 0)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

size_t sandbox_seccomp_check(void (*unknown)(const char *name))
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (seccomp_syscall_resolve_name(calls[i].name) == __NR_SCMP_ERROR)
			unknown(calls[i].name);
	return ARRAY_SIZE(calls);
}

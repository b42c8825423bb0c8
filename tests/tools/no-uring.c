/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Runs a program where io_uring_setup(2) fails with EPERM, or with the errno
 * given first, as under the seccomp profiles of containers.
 *
 *	no-uring [ERRNO] PROGRAM [ARGUMENT...]
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int forbid(unsigned int err)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (err & SECCOMP_RET_DATA)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

int main(int argc, char **argv)
{
	char *end = NULL;
	unsigned long err = argc > 1 ? strtoul(argv[1], &end, 10) : 0;
	int first = end && *end == '\0' && argc > 2 ? 2 : 1;
	int failed;

	if (argc < 2)
		return 2;
	failed = forbid(first == 2 ? (unsigned int)err : EPERM);
	if (failed < 0) {
		fprintf(stderr, "no-uring: seccomp: %s\n", strerror(-failed));
		return 77;
	}
	execvp(argv[first], argv + first);
	fprintf(stderr, "no-uring: %s: %s\n", argv[first], strerror(errno));
	return 127;
}

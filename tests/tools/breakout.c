/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * The daemon, taken over: linked with --wrap=loop_run, it does what VHU_BREAKOUT
 * says in the moment when its first guest would be served, as a guest would that has found
 * a way in. The last line tells what came of it:
 *
 *	breakout: NAME: done
 *	breakout: NAME: refused: Permission denied
 *
 * or there is none, as the sandbox has ended the process. VHU_BREAKOUT_TARGET is
 * the file, port or process that it is about. With VHU_BREAKOUT_IN=worker it is
 * done by a thread of --loops. Statuses: 40 done, 41 refused, 42 no such name.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/capability.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base.h"
#include "loop.h"

enum { STATUS_DONE = 40, STATUS_REFUSED, STATUS_UNKNOWN };

int __real_loop_run(struct loop *loop);
int __wrap_loop_run(struct loop *loop);

static const char *target;

/* Each returns 0, or -errno: nothing came of it. */

static int result(long r)
{
	return r < 0 ? -errno : 0;
}

static int read_file(void)
{
	return result(open(target, O_RDONLY | O_CLOEXEC));
}

static int write_file(void)
{
	return result(open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int remove_file(void)
{
	return result(unlink(target));
}

static int list_folder(void)
{
	return result(open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int change_mode(void)
{
	return result(chmod(target, 04755));
}

static int exec_shell(void)
{
	execl("/bin/sh", "sh", "-c", "echo breakout: exec-shell: done >&2; exit 40", NULL);
	return -errno;
}

static int fork_child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return result(pid);
}

static struct sockaddr_in port_of_target(void)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)atoi(target)),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int connect_by(int protocol)
{
	struct sockaddr_in to = port_of_target();
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, protocol);

	return fd < 0 ? -errno : result(connect(fd, (struct sockaddr *)&to, sizeof(to)));
}

static int connect_tcp(void)
{
	return connect_by(0);
}

/* The detours below reach the same servers, and Landlock says nothing about them. */
static int connect_multipath(void)
{
	return connect_by(IPPROTO_MPTCP);
}

static int send_first(int type, int flags)
{
	struct sockaddr_in to = port_of_target();
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno
		      : result(sendto(fd, "x", 1, flags, (struct sockaddr *)&to, sizeof(to)));
}

static int connect_by_sending(void)
{
	return send_first(SOCK_STREAM, MSG_FASTOPEN);
}

static int send_datagram(void)
{
	return send_first(SOCK_DGRAM, 0);
}

static int bind_tcp(void)
{
	struct sockaddr_in to = port_of_target();
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : result(bind(fd, (struct sockaddr *)&to, sizeof(to)));
}

static int connect_unix(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", target);
	return fd < 0 ? -errno : result(connect(fd, (struct sockaddr *)&to, sizeof(to)));
}

static int submit(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int err = io_uring_submit(ring);

	if (err >= 0)
		err = io_uring_wait_cqe(ring, &cqe);
	return err < 0 ? err : cqe->res < 0 ? cqe->res : 0;
}

/* What no system call is made for. */
static int ring_read_file(void)
{
	struct io_uring ring;
	int err = io_uring_queue_init(4, &ring, 0);

	if (err < 0)
		return err;
	io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, target, O_RDONLY, 0);
	return submit(&ring);
}

static int ring_write_file(void)
{
	struct io_uring ring;
	int err = io_uring_queue_init(4, &ring, 0);

	if (err < 0)
		return err;
	io_uring_prep_openat(io_uring_get_sqe(&ring), AT_FDCWD, target, O_WRONLY | O_CREAT, 0600);
	return submit(&ring);
}

static int ring_connect(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct io_uring ring;
	int err = io_uring_queue_init(4, &ring, 0), fd;

	if (err < 0)
		return err;
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", target);
	io_uring_prep_socket(io_uring_get_sqe(&ring), AF_UNIX, SOCK_STREAM, 0, 0);
	io_uring_submit(&ring);
	struct io_uring_cqe *cqe;

	err = io_uring_wait_cqe(&ring, &cqe);
	fd = err < 0 ? err : cqe->res;
	if (fd < 0)
		return fd;
	io_uring_cqe_seen(&ring, cqe);
	io_uring_prep_connect(io_uring_get_sqe(&ring), fd, (struct sockaddr *)&to, sizeof(to));
	return submit(&ring);
}

static int map_code(void)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);

	return at == MAP_FAILED ? -errno : 0;
}

static int make_code(void)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return result(mprotect(at, 4096, PROT_READ | PROT_EXEC));
}

static int kill_other(void)
{
	return result(kill(atoi(target), SIGKILL));
}

static int trace_other(void)
{
	return result(ptrace(PTRACE_ATTACH, atoi(target), NULL, NULL));
}

static int become_root(void)
{
	return result(syscall(SYS_setuid, 0));
}

static int gain_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = {
		{ .effective = 1U << CAP_NET_ADMIN, .permitted = 1U << CAP_NET_ADMIN },
	};

	return result(syscall(SYS_capset, &head, caps));
}

static int mount_folder(void)
{
	return result(mount("none", target, "tmpfs", 0, NULL));
}

static int packet_socket(void)
{
	return result(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
}

static int netlink_socket(void)
{
	return result(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int new_namespace(void)
{
	return result(syscall(SYS_unshare, 0x10000000)); /* CLONE_NEWUSER */
}

static const struct {
	const char *name;
	int (*run)(void);
} attempts[] = {
	{ "read-file", read_file },
	{ "write-file", write_file },
	{ "remove-file", remove_file },
	{ "list-folder", list_folder },
	{ "change-mode", change_mode },
	{ "exec-shell", exec_shell },
	{ "fork", fork_child },
	{ "connect-tcp", connect_tcp },
	{ "connect-multipath", connect_multipath },
	{ "connect-by-sending", connect_by_sending },
	{ "send-datagram", send_datagram },
	{ "bind-tcp", bind_tcp },
	{ "connect-unix", connect_unix },
	{ "ring-read-file", ring_read_file },
	{ "ring-write-file", ring_write_file },
	{ "ring-connect-unix", ring_connect },
	{ "map-code", map_code },
	{ "make-code", make_code },
	{ "kill", kill_other },
	{ "ptrace", trace_other },
	{ "setuid", become_root },
	{ "capabilities", gain_capabilities },
	{ "mount", mount_folder },
	{ "packet-socket", packet_socket },
	{ "netlink-socket", netlink_socket },
	{ "user-namespace", new_namespace },
};

static void tell(const char *name, int err)
{
	fprintf(stderr, "breakout: %s: %s%s\n", name, err < 0 ? "refused: " : "done",
		err < 0 ? strerror(-err) : "");
	_exit(err < 0 ? STATUS_REFUSED : STATUS_DONE);
}

static void attempt(int signo)
{
	const char *name = getenv("VHU_BREAKOUT");

	(void)signo;
	for (size_t i = 0; name && i < ARRAY_SIZE(attempts); i++)
		if (strcmp(attempts[i].name, name) == 0)
			tell(name, attempts[i].run());
	_exit(STATUS_UNKNOWN);
}

/* The worker whose loop began to run last; the sandbox is not closed by then. */
static pthread_t worker;

/* By the main thread: the sandbox is closed, and guests would be served from here on. */
static void break_out(void)
{
	const char *where = getenv("VHU_BREAKOUT_IN");
	struct sigaction action = { .sa_handler = attempt };

	target = getenv("VHU_BREAKOUT_TARGET");
	if (!where)
		attempt(0);
	sigaction(SIGUSR1, &action, NULL);
	pthread_kill(worker, SIGUSR1);
	for (;;)
		poll(NULL, 0, -1);
}

int __wrap_loop_run(struct loop *loop)
{
	if (gettid() != getpid())
		worker = pthread_self();
	else if (getenv("VHU_BREAKOUT"))
		break_out();
	return __real_loop_run(loop);
}

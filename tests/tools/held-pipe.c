/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "held-pipe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fd.h"

enum { PAGE = 4096, PATIENCE_MS = 30000 };

static void die(const char *what)
{
	fprintf(stderr, "a held pipe: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static void *write_page(void *arg)
{
	const struct held_pipe *h = arg;

	(void)!write(h->fds[1], h->page, PAGE);
	return NULL;
}

static bool page_is_missing(struct held_pipe *h)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	range.range.start = (uintptr_t)h->page;
	range.range.len = PAGE;
	return h->uffd >= 0 && ioctl(h->uffd, UFFDIO_API, &api) == 0 &&
	       ioctl(h->uffd, UFFDIO_REGISTER, &range) == 0;
}

void held_pipe_make(struct held_pipe *h)
{
	struct pollfd p;

	h->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pipe2(h->fds, O_CLOEXEC) < 0 || h->page == MAP_FAILED)
		die("pipe and page");
	h->uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (!page_is_missing(h)) {
		h->uffd = fd_close(h->uffd);
		return;
	}
	if (pthread_create(&h->writer, NULL, write_page, h) != 0)
		die("a thread");
	p = (struct pollfd){ .fd = h->uffd, .events = POLLIN };
	if (poll(&p, 1, PATIENCE_MS) != 1)
		die("its writer does not come to the page");
}

void held_pipe_let_go(struct held_pipe *h)
{
	struct uffdio_zeropage zero = { .mode = 0 };

	if (h->uffd < 0)
		return;
	zero.range.start = (uintptr_t)h->page;
	zero.range.len = PAGE;
	if (ioctl(h->uffd, UFFDIO_ZEROPAGE, &zero) < 0)
		die("the page cannot be brought");
	pthread_join(h->writer, NULL);
	h->uffd = fd_close(h->uffd);
}

void held_pipe_unmake(struct held_pipe *h)
{
	held_pipe_let_go(h);
	munmap(h->page, PAGE);
	h->fds[0] = fd_close(h->fds[0]);
	h->fds[1] = fd_close(h->fds[1]);
}

static bool is_stuck(pid_t pid, const char *thread)
{
	char path[64], line[256] = "";
	const char *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%.16s/stat", pid, thread);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	state = strrchr(line, ')'); /* the name before it may hold anything */
	return state && state[2] == 'D';
}

bool held_pipe_is_met(pid_t pid)
{
	const struct dirent *entry;
	bool met = false;
	char path[32];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && !met && (entry = readdir(dir)))
		met = is_stuck(pid, entry->d_name);
	if (dir)
		closedir(dir);
	return met;
}

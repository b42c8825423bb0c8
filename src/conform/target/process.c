/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "conform/target/process.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "proc.h"

bool process_visible(pid_t pid)
{
	return pid > 0 && process_n_fds(pid) > 0;
}

int process_n_fds(pid_t pid)
{
	return proc_count_numbers(pid, "fd");
}

int process_n_threads(pid_t pid)
{
	return proc_count_numbers(pid, "task");
}

/* Reading the maps of a process that has ended gives an empty file. */
int process_n_maps(pid_t pid)
{
	FILE *file = proc_open(pid, "maps");
	int n = 0, c;

	if (!file)
		return -errno;
	while ((c = getc(file)) != EOF)
		n += c == '\n';
	fclose(file);
	return n > 0 ? n : -ESRCH;
}

int process_n_memory_maps(pid_t pid)
{
	FILE *file = proc_open(pid, "maps");
	char line[4352];
	int n = 0;

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file))
		n += strstr(line, " /memfd:") != NULL;
	fclose(file);
	return n;
}

int64_t process_rss(pid_t pid)
{
	FILE *file = proc_open(pid, "statm");
	int64_t pages = 0;
	int n;

	if (!file)
		return -errno;
	n = fscanf(file, "%*s %" SCNd64, &pages);
	fclose(file);
	return n == 1 ? pages * sysconf(_SC_PAGESIZE) : -ESRCH;
}

int64_t process_cpu_ns(pid_t pid)
{
	struct timespec ts;
	clockid_t clock;
	int err = clock_getcpuclockid(pid, &clock);

	if (err != 0)
		return -err;
	if (clock_gettime(clock, &ts) < 0)
		return -errno;
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int add_wait(pid_t pid, int tid, void *arg)
{
	int64_t *sum = arg, wait;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "task/%d/schedstat", tid);
	file = proc_open(pid, path);
	if (!file)
		return 0; /* the thread has ended, or the kernel does not tell */
	if (fscanf(file, "%*s %" SCNd64, &wait) == 1)
		*sum += wait;
	fclose(file);
	return 0;
}

int64_t process_wait_ns(pid_t pid)
{
	int64_t sum = 0;
	int err = proc_each_number(pid, "task", add_wait, &sum);

	return err < 0 ? err : sum;
}

/* The first line of a mapping; the others of smaps have a colon after their
 * first word. */
static bool parse_mapping(const char *line, dev_t *ret_dev, ino_t *ret_ino)
{
	unsigned int major_no, minor_no;
	unsigned long inode;

	if (sscanf(line, "%*x-%*x %*4s %*x %x:%x %lu", &major_no, &minor_no, &inode) != 3)
		return false;
	*ret_dev = makedev(major_no, minor_no);
	*ret_ino = inode;
	return true;
}

static void keep_flags(const char *line, char *ret_vmflags, size_t size)
{
	static const char key[] = "VmFlags:";

	if (strncmp(line, key, sizeof(key) - 1) == 0)
		snprintf(ret_vmflags, size, "%.*s", (int)strcspn(line + sizeof(key) - 1, "\n"),
			 line + sizeof(key) - 1);
}

int process_n_maps_of(pid_t pid, int fd, char *ret_vmflags, size_t size)
{
	FILE *file = proc_open(pid, ret_vmflags ? "smaps" : "maps");
	char line[4352];
	struct stat st;
	dev_t dev = 0;
	ino_t ino = 0;
	bool mine = false;
	int n = 0;

	if (!file)
		return -errno;
	if (fstat(fd, &st) < 0) {
		fclose(file);
		return -errno;
	}
	while (fgets(line, sizeof(line), file)) {
		if (parse_mapping(line, &dev, &ino)) {
			mine = dev == st.st_dev && ino == st.st_ino;
			n += mine;
		} else if (ret_vmflags && mine && n == 1) {
			keep_flags(line, ret_vmflags, size);
		}
	}
	fclose(file);
	return n;
}

/* The number of a key in fdinfo; -1: it is not there. */
static int64_t fdinfo_number(pid_t pid, int n, const char *key, int base)
{
	char path[64], line[256];
	uint64_t value = 0;
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "fdinfo/%d", n);
	file = proc_open(pid, path);
	if (!file)
		return -1;
	while (!found && fgets(line, sizeof(line), file))
		found = proc_line_value(line, key, base, &value);
	fclose(file);
	return found ? (int64_t)value : -1;
}

/* All event descriptors share one inode, and differ by a number of theirs. */
static bool is_same_inode(pid_t pid, int n, int fd)
{
	static const char key[] = "eventfd-id";
	struct stat ours, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, n);
	if (fstat(fd, &ours) < 0 || stat(path, &theirs) < 0)
		return false;
	return ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino &&
	       fdinfo_number(getpid(), fd, key, 10) == fdinfo_number(pid, n, key, 10);
}

static bool is_same_file(pid_t pid, int n, int fd)
{
	long order = syscall(SYS_kcmp, pid, getpid(), KCMP_FILE, n, fd);

	return order >= 0 ? order == 0 : is_same_inode(pid, n, fd);
}

struct search {
	int fd;
	int n_found, first;
};

static int search_one(pid_t pid, int n, void *arg)
{
	struct search *s = arg;

	if (!is_same_file(pid, n, s->fd))
		return 0;
	if (s->n_found++ == 0)
		s->first = n;
	return 0;
}

int process_n_fds_of(pid_t pid, int fd)
{
	struct search s = { .fd = fd };
	int err = proc_each_number(pid, "fd", search_one, &s);

	return err < 0 ? err : s.n_found;
}

int process_fd_flags_of(pid_t pid, int fd, unsigned int *ret_flags)
{
	struct search s = { .fd = fd };
	int err = proc_each_number(pid, "fd", search_one, &s);
	int64_t flags;

	if (err < 0)
		return err;
	if (s.n_found == 0)
		return -ENOENT;
	flags = fdinfo_number(pid, s.first, "flags", 8);
	if (flags < 0)
		return -ESRCH;
	*ret_flags = (unsigned int)flags;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "vhu/backend-userfault.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fd.h"
#include "log.h"
#include "vhu/backend-postcopy.h"

/* seccomp: userfaultfd */
static int open_plain(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/* Of the process: the device, once it may not open files any more. */
static struct {
	bool kept;
	int fd; /* -1: it is not to be had */
} device = { .fd = -1 };

/* seccomp(start): openat */
static int open_device_file(void)
{
	int fd = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void vhu_userfault_keep_device(int fd)
{
	device.kept = true;
	device.fd = fd;
}

int vhu_userfault_device(void)
{
	return device.kept ? device.fd : open_device_file();
}

/* For those who may not use the call, where an administrator has let them use the device. */
/* seccomp: ioctl:USERFAULTFD_IOC_NEW */
static int open_device(void)
{
#ifdef USERFAULTFD_IOC_NEW
	AUTO_FD int opened = device.kept ? -1 : open_device_file();
	int fd = device.kept ? device.fd : opened;

	if (fd < 0)
		return device.kept ? -EPERM : opened;
	fd = ioctl(fd, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
#else
	return -ENOSYS;
#endif
}

/* seccomp: ioctl:UFFDIO_API */
int vhu_userfault_open(void)
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

static int probe(void)
{
	int fd = vhu_userfault_open();

	if (fd < 0)
		return fd;
	fd_close(fd);
	return 0;
}

/* That there was no room for one says nothing about the next time. */
static bool is_final(int err)
{
	return err != -EMFILE && err != -ENFILE && err != -ENOMEM;
}

/*
 * One for faults of user mode alone (UFFD_USER_MODE_ONLY) would be had by
 * everybody, but the kernel copies to and from guest memory for us as well.
 */
bool vhu_postcopy_works(const char *who)
{
	static int known = 1; /* what was found, once for all sessions; 1: nothing yet */
	int err = __atomic_load_n(&known, __ATOMIC_RELAXED);

	if (err == 1) {
		err = probe();
		if (is_final(err))
			__atomic_store_n(&known, err, __ATOMIC_RELAXED);
	}
	if (err < 0)
		log_debug(who, "no postcopy: userfaultfd for the kernel's faults: %s",
			  strerror(-err));
	return err == 0;
}

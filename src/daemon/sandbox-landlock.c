/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/sandbox-landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fd.h"

/*
 * Later versions of the interface than the headers may know. Numbers and
 * layouts are the kernel's, which takes longer structs whose rest is zero.
 */
enum {
	VERSION_REFER = 2,
	VERSION_TRUNCATE = 3,
	VERSION_TCP = 4,
	VERSION_DEVICES = 5,
	VERSION_SCOPES = 6,
	RULE_PORT = 2,
};

#define FS_TRUNCATE BIT(14)
#define FS_IOCTL_DEV BIT(15)
#define NET_BIND BIT(0)
#define NET_CONNECT BIT(1)
#define SCOPE_ABSTRACT BIT(0)
#define SCOPE_SIGNAL BIT(1)

struct ruleset {
	uint64_t fs, net, scoped;
};

struct port_rule {
	uint64_t access, port;
};

/* What a rule about a single file may name. */
#define FS_OF_FILES                                                                                \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |                              \
	 LANDLOCK_ACCESS_FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

/* Everything that version 1 knows: what is not listed for a place is refused. */
#define FS_FIRST (BIT(13) - 1)

static const struct {
	unsigned int access;
	uint64_t fs;
} meanings[] = {
	{ SANDBOX_READ, LANDLOCK_ACCESS_FS_READ_FILE },
	{ SANDBOX_WRITE, LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE },
	{ SANDBOX_FILES, LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE },
	{ SANDBOX_SOCKETS, LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE },
	{ SANDBOX_LINKS, LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REMOVE_FILE },
	{ SANDBOX_DEVICE, FS_IOCTL_DEV },
	{ SANDBOX_EXECUTE, LANDLOCK_ACCESS_FS_EXECUTE },
	{ SANDBOX_LIST, LANDLOCK_ACCESS_FS_READ_DIR },
};

/* Places that have rules, as what they are: names may lead elsewhere later. */
static struct {
	struct granted {
		dev_t dev;
		ino_t ino;
		unsigned int access;
	} * items;
	size_t n;
} granted;

static int version(void)
{
	long v = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return v < 0 ? -errno : (int)v;
}

const char *sandbox_landlock_missing(void)
{
	int v = version();

	if (v == -ENOSYS)
		return "this kernel has no Landlock";
	if (v == -EOPNOTSUPP)
		return "Landlock is switched off in this kernel (boot parameter lsm=)";
	return v < 0 ? "Landlock is forbidden here" : NULL;
}

const char *sandbox_landlock_lacks(void)
{
	int v = version();

	if (v < VERSION_TRUNCATE)
		return "truncating files, TCP ports, devices and signals are not in its Landlock";
	if (v < VERSION_TCP)
		return "TCP ports, devices and signals are not in its Landlock";
	if (v < VERSION_SCOPES)
		return "signals and abstract sockets are not in its Landlock";
	return NULL;
}

static struct ruleset all_of(int v, const struct sandbox_needs *needs)
{
	struct ruleset r = { .fs = FS_FIRST };

	if (v >= VERSION_REFER)
		r.fs |= LANDLOCK_ACCESS_FS_REFER;
	if (v >= VERSION_TRUNCATE)
		r.fs |= FS_TRUNCATE;
	if (v >= VERSION_DEVICES)
		r.fs |= FS_IOCTL_DEV;
	if (v >= VERSION_TCP)
		r.net = (needs->binds ? 0 : NET_BIND) | (needs->any_port ? 0 : NET_CONNECT);
	if (v >= VERSION_SCOPES)
		r.scoped = SCOPE_SIGNAL | (needs->abstract ? 0 : SCOPE_ABSTRACT);
	return r;
}

static size_t ruleset_len(int v)
{
	if (v >= VERSION_SCOPES)
		return sizeof(struct ruleset);
	return v >= VERSION_TCP ? offsetof(struct ruleset, scoped) : offsetof(struct ruleset, net);
}

static int remember(const struct stat *st, unsigned int access)
{
	struct granted *items = reallocarray(granted.items, granted.n + 1, sizeof(*granted.items));

	if (!items)
		return -ENOMEM;
	granted.items = items;
	granted.items[granted.n++] =
		(struct granted){ .dev = st->st_dev, .ino = st->st_ino, .access = access };
	return 0;
}

static int add_place(int rules, const struct ruleset *all, const struct sandbox_place *place)
{
	AUTO_FD int fd = open(place->path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = { .parent_fd = fd };
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(meanings); i++)
		if (place->access & meanings[i].access)
			rule.allowed_access |= meanings[i].fs;
	rule.allowed_access &= all->fs;
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= FS_OF_FILES;
	if (rule.allowed_access == 0)
		return 0;
	if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return -errno;
	return remember(&st, place->access);
}

static int add_port(int rules, uint16_t port)
{
	const struct port_rule rule = { .access = NET_CONNECT, .port = port };

	return syscall(SYS_landlock_add_rule, rules, RULE_PORT, &rule, 0) < 0 ? -errno : 0;
}

int sandbox_landlock_make(const struct sandbox_needs *needs)
{
	const int v = version();
	const struct ruleset all = all_of(v, needs);
	AUTO_FD int rules = -1;
	int err = 0;

	if (v < 0)
		return v;
	rules = (int)syscall(SYS_landlock_create_ruleset, &all, ruleset_len(v), 0);
	if (rules < 0)
		return -errno;
	granted.n = 0;
	for (size_t i = 0; i < needs->n_places && err == 0; i++)
		err = add_place(rules, &all, &needs->places[i]);
	for (size_t i = 0; i < needs->n_ports && err == 0 && (all.net & NET_CONNECT); i++)
		err = add_port(rules, needs->ports[i]);
	return err < 0 ? err : fd_take(&rules);
}

int sandbox_landlock_enter(int rules)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return syscall(SYS_landlock_restrict_self, rules, 0) < 0 ? -errno : 0;
}

static unsigned int access_at(const struct stat *st)
{
	unsigned int access = 0;

	for (size_t i = 0; i < granted.n; i++)
		if (granted.items[i].dev == st->st_dev && granted.items[i].ino == st->st_ino)
			access |= granted.items[i].access;
	return access;
}

bool sandbox_landlock_has(const struct sandbox_place *place)
{
	unsigned int missing = place->access;
	struct stat st, above;
	char path[4096];
	size_t len = (size_t)snprintf(path, sizeof(path), "%s", place->path);

	if (len >= sizeof(path) || stat(path, &st) < 0)
		return true; /* it cannot be opened anyway, which is said better there */
	if (!S_ISDIR(st.st_mode)) {
		missing &= ~access_at(&st);
		while (len > 0 && path[len - 1] != '/')
			len--;
		len = (size_t)snprintf(path + len, sizeof(path) - len, ".") + len;
		if (stat(path, &st) < 0)
			return true;
	}
	for (;;) {
		missing &= ~access_at(&st);
		if (missing == 0)
			return true;
		if (len + 4 > sizeof(path))
			return false;
		len += (size_t)snprintf(path + len, sizeof(path) - len, "/..");
		if (stat(path, &above) < 0 ||
		    (above.st_dev == st.st_dev && above.st_ino == st.st_ino))
			return false;
		st = above;
	}
}

enum { TAG_DEV = 1, TAG_INO, TAG_ACCESS };

void sandbox_landlock_save(struct state_writer *w, unsigned int tag)
{
	for (size_t i = 0; i < granted.n; i++) {
		const struct granted *g = &granted.items[i];

		state_begin_group(w, tag);
		state_put_number(w, TAG_DEV, g->dev);
		state_put_number(w, TAG_INO, g->ino);
		state_put_number(w, TAG_ACCESS, g->access);
		state_end(w);
	}
}

void sandbox_landlock_load(struct state_reader *r, unsigned int tag)
{
	while (state_has(r, tag) && state_enter(r, tag, "places")) {
		struct stat st = { .st_dev = state_take_number(r, TAG_DEV, "device", UINT64_MAX) };
		unsigned int access;

		st.st_ino = state_take_number(r, TAG_INO, "inode", UINT64_MAX);
		access = (unsigned int)state_take_number(r, TAG_ACCESS, "access", UINT32_MAX);
		state_leave(r);
		if (!r->failed && remember(&st, access) < 0)
			state_fail(r, "no memory for places");
	}
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/sandbox-privileges.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "backends/attachment.h"
#include "config.h"

#ifdef HAVE_LIBCAP_NG
#include <cap-ng.h>
#endif

/* Linux 6.3: no memory is both written and executed, or becomes executable later. */
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1UL
#endif

/* Who is asked for. */
struct identity {
	unsigned int uid, gid;
};

/* The group that goes with a user, unless one was given. */
static int find_group_of(const char *user, unsigned int uid, unsigned int *ret_gid, char *ret_why,
			 size_t why_cap)
{
	const struct passwd *pw = getpwuid(uid);

	if (!pw) {
		snprintf(ret_why, why_cap, "--user %s: the user's group is not known; give --group",
			 user);
		return -EINVAL;
	}
	*ret_gid = pw->pw_gid;
	return 0;
}

static int find_identity(const char *user, const char *group, struct identity *ret, char *ret_why,
			 size_t why_cap)
{
	int err = 0;

	*ret = (struct identity){ .uid = geteuid(), .gid = getegid() };
	if (user)
		err = peer_find_id(false, user, &ret->uid, ret_why, why_cap);
	if (err == 0 && group)
		err = peer_find_id(true, group, &ret->gid, ret_why, why_cap);
	else if (err == 0 && user)
		err = find_group_of(user, ret->uid, &ret->gid, ret_why, why_cap);
	return err;
}

/* Whether we are in no others, as in a program that goes on for another user. */
static bool in_no_others(const gid_t *ids, size_t n)
{
	gid_t own[NGROUPS_MAX];
	int n_own = getgroups(NGROUPS_MAX, own);

	for (int i = 0; i < n_own; i++) {
		size_t at = 0;

		while (at < n && ids[at] != own[i])
			at++;
		if (at == n)
			return false;
	}
	return n_own >= 0;
}

/* Those that files are given to, and, unless the user changes, those that we are in. */
static int set_groups(bool keep, const char *const *groups, size_t n_groups, char *ret_why,
		      size_t why_cap)
{
	int n_own = keep ? getgroups(0, NULL) : 0, err = 0;
	size_t n = n_own > 0 ? (size_t)n_own : 0;
	gid_t *ids = calloc(n + n_groups + 1, sizeof(*ids));

	if (!ids || (n > 0 && getgroups(n_own, ids) != n_own)) {
		snprintf(ret_why, why_cap, "the groups of this process cannot be told");
		err = -ENOMEM;
	}
	for (size_t i = 0; i < n_groups && err == 0; i++)
		err = peer_find_id(true, groups[i], &ids[n++], ret_why, why_cap);
	if (err == 0 && setgroups(n, ids) < 0 && !keep && !in_no_others(ids, n)) {
		err = -EPERM;
		snprintf(ret_why, why_cap, "--user: the groups cannot be left: %s", strerror(-err));
	}
	free(ids);
	return err;
}

#ifdef HAVE_LIBCAP_NG

/* What opening sockets, files and terminals may take, whoever they belong to. */
static int become(const struct identity *who, char *ret_why, size_t why_cap)
{
	int err;

	capng_clear(CAPNG_SELECT_BOTH);
	capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_BIND_SERVICE, CAP_CHOWN,
		      CAP_FOWNER, CAP_DAC_OVERRIDE, -1);
	err = capng_change_id((int)who->uid, (int)who->gid, CAPNG_NO_FLAG);
	if (err == 0)
		return 0;
	snprintf(ret_why, why_cap,
		 "--user and --group: this process may not become user %u in group %u (%s)",
		 who->uid, who->gid, errno ? strerror(errno) : "libcap-ng");
	return -EPERM;
}

const char *sandbox_privileges_missing(void)
{
	return NULL;
}

static bool has_none(void)
{
	return capng_get_caps_process() == 0 &&
	       capng_have_capabilities(CAPNG_SELECT_CAPS) == CAPNG_NONE;
}

int sandbox_privileges_drop(void)
{
	if (has_none())
		return 0; /* whoever started us may have forbidden the call */
	capng_clear(CAPNG_SELECT_BOTH);
	capng_apply(CAPNG_SELECT_CAPS);
	return has_none() ? 0 : -EPERM;
}

/* While it is allowed; later it does not matter, as nothing is gained by execve() any more. */
static void drop_bounds(void)
{
	if (capng_get_caps_process() != 0 || !capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		return;
	capng_clear(CAPNG_SELECT_BOUNDS);
	capng_apply(CAPNG_SELECT_BOUNDS);
}

#else

static int become(const struct identity *who, char *ret_why, size_t why_cap)
{
	(void)who;
	snprintf(ret_why, why_cap,
		 "--user and --group: this program was built without libcap-ng, which they need");
	return -EOPNOTSUPP;
}

const char *sandbox_privileges_missing(void)
{
	return "this program was built without libcap-ng";
}

int sandbox_privileges_drop(void)
{
	return -EOPNOTSUPP;
}

static void drop_bounds(void)
{
}

#endif

int sandbox_privileges_change(const char *user, const char *group, const char *const *groups,
			      size_t n_groups, char *ret_why, size_t why_cap)
{
	struct identity who;
	int err;

	drop_bounds();
	err = find_identity(user, group, &who, ret_why, why_cap);
	if (err == 0)
		err = set_groups(!user && !group, groups, n_groups, ret_why, why_cap);
	if (err < 0 || (who.uid == geteuid() && who.gid == getegid()))
		return err;
	return become(&who, ret_why, why_cap);
}

int sandbox_privileges_freeze(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* Newer than what we ask of a kernel; the list of system calls says the same. */
	(void)prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
	return 0;
}

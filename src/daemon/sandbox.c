/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/sandbox-descriptors.h"
#include "daemon/sandbox-landlock.h"
#include "daemon/sandbox-needs.h"
#include "daemon/sandbox-privileges.h"
#include "daemon/sandbox-seccomp.h"
#include "daemon/sandbox-violation.h"
#include "fd.h"
#include "log.h"
#include "systemd.h"
#include "vhu/backend-userfault.h"

#define WALL_BIT(ident) BIT(SANDBOX_WALL_##ident)

static const char *const wall_names[] = {
#define WALL(ident, name) name,
#include "daemon/sandbox-walls.def"
#undef WALL
};

/* Of the process. */
static struct {
	enum sandbox_mode mode;
	uint64_t inherited; /* walls that were there when the program started */
	uint64_t walls;	    /* that are there now */
	uint64_t planned;   /* that sandbox_close() puts up */
	bool control;
	bool goes_on; /* in the place of another program */
	bool changes_user;
	struct sandbox_needs needs;
} sandbox = { .mode = SANDBOX_NONE };

/* What is to be there. */

/* NULL, or why a wall cannot be had. */
static const char *missing(enum sandbox_wall wall)
{
	switch (wall) {
	case SANDBOX_WALL_capabilities:
		return sandbox_privileges_missing();
	case SANDBOX_WALL_files:
		return sandbox_landlock_missing();
	case SANDBOX_WALL_calls:
		return sandbox_seccomp_missing();
	case SANDBOX_WALL_descriptors:
		return sandbox.goes_on ? "a program that is upgraded to keeps what was open" : NULL;
	case SANDBOX_WALL_privileges:
	case SANDBOX_N_WALLS:
		break;
	}
	return NULL;
}

/* In auto mode a wall that is missing is one line; in strict mode it is the end. */
static int plan(void)
{
	sandbox.planned = 0;
	for (unsigned int i = 0; i < SANDBOX_N_WALLS; i++) {
		const char *why = missing((enum sandbox_wall)i);

		if (!why) {
			sandbox.planned |= BIT(i);
		} else if (sandbox.mode == SANDBOX_STRICT) {
			log_error(NULL, "--sandbox=strict: the wall \"%s\" cannot be had: %s",
				  wall_names[i], why);
			return -EOPNOTSUPP;
		} else {
			log_info(NULL, "the sandbox has no wall \"%s\": %s", wall_names[i], why);
		}
	}
	if ((sandbox.planned & WALL_BIT(files)) && sandbox_landlock_lacks())
		log_info(NULL, "the sandbox is lower than it could be: %s",
			 sandbox_landlock_lacks());
	return 0;
}

/* A wall that cannot be put up although it is there. */
static int failed(enum sandbox_wall wall, int err)
{
	if (sandbox.mode == SANDBOX_STRICT)
		return log_errno(LOG_LEVEL_ERROR, NULL, err,
				 "--sandbox=strict: the wall \"%s\" cannot be had",
				 wall_names[wall]);
	log_errno(LOG_LEVEL_INFO, NULL, err, "the sandbox has no wall \"%s\"", wall_names[wall]);
	sandbox.planned &= ~BIT(wall);
	return 0;
}

static void look_at_needs(const struct setup *setup, bool control)
{
	const struct sandbox_options options = {
		.control = control,
		.anything = setup->has_files && sandbox.mode == SANDBOX_AUTO,
		/* A new program starts within these walls: without the files' one it could be any.
		 */
		.upgrade = sandbox.mode == SANDBOX_AUTO && (sandbox.planned & WALL_BIT(files)),
	};

	sandbox_needs_init(&sandbox.needs);
	sandbox_needs_of_setup(&sandbox.needs, setup, &options);
	sandbox.control = control;
}

/* Groups that files, sockets and terminals of the setup are given to. */

struct names {
	const char **items;
	size_t n;
	bool no_memory;
};

static void add_name(struct names *l, const char *name)
{
	const char **items;

	if (!name)
		return;
	items = reallocarray(l->items, l->n + 1, sizeof(*items));
	if (!items) {
		l->no_memory = true;
		return;
	}
	l->items = items;
	l->items[l->n++] = name;
}

static void add_names_of(struct names *l, const struct device_spec *d)
{
	const struct list_node *ports = &d->ports;

	add_name(l, d->options.group);
	for (const struct list_node *p = ports->next; p != ports; p = p->next) {
		const struct list_node *head =
			&list_entry(p, const struct port_spec, link)->attachments;

		for (const struct list_node *a = head->next; a != head; a = a->next)
			add_name(l,
				 list_entry(a, const struct attachment_spec, link)->options.group);
	}
}

static int change_user(const struct setup *setup)
{
	const struct list_node *head = &setup->devices;
	struct names groups = { .n = 0 };
	char why[256] = "out of memory";
	int err = -ENOMEM;

	for (const struct list_node *node = head->next; node != head; node = node->next)
		add_names_of(&groups, list_entry(node, const struct device_spec, link));
	if (setup->control)
		add_name(&groups, setup->control->options.group);
	if (!groups.no_memory)
		err = sandbox_privileges_change(setup->options.user, setup->options.group,
						groups.items, groups.n, why, sizeof(why));
	free(groups.items);
	if (err < 0)
		log_error(NULL, "%s", why);
	return err;
}

/* A folder that is named in advance has to be there: rules are about what is. */
/* seccomp(once): stat newfstatat */
static int check_paths(const struct setup *setup)
{
	for (unsigned int i = 0; i < setup->options.sandbox_paths.n_items; i++) {
		const char *path = setup->options.sandbox_paths.items[i].text;
		struct stat st;
		int err = stat(path, &st) < 0 ? -errno : 0;

		if (err == 0 && !S_ISDIR(st.st_mode))
			err = -ENOTDIR;
		if (err < 0)
			return log_errno(LOG_LEVEL_ERROR, NULL, err,
					 "--sandbox-path %s: a folder that is there is expected",
					 path);
	}
	return 0;
}

/* The first step. */

static int begin(const struct setup *setup, bool control)
{
	int err = check_paths(setup);

	if (err == 0)
		err = plan();
	if (err < 0)
		return err;
	look_at_needs(setup, control);
	if (sandbox.needs.no_memory)
		return log_errno(LOG_LEVEL_ERROR, NULL, -ENOMEM, "--sandbox");
	if (!(sandbox.planned & WALL_BIT(descriptors)))
		return 0;
	err = sandbox_descriptors_close(setup);
	if (err < 0)
		return failed(SANDBOX_WALL_descriptors, err);
	sandbox.walls |= WALL_BIT(descriptors);
	return 0;
}

/* Walls stay over execve(): what was there is enough, unless more is asked for. */
static bool begin_inherited(const struct setup *setup, bool control)
{
	const uint64_t closed = WALL_BIT(files) | WALL_BIT(calls);

	if (!(sandbox.inherited & closed))
		return false;
	if (sandbox.mode == SANDBOX_NONE)
		log_info(NULL, "the sandbox stays until the daemon is started again");
	sandbox.mode = sandbox.mode == SANDBOX_NONE ? SANDBOX_AUTO : sandbox.mode;
	sandbox.planned = sandbox.walls = sandbox.inherited;
	(void)sandbox_violation_handle();
	look_at_needs(setup, control);
	return true;
}

int sandbox_begin(const struct setup *setup)
{
	bool control = setup->control || systemd_find_fd("control", 0) >= 0;
	int err = 0;

	sandbox.mode = (enum sandbox_mode)setup->options.sandbox;
	sandbox.changes_user = setup->options.user || setup->options.group;
	if (begin_inherited(setup, control))
		return 0;
	if (sandbox.mode != SANDBOX_NONE)
		err = begin(setup, control);
	if (err == 0 && (sandbox.mode != SANDBOX_NONE || sandbox.changes_user))
		err = change_user(setup);
	return err;
}

/* The second step. */

static int drop_in_thread(void *arg)
{
	(void)arg;
	return sandbox_privileges_drop();
}

static int freeze_in_thread(void *arg)
{
	(void)arg;
	return sandbox_privileges_freeze();
}

static int enter_in_thread(void *arg)
{
	return sandbox_landlock_enter(*(const int *)arg);
}

/* In this thread and all others. */
static int in_all(struct places *places, int (*fn)(void *arg), void *arg)
{
	int err = fn(arg);

	return err < 0 ? err : places_in_each_thread(places, fn, arg);
}

static int put_up(enum sandbox_wall wall, struct places *places)
{
	AUTO_FD int rules = -1;

	switch (wall) {
	case SANDBOX_WALL_privileges:
		return in_all(places, freeze_in_thread, NULL);
	case SANDBOX_WALL_capabilities:
		return in_all(places, drop_in_thread, NULL);
	case SANDBOX_WALL_files:
		sandbox_needs_of_descriptors(&sandbox.needs);
		rules = sandbox_landlock_make(&sandbox.needs);
		return rules < 0 ? rules : in_all(places, enter_in_thread, &rules);
	case SANDBOX_WALL_calls:
		return sandbox_seccomp_enter(&sandbox.needs);
	case SANDBOX_WALL_descriptors:
	case SANDBOX_N_WALLS:
		break;
	}
	return 0;
}

/* A wall of the loop's own, which is there from its beginning. */
static int check_loop(const struct loop *loop)
{
	static const char why[] = "this kernel cannot restrict a ring (Linux 5.10 or newer can)";

	if (loop_restricted(loop))
		return 0;
	if (sandbox.mode != SANDBOX_STRICT) {
		log_info(NULL, "the sandbox has no wall \"operations of io_uring\": %s", why);
		return 0;
	}
	log_error(NULL, "--sandbox=strict: the wall \"operations of io_uring\" cannot be had: %s",
		  why);
	return -EOPNOTSUPP;
}

/* In the order of the list: each makes no call that the one before it has forbidden. */
int sandbox_close(struct places *places, const struct loop *loop)
{
	const uint64_t enough = sandbox.mode == SANDBOX_STRICT ? 0 : sandbox.inherited;

	if (sandbox.mode == SANDBOX_NONE) /* another user has no privileges even so */
		return sandbox.changes_user ? in_all(places, drop_in_thread, NULL) : 0;
	if (check_loop(loop) < 0)
		return -EOPNOTSUPP;
	tzset(); /* the C library looks at its time zone once */
	if (!sandbox.inherited) {
		vhu_userfault_keep_device(vhu_userfault_device());
		peer_end_lookups();
	}
	for (unsigned int i = 0; i < SANDBOX_N_WALLS; i++) {
		int err;

		if (!(sandbox.planned & BIT(i)) || (enough & BIT(i)))
			continue;
		err = put_up((enum sandbox_wall)i, places);
		if (err < 0)
			err = failed((enum sandbox_wall)i, err);
		if (err < 0)
			return err;
		sandbox.walls |= sandbox.planned & BIT(i);
	}
	log_debug(NULL, "the sandbox is closed");
	return 0;
}

/* Another program in our place. */

enum { TAG_WALLS = 1, TAG_DEVICE, TAG_NAMES, TAG_PLACES };

void sandbox_save(struct handover_out *out, unsigned int tag)
{
	state_begin_group(&out->state, tag);
	state_put_number(&out->state, TAG_WALLS, sandbox.walls);
	if (sandbox.walls)
		handover_put_fd(out, TAG_DEVICE, vhu_userfault_device());
	peer_save_lookups(out, TAG_NAMES);
	sandbox_landlock_save(&out->state, TAG_PLACES);
	state_end(&out->state);
}

void sandbox_load(struct handover_in *in, unsigned int tag)
{
	sandbox.goes_on = true;
	if (!state_has(&in->state, tag) || !state_enter(&in->state, tag, "sandbox"))
		return;
	sandbox.inherited = state_take_number(&in->state, TAG_WALLS, "walls", UINT64_MAX);
	if (sandbox.inherited) {
		vhu_userfault_keep_device(
			handover_take_fd(in, TAG_DEVICE, "userfaultfd device", false));
		peer_end_lookups();
	}
	peer_load_lookups(in, TAG_NAMES);
	sandbox_landlock_load(&in->state, TAG_PLACES);
	state_leave(&in->state);
}

/* What can be done after it. */

static int refuse_group(const char *what, enum sandbox_group group, char *ret_why, size_t why_cap)
{
	static const char *const groups[] = {
#define GROUP(ident, text) text,
#include "daemon/sandbox-groups.def"
#undef GROUP
	};

	snprintf(ret_why, why_cap,
		 "%s: the sandbox was closed without %s, which nothing of the setup needed at the "
		 "start",
		 what, groups[group]);
	return -EACCES;
}

static const char *use_of(const struct sandbox_place *place)
{
	if (place->access & SANDBOX_LINKS)
		return "links";
	if (place->access & SANDBOX_SOCKETS)
		return "sockets";
	return place->access & SANDBOX_FILES ? "files" : "reading and writing";
}

static int check_places(const struct sandbox_needs *n, char *ret_why, size_t why_cap)
{
	if (!(sandbox.walls & WALL_BIT(files)))
		return 0;
	for (size_t i = 0; i < n->n_places; i++) {
		if (sandbox_landlock_has(&n->places[i]))
			continue;
		snprintf(ret_why, why_cap,
			 "%s is outside the sandbox for %s, which was closed at the start: "
			 "--sandbox-path names folders that are needed later",
			 n->places[i].path, use_of(&n->places[i]));
		return -EACCES;
	}
	return 0;
}

static int check(const char *what, const struct sandbox_needs *n, char *ret_why, size_t why_cap)
{
	uint64_t lacking = n->groups & ~sandbox.needs.groups;

	if (n->no_memory) {
		snprintf(ret_why, why_cap, "out of memory");
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < SANDBOX_N_GROUPS; i++)
		if ((lacking & BIT(i)) && (sandbox.walls & WALL_BIT(calls)))
			return refuse_group(what, (enum sandbox_group)i, ret_why, why_cap);
	return check_places(n, ret_why, why_cap);
}

int sandbox_permits(const struct attachment_options *options, char *ret_why, size_t why_cap)
{
	struct sandbox_needs n;
	int err;

	if (!(sandbox.walls & (WALL_BIT(files) | WALL_BIT(calls))))
		return 0;
	sandbox_needs_init(&n);
	sandbox_needs_of_attachment(&n, options);
	err = check(options->address ? options->address : attachment_rows[options->kind].name, &n,
		    ret_why, why_cap);
	sandbox_needs_fini(&n);
	return err;
}

int sandbox_permits_socket(const char *path, char *ret_why, size_t why_cap)
{
	struct sandbox_needs n;
	int err;

	if (!(sandbox.walls & (WALL_BIT(files) | WALL_BIT(calls))))
		return 0;
	sandbox_needs_init(&n);
	sandbox_needs_of_socket(&n, path);
	err = check(path, &n, ret_why, why_cap);
	sandbox_needs_fini(&n);
	return err;
}

int sandbox_permits_upgrade(char *ret_why, size_t why_cap)
{
	if (!(sandbox.walls & WALL_BIT(calls)) ||
	    (sandbox.needs.groups & BIT(SANDBOX_GROUP_upgrade)))
		return 0;
	snprintf(
		ret_why, why_cap,
		sandbox.mode == SANDBOX_STRICT
			? "--sandbox=strict starts no program: it takes auto or none"
			: "without Landlock in this kernel the sandbox starts no program: it takes "
			  "--sandbox=none");
	return -EACCES;
}

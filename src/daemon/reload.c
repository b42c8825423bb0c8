/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * SIGHUP: the setup is read again, and what differs is changed. What goes is
 * closed first, what comes is opened when that is over: the one may have the
 * address that the other wants.
 */
#include "clock.h"
#include "daemon/daemon.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "systemd.h"

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_items(const struct option_texts *a, const struct option_texts *b)
{
	if (a->n_items != b->n_items)
		return false;
	for (unsigned int i = 0; i < a->n_items; i++)
		if (!same_text(a->items[i].text, b->items[i].text))
			return false;
	return true;
}

/* A device is the same one while it has its name and its socket. */
static bool same_device(const struct device_spec *a, const struct device_spec *b)
{
	return same_text(a->options.name, b->options.name) &&
	       same_text(a->options.socket, b->options.socket) &&
	       same_text(a->options.fd, b->options.fd);
}

static struct device_spec *find_device(struct daemon *d, const struct guest *g)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &d->setup->devices)
		if (same_device(list_entry(node, struct device_spec, link), g->spec))
			return list_entry(node, struct device_spec, link);
	return NULL;
}

/* What a front-end has been told, or who may connect, cannot change under it. */
static void warn_of_what_stays(const struct guest *g, const struct device_spec *spec)
{
	const struct device_words *ours = &g->spec->options, *theirs = &spec->options;
	const struct {
		const char *word;
		bool same;
	} rows[] = {
		{ "max-ports", ours->max_ports == theirs->max_ports },
		{ "resize-order", g->spec->rows_first == spec->rows_first },
		{ "iommu", ours->iommu == theirs->iommu },
		{ "mode",
		  ours->mode.set == theirs->mode.set && ours->mode.value == theirs->mode.value },
		{ "owner", same_text(ours->owner, theirs->owner) },
		{ "group", same_text(ours->group, theirs->group) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!rows[i].same)
			log_warning(ours->name,
				    "another %s counts when the daemon is started again",
				    rows[i].word);
}

static void warn_of_options(const struct setup *old, const struct setup *new)
{
	const char *was = old->control ? old->control->text : NULL;
	const char *is = new->control ? new->control->text : NULL;

	if (!same_text(was, is))
		log_warning(NULL, "another --control counts when the daemon is started again");
	if (old->options.max_queue_size != new->options.max_queue_size)
		log_warning(NULL, "another --max-queue-size counts for devices that are new");
	if (old->options.loops != new->options.loops)
		log_warning(NULL, "another --loops counts when the daemon is started again");
	if (old->options.engine != new->options.engine)
		log_warning(NULL, "another --engine counts when the daemon is started again");
	if (!same_text(old->options.journal, new->options.journal))
		log_warning(NULL, "another --journal counts when the daemon is started again");
	if (old->options.sandbox != new->options.sandbox ||
	    !same_text(old->options.user, new->options.user) ||
	    !same_text(old->options.group, new->options.group))
		log_warning(NULL, "another --sandbox, --user or --group counts when the daemon is "
				  "started again");
	if (!same_items(&old->options.sandbox_paths, &new->options.sandbox_paths))
		log_warning(NULL, "another --sandbox-path counts when the daemon is started again");
	if (!same_text(old->options.trace, new->options.trace))
		log_warning(NULL, "another --trace counts when the daemon is started again");
}

/* The first step: everything that is not written any more goes. */
static void compare(struct daemon *d)
{
	struct list_node *node, *tmp;

	list_for_each (node, tmp, &d->guests) {
		struct guest *g = list_entry(node, struct guest, link);
		struct device_spec *spec = find_device(d, g);
		struct spec_defaults defaults;

		if (!spec) {
			log_info(g->spec->options.name, "the device is taken out of service");
			daemon_retire(d, g);
			continue;
		}
		warn_of_what_stays(g, spec);
		defaults = daemon_defaults(d, spec);
		guest_apply(g, spec, &defaults);
		device_spec_free(spec);
	}
	list_splice(&d->wanted, &d->setup->devices);
}

static void apply_poll(struct daemon *d, const struct setup *setup)
{
	if (d->setup->options.poll_us == setup->options.poll_us)
		return;
	places_set_poll(d->places, setup->options.poll_us * 1000);
	log_info(NULL, "--poll-us is %" PRIu64 " now", setup->options.poll_us);
}

int daemon_reload(struct daemon *d, char *ret_why, size_t why_cap)
{
	struct setup *setup;
	int err;

	if (d->ending)
		return 0;
	if (d->reloading) {
		d->reload_again = true;
		return 0;
	}
	systemd_notify("RELOADING=1\nMONOTONIC_USEC=%" PRIu64, monotonic_ns() / 1000);
	err = setup_load(d->argc, d->argv, &setup, ret_why, why_cap);
	if (err < 0) {
		log_error(NULL, "%s; all stays as it was", ret_why);
		daemon_notify_ready(d);
		return err;
	}
	warn_of_options(d->setup, setup);
	log_set_level((enum log_level)setup->options.log_level);
	d->reloading = true;
	places_set_max_queue_size(d->places, (unsigned int)setup->options.max_queue_size);
	apply_poll(d, setup);
	setup_free(d->setup);
	d->setup = setup;
	daemon_number_devices(d);
	compare(d);
	daemon_reload_rest(d);
	return 0;
}

static bool settled(const struct daemon *d)
{
	struct list_node *node, *tmp;

	if (!list_empty(&d->leaving))
		return false;
	list_for_each (node, tmp, &d->guests)
		if (!guest_settled(list_entry(node, struct guest, link)))
			return false;
	return true;
}

/* Without its ports at first: one that cannot be opened is left out, as on any other device. */
static void start_device(struct daemon *d, struct device_spec *spec)
{
	struct list_node ports;
	struct guest *g;

	list_init(&ports);
	list_splice(&ports, &spec->ports);
	if (daemon_start_device(d, spec, &g) < 0) {
		struct list_node *node, *tmp;

		list_for_each (node, tmp, &ports)
			port_spec_free(list_entry(node, struct port_spec, link));
		return;
	}
	list_splice(&g->wanted, &ports);
	guest_apply_rest(g);
}

void daemon_reload_rest(struct daemon *d)
{
	struct list_node *node, *tmp;
	char why[GUEST_WHY_MAX];

	if (!d->reloading || d->ending || !settled(d))
		return;
	list_for_each (node, tmp, &d->guests)
		guest_apply_rest(list_entry(node, struct guest, link));
	list_for_each (node, tmp, &d->wanted) {
		list_remove(node);
		start_device(d, list_entry(node, struct device_spec, link));
	}
	d->reloading = false;
	log_info(NULL, "the setup was read again");
	daemon_notify_ready(d);
	if (d->reload_again) {
		d->reload_again = false;
		daemon_reload(d, why, sizeof(why));
	}
}

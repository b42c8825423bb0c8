/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "trace/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fd.h"
#include "log.h"
#include "trace/capture/capture.h"

struct hub_output {
	struct hub_output *next;
	const char *name;
	FILE *out;
	bool owns_out;
	struct trace_view *view;	/* this */
	struct capture_writer *capture; /* or this */
	int err;			/* why nothing more is written */
};

struct trace_hub {
	struct trace_sink sink;
	pthread_mutex_t lock;
	const struct trace_filter *filter;
	struct view_options view;
	struct trace_story *story;
	struct hub_output *outputs;
	uint64_t n_broken;
	bool captures; /* there is one */
};

static void cannot_write(struct hub_output *o, int err)
{
	if (o->err < 0)
		return;
	o->err = err;
	log_errno(LOG_LEVEL_ERROR, NULL, err, "cannot write %s", o->name);
}

/* Records. */

static void show(struct hub_output *o, const struct trace_told *told)
{
	if (o->err < 0)
		return;
	errno = 0;
	o->view->show(o->view, told);
	if (ferror(o->out))
		cannot_write(o, errno != 0 ? -errno : -EIO);
}

static void take(struct trace_sink *sink, const struct trace_record *record)
{
	struct trace_hub *hub = container_of(sink, struct trace_hub, sink);
	char *line = NULL;
	struct trace_told told;
	bool passes;

	pthread_mutex_lock(&hub->lock);
	story_tell(hub->story, record, &told);
	passes = !hub->filter || filter_passes(hub->filter, &told);
	if (passes && (vhu_rule_severity(told.rule) != VHU_NOTE ||
		       (hub->filter && filter_blames_device(hub->filter, &told))))
		hub->n_broken++;
	if (hub->captures)
		line = view_comment(&told, &hub->view);
	for (struct hub_output *o = hub->outputs; o; o = o->next) {
		if (o->capture)
			capture_write(o->capture, record, line);
		else if (passes)
			show(o, &told);
	}
	pthread_mutex_unlock(&hub->lock);
	free(line);
}

struct trace_sink *hub_sink(struct trace_hub *hub)
{
	return &hub->sink;
}

uint64_t hub_n_broken(const struct trace_hub *hub)
{
	return hub->n_broken;
}

/* Outputs. */

enum hub_form hub_form_of(const char *path)
{
	static const struct {
		const char *ending;
		enum hub_form form;
	} rows[] = {
		{ ".pcapng", HUB_CAPTURE }, { ".json", HUB_JSON }, { ".jsonl", HUB_JSON },
		{ ".html", HUB_PAGE },	    { ".htm", HUB_PAGE },
	};
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < ARRAY_SIZE(rows); i++)
		if (strcmp(dot, rows[i].ending) == 0)
			return rows[i].form;
	return HUB_TEXT;
}

static int fail(const char *name, int err, char *ret_why, size_t why_cap)
{
	snprintf(ret_why, why_cap, "cannot write %s: %s", name, strerror(-err));
	return err;
}

/* Last, so that outputs are served in the order in which they came. */
static void append(struct trace_hub *hub, struct hub_output *o)
{
	struct hub_output **at = &hub->outputs;

	while (*at)
		at = &(*at)->next;
	*at = o;
}

static struct trace_view *view_new(enum hub_form form, FILE *out, const struct view_options *view)
{
	switch (form) {
	case HUB_JSON:
		return view_json_new(out, view);
	case HUB_PAGE:
		return view_page_new(out, view);
	case HUB_TEXT:
	case HUB_CAPTURE:
		break;
	}
	return view_text_new(out, view);
}

/* owns: out is closed at the end; after a failure it is still the caller's. */
static int add_view(struct trace_hub *hub, enum hub_form form, FILE *out, const char *name,
		    bool color, bool owns)
{
	struct hub_output *o = calloc(1, sizeof(*o));
	struct view_options view = hub->view;

	view.color = color;
	if (o)
		o->view = view_new(form, out, &view);
	if (!o || !o->view) {
		free(o);
		return -ENOMEM;
	}
	o->name = name;
	o->out = out;
	o->owns_out = owns;
	append(hub, o);
	return 0;
}

int hub_add_stream(struct trace_hub *hub, enum hub_form form, FILE *out, const char *name,
		   bool color, char *ret_why, size_t why_cap)
{
	int err = add_view(hub, form, out, name, color, false);

	return err < 0 ? fail(name, err, ret_why, why_cap) : 0;
}

/* Takes fd. */
static int add_capture(struct trace_hub *hub, int fd, const char *name)
{
	struct hub_output *o = calloc(1, sizeof(*o));
	int err;

	if (!o) {
		fd_close(fd);
		return -ENOMEM;
	}
	errno = 0;
	o->capture = capture_writer_new(fd, hub->view.device);
	if (!o->capture) {
		err = errno != 0 ? -errno : -EIO;
		free(o);
		return err;
	}
	o->name = name;
	append(hub, o);
	hub->captures = true;
	return 0;
}

/* Takes fd. */
static int add_view_file(struct trace_hub *hub, enum hub_form form, int fd, const char *name)
{
	FILE *out = fdopen(fd, "w");
	int err;

	if (!out) {
		err = -errno;
		fd_close(fd);
		return err;
	}
	err = add_view(hub, form, out, name, false, true);
	if (err < 0)
		fclose(out);
	return err;
}

/* seccomp(once): openat fcntl:F_SETFL fcntl:F_GETFL fstat newfstatat */
int hub_add_file(struct trace_hub *hub, enum hub_form form, const char *path, char *ret_why,
		 size_t why_cap)
{
	/* A pipe that nobody reads is an error, not a reason to wait. */
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC, 0666);
	int err;

	if (fd < 0)
		return fail(path, -errno, ret_why, why_cap);
	if (fcntl(fd, F_SETFL, 0) < 0) {
		err = -errno;
		fd_close(fd);
		return fail(path, err, ret_why, why_cap);
	}
	err = form == HUB_CAPTURE ? add_capture(hub, fd, path) : add_view_file(hub, form, fd, path);
	return err < 0 ? fail(path, err, ret_why, why_cap) : 0;
}

/* The hub. */

struct trace_hub *hub_new(const struct trace_filter *filter, const struct view_options *view)
{
	struct trace_hub *hub = calloc(1, sizeof(*hub));

	if (!hub)
		return NULL;
	hub->sink.take = take;
	hub->filter = filter;
	hub->view = *view;
	hub->story = story_new();
	if (!hub->story || pthread_mutex_init(&hub->lock, NULL) != 0) {
		story_free(hub->story);
		free(hub);
		return NULL;
	}
	return hub;
}

int hub_open_file(const char *path, const struct view_options *view, struct trace_hub **ret_hub,
		  char *ret_why, size_t why_cap)
{
	struct trace_hub *hub = hub_new(NULL, view);
	int err = hub ? hub_add_file(hub, hub_form_of(path), path, ret_why, why_cap)
		      : fail(path, -ENOMEM, ret_why, why_cap);

	if (err < 0)
		hub_finish(hub);
	else
		*ret_hub = hub;
	return err;
}

static int finish_output(struct hub_output *o)
{
	int err = o->capture ? capture_writer_finish(o->capture) : o->view->finish(o->view);

	if (err == 0 && o->out && fflush(o->out) != 0)
		err = -errno;
	if (o->owns_out && fclose(o->out) != 0 && err == 0)
		err = -errno;
	if (err < 0)
		cannot_write(o, err);
	return o->err;
}

int hub_finish(struct trace_hub *hub)
{
	struct hub_output *o, *next;
	int err = 0;

	if (!hub)
		return 0;
	for (o = hub->outputs; o; o = next) {
		int r = finish_output(o);

		next = o->next;
		err = err == 0 ? r : err;
		free(o);
	}
	story_free(hub->story);
	pthread_mutex_destroy(&hub->lock);
	free(hub);
	return err;
}

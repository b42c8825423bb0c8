/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "daemon/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "fd.h"
#include "log.h"
#include "trace/hub.h"
#include "vhu/codec.h"

struct daemon_trace {
	struct trace_hub *hub; /* takes records from all workers */
	_Atomic uint32_t n_sessions;
};

static struct daemon_ear *to_ear(struct vhu_ear *ear)
{
	return container_of(ear, struct daemon_ear, ear);
}

static void tell(const struct daemon_ear *e, struct trace_record *record)
{
	struct trace_sink *sink = hub_sink(e->trace->hub);

	record->ns = realtime_ns();
	record->session = e->session;
	sink->take(sink, record);
}

static enum trace_dir dir_of(bool received)
{
	return received ? TRACE_TO_BACKEND : TRACE_TO_FRONTEND;
}

static void opened(struct vhu_ear *ear)
{
	struct daemon_ear *e = to_ear(ear);
	struct trace_record record = { .kind = TRACE_OPEN, .text = e->who };

	e->session = ++e->trace->n_sessions;
	tell(e, &record);
}

static void message(struct vhu_ear *ear, const struct vhu_msg *msg, bool received)
{
	struct daemon_ear *e = to_ear(ear);
	uint8_t bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];
	struct fd_about fds[FDSET_MAX];
	struct trace_record record = {
		.kind = TRACE_MESSAGE,
		.dir = dir_of(received),
		.channel = msg->dir == VHU_BE,
		.bytes = bytes,
		.len = VHU_HDR_LEN + (size_t)msg->size,
		.fds = fds,
	};

	vhu_header_pack(msg, bytes);
	memcpy(bytes + VHU_HDR_LEN, msg->payload, msg->size);
	for (unsigned int i = 0; i < msg->fds.n_fds; i++)
		if (fd_describe(msg->fds.fd[i], &fds[record.n_fds]))
			record.n_fds++;
	tell(e, &record);
	if (received && msg->dir == VHU_FE && msg->id == VHU_FE_SET_BACKEND_REQ_FD &&
	    record.n_fds == 1)
		tell(e, &(struct trace_record){ .kind = TRACE_CHANNEL, .channel = true });
}

static void cut(struct vhu_ear *ear, enum vhu_dir dir, const uint8_t *bytes, size_t len)
{
	struct trace_record record = {
		.kind = TRACE_RAW,
		.dir = TRACE_TO_BACKEND,
		.channel = dir == VHU_BE,
		.bytes = bytes,
		.len = len,
	};

	tell(to_ear(ear), &record);
}

static void closed(struct vhu_ear *ear, const char *why)
{
	for (unsigned int dir = 0; dir < 2; dir++) {
		struct trace_record record = {
			.kind = TRACE_END,
			.dir = (enum trace_dir)dir,
			.text = why,
		};

		tell(to_ear(ear), &record);
	}
}

void daemon_ear_init(struct daemon_ear *e, struct daemon_trace *trace, const char *who)
{
	*e = (struct daemon_ear){
		.ear = { .opened = opened, .message = message, .cut = cut, .closed = closed },
		.trace = trace,
		.who = who,
	};
}

/* seccomp(once): openat stat newfstatat ioctl:TCGETS */
static bool has_reader(const char *path)
{
	AUTO_FD int fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	return (stat(path, &st) == 0 && S_ISFIFO(st.st_mode)) || (fd >= 0 && isatty(fd));
}

/*
 * Guests must not wait for whoever reads a pipe or a terminal, nor fill memory: a
 * page is kept there until it is written. NULL, or what is wrong.
 */
static const char *mistake(const char *path)
{
	if (hub_form_of(path) == HUB_PAGE)
		return "a page is made of a capture, by vhu-trace -r";
	if (has_reader(path))
		return "expected a file: guests would wait for the reader of a pipe or a terminal";
	return NULL;
}

int daemon_trace_open(const char *path, struct daemon_trace **ret_trace)
{
	const struct view_options view = { .times = TRACE_TIMES_CLOCK, .device = "console" };
	struct daemon_trace *t;
	char why[512] = "";
	int err;

	*ret_trace = NULL;
	if (!path)
		return 0;
	if (mistake(path)) {
		log_error(NULL, "--trace: %s: %s", path, mistake(path));
		return -EINVAL;
	}
	t = calloc(1, sizeof(*t));
	err = t ? hub_open_file(path, &view, &t->hub, why, sizeof(why)) : -ENOMEM;
	if (err < 0) {
		log_error(NULL, "--trace: %s", why[0] != '\0' ? why : strerror(-err));
		free(t);
		return err;
	}
	*ret_trace = t;
	return 0;
}

void daemon_trace_close(struct daemon_trace *t)
{
	if (!t)
		return;
	hub_finish(t->hub);
	free(t);
}

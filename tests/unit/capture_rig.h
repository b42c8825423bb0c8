/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* For tests of captures: a record of each kind, a file of them, a sink that shows what it got. */
#ifndef VHU_CAPTURE_RIG_H
#define VHU_CAPTURE_RIG_H

#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "trace/capture/capture.h"
#include "vhu/codec.h"

enum { FILE_MAX = 64 << 10, N_SAMPLES = 10 };

/* What a sink has taken, as text that shows every member. */
struct heard {
	struct trace_sink sink;
	char *text;
	size_t len;
	FILE *out;
	unsigned int n_records;
	uint64_t last_ns;
};

static inline void put_hex(FILE *out, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		fprintf(out, "%02x", bytes[i]);
}

static inline void put_fd(FILE *out, const struct fd_about *fd)
{
	fprintf(out, " fd %d '%s' size %llu inode %llu id %llu seals %x%s%s", (int)fd->kind,
		fd->path, (unsigned long long)fd->size, (unsigned long long)fd->inode,
		(unsigned long long)fd->eventfd_id, fd->seals, fd->readonly ? " ro" : "",
		fd->nonblock ? " nb" : "");
}

static inline void put_record(FILE *out, const struct trace_record *record)
{
	fprintf(out, "kind %d ns %llu session %u dir %d channel %d ring %u cause %d",
		(int)record->kind, (unsigned long long)record->ns, record->session,
		(int)record->dir, record->channel, record->ring, (int)record->cause);
	for (size_t i = 0; i < record->n_fds; i++)
		put_fd(out, &record->fds[i]);
	fprintf(out, " text %s bytes ", record->text ? record->text : "none");
	put_hex(out, record->bytes, record->len);
	if (record->picture) {
		size_t len;
		uint8_t *packed = picture_pack(record->picture, &len);

		assert_non_null(packed);
		fprintf(out, " picture ");
		put_hex(out, packed, len);
		free(packed);
	}
	fputc('\n', out);
}

static inline void hear(struct trace_sink *sink, const struct trace_record *record)
{
	struct heard *h = container_of(sink, struct heard, sink);

	put_record(h->out, record);
	h->n_records++;
	h->last_ns = record->ns;
}

static inline void heard_init(struct heard *h)
{
	*h = (struct heard){ .sink = { hear } };
	h->out = open_memstream(&h->text, &h->len);
	assert_non_null(h->out);
}

static inline void heard_free(struct heard *h)
{
	fclose(h->out);
	free(h->text);
}

/* Samples: one record of each kind, and two of some. */

static uint8_t message_bytes[VHU_HDR_LEN + VHU_MAX_PAYLOAD];

static inline struct trace_record message(enum vhu_dir dir, uint32_t id)
{
	static struct vhu_msg msg;
	size_t len;

	vhu_msg_init_sample(&msg, vhu_desc_find(dir, id));
	len = vhu_msg_pack(&msg, message_bytes);
	return (struct trace_record){
		.kind = TRACE_MESSAGE,
		.ns = UINT64_C(1700000000123456789),
		.session = 3,
		.channel = dir == VHU_BE,
		.dir = dir == VHU_BE ? TRACE_TO_FRONTEND : TRACE_TO_BACKEND,
		.bytes = message_bytes,
		.len = len,
	};
}

static inline struct trace_record spoken(enum trace_kind kind, const char *text)
{
	return (struct trace_record){
		.kind = kind, .ns = 5, .session = 1, .dir = TRACE_TO_FRONTEND, .text = text
	};
}

static inline struct trace_record raw(void)
{
	return (struct trace_record){ .kind = TRACE_RAW,
				      .ns = 6,
				      .session = 1,
				      .bytes = (const uint8_t *)"\xff\xfe",
				      .len = 2 };
}

static const struct fd_about sample_fds[] = {
	{ .kind = FD_KIND_MEMORY, .size = 1 << 30, .inode = 77, .seals = 5, .path = "/memfd:ram" },
	{ .kind = FD_KIND_EVENTFD, .eventfd_id = 12, .nonblock = true },
	{ .kind = FD_KIND_FILE, .readonly = true, .path = "/dev/shm/x" },
};

static inline struct ring_picture *sample_picture(void)
{
	static struct picture_desc descs[] = { { .addr = 0x1000, .len = 16, .number = 3 } };
	static struct picture_chain chains[] = {
		{ .at = 9, .head = 3, .n_descs = 1, .out_len = 16, .n_out = 4 },
	};
	static struct picture_used used[] = { { .at = 8, .id = 2, .len = 1 } };
	static uint8_t data[] = "abc";
	static struct ring_picture picture = {
		.size = 16,
		.avail_idx = 10,
		.used_idx = 9,
		.chains = chains,
		.n_chains = 1,
		.used = used,
		.n_used = 1,
		.descs = descs,
		.n_descs = 1,
		.data = data,
		.n_data = sizeof(data),
	};

	return &picture;
}

static inline struct trace_record ring(void)
{
	return (struct trace_record){ .kind = TRACE_RING,
				      .ns = 7,
				      .session = 2,
				      .ring = 5,
				      .cause = TRACE_USED,
				      .picture = sample_picture() };
}

static inline struct trace_record sample(unsigned int i)
{
	struct trace_record record;

	switch (i) {
	case 0:
		return spoken(TRACE_OPEN, "a socket");
	case 1:
		return message(VHU_FE, VHU_FE_GET_FEATURES);
	case 2:
		record = message(VHU_FE, VHU_FE_SET_MEM_TABLE);
		record.fds = sample_fds;
		record.n_fds = ARRAY_SIZE(sample_fds);
		return record;
	case 3:
		record = spoken(TRACE_CHANNEL, NULL);
		return record;
	case 4:
		return message(VHU_BE, VHU_BE_CONFIG_CHANGE_MSG);
	case 5:
		return ring();
	case 6:
		return raw();
	case 7:
		return spoken(TRACE_NOTE, "w\xc3\xb6rds");
	case 8:
		return spoken(TRACE_END, "");
	default:
		record = spoken(TRACE_END, "closed");
		record.ns = UINT64_MAX;
		return record;
	}
}

/* Files in memory. */

static inline void write_samples(int fd)
{
	struct capture_writer *w = capture_writer_new(fd, NULL);

	assert_non_null(w);
	for (unsigned int i = 0; i < N_SAMPLES; i++) {
		struct trace_record record = sample(i);

		capture_write(w, &record, i % 2 == 0 ? "what a line\nsays\x01" : NULL);
	}
	assert_int_equal(capture_writer_finish(w), 0);
}

/* Bytes of a good file. */
static inline size_t good_file(uint8_t bytes[FILE_MAX])
{
	int fd = memfd_create("capture", MFD_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	write_samples(dup(fd));
	n = pread(fd, bytes, FILE_MAX, 0);
	fd_close(fd);
	assert_true(n > 0 && n < FILE_MAX);
	return (size_t)n;
}

#endif

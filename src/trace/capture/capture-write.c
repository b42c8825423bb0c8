/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "encode.h"
#include "fd.h"
#include "trace/capture/capture-bytes.h"
#include "trace/capture/capture.h"
#include "trace/capture/envelope.h"
#include "trace/capture/pcapng.h"

/* Longer comments are cut; an option cannot have more than 64 KiB. */
enum { COMMENT_MAX = 16 << 10 };

enum { INTERFACE_MESSAGES, INTERFACE_RINGS };

/* 10 to the power of minus 9. */
static const uint8_t nanoseconds = 9;

struct capture_writer {
	int fd;
	int error; /* the first; nothing is written after it */
};

/* A body that grows in memory, to be framed as a block. */
struct block {
	FILE *out;
	char *bytes;
	size_t len;
};

/* seccomp: write poll ppoll */
static int write_all(int fd, const char *bytes, size_t len)
{
	struct pollfd room = { .fd = fd, .events = POLLOUT };

	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EAGAIN)
			poll(&room, 1, -1);
		else if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* The length is written when it is known. */
static bool block_begin(struct block *block, enum pcapng_block type)
{
	*block = (struct block){ 0 };
	block->out = open_memstream(&block->bytes, &block->len);
	if (!block->out)
		return false;
	put_le32(block->out, type);
	put_le32(block->out, 0);
	return true;
}

/* The block's bytes are in place then, to be freed. False: no memory. */
static bool block_end(struct block *block)
{
	bool good;
	uint32_t len;

	fflush(block->out);
	len = (uint32_t)block->len + 4;
	put_le32(block->out, len);
	good = !ferror(block->out);
	good &= fclose(block->out) == 0;
	if (!good)
		return false;
	len = htole32(len);
	memcpy(block->bytes + 4, &len, sizeof(len));
	return true;
}

static void put_option(FILE *out, enum pcapng_option option, const void *value, size_t len)
{
	put_le16(out, (uint16_t)option);
	put_le16(out, (uint16_t)len);
	fwrite(value, 1, len, out);
	put_padding(out, len);
}

static void put_text_option(FILE *out, enum pcapng_option option, const char *text)
{
	put_option(out, option, text, strlen(text));
}

/* One line of well-formed characters, which the format asks for. */
static void put_comment(FILE *out, const char *comment)
{
	char *head = strndup(comment, COMMENT_MAX);
	char *line = NULL;
	size_t len;
	FILE *to = head ? open_memstream(&line, &len) : NULL;

	if (to) {
		encode_line(to, head, "");
		if (fclose(to) == 0)
			put_option(out, PCAPNG_COMMENT, line, len);
	}
	free(line);
	free(head);
}

static void put_section(FILE *out)
{
	put_le32(out, PCAPNG_BYTE_ORDER);
	put_le16(out, 1);
	put_le16(out, 0);
	put_le64(out, UINT64_MAX); /* the length of the section is not known */
	put_text_option(out, PCAPNG_SECTION_APPLICATION, "vhu-trace");
	put_option(out, PCAPNG_END, "", 0);
}

static void put_device(FILE *out, const char *device)
{
	char text[sizeof(PCAPNG_DEVICE) + CAPTURE_MAX_DEVICE];

	snprintf(text, sizeof(text), PCAPNG_DEVICE "%s", device);
	put_text_option(out, PCAPNG_INTERFACE_DESCRIPTION, text);
}

static void put_interface(FILE *out, const char *name, const char *device)
{
	put_le16(out, PCAPNG_LINK_UPPER_PDU);
	put_le16(out, 0);
	put_le32(out, 0); /* packets are never cut */
	put_text_option(out, PCAPNG_INTERFACE_NAME, name);
	if (device && is_device_name(device, strlen(device)))
		put_device(out, device);
	put_option(out, PCAPNG_INTERFACE_RESOLUTION, &nanoseconds, sizeof(nanoseconds));
	put_option(out, PCAPNG_END, "", 0);
}

static void put_flags(FILE *out, const struct trace_record *record)
{
	uint32_t flags = record->dir == TRACE_TO_BACKEND ? PCAPNG_INBOUND : PCAPNG_OUTBOUND;

	if (record->kind != TRACE_MESSAGE && record->kind != TRACE_RAW && record->kind != TRACE_END)
		return;
	flags = htole32(flags);
	put_option(out, PCAPNG_PACKET_FLAGS, &flags, sizeof(flags));
}

static bool put_packet(FILE *out, const struct trace_record *record, const char *comment)
{
	size_t len;
	uint8_t *packet = envelope_pack(record, &len);

	if (!packet)
		return false;
	put_le32(out, record->kind == TRACE_RING ? INTERFACE_RINGS : INTERFACE_MESSAGES);
	put_le32(out, (uint32_t)(record->ns >> 32));
	put_le32(out, (uint32_t)record->ns);
	put_le32(out, (uint32_t)len);
	put_le32(out, (uint32_t)len);
	fwrite(packet, 1, len, out);
	put_padding(out, len);
	if (comment)
		put_comment(out, comment);
	put_flags(out, record);
	put_option(out, PCAPNG_END, "", 0);
	free(packet);
	return true;
}

/* The block, if filled says that all is in it, at once. Zero or a negative errno. */
static int write_block(int fd, struct block *block, bool filled)
{
	int r = block_end(block) && filled ? write_all(fd, block->bytes, block->len) : -ENOMEM;

	free(block->bytes);
	return r;
}

static int write_section(int fd)
{
	struct block block;

	if (!block_begin(&block, PCAPNG_SECTION))
		return -ENOMEM;
	put_section(block.out);
	return write_block(fd, &block, true);
}

static int write_interface(int fd, const char *name, const char *device)
{
	struct block block;

	if (!block_begin(&block, PCAPNG_INTERFACE))
		return -ENOMEM;
	put_interface(block.out, name, device);
	return write_block(fd, &block, true);
}

static int write_packet(int fd, const struct trace_record *record, const char *comment)
{
	struct block block;
	bool filled;

	if (!block_begin(&block, PCAPNG_PACKET))
		return -ENOMEM;
	filled = put_packet(block.out, record, comment);
	return write_block(fd, &block, filled);
}

struct capture_writer *capture_writer_new(int fd, const char *device)
{
	struct capture_writer *w = calloc(1, sizeof(*w));
	int r = w ? write_section(fd) : -ENOMEM;

	if (r == 0)
		r = write_interface(fd, "messages", device);
	if (r == 0)
		r = write_interface(fd, "rings", NULL);
	if (r == 0) {
		w->fd = fd;
		return w;
	}
	fd_close(fd);
	free(w);
	errno = -r;
	return NULL;
}

void capture_write(struct capture_writer *w, const struct trace_record *record, const char *comment)
{
	if (w->error == 0)
		w->error = write_packet(w->fd, record, comment);
}

int capture_writer_finish(struct capture_writer *w)
{
	int r = w->error;

	if (close(w->fd) != 0 && r == 0 && errno != EINTR)
		r = -errno;
	free(w);
	return r;
}

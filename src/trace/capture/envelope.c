/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include "trace/capture/envelope.h"

#include <stdlib.h>

#include "trace/capture/capture-bytes.h"
#include "trace/capture/capture.h"
#include "vhu/codec.h"

/* Tags of WIRESHARK_UPPER_PDU, which are big-endian; lengths count the padding. */
enum { TAG_END = 0, TAG_DISSECTOR = 12 };

enum { FD_READONLY = 1, FD_NONBLOCK = 2 };

static const struct {
	bool bytes, text, picture;
} bodies[TRACE_N_KINDS] = {
	[TRACE_OPEN] = { .text = true },     [TRACE_MESSAGE] = { .bytes = true },
	[TRACE_RAW] = { .bytes = true },     [TRACE_END] = { .text = true },
	[TRACE_NOTE] = { .text = true },     [TRACE_RING] = { .picture = true },
	[TRACE_CHANNEL] = { .text = false },
};

static void put_tags(FILE *out)
{
	static const char name[] = ENVELOPE_DISSECTOR;
	const size_t len = sizeof(name) - 1;

	put_be16(out, TAG_DISSECTOR);
	put_be16(out, (uint16_t)(len + -len % 4));
	fwrite(name, 1, len, out);
	put_padding(out, len);
	put_be16(out, TAG_END);
	put_be16(out, 0);
}

static void put_head(FILE *out, const struct trace_record *record, size_t n_fds)
{
	fputc(CAPTURE_VERSION, out);
	fputc((int)record->kind, out);
	fputc((int)record->dir, out);
	fputc(record->channel ? 1 : 0, out);
	put_le32(out, record->session);
	put_le32(out, record->ring);
	fputc((int)record->cause, out);
	fputc(0, out);
	put_le16(out, (uint16_t)n_fds);
}

static void put_fd(FILE *out, const struct fd_about *fd)
{
	size_t path_len = strnlen(fd->path, sizeof(fd->path) - 1);

	fputc((int)fd->kind, out);
	fputc((fd->readonly ? FD_READONLY : 0) | (fd->nonblock ? FD_NONBLOCK : 0), out);
	put_le16(out, (uint16_t)path_len);
	put_le32(out, fd->seals);
	put_le64(out, fd->size);
	put_le64(out, fd->kind == FD_KIND_EVENTFD ? fd->eventfd_id : fd->inode);
	fwrite(fd->path, 1, path_len, out);
}

static bool put_picture(FILE *out, const struct ring_picture *picture)
{
	size_t len;
	uint8_t *packed = picture_pack(picture, &len);

	if (!packed)
		return false;
	fwrite(packed, 1, len, out);
	free(packed);
	return true;
}

static bool put_body(FILE *out, const struct trace_record *record)
{
	if (bodies[record->kind].bytes)
		fwrite(record->bytes, 1, min_size(record->len, TRACE_MAX_RAW), out);
	if (bodies[record->kind].text)
		fwrite(record->text, 1, strnlen(record->text, TRACE_MAX_TEXT - 1), out);
	return !bodies[record->kind].picture || put_picture(out, record->picture);
}

uint8_t *envelope_pack(const struct trace_record *record, size_t *ret_len)
{
	const size_t n_fds = min_size(record->n_fds, TRACE_MAX_FDS);
	char *packet = NULL;
	bool good;
	FILE *out = open_memstream(&packet, ret_len);

	if (!out)
		return NULL;
	put_tags(out);
	put_head(out, record, n_fds);
	for (size_t i = 0; i < n_fds; i++)
		put_fd(out, &record->fds[i]);
	good = put_body(out, record);
	good &= !ferror(out);
	if (fclose(out) == 0 && good)
		return (uint8_t *)packet;
	free(packet);
	return NULL;
}

/* The name, and zeros to fill up. */
static bool is_our_name(const uint8_t *value, size_t len)
{
	static const char name[] = ENVELOPE_DISSECTOR;
	size_t n = len > 0 ? strnlen((const char *)value, len) : 0;

	return n == sizeof(name) - 1 && memcmp(value, name, n) == 0;
}

/* Passes the tags over; false unless they name our dissector. */
static bool take_tags(struct capture_bytes *b)
{
	bool ours = false;
	uint16_t tag, len;
	const uint8_t *value;

	b->big_endian = true;
	while (take_u16(b, &tag) && take_u16(b, &len)) {
		value = take_bytes(b, len);
		if (!value)
			return false;
		if (tag == TAG_END) {
			b->big_endian = false;
			return ours;
		}
		ours |= tag == TAG_DISSECTOR && is_our_name(value, len);
	}
	return false;
}

static bool take_head(struct capture_bytes *b, struct trace_record *record)
{
	const uint8_t *about = take_bytes(b, 4), *cause;
	uint16_t n_fds;

	if (!about || about[0] != CAPTURE_VERSION || about[1] >= TRACE_N_KINDS ||
	    about[2] > TRACE_TO_FRONTEND || about[3] > 1)
		return false;
	record->kind = (enum trace_kind)about[1];
	record->dir = (enum trace_dir)about[2];
	record->channel = about[3] == 1;
	if (!take_u32(b, &record->session) || !take_u32(b, &record->ring))
		return false;
	cause = take_bytes(b, 2);
	if (!cause || cause[0] >= TRACE_N_CAUSES || !take_u16(b, &n_fds))
		return false;
	record->cause = (enum trace_cause)cause[0];
	record->n_fds = n_fds;
	return record->ring < VHU_MAX_RINGS && n_fds <= TRACE_MAX_FDS &&
	       (n_fds == 0 || bodies[record->kind].bytes);
}

/* len bytes as a string; false: they do not fit, or are not text alone. */
static bool take_text(struct capture_bytes *b, size_t len, char *ret_text, size_t cap)
{
	const uint8_t *bytes = take_bytes(b, len);

	if (!bytes || len >= cap || (len > 0 && memchr(bytes, '\0', len)))
		return false;
	memcpy(ret_text, bytes, len);
	ret_text[len] = '\0';
	return true;
}

static bool take_fd(struct capture_bytes *b, struct fd_about *ret_fd)
{
	struct fd_about fd = { 0 };
	const uint8_t *about = take_bytes(b, 2);
	uint16_t path_len;
	uint32_t seals;
	uint64_t id;

	if (!about || about[0] >= FD_N_KINDS || !take_u16(b, &path_len) || !take_u32(b, &seals) ||
	    !take_u64(b, &fd.size) || !take_u64(b, &id) ||
	    !take_text(b, path_len, fd.path, sizeof(fd.path)))
		return false;
	fd.kind = (enum fd_kind)about[0];
	fd.readonly = about[1] & FD_READONLY;
	fd.nonblock = about[1] & FD_NONBLOCK;
	fd.seals = seals;
	*(fd.kind == FD_KIND_EVENTFD ? &fd.eventfd_id : &fd.inode) = id;
	*ret_fd = fd;
	return true;
}

/* One whole message, or else more bytes than none. */
static bool are_good_bytes(const struct trace_record *record)
{
	struct vhu_msg msg;

	if (record->kind == TRACE_RAW)
		return record->len > 0 && record->len <= TRACE_MAX_RAW;
	return record->len >= VHU_HDR_LEN && vhu_header_parse(record->bytes, &msg) == 0 &&
	       record->len - VHU_HDR_LEN == msg.size;
}

/* All that is left. */
static bool take_body(struct capture_bytes *b, struct envelope *e)
{
	struct trace_record *record = &e->record;
	const size_t len = b->left;

	if (bodies[record->kind].text) {
		record->text = e->text;
		return take_text(b, len, e->text, sizeof(e->text));
	}
	if (bodies[record->kind].bytes) {
		record->bytes = take_bytes(b, len);
		record->len = len;
		return are_good_bytes(record);
	}
	if (bodies[record->kind].picture) {
		e->picture = picture_unpack(take_bytes(b, len), len);
		record->picture = e->picture;
		return e->picture != NULL;
	}
	return len == 0;
}

bool envelope_unpack(struct envelope *e, const uint8_t *bytes, size_t len)
{
	struct capture_bytes b = { .at = bytes, .left = len };

	e->record = (struct trace_record){ 0 };
	e->picture = NULL;
	if (!take_tags(&b) || !take_head(&b, &e->record))
		return false;
	for (size_t i = 0; i < e->record.n_fds; i++)
		if (!take_fd(&b, &e->fds[i]))
			return false;
	e->record.fds = e->record.n_fds > 0 ? e->fds : NULL;
	return take_body(&b, e);
}

void envelope_release(struct envelope *e)
{
	picture_free(e->picture);
	e->picture = NULL;
}

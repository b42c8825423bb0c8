/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "trace/capture/capture-bytes.h"
#include "trace/capture/capture.h"
#include "trace/capture/envelope.h"
#include "trace/capture/pcapng.h"

enum {
	/* A packet of ours with its options. Larger blocks are not kept. */
	BLOCK_MAX = CAPTURE_MAX_PACKET + (128 << 10),
	INTERFACES_MAX = 1 << 16,
	MICROSECONDS = 6, /* the resolution, unless an interface has another */
	HEAD = 8,	  /* of a block: type and length */
	TAIL = 4,	  /* the length again */
};

struct interface {
	uint16_t link;
	uint64_t per_second; /* units of time; 0: finer than a time of ours can tell */
	int64_t offset_s;    /* to be added */
};

struct reader {
	FILE *in;
	struct trace_sink *sink;
	struct capture_about *about;
	char *error;

	uint64_t offset; /* of the block that is being read */
	uint64_t n_read; /* bytes of the file so far */
	bool in_section, big_endian;
	struct interface *interfaces; /* of this section */
	size_t n_interfaces, cap_interfaces;

	uint32_t type;
	uint8_t *body; /* room for BLOCK_MAX */
	size_t body_len;
	bool is_whole; /* else the body was too large to be kept */
	struct envelope *envelope;
};

static int fail(struct reader *r, int error, const char *fmt, ...) PRINTF_LIKE(3, 4);

static int fail(struct reader *r, int error, const char *fmt, ...)
{
	int n = snprintf(r->error, 256, "block at byte %" PRIu64 ": ", r->offset);
	va_list args;

	va_start(args, fmt);
	vsnprintf(r->error + n, 256 - (size_t)n, fmt, args);
	va_end(args);
	return error;
}

static int fail_short(struct reader *r)
{
	if (ferror(r->in))
		return fail(r, -EIO, "it cannot be read");
	return fail(r, -ENODATA, "the file ends within it");
}

/* How many of len bytes there were. */
static size_t read_bytes(struct reader *r, uint8_t *ret_bytes, size_t len)
{
	size_t n = fread(ret_bytes, 1, len, r->in);

	r->n_read += n;
	return n;
}

static bool skip_bytes(struct reader *r, size_t len)
{
	while (len > 0) {
		size_t want = min_size(len, BLOCK_MAX);

		if (read_bytes(r, r->body, want) < want)
			return false;
		len -= want;
	}
	return true;
}

static uint32_t number_at(const struct reader *r, const uint8_t *at)
{
	struct capture_bytes b = { .at = at, .left = 4, .big_endian = r->big_endian };
	uint32_t v = 0;

	take_u32(&b, &v);
	return v;
}

/* A section says its byte order in the first word of its body, which is put back. */
static int begin_section(struct reader *r)
{
	uint8_t word[4];
	size_t n = read_bytes(r, word, sizeof(word));

	if (n < sizeof(word))
		return fail_short(r);
	memcpy(r->body, word, sizeof(word));
	r->in_section = true;
	r->n_interfaces = 0;
	r->big_endian = false;
	if (number_at(r, word) == PCAPNG_BYTE_ORDER)
		return 0;
	r->big_endian = true;
	if (number_at(r, word) == PCAPNG_BYTE_ORDER)
		return 0;
	return fail(r, -EINVAL, "it has no byte order; this is no pcapng file");
}

/* The body into r->body, of which n_there bytes are there already; and what follows it. */
static int read_body(struct reader *r, uint32_t len, size_t n_there)
{
	uint8_t tail[TAIL];
	size_t rest;

	if (len < PCAPNG_FRAME + n_there || len % 4 != 0)
		return fail(r, -EINVAL, "its length cannot be %" PRIu32, len);
	r->body_len = len - PCAPNG_FRAME;
	r->is_whole = r->body_len <= BLOCK_MAX;
	rest = r->body_len - n_there;
	if (!r->is_whole && !skip_bytes(r, rest))
		return fail_short(r);
	if (r->is_whole && read_bytes(r, r->body + n_there, rest) < rest)
		return fail_short(r);
	if (read_bytes(r, tail, sizeof(tail)) < sizeof(tail))
		return fail_short(r);
	if (number_at(r, tail) != len)
		return fail(r, -EINVAL, "its length is %" PRIu32 " and then %" PRIu32, len,
			    number_at(r, tail));
	return 0;
}

/* 1: there is one. 0: the file ends here. Or a negative errno. */
static int read_block(struct reader *r)
{
	uint8_t head[HEAD];
	size_t n_there = 0;
	size_t n;
	int err;

	r->offset = r->n_read;
	n = read_bytes(r, head, sizeof(head));
	if (n == 0 && r->in_section && !ferror(r->in))
		return 0;
	if (n < sizeof(head))
		return fail_short(r);
	r->type = number_at(r, head);
	if (r->type == PCAPNG_SECTION) {
		err = begin_section(r);
		if (err < 0)
			return err;
		n_there = sizeof(uint32_t);
	}
	if (!r->in_section)
		return fail(r, -EINVAL, "this is no pcapng file");
	err = read_body(r, number_at(r, head + 4), n_there);
	return err < 0 ? err : 1;
}

/* The next option and its value; false: no more, or nothing that makes sense. */
static bool take_option(struct capture_bytes *b, uint16_t *ret_option,
			struct capture_bytes *ret_value)
{
	uint16_t option, len;

	if (!take_u16(b, &option) || !take_u16(b, &len) || option == PCAPNG_END)
		return false;
	*ret_value = (struct capture_bytes){ .left = len, .big_endian = b->big_endian };
	ret_value->at = take_bytes(b, len);
	*ret_option = option;
	return ret_value->at && take_bytes(b, -(size_t)len % 4);
}

/* 10, or 2 if bit 7 is set, to the power of minus the rest. */
static uint64_t units_of(uint8_t resolution)
{
	uint64_t units = 1;

	if (resolution & 0x80)
		return (resolution & 0x7f) < 64 ? BIT(resolution & 0x7f) : 0;
	for (unsigned int i = 0; i < resolution; i++)
		if (!mul_u64(units, 10, &units))
			return 0;
	return units;
}

/* The first one counts, where files were put together. */
static void read_description(struct capture_about *about, const struct capture_bytes *text)
{
	const size_t skip = strlen(PCAPNG_DEVICE);
	size_t len = text->left;

	if (about->device[0] != '\0' || len < skip || memcmp(text->at, PCAPNG_DEVICE, skip) != 0)
		return;
	if (!is_device_name(text->at + skip, len - skip))
		return;
	memcpy(about->device, text->at + skip, len - skip);
	about->device[len - skip] = '\0';
}

static void read_interface_options(struct reader *r, struct capture_bytes *b,
				   struct interface *interface)
{
	struct capture_bytes value;
	uint64_t offset;
	uint16_t option;

	while (take_option(b, &option, &value)) {
		if (option == PCAPNG_INTERFACE_RESOLUTION && value.left == 1)
			interface->per_second = units_of(*value.at);
		if (option == PCAPNG_INTERFACE_OFFSET && take_u64(&value, &offset))
			interface->offset_s = (int64_t)offset;
		if (option == PCAPNG_INTERFACE_DESCRIPTION &&
		    interface->link == PCAPNG_LINK_UPPER_PDU)
			read_description(r->about, &value);
	}
}

/* A place for one more; NULL: no memory. */
static struct interface *add_interface(struct reader *r)
{
	if (r->n_interfaces == r->cap_interfaces) {
		size_t cap = r->cap_interfaces > 0 ? r->cap_interfaces * 2 : 8;
		struct interface *more = reallocarray(r->interfaces, cap, sizeof(*more));

		if (!more)
			return NULL;
		r->interfaces = more;
		r->cap_interfaces = cap;
	}
	return &r->interfaces[r->n_interfaces++];
}

static int read_interface(struct reader *r, struct capture_bytes *b)
{
	struct interface *interface;
	uint16_t link, reserved;
	uint32_t snap;

	if (!take_u16(b, &link) || !take_u16(b, &reserved) || !take_u32(b, &snap))
		return fail(r, -EINVAL, "it is too short for an interface");
	if (r->n_interfaces == INTERFACES_MAX)
		return fail(r, -EINVAL, "the section has more than %d interfaces", INTERFACES_MAX);
	interface = add_interface(r);
	if (!interface)
		return fail(r, -ENOMEM, "no memory");
	*interface = (struct interface){ .link = link, .per_second = units_of(MICROSECONDS) };
	read_interface_options(r, b, interface);
	return 0;
}

/* The product has 94 bits and the sum less than 127: nothing wraps. */
static uint64_t to_ns(const struct interface *interface, uint64_t time)
{
	const __int128 second = 1000 * 1000 * 1000;
	__int128 ns = 0;

	if (interface->per_second > 0)
		ns = (__int128)time * second / interface->per_second;
	ns += interface->offset_s * second;
	if (ns < 0)
		return 0;
	return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

static void read_packet_bytes(struct reader *r, const struct interface *interface, uint64_t time,
			      const struct capture_bytes *packet)
{
	if (interface->link != PCAPNG_LINK_UPPER_PDU ||
	    !envelope_unpack(r->envelope, packet->at, packet->left)) {
		r->about->n_foreign++;
		return;
	}
	r->envelope->record.ns = to_ns(interface, time);
	r->sink->take(r->sink, &r->envelope->record);
	envelope_release(r->envelope);
}

static int read_packet(struct reader *r, struct capture_bytes *b)
{
	struct capture_bytes packet = { 0 };
	uint32_t number, high, low, captured, length;

	if (!take_u32(b, &number) || !take_u32(b, &high) || !take_u32(b, &low) ||
	    !take_u32(b, &captured) || !take_u32(b, &length))
		return fail(r, -EINVAL, "it is too short for a packet");
	if (number >= r->n_interfaces)
		return fail(r, -EINVAL, "there is no interface %" PRIu32, number);
	packet.at = take_bytes(b, captured);
	packet.left = captured;
	if (!packet.at)
		return fail(r, -EINVAL, "it has less than %" PRIu32 " bytes of packet", captured);
	if (captured < length) /* a tool has cut it off */
		r->about->n_foreign++;
	else
		read_packet_bytes(r, &r->interfaces[number], (uint64_t)high << 32 | low, &packet);
	return 0;
}

static int use_block(struct reader *r)
{
	struct capture_bytes b = { .at = r->body, .left = r->body_len };

	b.big_endian = r->big_endian;
	switch (r->type) {
	case PCAPNG_INTERFACE:
		return r->is_whole ? read_interface(r, &b) : fail(r, -EINVAL, "it is too long");
	case PCAPNG_PACKET:
		if (r->is_whole)
			return read_packet(r, &b);
		r->about->n_foreign++;
		return 0;
	case PCAPNG_OLD_PACKET:
	case PCAPNG_SIMPLE_PACKET:
		r->about->n_foreign++;
		return 0;
	default:
		return 0;
	}
}

static int read_blocks(struct reader *r)
{
	int err = read_block(r);

	while (err == 1) {
		err = use_block(r);
		if (err == 0)
			err = read_block(r);
	}
	return err;
}

int capture_read(FILE *in, struct trace_sink *sink, struct capture_about *ret_about,
		 char error[256])
{
	struct reader r = { .in = in, .sink = sink, .about = ret_about, .error = error };
	int err;

	*ret_about = (struct capture_about){ 0 };
	r.body = malloc(BLOCK_MAX);
	r.envelope = malloc(sizeof(*r.envelope));
	if (r.body && r.envelope)
		err = read_blocks(&r);
	else
		err = fail(&r, -ENOMEM, "no memory");
	free(r.interfaces);
	free(r.envelope);
	free(r.body);
	return err;
}

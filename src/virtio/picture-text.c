/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Pictures for people:
 *
 *	256 entries, event index; the driver asks to be called at 10, the device asks ...
 *	available 12, used 10: 2 chains are the device's
 *	[9] head 2, returned with 7 bytes written: 0x7c60000+16 write
 *	      in:  7 of 7 bytes "login: "
 *	[10] head 3, the device's: 0x7c5f000+16 read ->4; 0x7c5f010+64 write
 */
#include <inttypes.h>

#include "encode.h"
#include "virtio/picture.h"

enum {
	PER_LINE = 3, /* descriptors */
	TEXT_BYTES = 64,
	MANY_ZEROES = 4,
	MANY_ALIKE = 3, /* chains */
};

const char *picture_owner_text(enum picture_owner owner)
{
	return owner == PICTURE_DEVICE ? "the device's" : "returned";
}

const char *picture_fault_text(enum picture_fault fault)
{
	static const char *const texts[] = {
		[PICTURE_HEAD_RANGE] = "the head is no descriptor of this ring",
		[PICTURE_NEXT_RANGE] = "the next descriptor is not there",
		[PICTURE_LONG] = "goes on for very long, or in a circle",
		[PICTURE_TABLE_UNMAPPED] = "the table is not in guest memory",
		[PICTURE_UNMAPPED] = "a buffer is not in guest memory",
		[PICTURE_REUSED] = "its descriptors are another chain's by now",
	};

	return (size_t)fault < ARRAY_SIZE(texts) ? texts[fault] : NULL;
}

const char *picture_return_text(enum picture_return fault)
{
	static const char *const texts[] = {
		[PICTURE_RETURN_RANGE] = "which is no descriptor of this ring (VR-051)",
		[PICTURE_RETURN_NOT_OFFERED] = "which was not offered (VR-051)",
		[PICTURE_RETURN_AGAIN] = "which came back already (VR-050)",
	};

	return (size_t)fault < ARRAY_SIZE(texts) ? texts[fault] : NULL;
}

/* Windows. */

/* Offset and wrap counter, as packed rings count. */
static void put_place(FILE *out, const struct ring_picture *p, uint16_t place)
{
	if (p->packed)
		fprintf(out, "%u (wrap %u)", place & 0x7fffu, (unsigned int)place >> 15);
	else
		fprintf(out, "%u", place);
}

/* What one side asks the other to do: to call or to kick. */
static void put_wish(FILE *out, const struct ring_picture *p, const char *who, const char *done,
		     uint16_t flags, uint16_t event)
{
	bool at = p->packed ? flags == PACKED_EVENT_DESC : p->event_idx;

	fprintf(out, "%s asks ", who);
	if (at) {
		fprintf(out, "to be %s at ", done);
		put_place(out, p, event);
	} else if (p->packed && flags > PACKED_EVENT_DESC) {
		fprintf(out, "for what is not defined (flags 0x%x)", flags);
	} else {
		fprintf(out, "%sto be %s", flags & VRING_AVAIL_F_NO_INTERRUPT ? "not " : "", done);
	}
	if (!p->packed && flags > VRING_AVAIL_F_NO_INTERRUPT)
		fprintf(out, " (flags 0x%x)", flags);
}

static void put_windows(FILE *out, const struct ring_picture *p, int indent)
{
	unsigned int n = picture_n_offered(p);

	fprintf(out, "%*s%" PRIu32 " entries%s%s; ", indent, "", p->size,
		p->packed ? ", packed" : "", p->event_idx ? ", event index" : "");
	put_wish(out, p, "the driver", "called", p->avail_flags, p->used_event);
	put_wish(out, p, ", the device", "kicked", p->used_flags, p->avail_event);
	fprintf(out, "\n%*savailable ", indent, "");
	put_place(out, p, p->avail_idx);
	fputs(", used ", out);
	put_place(out, p, p->used_idx);
	if (!picture_windows_sound(p))
		fprintf(out, ": these cannot be, %u chains would be the device's\n", n);
	else if (n == 0)
		fputs(": all is returned\n", out);
	else
		fprintf(out, ": %u chain%s the device's\n", n, n == 1 ? " is" : "s are");
	if (p->n_missed > 0)
		fprintf(out, "%*s(%u offered since are not shown)\n", indent, "", p->n_missed);
}

/* Chains. */

static void put_desc(FILE *out, const struct ring_picture *p, const struct picture_desc *d)
{
	const unsigned int known = VRING_DESC_F_NEXT | VRING_DESC_F_WRITE | VRING_DESC_F_INDIRECT |
				   (p->packed ? PACKED_DESC_F_AVAIL | PACKED_DESC_F_USED : 0);

	fprintf(out, " 0x%" PRIx64 "+%" PRIu32 "%s%s", d->addr, d->len,
		d->flags & VRING_DESC_F_INDIRECT ? " table" : "",
		d->flags & VRING_DESC_F_WRITE	   ? " write"
		: d->flags & VRING_DESC_F_INDIRECT ? ""
						   : " read");
	if (d->flags & ~known)
		fprintf(out, " flags=0x%x", d->flags);
	if ((d->flags & VRING_DESC_F_NEXT) && p->packed)
		fputs(" ->", out);
	else if (d->flags & VRING_DESC_F_NEXT)
		fprintf(out, " ->%u", d->next);
}

static void put_descs(FILE *out, const struct ring_picture *p, const struct picture_chain *c,
		      int indent)
{
	bool in_table = false;

	for (uint32_t i = 0; i < c->n_descs; i++) {
		const struct picture_desc *d = &p->descs[c->first_desc + i];

		if (in_table && !d->in_table)
			fputs(" }", out);
		if (i > 0 && (d->in_table == in_table || !d->in_table))
			fputs(";", out);
		if (d->in_table && !in_table)
			fputs(" {", out);
		if (i > 0 && i % PER_LINE == 0)
			fprintf(out, "\n%*s", indent + 6, "");
		put_desc(out, p, d);
		in_table = d->in_table;
	}
	if (c->n_more > 0)
		fprintf(out, "; and %" PRIu32 " more", c->n_more);
	if (in_table)
		fputs(" }", out);
}

static void put_chain(FILE *out, const struct ring_picture *p, const struct picture_chain *c,
		      int indent)
{
	bool is_past = c->owner == PICTURE_DRIVER && c->fault != PICTURE_SOUND;
	const char *fault = picture_fault_text(is_past ? PICTURE_REUSED : c->fault);

	fprintf(out, "%*s[%u] %s %u, %s", indent, "", c->at, p->packed ? "id" : "head", c->head,
		picture_owner_text(c->owner));
	if (c->has_used)
		fprintf(out, " with %" PRIu32 " byte%s written", c->used_len,
			c->used_len == 1 ? "" : "s");
	fputc(':', out);
	put_descs(out, p, c, indent);
	if (fault)
		fprintf(out, "%s %s", c->n_descs > 0 ? " ..." : "", fault);
	fputc('\n', out);
}

/* Data. */

static void put_text(FILE *out, const uint8_t *bytes, size_t n)
{
	fputs(" \"", out);
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n')
			fputs("\\n", out);
		else if (bytes[i] == '\r')
			fputs("\\r", out);
		else if (bytes[i] == '"' || bytes[i] == '\\')
			fprintf(out, "\\%c", bytes[i]);
		else if (bytes[i] >= 0x20 && bytes[i] < 0x7f)
			fputc(bytes[i], out);
		else
			fprintf(out, "\\x%02x", bytes[i]);
	}
	fputc('"', out);
}

static void put_hex(FILE *out, const uint8_t *bytes, size_t n, int indent)
{
	for (size_t at = 0; at < n; at += ENCODE_ROW) {
		size_t n_row = min_size(n - at, ENCODE_ROW);

		fprintf(out, "%*s%04zx", indent, "", at);
		encode_hex(out, bytes + at, n_row);
		fputs("  ", out);
		encode_ascii(out, bytes + at, n_row);
		fputc('\n', out);
	}
}

/* A long rest of zeroes says nothing byte by byte. */
static size_t without_zeroes(const uint8_t *bytes, size_t n)
{
	size_t n_text = n;

	while (n_text > 0 && bytes[n_text - 1] == 0)
		n_text--;
	return n - n_text < MANY_ZEROES ? n : n_text;
}

static void put_data(FILE *out, const char *what, const uint8_t *bytes, uint32_t n, uint64_t of,
		     int indent, bool hex)
{
	size_t n_text;

	fprintf(out, "%*s%s %" PRIu32 " of %" PRIu64 " bytes", indent, "", what, n, of);
	if (hex) {
		fputc('\n', out);
		put_hex(out, bytes, n, indent + 2);
		return;
	}
	n_text = without_zeroes(bytes, n);
	put_text(out, bytes, min_size(n_text, TEXT_BYTES));
	if (n_text > TEXT_BYTES)
		fputs(" ...", out);
	else if (n_text < n)
		fprintf(out, ", then %zu zeroes", n - n_text);
	fputc('\n', out);
}

static void put_returns(FILE *out, const struct ring_picture *p, int indent)
{
	if (p->n_used == 0)
		return;
	fprintf(out, "%*sreturned:", indent, "");
	for (size_t i = 0; i < p->n_used; i++)
		fprintf(out, "%s [%u] id %" PRIu32 " len %" PRIu32, i > 0 ? "," : "", p->used[i].at,
			p->used[i].id, p->used[i].len);
	fputc('\n', out);
}

static void put_whole_chain(FILE *out, const struct ring_picture *p, const struct picture_chain *c,
			    int indent, bool hex)
{
	put_chain(out, p, c, indent);
	if (c->n_out > 0)
		put_data(out, "out:", p->data + c->out_at, c->n_out, c->out_len, indent + 6, hex);
	if (c->n_in > 0)
		put_data(out, "in: ", p->data + c->in_at, c->n_in, min_u64(c->in_len, c->used_len),
			 indent + 6, hex);
}

/* Room for what comes: many alike, of which there is nothing to tell. */

static bool is_room(const struct ring_picture *p, const struct picture_chain *c)
{
	for (uint32_t i = 0; i < c->n_descs; i++)
		if ((p->descs[c->first_desc + i].flags &
		     (VRING_DESC_F_WRITE | VRING_DESC_F_INDIRECT)) != VRING_DESC_F_WRITE)
			return false;
	return c->owner == PICTURE_DEVICE && c->fault == PICTURE_SOUND && c->n_descs > 0 &&
	       c->n_more == 0;
}

static bool is_next(const struct ring_picture *p, const struct picture_chain *before,
		    const struct picture_chain *c)
{
	uint32_t at = before->at + (p->packed ? before->n_descs : 1);

	return c->at == (p->packed ? at % p->size : (uint16_t)at) && c->in_len == before->in_len;
}

/* How many chains from the i-th on are one line. */
static size_t room_run(const struct ring_picture *p, size_t i)
{
	size_t n = 0;

	while (i + n < p->n_chains && is_room(p, &p->chains[i + n]) &&
	       (n == 0 || is_next(p, &p->chains[i + n - 1], &p->chains[i + n])))
		n++;
	return n >= MANY_ALIKE ? n : 0;
}

/* Whether the heads are one after the other, too. */
static bool heads_follow(const struct picture_chain *c, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (c[i].head != c[i - 1].head + 1)
			return false;
	return true;
}

static void put_room(FILE *out, const struct ring_picture *p, const struct picture_chain *c,
		     size_t n, int indent)
{
	const char *what = p->packed ? "ids" : "heads";

	fprintf(out, "%*s[%u] to [%u] ", indent, "", c->at, c[n - 1].at);
	if (heads_follow(c, n))
		fprintf(out, "%s %u to %u", what, c->head, c[n - 1].head);
	else
		fprintf(out, "%zu %s", n, what);
	fprintf(out, ", %s: %zu chains of %" PRIu64 " byte%s to write\n",
		picture_owner_text(PICTURE_DEVICE), n, c->in_len, c->in_len == 1 ? "" : "s");
}

static void put_chains(FILE *out, const struct ring_picture *p, int indent, bool hex)
{
	for (size_t i = 0; i < p->n_chains;) {
		size_t n = room_run(p, i);

		if (n > 0)
			put_room(out, p, &p->chains[i], n, indent);
		else
			put_whole_chain(out, p, &p->chains[i], indent, hex);
		i += n > 0 ? n : 1;
	}
}

static void put_wrong(FILE *out, const struct ring_picture *p, int indent)
{
	char text[256];

	for (size_t i = 0; picture_device_wrong(p, i, text, sizeof(text)); i++)
		fprintf(out, "%*s! %s\n", indent, "", text);
}

void picture_print(FILE *out, const struct ring_picture *p, int indent, bool hex)
{
	put_windows(out, p, indent);
	put_chains(out, p, indent, hex);
	put_returns(out, p, indent);
	put_wrong(out, p, indent);
}

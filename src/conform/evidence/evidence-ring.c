/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Pictures of rings. They may be wrong in every way, so nothing found in one is
 * followed without a check, and nothing is followed for ever.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "conform/evidence/evidence-events.h"
#include "vhu/frontend-rings.h"

enum {
	SLOTS = 8,	/* last entries of each ring */
	CHAIN_MAX = 12, /* descriptors of a chain */
};

static void put_desc(FILE *out, const struct vring_desc *d)
{
	fprintf(out, " 0x%" PRIx64 "+%" PRIu32 "%s%s", d->addr, d->len,
		d->flags & VRING_DESC_F_INDIRECT ? " table" : "",
		d->flags & VRING_DESC_F_WRITE ? " write" : " read");
	if (d->flags & ~(VRING_DESC_F_NEXT | VRING_DESC_F_WRITE | VRING_DESC_F_INDIRECT))
		fprintf(out, " flags=0x%x", d->flags);
	if (d->flags & VRING_DESC_F_NEXT)
		fprintf(out, " ->%u", d->next);
}

/* The entries of an indirect table, one after the other as they lie there. */
static void put_table(FILE *out, const struct vhu_frontend *fe, const struct vring_desc *d)
{
	size_t n = min_size(d->len / VRING_DESC_BYTES, CHAIN_MAX);

	fputs(" {", out);
	for (size_t i = 0; i < n; i++) {
		uint64_t at = d->addr + i * VRING_DESC_BYTES;
		const uint8_t *host = vhu_frontend_host(fe, at);
		struct vring_desc entry;

		if (!host || vhu_frontend_host(fe, at + VRING_DESC_BYTES - 1) !=
				     host + VRING_DESC_BYTES - 1) {
			fputs(" not in guest memory", out);
			break;
		}
		entry = vring_desc_read(host);
		fprintf(out, "%s", i > 0 ? "," : "");
		put_desc(out, &entry);
	}
	fputs(" }", out);
}

static void put_chain(FILE *out, const struct vhu_frontend *fe, const struct vring *ring,
		      uint16_t head)
{
	uint16_t i = head;

	for (unsigned int n = 0;; n++) {
		struct vring_desc d;

		if (i >= ring->size) {
			fprintf(out, " %u is no descriptor of this ring", i);
			return;
		}
		if (n == CHAIN_MAX) {
			fputs(" ...", out);
			return;
		}
		d = vring_desc_load(ring, i);
		fputs(n > 0 ? ";" : "", out);
		put_desc(out, &d);
		if (d.flags & VRING_DESC_F_INDIRECT)
			put_table(out, fe, &d);
		if (!(d.flags & VRING_DESC_F_NEXT))
			return;
		i = d.next;
	}
}

static void put_avail(FILE *out, const struct vhu_frontend *fe, const struct vring *ring)
{
	uint16_t idx = vring_avail_idx(ring);
	uint16_t n = (uint16_t)min_size(SLOTS, min_size(ring->size, idx));

	fprintf(out, "  available: idx=%u flags=0x%x used_event=%u\n", idx, vring_avail_flags(ring),
		vring_used_event(ring));
	for (uint16_t i = (uint16_t)(idx - n); i != idx; i++) {
		uint16_t head = vring_avail_entry(ring, i);

		fprintf(out, "    [%u] head %u:", i, head);
		put_chain(out, fe, ring, head);
		fputc('\n', out);
	}
}

static void put_used(FILE *out, const struct vring *ring)
{
	uint16_t idx = vring_used_idx(ring);
	uint16_t n = (uint16_t)min_size(SLOTS, min_size(ring->size, idx));

	fprintf(out, "  used: idx=%u flags=0x%x avail_event=%u\n", idx, vring_used_flags(ring),
		vring_avail_event(ring));
	for (uint16_t i = (uint16_t)(idx - n); i != idx; i++) {
		uint32_t id, len;

		vring_used_entry(ring, i, &id, &len);
		fprintf(out, "    [%u] id %" PRIu32 " len %" PRIu32 "\n", i, id, len);
	}
}

/* What the messages so far have made of the ring. */
static void put_state(FILE *out, const struct vhu_frontend *fe, unsigned int idx)
{
	const struct vhu_nego_ring *ring = &fe->nego.ring[idx];

	fprintf(out, "%s, %s%s%s%s", ring->kick_set ? "started" : "not started",
		ring->enabled ? "enabled" : "not enabled", ring->addr_set ? "" : ", no addresses",
		ring->num_set ? "" : ", no size",
		vhu_nego_has_feature(&fe->nego, VIRTIO_F_EVENT_IDX_BIT) ? ", EVENT_IDX" : "");
}

/* Whether its memory can be looked at: a case may have cut the file off. */
static bool readable(const struct vhu_frontend *fe, unsigned int idx)
{
	struct stat st;

	return idx < fe->n_rings && idx < VHU_MAX_RINGS && fe->rings[idx].size > 0 &&
	       fe->rings[idx].q.ring.size > 0 && fstat(fe->mem_fd, &st) == 0 &&
	       (uint64_t)st.st_size >= fe->mem_len;
}

static char *picture(const struct vhu_frontend *fe, unsigned int idx, const char *when)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	fprintf(out, "ring %u, %s: ", idx, when);
	if (readable(fe, idx)) {
		fprintf(out, "%u entries, ", fe->rings[idx].q.ring.size);
		put_state(out, fe, idx);
		fputc('\n', out);
		put_avail(out, fe, &fe->rings[idx].q.ring);
		put_used(out, &fe->rings[idx].q.ring);
	} else {
		fputs("not in memory that can be read\n", out);
	}
	fclose(out);
	return text;
}

/* The first and the last of a ring are the ones that stay. */
static void make_room(struct evidence *e, unsigned int ring)
{
	unsigned int victim = EVIDENCE_PICTURES - 1, n_same = 0;

	if (e->n_pictures < EVIDENCE_PICTURES)
		return;
	for (unsigned int i = 0; i < e->n_pictures; i++)
		if (e->pictures[i].ring == ring && ++n_same == 2) {
			victim = i;
			break;
		}
	free(e->pictures[victim].text);
	e->n_pictures--;
	memmove(&e->pictures[victim], &e->pictures[victim + 1],
		(e->n_pictures - victim) * sizeof(e->pictures[0]));
}

void evidence_ring(struct evidence *e, const struct vhu_frontend *fe, unsigned int idx,
		   const char *when)
{
	char *text = picture(fe, idx, when);

	if (!text)
		return;
	make_room(e, idx);
	e->pictures[e->n_pictures++] = (struct picture){ .ring = idx, .text = text };
}

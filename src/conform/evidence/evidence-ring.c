/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Pictures of rings, and what the messages have made of them. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "conform/evidence/evidence-events.h"
#include "vhu/frontend-rings.h"
#include "virtio/picture.h"

/* What host() is told. */
struct guest_memory {
	const struct vhu_frontend *fe;
};

/* Guest addresses of the case's own memory; see picture.h. */
static const void *host(void *arg, uint64_t guest_addr, uint64_t len)
{
	const struct guest_memory *mem = arg;
	const uint8_t *first = vhu_frontend_host(mem->fe, guest_addr);
	uint64_t last;

	if (!first || len == 0 || !add_u64(guest_addr, len - 1, &last))
		return NULL;
	return vhu_frontend_host(mem->fe, last) == first + (len - 1) ? first : NULL;
}

static void put_ring(FILE *out, const struct vhu_frontend *fe, unsigned int idx)
{
	struct guest_memory mem = { fe };
	const struct picture_source source = {
		.split = &fe->rings[idx].q.ring,
		.event_idx = vhu_nego_has_feature(&fe->nego, VIRTIO_F_EVENT_IDX_BIT),
		.host = host,
		.arg = &mem,
	};
	const struct picture_want want = { .slots = 0 };
	struct ring_picture *p = picture_take(&source, &want);

	if (p)
		picture_print(out, p, 2, false);
	picture_free(p);
}

/* What the messages so far have made of the ring. */
static void put_state(FILE *out, const struct vhu_frontend *fe, unsigned int idx)
{
	const struct vhu_nego_ring *ring = &fe->nego.ring[idx];

	fprintf(out, "%s, %s%s%s", ring->kick_set ? "started" : "not started",
		ring->enabled ? "enabled" : "not enabled", ring->addr_set ? "" : ", no addresses",
		ring->num_set ? "" : ", no size");
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
		put_state(out, fe, idx);
		fputc('\n', out);
		put_ring(out, fe, idx);
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

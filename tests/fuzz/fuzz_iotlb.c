/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/*
 * Translations of an IOMMU beside a plain table of pages. Input:
 *
 *	byte 0		odd: the pages are the last ones before 2^64, not the first
 *	then steps, each
 *		1 byte	an enum step
 *		n bytes	what the step needs; see there
 */
#include "fuzz.h"

#include "virtio/iotlb.h"

enum { N_PAGES = 64, PAGE = 4096, N_REGIONS = 2, REGION_PAGES = 8, WHERE = 0x100000 };

enum step {
	STEP_UPDATE,	 /* 4 bytes: first page, how many, page of the memory, permission */
	STEP_INVALIDATE, /* 2 bytes: first page, how many */
	STEP_LOOK,	 /* 3 bytes: first page, how many, permission */
	STEP_CLEAR,
	STEP_MOVE, /* to another process */
	STEP_WILD, /* 25 bytes: address, size, where, permission: whatever they are */
	N_STEPS,
};

struct page {
	uint64_t user_addr;
	uint8_t perm; /* 0: unknown */
};

struct fuzz {
	struct iotlb *tlb;
	struct gmem *mem;
	uint64_t base;
	bool wild; /* the pages tell no more what is known */
	struct page pages[N_PAGES];
};

/* Memory of two regions that adjoin for the front-end: made once. */
static struct gmem *make_memory(void)
{
	struct gmem_region *regions[N_REGIONS];
	struct gmem *mem;

	for (uint64_t i = 0; i < N_REGIONS; i++) {
		struct gmem_desc desc = { i * REGION_PAGES * PAGE, REGION_PAGES * PAGE,
					  WHERE + i * REGION_PAGES * PAGE, 0 };
		int fd = fuzz_file(REGION_PAGES * PAGE);

		must(gmem_region_map(&desc, fd, &regions[i]) == GMEM_OK);
		close(fd);
	}
	must(gmem_new(regions, N_REGIONS, &mem) == GMEM_OK);
	for (unsigned int i = 0; i < N_REGIONS; i++)
		gmem_region_unref(regions[i]);
	return mem;
}

/* Some of the pages that n bytes of the input name; never past the last. */
static unsigned int take_pages(struct input *in, unsigned int *ret_n)
{
	unsigned int first = input_u8(in) % N_PAGES;

	*ret_n = input_u8(in) % (N_PAGES - first + 1);
	return first;
}

static void update(struct fuzz *f, struct input *in)
{
	unsigned int n, first = take_pages(in, &n);
	struct iotlb_entry e = {
		.iova = f->base + (uint64_t)first * PAGE,
		.size = (uint64_t)n * PAGE,
		.user_addr = WHERE + (uint64_t)(input_u8(in) % 32) * PAGE,
		.perm = input_u8(in) & 3,
	};
	int err = iotlb_update(f->tlb, &e);

	must((err == 0) == (n > 0 && e.perm != 0));
	if (err < 0)
		return;
	for (unsigned int i = 0; i < n; i++)
		f->pages[first + i] = (struct page){ e.user_addr + (uint64_t)i * PAGE, e.perm };
}

static void invalidate(struct fuzz *f, struct input *in)
{
	unsigned int n, first = take_pages(in, &n);

	iotlb_invalidate(f->tlb, f->base + (uint64_t)first * PAGE, (uint64_t)n * PAGE);
	memset(f->pages + first, 0, n * sizeof(f->pages[0]));
}

static void check_page(const struct fuzz *f, unsigned int i)
{
	uint64_t iova = f->base + (uint64_t)i * PAGE;
	const struct page *p = &f->pages[i];
	struct iotlb_entry e;
	struct gmem_window w;
	uint64_t user_addr;

	must(iotlb_find(f->tlb, iova + 7, &e) == (p->perm != 0));
	must(iotlb_knows(f->tlb, iova, PAGE) == (p->perm != 0));
	if (p->perm == 0)
		return;
	must(iova - e.iova < e.size && e.perm == p->perm);
	must(e.user_addr + (iova - e.iova) == p->user_addr);
	if (!iotlb_window_at(f->tlb, f->mem, iova, p->perm, &w))
		return;
	must(iova - w.guest_addr < w.size && w.host != NULL);
	user_addr = p->user_addr;
	must(gmem_host_from_user(f->mem, user_addr, 1) == w.host + (iova - w.guest_addr));
}

/* A stretch has a place here when each of its pages has, and they follow each other. */
static void look(struct fuzz *f, struct input *in)
{
	unsigned int n, first = take_pages(in, &n);
	uint8_t perm = (uint8_t)(1 + input_u8(in) % 3);
	uint64_t missing = 0, iova = f->base + (uint64_t)first * PAGE;
	unsigned char *host;
	bool all = true;

	if (n == 0 || f->wild)
		return;
	host = iotlb_host(f->tlb, f->mem, iova, (uint64_t)n * PAGE, perm, &missing);
	for (unsigned int i = 0; i < n; i++) {
		const struct page *p = &f->pages[first + i];

		all &= (p->perm & perm) == perm;
		if (host)
			must(gmem_host_from_user(f->mem, p->user_addr, PAGE) ==
			     host + (size_t)i * PAGE);
	}
	must(!host || all);
	must(host || missing - iova < (uint64_t)n * PAGE);
}

static void move(struct fuzz *f)
{
	size_t n = iotlb_n_entries(f->tlb);
	struct state_writer w;
	struct state_reader r;

	state_writer_init(&w, 1, 1);
	iotlb_save(f->tlb, &w, 1);
	must(state_finish(&w) == 0);
	iotlb_free(f->tlb);
	f->tlb = iotlb_new();
	must(f->tlb != NULL);
	state_reader_init(&r, w.buf, w.len, 1, 1);
	iotlb_load(f->tlb, &r, 1);
	must(state_end_of(&r) == 0 && iotlb_n_entries(f->tlb) == n);
	state_writer_fini(&w);
}

static void wild(struct fuzz *f, struct input *in)
{
	struct iotlb_entry e = { input_u64(in), input_u64(in), input_u64(in), input_u8(in) };
	struct gmem_window w;
	uint64_t missing;

	f->wild = true;
	if (e.perm & 0x80)
		iotlb_invalidate(f->tlb, e.iova, e.size);
	e.perm &= 3;
	if (iotlb_update(f->tlb, &e) == 0) {
		must(e.size > 0 && e.perm != 0 && iotlb_knows(f->tlb, e.iova, e.size));
		iotlb_window_at(f->tlb, f->mem, e.iova, e.perm, &w);
		iotlb_host(f->tlb, f->mem, e.iova, e.size, e.perm, &missing);
	}
}

static void clear(struct fuzz *f)
{
	iotlb_clear(f->tlb);
	must(iotlb_n_entries(f->tlb) == 0);
	memset(f->pages, 0, sizeof(f->pages));
	f->wild = false;
}

static void do_step(struct fuzz *f, enum step step, struct input *in)
{
	switch (step) {
	case STEP_UPDATE:
		update(f, in);
		break;
	case STEP_INVALIDATE:
		invalidate(f, in);
		break;
	case STEP_LOOK:
		look(f, in);
		break;
	case STEP_CLEAR:
		clear(f);
		break;
	case STEP_MOVE:
		move(f);
		break;
	case STEP_WILD:
		wild(f, in);
		break;
	case N_STEPS:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gmem *mem;
	struct input in = { data, size };
	struct fuzz f = { .tlb = iotlb_new() };

	if (!mem)
		mem = make_memory();
	must(f.tlb != NULL);
	f.mem = mem;
	f.base = input_u8(&in) & 1 ? 0 - (uint64_t)N_PAGES * PAGE : 0;
	while (in.left > 0)
		do_step(&f, input_u8(&in) % N_STEPS, &in);
	for (unsigned int i = 0; i < N_PAGES && !f.wild; i++)
		check_page(&f, i);
	iotlb_free(f.tlb);
	return 0;
}

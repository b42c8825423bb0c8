/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Which pages of guest memory are there, while others are still elsewhere. */
#include <sys/mman.h>

#include "base.h"
#include "virtio/gmem.h"

enum {
	MINCORE_PAGE = 4096,
	MINCORE_PAGES = 256, /* asked for at once */
};

/* How many of the pages that len bytes from host on lie in are there, up to the first that is not.
 */
/* seccomp: mincore */
static size_t present_pages(const unsigned char *host, size_t len)
{
	size_t lead = (uintptr_t)host % MINCORE_PAGE, n = 0;
	unsigned char there[MINCORE_PAGES];

	len = min_size(lead + len, sizeof(there) * MINCORE_PAGE);
	if (mincore((void *)(uintptr_t)(host - lead), len, there) < 0)
		return 0;
	while (n * MINCORE_PAGE < len && (there[n] & 1))
		n++;
	return n;
}

bool gmem_is_present(const void *host, size_t len)
{
	const unsigned char *at = host;

	while (len > 0) {
		size_t n = present_pages(at, len) * MINCORE_PAGE;
		size_t run = n > 0 ? min_size(len, n - (uintptr_t)at % MINCORE_PAGE) : 0;

		if (run == 0)
			return false;
		at += run;
		len -= run;
	}
	return true;
}

bool gmem_window_narrow(struct gmem_window *w, uint64_t guest_addr)
{
	uint64_t off = guest_addr - w->guest_addr;
	unsigned char *host = w->host + off;
	size_t lead = (uintptr_t)host % MINCORE_PAGE;
	size_t n = present_pages(host, w->size - off);

	if (n == 0)
		return false;
	w->guest_addr = guest_addr;
	w->host = host;
	w->size = min_u64(n * MINCORE_PAGE - lead, w->size - off);
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Guest memory whose file is cut off under us: a SIGBUS costs that guest alone. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

#include "virtio/gmem-private.h"

/*
 * The fault registry: every mapped region. A signal handler of any thread walks
 * it, so a region is linked with one store once it is complete. It is unlinked
 * with one store, too, and stays until no walk is under way that may have come
 * to it before: walks are short and wait for nobody.
 */
static pthread_mutex_t fault_lock = PTHREAD_MUTEX_INITIALIZER; /* of those who write */
static struct gmem_region *fault_regions;
static unsigned int n_fault_walks;
static bool fault_seen;

void gmem_guard_add(struct gmem_region *region)
{
	pthread_mutex_lock(&fault_lock);
	region->next = fault_regions;
	__atomic_store_n(&fault_regions, region, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&fault_lock);
}

/* seccomp: sched_yield */
void gmem_guard_remove(struct gmem_region *region)
{
	struct gmem_region **at = &fault_regions;

	pthread_mutex_lock(&fault_lock);
	while (*at != region)
		at = &(*at)->next;
	__atomic_store_n(at, region->next, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&fault_lock);
	while (__atomic_load_n(&n_fault_walks, __ATOMIC_SEQ_CST) > 0)
		sched_yield();
}

/* Only mmap() and stores: safe in a handler. True when the fault is dealt with. */
/* seccomp: mmap madvise rt_sigaction tgkill */
static bool fault_repair(uintptr_t addr)
{
	struct gmem_region *r = __atomic_load_n(&fault_regions, __ATOMIC_SEQ_CST);

	for (; r; r = __atomic_load_n(&r->next, __ATOMIC_SEQ_CST)) {
		if (addr - (uintptr_t)r->map >= r->map_len)
			continue;
		if (mmap(r->map, r->map_len, r->prot,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
			 0) == MAP_FAILED)
			return false;
		(void)madvise(r->map, r->map_len, MADV_DONTDUMP);
		__atomic_store_n(&r->faulted, true, __ATOMIC_RELAXED);
		__atomic_store_n(&fault_seen, true, __ATOMIC_RELAXED);
		return true;
	}
	return false;
}

/* What SIGBUS did before the guard: a fault that is not ours is passed on to it. */
static struct sigaction guard_before;

static void fault_handler(int sig, siginfo_t *info, void *context)
{
	int saved_errno = errno;
	bool repaired;

	(void)context;
	/* A signal that a process sent has no address: its code is not positive. */
	__atomic_add_fetch(&n_fault_walks, 1, __ATOMIC_SEQ_CST);
	repaired = info->si_code > 0 && fault_repair((uintptr_t)info->si_addr);
	__atomic_sub_fetch(&n_fault_walks, 1, __ATOMIC_SEQ_CST);
	if (!repaired) {
		sigaction(sig, &guard_before, NULL);
		raise(sig); /* delivered when this handler returns */
	}
	errno = saved_errno;
}

int gmem_fault_guard_install(void)
{
	struct sigaction old;
	struct sigaction action = {
		.sa_sigaction = fault_handler,
		.sa_flags = SA_SIGINFO | SA_RESTART,
	};

	sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, NULL, &old) < 0)
		return -errno;
	if ((old.sa_flags & SA_SIGINFO) && old.sa_sigaction == fault_handler)
		return 0;
	guard_before = old;
	return sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}

bool gmem_faulted(const struct gmem *mem)
{
	if (!__atomic_load_n(&fault_seen, __ATOMIC_RELAXED))
		return false;
	for (size_t i = 0; i < gmem_n_regions(mem); i++) {
		if (__atomic_load_n(&gmem_region_at(mem, i)->faulted, __ATOMIC_RELAXED))
			return true;
	}
	return false;
}

#define _GNU_SOURCE
#include "bell.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The sleeper says that it sleeps, then looks whether the position has been reached; the ringer says that it has, then
   looks whether anybody sleeps. Between either's store and load stands a sequentially consistent fence, so of the two
   fences one comes first: if the ringer's, the sleeper sees the position and does not sleep; if the sleeper's, the
   ringer sees it asleep (and what it waits for, which was stored before) and wakes it. Neither can miss the other. If
   the ringer clears `asleep` before the sleeper is in the kernel, FUTEX_WAIT finds another value than 1 and returns. */

static long call_futex(_Atomic uint32_t *word, int operation, uint32_t value, const struct timespec *timeout)
{
    /* Not FUTEX_PRIVATE_FLAG: the two are different processes. */
    return syscall(SYS_futex, (uint32_t *)word, operation, value, timeout, NULL, 0);
}

bool rt_bell_ring(rt_bell *bell, int64_t reached)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&bell->asleep, memory_order_acquire)) return false;
    if (reached < atomic_load_explicit(&bell->waited_for, memory_order_relaxed)) return false;
    if (!atomic_exchange_explicit(&bell->asleep, 0, memory_order_acq_rel)) return false;
    call_futex(&bell->asleep, FUTEX_WAKE, 1, NULL);
    return true;
}

/* The real clock, also where tests move the other. */
static int64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

bool rt_bell_sleep(rt_bell *bell, const _Atomic int64_t *reached, int64_t position, int64_t timeout_ns,
                   const _Atomic int32_t *closing)
{
    const int64_t deadline_ns = monotonic_ns() + timeout_ns;
    bool interrupted = false;
    while (atomic_load_explicit(reached, memory_order_acquire) < position) {
        const int64_t left_ns = deadline_ns - monotonic_ns();
        if (interrupted || left_ns <= 0 || atomic_load_explicit(closing, memory_order_acquire)) return false;
        atomic_store_explicit(&bell->waited_for, position, memory_order_relaxed);
        atomic_store_explicit(&bell->asleep, 1, memory_order_release);
        atomic_thread_fence(memory_order_seq_cst);
        const bool nothing_yet = atomic_load_explicit(reached, memory_order_acquire) < position &&
                                 !atomic_load_explicit(closing, memory_order_acquire);
        const struct timespec left = {left_ns / INT64_C(1000000000), left_ns % INT64_C(1000000000)};
        if (nothing_yet) interrupted = call_futex(&bell->asleep, FUTEX_WAIT, 1, &left) != 0 && errno == EINTR;
        atomic_store_explicit(&bell->asleep, 0, memory_order_relaxed);
    }
    return true;
}

/* What waking another process costs the one that wakes, and how long the other takes to come: for bench/wake.py.

   The audio side writes a block of `frames` every `period_ns` by rt_link_hear; the worker is another process, which
   waits for each block in one of four ways. Times are by the monotonic clock, which both share. */
#define _GNU_SOURCE
#include "../native/clock.h"
#include "../native/link.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum way { NOBODY, FUTEX, POLL, EVENTFD };

#define MOST_FRAMES 2048
#define POLL_NS 100000

typedef struct {
    _Atomic int64_t woken; /* blocks the worker has noticed */
    _Atomic int64_t cpu_ns; /* it has used */
    int64_t wake_ns[];     /* (blocks,) from the call's begin to there */
} answers;

static void sleep_for(int64_t ns)
{
    const struct timespec length = {ns / 1000000000, ns % 1000000000};
    nanosleep(&length, NULL);
}

static void sleep_until(int64_t ns)
{
    const struct timespec until = {ns / 1000000000, ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) continue;
}

static void be_urgent(int priority)
{
    const struct sched_param wanted = {.sched_priority = priority};
    sched_setscheduler(0, SCHED_FIFO, &wanted);
}

static int64_t heard(const rt_link *link)
{
    return atomic_load_explicit(&link->in_written, memory_order_acquire);
}

static void work(rt_link *link, answers *found, enum way way, int event, int64_t blocks, int32_t frames)
{
    uint64_t count;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1UL);
    be_urgent(40);
    for (int64_t block = 0; block < blocks; block++) {
        const int64_t end = (block + 1) * frames;
        if (way == FUTEX)
            while (!rt_link_wait(link, end, 1000000000)) continue;
        else if (way == EVENTFD)
            while (heard(link) < end) (void)!read(event, &count, sizeof count);
        else
            while (heard(link) < end) sleep_for(POLL_NS);
        found->wake_ns[block] = rt_now_ns() - rt_link_heard_ns(link, end);
        atomic_store(&found->cpu_ns, rt_cpu_ns());
        atomic_store(&found->woken, block + 1);
    }
}

/* call_ns, wake_ns (blocks,): what the audio side's call took, and how long after it the worker was there; returns
   the worker's CPU time in ns, or -1. */
int64_t wake_measure(int32_t way, int64_t blocks, int32_t frames, int64_t period_ns, int64_t *call_ns, int64_t *wake_ns)
{
    static const float samples[MOST_FRAMES];
    if (frames > MOST_FRAMES) return -1;
    const size_t bytes = sizeof(answers) + (size_t)blocks * sizeof(int64_t);
    answers *found = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    const int fd = memfd_create("wake", MFD_CLOEXEC), event = eventfd(0, 0);
    rt_link *link = rt_link_create(fd, 1 << 17, 1);
    if (found == MAP_FAILED || !link || event < 0) return -1;
    const pid_t worker = way == NOBODY ? 0 : fork();
    if (way != NOBODY && worker == 0) {
        work(link, found, (enum way)way, event, blocks, frames);
        _exit(0);
    }
    be_urgent(50);
    sleep_for(50000000);
    int64_t due_ns = rt_now_ns();
    for (int64_t block = 0; block < blocks; block++) {
        sleep_until(due_ns += period_ns);
        const uint64_t one = 1;
        const int64_t start_ns = rt_now_ns();
        rt_link_hear(link, samples, frames);
        if (way == EVENTFD) (void)!write(event, &one, sizeof one);
        call_ns[block] = rt_now_ns() - start_ns;
    }
    sleep_for(50000000);
    const int64_t cpu_ns = atomic_load(&found->cpu_ns);
    const bool all = way == NOBODY || atomic_load(&found->woken) == blocks;
    for (int64_t block = 0; block < blocks; block++) wake_ns[block] = way == NOBODY ? 0 : found->wake_ns[block];
    if (worker > 0) {
        kill(worker, SIGKILL);
        waitpid(worker, NULL, 0);
    }
    rt_link_detach(link);
    munmap(found, bytes);
    close(event);
    close(fd);
    return all ? cpu_ns : -1;
}

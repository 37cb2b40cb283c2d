#define _GNU_SOURCE
#include "link.h"

#include "clock.h"

#include <errno.h>
#include <math.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x6b6e696c746e7973) /* "syntlink" */
#define AHEAD 4 /* output may run ahead of the input by this part of the ring: more than rounding ever does */

/* ---- life ---- */

static int64_t bytes_of(int64_t capacity, int32_t channels)
{
    return (int64_t)sizeof(rt_link) + capacity * (1 + channels) * (int64_t)sizeof(float);
}

static bool possible(int64_t capacity, int32_t channels)
{
    const bool power_of_two = capacity > 0 && (capacity & (capacity - 1)) == 0;
    return power_of_two && capacity <= INT64_C(1) << 30 && channels >= 1 && channels <= RT_LINK_MOST_CHANNELS;
}

static rt_link *map(int32_t fd, int64_t bytes)
{
    /* Populated now, so that the audio thread meets no page for the first time. */
    void *mapped = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    return mapped == MAP_FAILED ? NULL : mapped;
}

rt_link *rt_link_create(int32_t fd, int64_t capacity, int32_t channels)
{
    if (!possible(capacity, channels)) {
        errno = EINVAL;
        return NULL;
    }
    const int64_t bytes = bytes_of(capacity, channels);
    if (ftruncate(fd, bytes)) return NULL;
    rt_link *link = map(fd, bytes);
    if (!link) return NULL;
    link->bytes = bytes; /* all else is zero, as the file is */
    link->capacity = capacity;
    link->channels = channels;
    link->layout = sizeof(rt_link);
    link->magic = MAGIC;
    return link;
}

rt_link *rt_link_attach(int32_t fd)
{
    struct stat file;
    if (fstat(fd, &file)) return NULL;
    errno = EPROTO;
    if (file.st_size < (off_t)sizeof(rt_link)) return NULL;
    rt_link *link = map(fd, file.st_size);
    if (!link) return NULL;
    const bool ours = link->magic == MAGIC && link->layout == sizeof(rt_link) && link->bytes == file.st_size &&
                      possible(link->capacity, link->channels) &&
                      link->bytes == bytes_of(link->capacity, link->channels);
    if (ours) {
        atomic_store_explicit(&link->rest_at, 0, memory_order_release); /* whoever was killed at rest has left it */
        return link;
    }
    munmap(link, (size_t)file.st_size);
    errno = EPROTO;
    return NULL;
}

void rt_link_detach(rt_link *link)
{
    if (link) munmap(link, (size_t)link->bytes);
}

int64_t rt_link_size(void)
{
    return sizeof(rt_link);
}

void rt_link_close(rt_link *link, int32_t closing)
{
    atomic_store_explicit(&link->closing, closing != 0, memory_order_release);
    if (!closing) { /* one that was killed in its sleep has left this behind */
        atomic_store_explicit(&link->worker.asleep, 0, memory_order_relaxed);
        return;
    }
    rt_bell_ring(&link->worker, INT64_MAX);
    rt_bell_ring(&link->host, INT64_MAX);
}

/* ---- rings of atomic samples: copied one by one, as nothing wider is atomic ---- */

static _Atomic float *out_ring(const rt_link *link)
{
    return (_Atomic float *)link->samples + link->capacity;
}

static void stamp(rt_link *link, int64_t end)
{
    const uint64_t entry = atomic_load_explicit(&link->stamped, memory_order_relaxed);
    _Atomic int64_t *slot = link->stamps[entry % RT_LINK_STAMPS];
    atomic_store_explicit(&slot[0], end, memory_order_relaxed);
    atomic_store_explicit(&slot[1], rt_now_ns(), memory_order_relaxed);
    atomic_store_explicit(&link->stamped, entry + 1, memory_order_release);
}

static bool is_silent(const float *in, int32_t frames)
{
    bool silent = true;
    for (int32_t i = 0; i < frames; i++) silent &= fabsf(in[i]) <= RT_LINK_SILENCE;
    return silent;
}

bool rt_link_rests(const rt_link *link)
{
    const int64_t rest_at = atomic_load_explicit(&link->rest_at, memory_order_acquire);
    return rest_at > 0 && atomic_load_explicit(&link->loud, memory_order_relaxed) <= rest_at;
}

/* The worker says that it rests, then looks whether anything loud has come since (native/rest.c); here it is said that
   something loud has come, then looked whether the worker rests. With a sequentially consistent fence on either side at
   least one of them sees the other, as with the bell. */
static void hear(rt_link *link, const float *in, int32_t frames, bool let_rest)
{
    const int64_t mask = link->capacity - 1;
    const int64_t position = atomic_load_explicit(&link->in_written, memory_order_relaxed), end = position + frames;
    atomic_store_explicit(&link->in_begun, end, memory_order_relaxed);
    atomic_thread_fence(memory_order_release); /* `begun` is seen no later than any sample it announces */
    for (int32_t i = 0; i < frames; i++)
        atomic_store_explicit(&link->samples[(position + i) & mask], in[i], memory_order_relaxed);
    stamp(link, end);
    atomic_store_explicit(&link->in_written, end, memory_order_release);
    if (!is_silent(in, frames)) atomic_store_explicit(&link->loud, end, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    if (let_rest && rt_link_rests(link)) return;
    if (!rt_bell_ring(&link->worker, end)) return;
    const int64_t wakes = atomic_load_explicit(&link->wakes, memory_order_relaxed);
    atomic_store_explicit(&link->wakes, wakes + 1, memory_order_relaxed);
}

void rt_link_hear(rt_link *link, const float *in, int32_t frames)
{
    hear(link, in, frames, true);
}

void rt_link_hear_awake(rt_link *link, const float *in, int32_t frames)
{
    hear(link, in, frames, false);
}

int64_t rt_link_read(const rt_link *link, int64_t position, float *out, int64_t most)
{
    const int64_t mask = link->capacity - 1;
    const int64_t there = atomic_load_explicit(&link->in_written, memory_order_acquire) - position;
    const int64_t count = there < 0 ? 0 : there < most ? there : most;
    for (int64_t i = 0; i < count; i++)
        out[i] = atomic_load_explicit(&link->samples[(position + i) & mask], memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    const int64_t begun = atomic_load_explicit(&link->in_begun, memory_order_relaxed);
    return count > 0 && begun - link->capacity > position ? -1 : count;
}

int32_t rt_link_write(rt_link *link, int64_t position, const float *samples, int64_t frames)
{
    const int64_t mask = link->capacity - 1, channels = link->channels, end = position + frames;
    const int64_t written = atomic_load_explicit(&link->out_written, memory_order_relaxed);
    const int64_t heard = atomic_load_explicit(&link->in_written, memory_order_relaxed);
    if (position < written || end > heard + link->capacity / AHEAD || frames > link->capacity / 2) return -1;
    if (position > written) atomic_store_explicit(&link->out_start, position, memory_order_relaxed);
    _Atomic float *to = out_ring(link);
    for (int64_t i = 0; i < frames; i++)
        for (int64_t channel = 0; channel < channels; channel++)
            atomic_store_explicit(&to[((position + i) & mask) * channels + channel], samples[i * channels + channel],
                                  memory_order_relaxed);
    atomic_store_explicit(&link->out_written, end, memory_order_release);
    rt_bell_ring(&link->host, end);
    return 0;
}

/* Nothing of this can be overwritten meanwhile: rt_link_write keeps the output within a quarter of the ring of the
   input, and what is played lags the input by less than half of it (see Remote). */
int32_t rt_link_answer(const rt_link *link, int64_t position, float *left, float *right, int32_t frames)
{
    const int64_t mask = link->capacity - 1;
    const int64_t written = atomic_load_explicit(&link->out_written, memory_order_acquire);
    const int64_t start = atomic_load_explicit(&link->out_start, memory_order_relaxed);
    if (position < start || position < written - link->capacity || position >= written) return 0;
    const int32_t there = written - position < frames ? (int32_t)(written - position) : frames;
    const _Atomic float *from = out_ring(link);
    const int64_t channels = link->channels;
    for (int32_t i = 0; i < there; i++) {
        const _Atomic float *sample = &from[((position + i) & mask) * channels];
        left[i] = atomic_load_explicit(&sample[0], memory_order_relaxed);
        right[i] = atomic_load_explicit(&sample[channels - 1], memory_order_relaxed);
    }
    return there;
}

void rt_link_need(rt_link *link, int64_t position)
{
    atomic_store_explicit(&link->needed, position, memory_order_release);
}

void rt_link_reset(rt_link *link, int64_t position)
{
    atomic_store_explicit(&link->loud, position + 1, memory_order_release); /* whoever rests does so no longer */
    atomic_store_explicit(&link->reset_at, position, memory_order_release);
}

bool rt_link_await(rt_link *link, int64_t position, int64_t patience_ns)
{
    return rt_bell_sleep(&link->host, &link->out_written, position, patience_ns, &link->closing);
}

int32_t rt_link_wait(rt_link *link, int64_t position, int64_t timeout_ns)
{
    return rt_bell_sleep(&link->worker, &link->in_written, position, timeout_ns, &link->closing);
}

/* Half of the stamps are looked through: the other half is what may be overwritten meanwhile. */
int64_t rt_link_heard_ns(const rt_link *link, int64_t position)
{
    const uint64_t stamped = atomic_load_explicit(&link->stamped, memory_order_acquire);
    const uint64_t known = stamped < RT_LINK_STAMPS / 2 ? stamped : RT_LINK_STAMPS / 2;
    int64_t found_ns = INT64_MAX;
    for (uint64_t back = 1; back <= known; back++) {
        const _Atomic int64_t *slot = link->stamps[(stamped - back) % RT_LINK_STAMPS];
        if (atomic_load_explicit(&slot[0], memory_order_relaxed) < position) return found_ns;
        found_ns = atomic_load_explicit(&slot[1], memory_order_relaxed);
    }
    return known == stamped ? found_ns : 0;
}

/* ---- what the worker measures ---- */

void rt_link_count(rt_link *link, int32_t counter, int64_t amount)
{
    if (counter < 0 || counter >= RT_LINK_COUNTERS) return;
    _Atomic int64_t *total = &link->counters[counter];
    atomic_store_explicit(total, atomic_load_explicit(total, memory_order_relaxed) + amount, memory_order_relaxed);
}

void rt_link_count_frame(rt_link *link, int64_t wall_ns, int64_t cpu_ns, int64_t turnaround_ns)
{
    rt_link_count(link, RT_FRAMES, 1);
    rt_histogram_count(&link->efforts[RT_COMPUTE_WALL], wall_ns);
    rt_histogram_count(&link->efforts[RT_COMPUTE_CPU], cpu_ns);
    rt_histogram_count(&link->efforts[RT_TURNAROUND], turnaround_ns);
}

void rt_link_counters(rt_link *link, int64_t *counters)
{
    for (int32_t i = 0; i < RT_LINK_COUNTERS; i++)
        counters[i] = atomic_load_explicit(&link->counters[i], memory_order_relaxed);
}

int64_t rt_link_effort(rt_link *link, int32_t effort, uint64_t *buckets)
{
    if (effort < 0 || effort >= RT_EFFORTS) return -1;
    return rt_histogram_read(&link->efforts[effort], buckets);
}

void rt_link_positions(const rt_link *link, int64_t *positions)
{
    positions[0] = atomic_load_explicit(&link->in_written, memory_order_acquire);
    positions[1] = atomic_load_explicit(&link->out_start, memory_order_acquire);
    positions[2] = atomic_load_explicit(&link->out_written, memory_order_acquire);
    positions[3] = atomic_load_explicit(&link->needed, memory_order_acquire);
    positions[4] = atomic_load_explicit(&link->reset_at, memory_order_acquire);
}

int64_t rt_link_wakes(const rt_link *link)
{
    return atomic_load_explicit(&link->wakes, memory_order_relaxed);
}

int32_t rt_link_asleep(const rt_link *link)
{
    return (int32_t)atomic_load_explicit(&link->worker.asleep, memory_order_acquire);
}

int64_t rt_link_capacity(const rt_link *link)
{
    return link->capacity;
}

int32_t rt_link_channels(const rt_link *link)
{
    return link->channels;
}

int32_t rt_link_closing(const rt_link *link)
{
    return atomic_load_explicit(&link->closing, memory_order_acquire);
}

#define _GNU_SOURCE
#include "clock.h"

#include <math.h>

#define BANDWIDTH_HZ 0.1     /* settled: jitter of one block start moves the map by a thousandth of itself */
#define FIRST_BANDWIDTH 0.05 /* of the block rate, while there is little to average */
#define STRAY_BLOCKS 4       /* a start this many blocks off is a stall, not jitter: it says nothing of the rate */
#define STRAY_SECONDS 0.25   /* unless starts stay there: then the host has lost or skipped time */
#define RATE_TOLERANCE 0.01  /* no device is further from its nominal rate; bursts of blocks at the start look it */

void rt_dll_init(rt_dll *dll, double sample_rate)
{
    *dll = (rt_dll){.nominal_ns = 1e9 / sample_rate};
    dll->sample_ns = dll->nominal_ns;
}

static void lock_on(rt_dll *dll, int64_t position, int64_t now_ns, int32_t frames)
{
    dll->origin_ns = now_ns;
    dll->block_ns = 0.0;
    dll->position = position;
    dll->frames = frames;
    dll->strays = 0;
    dll->locked = true;
}

static double bandwidth(double elapsed_ns, double block_ns)
{
    const double narrowing = 1e9 / elapsed_ns;
    const double widest = FIRST_BANDWIDTH * 1e9 / block_ns;
    return fmax(BANDWIDTH_HZ, fmin(narrowing, widest));
}

void rt_dll_update(rt_dll *dll, int64_t position, int64_t now_ns, int32_t frames)
{
    const int64_t passed = position - dll->position;
    if (!dll->locked || passed <= 0) {
        lock_on(dll, position, now_ns, frames);
        return;
    }
    const double length_ns = (double)passed * dll->sample_ns;
    const double predicted_ns = dll->block_ns + length_ns;
    double error_ns = (double)(now_ns - dll->origin_ns) - predicted_ns;
    dll->frames = frames;
    if (fabs(error_ns) > STRAY_BLOCKS * length_ns) {
        dll->strays += (int32_t)passed;
        if (dll->strays * dll->nominal_ns > STRAY_SECONDS * 1e9) {
            lock_on(dll, position, now_ns, frames);
            return;
        }
        error_ns = 0.0;
    } else {
        dll->strays = 0;
    }
    const double omega = 2.0 * M_PI * bandwidth(predicted_ns, length_ns) * length_ns * 1e-9;
    dll->block_ns = predicted_ns + M_SQRT2 * omega * error_ns;
    const double learnt_ns = dll->sample_ns + omega * omega * error_ns / (double)passed;
    const double tolerance_ns = RATE_TOLERANCE * dll->nominal_ns;
    dll->sample_ns = fmax(dll->nominal_ns - tolerance_ns, fmin(learnt_ns, dll->nominal_ns + tolerance_ns));
    dll->position = position;
}

double rt_dll_sample_at(const rt_dll *dll, int64_t ns)
{
    return (double)dll->position + ((double)(ns - dll->origin_ns) - dll->block_ns) / dll->sample_ns;
}

void rt_clock_init(rt_clock *clock, double sample_rate)
{
    rt_dll_init(&clock->dll, sample_rate);
    atomic_init(&clock->sequence, 0);
    atomic_init(&clock->locked, false);
}

void rt_clock_restart(rt_clock *clock)
{
    rt_dll_init(&clock->dll, 1e9 / clock->dll.nominal_ns);
    atomic_store_explicit(&clock->locked, false, memory_order_relaxed);
}

void rt_clock_update(rt_clock *clock, int64_t position, int64_t now_ns, int32_t frames)
{
    rt_dll *dll = &clock->dll;
    rt_dll_update(dll, position, now_ns, frames);
    const uint32_t sequence = atomic_load_explicit(&clock->sequence, memory_order_relaxed);
    atomic_store_explicit(&clock->sequence, sequence + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&clock->anchor_ns, dll->origin_ns + llrint(dll->block_ns), memory_order_relaxed);
    atomic_store_explicit(&clock->position, dll->position, memory_order_relaxed);
    atomic_store_explicit(&clock->sample_ns, dll->sample_ns, memory_order_relaxed);
    atomic_store_explicit(&clock->frames, frames, memory_order_relaxed);
    atomic_store_explicit(&clock->locked, true, memory_order_relaxed);
    atomic_store_explicit(&clock->sequence, sequence + 2, memory_order_release);
}

bool rt_clock_read(rt_clock *clock, int64_t ns, int64_t *sample, int32_t *frames)
{
    bool locked;
    int64_t anchor_ns, position;
    double sample_ns;
    uint32_t before, after;
    do {
        before = atomic_load_explicit(&clock->sequence, memory_order_acquire);
        locked = atomic_load_explicit(&clock->locked, memory_order_relaxed);
        anchor_ns = atomic_load_explicit(&clock->anchor_ns, memory_order_relaxed);
        position = atomic_load_explicit(&clock->position, memory_order_relaxed);
        sample_ns = atomic_load_explicit(&clock->sample_ns, memory_order_relaxed);
        *frames = atomic_load_explicit(&clock->frames, memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        after = atomic_load_explicit(&clock->sequence, memory_order_relaxed);
    } while (before != after || before % 2 != 0);
    if (locked) *sample = position + llrint((double)(ns - anchor_ns) / sample_ns);
    return locked;
}

#include "tape.h"

#include "memory.h"
#include "ring.h"

#include <stdbool.h>
#include <stdlib.h>

#define CHUNK 128 /* samples taken from the ring at once */

struct rt_tape {
    rt_ring ring;
    _Atomic int32_t ended;
    _Atomic int32_t active;
    _Atomic int64_t counts[RT_TAPE_COUNTS];
    bool waiting; /* [audio] the latest sample was missing */
};

rt_tape *rt_tape_create(int64_t capacity)
{
    rt_tape *tape = rt_allocate(sizeof *tape);
    if (tape != NULL && !rt_ring_init(&tape->ring, (uint64_t)capacity, sizeof(float))) {
        free(tape);
        return NULL;
    }
    return tape;
}

void rt_tape_destroy(rt_tape *tape)
{
    if (tape == NULL) return;
    rt_ring_free(&tape->ring);
    free(tape);
}

void rt_tape_reset(rt_tape *tape)
{
    float dropped[CHUNK];
    while (rt_ring_read(&tape->ring, dropped, CHUNK) > 0) {}
    atomic_store(&tape->ended, 0);
    atomic_store(&tape->active, 0);
    for (int i = 0; i < RT_TAPE_COUNTS; i++) atomic_store(&tape->counts[i], 0);
    tape->waiting = false;
}

int64_t rt_tape_write(rt_tape *tape, const float *samples, int64_t count)
{
    return (int64_t)rt_ring_write(&tape->ring, samples, (uint64_t)count);
}

void rt_tape_end(rt_tape *tape)
{
    atomic_store_explicit(&tape->ended, 1, memory_order_release);
}

int32_t rt_tape_over(const rt_tape *tape)
{
    if (!atomic_load_explicit(&tape->ended, memory_order_acquire)) return 0;
    const uint64_t read = atomic_load_explicit(&tape->ring.read, memory_order_acquire);
    return read == atomic_load_explicit(&tape->ring.written, memory_order_acquire);
}

void rt_tape_counts(const rt_tape *tape, int64_t *counts)
{
    for (int i = 0; i < RT_TAPE_COUNTS; i++)
        counts[i] = atomic_load_explicit(&tape->counts[i], memory_order_relaxed);
}

int32_t rt_tape_active(const rt_tape *tape)
{
    return atomic_load_explicit(&tape->active, memory_order_relaxed);
}

/* [audio] The audio thread alone counts. */
RT_REALTIME static void count_up(_Atomic int64_t *counted, int64_t amount)
{
    const int64_t before = atomic_load_explicit(counted, memory_order_relaxed);
    atomic_store_explicit(counted, before + amount, memory_order_relaxed);
}

void rt_tape_loop(void *state, const rt_message *messages, int32_t count, float *left, float *right, int32_t frames)
{
    (void)messages, (void)count;
    rt_tape *tape = state;
    /* Before the ring is looked at: what was written before the end is then seen. */
    const int32_t ended = atomic_load_explicit(&tape->ended, memory_order_acquire);
    float samples[CHUNK];
    int32_t played = 0;
    while (played < frames) {
        const int32_t wanted = frames - played < CHUNK ? frames - played : CHUNK;
        const int32_t taken = (int32_t)rt_ring_read(&tape->ring, samples, (uint64_t)wanted);
        for (int32_t i = 0; i < taken; i++) {
            left[played + i] += samples[i];
            right[played + i] += samples[i];
        }
        played += taken;
        if (taken < wanted) break;
    }
    count_up(&tape->counts[RT_TAPE_PLAYED], played);
    const bool begun = atomic_load_explicit(&tape->counts[RT_TAPE_PLAYED], memory_order_relaxed) > 0;
    const bool missing = played < frames && begun && !ended;
    if (missing) count_up(&tape->counts[RT_TAPE_WAITED], frames - played);
    if (missing && (played > 0 || !tape->waiting)) count_up(&tape->counts[RT_TAPE_OUTAGES], 1);
    tape->waiting = missing;
    atomic_store_explicit(&tape->active, played > 0, memory_order_relaxed);
}

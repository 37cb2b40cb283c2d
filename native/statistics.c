#include "statistics.h"

#include <stddef.h>
#include <string.h>

static const char *const counter_names[RT_COUNTERS] = {
    [RT_BLOCKS] = "blocks",
    [RT_LATE_ENGINE] = "late_engine",
    [RT_LATE_PREEMPTED] = "late_preempted",
    [RT_LATE_HOST] = "late_host",
    [RT_LATE_WORKER] = "late_worker",
    [RT_LATE_MESSAGES] = "late_messages",
    [RT_NAN_SAMPLES] = "nan_samples",
    [RT_LIMITED_SAMPLES] = "limited_samples",
    [RT_DROPPED_RECORD_FRAMES] = "dropped_record_frames",
    [RT_RESYNCS] = "resyncs",
    [RT_INPUT_UNDERFLOWS] = "input_underflows",
    [RT_INPUT_OVERFLOWS] = "input_overflows",
    [RT_NAN_INPUT] = "nan_input",
    [RT_HOST_XRUNS] = "host_xruns",
};

const char *rt_counter_name(int32_t counter)
{
    return counter >= 0 && counter < RT_COUNTERS ? counter_names[counter] : NULL;
}

void rt_statistics_add(rt_statistics *statistics, enum rt_counter counter, int64_t amount)
{
    _Atomic int64_t *total = &statistics->counters[counter];
    atomic_store_explicit(total, atomic_load_explicit(total, memory_order_relaxed) + amount, memory_order_relaxed);
}

static void raise_to(_Atomic float *highest, float peak)
{
    if (peak > atomic_load_explicit(highest, memory_order_relaxed))
        atomic_store_explicit(highest, peak, memory_order_relaxed);
}

void rt_statistics_peak(rt_statistics *statistics, float peak)
{
    raise_to(&statistics->peak, peak);
}

void rt_statistics_heard(rt_statistics *statistics, float peak)
{
    raise_to(&statistics->heard, peak);
}

/* The ledger is a ring that is overwritten without asking. `late_begun` is raised before an entry is touched and
   `late_written` after, so that a reader knows which entries were whole while it copied them. */
void rt_statistics_late(rt_statistics *statistics, const rt_late_block *late)
{
    int64_t fields[RT_LATE_FIELDS];
    memcpy(fields, late, sizeof fields);
    const uint64_t entry = atomic_load_explicit(&statistics->late_written, memory_order_relaxed);
    atomic_store_explicit(&statistics->late_begun, entry + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    _Atomic int64_t *slot = statistics->ledger[entry % RT_LEDGER_CAPACITY];
    for (size_t i = 0; i < RT_LATE_FIELDS; i++) atomic_store_explicit(&slot[i], fields[i], memory_order_relaxed);
    atomic_store_explicit(&statistics->late_written, entry + 1, memory_order_release);
    rt_statistics_add(statistics, RT_LATE_ENGINE + (enum rt_counter)late->cause, 1);
}

int32_t rt_statistics_ledger(rt_statistics *statistics, rt_late_block *ledger)
{
    const uint64_t written = atomic_load_explicit(&statistics->late_written, memory_order_acquire);
    const uint64_t oldest = written > RT_LEDGER_CAPACITY ? written - RT_LEDGER_CAPACITY : 0;
    for (uint64_t entry = oldest; entry < written; entry++) {
        int64_t fields[RT_LATE_FIELDS];
        _Atomic int64_t *slot = statistics->ledger[entry % RT_LEDGER_CAPACITY];
        for (size_t i = 0; i < RT_LATE_FIELDS; i++) fields[i] = atomic_load_explicit(&slot[i], memory_order_relaxed);
        memcpy(&ledger[entry - oldest], fields, sizeof fields);
    }
    atomic_thread_fence(memory_order_acquire);
    const uint64_t begun = atomic_load_explicit(&statistics->late_begun, memory_order_relaxed);
    const uint64_t whole = begun > RT_LEDGER_CAPACITY ? begun - RT_LEDGER_CAPACITY : 0;
    if (whole <= oldest) return (int32_t)(written - oldest);
    if (whole >= written) return 0; /* a thousand blocks were late during one copy */
    memmove(ledger, ledger + (whole - oldest), (size_t)(written - whole) * sizeof *ledger);
    return (int32_t)(written - whole);
}

void rt_statistics_clear(rt_statistics *statistics)
{
    for (int32_t i = 0; i < RT_COUNTERS; i++)
        atomic_store_explicit(&statistics->counters[i], 0, memory_order_relaxed);
    for (int32_t i = 0; i < RT_DURATIONS; i++) rt_histogram_clear(&statistics->durations[i]);
    atomic_store_explicit(&statistics->peak, 0.0f, memory_order_relaxed);
    atomic_store_explicit(&statistics->heard, 0.0f, memory_order_relaxed);
    atomic_store_explicit(&statistics->late_begun, 0, memory_order_relaxed);
    atomic_store_explicit(&statistics->late_written, 0, memory_order_release);
}

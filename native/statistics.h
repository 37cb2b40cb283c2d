/* What the audio thread measures about itself: counters, times per block, and a ledger of the blocks that were late.

   One thread writes (the audio thread), any thread reads meanwhile: every field is atomic, relaxed, and exact. */
#ifndef RT_STATISTICS_H
#define RT_STATISTICS_H

#include "histogram.h"
#include "realtime.h"

#include <stdatomic.h>
#include <stdbool.h>

enum rt_counter {
    RT_BLOCKS,                /* host blocks */
    RT_LATE_ENGINE,           /* late blocks by cause, enum rt_cause */
    RT_LATE_PREEMPTED,
    RT_LATE_HOST,
    RT_LATE_WORKER,
    RT_LATE_MESSAGES,         /* applied after their sample had passed */
    RT_NAN_SAMPLES,           /* not-finite samples replaced by zero, both channels */
    RT_LIMITED_SAMPLES,       /* frames the limiter turned down */
    RT_DROPPED_RECORD_FRAMES, /* not recorded because the record ring was full */
    RT_RESYNCS,               /* times the null driver gave up catching up */
    RT_INPUT_UNDERFLOWS,      /* blocks before which the host had too little input, and made up for it */
    RT_INPUT_OVERFLOWS,       /* blocks before which it threw input away */
    RT_NAN_INPUT,             /* not-finite samples that came in, heard as zero */
    RT_HOST_XRUNS,            /* times the host says that its deadline was missed, by whomever */
    RT_COUNTERS,
};

/* Why a block was not ready in time. */
enum rt_cause {
    RT_ENGINE,    /* it computed for longer than the block lasts */
    RT_PREEMPTED, /* it did not compute that long, but was off the processor for the rest */
    RT_HOST,      /* it was begun so late that the time left did not suffice, or the host reports an underflow */
    RT_WORKER,    /* a source's worker did not deliver, though it had had its time: something stood in for it */
};

typedef struct {
    int64_t time;        /* first sample of the block */
    int64_t wall_ns;
    int64_t cpu_ns;
    int64_t lateness_ns; /* of its start */
    int64_t cause;       /* enum rt_cause */
} rt_late_block;

enum rt_duration { RT_WALL, RT_CPU, RT_LATENESS, RT_INTERVAL, RT_DURATIONS };

#define RT_LEDGER_CAPACITY 1024
#define RT_LATE_FIELDS (sizeof(rt_late_block) / sizeof(int64_t))

typedef struct {
    _Atomic int64_t counters[RT_COUNTERS];
    rt_histogram durations[RT_DURATIONS];
    _Atomic float peak;               /* largest |x| before the limiter, linear */
    _Atomic float heard;              /* largest |x| that came in */
    _Atomic uint64_t late_begun;      /* ledger entries being or having been written */
    _Atomic uint64_t late_written;    /* ledger entries complete */
    _Atomic int64_t ledger[RT_LEDGER_CAPACITY][RT_LATE_FIELDS];
} rt_statistics;

/* The field's name as Python knows it; NULL beyond the last. */
RT_API const char *rt_counter_name(int32_t counter);

/* [audio] */
RT_REALTIME void rt_statistics_add(rt_statistics *statistics, enum rt_counter counter, int64_t amount);
RT_REALTIME void rt_statistics_peak(rt_statistics *statistics, float peak);
RT_REALTIME void rt_statistics_heard(rt_statistics *statistics, float peak);
RT_REALTIME void rt_statistics_late(rt_statistics *statistics, const rt_late_block *late);

/* [any thread] Copy the latest entries, oldest first, to ledger (RT_LEDGER_CAPACITY,); returns how many. */
int32_t rt_statistics_ledger(rt_statistics *statistics, rt_late_block *ledger);

/* [any thread, while nobody measures] */
void rt_statistics_clear(rt_statistics *statistics);

#endif

/* The audio thread's own room: everything it touches is in rt_process, and is reached from outside only through its
   rings, atomics and requests (the habit of jalv's process.h). Its functions are marked [audio]. */
#ifndef RT_PROCESS_H
#define RT_PROCESS_H

#include "clock.h"
#include "gain.h"
#include "journal.h"
#include "limiter.h"
#include "message.h"
#include "pending.h"
#include "realtime.h"
#include "ring.h"
#include "statistics.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define RT_MAX_SOURCES 64
#define RT_BATCH 256 /* messages handed to a loop in one call; more of one sample come in several calls */

typedef struct {
    rt_loop loop;                 /* NULL for a source that hears */
    rt_hearing_loop hearing_loop; /* NULL for one that does not */
    void *state;
    rt_liaison *liaison;  /* NULL for one that depends on no worker */
    int64_t late_seen;    /* of the liaison's counts, what is in the statistics */
    int64_t hurried_seen;
    bool broken;    /* its latest samples were not all finite */
    bool reset_due; /* and it has not been sent RT_RESET for that yet */
} rt_source;

#define RT_ALL_CHANNELS (-1)

/* Where a host block comes from; all zero: silence. */
typedef struct {
    const float *samples; /* (frames, channels), or NULL */
    int32_t channels;
    int32_t channel;      /* the one that is heard; RT_ALL_CHANNELS: their mean */
} rt_input;

/* Where a host block goes. */
typedef struct {
    float *left;      /* NULL: nowhere */
    float *right;     /* NULL: `left` takes the mean of both */
    ptrdiff_t stride; /* from one sample of a channel to its next */
} rt_output;

/* How the host began a block. */
typedef struct {
    int64_t now_ns;
    int64_t lateness_ns; /* behind the host's schedule, or behind the end of the block before, whichever was later */
    bool paced;          /* it has a deadline: one block after it could begin */
    bool underflow;      /* the host reports that it ran out of samples before ... */
    bool input_underflow; /* ... that it had too few to hand over, and made up for them */
    bool input_overflow;  /* ... that it threw some away */
    int64_t xruns;        /* ... how often a deadline was missed since the block before, by whomever */
} rt_start;

typedef struct {
    /* Set before the first block */
    double sample_rate;
    int32_t max_block;    /* a source never gets more samples in one call */
    int32_t source_count;
    rt_source sources[RT_MAX_SOURCES];
    bool hears;            /* some source does */
    const float *recorded; /* (recorded_count,) heard in the host's place from sample 0 on; NULL: the host is */
    int64_t recorded_count;
    bool replays;          /* resets of sources that broke come as messages, from a journal: the guard sends none */

    /* Carried from block to block */
    int64_t time;         /* next sample */
    rt_pending pending;
    rt_gain gain;
    rt_limiter limiter;
    int64_t started_ns;   /* start and end of the latest host block; 0 before any */
    int64_t finished_ns;
    bool blamed;          /* the latest host block is in the ledger by our own clock */
    int64_t excused_until; /* up to this sample blocks may come in a hurry, to make up for one in the ledger */

    /* Scratch */
    rt_message due[RT_BATCH];
    rt_message routed[RT_BATCH + 1];
    float *own_left, *own_right; /* (max_block,), one source */
    float *mix_left, *mix_right; /* (max_block,) */
    float *pairs;                /* (max_block, 2), for the record ring */
    float *heard;                /* (max_block,) */

    /* Shared: rings, requests to the audio thread, and what it publishes */
    rt_ring messages;            /* of rt_message */
    rt_ring recording;           /* of float[2] */
    rt_journal journal;
    _Atomic bool record;
    _Atomic int64_t fade_request; /* 4 * frames + 2 * from silence + target, or -1 for none */
    _Atomic int64_t next_time;   /* the first sample no block has claimed yet */
    _Atomic int32_t latest_block; /* frames */
    _Atomic float meter[2];      /* peak since last read, left and right, after the limiter */
    _Atomic float heard_meter;   /* the same of what comes in */
    rt_clock clock;
    rt_statistics sides[2];      /* one counts, the other is clear or being cleared */
    _Atomic int32_t side_wanted;
    _Atomic int32_t side_used;   /* by the latest block */
    rt_statistics *statistics;   /* the side of this block */
} rt_process;

/* [audio] Compute `frames` >= 0 samples. With frames = 0, only the messages due now are delivered. */
RT_REALTIME void rt_process_run(rt_process *process, rt_input input, rt_output output, int32_t frames,
                                 const rt_start *start);

#endif

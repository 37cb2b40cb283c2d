/* The link between the audio thread and an inference process: two rings of samples and what the process measures of
   itself, in one piece of shared memory that outlives the process.

   Everything goes by absolute position: samples at the device's rate since the link was made. Output position p answers
   input position p, so a delay is one integer. A sample's slot is its position modulo the capacity, a power of two.

     in ring    the audio thread writes and never looks at the reader: old samples are overwritten, and a reader looks
                again after it has copied, whether that happened to what it copied (a seqlock).
     out ring   position p is there if out_start <= p < out_written and p >= out_written - capacity. The worker may
                leave positions out; out_start then moves to where it goes on, so that what lies in between is not read.

   No process ever waits for the other but where it says so (rt_link_wait, rt_link_await), asleep on a futex. */
#ifndef RT_LINK_H
#define RT_LINK_H

#include "bell.h"
#include "histogram.h"
#include "realtime.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define RT_LINK_STAMPS 1024    /* the latest blocks whose time of arrival is known */
#define RT_LINK_MOST_CHANNELS 2
#define RT_LINK_SILENCE 1e-6f  /* of full scale; not above what a worker takes for silence */

/* What the process does with its time. */
enum rt_effort {
    RT_COMPUTE_WALL, /* one frame through the model */
    RT_COMPUTE_CPU,
    RT_TURNAROUND,   /* from a frame's last input sample in the ring to its output in the ring */
    RT_EFFORTS,
};

enum rt_link_counter {
    RT_FRAMES,         /* computed */
    RT_SKIPPED_FRAMES, /* left out to catch up */
    RT_IDLE_FRAMES,    /* not computed because nothing would have changed */
    RT_NAN_OUTPUT,     /* not-finite samples of the model, replaced by zero */
    RT_LINK_COUNTERS,
};

typedef struct {
    /* Set by rt_link_create */
    uint64_t magic;
    int64_t bytes;    /* of all */
    int64_t capacity; /* of either ring, in samples */
    int32_t channels; /* of the out ring */
    int32_t layout;   /* sizeof(rt_link) of who made it */

    _Alignas(64) _Atomic int64_t in_begun;   /* [audio writes] input positions below are being or have been written */
    _Atomic int64_t in_written;              /* ... have been */
    _Atomic int64_t needed;                  /* the next output position to be played */
    _Atomic int64_t reset_at;                /* what was heard before is to be forgotten; 0: nothing */
    _Atomic int64_t loud;                    /* end of the latest block that was more than silence */
    _Atomic int64_t wakes;                   /* system calls made to wake the worker */
    _Atomic uint64_t stamped;                /* entries of stamps ever written */
    _Alignas(64) _Atomic int64_t out_start;  /* [worker writes] output positions below are not there */
    _Atomic int64_t out_written;             /* ... from here on not yet */
    _Atomic int64_t rest_at;                 /* input before it is answered, and what follows, as long as nothing more
                                                than silence does, is answered by silence: the worker need not be woken
                                                for it; 0: it does not rest */
    _Atomic int64_t counters[RT_LINK_COUNTERS];
    _Alignas(64) rt_bell worker;             /* sleeps until input is there */
    _Alignas(64) rt_bell host;               /* sleeps until output is there; offline only */
    _Alignas(64) _Atomic int32_t closing;    /* [main writes] the worker is to end */
    _Atomic int64_t stamps[RT_LINK_STAMPS][2]; /* (end position, monotonic ns) of the latest blocks heard */
    rt_histogram efforts[RT_EFFORTS];
    _Alignas(64) _Atomic float samples[];    /* in (capacity,), then out (capacity, channels) */
} rt_link;

/* ---- life ---- */

/* [main] Size the empty file `fd` and map it; capacity a power of two. NULL, errno set, when it cannot be. */
RT_API rt_link *rt_link_create(int32_t fd, int64_t capacity, int32_t channels);
/* [worker] Map what another process has created. NULL, errno set (EPROTO: of another layout), when it cannot be. */
RT_API rt_link *rt_link_attach(int32_t fd);
/* [main, worker; nothing running on it] Unmap. */
RT_API void rt_link_detach(rt_link *link);
/* [main] Ask the worker to end, and wake it; or, with none running, let the next one begin. */
RT_API void rt_link_close(rt_link *link, int32_t closing);
/* Sizes that the Python side must agree on. */
RT_API int64_t rt_link_size(void);

/* ---- the audio thread ---- */

/* [audio] Write in (frames,) where the input goes on, and wake the worker if it sleeps and this is what it waits for:
   one FUTEX_WAKE at most, and no other system call but the clock. Where it rests, silence does not wake it. */
RT_REALTIME RT_API void rt_link_hear(rt_link *link, const float *in, int32_t frames);
/* [offline] The same, but silence wakes it too. */
RT_REALTIME RT_API void rt_link_hear_awake(rt_link *link, const float *in, int32_t frames);
/* [audio] Whether the worker rests, and all that was heard since is silence: what it owes is silence. */
RT_REALTIME RT_API bool rt_link_rests(const rt_link *link);
/* [audio] Copy output from `position` on to left and right (frames,), the same where there is one channel; returns how
   many of them are there. Positions must not be negative. */
RT_REALTIME RT_API int32_t rt_link_answer(const rt_link *link, int64_t position, float *left, float *right,
                                          int32_t frames);
/* [audio] Say which output position is played next. */
RT_REALTIME RT_API void rt_link_need(rt_link *link, int64_t position);
/* [audio] What is heard before `position`, not less than what is there, is to be forgotten. */
RT_REALTIME RT_API void rt_link_reset(rt_link *link, int64_t position);
/* [offline] Sleep until output up to `position` (exclusive) is there, at most `patience_ns`; whether it is. */
RT_API bool rt_link_await(rt_link *link, int64_t position, int64_t patience_ns);

/* ---- the worker, one thread ---- */

/* [worker] Sleep until input up to `position` (exclusive) is there, at most `timeout_ns`, or until a signal or closing;
   whether it is. */
RT_API int32_t rt_link_wait(rt_link *link, int64_t position, int64_t timeout_ns);
/* [worker] Copy input from `position` >= 0 on to out (most,); returns how many samples were there, or -1 when some of
   them have been overwritten. */
RT_API int64_t rt_link_read(const rt_link *link, int64_t position, float *out, int64_t most);
/* [worker] Write out (frames, channels) at `position` >= out_written. -1, nothing written, when it is less, or so far
   ahead of the input that it would overwrite what is still to be played. */
RT_API int32_t rt_link_write(rt_link *link, int64_t position, const float *samples, int64_t frames);
/* [any thread] When input up to `position` (exclusive) was there, in monotonic ns; 0 when that is not known any more,
   INT64_MAX when it is not there. */
RT_REALTIME RT_API int64_t rt_link_heard_ns(const rt_link *link, int64_t position);
/* [worker] Count a frame and its times. */
RT_API void rt_link_count_frame(rt_link *link, int64_t wall_ns, int64_t cpu_ns, int64_t turnaround_ns);
/* [worker] `counter` is an enum rt_link_counter. */
RT_API void rt_link_count(rt_link *link, int32_t counter, int64_t amount);

/* ---- any thread ---- */

/* counters (RT_LINK_COUNTERS,). */
RT_API void rt_link_counters(rt_link *link, int64_t *counters);
/* See rt_histogram_read; `effort` is an enum rt_effort. */
RT_API int64_t rt_link_effort(rt_link *link, int32_t effort, uint64_t *buckets);
#define RT_LINK_POSITIONS 5
/* positions (RT_LINK_POSITIONS,): in_written, out_start, out_written, needed, reset_at. */
RT_API void rt_link_positions(const rt_link *link, int64_t *positions);
RT_API int64_t rt_link_wakes(const rt_link *link);
/* 1 while the worker sleeps in rt_link_wait, or is about to. */
RT_API int32_t rt_link_asleep(const rt_link *link);
RT_API int64_t rt_link_capacity(const rt_link *link);
RT_API int32_t rt_link_channels(const rt_link *link);
RT_API int32_t rt_link_closing(const rt_link *link);

#endif

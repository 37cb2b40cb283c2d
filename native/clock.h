/* Time: reading the clocks, and the map from monotonic nanoseconds to samples.

   The map is a delay-locked loop over the starts of the host's blocks (F. Adriaensen, "Using a DLL to filter time",
   LAC 2005): a second-order loop that averages the scheduler's jitter out of them and learns the device's true rate.
   Its bandwidth narrows as it has more to average, so that the map is usable from the second block on. */
#ifndef RT_CLOCK_H
#define RT_CLOCK_H

#include "realtime.h"

#include <stdatomic.h>
#include <stdbool.h>

/* The virtual-clock test build brings its own two clocks. */
#ifdef RT_TEST_CLOCK
int64_t rt_now_ns(void);
int64_t rt_cpu_ns(void);
#else
#include <time.h>
/* CLOCK_MONOTONIC: what Python's time.monotonic_ns reads. */
static inline int64_t rt_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}
/* Time this thread has computed. */
static inline int64_t rt_cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return used.tv_sec * INT64_C(1000000000) + used.tv_nsec;
}
#endif

typedef struct {
    double nominal_ns;  /* a sample's length by the nominal rate */
    double sample_ns;   /* a sample's length as learnt */
    int64_t origin_ns;  /* start of the first block; times below are relative to it, to keep their digits in a double */
    double block_ns;    /* filtered start of the latest block */
    int64_t position;   /* its first sample */
    int32_t frames;     /* its length */
    int32_t strays;     /* samples, in blocks running, for which starts have been far off */
    bool locked;
} rt_dll;

void rt_dll_init(rt_dll *dll, double sample_rate);

/* [audio] A block of `frames` samples, the first of them `position`, began at `now_ns`. */
RT_REALTIME void rt_dll_update(rt_dll *dll, int64_t position, int64_t now_ns, int32_t frames);

/* The sample that `ns` falls on, unrounded. */
RT_REALTIME double rt_dll_sample_at(const rt_dll *dll, int64_t ns);

/* The map as other threads see it: a seqlock, so that they never make the audio thread wait. */
typedef struct {
    rt_dll dll; /* [audio] */
    _Atomic uint32_t sequence; /* odd while the fields below are being changed */
    _Atomic bool locked;
    _Atomic int64_t anchor_ns;
    _Atomic int64_t position;
    _Atomic double sample_ns;
    _Atomic int32_t frames;
} rt_clock;

void rt_clock_init(rt_clock *clock, double sample_rate);

/* [audio, or main while no stream runs] Forget the host's blocks: a stream begins or has ended. */
RT_REALTIME void rt_clock_restart(rt_clock *clock);

/* [audio] As rt_dll_update, and publish. */
RT_REALTIME void rt_clock_update(rt_clock *clock, int64_t position, int64_t now_ns, int32_t frames);

/* [any thread] Sets *sample to the one `ns` falls on, *frames to the latest block's length; false before any block. */
bool rt_clock_read(rt_clock *clock, int64_t ns, int64_t *sample, int32_t *frames);

#endif

/* A strike: a group of damped modes and a burst of noise, from one sample on until it is below -120 dB of full scale.

   Modes are ringing rows in the bank's own loop (rtsynth/sampler/segments.py, `ringing_mono`), each at the phase of its
   place among the eight; the burst is a band of noise (native/bands.h) under a straight attack times an exponential
   decay; a damper multiplies both by another, from the nearest end of a segment on. All go in segments of RT_SEGMENT
   samples counted from the strike's own start. */
#ifndef RT_STRIKE_H
#define RT_STRIKE_H

#include <stdbool.h>

#include "bands.h"
#include "event.h"
#include "realtime.h"

typedef struct {
    void (*ringing)(const void *powers, const void *half, void *x, void *middle, const void *gains, void *y,
                    int64_t rows, int64_t count);
    double sample_rate; /* hertz */
    double highest;     /* hertz from which modes and bursts are left out */
} rt_strike_tables;

/* How it differs from what the event says. */
typedef struct {
    double ratio;   /* of the modes' frequencies */
    double gain;    /* linear */
    int64_t serial; /* what the burst's noise is keyed by */
    int32_t delay;  /* samples until it starts */
    int32_t key;    /* that struck it; -1: none */
} rt_strike_call;

typedef struct {
    rt_bands *bands;      /* of one row; the caller's. What follows is zero while nothing sounds */
    int64_t age;          /* segments drawn */
    int64_t modes_end;    /* segments after which the modes ... */
    int64_t burst_end;    /* ... and the burst are below -120 dB */
    double level;         /* of all, at the end of the last segment ... */
    double fall;          /* ... and what it is multiplied by in each */
    double damper;        /* nepers a sample that it falls by besides, from ... */
    int64_t damped_from;  /* ... so many segments after the start on */
    double burst;         /* rms at the start, without attack */
    double attack;        /* samples */
    double damping;       /* of the burst, nepers a sample */
    int32_t key;
    int32_t position;     /* samples of the segment played; RT_SEGMENT: none left */
    int32_t delay;        /* samples until it starts */
    int32_t sounding;
    float powers[RT_MODES][2][RT_SEGMENT / 2];
    float half[2][RT_MODES];
    float x[2][RT_MODES];
    float gains[RT_MODES];
    float segment[RT_SEGMENT];
} rt_strike;

/* [audio] Start an event's group; what the slot was playing is gone. */
RT_REALTIME void rt_strike_start(rt_strike *strike, const rt_strike_tables *tables, const rt_event *event,
                                 const rt_strike_call *call);
/* [audio] Add its next `count` samples to y, times a straight line of gains from `gain` on with `slope` a sample. */
RT_REALTIME void rt_strike_add(rt_strike *strike, const rt_strike_tables *tables, float *y, int32_t count, float gain,
                               float slope);
/* [any] Segments until it ends by itself. */
static inline int64_t rt_strike_left(const rt_strike *strike)
{
    const int64_t end = strike->modes_end > strike->burst_end ? strike->modes_end : strike->burst_end;
    return strike->sounding ? end - strike->age : 0;
}

#endif

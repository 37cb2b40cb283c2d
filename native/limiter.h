/* [audio] A stereo-linked limiter that only acts above full scale: below it, not a bit is changed.

   Attack is instantaneous (the sample that is too loud is the first one turned down, so no latency is needed);
   the gain returns to one exponentially. Advances sample by sample, so no block size shows in it. */
#ifndef RT_LIMITER_H
#define RT_LIMITER_H

#include "realtime.h"

typedef struct {
    double gain;        /* linear, 0..1 */
    double coefficient; /* of the release, per sample */
    float peak;         /* largest |x| that came in, linear; whoever reads it sets it back to zero */
    int64_t limited;    /* frames turned down, likewise */
} rt_limiter;

#define RT_LIMITER_RELEASE_SECONDS 0.100

void rt_limiter_init(rt_limiter *limiter, double sample_rate);

/* Limit left and right (frames,) in place: afterwards every |x| <= 1. */
RT_REALTIME void rt_limiter_apply(rt_limiter *limiter, float *left, float *right, int32_t frames);

#endif

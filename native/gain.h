/* [audio] The master fader: a smoothed gain times a fade. Advances sample by sample, so no block size shows in it. */
#ifndef RT_GAIN_H
#define RT_GAIN_H

#include "realtime.h"

typedef struct {
    double value;       /* linear, this sample */
    double target;
    double coefficient; /* of the one-pole, per sample */
    double fade;        /* 0..1, this sample */
    double fade_target;
    double fade_step;   /* per sample, signed */
} rt_gain;

#define RT_GAIN_SECONDS 0.010 /* time constant: no zipper noise, still prompt under a fader */

void rt_gain_init(rt_gain *gain, double sample_rate);

/* Glide to `target` from the next sample on. */
RT_REALTIME void rt_gain_set(rt_gain *gain, double target);

/* Be at `target` at once: right only while nothing has sounded yet. */
RT_REALTIME void rt_gain_jump(rt_gain *gain, double target);

/* Move the fade in a straight line to `target` (0 or 1) within `frames` samples. */
RT_REALTIME void rt_gain_fade(rt_gain *gain, double target, int64_t frames);

/* Scale left and right (frames,) in place. */
RT_REALTIME void rt_gain_apply(rt_gain *gain, float *left, float *right, int32_t frames);

#endif

/* Bands of noise that glide: the synthesis side of speech, recorded and live. A driver of compiled loops: the noise and the
   start are the bank's (rtsynth/sampler/bank.py), the ladders are rtsynth/sampler/glide.py, which says what a band is.

   One call draws one segment of RT_SEGMENT samples. Order of calls: rt_bands_start; then for each segment, where something
   moved, rt_bands_turn; rt_bands_draw; rt_bands_segment. Between the last two the caller may overwrite `noise` with what
   else is to drive the bands: the law is stationary for any noise of variance 1. */
#ifndef RT_BANDS_H
#define RT_BANDS_H

#include <stdint.h>

#include "realtime.h"
#include "voices.h"

/* [audio] Every `void` is float, or double where wide. See the loops' docstrings for the shapes. */
typedef struct {
    void (*start)(int64_t seed, int64_t serial, int64_t count, uint32_t *low, uint32_t *high, void *normals);
    void (*draw)(const uint32_t *low, const uint32_t *high, int64_t first, int64_t samples, int64_t count, void *noise);
    void (*turn)(const void *cycles, const void *damping, void *motion, void *weights, int64_t rows, int64_t order);
    void (*aim)(const void *goal, const void *weights, void *gains, int64_t rows, int64_t order);
    void (*ladder)(const void *motion, void *noise, void *x, void *gains, void *y, int64_t rows, int64_t order);
} rt_bands_loops;

/* Everything the bands work on; the arrays are the caller's (rtsynth/speech/bands.py allocates them), 64-byte aligned.
   R = rows, P = order, S = RT_SEGMENT; rows lie in G = R / L groups of L = RT_LANES: row k is lane k % L of group k / L. */
#define RT_LANES 16 /* as LANES in rtsynth/sampler/glide.py */

typedef struct {
    rt_bands_loops loops;
    int64_t seed;
    int64_t segments; /* drawn since the start: the noise's counter */
    int32_t rows;     /* a multiple of 16; rows whose gain stays 0 are silent */
    int32_t order;    /* sections a row, 1..4 */
    int32_t wide;     /* 1: double, to prove the law */
    int32_t reserved;
    /* parameters */
    void *motion;     /* (G, 6, L) written by rt_bands_turn */
    void *weights;    /* (G, P, L) written by rt_bands_turn */
    /* state */
    uint32_t *keys;   /* (2, P R) of the noise: the first R of each half; the others have drawn the start */
    void *x;          /* (G, P, 2, L) re, im */
    void *gains;      /* (G, P, 2, L) at the end of the last segment; their slopes a sample */
    /* scratch */
    void *noise;      /* (G, S, 2, L) re, im */
    void *normals;    /* (2, P R) */
} rt_bands;

/* [audio] Draw a stationary start for take number `serial` of the seed; gains are 0. */
RT_REALTIME RT_API void rt_bands_start(rt_bands *bands, int64_t serial);
/* [audio] Where the bands are from the next segment on: cycles (R,) and nepers (R,) a sample, nepers > 0. */
RT_REALTIME RT_API void rt_bands_turn(rt_bands *bands, const void *cycles, const void *damping);
/* [audio] Fill `noise` with the next segment's standard normals. */
RT_REALTIME RT_API void rt_bands_draw(rt_bands *bands);
/* [audio] Add a segment to y (S,): rms gains go in straight lines to goal (R,); `noise` is used up. */
RT_REALTIME RT_API void rt_bands_segment(rt_bands *bands, const void *goal, void *y);
/* sizeof(rt_bands), RT_SEGMENT, RT_LANES: what Python must agree on. */
RT_API void rt_bands_layout(int64_t *numbers);

#endif

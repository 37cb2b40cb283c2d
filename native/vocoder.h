/* The live GP vocoder: hears, and draws bands of noise that are as strong as what it hears, one latency later.

   Each band is a gammatone demodulator (a chain of damped complex rotations), the square of its output smoothed by two
   one-poles, and a row of native/bands.h whose gain follows the root of that in straight lines over RT_SEGMENT samples.
   Faster bands wait for the slowest, so that all of them answer `latency` samples after what they answer to.

   Of the power, the share `variance` is drawn anew; the rest is kept from what was heard. In the process whose rows have
   these gains, the heard sound, `latency` ago, is the sum of the rows' means given it: rows driven by sqrt(variance)
   times fresh noise and sqrt(1 - variance) times the noise that it implies add up to the same shares of a free draw and
   of the heard sound itself, so that is what is computed. Given the gains, the law is the same at every setting.

   All works in whole segments on the source's own grid: blocks only write and read them, and change nothing. */
#ifndef RT_VOCODER_H
#define RT_VOCODER_H

#include <stdatomic.h>

#include "bands.h"
#include "message.h"

#define RT_VOCODER_VARIANCE 1 /* the controller that sets it: 0..127 is 0..1 */

/* What is set before it plays; arrays are the caller's (rtsynth/speech/live.py allocates them). R = rows of the bands. */
typedef struct {
    const float *rotation; /* (2, R) re and im of a section's pole */
    const float *entry;    /* (R,) what a section takes of its input: 1 - |pole| */
    const float *weight;   /* (R,) power of the row for a smoothed power of 1; 0 in the padding */
    const int32_t *lag;    /* (R,) whole segments that a power waits ... */
    const float *older;    /* (R,) ... and the share of the one before, for the part of a segment */
    double offset;         /* share of the distance that a one-pole covers in a sample: what follows a constant offset, */
    double attack;         /* ... the first that smooths powers ... */
    double decay;          /* ... and the second */
    double floor;          /* power of a row taken off before the root: silence is silent */
    double glide;          /* share of the distance that the turn covers in a segment */
    double variance;       /* where it starts, 0..1 */
    int32_t sections;      /* of a demodulator */
    int32_t history;       /* segments of powers kept: more than the longest lag, a power of two */
    int32_t latency;       /* samples, >= RT_SEGMENT */
    int32_t echo;          /* samples of input kept: >= latency + RT_SEGMENT, a power of two */
} rt_vocoder_parameters;

typedef struct {
    float *x;              /* (sections, 2, R) of the demodulators */
    float *smooth;         /* (2, R) after each one-pole */
    float *past;           /* (history, R) powers at the ends of segments */
    float *goal;           /* (R,) gains at the end of the segment being played; read by tests */
    float *input;          /* (echo,) */
    double offset;         /* the input's, which the demodulators do not hear */
    int64_t time;          /* samples analysed */
    double wanted;         /* turn: the variance is its sine squared, so that what is drawn and kept add up on its way */
    double turn;           /* now */
    double kept;           /* gain of the input now */
    int64_t heard_time;    /* end of the latest segment in which anything was heard; -1: none */
    int32_t position;      /* in the segment being heard and played */
    _Atomic int32_t active; /* anything sounds */
} rt_vocoder_state;

typedef struct {
    float heard[RT_SEGMENT];
    float played[RT_SEGMENT];
} rt_vocoder_buffers;

typedef struct {
    rt_bands *bands;
    rt_vocoder_parameters parameters;
    rt_vocoder_state state;
    rt_vocoder_buffers buffers;
} rt_vocoder;

/* [audio] An rt_hearing_loop; `state` is an rt_vocoder. */
RT_REALTIME RT_API void rt_vocoder_loop(void *state, const rt_message *messages, int32_t count, const float *in,
                                        float *left, float *right, int32_t frames);
/* [audio, or main while nothing runs] Silence, the variance where it started, the noise from its beginning. */
RT_REALTIME RT_API void rt_vocoder_reset(rt_vocoder *vocoder);
/* sizeof(rt_vocoder): what Python must agree on. */
RT_API int64_t rt_vocoder_size(void);

#endif

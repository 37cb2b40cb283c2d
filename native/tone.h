/* A retargeted voice: harmonics of one gliding pitch, and how loud it wants each band of the decoder's noise.

   Its state moves in straight lines between events (rtsynth/codec/event.py, `trajectory`) and is looked up, in closed
   form, at the ends of segments of RT_SEGMENT samples. Between them amplitudes are straight lines, and the pitch is the
   geometric mean of both ends. Harmonics are undamped rows, filled by the bank's own loop (rtsynth/sampler/segments.py,
   `ringing`); their states come from one phase in double precision, so that they neither drift nor part. */
#ifndef RT_TONE_H
#define RT_TONE_H

#include <stdbool.h>

#include "event.h"
#include "realtime.h"
#include "voices.h"

#define RT_HARMONICS 128 /* as HARMONICS in rtsynth/codec/rows.py */

/* What all tones share; the arrays are the caller's. */
typedef struct {
    void (*ringing)(const void *powers, const void *half, void *x, void *middle, const void *gains, void *y,
                    int64_t moving, int64_t rows, int64_t count);
    double sample_rate;        /* hertz */
    double reference_rate;     /* hertz at which an envelope of 1 is white noise of variance 1 */
    double top;                /* hertz where harmonics are half faded ... */
    double fade;               /* ... and the hertz of that slope */
    double first_mel;          /* of the knots ... */
    double mel_spacing;        /* ... which are as far apart as this */
    const double *knots;       /* (RT_KNOTS,) hertz */
    const double *share_knots; /* (RT_SHARE_KNOTS,) hertz */
    const double *phases;      /* (RT_HARMONICS,) cycles */
    const double *bands;       /* (RT_KNOTS,) rms of a band of noise for an envelope of 1; 0 above Nyquist */
} rt_tone_tables;

/* How what is played differs from what the state says. */
typedef struct {
    double transpose; /* ln of the ratio of pitches */
    double formant;   /* ln of the ratio by which envelope and shares are shifted up */
    double noise;     /* added to the logits */
    double level;     /* gain */
} rt_tone_knobs;

typedef struct {
    double from[RT_DIMENSIONS];
    double to[RT_DIMENSIONS];
    double start;               /* control steps, when the movement began ... */
    double ramp;                /* ... and how long it takes */
    double cycles;              /* phase of the fundamental, 0..1 */
    double ln_f0;               /* played at the end of the last segment */
    int32_t alive;              /* 1 from the first event on */
    int32_t fresh;              /* 1 until the first segment has been played */
    int32_t rows;               /* harmonics that sounded at the end of the last segment; gains beyond are 0 */
    int32_t reserved;
    float gains[RT_HARMONICS];  /* there */
} rt_tone;

typedef struct {
    float powers[RT_HARMONICS][2][RT_SEGMENT / 2];
    float half[2][RT_HARMONICS];
    float x[2][RT_HARMONICS];
    float middle[4][RT_HARMONICS];
    float gains[4][RT_HARMONICS];
} rt_tone_scratch;

/* [audio] Move to an event's target from `time` (control steps) on. */
RT_REALTIME void rt_tone_retarget(rt_tone *tone, const rt_event *event, double time);
/* [audio] Where it is at `time`: state (RT_DIMENSIONS,). */
RT_REALTIME void rt_tone_state(const rt_tone *tone, double time, double *state);
/* [audio] Lower the gain of state (RT_DIMENSIONS,) so far that nothing is heard of it. */
RT_REALTIME void rt_tone_silence(double *state);
/* [audio] ln amplitude of the loudest knot that an event moves to; and the same event, but so that nothing is heard. */
RT_REALTIME double rt_tone_level(const rt_event *event);
RT_REALTIME void rt_tone_hush(rt_event *event);
/* [audio] Add the harmonics of segment number `segment`, at whose end it is in `state`, to y (2, RT_SEGMENT), of which
   the second half is scratch; add the squares of what it wants of the bands there to power (RT_KNOTS,). */
RT_REALTIME void rt_tone_segment(rt_tone *tone, const rt_tone_tables *tables, rt_tone_scratch *scratch,
                                 const double *state, const rt_tone_knobs *knobs, int64_t segment, float *y,
                                 double *power);
/* [audio] Whether anything of it was to be heard at the end of the last segment. */
static inline bool rt_tone_sounds(const rt_tone *tone)
{
    return tone->rows > 0;
}

#endif

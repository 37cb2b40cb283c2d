/* A fitted utterance as a source: frames of power and frequency in straight lines over native/bands.h, and beside them
   as much of the recording as is to be kept. A note-on says it from its beginning, controller 1 sets the variance. */
#ifndef RT_UTTERANCE_H
#define RT_UTTERANCE_H

#include <stdatomic.h>
#include <stdint.h>

#include "bands.h"
#include "message.h"
#include "realtime.h"

/* Everything is the caller's (rtsynth/speech/utterance.py); the bands are float. R = bands->rows, F = frames. */
typedef struct {
    rt_bands *bands;
    const float *power;   /* (F, R) at each frame: the squared rms gain */
    const float *cycles;  /* (F, R) frequency a sample there */
    const float *damping; /* (R,) nepers a sample */
    const float *kept;    /* (samples,) the recording's part; NULL: there is none */
    double hop;           /* samples between frames; frame 0 is at sample 0 */
    double variance;      /* share of the power that is drawn: 1 a free draw, 0 the recording */
    int64_t samples;
    int32_t frames;       /* >= 2 */
    /* state; zero before the first block */
    int32_t speaking;
    int64_t serial;       /* note-ons so far: what the noise is keyed by */
    int64_t segment;      /* drawn since the note-on */
    double level;         /* of the note-on's velocity */
    double level_now;     /* at the end of the last segment */
    double variance_now;
    double variance_goal;
    int32_t position;     /* samples of the segment played; RT_SEGMENT: none left */
    int32_t tail_at;
    atomic_int active;    /* 1 while something sounds; read from any thread */
    int32_t reserved;
    float *goal;          /* (R,) scratch */
    float *turned;        /* (R,) scratch */
    float sound[RT_SEGMENT];
    float tail[RT_SEGMENT]; /* what a note-on cut off, fading */
} rt_utterance;

/* [main, not while running] Silence; the next note-on is number 0. */
RT_API void rt_utterance_reset(rt_utterance *utterance);
/* [audio] An rt_loop; `state` is the rt_utterance. */
RT_REALTIME RT_API void rt_utterance_loop(void *state, const rt_message *messages, int32_t count,
                                          float *left, float *right, int32_t frames);
/* sizeof(rt_utterance): what Python must agree on. */
RT_API int64_t rt_utterance_size(void);

#endif

/* The codec's decoder as a source: events in, sound out, with no delay of its own.

   Time runs in segments of RT_SEGMENT samples from the first sample on; blocks only read from them. Retargets steer tones
   (native/tone.h), all of which share one set of noise bands, their powers added; strikes start at their own sample
   (native/strike.h). An event that comes too late happens at the start of the next segment. A key plays the latest
   sound, or one chosen before it, at its own pitch. */
#ifndef RT_DECODER_H
#define RT_DECODER_H

#include "bands.h"
#include "keyboard.h"
#include "message.h"
#include "realtime.h"
#include "schedule.h"
#include "strikes.h"
#include "tone.h"

#define RT_TONES 16 /* voices that retargets may name */

/* The controllers that turn it; bend and program change beside them. */
enum rt_decoder_controller {
    RT_TRANSPOSE = 16,   /* semitones above 64; as the next, at most 24 */
    RT_FORMANT = 17,     /* semitones above 64: envelope and shares shifted */
    RT_NOISE_SHARE = 18, /* 64: as it is; 127: nearly all noise; 0: nearly none */
    RT_CHOICE = 20,      /* keys play the sound so many before the latest; as a program change */
    RT_FREEZE = 64,      /* from 64 on: voices stand, strikes are left out */
    RT_KEEP = 66,        /* from 64 on: keys choose among what has sounded so far, nothing is added */
    RT_WET = 91,         /* level, 0..127 is 0..1 */
};

/* The arrays are the caller's (rtsynth/codec/decoder.py) and must outlive the decoder. */
typedef struct {
    rt_tone_tables tones;
    rt_strike_tables strikes;
    double control;           /* seconds a control step */
    rt_bands *bands;          /* RT_KNOTS of them, and padding */
    rt_bands *const *bursts;  /* (RT_STRIKES,) of one row each */
    const rt_event *sequence; /* (count,), ordered by time */
    int64_t count;
} rt_decoder_config;

typedef struct rt_decoder rt_decoder;

/* [main] NULL when there is no memory. */
RT_API rt_decoder *rt_decoder_create(const rt_decoder_config *config);
RT_API void rt_decoder_destroy(rt_decoder *decoder);
/* [main, not while running] Back to sample 0, silent, knobs at their defaults, pushed events forgotten. */
RT_API void rt_decoder_reset(rt_decoder *decoder);
/* [one thread beside the audio] Queue events (count,), already checked; returns how many fitted. */
RT_REALTIME RT_API int64_t rt_decoder_push(rt_decoder *decoder, const rt_event *events, int64_t count);
/* [any thread] Samples played; and voices, keys and groups that sound. */
RT_REALTIME RT_API int64_t rt_decoder_time(const rt_decoder *decoder);
RT_REALTIME RT_API int32_t rt_decoder_active(const rt_decoder *decoder);
/* [audio] An rt_loop; `state` is the rt_decoder. */
RT_REALTIME RT_API void rt_decoder_loop(void *state, const rt_message *messages, int32_t count, float *left,
                                        float *right, int32_t frames);
/* sizeof(rt_decoder_config), sizeof(rt_event), RT_HARMONICS, RT_TONES, RT_STRIKES, RT_PUSHED: what Python must agree on. */
RT_API void rt_decoder_layout(int64_t *numbers);

#endif

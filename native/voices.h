/* The voices of a polyphonic instrument: allocation, pedals, envelopes and mixing around a bank that draws samples.

   A voice lives on its own control grid, RT_SEGMENT samples counted from its start: whatever changes its gains acts
   there, in straight lines from point to point, and the bank fills one whole segment at a time. Blocks only read from
   segments, so their size cannot change a bit of the output. A note-on acts at its very sample. */
#ifndef RT_VOICES_H
#define RT_VOICES_H

#include <stdbool.h>
#include <stdint.h>

#include "channels.h"
#include "message.h"
#include "realtime.h"

#define RT_SEGMENT 32 /* samples; as SEGMENT in rtsynth/sampler/noise.py */

enum rt_voice_status { RT_FREE, RT_HELD, RT_RELEASED, RT_STOLEN, RT_ENDING };

typedef struct {
    int64_t serial;        /* notes started before this one: what its noise is keyed by */
    int64_t age;           /* segments drawn so far */
    int64_t release_order; /* note-offs before its own */
    double velocity;       /* 0..1 */
    double tuning;         /* semitones of its key above its string */
    double semitones;      /* of what is played above its string ... */
    double bend_ratio;     /* ... and as frequency over the string's own */
    double fundamental;    /* hertz, of the string */
    double damper_speed;   /* how fast its damper falls, 1 as the preset says */
    double release_gain;   /* what the damper has left, 1 while the key is held */
    double steal_gain;     /* what a steal has left */
    double soft;           /* the soft pedal at the note's start, 0..1 */
    double level;          /* of channel, soft pedal and touch, smoothed */
    double pan;            /* of the channel, -1..1, smoothed */
    double vibrato;        /* semitones to either side, smoothed */
    double brightness;     /* -1..1, smoothed */
    double colour;         /* nepers of gain an octave above the fundamental, as its rows have it */
    double variance;       /* of the channel at the note's start, 0..1; negative: every row's own */
    rt_touch touch;        /* what the channel's hand does, or did when a member of an MPE zone was let go */
    int32_t sustained;     /* 1: by its key, or by a pedal held down */
    int32_t status;        /* enum rt_voice_status */
    int32_t channel;       /* 0..15 */
    int32_t key;           /* 0..127, of the keyboard */
    int32_t string;        /* 0..127, whose rows it plays: its key, or the nearest to what that is tuned to */
    int32_t position;      /* samples of the segment played; RT_SEGMENT: none left */
} rt_voice;

/* What a bank is asked to do with a voice. */
enum rt_bank_call {
    RT_BANK_START,   /* ring the rows, at the voice's pitch; left, right, mix are the gains at the very start */
    RT_BANK_SEGMENT, /* fill the voice's segment, its gains going to left, right, mix; 0: nothing will sound after it */
    RT_BANK_TURN,    /* the voice's bend_ratio has changed, and perhaps its colour */
    RT_BANK_COLOUR,  /* its colour alone has */
};

/* [audio] `segment` of slot s is at segments + 2 s RT_SEGMENT samples: left, then right. */
typedef int32_t (*rt_bank)(void *state, int32_t call, int32_t slot, const rt_voice *voice,
                           double left, double right, double mix);

typedef struct {
    rt_bank bank;
    void *bank_state;
    const void *segments;  /* (slots, 2, RT_SEGMENT) float, or double where wide */
    const double *release; /* (RT_KEYS,) decay of strings under the damper, nepers a segment */
    const double *level;   /* (curve_points,) gain at each grid point since the start, the last one held */
    const double *mix;     /* (curve_points,) share of the second regime there */
    double attack;         /* samples to full gain */
    double sample_rate;    /* hertz */
    double a4;             /* hertz, of string 69 */
    double vibrato_hz;
    int32_t routes[RT_GESTURES]; /* enum rt_destination */
    int32_t curve_points;
    int32_t slots;         /* voices that can sound at once, those that fade included */
    int32_t polyphony;     /* voices held or released; <= slots */
    int32_t per_key;       /* of these, of one key */
    int32_t half_pedal;    /* 1: the pedal damps continuously; 0: it is a switch */
    int32_t wide;          /* 1: segments and planes are double, to prove the law */
    int32_t reserved;
} rt_voices_config;

typedef struct rt_voices rt_voices;

enum rt_voices_count { RT_NOTES, RT_ACTIVE, RT_STEALS, RT_CUTS, RT_BAD_VOICES, RT_VOICES_COUNTS };

/* [main] NULL when there is no memory. The config's arrays must outlive it. */
RT_API rt_voices *rt_voices_create(const rt_voices_config *config);
RT_API void rt_voices_destroy(rt_voices *voices);
/* [main, not while running] Silence, controllers at their defaults, no key tuned; the next note is number 0. */
RT_API void rt_voices_reset(rt_voices *voices);
/* [any thread] enum rt_voices_count -> counts (RT_VOICES_COUNTS,). */
RT_API void rt_voices_counts(const rt_voices *voices, int64_t *counts);
/* [audio] An rt_loop; `state` is the rt_voices. Where wide, left and right are double. */
RT_REALTIME RT_API void rt_voices_loop(void *state, const rt_message *messages, int32_t count,
                                       float *left, float *right, int32_t frames);
/* sizeof(rt_voices_config), RT_SEGMENT: what Python must agree on. */
RT_API void rt_voices_layout(int64_t *numbers);

#endif

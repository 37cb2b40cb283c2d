/* The decoder's keyboard: a key plays the latest sound, or the `back`th before it, at its own pitch. A sound is one
   retarget, whose target is held as long as the key, or all strikes of one time, struck again, the lowest strong mode
   at the key. Targets that are hardly heard are no sounds: after a word the latest is of the word, not of the pause. */
#ifndef RT_KEYBOARD_H
#define RT_KEYBOARD_H

#include "realtime.h"
#include "strikes.h"
#include "tone.h"

#define RT_HELD_TONES 16 /* keys whose tones may sound at once */
#define RT_HISTORY 128   /* events that a key can choose from; and programs */

typedef struct {
    rt_tone tone;
    double level;   /* at the end of the coming segment */
    int64_t serial; /* of the note-on */
    int32_t key;
    int32_t held;
} rt_held_tone;

typedef struct {
    rt_event history[RT_HISTORY]; /* a ring */
    int64_t events;               /* remembered since ever */
    int64_t notes;
    int32_t back;                 /* sounds before the latest */
    int32_t kept;                 /* 1: what is remembered stays, nothing is added */
    rt_held_tone tones[RT_HELD_TONES];
} rt_keyboard;

/* [audio] Silence at once, and nothing remembered. */
RT_REALTIME void rt_keyboard_clear(rt_keyboard *keyboard);
/* [audio] An event has been played: remember it, if it is heard. */
RT_REALTIME void rt_keyboard_remember(rt_keyboard *keyboard, const rt_event *event);
/* [audio] Play the chosen sound at a key, velocity 0..1 its gain; nothing where there is none. */
RT_REALTIME void rt_keyboard_press(rt_keyboard *keyboard, rt_strikes *strikes, const rt_strike_tables *tables,
                                   int32_t key, double velocity);
/* [audio] Let a key go: what it sounds multiplies by `fall` in every segment; key -1: all keys. */
RT_REALTIME void rt_keyboard_release(rt_keyboard *keyboard, rt_strikes *strikes, int32_t key, double fall);
/* [audio] Add a segment of the held tones: see rt_tone_segment. Those let go are multiplied by `fall`. */
RT_REALTIME int32_t rt_keyboard_segment(rt_keyboard *keyboard, const rt_tone_tables *tables, rt_tone_scratch *scratch,
                                        const rt_tone_knobs *knobs, double fall, int64_t segment, float *y,
                                        double *power);

#endif

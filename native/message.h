/* A message and a source's compiled loop: what the engine hands over. Same layout as rtsynth/messages.py. */
#ifndef RT_MESSAGE_H
#define RT_MESSAGE_H

#include <stdint.h>

enum rt_kind {
    RT_NOTE_OFF = 0,
    RT_NOTE_ON = 1,
    RT_CONTROL = 2,
    RT_BEND = 3,
    RT_PROGRAM = 4,
    RT_CHANNEL_PRESSURE = 5,
    RT_KEY_PRESSURE = 6,
    RT_RESET = 7,
    RT_TUNE = 8,  /* key `number` of the channel sounds at `value`; NaN: not at all */
    RT_SWAP = 9,  /* new notes of the channel go to place `number` of a rack; -1: to none */
    RT_GAIN = 16, /* the engine's own: linear master gain */
    RT_FADE = 17, /* the engine's own: master fade to `value`, 0 or 1, over `option` samples; `number` 1: from silence */
};

#define RT_ALL_SOURCES (-1)

typedef struct {
    int64_t time;     /* samples since the engine's first block */
    float value;      /* velocity 0..1, controller 0..127, bend -1..1, gain linear, pitch as a MIDI note (69: 440 Hz) */
    int16_t number;   /* note or controller */
    uint8_t kind;     /* enum rt_kind */
    uint8_t channel;  /* 0..15 */
    int32_t source;   /* index in the source list, or RT_ALL_SOURCES */
    int32_t option;   /* RT_TUNE: 1 where held notes follow too; RT_FADE: samples; else 0 */
} rt_message;

/* [audio] Apply `count` messages, all due at the first sample; then add `frames` samples to left and right. */
typedef void (*rt_loop)(void *state, const rt_message *messages, int32_t count,
                        float *left, float *right, int32_t frames);

/* [audio] The loop of a source that hears: `in` (frames,) is what comes in at the same samples, mono, finite; zeros
   where nothing does. */
typedef void (*rt_hearing_loop)(void *state, const rt_message *messages, int32_t count, const float *in,
                                float *left, float *right, int32_t frames);

/* What the engine and a loop that depends on a worker tell each other; the audio thread alone touches it. */
typedef struct {
    int64_t host_blocks; /* [engine] host blocks begun; counted before the first call for each */
    int32_t host_block;  /* [engine] frames of the latest */
    int32_t paced;       /* [engine] the host has a deadline; 0: nobody waits for the loop, so it may itself wait */
    int64_t late_worker; /* [loop] times since ever that a worker which had its time did not deliver */
    int64_t hurried;     /* [loop] ... that the host, ahead of its own pace, left it no time to */
} rt_liaison;

#endif

/* Where the sixteen MIDI channels of an instrument stand: controllers, registered parameters, MPE zones, tuning.

   It knows no voice and makes no sound. Voices ask it once a segment what a note of a channel is under, and do to their
   notes what a control orders. Sources: MIDI 1.0; RP-015 (reset all controllers), RP-018 (increment), MPE 1.0. */
#ifndef RT_CHANNELS_H
#define RT_CHANNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "realtime.h"

#define RT_KEYS 128
#define RT_MIDI_CHANNELS 16

/* What a hand does beside pressing keys, and what it is for; as in rtsynth/instrument/voices.py, like the next. */
enum rt_gesture { RT_MODULATION, RT_CHANNEL_PRESSED, RT_KEY_PRESSED, RT_TIMBRE, RT_GESTURES };
enum rt_destination { RT_TO_NOTHING, RT_TO_VARIANCE, RT_TO_VIBRATO, RT_TO_BRIGHTNESS, RT_TO_LEVEL, RT_DESTINATIONS };

/* Registered parameters that are known, MSB 0. */
enum rt_registered {
    RT_BEND_RANGE,
    RT_FINE_TUNING,
    RT_COARSE_TUNING,
    RT_VIBRATO_DEPTH = 5,
    RT_MPE_MEMBERS,
    RT_REGISTERED
};

typedef struct {
    double bend;       /* -1..1 */
    double volume;     /* 0..127 */
    double expression; /* 0..127 */
    double level;      /* gain, as both stand */
    double pan;        /* -1..1 */
    double sustain;    /* pedals: 0 up .. 1 down */
    double soft;
    double modulation; /* 0..1; negative: never moved, as the next two */
    double pressure;
    float key_pressure[RT_KEYS];
    double timbre;             /* -1..1 */
    double pitch[RT_KEYS];     /* of a key, MIDI note re A4 = 440 Hz; NaN: silent; infinite: never tuned */
    uint8_t latched[RT_KEYS];  /* 1: kept by the sostenuto pedal */
    uint8_t data[RT_REGISTERED][2]; /* MSB and LSB of registered parameters */
    int32_t sostenuto;         /* 1: that pedal is down */
    int32_t mono;              /* 1: one note at a time */
    int32_t rpn_msb, rpn_lsb;  /* the chosen parameter */
} rt_channel;

typedef struct {
    rt_channel channel[RT_MIDI_CHANNELS];
    int32_t members[2];            /* channels of the lower and of the upper MPE zone, their managers left out */
    int32_t routes[RT_GESTURES];   /* enum rt_destination */
    double concert;                /* semitones by which A4 is above 440 Hz where no key is tuned */
} rt_channels;

/* What a control asks of the notes of some channels. */
enum rt_order_kind {
    RT_ORDER_NOTHING,
    RT_ORDER_RELEASE, /* let go: pedals still hold */
    RT_ORDER_FADE,    /* silence, whatever holds */
    RT_ORDER_LATCH,   /* mark the keys that are down in `latched` */
};
typedef struct {
    enum rt_order_kind kind;
    uint32_t channels; /* a bit each */
} rt_order;

/* What the hand does to a note, beside its key and the pedals. */
typedef struct {
    double semitones;  /* wheel and registered tuning */
    double vibrato;    /* semitones to either side */
    double brightness; /* -1..1 */
    double level;      /* -1..1 */
} rt_touch;

/* [main, not while running] Everything at its default, no key tuned; `a4` hertz is where keys stand that never are. */
void rt_channels_init(rt_channels *channels, const int32_t *routes, double a4);
/* [audio] As after power-on, but for the tuning. */
RT_REALTIME void rt_channels_reset(rt_channels *channels);
/* [audio] A controller, 0..127, of a channel 0..15. */
RT_REALTIME rt_order rt_channels_control(rt_channels *channels, int32_t channel, int32_t controller, double value);
/* [audio] The wheel, -1..1; pressure, 0..127, of a channel, and of a key where `key` is one. */
RT_REALTIME void rt_channels_bend(rt_channels *channels, int32_t channel, double value);
RT_REALTIME void rt_channels_press(rt_channels *channels, int32_t channel, int32_t key, double value);
/* [audio] Tune a key to a pitch; NaN: silence it. */
RT_REALTIME void rt_channels_tune(rt_channels *channels, int32_t channel, int32_t key, double pitch);

/* [audio] Pitch of a key as it is tuned, in keys of the instrument's own tuning; NaN: it does not sound. */
RT_REALTIME double rt_channels_pitch(const rt_channels *channels, int32_t channel, int32_t key);
/* [audio] Semitones by which a channel's notes are transposed (RPN 2), its zone's among them. */
RT_REALTIME double rt_channels_transposed(const rt_channels *channels, int32_t channel);
/* [audio] The channel whose pedals a note of this one is under: the manager of its MPE zone, or its own. */
RT_REALTIME int32_t rt_channels_manager(const rt_channels *channels, int32_t channel);
/* [audio] What a channel's own hand does to a key, and what that of its zone's manager adds. */
RT_REALTIME rt_touch rt_channels_touch(const rt_channels *channels, int32_t channel, int32_t key);
RT_REALTIME rt_touch rt_channels_zone_touch(const rt_channels *channels, int32_t channel);
/* [audio] Where the variance knob stands for a key, 0..1; negative: nothing that is routed there was ever moved. */
RT_REALTIME double rt_channels_variance(const rt_channels *channels, int32_t channel, int32_t key);
/* [audio] Gain and place of a channel, its zone's among them. */
RT_REALTIME double rt_channels_level(const rt_channels *channels, int32_t channel);
RT_REALTIME double rt_channels_pan(const rt_channels *channels, int32_t channel);

#endif

/* The codec's event and what is laid out in its vector; the same as rtsynth/codec/event.py, which says what it means. */
#ifndef RT_EVENT_H
#define RT_EVENT_H

#include <stdint.h>

#define RT_DIMENSIONS 32
#define RT_KNOTS 24
#define RT_SHARE_KNOTS 5
#define RT_MODES 8

enum rt_event_kind { RT_RETARGET = 0, RT_STRIKE = 1 };

/* Places in a retarget's vector; in a state the gain is where the ramp was. */
enum { RT_RAMP = 0, RT_STATE_GAIN = 0, RT_LN_F0 = 1, RT_SHAPE = 2, RT_SHARES = 26 };
/* Places in a strike's vector: RT_MODES times ln hertz, ln t60, ln amplitude; the burst; the damper. */
enum { RT_BURST_LEVEL = 24, RT_BURST_CENTRE, RT_BURST_WIDTH, RT_BURST_T60, RT_BURST_ATTACK_MS };
/* Then the damper: seconds until it falls, 0 is never, and ln t60 under it. */
enum { RT_DAMPED_AFTER = 29, RT_DAMPED_T60 };

typedef struct {
    int64_t time;  /* control steps */
    uint8_t kind;  /* enum rt_event_kind */
    uint8_t voice;
    float gain;    /* ln amplitude */
    float vector[RT_DIMENSIONS];
} rt_event;

#endif

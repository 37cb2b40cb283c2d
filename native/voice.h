/* One voice among others: its envelope, its pitch and colour, its segments; inside of voices.h. */
#ifndef RT_VOICE_H
#define RT_VOICE_H

#include <stdatomic.h>

#include "voices.h"

struct rt_voices {
    rt_voices_config config;
    rt_channels channels;
    double smoothing;   /* share of the way that level, pan, vibrato and brightness go in a segment */
    double steal_step;  /* share of a stolen voice that goes in a segment */
    _Atomic int64_t counts[RT_VOICES_COUNTS];
    int64_t releases;
    double tail[2][RT_SEGMENT]; /* what is left of voices cut short, from tail_at on */
    int32_t tail_at;
    rt_voice voices[]; /* (config.slots,) */
};

static inline void rt_voices_count_up(rt_voices *v, enum rt_voices_count which)
{
    const int64_t now = atomic_load_explicit(&v->counts[which], memory_order_relaxed);
    atomic_store_explicit(&v->counts[which], now + 1, memory_order_relaxed);
}

/* [audio] Ring its rows; its key, string, velocity and tuning are set, all else is found out here. */
RT_REALTIME void rt_voice_start(rt_voices *v, rt_voice *voice);
/* [audio] Add its next frames to left and right, double where wide. */
RT_REALTIME void rt_voice_play(rt_voices *v, rt_voice *voice, void *left, void *right, int32_t frames);
/* [audio] Free it now: its next RT_SEGMENT samples fade to nothing in the tail that all voices share. */
RT_REALTIME void rt_voice_cut(rt_voices *v, rt_voice *voice);
/* [audio] Add that tail. */
RT_REALTIME void rt_voices_play_tail(rt_voices *v, void *left, void *right, int32_t frames);

#endif

#include "strikes.h"

#include <string.h>

void rt_strikes_init(rt_strikes *strikes, rt_bands *const *bursts)
{
    for (int32_t i = 0; i < RT_STRIKES; i++) strikes->slots[i].bands = bursts[i];
}

void rt_strikes_silence(rt_strikes *strikes)
{
    for (int32_t i = 0; i < RT_STRIKES; i++) strikes->slots[i].sounding = 0;
    memset(strikes->coming, 0, sizeof strikes->coming);
}

static rt_strike *slot_for(rt_strikes *strikes)
{
    rt_strike *nearest = &strikes->slots[0];
    for (int32_t i = 0; i < RT_STRIKES; i++) {
        rt_strike *strike = &strikes->slots[i];
        if (!strike->sounding) return strike;
        if (rt_strike_left(strike) < rt_strike_left(nearest)) nearest = strike;
    }
    return nearest;
}

/* What it would play until `delay` as it is, and after that fading over a segment. */
static void cut_short(rt_strikes *strikes, const rt_strike_tables *tables, rt_strike *strike, int32_t delay)
{
    rt_strike_add(strike, tables, strikes->coming, delay, 1.0f, 0.0f);
    rt_strike_add(strike, tables, strikes->coming + delay, RT_SEGMENT, 1.0f, -1.0f / RT_SEGMENT);
}

static uint64_t mixed(uint64_t hash, uint32_t number)
{
    return (hash ^ number) * UINT64_C(0x100000001b3);
}

/* What its noise is keyed by (FNV-1a, 32 bits at a time): voice, modes and burst, so that an event sounds the same
   whenever, and beside whatever, it is played; only what a key strikes is another draw each time. */
static int64_t noise_key(rt_strikes *strikes, const rt_event *event, int32_t key)
{
    uint64_t hash = mixed(UINT64_C(0xcbf29ce484222325), event->voice);
    for (int32_t i = 0; i < RT_DAMPED_AFTER; i++) {
        uint32_t bits;
        memcpy(&bits, &event->vector[i], sizeof bits);
        hash = mixed(hash, bits);
    }
    if (key >= 0) hash = mixed(hash, (uint32_t)++strikes->serial);
    return (int64_t)(hash >> 1 | 1); /* the bands of the tones are take 0 */
}

void rt_strikes_start(rt_strikes *strikes, const rt_strike_tables *tables, const rt_event *event, double ratio,
                      double gain, int32_t delay, int32_t key)
{
    rt_strike *strike = slot_for(strikes);
    if (strike->sounding) cut_short(strikes, tables, strike, delay);
    const rt_strike_call call = {ratio, gain, noise_key(strikes, event, key), delay, key};
    rt_strike_start(strike, tables, event, &call);
}

void rt_strikes_damp(rt_strikes *strikes, int32_t key, double fall)
{
    for (int32_t i = 0; i < RT_STRIKES; i++)
        if (key < 0 || strikes->slots[i].key == key) strikes->slots[i].fall = fall;
}

int32_t rt_strikes_segment(rt_strikes *strikes, const rt_strike_tables *tables, float *y)
{
    int32_t sounding = 0;
    for (int32_t t = 0; t < RT_SEGMENT; t++) y[t] += strikes->coming[t];
    memcpy(strikes->coming, strikes->coming + RT_SEGMENT, RT_SEGMENT * sizeof *y);
    memset(strikes->coming + RT_SEGMENT, 0, RT_SEGMENT * sizeof *y);
    for (int32_t i = 0; i < RT_STRIKES; i++) {
        rt_strike_add(&strikes->slots[i], tables, y, RT_SEGMENT, 1.0f, 0.0f);
        sounding += strikes->slots[i].sounding;
    }
    return sounding;
}

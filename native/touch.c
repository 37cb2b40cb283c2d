#include "channels.h"

#include <math.h>

/* What a note is under: what channels.c keeps, put together for one key of one channel. */

double rt_channels_pitch(const rt_channels *channels, int32_t c, int32_t key)
{
    const double pitch = channels->channel[c].pitch[key];
    return isinf(pitch) ? (double)key : pitch - channels->concert;
}

static double transposed(const rt_channel *channel)
{
    return channel->data[RT_COARSE_TUNING][0] - 64.0;
}

double rt_channels_transposed(const rt_channels *channels, int32_t c)
{
    const int32_t manager = rt_channels_manager(channels, c);
    const double own = transposed(&channels->channel[c]);
    return manager == c ? own : own + transposed(&channels->channel[manager]);
}

/* Semitones that wheel, fine and coarse tuning make together. */
static double bent(const rt_channel *channel)
{
    const double range = channel->data[RT_BEND_RANGE][0] + channel->data[RT_BEND_RANGE][1] / 100.0;
    const int32_t fine = (channel->data[RT_FINE_TUNING][0] << 7 | channel->data[RT_FINE_TUNING][1]) - 8192;
    return channel->bend * range + fine / 8192.0 + transposed(channel);
}

/* How far a gesture goes: 0..1, of timbre -1..1; negative pressure and modulation: never moved. */
static double gesture_of(const rt_channel *channel, enum rt_gesture gesture, int32_t key)
{
    switch (gesture) {
    case RT_MODULATION: return channel->modulation;
    case RT_CHANNEL_PRESSED: return channel->pressure;
    case RT_KEY_PRESSED: return key < 0 ? -1.0 : channel->key_pressure[key];
    default: return channel->timbre;
    }
}

/* Sum of all gestures that are routed to a destination. */
static double routed(const rt_channels *channels, int32_t c, int32_t key, enum rt_destination to)
{
    double sum = 0.0;
    for (int32_t gesture = 0; gesture < RT_GESTURES; gesture++) {
        if (channels->routes[gesture] != (int32_t)to) continue;
        const double moved = gesture_of(&channels->channel[c], (enum rt_gesture)gesture, key);
        sum += gesture == RT_TIMBRE ? moved : fmax(moved, 0.0);
    }
    return sum;
}

rt_touch rt_channels_touch(const rt_channels *channels, int32_t c, int32_t key)
{
    const uint8_t *depth = channels->channel[c].data[RT_VIBRATO_DEPTH];
    return (rt_touch){
        .semitones = bent(&channels->channel[c]),
        .vibrato = fmax(routed(channels, c, key, RT_TO_VIBRATO), 0.0) * (depth[0] + depth[1] / 128.0),
        .brightness = routed(channels, c, key, RT_TO_BRIGHTNESS),
        .level = routed(channels, c, key, RT_TO_LEVEL),
    };
}

rt_touch rt_channels_zone_touch(const rt_channels *channels, int32_t c)
{
    const int32_t manager = rt_channels_manager(channels, c);
    return manager == c ? (rt_touch){0} : rt_channels_touch(channels, manager, -1);
}

/* Sum of what was ever moved of the gestures that are the variance knob; negative: none was. */
static double variance_of(const rt_channels *channels, int32_t c, int32_t key)
{
    double sum = -1.0;
    for (int32_t gesture = 0; gesture < RT_GESTURES; gesture++) {
        if (channels->routes[gesture] != RT_TO_VARIANCE) continue;
        const double moved = gesture_of(&channels->channel[c], (enum rt_gesture)gesture, key);
        if (gesture == RT_TIMBRE && moved == 0.0) continue; /* at rest in the middle */
        if (gesture == RT_TIMBRE || moved >= 0.0) sum = fmax(sum, 0.0) + fmax(moved, 0.0);
    }
    return fmin(sum, 1.0);
}

double rt_channels_variance(const rt_channels *channels, int32_t c, int32_t key)
{
    const int32_t manager = rt_channels_manager(channels, c);
    const double own = variance_of(channels, c, key);
    return own >= 0.0 || manager == c ? own : variance_of(channels, manager, -1);
}

double rt_channels_level(const rt_channels *channels, int32_t c)
{
    const int32_t manager = rt_channels_manager(channels, c);
    const double own = channels->channel[c].level;
    return manager == c ? own : own * channels->channel[manager].level;
}

double rt_channels_pan(const rt_channels *channels, int32_t c)
{
    const int32_t manager = rt_channels_manager(channels, c);
    const double own = channels->channel[c].pan;
    return manager == c ? own : fmin(fmax(own + channels->channel[manager].pan, -1.0), 1.0);
}

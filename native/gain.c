#include "gain.h"

#include <math.h>
#include <stdbool.h>

#define SNAP 1e-7 /* -140 dB from the target: arrive, so that a unit gain is exactly one again */

void rt_gain_init(rt_gain *gain, double sample_rate)
{
    *gain = (rt_gain){.value = 1.0, .target = 1.0, .fade = 1.0, .fade_target = 1.0};
    gain->coefficient = 1.0 - exp(-1.0 / (RT_GAIN_SECONDS * sample_rate));
}

void rt_gain_set(rt_gain *gain, double target)
{
    gain->target = target;
}

void rt_gain_jump(rt_gain *gain, double target)
{
    gain->value = gain->target = target;
}

void rt_gain_fade(rt_gain *gain, double target, int64_t frames)
{
    gain->fade_target = target;
    gain->fade_step = (target - gain->fade) / (double)(frames > 0 ? frames : 1);
}

static bool at_rest(const rt_gain *gain)
{
    return gain->value == gain->target && gain->fade == gain->fade_target;
}

static void advance(rt_gain *gain)
{
    gain->value += (gain->target - gain->value) * gain->coefficient;
    if (fabs(gain->target - gain->value) < SNAP) gain->value = gain->target;
    gain->fade += gain->fade_step;
    const bool arrived = gain->fade_step >= 0.0 ? gain->fade >= gain->fade_target : gain->fade <= gain->fade_target;
    if (arrived) {
        gain->fade = gain->fade_target;
        gain->fade_step = 0.0;
    }
}

void rt_gain_apply(rt_gain *gain, float *left, float *right, int32_t frames)
{
    int32_t i = 0;
    for (; i < frames && !at_rest(gain); i++) {
        advance(gain);
        const double level = gain->value * gain->fade;
        left[i] = (float)(left[i] * level);
        right[i] = (float)(right[i] * level);
    }
    const double level = gain->value * gain->fade;
    if (level == 1.0) return;
    for (; i < frames; i++) {
        left[i] = (float)(left[i] * level);
        right[i] = (float)(right[i] * level);
    }
}

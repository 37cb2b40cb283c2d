#include "limiter.h"

#include <math.h>
#include <stdbool.h>

#define SNAP 1e-7 /* -140 dB below one: let go, and be bit-transparent again */

void rt_limiter_init(rt_limiter *limiter, double sample_rate)
{
    /* The gain is double: in float32 the release would stall 1.4e-4 short of one, and never be transparent again. */
    *limiter = (rt_limiter){.gain = 1.0};
    limiter->coefficient = 1.0 - exp(-1.0 / (RT_LIMITER_RELEASE_SECONDS * sample_rate));
}

static float block_peak(const float *left, const float *right, int32_t frames)
{
    float peak = 0.0f;
    for (int32_t i = 0; i < frames; i++) {
        const float a = fabsf(left[i]), b = fabsf(right[i]);
        const float louder = a > b ? a : b;
        peak = louder > peak ? louder : peak;
    }
    return peak;
}

static float turned_down(float sample, double gain)
{
    const float scaled = (float)(sample * gain); /* rounding may end one step above full scale */
    return scaled > 1.0f ? 1.0f : scaled < -1.0f ? -1.0f : scaled;
}

static void limit_frame(rt_limiter *limiter, float *left, float *right)
{
    const double peak = fmax(fabs(*left), fabs(*right));
    if (isinf(peak)) { /* finite sources whose sum is not: there is no gain that mends this frame */
        *left = *right = 0.0f;
        limiter->limited++;
        return;
    }
    const double wanted = peak > 1.0 ? 1.0 / peak : 1.0;
    double gain = limiter->gain + (1.0 - limiter->gain) * limiter->coefficient;
    if (1.0 - gain < SNAP) gain = 1.0;
    limiter->gain = gain < wanted ? gain : wanted;
    if (limiter->gain == 1.0) return;
    *left = turned_down(*left, limiter->gain);
    *right = turned_down(*right, limiter->gain);
    limiter->limited++;
}

void rt_limiter_apply(rt_limiter *limiter, float *left, float *right, int32_t frames)
{
    const float peak = block_peak(left, right, frames);
    if (peak > limiter->peak) limiter->peak = peak;
    if (limiter->gain == 1.0 && peak <= 1.0f) return; /* what the loop below would leave untouched */
    for (int32_t i = 0; i < frames; i++) limit_frame(limiter, &left[i], &right[i]);
}

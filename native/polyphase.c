#include "polyphase.h"

#define LANES 16 /* partial sums: as many as vector registers hold without -ffast-math */

static float dot(const float *restrict a, const float *restrict b, int64_t n)
{
    float lanes[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int lane = 0; lane < LANES; lane++)
            lanes[lane] += a[i + lane] * b[i + lane];
    for (int lane = 0; i < n; i++, lane++)
        lanes[lane] += a[i] * b[i];
    for (int width = LANES / 2; width; width /= 2)
        for (int lane = 0; lane < width; lane++)
            lanes[lane] += lanes[lane + width];
    return lanes[0];
}

void rt_polyphase(const float *table, int64_t phases, int64_t taps, int64_t start, int64_t phase, int64_t step,
                  const float *in, float *out, int64_t count)
{
    const int64_t whole = step / phases, part = step % phases;
    for (int64_t k = 0; k < count; k++) {
        out[k] = dot(table + phase * taps, in + start, taps);
        start += whole;
        phase += part;
        if (phase >= phases) {
            phase -= phases;
            start++;
        }
    }
}

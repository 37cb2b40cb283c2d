#include "bands.h"

#include <string.h>

static size_t sample_size(const rt_bands *bands)
{
    return bands->wide ? sizeof(double) : sizeof(float);
}

void rt_bands_start(rt_bands *bands, int64_t serial)
{
    const int64_t count = (int64_t)bands->rows * bands->order;
    bands->loops.start(bands->seed, serial, count, bands->keys, bands->keys + count, bands->normals);
    const size_t lanes = RT_LANES * sample_size(bands);
    for (int64_t part = 0; part < 2; part++)
        for (int64_t i = 0; i < count / RT_LANES; i++) {
            const char *drawn = (const char *)bands->normals + (size_t)(part * count) * sample_size(bands);
            memcpy((char *)bands->x + (size_t)(2 * i + part) * lanes, drawn + (size_t)i * lanes, lanes);
        }
    memset(bands->gains, 0, 2 * (size_t)count * sample_size(bands));
    bands->segments = 0;
}

void rt_bands_turn(rt_bands *bands, const void *cycles, const void *damping)
{
    bands->loops.turn(cycles, damping, bands->motion, bands->weights, bands->rows, bands->order);
}

void rt_bands_draw(rt_bands *bands)
{
    const uint32_t *low = bands->keys, *high = low + (int64_t)bands->rows * bands->order;
    const size_t group = 2 * RT_SEGMENT * RT_LANES * sample_size(bands);
    char *noise = bands->noise;
    for (int32_t k = 0; k < bands->rows; k += RT_LANES, noise += group)
        bands->loops.draw(low + k, high + k, bands->segments * RT_SEGMENT, RT_SEGMENT, RT_LANES, noise);
    bands->segments++;
}

void rt_bands_segment(rt_bands *bands, const void *goal, void *y)
{
    bands->loops.aim(goal, bands->weights, bands->gains, bands->rows, bands->order);
    bands->loops.ladder(bands->motion, bands->noise, bands->x, bands->gains, y, bands->rows, bands->order);
}

void rt_bands_layout(int64_t *numbers)
{
    numbers[0] = sizeof(rt_bands);
    numbers[1] = RT_SEGMENT;
    numbers[2] = RT_LANES;
}

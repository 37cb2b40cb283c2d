#include "thru.h"

void rt_thru_loop(void *state, const rt_message *messages, int32_t count, const float *in, float *left, float *right,
                  int32_t frames)
{
    (void)messages, (void)count;
    rt_thru *thru = state;
    int32_t active = 0;
    for (int32_t i = 0; i < frames; i++) {
        const float sample = thru->gain * in[i];
        left[i] += sample;
        right[i] += sample;
        active |= in[i] != 0.0f;
    }
    if (frames > 0) atomic_store_explicit(&thru->active, active, memory_order_relaxed);
}

#include "rest.h"

#include <math.h>

#define PIECE 256 /* samples looked at, and written, at once */

static int64_t lesser(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Not what is loud, nor what is no number. */
static bool all_silent(const float *samples, int64_t count, float silence)
{
    bool silent = true;
    for (int64_t i = 0; i < count; i++) silent &= fabsf(samples[i]) <= silence;
    return silent;
}

static bool hears_silence(const rt_link *link, int64_t position, int64_t frame, float silence)
{
    float samples[PIECE];
    for (int64_t done = 0; done < frame; done += PIECE) {
        const int64_t count = lesser(PIECE, frame - done);
        if (rt_link_read(link, position + done, samples, count) != count) return false;
        if (!all_silent(samples, count, silence)) return false;
    }
    return true;
}

static bool answer_silence(rt_link *link, int64_t position, int64_t frame)
{
    static const float zeros[PIECE * RT_LINK_MOST_CHANNELS];
    for (int64_t done = 0; done < frame; done += PIECE)
        if (rt_link_write(link, position + done, zeros, lesser(PIECE, frame - done))) return false;
    return true;
}

/* From `taken` on, unless something loud has come by then: see rt_link_hear. The first sound ends it by itself. */
static void lie_down(rt_link *link, int64_t taken)
{
    if (rt_link_rests(link)) return;
    atomic_store_explicit(&link->rest_at, taken, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
}

int64_t rt_link_rest(rt_link *link, int64_t taken, int64_t position, int64_t frame, int64_t most, float silence,
                     int64_t timeout_ns)
{
    const int64_t reset_at = atomic_load_explicit(&link->reset_at, memory_order_acquire);
    int64_t frames = 0;
    if (silence >= RT_LINK_SILENCE) lie_down(link, taken);
    while (frames < most && rt_link_wait(link, taken + frame, timeout_ns)) {
        if (atomic_load_explicit(&link->reset_at, memory_order_acquire) != reset_at) break;
        if (!hears_silence(link, taken, frame, silence)) break;
        if (!answer_silence(link, position, frame)) break;
        taken += frame;
        position += frame;
        frames++;
    }
    return frames;
}

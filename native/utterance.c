#include "utterance.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { VARIANCE = 1, ALL_SOUND_OFF = 120, ALL_NOTES_OFF = 123 }; /* controllers */

#define SMOOTHING 0.1 /* share of the way to a new variance that a segment goes */

/* ---- segments ---- */

static bool ended(const rt_utterance *u)
{
    return u->segment * RT_SEGMENT >= u->samples || u->level == 0.0;
}

/* Gains at the end of the next segment and frequencies in its middle. Power goes in straight lines between frames: with
   straight lines in the gains it would sag between them, and the frame rate would be heard. */
static void follow_frames(rt_utterance *u)
{
    const int32_t rows = u->bands->rows, last = u->frames - 1;
    const double end = fmin((double)(u->segment + 1) * RT_SEGMENT / u->hop, last);
    const double middle = fmin(((double)u->segment + 0.5) * RT_SEGMENT / u->hop, last);
    const int32_t i = (int32_t)fmin(end, last - 1), j = (int32_t)fmin(middle, last - 1);
    const float share = (float)(end - i), turn = (float)(middle - j), level = ended(u) ? 0.0f : 1.0f;
    const float *power = u->power + (int64_t)i * rows, *cycles = u->cycles + (int64_t)j * rows;
    for (int32_t k = 0; k < rows; k++) {
        u->goal[k] = level * sqrtf(power[k] + share * (power[rows + k] - power[k]));
        u->turned[k] = cycles[k] + turn * (cycles[rows + k] - cycles[k]);
    }
}

/* Mix what was drawn with what is kept: their shares of the power add up to 1 at both ends of the segment. */
static void keep(rt_utterance *u)
{
    const double before = u->variance_now, level = ended(u) ? 0.0 : u->level;
    u->variance_now += SMOOTHING * (u->variance_goal - u->variance_now);
    if (fabs(u->variance_goal - u->variance_now) < 1e-6) u->variance_now = u->variance_goal;
    const double drawn = sqrt(before), kept = sqrt(1.0 - before);
    const double drawn_slope = (sqrt(u->variance_now) - drawn) / RT_SEGMENT;
    const double kept_slope = (sqrt(1.0 - u->variance_now) - kept) / RT_SEGMENT;
    const double level_slope = (level - u->level_now) / RT_SEGMENT;
    const int64_t at = u->segment * RT_SEGMENT;
    for (int32_t t = 0; t < RT_SEGMENT; t++) {
        double y = u->sound[t];
        if (u->kept) {
            y *= drawn + t * drawn_slope;
            if (at + t < u->samples) y += (kept + t * kept_slope) * u->kept[at + t];
        }
        u->sound[t] = (float)(y * (u->level_now + t * level_slope));
    }
    u->level_now = level;
}

static void next_segment(rt_utterance *u)
{
    const bool last = ended(u);
    follow_frames(u);
    memset(u->sound, 0, sizeof u->sound);
    rt_bands_turn(u->bands, u->turned, u->damping);
    rt_bands_draw(u->bands);
    rt_bands_segment(u->bands, u->goal, u->sound);
    keep(u);
    u->segment++;
    u->position = 0;
    if (last) u->speaking = 0;
}

/* The next sample of what is being said; a voice that has ended plays its last segment out. */
static bool next_sample(rt_utterance *u, float *sample)
{
    if (u->position == RT_SEGMENT) {
        if (!u->speaking) return false;
        next_segment(u);
    }
    *sample = u->sound[u->position++];
    return true;
}

/* ---- messages ---- */

/* Say it from the beginning; what was being said fades over a segment. */
static void say(rt_utterance *u, double velocity)
{
    float sample;
    for (int32_t t = 0; t < RT_SEGMENT && next_sample(u, &sample); t++)
        u->tail[(u->tail_at + t) % RT_SEGMENT] += sample * (float)(RT_SEGMENT - t) / RT_SEGMENT;
    rt_bands_start(u->bands, u->serial++);
    u->speaking = 1;
    u->segment = 0;
    u->position = RT_SEGMENT;
    u->level = u->level_now = fmin(velocity, 1.0);
    u->variance_now = u->variance_goal;
}

static void silence(rt_utterance *u)
{
    u->speaking = 0;
    u->position = RT_SEGMENT;
    u->tail_at = 0;
    u->variance_now = u->variance_goal = u->variance;
    memset(u->tail, 0, sizeof u->tail);
}

static void apply(rt_utterance *u, const rt_message *message)
{
    switch (message->kind) {
    case RT_NOTE_ON:
        if (message->value > 0.0f) say(u, message->value);
        break;
    case RT_CONTROL:
        if (message->number == VARIANCE && message->value >= 0.0f)
            u->variance_goal = fmin(message->value, 127.0f) / 127.0;
        if (message->number == ALL_SOUND_OFF || message->number == ALL_NOTES_OFF) u->level = 0.0;
        break;
    case RT_RESET: silence(u); break;
    default: break; /* it is said to its end, whenever the key is let go */
    }
}

/* ---- life ---- */

void rt_utterance_reset(rt_utterance *u)
{
    silence(u);
    u->serial = 0;
    atomic_store_explicit(&u->active, 0, memory_order_relaxed);
}

void rt_utterance_loop(void *state, const rt_message *messages, int32_t count, float *left, float *right,
                       int32_t frames)
{
    rt_utterance *u = state;
    for (int32_t i = 0; i < count; i++) apply(u, &messages[i]);
    for (int32_t t = 0; t < frames; t++) {
        float sample = 0.0f;
        next_sample(u, &sample);
        sample += u->tail[u->tail_at];
        u->tail[u->tail_at] = 0.0f;
        u->tail_at = (u->tail_at + 1) % RT_SEGMENT;
        left[t] += sample;
        right[t] += sample;
    }
    const int sounds = u->speaking || u->position < RT_SEGMENT;
    atomic_store_explicit(&u->active, sounds, memory_order_relaxed);
}

int64_t rt_utterance_size(void)
{
    return sizeof(rt_utterance);
}

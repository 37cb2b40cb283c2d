#include "keyboard.h"

#include <math.h>
#include <string.h>

#define SILENCE 1e-6 /* -120 dB: a tone let go ends here */
#define HEARD (-5.5) /* ln amplitude of a target's loudest knot, -48 dB: room noise is below, soft speech above */
#define STRONG 2.3   /* nepers below the strongest, 20 dB, where a mode still counts as its note's lowest */

void rt_keyboard_clear(rt_keyboard *keyboard)
{
    memset(keyboard, 0, sizeof *keyboard);
}

void rt_keyboard_remember(rt_keyboard *keyboard, const rt_event *event)
{
    if (keyboard->kept || (event->kind == RT_RETARGET && rt_tone_level(event) < HEARD)) return;
    keyboard->history[keyboard->events++ % RT_HISTORY] = *event;
}

static const rt_event *event_of(const rt_keyboard *keyboard, int64_t number)
{
    return &keyboard->history[number % RT_HISTORY];
}

/* The first event of the sound whose last one is number `at`. */
static int64_t beginning(const rt_keyboard *keyboard, int64_t oldest, int64_t at)
{
    const rt_event *end = event_of(keyboard, at);
    while (end->kind == RT_STRIKE && at > oldest) {
        const rt_event *before = event_of(keyboard, at - 1);
        if (before->kind != RT_STRIKE || before->time != end->time) break;
        at--;
    }
    return at;
}

/* Events first...last - 1: the sound so many before the latest, or the oldest remembered where there are not as many. */
static void choose(const rt_keyboard *keyboard, int64_t *first, int64_t *last)
{
    const int64_t oldest = keyboard->events > RT_HISTORY ? keyboard->events - RT_HISTORY : 0;
    *last = keyboard->events;
    *first = beginning(keyboard, oldest, *last - 1);
    for (int32_t n = 0; n < keyboard->back && *first > oldest; n++) {
        *last = *first;
        *first = beginning(keyboard, oldest, *last - 1);
    }
}

static double frequency_of(int32_t key)
{
    return 440.0 * exp2((key - 69) / 12.0);
}

/* ---- tones ---- */

static bool taken(const rt_held_tone *held)
{
    return held->tone.alive || rt_tone_sounds(&held->tone);
}

/* The key's own; a free one; or the oldest. */
static rt_held_tone *slot_for(rt_keyboard *keyboard, int32_t key)
{
    rt_held_tone *best = &keyboard->tones[0];
    for (int32_t i = 0; i < RT_HELD_TONES; i++) {
        rt_held_tone *held = &keyboard->tones[i];
        if (taken(held) && held->key == key) return held;
        if (taken(best) && (!taken(held) || held->serial < best->serial)) best = held;
    }
    return best;
}

/* Where the slot sounds still, it glides: the phase goes on. */
static void press_tone(rt_keyboard *keyboard, const rt_event *event, int32_t key, double velocity)
{
    rt_held_tone *held = slot_for(keyboard, key);
    rt_event still = *event;
    still.vector[RT_LN_F0] = (float)log(frequency_of(key));
    held->tone.alive = held->tone.rows > 0;
    rt_tone_retarget(&held->tone, &still, 0.0);
    memcpy(held->tone.from, held->tone.to, sizeof held->tone.from);
    held->level = velocity;
    held->key = key;
    held->held = 1;
    held->serial = keyboard->notes++;
}

/* ---- strikes ---- */

/* The lowest mode, hertz, of events first...last - 1 that is nearly as strong as the strongest; 0: there is none. */
static double fundamental(const rt_keyboard *keyboard, int64_t first, int64_t last)
{
    double strongest = -INFINITY, lowest = INFINITY;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = first; i < last; i++) {
            const rt_event *event = event_of(keyboard, i);
            for (int32_t m = 0; m < RT_MODES; m++) {
                const double level = (double)event->gain + (double)event->vector[3 * m + 2];
                if (pass == 0) strongest = fmax(strongest, level);
                else if (level >= strongest - STRONG) lowest = fmin(lowest, (double)event->vector[3 * m]);
            }
        }
    return lowest < INFINITY ? exp(lowest) : 0.0;
}

/* Events first...last - 1, the groups of one sound. */
static void press_strikes(rt_keyboard *keyboard, rt_strikes *strikes, const rt_strike_tables *tables, int64_t first,
                          int64_t last, int32_t key, double velocity)
{
    const double base = fundamental(keyboard, first, last);
    const double ratio = base > 0.0 ? frequency_of(key) / base : 1.0;
    for (int64_t i = first; i < last; i++) {
        rt_event undamped = *event_of(keyboard, i);
        undamped.vector[RT_DAMPED_AFTER] = 0.0f; /* the key is the damper */
        rt_strikes_start(strikes, tables, &undamped, ratio, velocity, 0, key);
    }
}

/* ---- keys ---- */

void rt_keyboard_press(rt_keyboard *keyboard, rt_strikes *strikes, const rt_strike_tables *tables, int32_t key,
                       double velocity)
{
    if (keyboard->events == 0) return;
    int64_t first, last;
    choose(keyboard, &first, &last);
    if (event_of(keyboard, first)->kind == RT_RETARGET)
        press_tone(keyboard, event_of(keyboard, first), key, velocity);
    else
        press_strikes(keyboard, strikes, tables, first, last, key, velocity);
}

void rt_keyboard_release(rt_keyboard *keyboard, rt_strikes *strikes, int32_t key, double fall)
{
    for (int32_t i = 0; i < RT_HELD_TONES; i++)
        if (key < 0 || keyboard->tones[i].key == key) keyboard->tones[i].held = 0;
    if (key >= 0) {
        rt_strikes_damp(strikes, key, fall);
        return;
    }
    for (int32_t any = 0; any < RT_KEYS; any++) rt_strikes_damp(strikes, any, fall);
}

int32_t rt_keyboard_segment(rt_keyboard *keyboard, const rt_tone_tables *tables, rt_tone_scratch *scratch,
                            const rt_tone_knobs *knobs, double fall, int64_t segment, float *y, double *power)
{
    int32_t sounding = 0;
    for (int32_t i = 0; i < RT_HELD_TONES; i++) {
        rt_held_tone *held = &keyboard->tones[i];
        if (!taken(held)) continue;
        if (!held->held) held->level *= fall;
        if (held->level < SILENCE) held->level = 0.0;
        rt_tone_knobs own = *knobs;
        own.level *= held->level;
        rt_tone_segment(&held->tone, tables, scratch, held->tone.to, &own, segment, y, power);
        held->tone.alive = held->level > 0.0;
        sounding += rt_tone_sounds(&held->tone);
    }
    return sounding;
}

#include "keyboard.h"

#include <math.h>
#include <string.h>

#define SILENCE 1e-6 /* -120 dB: a tone let go ends here */
#define STRONG 2.3   /* nepers below the strongest, 20 dB, where a mode still counts as its note's lowest */

void rt_keyboard_clear(rt_keyboard *keyboard)
{
    memset(keyboard, 0, sizeof *keyboard);
}

void rt_keyboard_remember(rt_keyboard *keyboard, const rt_event *event)
{
    keyboard->history[keyboard->events++ % RT_HISTORY] = *event;
}

/* The event so many before the latest; the oldest remembered where there are not as many. */
static int64_t chosen(const rt_keyboard *keyboard)
{
    const int64_t oldest = keyboard->events > RT_HISTORY ? keyboard->events - RT_HISTORY : 0;
    const int64_t wanted = keyboard->events - 1 - keyboard->back;
    return wanted > oldest ? wanted : oldest;
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
            const rt_event *event = &keyboard->history[i % RT_HISTORY];
            for (int32_t m = 0; m < RT_MODES; m++) {
                const double level = (double)event->gain + (double)event->vector[3 * m + 2];
                if (pass == 0) strongest = fmax(strongest, level);
                else if (level >= strongest - STRONG) lowest = fmin(lowest, (double)event->vector[3 * m]);
            }
        }
    return lowest < INFINITY ? exp(lowest) : 0.0;
}

static bool together(const rt_keyboard *keyboard, int64_t a, int64_t b)
{
    const rt_event *one = &keyboard->history[a % RT_HISTORY], *other = &keyboard->history[b % RT_HISTORY];
    return one->time == other->time && other->kind == RT_STRIKE;
}

/* All groups struck at one time with event number `at`. */
static void press_strikes(rt_keyboard *keyboard, rt_strikes *strikes, const rt_strike_tables *tables, int64_t at,
                          int32_t key, double velocity)
{
    const int64_t oldest = keyboard->events > RT_HISTORY ? keyboard->events - RT_HISTORY : 0;
    int64_t first = at, last = at + 1;
    while (first > oldest && together(keyboard, at, first - 1)) first--;
    while (last < keyboard->events && together(keyboard, at, last)) last++;
    const double base = fundamental(keyboard, first, last);
    const double ratio = base > 0.0 ? frequency_of(key) / base : 1.0;
    for (int64_t i = first; i < last; i++)
        rt_strikes_start(strikes, tables, &keyboard->history[i % RT_HISTORY], ratio, velocity, 0, key);
}

/* ---- keys ---- */

void rt_keyboard_press(rt_keyboard *keyboard, rt_strikes *strikes, const rt_strike_tables *tables, int32_t key,
                       double velocity)
{
    if (keyboard->events == 0) return;
    const int64_t at = chosen(keyboard);
    const rt_event *event = &keyboard->history[at % RT_HISTORY];
    if (event->kind == RT_RETARGET)
        press_tone(keyboard, event, key, velocity);
    else
        press_strikes(keyboard, strikes, tables, at, key, velocity);
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

#include "decoder.h"

#include "memory.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ALL_SOUND_OFF = 120, ALL_NOTES_OFF = 123 }; /* controllers */

#define GLIDE_SECONDS 0.01   /* time constant of the knobs */
#define THAW_STEPS 8.0       /* control steps from where voices stood to where they are by now */
#define RELEASE_SECONDS 0.15 /* until a key let go is 60 dB down */
#define LN_1000 6.90775527898213705
#define SEMITONE 0.05776226504666211 /* ln */
#define MOST_SEMITONES 24.0
#define MOST_LOGIT 12.0      /* of the noise share's knob, either way */

/* A knob and where it is on its way. */
typedef struct {
    double wanted, now;
} knob;

struct rt_decoder {
    rt_decoder_config config;
    rt_schedule schedule;
    rt_strikes strikes;
    rt_keyboard keyboard;
    rt_tone tones[RT_TONES];
    double held[RT_TONES][RT_DIMENSIONS]; /* where voices stood, or last stood, under the pedal */
    double thawed;                        /* control steps when the pedal was let go */
    double bend;                          /* -1..1 */
    double semitones;                     /* of the transposing controller */
    double glide;                         /* share of a knob's way in a segment */
    double release;                       /* what a key let go is multiplied by in a segment */
    knob transpose, formant, noise, wet;
    int64_t segment;                      /* the coming one */
    int32_t frozen;
    int32_t position;                     /* samples of the segment played; RT_SEGMENT: none left */
    _Atomic int64_t time;                 /* samples played */
    _Atomic int32_t active;
    rt_tone_scratch scratch;
    float goal[2 * RT_LANES];             /* of the bands */
    float sound[2 * RT_SEGMENT];          /* the second half is scratch of the stereo loop */
};

/* ---- events ---- */

/* Control steps at the start of a segment. */
static double steps_at(const rt_decoder *d, int64_t segment)
{
    return (double)(segment * RT_SEGMENT) / (d->config.control * d->config.tones.sample_rate);
}

static void strike(rt_decoder *d, const rt_event *event)
{
    const double sample = floor((double)event->time * d->config.control * d->config.tones.sample_rate + 0.5);
    const double delay = fmin(fmax(sample - (double)(d->segment * RT_SEGMENT), 0.0), RT_SEGMENT);
    rt_strikes_start(&d->strikes, &d->config.strikes, event, exp(d->transpose.now), 1.0, (int32_t)delay, -1);
}

/* All events that are due before the coming segment ends. */
static void take_events(rt_decoder *d)
{
    const double begin = steps_at(d, d->segment), end = steps_at(d, d->segment + 1);
    const rt_event *event;
    rt_schedule_listen(&d->schedule);
    while ((event = rt_schedule_take(&d->schedule, end))) {
        if (event->kind == RT_RETARGET && event->voice < RT_TONES)
            rt_tone_retarget(&d->tones[event->voice], event, fmax((double)event->time, begin));
        if (event->kind == RT_STRIKE && !d->frozen) strike(d, event);
        rt_keyboard_remember(&d->keyboard, event);
    }
}

/* ---- freeze ---- */

static void freeze(rt_decoder *d, bool on)
{
    if (on == d->frozen) return;
    d->frozen = on;
    d->thawed = steps_at(d, d->segment);
    if (!on) return;
    for (int32_t v = 0; v < RT_TONES; v++)
        if (d->tones[v].alive) rt_tone_state(&d->tones[v], d->thawed, d->held[v]);
}

/* Where a voice is at the end of the coming segment: by its events, or still where it stood. */
static void state_of(const rt_decoder *d, int32_t v, double *state)
{
    const double end = steps_at(d, d->segment + 1), *held = d->held[v];
    rt_tone_state(&d->tones[v], end, state);
    const double share = d->frozen ? 0.0 : fmin((end - d->thawed) / THAW_STEPS, 1.0);
    if (share < 1.0)
        for (int32_t i = 0; i < RT_DIMENSIONS; i++) state[i] = held[i] + share * (state[i] - held[i]);
}

/* A voice stood nowhere before its first event: what it will be, but silent. */
static void hold_newcomer(rt_decoder *d, int32_t v)
{
    if (!d->tones[v].fresh) return;
    memcpy(d->held[v], d->tones[v].to, sizeof d->held[v]);
    rt_tone_silence(d->held[v]);
}

/* ---- segments ---- */

static void turn_knob(const rt_decoder *d, knob *k)
{
    k->now += d->glide * (k->wanted - k->now);
    if (fabs(k->wanted - k->now) < 1e-6) k->now = k->wanted;
}

static int32_t add_tones(rt_decoder *d, double *power)
{
    const rt_tone_knobs knobs = {d->transpose.now, d->formant.now, d->noise.now, 1.0};
    const rt_tone_tables *tables = &d->config.tones;
    double state[RT_DIMENSIONS];
    int32_t sounding = 0;
    for (int32_t v = 0; v < RT_TONES; v++) {
        rt_tone *tone = &d->tones[v];
        if (!tone->alive && !rt_tone_sounds(tone)) continue;
        rt_tone_knobs own = knobs;
        own.level = tone->alive;
        hold_newcomer(d, v);
        state_of(d, v, state);
        rt_tone_segment(tone, tables, &d->scratch, state, &own, d->segment, d->sound, power);
        sounding += rt_tone_sounds(tone);
    }
    return sounding + rt_keyboard_segment(&d->keyboard, tables, &d->scratch, &knobs, d->release, d->segment, d->sound,
                                          power);
}

/* One generator for all voices: they are independent, so their powers add. */
static void add_bands(rt_decoder *d, const double *power)
{
    for (int32_t b = 0; b < RT_KNOTS; b++) d->goal[b] = (float)sqrt(power[b]);
    rt_bands_draw(d->config.bands);
    rt_bands_segment(d->config.bands, d->goal, d->sound);
}

static void next_segment(rt_decoder *d)
{
    double power[RT_KNOTS] = {0.0};
    const double wet = d->wet.now;
    turn_knob(d, &d->transpose);
    turn_knob(d, &d->formant);
    turn_knob(d, &d->noise);
    turn_knob(d, &d->wet);
    take_events(d);
    memset(d->sound, 0, sizeof d->sound);
    int32_t sounding = add_tones(d, power);
    add_bands(d, power);
    sounding += rt_strikes_segment(&d->strikes, &d->config.strikes, d->sound);
    const float level = (float)wet, slope = (float)((d->wet.now - wet) / RT_SEGMENT);
    for (int32_t t = 0; t < RT_SEGMENT; t++) d->sound[t] *= level + slope * (float)t;
    atomic_store_explicit(&d->active, sounding, memory_order_relaxed);
    d->segment++;
    d->position = 0;
}

/* ---- messages ---- */

static double semitones_of(double value)
{
    return fmin(fmax(value - 64.0, -MOST_SEMITONES), MOST_SEMITONES);
}

static void transpose(rt_decoder *d)
{
    d->transpose.wanted = SEMITONE * (d->semitones + 2.0 * d->bend);
}

static void silence(rt_decoder *d)
{
    rt_strikes_silence(&d->strikes);
    rt_keyboard_clear(&d->keyboard);
    memset(d->tones, 0, sizeof d->tones);
    memset(d->sound, 0, sizeof d->sound);
    d->transpose = d->formant = d->noise = (knob){0.0, 0.0};
    d->wet = (knob){1.0, 1.0};
    d->bend = d->semitones = 0.0;
    d->frozen = 0;
    d->thawed = -THAW_STEPS;
    rt_bands_start(d->config.bands, 0);
    atomic_store_explicit(&d->active, 0, memory_order_relaxed);
}

/* All that sounds fades over a segment; a voice comes back with its next event. */
static void fade_all(rt_decoder *d)
{
    rt_keyboard_release(&d->keyboard, &d->strikes, -1, 0.0);
    rt_strikes_damp(&d->strikes, -1, 0.0);
    for (int32_t i = 0; i < RT_HELD_TONES; i++) d->keyboard.tones[i].level = 0.0;
    for (int32_t v = 0; v < RT_TONES; v++) d->tones[v].alive = 0;
}

static void control(rt_decoder *d, int32_t number, double value)
{
    if (!(value >= 0.0 && value <= 127.0)) return;
    switch (number) {
    case RT_TRANSPOSE:
        d->semitones = semitones_of(value);
        transpose(d);
        break;
    case RT_FORMANT: d->formant.wanted = SEMITONE * semitones_of(value); break;
    case RT_NOISE_SHARE: d->noise.wanted = MOST_LOGIT * (value - 64.0) / (value < 64.0 ? 64.0 : 63.0); break;
    case RT_CHOICE: d->keyboard.back = (int32_t)value; break;
    case RT_FREEZE: freeze(d, value >= 64.0); break;
    case RT_KEEP: d->keyboard.kept = value >= 64.0; break;
    case RT_WET: d->wet.wanted = value / 127.0; break;
    case ALL_SOUND_OFF: fade_all(d); break;
    case ALL_NOTES_OFF: rt_keyboard_release(&d->keyboard, &d->strikes, -1, d->release); break;
    default: break;
    }
}

static void apply(rt_decoder *d, const rt_message *message)
{
    const int32_t number = message->number;
    const double value = (double)message->value;
    const bool key = number >= 0 && number < RT_KEYS;
    switch (message->kind) {
    case RT_NOTE_ON:
        if (key && value > 0.0)
            rt_keyboard_press(&d->keyboard, &d->strikes, &d->config.strikes, number, fmin(value, 1.0));
        break;
    case RT_NOTE_OFF:
        if (key) rt_keyboard_release(&d->keyboard, &d->strikes, number, d->release);
        break;
    case RT_CONTROL: control(d, number, value); break;
    case RT_BEND:
        d->bend = fmin(fmax(value, -1.0), 1.0);
        transpose(d);
        break;
    case RT_PROGRAM: control(d, RT_CHOICE, value); break;
    case RT_RESET: silence(d); break;
    default: break;
    }
}

/* ---- life ---- */

rt_decoder *rt_decoder_create(const rt_decoder_config *config)
{
    rt_decoder *d = rt_allocate(sizeof *d);
    if (!d) return NULL;
    d->config = *config;
    const double second = config->tones.sample_rate;
    d->glide = -expm1(-RT_SEGMENT / (GLIDE_SECONDS * second));
    d->release = exp(-LN_1000 * RT_SEGMENT / (RELEASE_SECONDS * second));
    if (!rt_schedule_init(&d->schedule, config->sequence, config->count)) {
        rt_decoder_destroy(d);
        return NULL;
    }
    rt_strikes_init(&d->strikes, config->bursts);
    rt_decoder_reset(d);
    return d;
}

void rt_decoder_destroy(rt_decoder *decoder)
{
    if (!decoder) return;
    rt_schedule_free(&decoder->schedule);
    free(decoder);
}

void rt_decoder_reset(rt_decoder *d)
{
    silence(d);
    rt_schedule_rewind(&d->schedule);
    d->strikes.serial = 0;
    d->segment = 0;
    d->position = RT_SEGMENT;
    atomic_store_explicit(&d->time, 0, memory_order_relaxed);
}

int64_t rt_decoder_push(rt_decoder *decoder, const rt_event *events, int64_t count)
{
    return rt_schedule_push(&decoder->schedule, events, count);
}

int64_t rt_decoder_time(const rt_decoder *decoder)
{
    return atomic_load_explicit(&decoder->time, memory_order_relaxed);
}

int32_t rt_decoder_active(const rt_decoder *decoder)
{
    return atomic_load_explicit(&decoder->active, memory_order_relaxed);
}

void rt_decoder_loop(void *state, const rt_message *messages, int32_t count, float *left, float *right,
                     int32_t frames)
{
    rt_decoder *d = state;
    for (int32_t i = 0; i < count; i++) apply(d, &messages[i]);
    for (int32_t t = 0; t < frames; t++) {
        if (d->position == RT_SEGMENT) next_segment(d);
        left[t] += d->sound[d->position];
        right[t] += d->sound[d->position++];
    }
    const int64_t time = atomic_load_explicit(&d->time, memory_order_relaxed);
    atomic_store_explicit(&d->time, time + frames, memory_order_relaxed);
}

void rt_decoder_layout(int64_t *numbers)
{
    numbers[0] = sizeof(rt_decoder_config);
    numbers[1] = sizeof(rt_event);
    numbers[2] = RT_HARMONICS;
    numbers[3] = RT_TONES;
    numbers[4] = RT_STRIKES;
    numbers[5] = RT_PUSHED;
}

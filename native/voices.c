#include "voices.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define STEAL_SEGMENTS 8 /* a stolen voice fades in 256 samples: 5.3 ms at 48 kHz */
#define SMOOTHING 0.12   /* of volume, expression and pan, a segment: 5 ms at 48 kHz */
#define SILENCE 1e-6     /* -120 dB: a released voice ends here */
#define ABSURD 1e15      /* no sound: 300 dB above full scale */
#define HALF_PEDAL_UP 0.2   /* of the pedal's way: the dampers begin to lift ... */
#define HALF_PEDAL_DOWN 0.8 /* ... and are clear of the strings */
#define PI 3.14159265358979323846

/* Controllers of the MIDI 1.0 specification. */
enum {
    MODULATION = 1, /* the variance knob */
    DATA_MSB = 6,
    VOLUME = 7,
    PAN = 10,
    EXPRESSION = 11,
    DATA_LSB = 38,
    SUSTAIN = 64,
    NRPN_LSB = 98,
    NRPN_MSB = 99,
    RPN_LSB = 100,
    RPN_MSB = 101,
    ALL_SOUND_OFF = 120,
    RESET_CONTROLLERS = 121,
    ALL_NOTES_OFF = 123, /* and the four channel modes after it */
    LAST_MODE = 127,
};

#define NO_RPN 127 /* RPN 127/127: none chosen */

typedef struct {
    double pedal;      /* 0 up .. 1 down */
    double bend;       /* -1..1 */
    double volume;     /* 0..127 */
    double expression; /* 0..127 */
    double pan;        /* -1..1 */
    double variance;   /* 0..1; negative: never turned */
    int32_t rpn_msb, rpn_lsb;
    int32_t bend_semitones, bend_cents; /* RPN 0 */
    double bend_ratio;                  /* frequency over a key's own, as wheel and range stand */
    double level;                       /* gain, as volume and expression stand */
} channel_state;

struct rt_voices {
    rt_voices_config config;
    channel_state channels[RT_MIDI_CHANNELS];
    _Atomic int64_t counts[RT_VOICES_COUNTS];
    int64_t releases;
    double tail[2][RT_SEGMENT]; /* what is left of voices cut short, from tail_at on */
    int32_t tail_at;
    rt_voice voices[]; /* (config.slots,) */
};

static void count(rt_voices *v, enum rt_voices_count which, int64_t n)
{
    const int64_t now = atomic_load_explicit(&v->counts[which], memory_order_relaxed);
    atomic_store_explicit(&v->counts[which], now + n, memory_order_relaxed);
}

static bool sounding(const rt_voice *voice)
{
    return voice->status == RT_HELD || voice->status == RT_RELEASED;
}

/* ---- envelopes, once a segment ---- */

/* General MIDI: volume and expression are 40 log10(value) dB; 0 dB is the default, 100 and 127. */
static void set_level(channel_state *channel)
{
    const double share = channel->volume * channel->expression / (100.0 * 127.0);
    channel->level = share * share;
}

/* How firmly the damper lies on the string: 1 with the pedal up, 0 with it down. */
static double damper(const rt_voices *v, const channel_state *channel)
{
    if (!v->config.half_pedal) return channel->pedal * 127.0 >= 64.0 ? 0.0 : 1.0;
    const double lift = (channel->pedal - HALF_PEDAL_UP) / (HALF_PEDAL_DOWN - HALF_PEDAL_UP);
    const double contact = 1.0 - fmin(fmax(lift, 0.0), 1.0);
    return contact * contact;
}

static void follow_controls(const rt_voices *v, rt_voice *voice)
{
    const channel_state *channel = &v->channels[voice->channel];
    if (voice->status == RT_RELEASED)
        voice->release_gain *= exp(-v->config.release[voice->key] * damper(v, channel));
    else if (voice->status == RT_STOLEN)
        voice->steal_gain = fmax(0.0, voice->steal_gain - 1.0 / STEAL_SEGMENTS);
    voice->sustained = voice->status == RT_HELD || (voice->status == RT_RELEASED && damper(v, channel) == 0.0);
    voice->level += SMOOTHING * (channel->level - voice->level);
    voice->pan += SMOOTHING * (channel->pan - voice->pan);
}

typedef struct {
    double left, right, mix;
} envelope;

/* Share of the full gain so many samples after the start, while the attack lasts. */
static double risen(double samples, double attack)
{
    const double rise = sin(0.5 * PI * samples / attack);
    return rise * rise;
}

/* Gains `grid` segments after the start: attack, level curve, damper, steal, channel; pan is equal-power, 0 dB centre. */
static inline envelope envelope_at(const rt_voices *v, const rt_voice *voice, int64_t grid)
{
    const int64_t last = v->config.curve_points - 1;
    const int64_t point = grid < last ? grid : last;
    double gain = v->config.level[point] * voice->level * voice->release_gain * voice->steal_gain;
    const double samples = (double)(grid * RT_SEGMENT);
    if (samples < v->config.attack) gain *= risen(samples, v->config.attack);
    if (voice->pan == 0.0) return (envelope){gain, gain, v->config.mix[point]};
    const double angle = 0.25 * PI * (1.0 + voice->pan);
    return (envelope){gain * sqrt(2.0) * cos(angle), gain * sqrt(2.0) * sin(angle), v->config.mix[point]};
}

static int32_t ask_bank(rt_voices *v, enum rt_bank_call call, rt_voice *voice, envelope to)
{
    const int32_t slot = (int32_t)(voice - v->voices);
    return v->config.bank(v->config.bank_state, call, slot, voice, to.left, to.right, to.mix);
}

static void follow_bend(rt_voices *v, rt_voice *voice)
{
    const double ratio = v->channels[voice->channel].bend_ratio;
    if (ratio == voice->bend_ratio) return;
    voice->bend_ratio = ratio;
    ask_bank(v, RT_BANK_TURN, voice, (envelope){0});
}

/* ---- segments ---- */

static size_t sample_size(const rt_voices *v)
{
    return v->config.wide ? sizeof(double) : sizeof(float);
}

/* Left plane of a voice's segment; the right one follows it. */
static const char *segment_of(const rt_voices *v, const rt_voice *voice)
{
    const size_t slot = (size_t)(voice - v->voices);
    return (const char *)v->config.segments + slot * 2 * RT_SEGMENT * sample_size(v);
}

static double sample_at(const rt_voices *v, const char *segment, int32_t at)
{
    return v->config.wide ? ((const double *)segment)[at] : (double)((const float *)segment)[at];
}

/* No sample infinite, not a number, or absurd: magnitudes are added up in LANES sums, many at once. */
static bool finite_segment(const rt_voices *v, const rt_voice *voice)
{
    const char *segment = segment_of(v, voice);
    enum { LANES = 8 };
    if (v->config.wide) {
        double sums[LANES] = {0.0}, all = 0.0;
        for (int32_t t = 0; t < 2 * RT_SEGMENT; t += LANES)
            for (int32_t i = 0; i < LANES; i++) sums[i] += fabs(((const double *)segment)[t + i]);
        for (int32_t i = 0; i < LANES; i++) all += sums[i];
        return all < ABSURD; /* not where it is not a number */
    }
    float sums[LANES] = {0.0f}, all = 0.0f;
    for (int32_t t = 0; t < 2 * RT_SEGMENT; t += LANES)
        for (int32_t i = 0; i < LANES; i++) sums[i] += fabsf(((const float *)segment)[t + i]);
    for (int32_t i = 0; i < LANES; i++) all += sums[i];
    return all < (float)ABSURD;
}

/* Draw the next segment; false where the voice has become infinite or not a number, and must not be heard. */
static bool next_segment(rt_voices *v, rt_voice *voice)
{
    follow_controls(v, voice);
    follow_bend(v, voice);
    const int32_t lives = ask_bank(v, RT_BANK_SEGMENT, voice, envelope_at(v, voice, voice->age + 1));
    voice->age++;
    voice->position = 0;
    if (!lives || voice->release_gain * voice->steal_gain < SILENCE) voice->status = RT_ENDING;
    if (finite_segment(v, voice)) return true;
    voice->status = RT_FREE;
    count(v, RT_BAD_VOICES, 1);
    return false;
}

static void add_float(float *restrict to, const float *restrict from, int32_t frames)
{
    for (int32_t t = 0; t < frames; t++) to[t] += from[t];
}

static void add_double(double *restrict to, const double *restrict from, int32_t frames)
{
    for (int32_t t = 0; t < frames; t++) to[t] += from[t];
}

static void add_segment(const rt_voices *v, const rt_voice *voice, void *left, void *right, int32_t at, int32_t frames)
{
    const char *segment = segment_of(v, voice);
    if (v->config.wide) {
        const double *from = (const double *)segment + voice->position;
        add_double((double *)left + at, from, frames);
        add_double((double *)right + at, from + RT_SEGMENT, frames);
        return;
    }
    const float *from = (const float *)segment + voice->position;
    if (frames == RT_SEGMENT) { /* the usual case, for which the compiler knows how long it is */
        add_float((float *)left + at, from, RT_SEGMENT);
        add_float((float *)right + at, from + RT_SEGMENT, RT_SEGMENT);
    } else {
        add_float((float *)left + at, from, frames);
        add_float((float *)right + at, from + RT_SEGMENT, frames);
    }
}

static void play_voice(rt_voices *v, rt_voice *voice, void *left, void *right, int32_t frames)
{
    int32_t done = 0;
    while (done < frames) {
        if (voice->position == RT_SEGMENT) {
            if (voice->status == RT_ENDING) voice->status = RT_FREE;
            if (voice->status == RT_FREE || !next_segment(v, voice)) return;
        }
        const int32_t left_over = RT_SEGMENT - voice->position;
        const int32_t run = left_over < frames - done ? left_over : frames - done;
        add_segment(v, voice, left, right, done, run);
        voice->position += run;
        done += run;
    }
}

static void play_tail(rt_voices *v, void *left, void *right, int32_t frames)
{
    for (int32_t t = 0; t < frames && t < RT_SEGMENT; t++) {
        const int32_t at = (v->tail_at + t) % RT_SEGMENT;
        if (v->config.wide)
            ((double *)left)[t] += v->tail[0][at], ((double *)right)[t] += v->tail[1][at];
        else
            ((float *)left)[t] += (float)v->tail[0][at], ((float *)right)[t] += (float)v->tail[1][at];
        v->tail[0][at] = v->tail[1][at] = 0.0;
    }
    v->tail_at = (v->tail_at + frames) % RT_SEGMENT;
}

/* ---- allocation ---- */

static void release(rt_voices *v, rt_voice *voice)
{
    voice->status = RT_RELEASED;
    voice->release_order = v->releases++;
}

static void steal(rt_voices *v, rt_voice *voice)
{
    voice->status = RT_STOLEN;
    count(v, RT_STEALS, 1);
}

static const rt_voice *older(const rt_voice *a, const rt_voice *b)
{
    return !a || b->serial < a->serial ? b : a;
}

/* Steal until one more note may sound: of its own key first, then the longest released, then the oldest held. */
static void make_room(rt_voices *v, int32_t channel, int32_t key)
{
    int32_t all = 0, of_key = 0;
    const rt_voice *oldest_of_key = NULL, *longest_released = NULL, *oldest_held = NULL;
    for (int32_t slot = 0; slot < v->config.slots; slot++) {
        const rt_voice *voice = &v->voices[slot];
        if (!sounding(voice)) continue;
        all++;
        if (voice->key == key && voice->channel == channel) {
            of_key++;
            oldest_of_key = older(oldest_of_key, voice);
        }
        if (voice->status == RT_HELD)
            oldest_held = older(oldest_held, voice);
        else if (!longest_released || voice->release_order < longest_released->release_order)
            longest_released = voice;
    }
    const rt_voice *victim = NULL;
    if (of_key >= v->config.per_key)
        victim = oldest_of_key;
    else if (all >= v->config.polyphony)
        victim = longest_released ? longest_released : oldest_held;
    if (victim) steal(v, &v->voices[victim - v->voices]);
}

/* Free a voice now: its next RT_SEGMENT samples fade to nothing in the tail that all voices share. */
static void cut(rt_voices *v, rt_voice *voice)
{
    count(v, RT_CUTS, 1);
    for (int32_t t = 0; t < RT_SEGMENT; t++) {
        if (voice->position == RT_SEGMENT && (voice->status == RT_ENDING || !next_segment(v, voice))) break;
        const char *segment = segment_of(v, voice);
        const double fade = (double)(RT_SEGMENT - t) / RT_SEGMENT;
        const int32_t at = (v->tail_at + t) % RT_SEGMENT;
        v->tail[0][at] += fade * sample_at(v, segment, voice->position);
        v->tail[1][at] += fade * sample_at(v, segment, voice->position + RT_SEGMENT);
        voice->position++;
    }
    voice->status = RT_FREE;
}

/* A slot for a new note: a free one, or that of the most faded voice. There are more slots than may sound. */
static rt_voice *free_slot(rt_voices *v)
{
    rt_voice *faded = NULL;
    for (int32_t slot = 0; slot < v->config.slots; slot++) {
        rt_voice *voice = &v->voices[slot];
        if (voice->status == RT_FREE) return voice;
        if (!sounding(voice) && (!faded || voice->steal_gain < faded->steal_gain)) faded = voice;
    }
    cut(v, faded);
    return faded;
}

static void note_on(rt_voices *v, int32_t channel, int32_t key, double velocity)
{
    make_room(v, channel, key);
    rt_voice *voice = free_slot(v);
    const channel_state *state = &v->channels[channel];
    *voice = (rt_voice){
        .serial = atomic_load_explicit(&v->counts[RT_NOTES], memory_order_relaxed),
        .velocity = fmin(velocity, 1.0),
        .bend_ratio = state->bend_ratio,
        .release_gain = 1.0,
        .steal_gain = 1.0,
        .level = state->level,
        .pan = state->pan,
        .variance = state->variance,
        .sustained = 1,
        .status = RT_HELD,
        .channel = channel,
        .key = key,
        .position = RT_SEGMENT,
    };
    count(v, RT_NOTES, 1);
    ask_bank(v, RT_BANK_START, voice, envelope_at(v, voice, 0));
}

/* Release the oldest held voice of this key: on, on, off, off leaves nothing held. */
static void note_off(rt_voices *v, int32_t channel, int32_t key)
{
    const rt_voice *oldest = NULL;
    for (int32_t slot = 0; slot < v->config.slots; slot++) {
        const rt_voice *voice = &v->voices[slot];
        if (voice->status == RT_HELD && voice->channel == channel && voice->key == key) oldest = older(oldest, voice);
    }
    if (oldest) release(v, &v->voices[oldest - v->voices]);
}

static void release_channel(rt_voices *v, int32_t channel)
{
    for (int32_t slot = 0; slot < v->config.slots; slot++)
        if (v->voices[slot].status == RT_HELD && v->voices[slot].channel == channel) release(v, &v->voices[slot]);
}

static void fade_channel(rt_voices *v, int32_t channel)
{
    for (int32_t slot = 0; slot < v->config.slots; slot++)
        if (sounding(&v->voices[slot]) && v->voices[slot].channel == channel) v->voices[slot].status = RT_STOLEN;
}

/* ---- channels ---- */

static void turn_wheel(channel_state *channel)
{
    const double range = channel->bend_semitones + channel->bend_cents / 100.0;
    channel->bend_ratio = exp2(channel->bend * range / 12.0);
}

/* What Reset All Controllers resets (MIDI RP-015): not volume, pan or the bend range. */
static void reset_controllers(channel_state *channel)
{
    channel->pedal = 0.0;
    channel->bend = 0.0;
    channel->bend_ratio = 1.0;
    channel->expression = 127.0;
    set_level(channel);
    channel->variance = -1.0;
    channel->rpn_msb = channel->rpn_lsb = NO_RPN;
}

static void enter_data(channel_state *channel, int32_t controller, int32_t value)
{
    if (channel->rpn_msb != 0 || channel->rpn_lsb != 0) return; /* RPN 0: pitch bend range */
    if (controller == DATA_MSB)
        channel->bend_semitones = value;
    else
        channel->bend_cents = value;
    turn_wheel(channel);
}

static void control(rt_voices *v, int32_t c, int32_t controller, double value)
{
    channel_state *channel = &v->channels[c];
    value = fmin(fmax(value, 0.0), 127.0);
    switch (controller) {
    case MODULATION: channel->variance = value / 127.0; break;
    case SUSTAIN: channel->pedal = value / 127.0; break;
    case VOLUME:
        channel->volume = value;
        set_level(channel);
        break;
    case EXPRESSION:
        channel->expression = value;
        set_level(channel);
        break;
    case PAN: channel->pan = fmax(-1.0, (value - 64.0) / 63.0); break;
    case RPN_MSB: channel->rpn_msb = (int32_t)value; break;
    case RPN_LSB: channel->rpn_lsb = (int32_t)value; break;
    case NRPN_MSB:
    case NRPN_LSB: channel->rpn_msb = channel->rpn_lsb = NO_RPN; break;
    case DATA_MSB:
    case DATA_LSB: enter_data(channel, controller, (int32_t)value); break;
    case ALL_SOUND_OFF: fade_channel(v, c); break;
    case RESET_CONTROLLERS: reset_controllers(channel); break;
    default:
        if (controller >= ALL_NOTES_OFF && controller <= LAST_MODE) release_channel(v, c);
    }
}

static void silence(rt_voices *v)
{
    for (int32_t slot = 0; slot < v->config.slots; slot++) v->voices[slot].status = RT_FREE;
    memset(v->tail, 0, sizeof v->tail);
    for (int32_t c = 0; c < RT_MIDI_CHANNELS; c++) {
        reset_controllers(&v->channels[c]);
        v->channels[c].volume = 100.0;
        set_level(&v->channels[c]);
        v->channels[c].pan = 0.0;
        v->channels[c].bend_semitones = 2;
        v->channels[c].bend_cents = 0;
    }
}

static void apply(rt_voices *v, const rt_message *message)
{
    const int32_t channel = message->channel % RT_MIDI_CHANNELS;
    const bool is_key = message->number >= 0 && message->number < RT_KEYS;
    switch (message->kind) {
    case RT_NOTE_ON:
        if (is_key && message->value > 0.0f) note_on(v, channel, message->number, message->value);
        if (message->value == 0.0f) note_off(v, channel, message->number); /* as running status sends it */
        break;
    case RT_NOTE_OFF: note_off(v, channel, message->number); break;
    case RT_CONTROL:
        if (!isnan(message->value)) control(v, channel, message->number, message->value);
        break;
    case RT_BEND:
        if (isnan(message->value)) break;
        v->channels[channel].bend = fmin(fmax(message->value, -1.0), 1.0);
        turn_wheel(&v->channels[channel]);
        break;
    case RT_RESET: silence(v); break;
    default: break; /* programs and pressure do nothing yet to a GP instrument */
    }
}

/* ---- life ---- */

rt_voices *rt_voices_create(const rt_voices_config *config)
{
    rt_voices *v = calloc(1, sizeof *v + (size_t)config->slots * sizeof(rt_voice));
    if (!v) return NULL;
    v->config = *config;
    silence(v);
    return v;
}

void rt_voices_destroy(rt_voices *v)
{
    free(v);
}

void rt_voices_reset(rt_voices *v)
{
    silence(v);
    v->releases = 0;
    v->tail_at = 0;
    for (int32_t which = 0; which < RT_VOICES_COUNTS; which++)
        atomic_store_explicit(&v->counts[which], 0, memory_order_relaxed);
}

void rt_voices_counts(const rt_voices *v, int64_t *counts)
{
    for (int32_t which = 0; which < RT_VOICES_COUNTS; which++)
        counts[which] = atomic_load_explicit(&v->counts[which], memory_order_relaxed);
}

void rt_voices_loop(void *state, const rt_message *messages, int32_t due, float *left, float *right, int32_t frames)
{
    rt_voices *v = state;
    for (int32_t i = 0; i < due; i++) apply(v, &messages[i]);
    int64_t active = 0;
    for (int32_t slot = 0; slot < v->config.slots; slot++) {
        if (v->voices[slot].status == RT_FREE) continue;
        play_voice(v, &v->voices[slot], left, right, frames);
        active += v->voices[slot].status != RT_FREE;
    }
    play_tail(v, left, right, frames);
    atomic_store_explicit(&v->counts[RT_ACTIVE], active, memory_order_relaxed);
}

void rt_voices_layout(int64_t *numbers)
{
    numbers[0] = sizeof(rt_voices_config);
    numbers[1] = RT_SEGMENT;
}

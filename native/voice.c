#include "voice.h"

#include <math.h>
#include <string.h>

#define SILENCE 1e-6        /* -120 dB: a released voice ends here */
#define ABSURD 1e15         /* no sound: 300 dB above full scale */
#define HALF_PEDAL_UP 0.2   /* of the pedal's way: the dampers begin to lift ... */
#define HALF_PEDAL_DOWN 0.8 /* ... and are clear of the strings */
#define SOFT_DB (-2.0)      /* the soft pedal, all the way down: so much softer ... */
#define SOFT_COLOUR_DB (-1.0) /* ... and so much duller, an octave above the fundamental */
#define BRIGHTNESS_DB 4.0   /* an octave, at either end */
#define LEVEL_DB 6.0        /* of what is routed to the level, at either end */
#define ARRIVED 1e-4        /* of vibrato and brightness: near enough */
#define NEPER 0.11512925464970229 /* of a decibel */
#define PI 3.14159265358979323846

static bool sounding(const rt_voice *voice)
{
    return voice->status == RT_HELD || voice->status == RT_RELEASED;
}

/* ---- envelopes, once a segment ---- */

/* How firmly the damper lies on a voice's string: 1 with the pedals up, 0 with one down. */
static double damper(const rt_voices *v, const rt_voice *voice)
{
    const int32_t manager = rt_channels_manager(&v->channels, voice->channel);
    const double pedal = v->channels.channel[manager].sustain;
    if (v->channels.channel[voice->channel].latched[voice->key]) return 0.0;
    if (!v->config.half_pedal) return pedal * 127.0 >= 64.0 ? 0.0 : 1.0;
    const double lift = (pedal - HALF_PEDAL_UP) / (HALF_PEDAL_DOWN - HALF_PEDAL_UP);
    const double contact = 1.0 - fmin(fmax(lift, 0.0), 1.0);
    return contact * contact;
}

static void fall(const rt_voices *v, rt_voice *voice)
{
    const double contact = voice->status == RT_RELEASED ? damper(v, voice) : 0.0;
    if (voice->status == RT_RELEASED)
        voice->release_gain *= exp(-v->config.release[voice->string] * voice->damper_speed * contact);
    else if (voice->status == RT_STOLEN)
        voice->steal_gain = fmax(0.0, voice->steal_gain - v->steal_step);
    voice->sustained = sounding(voice) && contact == 0.0;
}

/* What the hand does to a voice, its zone's manager included. A member of a zone that was let go is its own no more. */
static rt_touch follow_touch(const rt_voices *v, rt_voice *voice)
{
    const rt_touch zone = rt_channels_zone_touch(&v->channels, voice->channel);
    const bool member = rt_channels_manager(&v->channels, voice->channel) != voice->channel;
    if (!member || voice->status == RT_HELD)
        voice->touch = rt_channels_touch(&v->channels, voice->channel, voice->key);
    const rt_touch own = voice->touch;
    return (rt_touch){
        .semitones = own.semitones + zone.semitones,
        .vibrato = own.vibrato + zone.vibrato,
        .brightness = fmin(fmax(own.brightness + zone.brightness, -1.0), 1.0),
        .level = fmin(fmax(own.level + zone.level, -1.0), 1.0),
    };
}

/* The way to where controls stand, `share` of it: 1 to be there at once. */
static void follow_controls(const rt_voices *v, rt_voice *voice, const rt_touch *touch, double share)
{
    const double level = rt_channels_level(&v->channels, voice->channel) *
                         exp(NEPER * (LEVEL_DB * touch->level + SOFT_DB * voice->soft));
    voice->level += share * (level - voice->level);
    voice->pan += share * (rt_channels_pan(&v->channels, voice->channel) - voice->pan);
    voice->vibrato += share * (touch->vibrato - voice->vibrato);
    voice->brightness += share * (touch->brightness - voice->brightness);
    if (fabs(touch->vibrato - voice->vibrato) < ARRIVED) voice->vibrato = touch->vibrato;
    if (fabs(touch->brightness - voice->brightness) < ARRIVED) voice->brightness = touch->brightness;
}

/* Pitch above the string's own. Vibrato begins with the note, going up. */
static double pitch_of(const rt_voices *v, const rt_voice *voice, const rt_touch *touch)
{
    const double semitones = voice->tuning + touch->semitones;
    if (voice->vibrato == 0.0) return semitones;
    const double seconds = (double)(voice->age * RT_SEGMENT) / v->config.sample_rate;
    return semitones + voice->vibrato * sin(2.0 * PI * v->config.vibrato_hz * seconds);
}

static double colour_of(const rt_voice *voice)
{
    return NEPER * (BRIGHTNESS_DB * voice->brightness + SOFT_COLOUR_DB * voice->soft);
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

static void follow_pitch(rt_voices *v, rt_voice *voice, const rt_touch *touch)
{
    const double semitones = pitch_of(v, voice, touch), colour = colour_of(voice);
    const bool turns = semitones != voice->semitones, changes = colour != voice->colour;
    if (!turns && !changes) return;
    voice->colour = colour;
    if (turns) {
        voice->semitones = semitones;
        voice->bend_ratio = exp2(semitones / 12.0);
    }
    ask_bank(v, turns ? RT_BANK_TURN : RT_BANK_COLOUR, voice, (envelope){0});
}

void rt_voice_start(rt_voices *v, rt_voice *voice)
{
    voice->status = RT_HELD;
    voice->sustained = 1;
    voice->position = RT_SEGMENT;
    voice->release_gain = voice->steal_gain = voice->damper_speed = 1.0;
    voice->fundamental = v->config.a4 * exp2((voice->string - 69) / 12.0);
    voice->soft = v->channels.channel[rt_channels_manager(&v->channels, voice->channel)].soft;
    voice->variance = rt_channels_variance(&v->channels, voice->channel, voice->key);
    const rt_touch touch = follow_touch(v, voice);
    follow_controls(v, voice, &touch, 1.0);
    voice->colour = colour_of(voice);
    voice->semitones = pitch_of(v, voice, &touch);
    voice->bend_ratio = exp2(voice->semitones / 12.0);
    ask_bank(v, RT_BANK_START, voice, envelope_at(v, voice, 0));
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
    const rt_touch touch = follow_touch(v, voice);
    fall(v, voice);
    follow_controls(v, voice, &touch, v->smoothing);
    follow_pitch(v, voice, &touch);
    const int32_t lives = ask_bank(v, RT_BANK_SEGMENT, voice, envelope_at(v, voice, voice->age + 1));
    voice->age++;
    voice->position = 0;
    if (!lives || voice->release_gain * voice->steal_gain < SILENCE) voice->status = RT_ENDING;
    if (finite_segment(v, voice)) return true;
    voice->status = RT_FREE;
    rt_voices_count_up(v, RT_BAD_VOICES);
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

void rt_voice_play(rt_voices *v, rt_voice *voice, void *left, void *right, int32_t frames)
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

void rt_voice_cut(rt_voices *v, rt_voice *voice)
{
    rt_voices_count_up(v, RT_CUTS);
    for (int32_t t = 0; t < RT_SEGMENT; t++) {
        if (voice->position == RT_SEGMENT && (voice->status == RT_ENDING || !next_segment(v, voice))) break;
        const char *segment = segment_of(v, voice);
        const double fade = 0.5 + 0.5 * cos(PI * t / RT_SEGMENT); /* no corner at either end */
        const int32_t at = (v->tail_at + t) % RT_SEGMENT;
        v->tail[0][at] += fade * sample_at(v, segment, voice->position);
        v->tail[1][at] += fade * sample_at(v, segment, voice->position + RT_SEGMENT);
        voice->position++;
    }
    voice->status = RT_FREE;
}

void rt_voices_play_tail(rt_voices *v, void *left, void *right, int32_t frames)
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

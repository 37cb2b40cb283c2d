#include "voice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SMOOTHING 0.12        /* of level, pan, ... in a segment at 48 kHz: 5.2 ms */
#define STEAL_SECONDS (256.0 / 48000.0) /* a stolen voice fades in: 8 segments at 48 kHz */
#define MIDDLE_VELOCITY 64.0  /* of a note-off, 0..127 */

static bool sounding(const rt_voice *voice)
{
    return voice->status == RT_HELD || voice->status == RT_RELEASED;
}

/* ---- allocation ---- */

/* Let go: the damper falls as fast as the key rises, twice as slowly to twice as fast; 64 is the preset's own time. */
static void release(rt_voices *v, rt_voice *voice, double velocity)
{
    const double from_middle = rint(127.0 * fmin(fmax(velocity, 0.0), 1.0)) - MIDDLE_VELOCITY;
    voice->status = RT_RELEASED;
    voice->damper_speed = exp2(from_middle / MIDDLE_VELOCITY);
    voice->release_order = v->releases++;
}

static void steal(rt_voices *v, rt_voice *voice)
{
    voice->status = RT_STOLEN;
    rt_voices_count_up(v, RT_STEALS);
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

/* A slot for a new note: a free one, or that of the most faded voice. There are more slots than may sound. */
static rt_voice *free_slot(rt_voices *v)
{
    rt_voice *faded = NULL;
    for (int32_t slot = 0; slot < v->config.slots; slot++) {
        rt_voice *voice = &v->voices[slot];
        if (voice->status == RT_FREE) return voice;
        if (!sounding(voice) && (!faded || voice->steal_gain < faded->steal_gain)) faded = voice;
    }
    rt_voice_cut(v, faded);
    return faded;
}

/* Mono mode: a new note fades what the channel plays. */
static void fade_channel(rt_voices *v, int32_t channel)
{
    for (int32_t slot = 0; slot < v->config.slots; slot++)
        if (sounding(&v->voices[slot]) && v->voices[slot].channel == channel) v->voices[slot].status = RT_STOLEN;
}

static void note_on(rt_voices *v, int32_t channel, int32_t key, double velocity)
{
    const double pitch = rt_channels_pitch(&v->channels, channel, key);
    if (isnan(pitch)) return;
    if (v->channels.channel[channel].mono) fade_channel(v, channel);
    make_room(v, channel, key);
    rt_voice *voice = free_slot(v);
    const double nearest = rint(pitch + rt_channels_transposed(&v->channels, channel));
    const int32_t string = (int32_t)fmin(fmax(nearest, 0.0), RT_KEYS - 1);
    *voice = (rt_voice){
        .serial = atomic_load_explicit(&v->counts[RT_NOTES], memory_order_relaxed),
        .velocity = fmin(velocity, 1.0),
        .tuning = pitch - string,
        .channel = channel,
        .key = key,
        .string = string,
    };
    rt_voices_count_up(v, RT_NOTES);
    rt_voice_start(v, voice);
}

/* Release the oldest held voice of this key: on, on, off, off leaves nothing held. */
static void note_off(rt_voices *v, int32_t channel, int32_t key, double velocity)
{
    const rt_voice *oldest = NULL;
    for (int32_t slot = 0; slot < v->config.slots; slot++) {
        const rt_voice *voice = &v->voices[slot];
        if (voice->status == RT_HELD && voice->channel == channel && voice->key == key) oldest = older(oldest, voice);
    }
    if (oldest) release(v, &v->voices[oldest - v->voices], velocity);
}

/* Do to the notes of some channels what a control asks. */
static void carry_out(rt_voices *v, rt_order order)
{
    for (int32_t slot = 0; slot < v->config.slots && order.kind != RT_ORDER_NOTHING; slot++) {
        rt_voice *voice = &v->voices[slot];
        if (!sounding(voice) || !(order.channels >> voice->channel & 1)) continue;
        if (order.kind == RT_ORDER_FADE) {
            voice->status = RT_STOLEN;
        } else if (voice->status == RT_HELD) {
            if (order.kind == RT_ORDER_LATCH) v->channels.channel[voice->channel].latched[voice->key] = 1;
            if (order.kind == RT_ORDER_RELEASE) release(v, voice, MIDDLE_VELOCITY / 127.0);
        }
    }
}

/* Tune a key; notes that sound keep their string, and follow only where they are asked to. */
static void tune(rt_voices *v, int32_t channel, int32_t key, double pitch, bool held_too)
{
    rt_channels_tune(&v->channels, channel, key, pitch);
    const double now = rt_channels_pitch(&v->channels, channel, key);
    for (int32_t slot = 0; slot < v->config.slots && held_too && !isnan(now); slot++) {
        rt_voice *voice = &v->voices[slot];
        if (voice->channel == channel && voice->key == key) voice->tuning = now - voice->string;
    }
}

static void silence(rt_voices *v)
{
    for (int32_t slot = 0; slot < v->config.slots; slot++) v->voices[slot].status = RT_FREE;
    memset(v->tail, 0, sizeof v->tail);
    rt_channels_reset(&v->channels);
}

static void apply(rt_voices *v, const rt_message *message)
{
    const int32_t channel = message->channel % RT_MIDI_CHANNELS, number = message->number;
    const bool is_key = number >= 0 && number < RT_KEYS, is_number = !isnan(message->value);
    switch (message->kind) {
    case RT_NOTE_ON:
        if (is_key && message->value > 0.0f) note_on(v, channel, number, message->value);
        if (message->value == 0.0f) note_off(v, channel, number, MIDDLE_VELOCITY / 127.0); /* MIDI has it so */
        break;
    case RT_NOTE_OFF: note_off(v, channel, number, is_number ? message->value : MIDDLE_VELOCITY / 127.0); break;
    case RT_CONTROL:
        if (is_number) carry_out(v, rt_channels_control(&v->channels, channel, number, message->value));
        break;
    case RT_BEND:
        if (is_number) rt_channels_bend(&v->channels, channel, message->value);
        break;
    case RT_CHANNEL_PRESSURE:
        if (is_number) rt_channels_press(&v->channels, channel, -1, message->value);
        break;
    case RT_KEY_PRESSURE:
        if (is_number && is_key) rt_channels_press(&v->channels, channel, number, message->value);
        break;
    case RT_TUNE:
        if (is_key) tune(v, channel, number, message->value, message->option == 1);
        break;
    case RT_RESET: silence(v); break;
    default: break; /* programs are for a rack of instruments */
    }
}

/* ---- life ---- */

rt_voices *rt_voices_create(const rt_voices_config *config)
{
    rt_voices *v = calloc(1, sizeof *v + (size_t)config->slots * sizeof(rt_voice));
    if (!v) return NULL;
    v->config = *config;
    v->smoothing = 1.0 - pow(1.0 - SMOOTHING, 48000.0 / config->sample_rate);
    v->steal_step = 1.0 / fmax(1.0, rint(STEAL_SECONDS * config->sample_rate / RT_SEGMENT));
    rt_channels_init(&v->channels, config->routes, config->a4);
    silence(v);
    return v;
}

void rt_voices_destroy(rt_voices *v)
{
    free(v);
}

void rt_voices_reset(rt_voices *v)
{
    rt_channels_init(&v->channels, v->config.routes, v->config.a4);
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
        rt_voice_play(v, &v->voices[slot], left, right, frames);
        active += v->voices[slot].status != RT_FREE;
    }
    rt_voices_play_tail(v, left, right, frames);
    atomic_store_explicit(&v->counts[RT_ACTIVE], active, memory_order_relaxed);
}

void rt_voices_layout(int64_t *numbers)
{
    numbers[0] = sizeof(rt_voices_config);
    numbers[1] = RT_SEGMENT;
}

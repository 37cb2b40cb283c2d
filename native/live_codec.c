#include "live_codec.h"

#include <math.h>
#include <string.h>

#define MARK 1.0f
#define FADING_STEPS 25   /* control steps, 0.1 s, that a voice without events takes to fall silent */
#define ENOUGH 0.999f     /* of an event: what floats lose in adding up shares */
#define GLIDE 0.002f      /* of the dry share, a sample: 10 ms at 48 kHz */

/* ---- a record ---- */

static bool within(float value, float low, float high)
{
    return value >= low && value <= high; /* not a number is within nothing */
}

/* Ranges of rtsynth/codec/event.py for a retarget: what the loops can work with. */
static bool plausible(const rt_event *event)
{
    if (!within(event->gain, -60.0f, 12.0f)) return false;
    if (!within(event->vector[RT_RAMP], 1.0f, 65536.0f)) return false;
    if (!within(event->vector[RT_LN_F0], 2.9957323f, 8.9871968f)) return false; /* 20 to 8000 Hz */
    for (int32_t i = RT_SHAPE; i < RT_DIMENSIONS; i++)
        if (!within(event->vector[i], -40.0f, 40.0f)) return false;
    return true;
}

static void count(_Atomic int64_t *total)
{
    atomic_store_explicit(total, atomic_load_explicit(total, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* The control step that the decoder is at. */
static int64_t now(const rt_live_codec *live)
{
    return (int64_t)floor((double)rt_decoder_time(live->parameters.decoder) / live->parameters.step + 0.5);
}

/* Whether the density has the coming event played. */
static bool falls_due(rt_live_codec_state *state)
{
    state->due += state->density;
    if (state->due < ENOUGH) return false;
    state->due = fmaxf(state->due - 1.0f, 0.0f);
    return true;
}

static void play(rt_live_codec *live)
{
    rt_live_codec_state *state = &live->state;
    rt_event event = {.kind = RT_RETARGET, .gain = state->record[1]};
    memcpy(event.vector, state->record + 2, sizeof event.vector);
    if (!plausible(&event)) {
        count(&state->refused);
        return;
    }
    state->since = 0;
    if (!falls_due(state)) {
        count(&state->thinned);
        return;
    }
    event.time = now(live);
    rt_decoder_push(live->parameters.decoder, &event, 1);
    state->latest = event;
    state->begun = true;
    state->faded = false;
    count(&state->events);
}

/* One number more from the link; whether it completed a record. */
static bool completes(rt_live_codec_state *state, float number)
{
    if (state->collected == 0 && number != MARK) return false;
    state->record[state->collected++] = number;
    if (state->collected < RT_RECORD) return false;
    state->collected = 0;
    return number == MARK;
}

/* The next event is played, whatever the density. */
static void begin_anew(rt_live_codec_state *state)
{
    state->due = 1.0f - state->density;
}

/* ---- what is played ---- */

static void fall_silent(rt_live_codec *live)
{
    rt_live_codec_state *state = &live->state;
    rt_event event = state->latest;
    event.time = now(live);
    rt_tone_hush(&event);
    event.vector[RT_RAMP] = FADING_STEPS;
    rt_decoder_push(live->parameters.decoder, &event, 1);
    state->faded = true;
    begin_anew(state);
    count(&state->outages);
}

/* The decoder's next samples; before the first event there are none. */
static void render(rt_live_codec *live, float *left, float *right, int32_t frames)
{
    rt_live_codec_state *state = &live->state;
    if (!state->begun || frames == 0) return;
    rt_decoder_loop(live->parameters.decoder, NULL, 0, left, right, frames);
    state->since += frames;
}

static void add_dry(rt_live_codec *live, const float *heard, float *left, float *right, int32_t frames)
{
    rt_live_codec_state *state = &live->state;
    for (int32_t i = 0; i < frames; i++) {
        const float way = state->dry_wanted - state->dry_share;
        state->dry_share += fminf(fmaxf(way, -GLIDE), GLIDE);
        const float sample = state->dry_share * state->dry[state->dry_place];
        state->dry[state->dry_place] = heard[i];
        state->dry_place = (state->dry_place + 1) % (RT_RECORD - 1);
        left[i] += sample;
        right[i] += sample;
    }
}

static void play_chunk(rt_live_codec *live, float *left, float *right, int32_t frames)
{
    int32_t played = 0;
    for (int32_t i = 0; i < frames; i++) {
        const bool overdue = live->state.begun && !live->state.faded &&
                             live->state.since + (i - played) >= live->parameters.patience;
        const bool complete = completes(&live->state, live->buffers.found[0][i]);
        if (!complete && !overdue) continue;
        render(live, left + played, right + played, i - played);
        played = i;
        if (complete) play(live);
        else fall_silent(live);
    }
    render(live, left + played, right + played, frames - played);
    add_dry(live, live->parameters.remote->buffers.delayed, left, right, frames);
}

/* ---- the source ---- */

/* The decoder's level; what it was told last survives a reset, as a live model's does. */
static void set_wet(rt_live_codec *live)
{
    const float value = 127.0f * (1.0f - live->state.dry_wanted);
    const rt_message message = {.kind = RT_CONTROL, .number = RT_WET, .value = value};
    rt_decoder_loop(live->parameters.decoder, &message, 1, NULL, NULL, 0);
}

static void apply(rt_live_codec *live, const rt_message *message)
{
    rt_decoder_loop(live->parameters.decoder, message, 1, NULL, NULL, 0);
    if (message->kind == RT_RESET) {
        rt_remote_loop(live->parameters.remote, message, 1, NULL, NULL, NULL, 0);
        live->state.collected = 0;
        begin_anew(&live->state);
        set_wet(live);
    }
    if (message->kind == RT_CONTROL && message->number == RT_WET && within(message->value, 0.0f, 127.0f))
        live->state.dry_wanted = 1.0f - message->value / 127.0f;
    if (message->kind == RT_CONTROL && message->number == RT_DENSITY && within(message->value, 0.0f, 127.0f))
        live->state.density = fmaxf(message->value / 127.0f, RT_SPARSEST);
}

void rt_live_codec_reset(rt_live_codec *live)
{
    rt_live_codec_state *state = &live->state;
    state->collected = 0;
    state->begun = state->faded = false;
    state->since = 0;
    state->density = live->parameters.density;
    begin_anew(state);
    memset(state->dry, 0, sizeof state->dry);
    state->dry_place = 0;
    state->dry_share = state->dry_wanted = 1.0f - live->parameters.wet;
    set_wet(live);
}

void rt_live_codec_loop(void *user_data, const rt_message *messages, int32_t count, const float *in,
                        float *left, float *right, int32_t frames)
{
    rt_live_codec *live = user_data;
    rt_live_codec_parameters *parameters = &live->parameters;
    for (int32_t i = 0; i < count; i++) apply(live, &messages[i]);
    for (int32_t done = 0; done < frames; done += RT_REMOTE_CHUNK) {
        const int32_t run = frames - done < RT_REMOTE_CHUNK ? frames - done : RT_REMOTE_CHUNK;
        float *found = live->buffers.found[0], *twin = live->buffers.found[1];
        memset(live->buffers.found, 0, sizeof live->buffers.found);
        rt_remote_loop(parameters->remote, NULL, 0, in + done, found, twin, run);
        play_chunk(live, left + done, right + done, run);
    }
}

void rt_live_codec_layout(int64_t *numbers)
{
    numbers[0] = sizeof(rt_live_codec);
    numbers[1] = RT_RECORD;
}

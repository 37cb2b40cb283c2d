#include "vocoder.h"

#include <math.h>
#include <string.h>

#define QUARTER 1.57079632679489661923 /* turn: all is drawn, nothing kept */
#define LOUDEST 16.0f                  /* +24 dB of full scale: a wilder host cannot drive a power to infinity */
#define ARRIVED 1e-5                   /* as close as this it is there, and pure input is exactly that */

/* ---- what is heard -> powers ---- */

/* One sample through every demodulator: u (2, R) enters the first section as (sample, 0) and leaves the last. */
static void demodulate(const rt_vocoder_parameters *parameters, float *x, int32_t rows, float sample)
{
    const float *re = parameters->rotation, *im = re + rows, *entry = parameters->entry;
    float *a = x, *b = x + rows;
    for (int32_t k = 0; k < rows; k++) {
        const float was = a[k];
        a[k] = re[k] * was - im[k] * b[k] + entry[k] * sample;
        b[k] = im[k] * was + re[k] * b[k];
    }
    for (int32_t section = 1; section < parameters->sections; section++) {
        const float *u = a, *v = b;
        a += 2 * rows;
        b += 2 * rows;
        for (int32_t k = 0; k < rows; k++) {
            const float was = a[k];
            a[k] = re[k] * was - im[k] * b[k] + entry[k] * u[k];
            b[k] = im[k] * was + re[k] * b[k] + entry[k] * v[k];
        }
    }
}

static void smooth_power(const rt_vocoder_parameters *parameters, rt_vocoder_state *state, int32_t rows)
{
    const float *a = state->x + 2 * (int64_t)rows * (parameters->sections - 1), *b = a + rows;
    const float attack = (float)parameters->attack, decay = (float)parameters->decay;
    float *first = state->smooth, *second = first + rows;
    for (int32_t k = 0; k < rows; k++) {
        first[k] += attack * (a[k] * a[k] + b[k] * b[k] - first[k]);
        second[k] += decay * (first[k] - second[k]);
    }
}

static float *past_powers(const rt_vocoder *vocoder, int64_t segment)
{
    const int64_t slot = segment & (vocoder->parameters.history - 1);
    return vocoder->state.past + slot * vocoder->bands->rows;
}

/* Take in the segment that was heard: powers at its end, the input kept, and whether there was any. */
static void analyse(rt_vocoder *vocoder)
{
    const rt_vocoder_parameters *parameters = &vocoder->parameters;
    rt_vocoder_state *state = &vocoder->state;
    const int32_t rows = vocoder->bands->rows;
    for (int32_t t = 0; t < RT_SEGMENT; t++) {
        const float sample = vocoder->buffers.heard[t];
        state->offset += parameters->offset * ((double)sample - state->offset);
        demodulate(parameters, state->x, rows, sample - (float)state->offset);
        smooth_power(parameters, state, rows);
        state->input[(state->time + t) & (parameters->echo - 1)] = sample;
        if (sample != 0.0f) state->heard_time = state->time + RT_SEGMENT;
    }
    memcpy(past_powers(vocoder, state->time / RT_SEGMENT), state->smooth + rows, (size_t)rows * sizeof(float));
    state->time += RT_SEGMENT;
}

/* ---- powers -> gains ---- */

static double turn_of(double variance)
{
    return asin(sqrt(variance));
}

static double kept_of(double turn)
{
    return turn < QUARTER ? cos(turn) : 0.0;
}

/* The turn a segment further on its way. */
static void glide(const rt_vocoder_parameters *parameters, rt_vocoder_state *state)
{
    state->turn += parameters->glide * (state->wanted - state->turn);
    if (fabs(state->wanted - state->turn) < ARRIVED) state->turn = state->wanted;
}

/* Where the rows' gains go; returns whether any is to sound. */
static int32_t aim(rt_vocoder *vocoder)
{
    const rt_vocoder_parameters *parameters = &vocoder->parameters;
    const int32_t rows = vocoder->bands->rows;
    const int64_t latest = vocoder->state.time / RT_SEGMENT - 1;
    const float drawn = (float)sin(vocoder->state.turn), floor = (float)parameters->floor;
    float highest = 0.0f;
    for (int32_t k = 0; k < rows; k++) {
        const int64_t segment = latest - parameters->lag[k];
        const float newer = past_powers(vocoder, segment)[k], older = past_powers(vocoder, segment - 1)[k];
        const float power = parameters->weight[k] * (newer + parameters->older[k] * (older - newer)) - floor;
        const float goal = power > 0.0f ? drawn * sqrtf(power) : 0.0f;
        vocoder->state.goal[k] = goal;
        highest = goal > highest ? goal : highest;
    }
    return highest > 0.0f;
}

/* ---- gains -> what is played ---- */

/* Add what is kept of the input, `latency` ago, its gain in a straight line from where it was. */
static void add_kept(rt_vocoder *vocoder)
{
    const rt_vocoder_parameters *parameters = &vocoder->parameters;
    rt_vocoder_state *state = &vocoder->state;
    const double kept = kept_of(state->turn);
    const float from = (float)state->kept, slope = (float)((kept - state->kept) / RT_SEGMENT);
    const int64_t first = state->time - parameters->latency;
    for (int32_t t = 0; t < RT_SEGMENT; t++)
        vocoder->buffers.played[t] += (from + slope * (float)t) * state->input[(first + t) & (parameters->echo - 1)];
    state->kept = kept;
}

static void next_segment(rt_vocoder *vocoder)
{
    rt_vocoder_state *state = &vocoder->state;
    analyse(vocoder);
    glide(&vocoder->parameters, state);
    const int32_t rows_sound = aim(vocoder);
    memset(vocoder->buffers.played, 0, sizeof vocoder->buffers.played);
    rt_bands_draw(vocoder->bands);
    rt_bands_segment(vocoder->bands, state->goal, vocoder->buffers.played);
    add_kept(vocoder);
    const int32_t input_sounds = state->heard_time >= 0 && state->time - state->heard_time < vocoder->parameters.latency;
    atomic_store_explicit(&state->active, rows_sound || input_sounds, memory_order_relaxed);
}

/* ---- the source ---- */

void rt_vocoder_reset(rt_vocoder *vocoder)
{
    const rt_vocoder_parameters *parameters = &vocoder->parameters;
    rt_vocoder_state *state = &vocoder->state;
    const size_t row = (size_t)vocoder->bands->rows * sizeof(float);
    memset(state->x, 0, 2 * (size_t)parameters->sections * row);
    memset(state->smooth, 0, 2 * row);
    memset(state->past, 0, (size_t)parameters->history * row);
    memset(state->goal, 0, row);
    memset(state->input, 0, (size_t)parameters->echo * sizeof(float));
    memset(&vocoder->buffers, 0, sizeof vocoder->buffers);
    state->time = 0;
    state->offset = 0.0;
    state->heard_time = -1;
    state->position = 0;
    state->wanted = state->turn = turn_of(parameters->variance);
    state->kept = kept_of(state->turn);
    atomic_store_explicit(&state->active, 0, memory_order_relaxed);
    rt_bands_start(vocoder->bands, 0);
}

static void apply(rt_vocoder *vocoder, const rt_message *message)
{
    if (message->kind == RT_RESET) rt_vocoder_reset(vocoder);
    if (message->kind != RT_CONTROL || message->number != RT_VOCODER_VARIANCE) return;
    if (message->value >= 0.0f && message->value <= 127.0f) vocoder->state.wanted = turn_of((double)message->value / 127.0);
}

static float within(float sample, float most)
{
    return sample > most ? most : sample < -most ? -most : sample;
}

void rt_vocoder_loop(void *state, const rt_message *messages, int32_t count, const float *in,
                     float *left, float *right, int32_t frames)
{
    rt_vocoder *vocoder = state;
    for (int32_t i = 0; i < count; i++) apply(vocoder, &messages[i]);
    int32_t *position = &vocoder->state.position;
    for (int32_t i = 0; i < frames; i++) {
        vocoder->buffers.heard[*position] = within(in[i], LOUDEST);
        left[i] += vocoder->buffers.played[*position];
        right[i] += vocoder->buffers.played[*position];
        if (++*position < RT_SEGMENT) continue;
        next_segment(vocoder);
        *position = 0;
    }
}

int64_t rt_vocoder_size(void)
{
    return sizeof(rt_vocoder);
}

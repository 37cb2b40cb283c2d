#include "tone.h"

#include <math.h>
#include <string.h>

#define TURN 6.28318530717958647692
#define SILENT (-15.0)   /* ln amplitude of a voice's loudest knot from which it is heard: -130 dB */
#define ROUNDED 1e-4     /* more than floats of such a size are rounded by */
#define LOUDEST 12.0     /* ln amplitude: louder is no sound */
#define FADED 16.0       /* slopes above the top where nothing is left: e^-16 */
#define HIGHEST_LOGIT 40.0
#define TOGETHER 8       /* rows that the loop steps at once */

/* ---- the movement ---- */

static void target(const rt_event *event, double *state)
{
    for (int32_t i = 0; i < RT_DIMENSIONS; i++) state[i] = (double)event->vector[i];
    state[RT_STATE_GAIN] = (double)event->gain;
}

/* ln amplitude of the shape's loudest knot. */
static double loudest(const double *state)
{
    double most = state[RT_SHAPE];
    for (int32_t i = 1; i < RT_KNOTS; i++) most = fmax(most, state[RT_SHAPE + i]);
    return most;
}

void rt_tone_silence(double *state)
{
    state[RT_STATE_GAIN] = fmin(state[RT_STATE_GAIN], SILENT - loudest(state));
}

double rt_tone_level(const rt_event *event)
{
    double state[RT_DIMENSIONS];
    target(event, state);
    return state[RT_STATE_GAIN] + loudest(state);
}

void rt_tone_hush(rt_event *event)
{
    const double above = rt_tone_level(event) - SILENT;
    if (above > -ROUNDED) event->gain -= (float)(above + ROUNDED);
}

void rt_tone_state(const rt_tone *tone, double time, double *state)
{
    const double share = fmin(fmax((time - tone->start) / tone->ramp, 0.0), 1.0);
    for (int32_t i = 0; i < RT_DIMENSIONS; i++) state[i] = tone->from[i] + share * (tone->to[i] - tone->from[i]);
}

void rt_tone_retarget(rt_tone *tone, const rt_event *event, double time)
{
    double now[RT_DIMENSIONS];
    if (tone->alive) {
        rt_tone_state(tone, time, now);
        target(event, tone->to);
    } else {
        target(event, tone->to);
        memcpy(now, tone->to, sizeof now);
        rt_tone_silence(now);
        tone->alive = tone->fresh = 1;
    }
    memcpy(tone->from, now, sizeof now);
    tone->start = time;
    tone->ramp = fmax((double)event->vector[RT_RAMP], 1.0);
}

/* ---- what a state sounds like ---- */

/* A state as the knobs have it. */
typedef struct {
    const double *state;
    double gain;                   /* ln amplitude added to the shape */
    double shift;                  /* a frequency is looked up this many times lower */
    double share[RT_SHARE_KNOTS];
} spectrum;

static spectrum spectrum_of(const double *state, const rt_tone_knobs *knobs)
{
    spectrum s = {.state = state, .gain = state[RT_STATE_GAIN], .shift = exp(knobs->formant)};
    for (int32_t i = 0; i < RT_SHARE_KNOTS; i++) {
        const double logit = state[RT_SHARES + i] + knobs->noise;
        s.share[i] = 1.0 / (1.0 + exp(-fmin(fmax(logit, -HIGHEST_LOGIT), HIGHEST_LOGIT)));
    }
    return s;
}

/* Amplitude of the envelope: straight lines in its logarithm over mel. */
static double envelope_at(const spectrum *s, const rt_tone_tables *tables, double hertz)
{
    const double mel = 2595.0 * log10(1.0 + hertz / s->shift / 700.0);
    const double place = fmin(fmax((mel - tables->first_mel) / tables->mel_spacing, 0.0), RT_KNOTS - 1);
    const int32_t i = place < RT_KNOTS - 2 ? (int32_t)place : RT_KNOTS - 2;
    const double *shape = s->state + RT_SHAPE + i;
    return exp(fmin(s->gain + shape[0] + (place - i) * (shape[1] - shape[0]), LOUDEST));
}

/* Noise's share of the power there: straight lines over hertz. */
static double share_at(const spectrum *s, const rt_tone_tables *tables, double hertz)
{
    const double *knots = tables->share_knots, at = hertz / s->shift;
    int32_t i = 0;
    while (i < RT_SHARE_KNOTS - 2 && at > knots[i + 1]) i++;
    const double place = fmin(fmax((at - knots[i]) / (knots[i + 1] - knots[i]), 0.0), 1.0);
    return s->share[i] + place * (s->share[i + 1] - s->share[i]);
}

/* Amplitudes of the harmonics of f0; returns how many there are. */
static int32_t harmonics(const spectrum *s, const rt_tone_tables *tables, double f0, double level, float *to)
{
    const double most = fmin(tables->top + FADED * tables->fade, 0.5 * tables->sample_rate) / f0;
    const int32_t count = most < RT_HARMONICS ? (int32_t)ceil(most) - 1 : RT_HARMONICS;
    const double scale = 2.0 * level * sqrt(f0 / tables->reference_rate);
    for (int32_t h = 0; h < count; h++) {
        const double hertz = (h + 1) * f0;
        const double slope = (hertz - tables->top) / tables->fade;
        const double faded = slope < -FADED ? 1.0 : 1.0 / (1.0 + exp(slope));
        to[h] = (float)(scale * faded * envelope_at(s, tables, hertz) * sqrt(1.0 - share_at(s, tables, hertz)));
    }
    return count;
}

static void add_noise(const spectrum *s, const rt_tone_tables *tables, double level, double *power)
{
    for (int32_t b = 0; b < RT_KNOTS; b++) {
        const double gain = level * tables->bands[b] * envelope_at(s, tables, tables->knots[b]);
        power[b] += gain * gain * share_at(s, tables, tables->knots[b]);
    }
}

/* ---- rows ---- */

/* A power of a complex number of length 1, times it once more. */
static void turn(double *re, double *im, double by_re, double by_im)
{
    const double was = *re;
    *re = was * by_re - *im * by_im;
    *im = was * by_im + *im * by_re;
}

/* Rotations of `rows` harmonics at so many cycles a sample: powers 0...15 of each, and the 16th. */
static void fill_motion(rt_tone_scratch *scratch, double cycles, int32_t rows)
{
    enum { HALF = RT_SEGMENT / 2 };
    float re[HALF], im[HALF], base_re[HALF], base_im[HALF];
    for (int32_t t = 0; t < HALF; t++) {
        base_re[t] = re[t] = (float)cos(TURN * cycles * t);
        base_im[t] = im[t] = (float)sin(TURN * cycles * t);
    }
    const double half_re = cos(TURN * cycles * HALF), half_im = sin(TURN * cycles * HALF);
    double at_re = half_re, at_im = half_im;
    for (int32_t h = 0; h < rows; h++) {
        memcpy(scratch->powers[h][0], re, sizeof re);
        memcpy(scratch->powers[h][1], im, sizeof im);
        scratch->half[0][h] = (float)at_re;
        scratch->half[1][h] = (float)at_im;
        for (int32_t t = 0; t < HALF; t++) {
            const float was = re[t];
            re[t] = was * base_re[t] - im[t] * base_im[t];
            im[t] = was * base_im[t] + im[t] * base_re[t];
        }
        turn(&at_re, &at_im, half_re, half_im);
    }
}

/* States at the start of a segment, all from the fundamental's phase. */
static void fill_states(rt_tone_scratch *scratch, const rt_tone_tables *tables, double cycles, int32_t rows)
{
    for (int32_t h = 0; h < rows; h++) {
        const double angle = TURN * fmod((h + 1) * cycles + tables->phases[h], 1.0);
        scratch->x[0][h] = (float)cos(angle);
        scratch->x[1][h] = (float)sin(angle);
    }
}

/* Straight lines from the tone's gains to these (rows,), which are its gains from then on. */
static void aim(rt_tone *tone, rt_tone_scratch *scratch, const float *to, int32_t rows)
{
    memset(scratch->gains, 0, sizeof scratch->gains);
    for (int32_t h = 0; h < rows; h++) {
        scratch->gains[0][h] = tone->gains[h];
        scratch->gains[2][h] = (to[h] - tone->gains[h]) / RT_SEGMENT;
    }
    memcpy(tone->gains, to, sizeof tone->gains);
}

void rt_tone_segment(rt_tone *tone, const rt_tone_tables *tables, rt_tone_scratch *scratch, const double *state,
                     const rt_tone_knobs *knobs, int64_t segment, float *y, double *power)
{
    const double ln_f0 = state[RT_LN_F0] + knobs->transpose;
    float to[RT_HARMONICS] = {0.0f};
    if (tone->fresh) { /* as if it had turned like this since sample 0 */
        if (tone->rows == 0)
            tone->cycles = fmod((double)segment * RT_SEGMENT * exp(ln_f0) / tables->sample_rate, 1.0);
        tone->ln_f0 = ln_f0;
        tone->fresh = 0;
    }
    int32_t count = 0;
    if (state[RT_STATE_GAIN] + loudest(state) > SILENT && knobs->level > 0.0) {
        const spectrum s = spectrum_of(state, knobs);
        count = harmonics(&s, tables, exp(ln_f0), knobs->level, to);
        add_noise(&s, tables, knobs->level, power);
    }
    const int32_t rows = ((count > tone->rows ? count : tone->rows) + TOGETHER - 1) / TOGETHER * TOGETHER;
    const double cycles = exp(0.5 * (tone->ln_f0 + ln_f0)) / tables->sample_rate;
    if (rows > 0) {
        fill_motion(scratch, cycles, rows);
        fill_states(scratch, tables, tone->cycles, rows);
        aim(tone, scratch, to, rows);
        tables->ringing(scratch->powers, scratch->half, scratch->x, scratch->middle, scratch->gains, y, 1, RT_HARMONICS,
                        rows);
    }
    tone->cycles = fmod(tone->cycles + RT_SEGMENT * cycles, 1.0);
    tone->ln_f0 = ln_f0;
    tone->rows = count;
}

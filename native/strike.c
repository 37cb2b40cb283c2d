#include "strike.h"

#include <math.h>
#include <string.h>

#define TURN 6.28318530717958647692
#define SILENCE 1e-6          /* -120 dB */
#define LN_1000 6.90775527898213705 /* nepers in a t60 */
#define BURST_RECTANGLE 1.57079632679489661923 /* equivalent rectangular bandwidth over b, of two sections (bands.py) */
#define LOUDEST 12.0          /* ln amplitude: louder is no sound */
#define FOR_EVER (1ll << 50)

/* Segments after which `amplitude`, falling by so many nepers a sample, and under the damper faster, is below SILENCE. */
static int64_t segments_until_silence(const rt_strike *strike, double amplitude, double damping)
{
    if (!(amplitude > SILENCE)) return 0;
    const double nepers = log(amplitude / SILENCE), from = RT_SEGMENT * (double)strike->damped_from;
    double samples = nepers / damping;
    if (samples > from) samples = fmin(samples, (nepers + strike->damper * from) / (damping + strike->damper));
    return samples < (double)FOR_EVER ? (int64_t)ceil(samples / RT_SEGMENT) : FOR_EVER;
}

static double level_of(double ln_amplitude)
{
    return exp(fmin(ln_amplitude, LOUDEST));
}

/* One mode: it starts as sin(m π/4 + ...), the slot is the phase (event.py); returns the segments it lasts. */
static int64_t start_mode(rt_strike *strike, const rt_strike_tables *tables, int32_t m, double hertz, double t60,
                          double amplitude)
{
    enum { HALF = RT_SEGMENT / 2 };
    const double damping = LN_1000 / t60 / tables->sample_rate, cycles = hertz / tables->sample_rate;
    const bool there = hertz < tables->highest && amplitude > SILENCE;
    for (int32_t t = 0; t < HALF; t++) {
        const double radius = exp(-damping * t), angle = TURN * fmod(cycles * t, 1.0);
        strike->powers[m][0][t] = there ? (float)(radius * cos(angle)) : 0.0f;
        strike->powers[m][1][t] = there ? (float)(radius * sin(angle)) : 0.0f;
    }
    const double radius = exp(-damping * HALF), angle = TURN * fmod(cycles * HALF, 1.0);
    strike->half[0][m] = there ? (float)(radius * cos(angle)) : 0.0f;
    strike->half[1][m] = there ? (float)(radius * sin(angle)) : 0.0f;
    strike->x[0][m] = there ? (float)sin(TURN * m / RT_MODES) : 0.0f;
    strike->x[1][m] = there ? (float)-cos(TURN * m / RT_MODES) : 0.0f;
    strike->gains[m] = there ? (float)amplitude : 0.0f;
    return there ? segments_until_silence(strike, amplitude, damping) : 0;
}

static void start_modes(rt_strike *strike, const rt_strike_tables *tables, const rt_event *event,
                        const rt_strike_call *call)
{
    strike->modes_end = 0;
    for (int32_t m = 0; m < RT_MODES; m++) {
        const float *mode = event->vector + 3 * m;
        const double amplitude = call->gain * level_of((double)event->gain + (double)mode[2]);
        const double hertz = call->ratio * exp((double)mode[0]);
        const int64_t end = start_mode(strike, tables, m, hertz, exp((double)mode[1]), amplitude);
        strike->modes_end = end > strike->modes_end ? end : strike->modes_end;
    }
}

/* ---- the burst ---- */

/* Rms of the burst so many segments after the start. */
static double burst_at(const rt_strike *strike, int64_t segments)
{
    const double samples = (double)(segments * RT_SEGMENT);
    const double risen = samples < strike->attack ? samples / strike->attack : 1.0;
    return strike->burst * risen * exp(-strike->damping * samples);
}

/* The one row's gains at the very start, where `rt_bands_start` leaves 0. */
static void set_gain(const rt_bands *bands, double gain)
{
    const float *weights = bands->weights;
    float *gains = bands->gains;
    for (int32_t j = 0; j < bands->order; j++) gains[2 * RT_LANES * j] = (float)gain * weights[RT_LANES * j];
}

static void start_burst(rt_strike *strike, const rt_strike_tables *tables, const rt_event *event,
                        const rt_strike_call *call)
{
    const float *vector = event->vector;
    const double centre = exp((double)vector[RT_BURST_CENTRE]);
    strike->burst = call->gain * level_of((double)event->gain + (double)vector[RT_BURST_LEVEL]);
    strike->attack = 1e-3 * (double)vector[RT_BURST_ATTACK_MS] * tables->sample_rate;
    strike->damping = LN_1000 / exp((double)vector[RT_BURST_T60]) / tables->sample_rate;
    if (!(centre < tables->highest)) strike->burst = 0.0;
    strike->burst_end = segments_until_silence(strike, strike->burst, strike->damping);
    if (strike->burst_end == 0) return;
    float cycles[RT_LANES] = {0.0f}, damping[RT_LANES];
    for (int32_t i = 0; i < RT_LANES; i++) damping[i] = 1.0f;
    cycles[0] = (float)(centre / tables->sample_rate);
    damping[0] = (float)(TURN / BURST_RECTANGLE * exp((double)vector[RT_BURST_WIDTH]) / tables->sample_rate);
    rt_bands_turn(strike->bands, cycles, damping);
    rt_bands_start(strike->bands, call->serial);
    set_gain(strike->bands, burst_at(strike, 0));
}

/* ---- the damper ---- */

static void set_damper(rt_strike *strike, const rt_strike_tables *tables, const rt_event *event)
{
    const double after = (double)event->vector[RT_DAMPED_AFTER] * tables->sample_rate / RT_SEGMENT;
    strike->damped_from = after > 0.0 ? (int64_t)floor(after + 0.5) : FOR_EVER;
    strike->damper = LN_1000 / exp((double)event->vector[RT_DAMPED_T60]) / tables->sample_rate;
}

/* ---- segments ---- */

void rt_strike_start(rt_strike *strike, const rt_strike_tables *tables, const rt_event *event, const rt_strike_call *call)
{
    strike->age = 0;
    strike->level = strike->fall = 1.0;
    strike->key = call->key;
    strike->delay = call->delay;
    strike->position = RT_SEGMENT;
    set_damper(strike, tables, event);
    start_modes(strike, tables, event, call);
    start_burst(strike, tables, event, call);
    strike->sounding = strike->modes_end > 0 || strike->burst_end > 0;
}

static void next_segment(rt_strike *strike, const rt_strike_tables *tables)
{
    float middle[4][RT_MODES], goal[RT_LANES] = {0.0f};
    memset(strike->segment, 0, sizeof strike->segment);
    if (strike->age < strike->modes_end)
        tables->ringing(strike->powers, strike->half, strike->x, middle, strike->gains, strike->segment, RT_MODES, RT_MODES);
    if (strike->age < strike->burst_end) {
        goal[0] = (float)burst_at(strike, strike->age + 1);
        rt_bands_draw(strike->bands);
        rt_bands_segment(strike->bands, goal, strike->segment);
    }
    const double damped = strike->age >= strike->damped_from ? exp(-RT_SEGMENT * strike->damper) : 1.0;
    const double fall = strike->fall * damped;
    const float level = (float)strike->level, slope = (float)(strike->level * (fall - 1.0) / RT_SEGMENT);
    for (int32_t t = 0; t < RT_SEGMENT; t++) strike->segment[t] *= level + slope * (float)t;
    strike->level *= fall;
    strike->age++;
    strike->position = 0;
}

void rt_strike_add(rt_strike *strike, const rt_strike_tables *tables, float *y, int32_t count, float gain, float slope)
{
    for (int32_t t = 0; t < count && strike->sounding; t++) {
        if (strike->delay > 0) {
            strike->delay--;
            continue;
        }
        if (strike->position == RT_SEGMENT) {
            strike->sounding = rt_strike_left(strike) > 0 && strike->level > SILENCE;
            if (!strike->sounding) return;
            next_segment(strike, tables);
        }
        y[t] += (gain + slope * (float)t) * strike->segment[strike->position++];
    }
}

#include "bank.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define PI 3.14159265358979323846
#define TOGETHER 4        /* ringing rows leave so many at a time; as TOGETHER in rtsynth/instrument/tables.py */
#define FAINT 1e-12       /* energy of a row at -120 dB: below it, it leaves the loop */
#define NYQUIST_FADE 0.02 /* a partial fades out over this share of the sample rate below Nyquist */

enum { ALIVE, TABLE, STEADY, FRESH, TAKEN, SPREAD, PLACES }; /* place[slot] */
enum { LEFT_NOW, RIGHT_NOW, LEFT_SLOPE, RIGHT_SLOPE };       /* gains[slot], course[slot] */
enum { LEFT_GOAL, RIGHT_GOAL, MIX_GOAL, RISES };             /* goal[slot] */
enum { WHERE, DIRECTION, OCTAVES, POINT, MOVING, SLOPES, CURVE }; /* curve[slot][layer]; the last two: 1 or 0 */

/* ---- the motion of recorded layers; rtsynth/instrument/stated.py says the same a second time ---- */

static const double *axis_of(const rt_rows_bank *bank, int32_t key, int32_t layer)
{
    return bank->axes + RT_AXIS_COLUMNS * bank->strokes[(int64_t)key * bank->recorded + layer];
}

static double *curve_of(const rt_rows_bank *bank, int32_t slot, int32_t layer)
{
    return bank->curve + CURVE * ((int64_t)slot * bank->recorded + layer);
}

/* Gain of the modes so many samples after the note's start. */
static double risen(const double *axis, double samples)
{
    const double since = samples - axis[RT_RISE_FROM];
    if (since < 0.0) return 0.0;
    return axis[RT_RISE_TIME] > 0.0 ? -expm1(-since / axis[RT_RISE_TIME]) : 1.0;
}

/* So many segments along an axis: in the loop back and forth while the note is sustained, else forth. */
static double walk(const double *axis, double where, double segments, bool sustained, double *direction)
{
    const double from = axis[RT_LOOP_FROM], to = axis[RT_LOOP_TO];
    if (!sustained) *direction = 1.0;
    const double next = where + *direction * segments;
    if (sustained && where <= to && next > to) {
        *direction = -1.0;
        return 2.0 * to - next;
    }
    if (*direction < 0.0 && next < from) {
        *direction = 1.0;
        return 2.0 * from - next;
    }
    return next;
}

/* The point of an axis before `where`, looked for from `point` on, and how far it is to the next one, 0..1. */
static int64_t find_point(const rt_rows_bank *bank, const double *axis, double where, int64_t point, double *share)
{
    const double *times = bank->times + (int64_t)axis[RT_POINTS_FROM];
    const int64_t last = (int64_t)axis[RT_POINTS] - 2;
    *share = 0.0;
    if (last < 0) return 0;
    while (point < last && times[point + 1] <= where) point++;
    while (point > 0 && times[point] > where) point--;
    *share = fmin((where - times[point]) / (times[point + 1] - times[point]), 1.0);
    return point;
}

static double octaves_at(const rt_rows_bank *bank, const double *axis, double where, int64_t near)
{
    double share;
    const int64_t point = find_point(bank, axis, where, near, &share);
    const double *octaves = bank->octaves + (int64_t)axis[RT_POINTS_FROM] + point;
    return share == 0.0 ? octaves[0] : (1.0 - share) * octaves[0] + share * octaves[1];
}

/* The pitch of a layer's lines in the segment that begins at its place: that of the segment's middle. */
static double octaves_ahead(const rt_rows_bank *bank, const double *axis, const double *curve, bool sustained)
{
    double direction = curve[DIRECTION];
    const double middle = walk(axis, curve[WHERE], 0.5, sustained, &direction);
    return octaves_at(bank, axis, middle, (int64_t)curve[POINT]);
}

/* Whether a segment from here to there changes a gain: not once the last point is held. */
static bool goes_on(const rt_rows_bank *bank, const double *axis, double from, double to)
{
    const double last = bank->times[(int64_t)axis[RT_POINTS_FROM] + (int64_t)axis[RT_POINTS] - 1];
    return fmin(from, to) < last;
}

#define REAL float
#define NAME(function) function##_float
#include "bank_real.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(function) function##_double
#include "bank_real.h"
#undef REAL
#undef NAME

int32_t rt_rows_bank_call(void *state, int32_t call, int32_t slot, const rt_voice *voice,
                          double left, double right, double mix)
{
    const rt_rows_bank *bank = state;
    return bank->wide ? bank_call_double(bank, call, slot, voice, left, right, mix)
                      : bank_call_float(bank, call, slot, voice, (float)left, (float)right, (float)mix);
}

int64_t rt_rows_bank_size(void)
{
    return sizeof(rt_rows_bank);
}

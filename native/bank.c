#include "bank.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define PI 3.14159265358979323846
#define UNROLL 4          /* ringing rows are handled four at a time; as RINGING_UNROLL in rtsynth/sampler/bank.py */
#define FAINT 1e-12       /* energy of a row at -120 dB: below it, it leaves the loop */
#define NYQUIST_FADE 0.02 /* a partial fades out over this share of the sample rate below Nyquist */

enum { ALIVE, TABLE, STEADY, PLACES };                 /* place[slot] */
enum { LEFT_NOW, RIGHT_NOW, LEFT_SLOPE, RIGHT_SLOPE }; /* gains[slot] */

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

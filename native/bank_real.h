/* The bank's work in one precision, REAL: included by bank.c once for float, to play, and once for double, to prove the
   law. No include guard, on purpose. */

/* Where a slot's or a key's part of an array of rows begins. */
static REAL *NAME(part)(const void *array, int64_t size, int64_t index)
{
    return (REAL *)array + size * index;
}

static const REAL *NAME(law)(const rt_rows_bank *bank, int32_t key, enum rt_law column)
{
    return NAME(part)(bank->law, bank->rows, (int64_t)key * RT_LAW_COLUMNS + column);
}

#include "bank_start.h"
#include "bank_gains.h"
#include "bank_motion.h"
#include "bank_ringing.h"
#include "bank_noise.h"

/* ---- segments ---- */

/* Fill the voice's segment; 0 where nothing is left that could sound after it. */
static int32_t NAME(segment)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice,
                             REAL left, REAL right, REAL mix)
{
    int64_t *place = &bank->place[PLACES * slot];
    const int32_t alive = (int32_t)place[ALIVE];
    const bool quiet = voice->age >= bank->quiet[voice->string];
    REAL *y = NAME(part)(bank->segments, 2 * RT_SEGMENT, slot);
    const bool mono = bank->mono && !place[SPREAD];
    for (int32_t t = 0; t < RT_SEGMENT; t++) y[t] = 0;
    if (!mono)
        for (int32_t t = RT_SEGMENT; t < 2 * RT_SEGMENT; t++) y[t] = 0;
    NAME(follow_curves)(bank, slot, voice);
    NAME(steer)(bank, slot, voice, alive, left, right, mix);
    if (bank->innovations)
        NAME(innovations_segment)(bank, slot, voice);
    else if (alive > 0)
        NAME(ringing_segment)(bank, slot, mono);
    if (!quiet) {
        NAME(noisy_segment)(bank, slot, voice, mono);
        NAME(paired_segment)(bank, slot, voice, mono);
        NAME(kick)(bank, slot, voice);
    }
    if (mono) NAME(apply_course)(NAME(course)(bank, slot), y);
    NAME(arrive_all)(bank, slot, alive);
    place[SPREAD] = 0;
    return bank->innovations || !quiet || place[ALIVE] > bank->ringing_from;
}

static int32_t NAME(bank_call)(const rt_rows_bank *bank, int32_t call, int32_t slot, const rt_voice *voice,
                               REAL left, REAL right, REAL mix)
{
    switch (call) {
    case RT_BANK_SEGMENT: return NAME(segment)(bank, slot, voice, left, right, mix);
    case RT_BANK_START: NAME(start)(bank, slot, voice, left, right, mix); return 1;
    case RT_BANK_TURN: NAME(follow)(bank, slot, voice, true); return 1;
    default: NAME(follow)(bank, slot, voice, false); return 1;
    }
}

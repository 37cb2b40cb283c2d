/* Rows that ring, and undamped ones. Part of bank_real.h. */

/* ---- rows that ring ---- */

/* Undamped rows keep their radius: one Newton step towards it undoes the rounding of a segment. */
static void NAME(hold_radius)(const rt_rows_bank *bank, int32_t slot)
{
    const int32_t n = bank->rows;
    REAL *x = NAME(part)(bank->x, 2 * n, slot);
    const REAL *radius = NAME(part)(bank->radius, n, slot);
    for (int32_t k = 0; k < bank->kicked_from; k++) {
        if (!(radius[k] > 0)) continue;
        const REAL pull = (3 * radius[k] - (x[k] * x[k] + x[n + k] * x[n + k])) / (2 * radius[k]);
        x[k] *= pull;
        x[n + k] *= pull;
    }
}

/* The last ringing rows leave the loop, four at a time, once they are below -120 dB; where the law is proved, in double,
   only once they are nothing. */
static void NAME(drop_faint)(const rt_rows_bank *bank, int32_t slot)
{
    const int32_t n = bank->rows;
    const REAL *x = NAME(part)(bank->x, 2 * n, slot), *base = NAME(part)(bank->base, 2 * n, slot);
    const double faint = bank->wide ? 0.0 : FAINT;
    int64_t last = bank->place[PLACES * slot + ALIVE];
    while (last > bank->ringing_from) {
        double energy = 0.0;
        for (int64_t k = last - TOGETHER; k < last; k++)
            energy += ((double)base[k] * base[k] + (double)base[n + k] * base[n + k]) *
                      ((double)x[k] * x[k] + (double)x[n + k] * x[n + k]);
        if (!(energy <= faint)) break; /* not a number: stay, and be found */
        last -= TOGETHER;
    }
    bank->place[PLACES * slot + ALIVE] = last;
}

/* Whether any gain moves in the coming segment, be it by a curve alone. */
static bool NAME(moves)(const rt_rows_bank *bank, int32_t slot)
{
    if (!bank->place[PLACES * slot + STEADY]) return true;
    for (int32_t layer = 0; layer < bank->recorded; layer++)
        if (curve_of(bank, slot, layer)[SLOPES] > 0.0) return true;
    return false;
}

/* Add undamped, kicked and ringing rows first...last - 1; `first` is a multiple of 8, as the states step by eights. */
static void NAME(add_ringing)(const rt_rows_bank *bank, int32_t slot, int64_t first, int64_t last, bool moving)
{
    const int32_t n = bank->rows;
    const int64_t table = bank->place[PLACES * slot + TABLE];
    if (first == last) return;
    bank->loops.ringing(NAME(part)(bank->powers, 2 * RT_HALF, table * n + first),
                        NAME(part)(bank->half, 2 * n, table) + first, NAME(part)(bank->x, 2 * n, slot) + first,
                        bank->middle, NAME(part)(bank->gains, 4 * n, slot) + first,
                        NAME(part)(bank->segments, 2 * RT_SEGMENT, slot), moving, n, last - first);
}

static void NAME(ringing_segment)(const rt_rows_bank *bank, int32_t slot, bool mono)
{
    const int32_t n = bank->rows;
    const int64_t *place = &bank->place[PLACES * slot];
    if (mono) {
        bank->loops.ringing_mono(NAME(part)(bank->powers, 2 * RT_HALF, place[TABLE] * n),
                                 NAME(part)(bank->half, 2 * n, place[TABLE]), NAME(part)(bank->x, 2 * n, slot),
                                 bank->middle, NAME(part)(bank->base, 2 * n, slot),
                                 NAME(part)(bank->segments, 2 * RT_SEGMENT, slot), n, place[ALIVE]);
    } else if (!place[STEADY] || !NAME(moves)(bank, slot)) {
        NAME(add_ringing)(bank, slot, 0, place[ALIVE], !place[STEADY]);
    } else { /* curves move lines, which are undamped, and nothing else */
        NAME(add_ringing)(bank, slot, 0, bank->kicked_from, true);
        NAME(add_ringing)(bank, slot, bank->kicked_from, place[ALIVE], false);
    }
    NAME(hold_radius)(bank, slot);
    NAME(drop_faint)(bank, slot);
}

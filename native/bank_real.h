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

/* ---- the start of a voice ---- */

/* What the probe puts in the place of Gaussians `first`...`first` + count - 1 of a note. */
static void NAME(probe)(const rt_rows_bank *bank, const rt_voice *voice, REAL *normals, int64_t first, int64_t count)
{
    memset(normals, 0, (size_t)count * sizeof(REAL));
    const int64_t at = bank->probe - first;
    if (voice->serial == 0 && at >= 0 && at < count) normals[at] = 1;
}

/* Every row from its own two Gaussians. */
static void NAME(ring)(const rt_rows_bank *bank, int32_t slot, int32_t key)
{
    const int32_t n = bank->rows;
    const REAL *z = bank->normals, *spread = NAME(law)(bank, key, RT_SPREAD);
    const REAL *mean_re = NAME(law)(bank, key, RT_MEAN_RE), *mean_im = NAME(law)(bank, key, RT_MEAN_IM);
    REAL *x = NAME(part)(bank->x, 2 * n, slot), *radius = NAME(part)(bank->radius, n, slot);
    for (int32_t k = 0; k < n; k++) {
        x[k] = mean_re[k] + spread[k] * z[k];
        x[n + k] = mean_im[k] + spread[k] * z[n + k];
    }
    for (int32_t k = 0; k < bank->ringing_from; k++) radius[k] = x[k] * x[k] + x[n + k] * x[n + k];
}

/* x = F z: the joint law of the innovations filter's states, so that the sum is stationary from sample 0. */
static void NAME(ring_jointly)(const rt_rows_bank *bank, int32_t slot, int32_t key)
{
    const int32_t size = 2 * bank->rows;
    const REAL *z = bank->normals, *factor = NAME(part)(bank->start, (int64_t)size * size, key);
    REAL *x = NAME(part)(bank->x, size, slot);
    for (int32_t i = 0; i < size; i++) {
        REAL sum = 0;
        for (int32_t j = 0; j <= i; j++) sum += factor[(int64_t)i * size + j] * z[j];
        x[i] = sum;
    }
}

/* Gains before envelopes: level and brightness of the velocity, and the fade below Nyquist. */
static void NAME(set_base)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    const int32_t n = bank->rows;
    const REAL *frequency = NAME(law)(bank, voice->key, RT_FREQUENCY), *tilt = NAME(law)(bank, voice->key, RT_TILT);
    const REAL *left = NAME(law)(bank, voice->key, RT_LEFT), *right = NAME(law)(bank, voice->key, RT_RIGHT);
    REAL *base = NAME(part)(bank->base, 2 * n, slot);
    for (int32_t k = 0; k < n; k++) {
        double gain = exp((double)tilt[k] * (voice->velocity - 1.0));
        const double cycles = (double)frequency[k] * voice->bend_ratio / bank->sample_rate;
        if (!bank->alias) gain *= fmin(1.0, fmax(0.0, (0.5 - cycles) / NYQUIST_FADE));
        base[k] = (REAL)(left[k] * gain);
        base[n + k] = (REAL)(right[k] * gain);
    }
}

/* ---- gains ---- */

/* Slopes of rows first...last - 1, from where their gains are to their share of left and right at `mix`. */
static void NAME(aim)(const rt_rows_bank *bank, int32_t slot, int32_t key, int32_t first, int32_t last,
                      REAL left, REAL right, REAL mix)
{
    const int32_t n = bank->rows;
    const REAL per_sample = (REAL)1 / RT_SEGMENT;
    const REAL *base = NAME(part)(bank->base, 2 * n, slot);
    REAL *gains = NAME(part)(bank->gains, 4 * n, slot);
    const REAL *before = NAME(law)(bank, key, RT_BEFORE), *after = NAME(law)(bank, key, RT_AFTER);
    for (int32_t k = first; k < last; k++) {
        const REAL share = bank->crossover ? (REAL)sqrt(before[k] + mix * (after[k] - before[k])) : (REAL)1;
        gains[LEFT_SLOPE * n + k] = (base[k] * (share * left) - gains[k]) * per_sample;
        gains[RIGHT_SLOPE * n + k] = (base[n + k] * (share * right) - gains[n + k]) * per_sample;
    }
}

static void NAME(arrive)(const rt_rows_bank *bank, int32_t slot, int32_t first, int32_t last)
{
    const int32_t n = bank->rows;
    REAL *gains = NAME(part)(bank->gains, 4 * n, slot);
    for (int32_t k = first; k < last; k++) {
        gains[k] += gains[LEFT_SLOPE * n + k] * RT_SEGMENT;
        gains[n + k] += gains[RIGHT_SLOPE * n + k] * RT_SEGMENT;
    }
}

/* The gains' base has changed: aim anew, whatever the envelope says. */
static void NAME(forget_goal)(const rt_rows_bank *bank, int32_t slot)
{
    NAME(part)(bank->goal, 3, slot)[0] = -1; /* no envelope is negative */
    bank->place[PLACES * slot + STEADY] = 0;
}

/* Most segments of a held note change nothing: then the slopes are zeroed once and left alone. */
static void NAME(steer)(const rt_rows_bank *bank, int32_t slot, int32_t key, int32_t alive,
                        REAL left, REAL right, REAL mix)
{
    const int32_t n = bank->rows;
    int64_t *steady = &bank->place[PLACES * slot + STEADY];
    REAL *goal = NAME(part)(bank->goal, 3, slot);
    if (goal[0] == left && goal[1] == right && goal[2] == mix) {
        REAL *slopes = NAME(part)(bank->gains, 4 * n, slot) + LEFT_SLOPE * n;
        if (!*steady) memset(slopes, 0, (size_t)(2 * n) * sizeof(REAL));
        *steady = 1;
        return;
    }
    *steady = 0;
    goal[0] = left;
    goal[1] = right;
    goal[2] = mix;
    NAME(aim)(bank, slot, key, 0, alive, left, right, mix);
    NAME(aim)(bank, slot, key, bank->noisy_from, n, left, right, mix);
}

static void NAME(start)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, REAL left, REAL right, REAL mix)
{
    const int32_t n = bank->rows;
    uint32_t *keys = bank->keys + 2 * (int64_t)n * slot;
    bank->place[PLACES * slot + ALIVE] = bank->alive[voice->key];
    bank->place[PLACES * slot + TABLE] = voice->key;
    NAME(forget_goal)(bank, slot);
    bank->loops.start(bank->seed, voice->serial, n, keys, keys + n, bank->normals);
    if (bank->probe != RT_DRAW) NAME(probe)(bank, voice, bank->normals, 0, 2 * n);
    if (bank->innovations)
        NAME(ring_jointly)(bank, slot, voice->key);
    else
        NAME(ring)(bank, slot, voice->key);
    NAME(set_base)(bank, slot, voice);
    memset(NAME(part)(bank->gains, 4 * n, slot), 0, (size_t)(4 * n) * sizeof(REAL));
    NAME(aim)(bank, slot, voice->key, 0, n, left, right, mix);
    NAME(arrive)(bank, slot, 0, n);
}

/* ---- pitch ---- */

/* lambda, lambda^0...lambda^31 and lambda^32 of a row, by doubling. */
static void NAME(write_motion)(const rt_rows_bank *bank, int64_t table, int32_t k, double re, double im)
{
    const int32_t n = bank->rows;
    REAL *powers = NAME(part)(bank->powers, 2 * RT_SEGMENT, table * n + k);
    REAL *step = NAME(part)(bank->step, 2 * n, table), *advance = NAME(part)(bank->advance, 2 * n, table);
    step[k] = (REAL)re;
    step[n + k] = (REAL)im;
    powers[0] = 1;
    powers[RT_SEGMENT] = 0;
    for (int32_t done = 1; done < RT_SEGMENT; done *= 2) { /* re + i im = lambda^done */
        for (int32_t t = 0; t < done; t++) {
            const double a = powers[t], b = powers[t + RT_SEGMENT];
            powers[t + done] = (REAL)(a * re - b * im);
            powers[t + done + RT_SEGMENT] = (REAL)(a * im + b * re);
        }
        const double square = re * re - im * im;
        im = 2.0 * re * im;
        re = square;
    }
    advance[k] = (REAL)re;
    advance[n + k] = (REAL)im;
}

/* Follow the voice's bend_ratio with motion tables of its own. Only lambda's angle changes: noise and gains stay. */
static void NAME(turn)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    NAME(set_base)(bank, slot, voice);
    NAME(forget_goal)(bank, slot);
    bank->place[PLACES * slot + TABLE] = voice->bend_ratio == 1.0 ? voice->key : RT_KEYS + slot;
    if (voice->bend_ratio == 1.0) return;
    const REAL *frequency = NAME(law)(bank, voice->key, RT_FREQUENCY);
    const REAL *damping = NAME(law)(bank, voice->key, RT_DAMPING);
    for (int32_t k = 0; k < bank->rows; k++) {
        const double radius = exp(-(double)damping[k] / bank->sample_rate);
        const double angle = 2.0 * PI * (double)frequency[k] * voice->bend_ratio / bank->sample_rate;
        NAME(write_motion)(bank, RT_KEYS + slot, k, radius * cos(angle), radius * sin(angle));
    }
}

/* ---- segments ---- */

/* Undamped rows keep their radius: one Newton step towards it undoes the rounding of a segment. */
static void NAME(hold_radius)(const rt_rows_bank *bank, int32_t slot)
{
    const int32_t n = bank->rows;
    REAL *x = NAME(part)(bank->x, 2 * n, slot);
    const REAL *radius = NAME(part)(bank->radius, n, slot);
    for (int32_t k = 0; k < bank->ringing_from; k++) {
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
        for (int64_t k = last - UNROLL; k < last; k++)
            energy += ((double)base[k] * base[k] + (double)base[n + k] * base[n + k]) *
                      ((double)x[k] * x[k] + (double)x[n + k] * x[n + k]);
        if (!(energy <= faint)) break; /* not a number: stay, and be found */
        last -= UNROLL;
    }
    bank->place[PLACES * slot + ALIVE] = last;
}

static void NAME(ringing_segment)(const rt_rows_bank *bank, int32_t slot)
{
    const int32_t n = bank->rows;
    const int64_t table = bank->place[PLACES * slot + TABLE];
    bank->loops.ringing(NAME(part)(bank->powers, 2 * RT_SEGMENT, table * n), NAME(part)(bank->advance, 2 * n, table),
                        NAME(part)(bank->x, 2 * n, slot), NAME(part)(bank->gains, 4 * n, slot),
                        NAME(part)(bank->segments, 2 * RT_SEGMENT, slot), n, bank->place[PLACES * slot + ALIVE]);
    NAME(hold_radius)(bank, slot);
    NAME(drop_faint)(bank, slot);
}

static void NAME(noisy_segment)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    const int32_t n = bank->rows, first = bank->noisy_from, count = n - first;
    const int64_t table = bank->place[PLACES * slot + TABLE], drawn = 2 * RT_SEGMENT * (int64_t)count;
    const uint32_t *keys = bank->keys + 2 * (int64_t)n * slot + first;
    if (bank->probe == RT_DRAW)
        bank->loops.draw(keys, keys + n, voice->age * RT_SEGMENT, RT_SEGMENT, count, bank->noise);
    else
        NAME(probe)(bank, voice, bank->noise, 2 * n + voice->age * drawn, drawn);
    bank->loops.noisy(NAME(part)(bank->step, 2 * n, table) + first, NAME(law)(bank, voice->key, RT_NOISE) + first,
                      bank->noise, NAME(part)(bank->x, 2 * n, slot) + first,
                      NAME(part)(bank->gains, 4 * n, slot) + first, NAME(part)(bank->segments, 2 * RT_SEGMENT, slot),
                      n, count);
}

/* The segment's innovations and, behind them, the same backwards. */
static void NAME(draw_innovations)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    const int32_t n = bank->rows;
    const uint32_t *keys = bank->keys + 2 * (int64_t)n * slot;
    const REAL deviation = *NAME(part)(bank->deviation, 1, voice->key);
    REAL *ahead = NAME(part)(bank->ahead, RT_AHEAD * RT_SEGMENT, slot);
    REAL *e = (REAL *)bank->innovation + RT_SEGMENT;
    if (bank->probe == RT_DRAW) {
        if (voice->age % RT_AHEAD == 0)
            bank->loops.draw_scalar(keys, keys + n, voice->age * RT_SEGMENT, RT_AHEAD, (double)deviation, ahead);
        memcpy(e, ahead + voice->age % RT_AHEAD * RT_SEGMENT, RT_SEGMENT * sizeof(REAL));
    } else {
        NAME(probe)(bank, voice, e, 2 * n + voice->age * RT_SEGMENT, RT_SEGMENT);
        for (int32_t t = 0; t < RT_SEGMENT; t++) e[t] *= deviation;
    }
    for (int32_t t = 0; t < RT_SEGMENT; t++) e[RT_SEGMENT + t] = e[RT_SEGMENT - 1 - t];
}

static void NAME(innovations_segment)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    const int32_t n = bank->rows;
    const int64_t table = bank->place[PLACES * slot + TABLE];
    REAL *y = NAME(part)(bank->segments, 2 * RT_SEGMENT, slot);
    const REAL *gains = NAME(part)(bank->gains, 4 * n, slot);
    NAME(draw_innovations)(bank, slot, voice);
    bank->loops.innovations(NAME(part)(bank->powers, 2 * RT_SEGMENT, table * n),
                            NAME(part)(bank->advance, 2 * n, table), NAME(part)(bank->gain, 2 * n, voice->key),
                            NAME(part)(bank->response, RT_SEGMENT, voice->key), bank->innovation,
                            NAME(part)(bank->x, 2 * n, slot), y, n, bank->alive[voice->key]);
    /* One gain for all rows: that of row 0. */
    for (int32_t t = 0; t < RT_SEGMENT; t++) {
        const REAL both = y[t];
        y[t] = both * (gains[LEFT_NOW * n] + gains[LEFT_SLOPE * n] * (REAL)t);
        y[RT_SEGMENT + t] = both * (gains[RIGHT_NOW * n] + gains[RIGHT_SLOPE * n] * (REAL)t);
    }
}

/* Fill the voice's segment; 0 where nothing is left that could sound after it. */
static int32_t NAME(segment)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice,
                             REAL left, REAL right, REAL mix)
{
    const int64_t *place = &bank->place[PLACES * slot];
    const int32_t alive = bank->innovations ? 1 : (int32_t)place[ALIVE];
    const bool noisy = bank->noisy_from < bank->rows;
    memset(NAME(part)(bank->segments, 2 * RT_SEGMENT, slot), 0, 2 * RT_SEGMENT * sizeof(REAL));
    NAME(steer)(bank, slot, voice->key, alive, left, right, mix);
    if (bank->innovations)
        NAME(innovations_segment)(bank, slot, voice);
    else if (alive > 0)
        NAME(ringing_segment)(bank, slot);
    if (noisy) NAME(noisy_segment)(bank, slot, voice);
    if (!place[STEADY]) {
        NAME(arrive)(bank, slot, 0, alive);
        NAME(arrive)(bank, slot, bank->noisy_from, bank->rows);
    }
    return bank->innovations || noisy || place[ALIVE] > 0;
}

static int32_t NAME(bank_call)(const rt_rows_bank *bank, int32_t call, int32_t slot, const rt_voice *voice,
                               REAL left, REAL right, REAL mix)
{
    switch (call) {
    case RT_BANK_SEGMENT: return NAME(segment)(bank, slot, voice, left, right, mix);
    case RT_BANK_START: NAME(start)(bank, slot, voice, left, right, mix); return 1;
    default: NAME(turn)(bank, slot, voice); return 1;
    }
}

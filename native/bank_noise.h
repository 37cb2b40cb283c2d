/* Noise of rows that live. Part of bank_real.h. */

/* ---- noise ---- */

/* Each row's share of noise of its own, and of its take's: bank->shares, (2, R), both times `scale` where there is one. */
static const REAL *NAME(find_shares)(const rt_rows_bank *bank, const rt_voice *voice, int32_t first, int32_t count,
                                     const REAL *scale)
{
    REAL *fresh = bank->shares, *taken = fresh + bank->rows;
    for (int32_t k = 0; k < count; k++) {
        const REAL variance = NAME(variance)(bank, voice, first + k), of = scale ? scale[k] : (REAL)1;
        fresh[k] = of * (REAL)sqrt(variance);
        taken[k] = of * (REAL)sqrt(1 - variance);
    }
    return bank->shares;
}

/* Where loops read bank->noise, (RT_SEGMENT, 2, count), as if it were a table. */
static void NAME(own_places)(uint32_t *at, int32_t count)
{
    for (int32_t group = 0; group * RT_WINDOW_ROWS < count; group++)
        for (int32_t i = 0; i < 2 * RT_SEGMENT; i++) {
            const int32_t part = i / RT_SEGMENT, t = i % RT_SEGMENT;
            at[2 * RT_SEGMENT * group + i] = (uint32_t)((2 * t + part) * count + RT_WINDOW_ROWS * group);
        }
}

/* bank->noise (RT_SEGMENT, 2, count) from the table at both places, in the rows' shares. */
static void NAME(mix_noise)(const rt_rows_bank *bank, const rt_voice *voice, int32_t first, int32_t count)
{
    const REAL *fresh = NAME(find_shares)(bank, voice, first, count, NULL), *taken = fresh + bank->rows;
    const REAL *table = bank->windows;
    for (int32_t k = 0; k < count; k += RT_WINDOW_ROWS)
        for (int32_t i = 0; i < 2 * RT_SEGMENT; i++) {
            const int64_t place = 2 * RT_SEGMENT * (k / RT_WINDOW_ROWS) + i;
            const REAL *new = table + bank->at[place], *old = table + bank->take_at[place];
            REAL *noise = (REAL *)bank->noise + (int64_t)count * (2 * (i % RT_SEGMENT) + i / RT_SEGMENT);
            for (int32_t row = k; row < count && row < k + RT_WINDOW_ROWS; row++)
                noise[row] = fresh[row] * new[row - k] + taken[row] * old[row - k];
        }
}

/* The same where the probe says what is drawn; `number` is that of the first of these Gaussians. */
static void NAME(probe_noise)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, int32_t first,
                              int32_t count, int64_t number)
{
    const int64_t *place = &bank->place[PLACES * slot];
    const REAL *shares = NAME(find_shares)(bank, voice, first, count, NULL);
    const int64_t size = 2 * RT_SEGMENT * (int64_t)count;
    REAL *noise = bank->noise;
    memset(noise, 0, (size_t)size * sizeof(REAL));
    for (int32_t taken = 0; taken < 2; taken++) {
        const int64_t at = bank->probe - number - (taken ? RT_TAKE : 0);
        if (!place[taken ? TAKEN : FRESH] || voice->serial != 0 || at < 0 || at >= size) continue;
        noise[at] = shares[taken * bank->rows + at % count];
    }
}

/* A segment's Gaussians of a group of rows: anew, of the key's take, or of both in each row's shares. Returns what the
   loops read, at the places in bank->at. */
static const REAL *NAME(draw_noise)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, int32_t first,
                                    int32_t count)
{
    const int32_t n = bank->rows, pairs = (n - bank->paired_from) / 2;
    const int64_t *place = &bank->place[PLACES * slot];
    const int64_t of_row = 2 * RT_SEGMENT, kicked = bank->ringing_from - bank->kicked_from;
    const int64_t drawn = of_row * (n - pairs - bank->noisy_from) + 2 * kicked;
    if (bank->probe == RT_DRAW) {
        for (int32_t taken = 0; taken < 2; taken++) {
            const uint32_t *keys = (taken ? bank->takes : bank->keys) + 2 * (int64_t)n * slot + first;
            uint32_t *at = taken && place[FRESH] ? bank->take_at : bank->at;
            if (place[taken ? TAKEN : FRESH])
                bank->loops.windows(keys, keys + n, voice->age * RT_SEGMENT, RT_SEGMENT, count, at);
        }
        if (!place[FRESH] || !place[TAKEN]) return bank->windows;
        NAME(mix_noise)(bank, voice, first, count);
    } else {
        NAME(probe_noise)(bank, slot, voice, first, count,
                          2 * n + voice->age * drawn + of_row * (first - bank->noisy_from));
    }
    NAME(own_places)(bank->at, count);
    return bank->noise;
}

/* Add noisy rows, or one of the two halves of the bands, driven by `noise` at the places in bank->at. */
static void NAME(add_noisy)(const rt_rows_bank *bank, int32_t slot, int64_t table, int32_t first, int32_t count,
                            const REAL *noise, bool mono, bool moving)
{
    const int32_t n = bank->rows;
    const REAL *step = NAME(part)(bank->step, 2 * n, table) + first;
    REAL *x = NAME(part)(bank->x, 2 * n, slot) + first, *y = NAME(part)(bank->segments, 2 * RT_SEGMENT, slot);
    if (mono)
        bank->loops.noisy_mono(step, noise, bank->at, x, NAME(part)(bank->base, 2 * n, slot) + first, y, n, count);
    else
        bank->loops.noisy(step, noise, bank->at, x, NAME(part)(bank->gains, 4 * n, slot) + first, y, moving, n, count);
}

static void NAME(noisy_segment)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, bool mono)
{
    const int64_t *place = &bank->place[PLACES * slot];
    const int32_t first = bank->noisy_from, count = bank->paired_from - first;
    if (count == 0) return;
    const REAL *noise = NAME(draw_noise)(bank, slot, voice, first, count);
    NAME(add_noisy)(bank, slot, place[TABLE], first, count, noise, mono, !place[STEADY]);
}

/* Bands: both halves of the paired rows on the same noise; the unit of the second half is negative. */
static void NAME(paired_segment)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, bool mono)
{
    const int32_t n = bank->rows, pairs = (n - bank->paired_from) / 2;
    if (pairs == 0) return;
    const REAL *noise = NAME(draw_noise)(bank, slot, voice, bank->paired_from, pairs);
    const bool moving = NAME(moves)(bank, slot);
    for (int32_t first = bank->paired_from; first < n; first += pairs)
        NAME(add_noisy)(bank, slot, voice->string, first, pairs, noise, mono, moving);
}

/* A Gaussian to the states of kicked rows, at the end of the segment. Places are found for RT_SEGMENT segments at once. */
static void NAME(kick)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    const int32_t n = bank->rows, first = bank->kicked_from, count = bank->ringing_from - first;
    const int64_t *place = &bank->place[PLACES * slot], places = 2 * RT_SEGMENT * ((n - 1) / RT_WINDOW_ROWS + 1);
    const int64_t of_noisy = 2 * RT_SEGMENT * (n - (n - bank->paired_from) / 2 - bank->noisy_from);
    const int64_t t = bank->probe == RT_DRAW ? voice->age % RT_SEGMENT : 0;
    const REAL *scale = NAME(law)(bank, voice->string, RT_NOISE) + first, *noise = bank->windows;
    const bool both = place[FRESH] && place[TAKEN];
    if (count == 0) return;
    if (both) scale = NAME(find_shares)(bank, voice, first, count, scale);
    for (int32_t taken = 0; taken < 2; taken++) {
        if (!place[taken ? TAKEN : FRESH]) continue;
        const uint32_t *keys = (taken ? bank->takes : bank->keys) + 2 * (int64_t)n * slot + first;
        uint32_t *at = bank->kicks + places * (2 * slot + taken);
        if (bank->probe != RT_DRAW) {
            const int64_t number = 2 * n + voice->age * (of_noisy + 2 * count) + of_noisy;
            NAME(probe)(bank, voice, bank->noise, number + (taken ? RT_TAKE : 0), 2 * count);
            NAME(own_places)(at, count);
            noise = bank->noise;
        } else if (t == 0) {
            bank->loops.windows(keys, keys + n, voice->age, RT_SEGMENT, count, at);
        }
        bank->loops.kick(both && taken ? scale + n : scale, noise, at, t, NAME(part)(bank->x, 2 * n, slot) + first, n,
                         count);
    }
}

/* ---- innovations ---- */

/* As many segments of innovations as are drawn at once, from these keys. */
static void NAME(draw_ahead)(const rt_rows_bank *bank, const uint32_t *keys, const rt_voice *voice, REAL deviation,
                             REAL *ahead)
{
    bank->loops.draw_scalar(keys, keys + bank->rows, voice->age * RT_SEGMENT, RT_AHEAD, (double)deviation, ahead);
}

/* The same for a proof. */
static void NAME(probe_ahead)(const rt_rows_bank *bank, const rt_voice *voice, int64_t first, REAL deviation, REAL *ahead)
{
    NAME(probe)(bank, voice, ahead, first + 2 * bank->rows + voice->age * RT_SEGMENT, RT_AHEAD * RT_SEGMENT);
    for (int32_t t = 0; t < RT_AHEAD * RT_SEGMENT; t++) ahead[t] *= deviation;
}

/* The coming segments' innovations: drawn anew and from the key's take, as the variance knob stood. */
static void NAME(fill_ahead)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, REAL *ahead)
{
    const int64_t *place = &bank->place[PLACES * slot];
    const REAL deviation = *NAME(part)(bank->deviation, 1, voice->string), variance = NAME(variance)(bank, voice, 0);
    const int64_t at = 2 * (int64_t)bank->rows * slot;
    const REAL fresh = (REAL)sqrt(variance), taken = (REAL)sqrt(1 - variance);
    REAL *take = bank->take_noise;
    if (bank->probe == RT_DRAW)
        NAME(draw_ahead)(bank, bank->keys + at, voice, deviation, ahead);
    else
        NAME(probe_ahead)(bank, voice, 0, deviation, ahead);
    if (!place[TAKEN]) return;
    if (bank->probe == RT_DRAW)
        NAME(draw_ahead)(bank, bank->takes + at, voice, deviation, take);
    else
        NAME(probe_ahead)(bank, voice, RT_TAKE, deviation, take);
    for (int32_t t = 0; t < RT_AHEAD * RT_SEGMENT; t++) ahead[t] = fresh * ahead[t] + taken * take[t];
}

/* Add a segment of the innovations form to y (RT_SEGMENT,). */
static void NAME(innovations_segment)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    const int32_t n = bank->rows;
    const int64_t table = bank->place[PLACES * slot + TABLE];
    REAL *ahead = NAME(part)(bank->ahead, RT_AHEAD * RT_SEGMENT, slot);
    if (voice->age % RT_AHEAD == 0) NAME(fill_ahead)(bank, slot, voice, ahead);
    bank->loops.innovations(NAME(part)(bank->powers, 2 * RT_HALF, table * n),
                            NAME(part)(bank->turned, 2 * RT_HALF * n, table), NAME(part)(bank->half, 2 * n, table),
                            NAME(part)(bank->gain, 2 * n, voice->string), NAME(part)(bank->response, RT_SEGMENT, voice->string),
                            ahead + voice->age % RT_AHEAD * RT_SEGMENT, NAME(part)(bank->x, 2 * n, slot), bank->middle,
                            NAME(part)(bank->segments, 2 * RT_SEGMENT, slot), n, bank->alive[voice->string]);
}

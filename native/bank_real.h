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

/* What the probe puts in the place of Gaussians `first`...`first` + count - 1 of a note, or of its take. */
static void NAME(probe)(const rt_rows_bank *bank, const rt_voice *voice, REAL *normals, int64_t first, int64_t count)
{
    memset(normals, 0, (size_t)count * sizeof(REAL));
    const int64_t at = bank->probe - first;
    if (voice->serial == 0 && at >= 0 && at < count) normals[at] = 1;
}

/* Share of a row's power that is drawn anew: as the knob stood at the note's start, or its own. */
static REAL NAME(variance)(const rt_rows_bank *bank, const rt_voice *voice, int32_t k)
{
    if (voice->variance >= 0.0) return (REAL)voice->variance;
    return bank->innovations ? (REAL)1 : NAME(law)(bank, voice->key, RT_VARIANCE)[k];
}

/* The keys of the voice's noise, the Gaussians of its start, and what it needs of the same of its key's take. */
static void NAME(draw_start)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    const int32_t n = bank->rows;
    const REAL *noise = NAME(law)(bank, voice->key, RT_NOISE);
    int64_t *place = &bank->place[PLACES * slot];
    uint32_t *keys = bank->keys + 2 * (int64_t)n * slot, *takes = bank->takes + 2 * (int64_t)n * slot;
    place[FRESH] = place[TAKEN] = 0;
    for (int32_t k = bank->innovations ? 0 : bank->noisy_from; k < n; k++) {
        const REAL variance = NAME(variance)(bank, voice, k);
        if (!bank->innovations && noise[k] == 0) continue; /* padding */
        place[FRESH] |= variance > 0;
        place[TAKEN] |= variance < 1;
    }
    bank->loops.start(bank->seed, voice->serial, n, keys, keys + n, bank->normals);
    if (bank->probe != RT_DRAW) NAME(probe)(bank, voice, bank->normals, 0, 2 * n);
    if (!place[TAKEN]) return;
    /* No note has a negative serial number. */
    bank->loops.start(bank->seed, -1 - (int64_t)voice->key, n, takes, takes + n, bank->take_normals);
    if (bank->probe != RT_DRAW) NAME(probe)(bank, voice, bank->take_normals, RT_TAKE, 2 * n);
}

/* The Gaussians of rows whose start has no mean, drawn anew and from the take in their shares. */
static void NAME(mix_normals)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, int32_t first)
{
    const int32_t n = bank->rows;
    REAL *z = bank->normals;
    const REAL *take = bank->take_normals;
    if (!bank->place[PLACES * slot + TAKEN]) return;
    for (int32_t k = first; k < n; k++) {
        const REAL variance = NAME(variance)(bank, voice, k);
        const REAL fresh = (REAL)sqrt(variance), taken = (REAL)sqrt(1 - variance);
        z[k] = taken * take[k] + fresh * z[k];
        z[n + k] = taken * take[n + k] + fresh * z[n + k];
    }
}

/* Every row from its own two Gaussians. */
static void NAME(ring)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    const int32_t n = bank->rows, key = voice->key;
    const REAL *z = bank->normals, *spread = NAME(law)(bank, key, RT_SPREAD);
    const REAL *mean_re = NAME(law)(bank, key, RT_MEAN_RE), *mean_im = NAME(law)(bank, key, RT_MEAN_IM);
    REAL *x = NAME(part)(bank->x, 2 * n, slot), *radius = NAME(part)(bank->radius, n, slot);
    for (int32_t k = 0; k < bank->paired_from; k++) {
        const REAL variance = NAME(variance)(bank, voice, k);
        const REAL drawn = (REAL)sqrt(variance) * spread[k], same = (REAL)sqrt(1 - variance);
        x[k] = same * mean_re[k] + drawn * z[k];
        x[n + k] = same * mean_im[k] + drawn * z[n + k];
    }
    for (int32_t k = 0; k < bank->ringing_from; k++) radius[k] = x[k] * x[k] + x[n + k] * x[n + k];
}

/* The two rows of a band from their joint law, so that it is stationary from sample 0. */
static void NAME(ring_pairs)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    const int32_t n = bank->rows, pairs = (n - bank->paired_from) / 2;
    const REAL *z = bank->normals, *spread = NAME(law)(bank, voice->key, RT_SPREAD);
    const REAL *re = NAME(law)(bank, voice->key, RT_LINK_RE), *im = NAME(law)(bank, voice->key, RT_LINK_IM);
    REAL *x = NAME(part)(bank->x, 2 * n, slot);
    NAME(mix_normals)(bank, slot, voice, bank->paired_from);
    for (int32_t i = bank->paired_from; i < bank->paired_from + pairs; i++) {
        const int32_t j = i + pairs;
        x[i] = spread[i] * z[i];
        x[n + i] = spread[i] * z[n + i];
        x[j] = re[j] * z[i] - im[j] * z[n + i] + spread[j] * z[j];
        x[n + j] = im[j] * z[i] + re[j] * z[n + i] + spread[j] * z[n + j];
    }
}

/* x = F z: the joint law of the innovations filter's states, so that the sum is stationary from sample 0. */
static void NAME(ring_jointly)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    const int32_t size = 2 * bank->rows;
    const REAL *z = bank->normals, *factor = NAME(part)(bank->start, (int64_t)size * size, voice->key);
    REAL *x = NAME(part)(bank->x, size, slot);
    NAME(mix_normals)(bank, slot, voice, 0);
    for (int32_t i = 0; i < size; i++) {
        REAL sum = 0;
        for (int32_t j = 0; j <= i; j++) sum += factor[(int64_t)i * size + j] * z[j];
        x[i] = sum;
    }
}

/* ---- gains ---- */

/* The slopes that take row k from where its gains are to this share of left and right. */
static void NAME(aim_row)(const rt_rows_bank *bank, const REAL *base, REAL *gains, int32_t k, REAL left, REAL right)
{
    const int32_t n = bank->rows;
    const REAL per_sample = (REAL)1 / RT_SEGMENT;
    gains[LEFT_SLOPE * n + k] = (base[k] * left - gains[k]) * per_sample;
    gains[RIGHT_SLOPE * n + k] = (base[n + k] * right - gains[n + k]) * per_sample;
}

/* Slopes of rows first...last - 1 to their goal. Rows with curves of their own are aimed again by `aim_curves`. */
static void NAME(aim)(const rt_rows_bank *bank, int32_t slot, int32_t key, int32_t first, int32_t last)
{
    const int32_t n = bank->rows;
    const REAL *goal = NAME(part)(bank->goal, RISES + bank->recorded, slot);
    const REAL *base = NAME(part)(bank->base, 2 * n, slot);
    REAL *gains = NAME(part)(bank->gains, 4 * n, slot);
    const REAL *before = NAME(law)(bank, key, RT_BEFORE), *after = NAME(law)(bank, key, RT_AFTER);
    const REAL *rise = NAME(law)(bank, key, RT_RISE);
    for (int32_t k = first; k < last; k++) {
        REAL share = bank->crossover ? (REAL)sqrt(before[k] + goal[MIX_GOAL] * (after[k] - before[k])) : (REAL)1;
        if (bank->recorded && rise[k] > 0) share *= goal[RISES + (int32_t)rise[k] - 1];
        NAME(aim_row)(bank, base, gains, k, share * goal[LEFT_GOAL], share * goal[RIGHT_GOAL]);
    }
}

/* Slopes of a recorded layer's lines and bands to where its curves are now. */
static void NAME(aim_curves)(const rt_rows_bank *bank, int32_t slot, int32_t key, int32_t layer)
{
    const int32_t n = bank->rows, pairs = (n - bank->paired_from) / 2;
    const int64_t *part = bank->parts + (int64_t)RT_PART_COLUMNS * layer, width = part[RT_LINES] + part[RT_BANDS];
    const double *axis = axis_of(bank, key, layer);
    double *curve = curve_of(bank, slot, layer), way;
    const int64_t point = find_point(bank, axis, curve[WHERE], (int64_t)curve[POINT], &way);
    const REAL *goal = NAME(part)(bank->goal, RISES + bank->recorded, slot);
    const REAL *base = NAME(part)(bank->base, 2 * n, slot);
    const REAL *from = (const REAL *)bank->curves + (int64_t)axis[RT_GAINS_FROM] + point * width;
    const REAL *to = axis[RT_POINTS] > 1 ? from + width : from, share = (REAL)way;
    REAL *gains = NAME(part)(bank->gains, 4 * n, slot);
    curve[POINT] = (double)point;
    for (int32_t c = 0; c < (int32_t)width; c++) {
        const REAL gain = (1 - share) * from[c] + share * to[c];
        const REAL left = gain * goal[LEFT_GOAL], right = gain * goal[RIGHT_GOAL];
        const int32_t band = c - (int32_t)part[RT_LINES];
        const int32_t k = (int32_t)(band < 0 ? part[RT_LINES_FROM] + c : part[RT_BANDS_FROM] + band);
        NAME(aim_row)(bank, base, gains, k, left, right);
        if (band >= 0) NAME(aim_row)(bank, base, gains, k + pairs, left, right);
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

static void NAME(arrive_curves)(const rt_rows_bank *bank, int32_t slot, int32_t layer)
{
    const int64_t *part = bank->parts + (int64_t)RT_PART_COLUMNS * layer;
    const int32_t pairs = (bank->rows - bank->paired_from) / 2;
    const int32_t lines = (int32_t)part[RT_LINES_FROM], bands = (int32_t)part[RT_BANDS_FROM];
    NAME(arrive)(bank, slot, lines, lines + (int32_t)part[RT_LINES]);
    NAME(arrive)(bank, slot, bands, bands + (int32_t)part[RT_BANDS]);
    NAME(arrive)(bank, slot, bands + pairs, bands + pairs + (int32_t)part[RT_BANDS]);
}

/* The gains' base has changed: aim anew, whatever the envelope says. */
static void NAME(forget_goal)(const rt_rows_bank *bank, int32_t slot)
{
    NAME(part)(bank->goal, RISES + bank->recorded, slot)[LEFT_GOAL] = -1; /* no envelope is negative */
    bank->place[PLACES * slot + STEADY] = 0;
}

/* Set where gains go at grid point `grid`; false where that is where they are. */
static bool NAME(set_goal)(const rt_rows_bank *bank, int32_t slot, int32_t key, int64_t grid,
                           REAL left, REAL right, REAL mix)
{
    REAL *goal = NAME(part)(bank->goal, RISES + bank->recorded, slot);
    bool changed = goal[LEFT_GOAL] != left || goal[RIGHT_GOAL] != right || goal[MIX_GOAL] != mix;
    goal[LEFT_GOAL] = left;
    goal[RIGHT_GOAL] = right;
    goal[MIX_GOAL] = mix;
    for (int32_t layer = 0; layer < bank->recorded; layer++) {
        const REAL rise = (REAL)risen(axis_of(bank, key, layer), (double)(grid * RT_SEGMENT));
        changed |= goal[RISES + layer] != rise;
        goal[RISES + layer] = rise;
    }
    return changed;
}

static void NAME(stand_still)(const rt_rows_bank *bank, int32_t slot)
{
    const int32_t n = bank->rows;
    REAL *slopes = NAME(part)(bank->gains, 4 * n, slot) + LEFT_SLOPE * n;
    memset(slopes, 0, (size_t)(2 * n) * sizeof(REAL));
    for (int32_t layer = 0; layer < bank->recorded; layer++) curve_of(bank, slot, layer)[SLOPES] = 0.0;
}

/* Whether a layer has slopes that its curves no longer ask for. */
static bool NAME(has_stopped)(const rt_rows_bank *bank, int32_t slot)
{
    for (int32_t layer = 0; layer < bank->recorded; layer++) {
        const double *curve = curve_of(bank, slot, layer);
        if (curve[SLOPES] > curve[MOVING]) return true;
    }
    return false;
}

/* Most segments of a held note change nothing: then the slopes are zeroed once and left alone. What curves move is
   aimed in every segment until the last point is held. */
static void NAME(steer)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, int32_t alive,
                        REAL left, REAL right, REAL mix)
{
    int64_t *steady = &bank->place[PLACES * slot + STEADY];
    const bool changed = NAME(set_goal)(bank, slot, voice->key, voice->age + 1, left, right, mix);
    if (changed) {
        NAME(aim)(bank, slot, voice->key, 0, alive);
        NAME(aim)(bank, slot, voice->key, bank->noisy_from, bank->rows);
    } else if (!*steady || NAME(has_stopped)(bank, slot)) {
        NAME(stand_still)(bank, slot);
    }
    *steady = !changed;
    for (int32_t layer = 0; layer < bank->recorded; layer++) {
        double *curve = curve_of(bank, slot, layer);
        if (!changed && curve[MOVING] == 0.0) continue;
        NAME(aim_curves)(bank, slot, voice->key, layer);
        curve[SLOPES] = 1.0;
    }
}

static void NAME(arrive_all)(const rt_rows_bank *bank, int32_t slot, int32_t alive)
{
    if (!bank->place[PLACES * slot + STEADY]) {
        NAME(arrive)(bank, slot, 0, alive);
        NAME(arrive)(bank, slot, bank->noisy_from, bank->rows);
        return;
    }
    for (int32_t layer = 0; layer < bank->recorded; layer++)
        if (curve_of(bank, slot, layer)[SLOPES] > 0.0) NAME(arrive_curves)(bank, slot, layer);
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

/* Gains before envelopes of rows first...last - 1 at a frequency ratio: level and brightness of the velocity, and the
   fade below Nyquist, which bands have in their gains. */
static void NAME(set_base)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, int32_t first, int32_t last,
                           double ratio)
{
    const int32_t n = bank->rows;
    const REAL *frequency = NAME(law)(bank, voice->key, RT_FREQUENCY), *tilt = NAME(law)(bank, voice->key, RT_TILT);
    const REAL *left = NAME(law)(bank, voice->key, RT_LEFT), *right = NAME(law)(bank, voice->key, RT_RIGHT);
    REAL *base = NAME(part)(bank->base, 2 * n, slot);
    for (int32_t k = first; k < last; k++) {
        double gain = exp((double)tilt[k] * (voice->velocity - 1.0));
        const double cycles = (double)frequency[k] * ratio / bank->sample_rate;
        if (!bank->alias && k < bank->paired_from) gain *= fmin(1.0, fmax(0.0, (0.5 - cycles) / NYQUIST_FADE));
        base[k] = (REAL)(left[k] * gain);
        base[n + k] = (REAL)(right[k] * gain);
    }
}

/* Only lambda's angle changes: noise and decay stay. */
static void NAME(bend_rows)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, int32_t first, int32_t last,
                            double ratio)
{
    const REAL *frequency = NAME(law)(bank, voice->key, RT_FREQUENCY);
    const REAL *damping = NAME(law)(bank, voice->key, RT_DAMPING);
    for (int32_t k = first; k < last; k++) {
        const double radius = exp(-(double)damping[k] / bank->sample_rate);
        const double angle = 2.0 * PI * (double)frequency[k] * ratio / bank->sample_rate;
        NAME(write_motion)(bank, RT_KEYS + slot, k, radius * cos(angle), radius * sin(angle));
    }
}

/* The lines of a recorded layer, by the wheel and by their own pitch. */
static void NAME(tune_lines)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, int32_t layer)
{
    const int64_t *part = bank->parts + (int64_t)RT_PART_COLUMNS * layer;
    const int32_t first = (int32_t)part[RT_LINES_FROM], last = first + (int32_t)part[RT_LINES];
    const double ratio = voice->bend_ratio * exp2(curve_of(bank, slot, layer)[OCTAVES]);
    NAME(set_base)(bank, slot, voice, first, last, ratio);
    NAME(bend_rows)(bank, slot, voice, first, last, ratio);
}

/* All rows at the voice's pitch, with motion tables of its own where that is not the key's. Bands stay where they are. */
static void NAME(tune)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    bool own = voice->bend_ratio != 1.0;
    for (int32_t layer = 0; layer < bank->recorded; layer++) own |= axis_of(bank, voice->key, layer)[RT_BENDS] > 0.0;
    bank->place[PLACES * slot + TABLE] = own ? RT_KEYS + slot : voice->key;
    NAME(set_base)(bank, slot, voice, 0, bank->rows, voice->bend_ratio);
    if (!own) return;
    NAME(bend_rows)(bank, slot, voice, 0, bank->paired_from, voice->bend_ratio);
    for (int32_t layer = 0; layer < bank->recorded; layer++)
        if (axis_of(bank, voice->key, layer)[RT_BENDS] > 0.0) NAME(tune_lines)(bank, slot, voice, layer);
}

/* Follow the voice's bend_ratio. */
static void NAME(turn)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    NAME(tune)(bank, slot, voice);
    NAME(forget_goal)(bank, slot);
}

/* ---- the start of a voice, and its way along the curves ---- */

/* The pitch of a layer's lines in the coming segment. */
static void NAME(follow_pitch)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, int32_t layer)
{
    double *curve = curve_of(bank, slot, layer);
    const double *axis = axis_of(bank, voice->key, layer);
    if (axis[RT_BENDS] == 0.0) return;
    const double octaves = octaves_ahead(bank, axis, curve, voice->sustained);
    if (octaves == curve[OCTAVES]) return;
    curve[OCTAVES] = octaves;
    NAME(tune_lines)(bank, slot, voice, layer);
}

/* To the end of the coming segment. */
static void NAME(follow_curves)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    for (int32_t layer = 0; layer < bank->recorded; layer++) {
        double *curve = curve_of(bank, slot, layer);
        const double *axis = axis_of(bank, voice->key, layer), from = curve[WHERE];
        NAME(follow_pitch)(bank, slot, voice, layer);
        curve[WHERE] = walk(axis, from, 1.0, voice->sustained, &curve[DIRECTION]);
        curve[MOVING] = goes_on(bank, axis, from, curve[WHERE]);
    }
}

static void NAME(start_curves)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    for (int32_t layer = 0; layer < bank->recorded; layer++) {
        const double *axis = axis_of(bank, voice->key, layer);
        double *curve = curve_of(bank, slot, layer);
        memset(curve, 0, CURVE * sizeof(double));
        curve[DIRECTION] = 1.0;
        curve[OCTAVES] = octaves_ahead(bank, axis, curve, voice->sustained);
    }
}

static void NAME(start)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, REAL left, REAL right, REAL mix)
{
    const int32_t n = bank->rows, key = voice->key;
    bank->place[PLACES * slot + ALIVE] = bank->alive[key];
    NAME(draw_start)(bank, slot, voice);
    if (bank->innovations) {
        NAME(ring_jointly)(bank, slot, voice);
    } else {
        NAME(ring)(bank, slot, voice);
        NAME(ring_pairs)(bank, slot, voice);
    }
    NAME(start_curves)(bank, slot, voice);
    NAME(tune)(bank, slot, voice);
    memset(NAME(part)(bank->gains, 4 * n, slot), 0, (size_t)(4 * n) * sizeof(REAL));
    NAME(set_goal)(bank, slot, key, 0, left, right, mix);
    NAME(aim)(bank, slot, key, 0, n);
    for (int32_t layer = 0; layer < bank->recorded; layer++) NAME(aim_curves)(bank, slot, key, layer);
    NAME(arrive)(bank, slot, 0, n);
    NAME(forget_goal)(bank, slot);
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

/* bank->noise and bank->take_noise, (RT_SEGMENT, 2, count) each, in the rows' shares. */
static void NAME(mix_noise)(const rt_rows_bank *bank, const rt_voice *voice, int32_t first, int32_t count)
{
    REAL *noise = bank->noise, *fresh = bank->shares, *taken = fresh + bank->rows;
    const REAL *take = bank->take_noise;
    for (int32_t k = 0; k < count; k++) {
        const REAL variance = NAME(variance)(bank, voice, first + k);
        fresh[k] = (REAL)sqrt(variance);
        taken[k] = (REAL)sqrt(1 - variance);
    }
    for (int32_t t = 0; t < 2 * RT_SEGMENT; t++, noise += count, take += count)
        for (int32_t k = 0; k < count; k++) noise[k] = fresh[k] * noise[k] + taken[k] * take[k];
}

/* Of a segment's Gaussians, those of rows first...first + count - 1: drawn anew, from the key's take, or from both in
   each row's shares. In bank->noise, (RT_SEGMENT, 2, count). */
static void NAME(draw_noise)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, int32_t first, int32_t count)
{
    const int32_t n = bank->rows, pairs = (n - bank->paired_from) / 2;
    const int64_t *place = &bank->place[PLACES * slot];
    const int64_t of_row = 2 * RT_SEGMENT, drawn = of_row * (n - pairs - bank->noisy_from);
    const int64_t number = 2 * n + voice->age * drawn + of_row * (first - bank->noisy_from);
    for (int32_t taken = 0; taken < 2; taken++) {
        const uint32_t *keys = (taken ? bank->takes : bank->keys) + 2 * (int64_t)n * slot + first;
        REAL *noise = taken && place[FRESH] ? bank->take_noise : bank->noise;
        if (!place[taken ? TAKEN : FRESH]) continue;
        if (bank->probe == RT_DRAW)
            bank->loops.draw(keys, keys + n, voice->age * RT_SEGMENT, RT_SEGMENT, count, noise);
        else
            NAME(probe)(bank, voice, noise, number + (taken ? RT_TAKE : 0), of_row * count);
    }
    if (place[FRESH] && place[TAKEN]) NAME(mix_noise)(bank, voice, first, count);
}

static void NAME(noisy_segment)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    const int32_t n = bank->rows, first = bank->noisy_from, count = bank->paired_from - first;
    const int64_t table = bank->place[PLACES * slot + TABLE];
    if (count == 0) return;
    NAME(draw_noise)(bank, slot, voice, first, count);
    bank->loops.noisy(NAME(part)(bank->step, 2 * n, table) + first, NAME(law)(bank, voice->key, RT_NOISE) + first,
                      bank->noise, NAME(part)(bank->x, 2 * n, slot) + first,
                      NAME(part)(bank->gains, 4 * n, slot) + first, NAME(part)(bank->segments, 2 * RT_SEGMENT, slot),
                      n, count);
}

/* Bands: both halves of the paired rows on the same noise; the scale of the second half is negative. */
static void NAME(paired_segment)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    const int32_t n = bank->rows, pairs = (n - bank->paired_from) / 2;
    if (pairs == 0) return;
    NAME(draw_noise)(bank, slot, voice, bank->paired_from, pairs);
    for (int32_t first = bank->paired_from; first < n; first += pairs)
        bank->loops.noisy(NAME(part)(bank->step, 2 * n, voice->key) + first,
                          NAME(law)(bank, voice->key, RT_NOISE) + first, bank->noise,
                          NAME(part)(bank->x, 2 * n, slot) + first, NAME(part)(bank->gains, 4 * n, slot) + first,
                          NAME(part)(bank->segments, 2 * RT_SEGMENT, slot), n, pairs);
}

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
    const REAL deviation = *NAME(part)(bank->deviation, 1, voice->key), variance = NAME(variance)(bank, voice, 0);
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

/* The segment's innovations and, behind them, the same backwards. */
static void NAME(draw_innovations)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    REAL *ahead = NAME(part)(bank->ahead, RT_AHEAD * RT_SEGMENT, slot);
    REAL *e = (REAL *)bank->innovation + RT_SEGMENT;
    if (voice->age % RT_AHEAD == 0) NAME(fill_ahead)(bank, slot, voice, ahead);
    memcpy(e, ahead + voice->age % RT_AHEAD * RT_SEGMENT, RT_SEGMENT * sizeof(REAL));
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
    const bool quiet = voice->age >= bank->quiet[voice->key];
    memset(NAME(part)(bank->segments, 2 * RT_SEGMENT, slot), 0, 2 * RT_SEGMENT * sizeof(REAL));
    NAME(follow_curves)(bank, slot, voice);
    NAME(steer)(bank, slot, voice, alive, left, right, mix);
    if (bank->innovations)
        NAME(innovations_segment)(bank, slot, voice);
    else if (alive > 0)
        NAME(ringing_segment)(bank, slot);
    if (!quiet) {
        NAME(noisy_segment)(bank, slot, voice);
        NAME(paired_segment)(bank, slot, voice);
    }
    NAME(arrive_all)(bank, slot, alive);
    return bank->innovations || !quiet || place[ALIVE] > bank->ringing_from;
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

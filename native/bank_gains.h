/* Where gains are and where they go. Part of bank_real.h. */

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

/* ---- one course for all rows ---- */

static REAL *NAME(course)(const rt_rows_bank *bank, int32_t slot)
{
    return NAME(part)(bank->course, 4, slot);
}

/* Slopes of the course to its goal. In the innovations form row 0 says for all what velocity and wheel do. */
static void NAME(aim_course)(const rt_rows_bank *bank, int32_t slot, int32_t key)
{
    const REAL *goal = NAME(part)(bank->goal, RISES + bank->recorded, slot), *side = NAME(part)(bank->sides, 2, key);
    const REAL common = bank->innovations ? *NAME(part)(bank->base, 2 * bank->rows, slot) : (REAL)1;
    const REAL per_sample = (REAL)1 / RT_SEGMENT;
    REAL *course = NAME(course)(bank, slot);
    course[LEFT_SLOPE] = (common * side[0] * goal[LEFT_GOAL] - course[LEFT_NOW]) * per_sample;
    course[RIGHT_SLOPE] = (common * side[1] * goal[RIGHT_GOAL] - course[RIGHT_NOW]) * per_sample;
}

/* Before the rows' levels change: each row gets gains of its own, from which it goes to its new ones in one segment. */
static void NAME(spread_course)(const rt_rows_bank *bank, int32_t slot)
{
    const int32_t n = bank->rows;
    const REAL *base = NAME(part)(bank->base, 2 * n, slot), *course = NAME(course)(bank, slot);
    REAL *gains = NAME(part)(bank->gains, 4 * n, slot);
    for (int32_t k = 0; k < n; k++) {
        gains[k] = base[k] * course[LEFT_NOW];
        gains[n + k] = base[k] * course[RIGHT_NOW];
    }
    bank->place[PLACES * slot + SPREAD] = 1;
}

static void NAME(aim_spread)(const rt_rows_bank *bank, int32_t slot, int32_t key)
{
    const int32_t n = bank->rows;
    const REAL *goal = NAME(part)(bank->goal, RISES + bank->recorded, slot), *side = NAME(part)(bank->sides, 2, key);
    const REAL *base = NAME(part)(bank->base, 2 * n, slot), per_sample = (REAL)1 / RT_SEGMENT;
    REAL *gains = NAME(part)(bank->gains, 4 * n, slot);
    for (int32_t k = 0; k < n; k++) {
        gains[LEFT_SLOPE * n + k] = (base[k] * side[0] * goal[LEFT_GOAL] - gains[k]) * per_sample;
        gains[RIGHT_SLOPE * n + k] = (base[k] * side[1] * goal[RIGHT_GOAL] - gains[n + k]) * per_sample;
    }
}

static void NAME(arrive_course)(const rt_rows_bank *bank, int32_t slot)
{
    REAL *course = NAME(course)(bank, slot);
    course[LEFT_NOW] += course[LEFT_SLOPE] * RT_SEGMENT;
    course[RIGHT_NOW] += course[RIGHT_SLOPE] * RT_SEGMENT;
}

/* From the sum of all rows, y (RT_SEGMENT,), to left and right. */
static void NAME(apply_course)(const REAL *restrict course, REAL *restrict y)
{
    const REAL left = course[LEFT_NOW], left_slope = course[LEFT_SLOPE];
    const REAL right = course[RIGHT_NOW], right_slope = course[RIGHT_SLOPE];
    for (int32_t t = 0; t < RT_SEGMENT; t++) {
        const REAL both = y[t];
        y[t] = both * (left + left_slope * (REAL)t);
        y[RT_SEGMENT + t] = both * (right + right_slope * (REAL)t);
    }
}

/* ---- where gains go ---- */

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
    REAL *course = NAME(course)(bank, slot), *slopes = NAME(part)(bank->gains, 4 * n, slot) + LEFT_SLOPE * n;
    course[LEFT_SLOPE] = course[RIGHT_SLOPE] = 0;
    if (bank->mono) return;
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

static void NAME(aim_all)(const rt_rows_bank *bank, int32_t slot, int32_t key, int32_t alive)
{
    if (bank->mono) {
        NAME(aim_course)(bank, slot, key);
        if (bank->place[PLACES * slot + SPREAD]) NAME(aim_spread)(bank, slot, key);
        return;
    }
    NAME(aim)(bank, slot, key, 0, alive);
    NAME(aim)(bank, slot, key, bank->noisy_from, bank->rows);
}

/* Most segments of a held note change nothing: then the slopes are zeroed once and left alone. What curves move is
   aimed in every segment until the last point is held. */
static void NAME(steer)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, int32_t alive,
                        REAL left, REAL right, REAL mix)
{
    int64_t *steady = &bank->place[PLACES * slot + STEADY];
    const bool changed = NAME(set_goal)(bank, slot, voice->string, voice->age + 1, left, right, mix);
    if (changed) {
        NAME(aim_all)(bank, slot, voice->string, alive);
    } else if (!*steady || NAME(has_stopped)(bank, slot)) {
        NAME(stand_still)(bank, slot);
    }
    *steady = !changed;
    for (int32_t layer = 0; layer < bank->recorded; layer++) {
        double *curve = curve_of(bank, slot, layer);
        if (!changed && curve[MOVING] == 0.0) continue;
        NAME(aim_curves)(bank, slot, voice->string, layer);
        curve[SLOPES] = 1.0;
    }
}

static void NAME(arrive_all)(const rt_rows_bank *bank, int32_t slot, int32_t alive)
{
    if (!bank->place[PLACES * slot + STEADY]) {
        NAME(arrive_course)(bank, slot);
        if (bank->mono) return;
        NAME(arrive)(bank, slot, 0, alive);
        NAME(arrive)(bank, slot, bank->noisy_from, bank->rows);
        return;
    }
    for (int32_t layer = 0; layer < bank->recorded; layer++)
        if (curve_of(bank, slot, layer)[SLOPES] > 0.0) NAME(arrive_curves)(bank, slot, layer);
}

/* The motion of rows: pitch, and the way along curves. Part of bank_real.h. */

/* ---- pitch ---- */

/* lambda, lambda^0...lambda^15 and lambda^16 of a row, by doubling; and the powers backwards where they are asked for. */
static void NAME(write_motion)(const rt_rows_bank *bank, int64_t table, int32_t k, double re, double im)
{
    const int32_t n = bank->rows;
    REAL *powers = NAME(part)(bank->powers, 2 * RT_HALF, table * n + k);
    REAL *step = NAME(part)(bank->step, 2 * n, table), *half = NAME(part)(bank->half, 2 * n, table);
    step[k] = (REAL)re;
    step[n + k] = (REAL)im;
    powers[0] = 1;
    powers[RT_HALF] = 0;
    for (int32_t done = 1; done < RT_HALF; done *= 2) { /* re + i im = lambda^done */
        for (int32_t t = 0; t < done; t++) {
            const double a = powers[t], b = powers[t + RT_HALF];
            powers[t + done] = (REAL)(a * re - b * im);
            powers[t + done + RT_HALF] = (REAL)(a * im + b * re);
        }
        const double square = re * re - im * im;
        im = 2.0 * re * im;
        re = square;
    }
    half[k] = (REAL)re;
    half[n + k] = (REAL)im;
    if (!bank->innovations) return;
    REAL *turned = NAME(part)(bank->turned, 2 * RT_HALF * n, table) + k;
    for (int32_t t = 0; t < 2 * RT_HALF; t++) turned[t * n] = powers[RT_HALF * (t % 2) + RT_HALF - 1 - t / 2];
}

/* Gains before envelopes of rows first...last - 1 at a frequency ratio: level and brightness of the velocity, the
   voice's colour, the fade below Nyquist, which bands have in their gains; and the unit of noisy rows' states. */
static void NAME(set_base)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, int32_t first, int32_t last,
                           double ratio)
{
    const int32_t n = bank->rows;
    const REAL *frequency = NAME(law)(bank, voice->string, RT_FREQUENCY);
    const REAL *tilt = NAME(law)(bank, voice->string, RT_TILT);
    const REAL *left = NAME(law)(bank, voice->string, RT_LEFT), *right = NAME(law)(bank, voice->string, RT_RIGHT);
    const REAL *noise = NAME(law)(bank, voice->string, RT_NOISE);
    const double colour = bank->innovations ? 0.0 : voice->colour; /* one noise for all has one gain for all */
    REAL *base = NAME(part)(bank->base, 2 * n, slot);
    for (int32_t k = first; k < last; k++) {
        double gain = exp((double)tilt[k] * (voice->velocity - 1.0));
        if (colour != 0.0) gain *= exp(colour * fmax(0.0, log2((double)frequency[k] / voice->fundamental)));
        const double cycles = (double)frequency[k] * ratio / bank->sample_rate;
        if (!bank->alias && k < bank->paired_from) gain *= fmin(1.0, fmax(0.0, (0.5 - cycles) / NYQUIST_FADE));
        if (k >= bank->noisy_from) gain *= noise[k];
        base[k] = (REAL)(left[k] * gain);
        base[n + k] = (REAL)(right[k] * gain);
    }
}

/* Only lambda's angle changes: noise and decay stay. */
static void NAME(bend_rows)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, int32_t first, int32_t last,
                            double ratio)
{
    const REAL *frequency = NAME(law)(bank, voice->string, RT_FREQUENCY);
    const REAL *damping = NAME(law)(bank, voice->string, RT_DAMPING);
    for (int32_t k = first; k < last; k++) {
        const double radius = exp(-(double)damping[k] / bank->sample_rate);
        const double angle = 2.0 * PI * (double)frequency[k] * ratio / bank->sample_rate;
        NAME(write_motion)(bank, RT_KEYS + slot, k, radius * cos(angle), radius * sin(angle));
    }
}

/* The lines of a recorded layer, by the wheel and by their own pitch; or their gains alone. */
static void NAME(tune_lines)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, int32_t layer, bool turn)
{
    const int64_t *part = bank->parts + (int64_t)RT_PART_COLUMNS * layer;
    const int32_t first = (int32_t)part[RT_LINES_FROM], last = first + (int32_t)part[RT_LINES];
    const double ratio = voice->bend_ratio * exp2(curve_of(bank, slot, layer)[OCTAVES]);
    NAME(set_base)(bank, slot, voice, first, last, ratio);
    if (turn) NAME(bend_rows)(bank, slot, voice, first, last, ratio);
}

/* The gains of all rows as velocity, colour and pitch have them; with `turn`, lines that move by themselves turn. */
static void NAME(set_levels)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, bool turn)
{
    NAME(set_base)(bank, slot, voice, 0, bank->rows, voice->bend_ratio);
    for (int32_t layer = 0; layer < bank->recorded; layer++)
        if (axis_of(bank, voice->string, layer)[RT_BENDS] > 0.0) NAME(tune_lines)(bank, slot, voice, layer, turn);
}

/* All rows at the voice's pitch, with motion tables of its own where that is not the key's. Bands stay where they are. */
static void NAME(tune)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    bool own = voice->bend_ratio != 1.0;
    for (int32_t layer = 0; layer < bank->recorded; layer++) own |= axis_of(bank, voice->string, layer)[RT_BENDS] > 0.0;
    bank->place[PLACES * slot + TABLE] = own ? RT_KEYS + slot : voice->string;
    if (own) { /* rows that have left the loop do not come back */
        NAME(bend_rows)(bank, slot, voice, 0, (int32_t)bank->place[PLACES * slot + ALIVE], voice->bend_ratio);
        NAME(bend_rows)(bank, slot, voice, bank->noisy_from, bank->paired_from, voice->bend_ratio);
    }
    NAME(set_levels)(bank, slot, voice, own);
}

/* Follow the voice's bend_ratio, where it `turns`, and its colour. */
static void NAME(follow)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, bool turns)
{
    if (bank->mono && !bank->innovations) NAME(spread_course)(bank, slot);
    if (turns)
        NAME(tune)(bank, slot, voice);
    else
        NAME(set_levels)(bank, slot, voice, false);
    NAME(forget_goal)(bank, slot);
}

/* ---- the start of a voice, and its way along the curves ---- */

/* The pitch of a layer's lines in the coming segment. */
static void NAME(follow_pitch)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, int32_t layer)
{
    double *curve = curve_of(bank, slot, layer);
    const double *axis = axis_of(bank, voice->string, layer);
    if (axis[RT_BENDS] == 0.0) return;
    const double octaves = octaves_ahead(bank, axis, curve, voice->sustained);
    if (octaves == curve[OCTAVES]) return;
    curve[OCTAVES] = octaves;
    NAME(tune_lines)(bank, slot, voice, layer, true);
}

/* To the end of the coming segment. */
static void NAME(follow_curves)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    for (int32_t layer = 0; layer < bank->recorded; layer++) {
        double *curve = curve_of(bank, slot, layer);
        const double *axis = axis_of(bank, voice->string, layer), from = curve[WHERE];
        NAME(follow_pitch)(bank, slot, voice, layer);
        curve[WHERE] = walk(axis, from, 1.0, voice->sustained, &curve[DIRECTION]);
        curve[MOVING] = goes_on(bank, axis, from, curve[WHERE]);
    }
}

static void NAME(start_curves)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    for (int32_t layer = 0; layer < bank->recorded; layer++) {
        const double *axis = axis_of(bank, voice->string, layer);
        double *curve = curve_of(bank, slot, layer);
        memset(curve, 0, CURVE * sizeof(double));
        curve[DIRECTION] = 1.0;
        curve[OCTAVES] = octaves_ahead(bank, axis, curve, voice->sustained);
    }
}

static void NAME(start)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice, REAL left, REAL right, REAL mix)
{
    const int32_t n = bank->rows, key = voice->string;
    bank->place[PLACES * slot + ALIVE] = bank->alive[key];
    bank->place[PLACES * slot + SPREAD] = 0;
    NAME(draw_start)(bank, slot, voice);
    if (bank->innovations) {
        NAME(ring_jointly)(bank, slot, voice);
    } else {
        NAME(ring)(bank, slot, voice);
        NAME(ring_pairs)(bank, slot, voice);
        NAME(take_units)(bank, slot, key);
    }
    NAME(start_curves)(bank, slot, voice);
    NAME(tune)(bank, slot, voice);
    memset(NAME(part)(bank->gains, 4 * n, slot), 0, (size_t)(4 * n) * sizeof(REAL));
    memset(NAME(course)(bank, slot), 0, 4 * sizeof(REAL));
    NAME(set_goal)(bank, slot, key, 0, left, right, mix);
    if (bank->mono)
        NAME(aim_course)(bank, slot, key);
    else
        NAME(aim)(bank, slot, key, 0, n);
    for (int32_t layer = 0; layer < bank->recorded; layer++) NAME(aim_curves)(bank, slot, key, layer);
    NAME(arrive_course)(bank, slot);
    NAME(arrive)(bank, slot, 0, n);
    NAME(forget_goal)(bank, slot);
}

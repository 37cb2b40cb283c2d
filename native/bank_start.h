/* The start of a voice: its keys, its Gaussians, the states of its rows. Part of bank_real.h. */

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
    return bank->innovations ? (REAL)1 : NAME(law)(bank, voice->string, RT_VARIANCE)[k];
}

/* The keys of the voice's noise, the Gaussians of its start, and what it needs of the same of its key's take. */
static void NAME(draw_start)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    const int32_t n = bank->rows;
    const REAL *noise = NAME(law)(bank, voice->string, RT_NOISE);
    int64_t *place = &bank->place[PLACES * slot];
    uint32_t *keys = bank->keys + 2 * (int64_t)n * slot, *takes = bank->takes + 2 * (int64_t)n * slot;
    place[FRESH] = place[TAKEN] = 0;
    for (int32_t k = 0; k < n; k++) {
        const REAL variance = NAME(variance)(bank, voice, k);
        if (!bank->innovations && noise[k] == 0) continue; /* a row that rings, or padding */
        place[FRESH] |= variance > 0;
        place[TAKEN] |= variance < 1;
    }
    bank->loops.start(bank->seed, voice->serial, n, keys, keys + n, bank->normals);
    if (bank->probe != RT_DRAW) NAME(probe)(bank, voice, bank->normals, 0, 2 * n);
    if (!place[TAKEN]) return;
    /* No note has a negative serial number. */
    bank->loops.start(bank->seed, -1 - (int64_t)voice->string, n, takes, takes + n, bank->take_normals);
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
    const int32_t n = bank->rows, key = voice->string;
    const REAL *z = bank->normals, *spread = NAME(law)(bank, key, RT_SPREAD);
    const REAL *mean_re = NAME(law)(bank, key, RT_MEAN_RE), *mean_im = NAME(law)(bank, key, RT_MEAN_IM);
    REAL *x = NAME(part)(bank->x, 2 * n, slot), *radius = NAME(part)(bank->radius, n, slot);
    for (int32_t k = 0; k < bank->paired_from; k++) {
        const REAL variance = NAME(variance)(bank, voice, k);
        const REAL drawn = (REAL)sqrt(variance) * spread[k], same = (REAL)sqrt(1 - variance);
        x[k] = same * mean_re[k] + drawn * z[k];
        x[n + k] = same * mean_im[k] + drawn * z[n + k];
    }
    for (int32_t k = 0; k < bank->kicked_from; k++) radius[k] = x[k] * x[k] + x[n + k] * x[n + k];
}

/* The two rows of a band from their joint law, so that it is stationary from sample 0. */
static void NAME(ring_pairs)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    const int32_t n = bank->rows, pairs = (n - bank->paired_from) / 2;
    const REAL *z = bank->normals, *spread = NAME(law)(bank, voice->string, RT_SPREAD);
    const REAL *re = NAME(law)(bank, voice->string, RT_LINK_RE), *im = NAME(law)(bank, voice->string, RT_LINK_IM);
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

/* Noisy rows and bands in units of their noise, which is then a standard normal; `set_base` has the unit in the gains. */
static void NAME(take_units)(const rt_rows_bank *bank, int32_t slot, int32_t key)
{
    const int32_t n = bank->rows;
    const REAL *noise = NAME(law)(bank, key, RT_NOISE);
    REAL *x = NAME(part)(bank->x, 2 * n, slot);
    for (int32_t k = bank->noisy_from; k < n; k++) {
        if (noise[k] == 0) continue; /* padding */
        x[k] /= noise[k];
        x[n + k] /= noise[k];
    }
}

/* x = F z: the joint law of the innovations filter's states, so that the sum is stationary from sample 0. */
static void NAME(ring_jointly)(const rt_rows_bank *bank, int32_t slot, const rt_voice *voice)
{
    const int32_t size = 2 * bank->rows;
    const REAL *z = bank->normals, *factor = NAME(part)(bank->start, (int64_t)size * size, voice->string);
    REAL *x = NAME(part)(bank->x, size, slot);
    NAME(mix_normals)(bank, slot, voice, 0);
    for (int32_t i = 0; i < size; i++) {
        REAL sum = 0;
        for (int32_t j = 0; j <= i; j++) sum += factor[(int64_t)i * size + j] * z[j];
        x[i] = sum;
    }
}

/* A seam: where a signal breaks off and another goes on, without a step. */
#ifndef RT_SEAM_H
#define RT_SEAM_H

#include <stdint.h>
#include <string.h>

/* The end of a signal, to be played backwards when it breaks off: y[n + k] = y[n - 1 - k] has no step. */
typedef struct {
    float *latest;  /* (length,) ring of what was played */
    float *mirror;  /* (length,) taken from it, latest first */
    int32_t length;
    int32_t next;   /* of the ring */
} rt_seam;

static inline void rt_seam_push(rt_seam *seam, float sample)
{
    seam->latest[seam->next] = sample;
    if (++seam->next == seam->length) seam->next = 0;
}

static inline void rt_seam_take(rt_seam *seam)
{
    int32_t at = seam->next;
    for (int32_t i = 0; i < seam->length; i++) {
        at = at > 0 ? at - 1 : seam->length - 1;
        seam->mirror[i] = seam->latest[at];
    }
}

static inline void rt_seam_clear(rt_seam *seam)
{
    memset(seam->latest, 0, (size_t)seam->length * sizeof(float));
    memset(seam->mirror, 0, (size_t)seam->length * sizeof(float));
}

/* The mirrored end, mirrored again at its own end, for ever. */
static inline float rt_seam_echo(const rt_seam *seam, int64_t since)
{
    const int64_t at = since % (2 * (int64_t)seam->length);
    return seam->mirror[at < seam->length ? at : 2 * (int64_t)seam->length - 1 - at];
}

/* `sample`, `since` samples after the seam; straight lines, whose slope is the least there is. */
static inline float rt_seam_across(const rt_seam *seam, int64_t since, int32_t fade, float sample)
{
    if (since >= fade) return sample;
    return seam->mirror[since] + (float)since / (float)fade * (sample - seam->mirror[since]);
}

#endif

/* Sound that another thread makes ahead of time, as a source: samples are written in at one end and played at the other.

   It stands still, in silence, while nothing is there: what is late is played late, nothing is left out. */
#ifndef RT_TAPE_H
#define RT_TAPE_H

#include "message.h"
#include "realtime.h"

typedef struct rt_tape rt_tape;

enum rt_tape_count {
    RT_TAPE_PLAYED,  /* samples */
    RT_TAPE_WAITED,  /* samples of silence after the first one was played, before the end was known */
    RT_TAPE_OUTAGES, /* times that began */
    RT_TAPE_COUNTS,
};

/* [main] `capacity`: samples that may lie ahead, a power of two. NULL when there is no memory. */
RT_API rt_tape *rt_tape_create(int64_t capacity);
/* [main, not while running] */
RT_API void rt_tape_destroy(rt_tape *tape);
/* [main, nothing running on it] Empty, and its counts zero. */
RT_API void rt_tape_reset(rt_tape *tape);
/* [writer] Copy in the first of samples (count,) that fit; returns how many. */
RT_API int64_t rt_tape_write(rt_tape *tape, const float *samples, int64_t count);
/* [writer] No more will come: that nothing is there from now on is no outage. */
RT_API void rt_tape_end(rt_tape *tape);
/* [any thread] Whether the end has been played. */
RT_API int32_t rt_tape_over(const rt_tape *tape);
/* [any thread] counts (RT_TAPE_COUNTS,). */
RT_API void rt_tape_counts(const rt_tape *tape, int64_t *counts);
/* [any thread] 1 while something is played. */
RT_API int32_t rt_tape_active(const rt_tape *tape);

/* [audio] An rt_loop; `state` is an rt_tape. */
RT_REALTIME RT_API void rt_tape_loop(void *state, const rt_message *messages, int32_t count, float *left, float *right,
                                     int32_t frames);

#endif

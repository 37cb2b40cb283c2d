/* The control: hears, and answers with the same samples at once. Whatever disturbs it disturbs every source. */
#ifndef RT_THRU_H
#define RT_THRU_H

#include <stdatomic.h>

#include "message.h"
#include "realtime.h"

typedef struct {
    float gain;             /* linear, of what is heard */
    _Atomic int32_t active; /* the latest block heard anything but zeros */
} rt_thru;

/* [audio] An rt_hearing_loop; `state` is an rt_thru. */
RT_REALTIME RT_API void rt_thru_loop(void *state, const rt_message *messages, int32_t count, const float *in,
                                     float *left, float *right, int32_t frames);

#endif

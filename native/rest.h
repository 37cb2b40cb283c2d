/* An inference process whose model has come to rest, while silence comes in: it answers with silence, without entering
   Python, which costs more to wake than all the rest of it. */
#ifndef RT_REST_H
#define RT_REST_H

#include "link.h"

/* [worker] While whole frames of `frame` samples of silence come in from `taken` on, none above `silence`, answer them
   with zeros from `position` on, asleep in between: silence does not wake it (rt_link_rests tells the audio thread what
   to play meanwhile), a sound and the end of `timeout_ns` do. Returns how many there were: `most`, or fewer, when the
   next frame is not there in time, is not silent, or was overwritten; or after a reset, or on closing. */
RT_API int64_t rt_link_rest(rt_link *link, int64_t taken, int64_t position, int64_t frame, int64_t most, float silence,
                            int64_t timeout_ns);

#endif

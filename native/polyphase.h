/* A linear-phase FIR that changes the rate by a ratio of integers, one polyphase branch a sample. The prototype, the phases
   and the positions are rtsynth/inference/resampling.py's; this is its inner loop. */
#ifndef RT_POLYPHASE_H
#define RT_POLYPHASE_H

#include <stdint.h>

#include "realtime.h"

/* table (phases, taps): branch p answers times p / phases of a sample after an input sample. Output k, of `count`, stands
   at `start` + `phase` / phases + k step / phases input samples and reads `taps` of them, from in[its whole part] on.
   Every sum is taken in one order, whatever the call it falls into: same input, same bits, for every blocking. */
RT_API void rt_polyphase(const float *table, int64_t phases, int64_t taps, int64_t start, int64_t phase, int64_t step,
                         const float *in, float *out, int64_t count);

#endif

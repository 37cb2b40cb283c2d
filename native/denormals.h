/* Flush-to-zero for a thread that is ours for good: an inference process's. */
#ifndef RT_DENORMALS_H
#define RT_DENORMALS_H

#include "realtime.h"

/* From now on numbers too small to be normal count as zero in this thread. */
RT_API void rt_flush_this_thread(void);

#endif

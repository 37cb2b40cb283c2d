/* Durations counted in logarithmic buckets: exact counts, no bucket wider than 1.6 % of its value (as HdrHistogram).

   One thread counts, any thread reads meanwhile. Below 64 ns every value has a bucket; above, each octave has 64. */
#ifndef RT_HISTOGRAM_H
#define RT_HISTOGRAM_H

#include "realtime.h"

#include <stdatomic.h>

#define RT_HISTOGRAM_BITS 6                                       /* log2 of the buckets of an octave */
#define RT_HISTOGRAM_OCTAVES 30                                   /* up to 2^36 ns = 69 s; longer goes into the last */
#define RT_HISTOGRAM_BUCKETS ((RT_HISTOGRAM_OCTAVES + 1) << RT_HISTOGRAM_BITS)

typedef struct {
    _Atomic uint64_t buckets[RT_HISTOGRAM_BUCKETS];
    _Atomic int64_t max_ns;
} rt_histogram;

/* Index of the bucket that holds `ns`; negative durations count as zero. */
RT_REALTIME int32_t rt_histogram_bucket(int64_t ns);

/* [one thread] */
RT_REALTIME void rt_histogram_count(rt_histogram *histogram, int64_t ns);

/* [any thread] Copy the counts to buckets (RT_HISTOGRAM_BUCKETS,); returns the longest duration, exactly. */
int64_t rt_histogram_read(const rt_histogram *histogram, uint64_t *buckets);

/* [any thread, while nobody counts] */
void rt_histogram_clear(rt_histogram *histogram);

#endif

#include "histogram.h"

int32_t rt_histogram_bucket(int64_t ns)
{
    const int64_t exact = 1 << RT_HISTOGRAM_BITS;
    if (ns < exact) return ns > 0 ? (int32_t)ns : 0;
    const int32_t octave = 63 - __builtin_clzll((uint64_t)ns) - RT_HISTOGRAM_BITS; /* 0: 64..127 ns */
    if (octave >= RT_HISTOGRAM_OCTAVES) return RT_HISTOGRAM_BUCKETS - 1;
    return (octave << RT_HISTOGRAM_BITS) + (int32_t)(ns >> octave);
}

void rt_histogram_count(rt_histogram *histogram, int64_t ns)
{
    /* One thread counts: a load and a store do, where an atomic addition would lock the bus for nothing. */
    _Atomic uint64_t *bucket = &histogram->buckets[rt_histogram_bucket(ns)];
    atomic_store_explicit(bucket, atomic_load_explicit(bucket, memory_order_relaxed) + 1, memory_order_relaxed);
    if (ns > atomic_load_explicit(&histogram->max_ns, memory_order_relaxed))
        atomic_store_explicit(&histogram->max_ns, ns, memory_order_relaxed);
}

int64_t rt_histogram_read(const rt_histogram *histogram, uint64_t *buckets)
{
    for (int32_t i = 0; i < RT_HISTOGRAM_BUCKETS; i++)
        buckets[i] = atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
    return atomic_load_explicit(&histogram->max_ns, memory_order_relaxed);
}

void rt_histogram_clear(rt_histogram *histogram)
{
    for (int32_t i = 0; i < RT_HISTOGRAM_BUCKETS; i++)
        atomic_store_explicit(&histogram->buckets[i], 0, memory_order_relaxed);
    atomic_store_explicit(&histogram->max_ns, 0, memory_order_relaxed);
}

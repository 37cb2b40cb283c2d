/* [audio] Messages waiting for their sample, earliest first; of one time, in order of arrival.

   A binary heap: messages may be stamped in the future and come unordered from several producers, and a heap takes
   each in log2(16384) = 14 steps at worst, where inserting into a sorted array could move all of it. */
#ifndef RT_PENDING_H
#define RT_PENDING_H

#include "message.h"
#include "realtime.h"

#include <stdbool.h>

typedef struct {
    rt_message message;
    uint64_t arrival;
} rt_pending_item;

typedef struct {
    rt_pending_item *items; /* (capacity,), a heap in the first `count` */
    int32_t count;
    int32_t capacity;
    uint64_t arrivals;
} rt_pending;

/* [main] False when there is no memory. */
bool rt_pending_init(rt_pending *pending, int32_t capacity);
void rt_pending_free(rt_pending *pending);

static inline bool rt_pending_full(const rt_pending *pending)
{
    return pending->count == pending->capacity;
}

/* Time of the earliest message; INT64_MAX when there is none. */
static inline int64_t rt_pending_next(const rt_pending *pending)
{
    return pending->count > 0 ? pending->items[0].message.time : INT64_MAX;
}

/* The list must not be full. */
RT_REALTIME void rt_pending_add(rt_pending *pending, const rt_message *message);

/* Remove and return the earliest; the list must not be empty. */
RT_REALTIME rt_message rt_pending_take(rt_pending *pending);

#endif

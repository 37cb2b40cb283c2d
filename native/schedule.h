/* The events a decoder is to play, earliest first: a whole sequence known beforehand, and what one other thread pushes
   while it plays. Of one time, the sequence's come first, then the pushed ones in order of arrival. */
#ifndef RT_SCHEDULE_H
#define RT_SCHEDULE_H

#include <stdbool.h>

#include "event.h"
#include "realtime.h"
#include "ring.h"

#define RT_PUSHED 1024 /* events that fit in the ring, and as many again that wait for their time */

typedef struct {
    const rt_event *sequence; /* (count,), ordered by time; the caller's */
    int64_t count;
    int64_t next;             /* of the sequence */
    rt_ring ring;
    int32_t first, last;      /* of waiting */
    rt_event waiting[RT_PUSHED];
} rt_schedule;

/* [main] False when there is no memory. */
bool rt_schedule_init(rt_schedule *schedule, const rt_event *sequence, int64_t count);
void rt_schedule_free(rt_schedule *schedule);
/* [main, nothing running] From the beginning; what was pushed is forgotten. */
void rt_schedule_rewind(rt_schedule *schedule);
/* [one other thread] Copy in the first events that fit; returns how many. */
RT_REALTIME int64_t rt_schedule_push(rt_schedule *schedule, const rt_event *events, int64_t count);
/* [audio] Sort in what was pushed. */
RT_REALTIME void rt_schedule_listen(rt_schedule *schedule);
/* [audio] The earliest event if its time is <= until, which is then gone; else NULL. Valid until the next call. */
RT_REALTIME const rt_event *rt_schedule_take(rt_schedule *schedule, double until);

#endif

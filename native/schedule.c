#include "schedule.h"

#include <string.h>

#define AT_ONCE 16 /* pushed events sorted in at one call: what bounds its time */

bool rt_schedule_init(rt_schedule *schedule, const rt_event *sequence, int64_t count)
{
    schedule->sequence = sequence;
    schedule->count = count;
    rt_schedule_rewind(schedule);
    return rt_ring_init(&schedule->ring, RT_PUSHED, sizeof(rt_event));
}

void rt_schedule_free(rt_schedule *schedule)
{
    rt_ring_free(&schedule->ring);
}

void rt_schedule_rewind(rt_schedule *schedule)
{
    rt_event forgotten;
    schedule->next = 0;
    schedule->first = schedule->last = 0;
    while (schedule->ring.items && rt_ring_read(&schedule->ring, &forgotten, 1) > 0) continue;
}

int64_t rt_schedule_push(rt_schedule *schedule, const rt_event *events, int64_t count)
{
    return (int64_t)rt_ring_write(&schedule->ring, events, (uint64_t)count);
}

/* Nearly always the latest of all: then nothing moves. */
static void sort_in(rt_schedule *schedule, const rt_event *event)
{
    if (schedule->last == RT_PUSHED) {
        const int32_t left = schedule->last - schedule->first;
        memmove(schedule->waiting, schedule->waiting + schedule->first, (size_t)left * sizeof *event);
        schedule->first = 0;
        schedule->last = left;
    }
    int32_t at = schedule->last++;
    for (; at > schedule->first && schedule->waiting[at - 1].time > event->time; at--)
        schedule->waiting[at] = schedule->waiting[at - 1];
    schedule->waiting[at] = *event;
}

void rt_schedule_listen(rt_schedule *schedule)
{
    rt_event event;
    for (int32_t i = 0; i < AT_ONCE && schedule->last - schedule->first < RT_PUSHED; i++) {
        if (rt_ring_read(&schedule->ring, &event, 1) == 0) return;
        sort_in(schedule, &event);
    }
}

const rt_event *rt_schedule_take(rt_schedule *schedule, double until)
{
    const rt_event *planned = schedule->next < schedule->count ? &schedule->sequence[schedule->next] : NULL;
    const rt_event *pushed = schedule->first < schedule->last ? &schedule->waiting[schedule->first] : NULL;
    if (planned && (!pushed || planned->time <= pushed->time)) {
        if ((double)planned->time > until) return NULL;
        schedule->next++;
        return planned;
    }
    if (!pushed || (double)pushed->time > until) return NULL;
    schedule->first++;
    return pushed;
}

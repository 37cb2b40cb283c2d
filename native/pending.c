#include "pending.h"

#include "memory.h"

#include <stdlib.h>

bool rt_pending_init(rt_pending *pending, int32_t capacity)
{
    *pending = (rt_pending){.capacity = capacity};
    pending->items = rt_allocate((size_t)capacity * sizeof *pending->items);
    return pending->items != NULL;
}

void rt_pending_free(rt_pending *pending)
{
    free(pending->items);
    pending->items = NULL;
}

static bool earlier(const rt_pending_item *a, const rt_pending_item *b)
{
    if (a->message.time != b->message.time) return a->message.time < b->message.time;
    return a->arrival < b->arrival;
}

void rt_pending_add(rt_pending *pending, const rt_message *message)
{
    const rt_pending_item item = {*message, pending->arrivals++};
    int32_t hole = pending->count++;
    while (hole > 0 && earlier(&item, &pending->items[(hole - 1) / 2])) {
        pending->items[hole] = pending->items[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    pending->items[hole] = item;
}

rt_message rt_pending_take(rt_pending *pending)
{
    const rt_message earliest = pending->items[0].message;
    const rt_pending_item last = pending->items[--pending->count];
    int32_t hole = 0;
    for (;;) {
        int32_t child = 2 * hole + 1;
        if (child >= pending->count) break;
        if (child + 1 < pending->count && earlier(&pending->items[child + 1], &pending->items[child])) child++;
        if (!earlier(&pending->items[child], &last)) break;
        pending->items[hole] = pending->items[child];
        hole = child;
    }
    pending->items[hole] = last;
    return earliest;
}

/* How late a host begins a block, where it does not tell its schedule. */
#ifndef RT_LATENESS_H
#define RT_LATENESS_H

#include "realtime.h"

#include <stdbool.h>

typedef struct {
    bool begun;
    double expected_ns; /* when the next block is due, by the late edge of those before */
} rt_lateness;

/* [audio] A block of `length_ns` begins at `now_ns`; the one before was done at `finished_ns`. How far it is behind the
   schedule, or behind the end of that one, whichever was later; at least 0. */
RT_REALTIME int64_t rt_lateness_follow(rt_lateness *lateness, int64_t now_ns, int64_t finished_ns, double length_ns);

#endif

#define _GNU_SOURCE
#include "lateness.h"

#include <math.h>

#define LEAN 0.05 /* share of an early start that the schedule takes over */

/* Hosts may call in bursts, so we follow the late edge of their calls: a call that is later than all before moves the
   edge to itself (and is judged once), calls before the edge draw it back slowly. What the block before overran is not
   the host's lateness. JACK does tell a schedule (jack_get_cycle_times), but filters it so slowly that one stall makes
   it seem late for hundreds of cycles. */
int64_t rt_lateness_follow(rt_lateness *lateness, int64_t now_ns, int64_t finished_ns, double length_ns)
{
    if (!lateness->begun) lateness->expected_ns = (double)now_ns;
    lateness->begun = true;
    const double error_ns = (double)now_ns - lateness->expected_ns;
    const double late_ns = fmin(error_ns, (double)(now_ns - finished_ns));
    lateness->expected_ns += (error_ns > 0.0 ? error_ns : LEAN * error_ns) + length_ns;
    return late_ns > 0.0 ? (int64_t)late_ns : 0;
}

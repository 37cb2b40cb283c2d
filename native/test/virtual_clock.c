/* Clocks that stand still until a test moves them: what was late, and why, comes out exactly. */
#define _GNU_SOURCE
#include "../clock.h"

#ifdef RT_TEST_CLOCK

static int64_t wall_ns = 1000000000, cpu_ns;

int64_t rt_now_ns(void) { return wall_ns; }
int64_t rt_cpu_ns(void) { return cpu_ns; }

void virtual_advance(int64_t wall, int64_t cpu)
{
    wall_ns += wall;
    cpu_ns += cpu;
}

#endif

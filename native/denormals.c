#include "denormals.h"

void rt_flush_this_thread(void)
{
    rt_flush_to_zero();
}

/* [main] Memory the audio thread will use: zeroed, cache-line aligned, and every page of it already mapped. */
#ifndef RT_MEMORY_H
#define RT_MEMORY_H

#include <stddef.h>

/* Release with free(). NULL when there is none. */
void *rt_allocate(size_t bytes);

#endif

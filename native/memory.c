#define _POSIX_C_SOURCE 200809L
#include "memory.h"

#include <stdlib.h>

#define ALIGNMENT 64

void *rt_allocate(size_t bytes)
{
    void *memory = NULL;
    if (posix_memalign(&memory, ALIGNMENT, bytes)) return NULL;
    /* Volatile: memset after an allocation may be turned into calloc, whose pages are mapped only when first written,
       and that page fault would fall into the audio thread. */
    volatile unsigned char *bytewise = memory;
    for (size_t i = 0; i < bytes; i++) bytewise[i] = 0;
    return memory;
}

/* A queue between two threads: one writes, one reads, neither ever waits (Lamport 1983; the layout of zix's ring).

   Positions only grow; an item's slot is its position modulo the capacity, a power of two. Each side keeps a copy of
   the other's position and looks at the shared one only when the copy says full or empty. */
#ifndef RT_RING_H
#define RT_RING_H

#include "realtime.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct {
    unsigned char *items;
    uint64_t capacity;   /* in items, a power of two */
    size_t item_bytes;
    _Alignas(64) _Atomic uint64_t written; /* the writer's cache line */
    uint64_t read_seen;
    _Alignas(64) _Atomic uint64_t read;    /* the reader's cache line */
    uint64_t written_seen;
} rt_ring;

/* [main] False when `capacity` is no power of two or there is no memory. */
bool rt_ring_init(rt_ring *ring, uint64_t capacity, size_t item_bytes);
void rt_ring_free(rt_ring *ring);

/* [writer] Copy in the first items that fit; returns how many. */
RT_REALTIME uint64_t rt_ring_write(rt_ring *ring, const void *items, uint64_t count);

/* [reader] Copy out at most `count` items, oldest first; returns how many. */
RT_REALTIME uint64_t rt_ring_read(rt_ring *ring, void *items, uint64_t count);

#endif

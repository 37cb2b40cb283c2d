#include "ring.h"

#include "memory.h"

#include <stdlib.h>
#include <string.h>

bool rt_ring_init(rt_ring *ring, uint64_t capacity, size_t item_bytes)
{
    memset(ring, 0, sizeof *ring);
    if (capacity == 0 || (capacity & (capacity - 1)) != 0) return false;
    ring->capacity = capacity;
    ring->item_bytes = item_bytes;
    ring->items = rt_allocate(capacity * item_bytes);
    return ring->items != NULL;
}

void rt_ring_free(rt_ring *ring)
{
    free(ring->items);
    ring->items = NULL;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t rt_ring_write(rt_ring *ring, const void *items, uint64_t count)
{
    const uint64_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
    if (ring->capacity - (written - ring->read_seen) < count)
        ring->read_seen = atomic_load_explicit(&ring->read, memory_order_acquire);
    const uint64_t accepted = smaller(count, ring->capacity - (written - ring->read_seen));
    const uint64_t slot = written & (ring->capacity - 1);
    const uint64_t first = smaller(accepted, ring->capacity - slot); /* the rest goes round the end */
    const size_t size = ring->item_bytes;
    memcpy(ring->items + slot * size, items, first * size);
    memcpy(ring->items, (const unsigned char *)items + first * size, (accepted - first) * size);
    atomic_store_explicit(&ring->written, written + accepted, memory_order_release);
    return accepted;
}

uint64_t rt_ring_read(rt_ring *ring, void *items, uint64_t count)
{
    const uint64_t read = atomic_load_explicit(&ring->read, memory_order_relaxed);
    if (ring->written_seen - read < count)
        ring->written_seen = atomic_load_explicit(&ring->written, memory_order_acquire);
    const uint64_t taken = smaller(count, ring->written_seen - read);
    const uint64_t slot = read & (ring->capacity - 1);
    const uint64_t first = smaller(taken, ring->capacity - slot);
    const size_t size = ring->item_bytes;
    memcpy(items, ring->items + slot * size, first * size);
    memcpy((unsigned char *)items + first * size, ring->items, (taken - first) * size);
    atomic_store_explicit(&ring->read, read + taken, memory_order_release);
    return taken;
}

/* Two threads, one ring: whether every item comes out once, whole and in order. */
#define _GNU_SOURCE
#include "../ring.h"

#include <pthread.h>
#include <sched.h>

typedef struct {
    uint64_t number;
    uint64_t complement; /* ~number: tells a torn item */
} item;

typedef struct {
    rt_ring ring;
    uint64_t items;
    uint64_t batch; /* most items a call */
    uint64_t planted; /* this item is written wrong, to see that it is noticed */
    uint64_t wrong;
} stress;

static void *write_all(void *user_data)
{
    stress *test = user_data;
    item batch[64];
    for (uint64_t sent = 0; sent < test->items;) {
        const uint64_t length = sent % test->batch + 1; /* every length, so that every wrap-around occurs */
        for (uint64_t i = 0; i < length; i++) batch[i] = (item){sent + i, ~(sent + i) ^ (sent + i == test->planted)};
        const uint64_t left = test->items - sent;
        const uint64_t accepted = rt_ring_write(&test->ring, batch, length < left ? length : left);
        if (accepted == 0) sched_yield();
        sent += accepted;
    }
    return NULL;
}

static void read_all(stress *test)
{
    item batch[64];
    for (uint64_t got = 0; got < test->items;) {
        const uint64_t taken = rt_ring_read(&test->ring, batch, (got * 7) % test->batch + 1);
        if (taken == 0) sched_yield();
        for (uint64_t i = 0; i < taken; i++)
            test->wrong += batch[i].number != got + i || batch[i].complement != ~(got + i);
        got += taken;
    }
}

/* Returns how many of `items` came out wrong; `batch` <= 64; `planted` >= items plants nothing. */
uint64_t ring_stress(uint64_t capacity, uint64_t items, uint64_t batch, uint64_t planted)
{
    stress test = {.items = items, .batch = batch, .planted = planted};
    if (!rt_ring_init(&test.ring, capacity, sizeof(item))) return items;
    pthread_t writer;
    pthread_create(&writer, NULL, write_all, &test);
    read_all(&test);
    pthread_join(writer, NULL);
    rt_ring_free(&test.ring);
    return test.wrong;
}

rt_ring *ring_new(uint64_t capacity)
{
    static rt_ring ring; /* one at a time */
    return rt_ring_init(&ring, capacity, sizeof(uint64_t)) ? &ring : NULL;
}

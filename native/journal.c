#include "journal.h"

bool rt_journal_open(rt_journal *journal, int64_t capacity, int64_t heard_capacity)
{
    if (journal->messages.items) return false;
    if (!rt_ring_init(&journal->messages, (uint64_t)capacity, sizeof(rt_message))) return false;
    return heard_capacity == 0 || rt_ring_init(&journal->heard, (uint64_t)heard_capacity, sizeof(float));
}

void rt_journal_free(rt_journal *journal)
{
    rt_ring_free(&journal->messages);
    rt_ring_free(&journal->heard);
}

/* The audio thread alone counts. */
RT_REALTIME static void count_up(_Atomic int64_t *counted, int64_t amount)
{
    const int64_t before = atomic_load_explicit(counted, memory_order_relaxed);
    atomic_store_explicit(counted, before + amount, memory_order_relaxed);
}

void rt_journal_enter(rt_journal *journal, rt_message message, int64_t time)
{
    if (!journal->messages.items) return;
    message.time = time;
    if (rt_ring_write(&journal->messages, &message, 1) == 0) count_up(&journal->lost_messages, 1);
}

void rt_journal_hear(rt_journal *journal, const float *samples, int32_t count)
{
    if (!journal->heard.items) return;
    const uint64_t written = rt_ring_write(&journal->heard, samples, (uint64_t)count);
    count_up(&journal->lost_heard, count - (int64_t)written);
}

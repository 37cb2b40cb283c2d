#define _GNU_SOURCE
#include "engine.h"

#include "memory.h"

#include <stdlib.h>

#define MAX_BLOCK 65536
#define PENDING_CAPACITY 16384 /* messages; while it is full, more wait in the ring */

static bool init_process(rt_process *process, double sample_rate, int32_t max_block, int64_t message_capacity,
                         int64_t record_capacity)
{
    process->sample_rate = sample_rate;
    process->max_block = max_block;
    process->statistics = &process->sides[0];
    atomic_init(&process->fade_request, -1);
    rt_gain_init(&process->gain, sample_rate);
    rt_limiter_init(&process->limiter, sample_rate);
    rt_clock_init(&process->clock, sample_rate);
    const size_t plane = (size_t)max_block * sizeof(float);
    process->own_left = rt_allocate(plane);
    process->own_right = rt_allocate(plane);
    process->mix_left = rt_allocate(plane);
    process->mix_right = rt_allocate(plane);
    process->pairs = rt_allocate(2 * plane);
    process->heard = rt_allocate(plane);
    const bool planes = process->own_left && process->own_right && process->mix_left && process->mix_right;
    return planes && process->pairs && process->heard && rt_pending_init(&process->pending, PENDING_CAPACITY) &&
           rt_ring_init(&process->messages, (uint64_t)message_capacity, sizeof(rt_message)) &&
           rt_ring_init(&process->recording, (uint64_t)record_capacity, 2 * sizeof(float));
}

rt_engine *rt_engine_create(double sample_rate, int32_t max_block, int64_t message_capacity, int64_t record_capacity)
{
    if (!(sample_rate > 0.0) || max_block < 1 || max_block > MAX_BLOCK) return NULL;
    if (message_capacity < 1 || record_capacity < 1) return NULL;
    rt_engine *engine = rt_allocate(sizeof *engine);
    if (!engine) return NULL;
    if (init_process(&engine->process, sample_rate, max_block, message_capacity, record_capacity)) {
        rt_portaudio_begin(engine, 2, 0, RT_ALL_CHANNELS);
        return engine;
    }
    rt_engine_destroy(engine);
    return NULL;
}

void rt_engine_destroy(rt_engine *engine)
{
    if (!engine) return;
    rt_null_stop(engine);
    rt_process *process = &engine->process;
    rt_ring_free(&process->messages);
    rt_ring_free(&process->recording);
    rt_journal_free(&process->journal);
    rt_pending_free(&process->pending);
    free(process->own_left);
    free(process->own_right);
    free(process->mix_left);
    free(process->mix_right);
    free(process->pairs);
    free(process->heard);
    free(engine);
}

static int32_t add_source(rt_process *process, rt_source source)
{
    if (process->source_count == RT_MAX_SOURCES) return -1;
    process->sources[process->source_count] = source;
    return process->source_count++;
}

int32_t rt_engine_add_source(rt_engine *engine, rt_loop loop, void *state)
{
    return add_source(&engine->process, (rt_source){.loop = loop, .state = state});
}

int32_t rt_engine_add_hearing_source(rt_engine *engine, rt_hearing_loop loop, void *state)
{
    const int32_t index = add_source(&engine->process, (rt_source){.hearing_loop = loop, .state = state});
    engine->process.hears |= index >= 0;
    return index;
}

void rt_engine_set_liaison(rt_engine *engine, int32_t index, rt_liaison *liaison)
{
    rt_source *source = &engine->process.sources[index];
    source->liaison = liaison;
    source->late_seen = liaison->late_worker;
    source->hurried_seen = liaison->hurried;
}

void rt_engine_hear(rt_engine *engine, const float *samples, int64_t count)
{
    engine->process.recorded = samples;
    engine->process.recorded_count = count;
}

int64_t rt_engine_send(rt_engine *engine, const rt_message *messages, int64_t count)
{
    return (int64_t)rt_ring_write(&engine->process.messages, messages, (uint64_t)count);
}

void rt_engine_fade(rt_engine *engine, int32_t target, int64_t frames)
{
    atomic_store_explicit(&engine->process.fade_request, 4 * frames + (target != 0), memory_order_relaxed);
}

void rt_engine_fade_from_silence(rt_engine *engine, int64_t frames)
{
    atomic_store_explicit(&engine->process.fade_request, 4 * frames + 3, memory_order_relaxed);
}

int64_t rt_engine_time(rt_engine *engine)
{
    return atomic_load_explicit(&engine->process.next_time, memory_order_acquire);
}

int64_t rt_engine_time_at(rt_engine *engine, int64_t ns)
{
    int64_t sample;
    int32_t frames;
    return rt_clock_read(&engine->process.clock, ns, &sample, &frames) ? sample : rt_engine_time(engine);
}

int32_t rt_engine_latest_block(rt_engine *engine)
{
    return atomic_load_explicit(&engine->process.latest_block, memory_order_relaxed);
}

int64_t rt_engine_stamp(rt_engine *engine, int64_t ns)
{
    int64_t sample;
    int32_t frames;
    const int64_t next = rt_engine_time(engine);
    if (!rt_clock_read(&engine->process.clock, ns, &sample, &frames)) return next;
    /* The map runs through the middle of the host's jitter: what came in just after an early start may fall on a
       sample that is already being computed, and is then played at the first one that is not. */
    return sample + frames > next ? sample + frames : next;
}

void rt_engine_record(rt_engine *engine, int32_t on)
{
    atomic_store_explicit(&engine->process.record, on != 0, memory_order_release);
}

int64_t rt_engine_read_recording(rt_engine *engine, float *pairs, int64_t frames)
{
    return (int64_t)rt_ring_read(&engine->process.recording, pairs, (uint64_t)frames);
}

int32_t rt_engine_open_journal(rt_engine *engine, int64_t capacity, int64_t heard_capacity)
{
    return rt_journal_open(&engine->process.journal, capacity, heard_capacity) ? 0 : -1;
}

int64_t rt_engine_read_journal(rt_engine *engine, rt_message *messages, int64_t count)
{
    rt_ring *ring = &engine->process.journal.messages;
    return ring->items ? (int64_t)rt_ring_read(ring, messages, (uint64_t)count) : 0;
}

int64_t rt_engine_read_heard(rt_engine *engine, float *samples, int64_t count)
{
    rt_ring *ring = &engine->process.journal.heard;
    return ring->items ? (int64_t)rt_ring_read(ring, samples, (uint64_t)count) : 0;
}

void rt_engine_journal_lost(const rt_engine *engine, int64_t *lost)
{
    lost[0] = atomic_load_explicit(&engine->process.journal.lost_messages, memory_order_relaxed);
    lost[1] = atomic_load_explicit(&engine->process.journal.lost_heard, memory_order_relaxed);
}

void rt_engine_replay(rt_engine *engine)
{
    engine->process.replays = true;
}

void rt_engine_meter(rt_engine *engine, float *peaks)
{
    for (int32_t i = 0; i < 2; i++)
        peaks[i] = atomic_exchange_explicit(&engine->process.meter[i], 0.0f, memory_order_relaxed);
}

float rt_engine_heard_meter(rt_engine *engine)
{
    return atomic_exchange_explicit(&engine->process.heard_meter, 0.0f, memory_order_relaxed);
}

static rt_statistics *counting_side(rt_engine *engine)
{
    return &engine->process.sides[atomic_load_explicit(&engine->process.side_wanted, memory_order_acquire)];
}

float rt_engine_counters(rt_engine *engine, int64_t *counters)
{
    rt_statistics *statistics = counting_side(engine);
    for (int32_t i = 0; i < RT_COUNTERS; i++)
        counters[i] = atomic_load_explicit(&statistics->counters[i], memory_order_relaxed);
    return atomic_load_explicit(&statistics->peak, memory_order_relaxed);
}

float rt_engine_heard(rt_engine *engine)
{
    return atomic_load_explicit(&counting_side(engine)->heard, memory_order_relaxed);
}

int64_t rt_engine_histogram(rt_engine *engine, int32_t duration, uint64_t *buckets)
{
    if (duration < 0 || duration >= RT_DURATIONS) return -1;
    return rt_histogram_read(&counting_side(engine)->durations[duration], buckets);
}

int32_t rt_engine_ledger(rt_engine *engine, rt_late_block *ledger)
{
    return rt_statistics_ledger(counting_side(engine), ledger);
}

void rt_engine_reset_report(rt_engine *engine)
{
    rt_process *process = &engine->process;
    const int32_t wanted = atomic_load_explicit(&process->side_wanted, memory_order_relaxed);
    /* No block has used the wanted side yet: it is still clear, and the other may be in use. */
    if (atomic_load_explicit(&process->side_used, memory_order_acquire) != wanted) return;
    rt_statistics_clear(&process->sides[1 - wanted]);
    atomic_store_explicit(&process->side_wanted, 1 - wanted, memory_order_release);
}

static void run_offline(rt_engine *engine, rt_output output, int32_t frames)
{
    const rt_start start = {.now_ns = rt_now_ns()};
    rt_process_run(&engine->process, (rt_input){0}, output, frames, &start);
}

void rt_engine_process(rt_engine *engine, float *left, float *right, int32_t frames)
{
    run_offline(engine, (rt_output){left, right, 1}, frames);
}

void rt_engine_process_pairs(rt_engine *engine, float *pairs, int32_t frames)
{
    run_offline(engine, (rt_output){pairs, pairs + 1, 2}, frames);
}

int32_t rt_layout(const int64_t **numbers)
{
    static const int64_t layout[] = {
        sizeof(rt_message),
        offsetof(rt_message, time),
        offsetof(rt_message, value),
        offsetof(rt_message, number),
        offsetof(rt_message, kind),
        offsetof(rt_message, channel),
        offsetof(rt_message, source),
        offsetof(rt_message, option),
        sizeof(rt_late_block),
        offsetof(rt_late_block, time),
        offsetof(rt_late_block, wall_ns),
        offsetof(rt_late_block, cpu_ns),
        offsetof(rt_late_block, lateness_ns),
        offsetof(rt_late_block, cause),
        RT_LEDGER_CAPACITY,
        RT_HISTOGRAM_BITS,
        RT_HISTOGRAM_BUCKETS,
        RT_DURATIONS,
        RT_COUNTERS,
        RT_MAX_SOURCES,
        sizeof(rt_liaison),
        offsetof(rt_liaison, host_blocks),
        offsetof(rt_liaison, host_block),
        offsetof(rt_liaison, paced),
        offsetof(rt_liaison, late_worker),
        offsetof(rt_liaison, hurried),
    };
    *numbers = layout;
    return sizeof layout / sizeof *layout;
}

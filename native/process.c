#define _GNU_SOURCE
#include "process.h"

#include <math.h>
#include <string.h>

/* ---- messages: ring -> pending -> due ---- */

static void drain_ring(rt_process *process)
{
    rt_message message;
    while (!rt_pending_full(&process->pending) && rt_ring_read(&process->messages, &message, 1) == 1) {
        if (message.time < 0) message.time = process->time; /* "at once" */
        rt_pending_add(&process->pending, &message);
    }
}

static void set_gain(rt_process *process, float value)
{
    if (!isfinite(value) || value < 0.0f) return;
    if (process->time == 0)
        rt_gain_jump(&process->gain, value);
    else
        rt_gain_set(&process->gain, value);
}

static void fade(rt_process *process, const rt_message *message)
{
    if ((message->value != 0.0f && message->value != 1.0f) || message->option < 0) return;
    if (message->number) process->gain.fade = 0.0;
    rt_gain_fade(&process->gain, message->value, message->option);
}

/* Fill process->due with what is due at this sample; RT_BATCH of them means that there may be more. */
static int32_t gather_due(rt_process *process)
{
    int32_t count = 0;
    while (count < RT_BATCH) {
        drain_ring(process);
        if (rt_pending_next(&process->pending) > process->time) break;
        const rt_message message = rt_pending_take(&process->pending);
        if (message.time < process->time) rt_statistics_add(process->statistics, RT_LATE_MESSAGES, 1);
        rt_journal_enter(&process->journal, message, process->time);
        if (message.kind == RT_GAIN)
            set_gain(process, message.value);
        else if (message.kind == RT_FADE)
            fade(process, &message);
        else
            process->due[count++] = message;
    }
    return count;
}

static rt_message reset_of(const rt_process *process, int32_t index)
{
    return (rt_message){.time = process->time, .kind = RT_RESET, .source = index};
}

/* Before the messages of the same sample: in this order they are applied. */
static void enter_resets(rt_process *process)
{
    for (int32_t i = 0; i < process->source_count; i++)
        if (process->sources[i].reset_due) rt_journal_enter(&process->journal, reset_of(process, i), process->time);
}

/* Fill process->routed with what concerns source `index`, a reset it owes us first. */
static int32_t route(rt_process *process, int32_t index, int32_t count)
{
    int32_t routed = 0;
    rt_source *source = &process->sources[index];
    if (source->reset_due) {
        process->routed[routed++] = reset_of(process, index);
        source->reset_due = false;
    }
    for (int32_t i = 0; i < count; i++) {
        const int32_t to = process->due[i].source;
        if (to == index || to == RT_ALL_SOURCES) process->routed[routed++] = process->due[i];
    }
    return routed;
}

/* ---- looking at samples ---- */

static uint32_t bits_of(float sample)
{
    uint32_t bits;
    memcpy(&bits, &sample, sizeof bits);
    return bits;
}

#define EXPONENT UINT32_C(0x7f800000) /* all set: infinite or not a number */

static bool all_finite(const float *samples, int32_t frames)
{
    uint32_t not_finite = 0;
    for (int32_t i = 0; i < frames; i++) not_finite |= (bits_of(samples[i]) & EXPONENT) == EXPONENT;
    return !not_finite;
}

static int64_t silence_not_finite(float *samples, int32_t frames)
{
    int64_t silenced = 0;
    for (int32_t i = 0; i < frames; i++) {
        if ((bits_of(samples[i]) & EXPONENT) != EXPONENT) continue;
        samples[i] = 0.0f;
        silenced++;
    }
    return silenced;
}

static float highest(const float *samples, int32_t frames)
{
    float peak = 0.0f;
    for (int32_t i = 0; i < frames; i++) peak = fabsf(samples[i]) > peak ? fabsf(samples[i]) : peak;
    return peak;
}

static void raise_meter(_Atomic float *meter, const float *samples, int32_t frames)
{
    const float peak = highest(samples, frames);
    /* A reader may set it to zero in between: it has then been told of a peak at least this high. */
    if (peak > atomic_load_explicit(meter, memory_order_relaxed))
        atomic_store_explicit(meter, peak, memory_order_relaxed);
}

/* ---- host or recording -> what the sources hear ---- */

static void hear_recorded(rt_process *process, int32_t frames)
{
    const int64_t left = process->recorded_count - process->time;
    const int32_t there = left < 0 ? 0 : left < frames ? (int32_t)left : frames;
    if (there > 0) memcpy(process->heard, process->recorded + process->time, (size_t)there * sizeof(float));
    memset(process->heard + there, 0, (size_t)(frames - there) * sizeof(float));
}

static void hear_host(rt_process *process, rt_input input, int32_t offset, int32_t frames)
{
    const ptrdiff_t stride = input.channels;
    const float *first = input.samples + offset * stride;
    if (input.channel != RT_ALL_CHANNELS) {
        for (int32_t i = 0; i < frames; i++) process->heard[i] = first[i * stride + input.channel];
        return;
    }
    const float share = 1.0f / (float)input.channels;
    for (int32_t i = 0; i < frames; i++) {
        float sum = 0.0f;
        for (int32_t channel = 0; channel < input.channels; channel++) sum += first[i * stride + channel];
        process->heard[i] = share * sum;
    }
}

static void hear(rt_process *process, rt_input input, int32_t offset, int32_t frames)
{
    if (!process->hears) return;
    if (process->recorded)
        hear_recorded(process, frames);
    else if (input.samples)
        hear_host(process, input, offset, frames);
    else
        memset(process->heard, 0, (size_t)frames * sizeof(float));
    if (!all_finite(process->heard, frames))
        rt_statistics_add(process->statistics, RT_NAN_INPUT, silence_not_finite(process->heard, frames));
    rt_journal_hear(&process->journal, process->heard, frames);
    rt_statistics_heard(process->statistics, highest(process->heard, frames));
    raise_meter(&process->heard_meter, process->heard, frames);
}

/* ---- sources -> mix ---- */

/* Keep not-finite samples out of the mix, and reset the source whose they are, once until it is well again. */
static void guard(rt_process *process, rt_source *source, int32_t frames)
{
    if (all_finite(process->own_left, frames) && all_finite(process->own_right, frames)) {
        if (frames > 0) source->broken = false;
        return;
    }
    const int64_t silenced =
        silence_not_finite(process->own_left, frames) + silence_not_finite(process->own_right, frames);
    rt_statistics_add(process->statistics, RT_NAN_SAMPLES, silenced);
    if (!source->broken) source->reset_due = !process->replays;
    source->broken = true;
}

static void add(float *mix, const float *own, int32_t frames)
{
    for (int32_t i = 0; i < frames; i++) mix[i] += own[i];
}

static void run_sources(rt_process *process, int32_t count, int32_t frames)
{
    const size_t bytes = (size_t)frames * sizeof(float);
    memset(process->mix_left, 0, bytes);
    memset(process->mix_right, 0, bytes);
    for (int32_t i = 0; i < process->source_count; i++) {
        rt_source *source = &process->sources[i];
        const int32_t routed = route(process, i, count);
        memset(process->own_left, 0, bytes);
        memset(process->own_right, 0, bytes);
        float *left = process->own_left, *right = process->own_right;
        if (source->hearing_loop)
            source->hearing_loop(source->state, process->routed, routed, process->heard, left, right, frames);
        else
            source->loop(source->state, process->routed, routed, left, right, frames);
        guard(process, source, frames);
        add(process->mix_left, process->own_left, frames);
        add(process->mix_right, process->own_right, frames);
    }
}

/* ---- mix -> host, record ring, meter ---- */

static void record(rt_process *process, int32_t frames)
{
    if (!atomic_load_explicit(&process->record, memory_order_acquire)) return;
    for (int32_t i = 0; i < frames; i++) {
        process->pairs[2 * i] = process->mix_left[i];
        process->pairs[2 * i + 1] = process->mix_right[i];
    }
    const uint64_t written = rt_ring_write(&process->recording, process->pairs, (uint64_t)frames);
    rt_statistics_add(process->statistics, RT_DROPPED_RECORD_FRAMES, frames - (int64_t)written);
}

static void write_output(const rt_process *process, rt_output output, int32_t offset, int32_t frames)
{
    if (!output.left) return;
    float *left = output.left + offset * output.stride;
    if (!output.right) {
        for (int32_t i = 0; i < frames; i++)
            left[i * output.stride] = 0.5f * (process->mix_left[i] + process->mix_right[i]);
        return;
    }
    float *right = output.right + offset * output.stride;
    for (int32_t i = 0; i < frames; i++) {
        left[i * output.stride] = process->mix_left[i];
        right[i * output.stride] = process->mix_right[i];
    }
}

static void finish_mix(rt_process *process, rt_output output, int32_t offset, int32_t frames)
{
    rt_gain_apply(&process->gain, process->mix_left, process->mix_right, frames);
    rt_limiter_apply(&process->limiter, process->mix_left, process->mix_right, frames);
    raise_meter(&process->meter[0], process->mix_left, frames);
    raise_meter(&process->meter[1], process->mix_right, frames);
    record(process, frames);
    write_output(process, output, offset, frames);
}

/* ---- a host block: split at messages and at max_block ---- */

static int32_t until_next_message(const rt_process *process, int32_t frames)
{
    const int64_t wait = rt_pending_next(&process->pending) - process->time;
    const int32_t most = frames < process->max_block ? frames : process->max_block;
    return wait < most ? (int32_t)wait : most;
}

static void split_block(rt_process *process, rt_input input, rt_output output, int32_t frames)
{
    int32_t done = 0;
    do {
        int32_t count;
        enter_resets(process);
        while ((count = gather_due(process)) == RT_BATCH) run_sources(process, count, 0);
        const int32_t run = until_next_message(process, frames - done);
        hear(process, input, done, run);
        run_sources(process, count, run);
        finish_mix(process, output, done, run);
        process->time += run;
        done += run;
    } while (done < frames);
}

/* ---- sources that depend on a worker ---- */

static void announce_block(rt_process *process, int32_t frames, bool paced)
{
    for (int32_t i = 0; i < process->source_count; i++) {
        rt_liaison *liaison = process->sources[i].liaison;
        if (!liaison) continue;
        liaison->host_blocks++;
        liaison->host_block = frames;
        liaison->paced = paced;
    }
}

static void enter(rt_process *process, rt_late_block block, enum rt_cause cause)
{
    block.cause = cause;
    rt_statistics_late(process->statistics, &block);
}

/* Enter what a worker did not deliver in this block. What the host left it no time for is the host's, and has been
   entered already where the host only makes up for a late block. */
static void enter_missing(rt_process *process, rt_late_block block)
{
    for (int32_t i = 0; i < process->source_count; i++) {
        rt_source *source = &process->sources[i];
        if (!source->liaison) continue;
        for (; source->late_seen < source->liaison->late_worker; source->late_seen++) enter(process, block, RT_WORKER);
        for (; source->hurried_seen < source->liaison->hurried; source->hurried_seen++)
            if (block.time >= process->excused_until) enter(process, block, RT_HOST);
    }
}

/* ---- requests and measurements around it ---- */

static void take_requests(rt_process *process)
{
    const int32_t side = atomic_load_explicit(&process->side_wanted, memory_order_acquire);
    process->statistics = &process->sides[side];
    atomic_store_explicit(&process->side_used, side, memory_order_release);
    const int64_t request = atomic_exchange_explicit(&process->fade_request, -1, memory_order_relaxed);
    if (request < 0) return;
    const rt_message message = {
        .value = (float)(request % 2),
        .number = (int16_t)(request / 2 % 2),
        .kind = RT_FADE,
        .source = RT_ALL_SOURCES,
        .option = (int32_t)(request / 4),
    };
    rt_journal_enter(&process->journal, message, process->time);
    fade(process, &message);
}

static void publish_levels(rt_process *process)
{
    rt_statistics_peak(process->statistics, process->limiter.peak);
    rt_statistics_add(process->statistics, RT_LIMITED_SAMPLES, process->limiter.limited);
    process->limiter.peak = 0.0f;
    process->limiter.limited = 0;
}

/* Enter the block in the ledger if it was late: once, under one cause. */
static void judge(rt_process *process, const rt_start *start, rt_late_block block, int64_t budget_ns)
{
    const bool overran = block.lateness_ns + block.wall_ns > budget_ns;
    if (block.cpu_ns > budget_ns)
        block.cause = RT_ENGINE;
    else if (block.wall_ns > budget_ns)
        block.cause = RT_PREEMPTED;
    else
        block.cause = RT_HOST;
    /* The host's flag speaks of the time before this block: if our clock has blamed one for that, it is not another. */
    const bool unseen_underflow = start->underflow && !process->blamed;
    if (overran || unseen_underflow) rt_statistics_late(process->statistics, &block);
    process->blamed = overran;
    if (!overran) return;
    const double behind = (double)(block.lateness_ns + block.wall_ns) * 1e-9 * process->sample_rate;
    const int32_t frames = atomic_load_explicit(&process->latest_block, memory_order_relaxed);
    process->excused_until = block.time + (int64_t)behind + 2 * frames;
}

static void measure(rt_process *process, const rt_start *start, int64_t first, int32_t frames, int64_t cpu_ns)
{
    rt_statistics *statistics = process->statistics;
    const int64_t previous_ns = process->started_ns;
    process->started_ns = start->now_ns;
    process->finished_ns = rt_now_ns();
    const int64_t wall_ns = process->finished_ns - start->now_ns;
    rt_statistics_add(statistics, RT_BLOCKS, 1);
    if (start->input_underflow) rt_statistics_add(statistics, RT_INPUT_UNDERFLOWS, 1);
    if (start->input_overflow) rt_statistics_add(statistics, RT_INPUT_OVERFLOWS, 1);
    if (start->xruns) rt_statistics_add(statistics, RT_HOST_XRUNS, start->xruns);
    rt_histogram_count(&statistics->durations[RT_WALL], wall_ns);
    rt_histogram_count(&statistics->durations[RT_CPU], cpu_ns);
    const rt_late_block block = {first, wall_ns, cpu_ns, start->lateness_ns, RT_HOST};
    if (!start->paced) {
        enter_missing(process, block);
        return;
    }
    rt_histogram_count(&statistics->durations[RT_LATENESS], start->lateness_ns);
    if (previous_ns) rt_histogram_count(&statistics->durations[RT_INTERVAL], start->now_ns - previous_ns);
    judge(process, start, block, (int64_t)(frames * 1e9 / process->sample_rate));
    enter_missing(process, block);
}

void rt_process_run(rt_process *process, rt_input input, rt_output output, int32_t frames, const rt_start *start)
{
    const uint64_t float_mode = rt_flush_to_zero();
    const int64_t cpu_start_ns = rt_cpu_ns();
    const int64_t first = process->time;
    take_requests(process);
    if (frames > 0) {
        atomic_store_explicit(&process->latest_block, frames, memory_order_relaxed);
        atomic_store_explicit(&process->next_time, first + frames, memory_order_release);
        announce_block(process, frames, start->paced);
    }
    split_block(process, input, output, frames);
    publish_levels(process);
    if (frames > 0) measure(process, start, first, frames, rt_cpu_ns() - cpu_start_ns);
    rt_restore_float(float_mode);
}

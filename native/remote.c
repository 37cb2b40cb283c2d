#define _GNU_SOURCE
#include "remote.h"

#include "clock.h"

#include <math.h>
#include <string.h>

#define AUDIBLE 1e-5f /* -100 dB of full scale */
#define NEVER (-(INT64_C(1) << 62))

enum mode {
    STARTING,  /* before the origin: silence */
    SYNCED,    /* the answer is played */
    LOST,      /* it is not there: its stand-in is played */
    RETURNING, /* it is there again: cross-fade from the stand-in */
};

/* ---- the delay ---- */

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* Time for the worker, in samples, between the block that completes a frame and the one that plays it. All blocks as
   long: whole blocks, at least one, so that the frame is heard at the end of one block and played at the start of a
   later. Else what completes the frame may have come anywhere in the longest block before. */
static int32_t ahead_of(const rt_remote *remote)
{
    const int32_t block = remote->state.longest, compute = remote->parameters.compute;
    if (remote->state.shortest != block) return block + compute;
    return (larger(block, compute) + block - 1) / block * block;
}

/* The worker computes in whole frames. Where the input grows by any number of samples, up to hop - 1 of them wait for
   the rest of theirs; where it only stands at multiples of `grid`, the most that can wait is hop - gcd(grid, hop). */
static int32_t least_delay(const rt_remote *remote)
{
    const rt_remote_parameters *parameters = &remote->parameters;
    if (remote->state.longest == 0) return parameters->framing;
    const int32_t common = (int32_t)common_divisor(remote->state.grid, parameters->hop);
    const int64_t delay = (int64_t)parameters->framing - (common - 1) + remote->state.ahead;
    return delay < parameters->most_delay ? (int32_t)delay : parameters->most_delay;
}

static void learn_block(rt_remote *remote)
{
    rt_remote_state *state = &remote->state;
    const int32_t block = remote->liaison.host_block;
    if (!remote->liaison.paced || block <= 0) return;
    const int64_t begin = state->block - state->origin, end = begin + block;
    if (begin > 0) state->grid = common_divisor(state->grid, begin);
    if (end > 0) state->grid = common_divisor(state->grid, end);
    state->longest = larger(state->longest, block);
    state->shortest = state->shortest && state->shortest < block ? state->shortest : block;
    state->ahead = ahead_of(remote);
}

static void break_off(rt_remote *remote)
{
    rt_seam_take(&remote->buffers.wet[0]);
    rt_seam_take(&remote->buffers.wet[1]);
    remote->state.wet_seam = 0;
}

static void synchronise(rt_remote_state *state)
{
    state->mode = SYNCED;
    state->counted = false;
}

static void add_to(_Atomic int64_t *total, int64_t amount)
{
    atomic_store_explicit(total, atomic_load_explicit(total, memory_order_relaxed) + amount, memory_order_relaxed);
}

/* It only grows while playing: what has been promised to the host and to the ear is not taken back. */
static void settle_delay(rt_remote *remote)
{
    rt_remote_state *state = &remote->state;
    learn_block(remote);
    const int32_t delay = least_delay(remote), old = atomic_load_explicit(&state->delay, memory_order_relaxed);
    const bool playing = state->heard != state->first;
    if (delay == old || (playing && delay < old)) return;
    atomic_store_explicit(&state->delay, delay, memory_order_relaxed);
    if (!playing) return;
    add_to(&state->delay_changes, 1);
    rt_seam_take(&remote->buffers.dry);
    state->dry_seam = 0;
    if (state->mode == RETURNING) synchronise(state);
    if (state->mode == SYNCED) break_off(remote);
}

/* ---- the dry signal ---- */

static void play_dry(rt_remote *remote, const float *in, int64_t position, int32_t frames)
{
    rt_remote_state *state = &remote->state;
    rt_remote_buffers *buffers = &remote->buffers;
    const int64_t mask = remote->parameters.line - 1;
    for (int32_t i = 0; i < frames; i++) buffers->line[(state->heard + i) & mask] = in[i];
    for (int32_t i = 0; i < frames; i++, state->dry_seam++) {
        const float sample = position + i < state->origin ? 0.0f : buffers->line[(position + i) & mask];
        buffers->delayed[i] = rt_seam_across(&buffers->dry, state->dry_seam, remote->parameters.fade, sample);
        rt_seam_push(&buffers->dry, buffers->delayed[i]);
    }
}

/* ---- the wet signal ---- */

/* The worker has had half of the time it was promised: then it is the one that is late, and not the host early. */
static bool worker_had_time(const rt_remote *remote, int64_t position)
{
    const rt_remote_state *state = &remote->state;
    if (!remote->liaison.paced) return true;
    const int32_t delay = atomic_load_explicit(&state->delay, memory_order_relaxed);
    const int64_t heard_ns = rt_link_heard_ns(remote->parameters.link, position + delay - state->ahead + 1);
    return (double)(rt_now_ns() - heard_ns) >= 0.5e9 * state->ahead / remote->parameters.sample_rate;
}

static void count_episode(rt_remote *remote, int64_t position)
{
    if (remote->state.counted) return;
    remote->state.counted = true;
    const bool worker = worker_had_time(remote, position);
    add_to(worker ? &remote->state.episodes : &remote->state.hurried, 1);
    if (worker)
        remote->liaison.late_worker++;
    else
        remote->liaison.hurried++;
}

static void lose(rt_remote *remote, int64_t position)
{
    rt_remote_state *state = &remote->state;
    count_episode(remote, position);
    state->mode = LOST;
    break_off(remote);
}

/* What is played in the answer's place. */
static float stand_in(const rt_remote *remote, const rt_seam *seam, int32_t i)
{
    switch (remote->parameters.policy) {
    case RT_DRY: return remote->buffers.delayed[i];
    case RT_HOLD: return rt_seam_echo(seam, remote->state.wet_seam);
    default: return 0.0f;
    }
}

static float wet_sample(const rt_remote *remote, const rt_seam *seam, float answer, int32_t i)
{
    const rt_remote_state *state = &remote->state;
    const int32_t fade = remote->parameters.fade;
    const bool lost = state->mode == LOST || state->mode == RETURNING;
    float sample = lost ? stand_in(remote, seam, i) : answer;
    if (state->mode == RETURNING) sample += (float)(state->returned + 1) / (float)(fade + 1) * (answer - sample);
    return rt_seam_across(seam, state->wet_seam, fade, sample);
}

/* A worker that is still starting is not late; one that has been answering for a second, and never in time, is. */
static void see_beginning(rt_remote *remote, int64_t position)
{
    rt_remote_state *state = &remote->state;
    if (atomic_load_explicit(&state->begun, memory_order_relaxed)) return;
    if (state->mode == LOST) {
        const int64_t written = atomic_load_explicit(&remote->parameters.link->out_written, memory_order_relaxed);
        if (state->answered < 0 && written > state->origin) state->answered = state->heard;
        const int64_t since = state->heard - state->answered;
        if (state->answered < 0 || (double)since < remote->parameters.sample_rate) return;
        count_episode(remote, position);
    }
    atomic_store_explicit(&state->begun, 1, memory_order_relaxed);
}

static void start_or_return(rt_remote *remote, int64_t position, bool all_there)
{
    rt_remote_state *state = &remote->state;
    const bool begun = atomic_load_explicit(&state->begun, memory_order_relaxed);
    if (state->mode == STARTING) state->mode = all_there || begun ? SYNCED : LOST;
    /* Only when the end that was mirrored has faded: two fades at once may add up to a step. */
    if (state->mode == LOST && all_there && state->wet_seam >= remote->parameters.fade) {
        state->mode = RETURNING;
        state->returned = 0;
    }
    see_beginning(remote, position);
}

/* Copy the answer from `position` on to what is to be played, silence before the origin; returns how much is there. */
static int32_t fetch(rt_remote *remote, int64_t position, int32_t frames)
{
    float *left = remote->buffers.played[0], *right = remote->buffers.played[1];
    const int64_t before = remote->state.origin - position;
    const int32_t silent = before < 0 ? 0 : before < frames ? (int32_t)before : frames;
    memset(left, 0, (size_t)silent * sizeof(float));
    memset(right, 0, (size_t)silent * sizeof(float));
    if (silent == frames) return frames;
    rt_link *link = remote->parameters.link;
    const int32_t sounding = frames - silent;
    int32_t there = silent + rt_link_answer(link, position + silent, left + silent, right + silent, sounding);
    if (remote->state.rests) {
        memset(left + there, 0, (size_t)(frames - there) * sizeof(float));
        memset(right + there, 0, (size_t)(frames - there) * sizeof(float));
        there = frames;
    }
    start_or_return(remote, position, there == frames);
    return there;
}

static void play_wet(rt_remote *remote, int64_t position, int32_t frames)
{
    rt_remote_state *state = &remote->state;
    rt_seam *left_seam = &remote->buffers.wet[0], *right_seam = &remote->buffers.wet[1];
    float *left = remote->buffers.played[0], *right = remote->buffers.played[1];
    const int32_t there = fetch(remote, position, frames);
    int64_t concealed = 0;
    for (int32_t i = 0; i < frames; i++) {
        if (state->mode != LOST && i >= there) lose(remote, position + i);
        left[i] = wet_sample(remote, left_seam, left[i], i);
        right[i] = wet_sample(remote, right_seam, right[i], i);
        rt_seam_push(left_seam, left[i]);
        rt_seam_push(right_seam, right[i]);
        concealed += state->mode == LOST;
        state->wet_seam++;
        if (state->mode == RETURNING && ++state->returned == remote->parameters.fade) synchronise(state);
    }
    if (concealed && atomic_load_explicit(&state->begun, memory_order_relaxed)) add_to(&state->concealed, concealed);
}

/* ---- both ---- */

static float next_share(const rt_remote_parameters *parameters, rt_remote_state *state)
{
    if (state->glided >= parameters->glide) return state->wet_to;
    state->glided++;
    return state->wet_from + (float)state->glided / (float)parameters->glide * (state->wet_to - state->wet_from);
}

static float mixed(float wet, float dry, float share)
{
    if (share == 1.0f) return wet; /* to the bit */
    if (share == 0.0f) return dry;
    return share * wet + (1.0f - share) * dry;
}

static float highest(float peak, float sample)
{
    return fabsf(sample) > peak ? fabsf(sample) : peak;
}

static void mix(rt_remote *remote, const float *in, float *left, float *right, int32_t frames)
{
    rt_remote_state *state = &remote->state;
    const rt_remote_buffers *buffers = &remote->buffers;
    float peak = 0.0f;
    for (int32_t i = 0; i < frames; i++) {
        const float share = next_share(&remote->parameters, state);
        const float l = mixed(buffers->played[0][i], buffers->delayed[i], share);
        const float r = mixed(buffers->played[1][i], buffers->delayed[i], share);
        peak = highest(highest(highest(peak, in[i]), l), r);
        left[i] += l;
        right[i] += r;
    }
    state->heard += frames;
    if (peak > AUDIBLE) state->loud = state->heard;
    const bool active = (double)(state->heard - state->loud) < remote->parameters.sample_rate;
    atomic_store_explicit(&state->active, active, memory_order_relaxed);
}

static void play_chunk(rt_remote *remote, const float *in, float *left, float *right, int32_t frames)
{
    const int64_t position = remote->state.heard - atomic_load_explicit(&remote->state.delay, memory_order_relaxed);
    play_dry(remote, in, position, frames);
    play_wet(remote, position, frames);
    mix(remote, in, left, right, frames);
}

/* Offline only. Once it was in vain, go on without, until the worker is back. */
static void wait_for_worker(rt_remote *remote, int32_t frames)
{
    rt_remote_state *state = &remote->state;
    const int64_t until = state->heard + frames - atomic_load_explicit(&state->delay, memory_order_relaxed);
    if (until <= state->origin) return;
    const int64_t patience_ns = state->gave_up ? 0 : remote->parameters.patience_ns;
    state->gave_up = !rt_link_await(remote->parameters.link, until, patience_ns);
}

/* ---- the source ---- */

static void forget(rt_remote *remote, int64_t origin)
{
    rt_remote_state *state = &remote->state;
    state->origin = origin;
    state->grid = remote->parameters.host_block > 0; /* of blocks of any length: 1 */
    state->mode = STARTING;
    state->wet_seam = state->dry_seam = remote->parameters.fade;
    state->wet_from = state->wet_to = remote->parameters.wet;
    state->glided = remote->parameters.glide;
    state->gave_up = state->counted = state->rests = false;
    rt_seam_clear(&remote->buffers.dry);
    rt_seam_clear(&remote->buffers.wet[0]);
    rt_seam_clear(&remote->buffers.wet[1]);
    if (origin > 0) rt_link_reset(remote->parameters.link, origin);
}

void rt_remote_reset(rt_remote *remote)
{
    const rt_remote_parameters *parameters = &remote->parameters;
    rt_remote_state *state = &remote->state;
    int64_t positions[RT_LINK_POSITIONS];
    rt_link_positions(parameters->link, positions);
    state->heard = state->first = state->block = positions[0];
    state->blocks = remote->liaison.host_blocks;
    state->longest = state->shortest = state->ahead = 0;
    state->loud = NEVER;
    state->answered = -1;
    if (parameters->host_block > 0) { /* blocks of any length up to this */
        state->longest = parameters->host_block;
        state->shortest = 1;
        state->ahead = ahead_of(remote);
    }
    forget(remote, state->heard);
    atomic_store_explicit(&state->delay, least_delay(remote), memory_order_relaxed);
    atomic_store_explicit(&state->active, 0, memory_order_relaxed);
    rt_link_need(parameters->link, state->heard - least_delay(remote));
}

/* Where the worker begins anew. With a host that has a deadline, at an edge of its blocks: else the frames that follow
   would lie otherwise to the blocks than before, and the delay might have to grow for it. */
static int64_t next_edge(const rt_remote *remote)
{
    const rt_remote_state *state = &remote->state;
    const bool inside = state->heard > state->block && state->heard < state->block + remote->liaison.host_block;
    return remote->liaison.paced && inside ? state->block + remote->liaison.host_block : state->heard;
}

static void see_block(rt_remote *remote)
{
    if (remote->state.blocks == remote->liaison.host_blocks) return;
    remote->state.blocks = remote->liaison.host_blocks;
    remote->state.block = remote->state.heard;
    remote->state.rests = remote->liaison.paced && rt_link_rests(remote->parameters.link);
}

static void apply(rt_remote *remote, const rt_message *message)
{
    rt_remote_state *state = &remote->state;
    if (message->kind == RT_RESET) forget(remote, next_edge(remote));
    if (message->kind != RT_CONTROL || message->number != RT_REMOTE_WET) return;
    if (!(message->value >= 0.0f && message->value <= 127.0f)) return;
    const float way = (float)state->glided / (float)remote->parameters.glide;
    state->wet_from += way * (state->wet_to - state->wet_from);
    state->wet_to = message->value / 127.0f;
    state->glided = 0;
}

void rt_remote_loop(void *user_data, const rt_message *messages, int32_t count, const float *in,
                    float *left, float *right, int32_t frames)
{
    rt_remote *remote = user_data;
    see_block(remote);
    for (int32_t i = 0; i < count; i++) apply(remote, &messages[i]);
    if (frames <= 0) return;
    settle_delay(remote);
    if (remote->liaison.paced) {
        rt_link_hear(remote->parameters.link, in, frames);
    } else {
        rt_link_hear_awake(remote->parameters.link, in, frames);
        wait_for_worker(remote, frames);
    }
    for (int32_t done = 0; done < frames; done += RT_REMOTE_CHUNK) {
        const int32_t run = frames - done < RT_REMOTE_CHUNK ? frames - done : RT_REMOTE_CHUNK;
        play_chunk(remote, in + done, left + done, right + done, run);
    }
    const int32_t delay = atomic_load_explicit(&remote->state.delay, memory_order_relaxed);
    rt_link_need(remote->parameters.link, remote->state.heard - delay);
}

int64_t rt_remote_size(void)
{
    return sizeof(rt_remote);
}

#define _GNU_SOURCE
#include "jack.h"

#include "lateness.h"
#include "libjack.h"
#include "memory.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AUDIO "32 bit float mono audio"
#define MOST_FRAMES 65536 /* of a period; jackd's own limit is 8192 */
#define MOST_OUTPUTS 2
#define STOP_POLL_NS 100000

/* ---- the client ---- */

struct rt_jack {
    /* Set before it plays */
    jack_client *client;
    rt_engine *engine;
    int32_t outputs, inputs;
    jack_port *out[MOST_OUTPUTS];
    jack_port *in[RT_MAX_CHANNELS];

    /* [audio] */
    rt_lateness lateness;
    bool was_freewheeling;
    float *heard; /* (MOST_FRAMES,) mean of several inputs */

    /* Shared with libjack's notification thread and main */
    _Atomic int32_t state;      /* enum rt_jack_state */
    _Atomic bool playing;       /* the engine may be run */
    _Atomic bool busy;          /* the callback is inside it, or about to look */
    _Atomic bool freewheeling;
    _Atomic bool ports_changed;
    _Atomic int64_t xruns;      /* told of and not yet counted */
    _Atomic int32_t period;     /* frames */
    _Atomic int32_t own_latency; /* frames */
};

/* ---- [audio] ---- */

static float *buffer_of(jack_port *port, uint32_t frames)
{
    return rt_libjack.port_get_buffer(port, frames);
}

static void play_silence(rt_jack *jack, uint32_t frames)
{
    for (int32_t i = 0; i < jack->outputs; i++) memset(buffer_of(jack->out[i], frames), 0, frames * sizeof(float));
}

static rt_input hear_ports(rt_jack *jack, uint32_t frames)
{
    if (jack->inputs == 0) return (rt_input){0};
    const float *samples = buffer_of(jack->in[0], frames);
    if (jack->inputs > 1) {
        memcpy(jack->heard, samples, frames * sizeof(float));
        for (int32_t i = 1; i < jack->inputs; i++) {
            const float *more = buffer_of(jack->in[i], frames);
            for (uint32_t k = 0; k < frames; k++) jack->heard[k] += more[k];
        }
        const float share = 1.0f / (float)jack->inputs;
        for (uint32_t k = 0; k < frames; k++) jack->heard[k] *= share;
        samples = jack->heard;
    }
    return (rt_input){samples, 1, 0};
}

static rt_output play_ports(rt_jack *jack, uint32_t frames)
{
    rt_output output = {.stride = 1};
    if (jack->outputs > 0) output.left = buffer_of(jack->out[0], frames);
    if (jack->outputs > 1) output.right = buffer_of(jack->out[1], frames);
    return output;
}

static RT_REALTIME void run_engine(rt_jack *jack, uint32_t frames)
{
    rt_process *process = &jack->engine->process;
    const int64_t now_ns = rt_now_ns();
    const bool freewheeling = atomic_load_explicit(&jack->freewheeling, memory_order_relaxed);
    rt_start start = {
        .now_ns = now_ns,
        .paced = !freewheeling,
        .xruns = atomic_exchange_explicit(&jack->xruns, 0, memory_order_relaxed),
    };
    if (freewheeling != jack->was_freewheeling) {
        jack->lateness = (rt_lateness){0};
        rt_clock_restart(&process->clock);
        jack->was_freewheeling = freewheeling;
    }
    if (!freewheeling) {
        const double length_ns = (double)frames * 1e9 / process->sample_rate;
        start.lateness_ns = rt_lateness_follow(&jack->lateness, now_ns, process->finished_ns, length_ns);
        rt_clock_update(&process->clock, process->time, now_ns, (int32_t)frames);
    }
    rt_process_run(process, hear_ports(jack, frames), play_ports(jack, frames), (int32_t)frames, &start);
}

/* `busy` is raised before `playing` is looked at, and rt_jack_stop lowers `playing` before it looks at `busy`: in the one
   order of sequentially consistent operations at least one of them sees the other. */
static RT_REALTIME int process_cycle(uint32_t frames, void *user_data)
{
    rt_jack *jack = user_data;
    atomic_store(&jack->busy, true);
    if (atomic_load(&jack->playing) && frames > 0 && frames <= MOST_FRAMES)
        run_engine(jack, frames);
    else
        play_silence(jack, frames);
    atomic_store(&jack->busy, false);
    return 0;
}

/* ---- libjack's notification thread ---- */

static void on_shutdown(void *user_data)
{
    rt_jack *jack = user_data;
    atomic_store(&jack->state, RT_JACK_GONE);
}

static int on_xrun(void *user_data)
{
    rt_jack *jack = user_data;
    atomic_fetch_add_explicit(&jack->xruns, 1, memory_order_relaxed);
    return 0;
}

static int on_period(uint32_t frames, void *user_data)
{
    rt_jack *jack = user_data;
    atomic_store(&jack->period, (int32_t)frames);
    return 0;
}

static int on_rate(uint32_t rate, void *user_data)
{
    rt_jack *jack = user_data;
    if ((double)rate == jack->engine->process.sample_rate) return 0;
    int32_t here = RT_JACK_HERE;
    atomic_store(&jack->playing, false);
    atomic_compare_exchange_strong(&jack->state, &here, RT_JACK_OTHER_RATE);
    return 0;
}

static void on_freewheel(int starting, void *user_data)
{
    rt_jack *jack = user_data;
    atomic_store(&jack->freewheeling, starting != 0);
}

static void on_ports(uint32_t port, int registered, void *user_data)
{
    rt_jack *jack = user_data;
    (void)port, (void)registered;
    atomic_store(&jack->ports_changed, true);
}

static jack_range longest(jack_port *const *ports, int32_t count, int mode)
{
    jack_range longest = {0};
    for (int32_t i = 0; i < count; i++) {
        jack_range range = {0};
        rt_libjack.port_get_latency_range(ports[i], mode, &range);
        longest.min = i == 0 || range.min < longest.min ? range.min : longest.min;
        longest.max = range.max > longest.max ? range.max : longest.max;
    }
    return longest;
}

/* What comes in has `own_latency` more behind it when it goes out, and what is to be heard has that more before it. */
static void on_latency(int mode, void *user_data)
{
    rt_jack *jack = user_data;
    const bool capture = mode == JACK_CAPTURE;
    jack_range range = capture ? longest(jack->in, jack->inputs, mode) : longest(jack->out, jack->outputs, mode);
    const uint32_t own = (uint32_t)atomic_load(&jack->own_latency);
    range.min += own;
    range.max += own;
    jack_port *const *ports = capture ? jack->out : jack->in;
    const int32_t count = capture ? jack->outputs : jack->inputs;
    for (int32_t i = 0; i < count; i++) rt_libjack.port_set_latency_range(ports[i], mode, &range);
}

/* ---- [main] ---- */

int32_t rt_jack_library(void)
{
    return rt_libjack_load();
}

rt_jack *rt_jack_open(const char *name)
{
    if (!rt_jack_library()) return NULL;
    rt_jack *jack = rt_allocate(sizeof *jack);
    if (!jack) return NULL;
    int status;
    jack->client = rt_libjack.client_open(name, JACK_NO_START_SERVER, &status);
    if (!jack->client) {
        free(jack);
        return NULL;
    }
    atomic_store(&jack->period, (int32_t)rt_libjack.get_buffer_size(jack->client));
    rt_libjack.on_shutdown(jack->client, on_shutdown, jack);
    return jack;
}

void rt_jack_close(rt_jack *jack)
{
    rt_jack_stop(jack);
    rt_libjack.client_close(jack->client);
    free(jack->heard);
    free(jack);
}

int32_t rt_jack_rate(rt_jack *jack)
{
    return (int32_t)rt_libjack.get_sample_rate(jack->client);
}

int32_t rt_jack_period(rt_jack *jack)
{
    return atomic_load(&jack->period);
}

int32_t rt_jack_state(rt_jack *jack)
{
    return atomic_load(&jack->state);
}

int32_t rt_jack_ports_changed(rt_jack *jack)
{
    return atomic_exchange(&jack->ports_changed, false);
}

static bool gone(rt_jack *jack)
{
    return atomic_load(&jack->state) == RT_JACK_GONE;
}

/* A line for one port at text + used; returns its length without an end. */
static int32_t describe(rt_jack *jack, const char *name, char *text, int32_t size, int32_t used)
{
    jack_port *port = rt_libjack.port_by_name(jack->client, name);
    if (!port || rt_libjack.port_is_mine(jack->client, port)) return 0;
    const int flags = rt_libjack.port_flags(port);
    const bool takes = flags & JACK_PORT_IS_INPUT;
    const uint32_t latency = longest(&port, 1, takes ? JACK_PLAYBACK : JACK_CAPTURE).max;
    char *rest = used < size ? text + used : NULL;
    const size_t room = used < size ? (size_t)(size - used) : 0;
    return snprintf(rest, room, "%d %d %u %s\n", takes, (flags & JACK_PORT_IS_PHYSICAL) != 0, latency, name);
}

int32_t rt_jack_ports(rt_jack *jack, char *text, int32_t size)
{
    if (gone(jack)) return -1;
    const char **names = rt_libjack.get_ports(jack->client, NULL, AUDIO, 0);
    int32_t used = 0;
    if (size > 0) text[0] = 0;
    for (int32_t i = 0; names && names[i]; i++) used += describe(jack, names[i], text, size, used);
    if (names) rt_libjack.free(names);
    return used + 1;
}

static jack_port *add_port(rt_jack *jack, const char *name, unsigned long flags)
{
    return rt_libjack.port_register(jack->client, name, AUDIO, flags, 0);
}

static bool add_ports(rt_jack *jack)
{
    static const char *const stereo[] = {"out_left", "out_right"};
    bool whole = true;
    for (int32_t i = 0; i < jack->outputs; i++) {
        jack->out[i] = add_port(jack, jack->outputs == 1 ? "out" : stereo[i], JACK_PORT_IS_OUTPUT);
        whole &= jack->out[i] != NULL;
    }
    for (int32_t i = 0; i < jack->inputs; i++) {
        char name[16];
        snprintf(name, sizeof name, "in_%d", i + 1);
        jack->in[i] = add_port(jack, name, JACK_PORT_IS_INPUT);
        whole &= jack->in[i] != NULL;
    }
    return whole;
}

static bool set_callbacks(rt_jack *jack)
{
    jack_client *client = jack->client;
    int problems = rt_libjack.set_process_callback(client, process_cycle, jack);
    problems |= rt_libjack.set_xrun_callback(client, on_xrun, jack);
    problems |= rt_libjack.set_buffer_size_callback(client, on_period, jack);
    problems |= rt_libjack.set_sample_rate_callback(client, on_rate, jack);
    problems |= rt_libjack.set_freewheel_callback(client, on_freewheel, jack);
    problems |= rt_libjack.set_latency_callback(client, on_latency, jack);
    problems |= rt_libjack.set_port_registration_callback(client, on_ports, jack);
    return problems == 0;
}

int32_t rt_jack_start(rt_jack *jack, rt_engine *engine, int32_t outputs, int32_t inputs)
{
    if (outputs < 0 || outputs > MOST_OUTPUTS || inputs < 0 || inputs > RT_MAX_CHANNELS) return -1;
    if (outputs + inputs == 0 || jack->engine || gone(jack)) return -1;
    jack->engine = engine;
    jack->outputs = outputs;
    jack->inputs = inputs;
    if (!jack->heard) jack->heard = rt_allocate(MOST_FRAMES * sizeof(float));
    if (!jack->heard || !add_ports(jack) || !set_callbacks(jack)) return -1;
    engine->process.started_ns = engine->process.finished_ns = 0;
    rt_clock_restart(&engine->process.clock);
    atomic_store(&jack->playing, true);
    if (rt_libjack.activate(jack->client) == 0) return 0;
    rt_jack_stop(jack);
    return -1;
}

void rt_jack_stop(rt_jack *jack)
{
    if (!jack->engine) return;
    atomic_store(&jack->playing, false);
    const struct timespec pause = {0, STOP_POLL_NS};
    while (atomic_load(&jack->busy)) nanosleep(&pause, NULL);
    rt_clock_restart(&jack->engine->process.clock);
}

int32_t rt_jack_connect(rt_jack *jack, int32_t input, int32_t index, const char *name)
{
    if (gone(jack) || index < 0 || index >= (input ? jack->inputs : jack->outputs)) return -1;
    const char *ours = rt_libjack.port_name(input ? jack->in[index] : jack->out[index]);
    const int problem = rt_libjack.connect(jack->client, input ? name : ours, input ? ours : name);
    return problem == 0 || problem == JACK_ALREADY ? 0 : -1;
}

int32_t rt_jack_latency(rt_jack *jack, int32_t input)
{
    if (gone(jack)) return 0;
    const jack_range range =
        input ? longest(jack->in, jack->inputs, JACK_CAPTURE) : longest(jack->out, jack->outputs, JACK_PLAYBACK);
    return (int32_t)range.max;
}

void rt_jack_announce_latency(rt_jack *jack, int32_t frames)
{
    atomic_store(&jack->own_latency, frames);
    if (!gone(jack)) rt_libjack.recompute_total_latencies(jack->client);
}

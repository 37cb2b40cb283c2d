#define _GNU_SOURCE
#include "jack.h"

#include "lateness.h"
#include "memory.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIBRARY "libjack.so.0"
#define AUDIO "32 bit float mono audio"
#define MOST_FRAMES 65536 /* of a period; jackd's own limit is 8192 */
#define MOST_OUTPUTS 2
#define STOP_POLL_NS 100000

/* ---- libjack: what we use of jack/jack.h ---- */

typedef struct jack_client jack_client;
typedef struct jack_port jack_port;
typedef struct {
    uint32_t min, max; /* frames */
} jack_range;

enum { NO_START_SERVER = 1 };                               /* of jack_options_t */
enum { PORT_IS_INPUT = 1, PORT_IS_OUTPUT = 2, PORT_IS_PHYSICAL = 4 }; /* of JackPortFlags */
enum { CAPTURE, PLAYBACK };                                 /* jack_latency_callback_mode_t */
enum { ALREADY = 17 };                                      /* EEXIST: what jack_connect says of a connection made before */

#define FUNCTIONS(X)                                                                        \
    X(jack_client *, client_open, (const char *, int, int *, ...))                          \
    X(int, client_close, (jack_client *))                                                   \
    X(int, activate, (jack_client *))                                                       \
    X(uint32_t, get_sample_rate, (jack_client *))                                           \
    X(uint32_t, get_buffer_size, (jack_client *))                                           \
    X(void, on_shutdown, (jack_client *, void (*)(void *), void *))                         \
    X(int, set_process_callback, (jack_client *, int (*)(uint32_t, void *), void *))        \
    X(int, set_xrun_callback, (jack_client *, int (*)(void *), void *))                     \
    X(int, set_buffer_size_callback, (jack_client *, int (*)(uint32_t, void *), void *))    \
    X(int, set_sample_rate_callback, (jack_client *, int (*)(uint32_t, void *), void *))    \
    X(int, set_freewheel_callback, (jack_client *, void (*)(int, void *), void *))          \
    X(int, set_latency_callback, (jack_client *, void (*)(int, void *), void *))            \
    X(int, set_port_registration_callback, (jack_client *, void (*)(uint32_t, int, void *), void *)) \
    X(jack_port *, port_register, (jack_client *, const char *, const char *, unsigned long, unsigned long)) \
    X(jack_port *, port_by_name, (jack_client *, const char *))                             \
    X(void *, port_get_buffer, (jack_port *, uint32_t))                                     \
    X(const char *, port_name, (const jack_port *))                                         \
    X(int, port_flags, (const jack_port *))                                                 \
    X(int, port_is_mine, (const jack_client *, const jack_port *))                          \
    X(void, port_get_latency_range, (jack_port *, int, jack_range *))                       \
    X(void, port_set_latency_range, (jack_port *, int, jack_range *))                       \
    X(int, recompute_total_latencies, (jack_client *))                                      \
    X(int, connect, (jack_client *, const char *, const char *))                            \
    X(const char **, get_ports, (jack_client *, const char *, const char *, unsigned long)) \
    X(void, free, (void *))                                                                 \
    X(void, set_error_function, (void (*)(const char *)))                                   \
    X(void, set_info_function, (void (*)(const char *)))

#define MEMBER(result, name, arguments) result(*name) arguments;
static struct {
    FUNCTIONS(MEMBER)
} libjack;

static bool loaded;

static void say_nothing(const char *text)
{
    (void)text; /* libjack would write to the user's terminal; what matters is in our return values */
}

static void load(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    loaded = true;
#define FIND(result, name, arguments)                                  \
    *(void **)&libjack.name = dlsym(library, "jack_" #name);           \
    if (!libjack.name) loaded = false;
    FUNCTIONS(FIND)
    if (!loaded) return;
    libjack.set_error_function(say_nothing);
    libjack.set_info_function(say_nothing);
}

void rt_jack_quieten(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (!library) return;
    static const char *const names[] = {"jack_set_error_function", "jack_set_info_function"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void (*set)(void (*)(const char *));
        *(void **)&set = dlsym(library, names[i]);
        if (set) set(say_nothing);
    }
    dlclose(library); /* our count of it; whoever loaded it has theirs */
}

int32_t rt_jack_library(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return loaded;
}

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
    return libjack.port_get_buffer(port, frames);
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
        libjack.port_get_latency_range(ports[i], mode, &range);
        longest.min = i == 0 || range.min < longest.min ? range.min : longest.min;
        longest.max = range.max > longest.max ? range.max : longest.max;
    }
    return longest;
}

/* What comes in has `own_latency` more behind it when it goes out, and what is to be heard has that more before it. */
static void on_latency(int mode, void *user_data)
{
    rt_jack *jack = user_data;
    const bool capture = mode == CAPTURE;
    jack_range range = capture ? longest(jack->in, jack->inputs, mode) : longest(jack->out, jack->outputs, mode);
    const uint32_t own = (uint32_t)atomic_load(&jack->own_latency);
    range.min += own;
    range.max += own;
    jack_port *const *ports = capture ? jack->out : jack->in;
    const int32_t count = capture ? jack->outputs : jack->inputs;
    for (int32_t i = 0; i < count; i++) libjack.port_set_latency_range(ports[i], mode, &range);
}

/* ---- [main] ---- */

rt_jack *rt_jack_open(const char *name)
{
    if (!rt_jack_library()) return NULL;
    rt_jack *jack = rt_allocate(sizeof *jack);
    if (!jack) return NULL;
    int status;
    jack->client = libjack.client_open(name, NO_START_SERVER, &status);
    if (!jack->client) {
        free(jack);
        return NULL;
    }
    atomic_store(&jack->period, (int32_t)libjack.get_buffer_size(jack->client));
    libjack.on_shutdown(jack->client, on_shutdown, jack);
    return jack;
}

void rt_jack_close(rt_jack *jack)
{
    rt_jack_stop(jack);
    libjack.client_close(jack->client);
    free(jack->heard);
    free(jack);
}

int32_t rt_jack_rate(rt_jack *jack)
{
    return (int32_t)libjack.get_sample_rate(jack->client);
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
    jack_port *port = libjack.port_by_name(jack->client, name);
    if (!port || libjack.port_is_mine(jack->client, port)) return 0;
    const int flags = libjack.port_flags(port);
    const bool takes = flags & PORT_IS_INPUT;
    const uint32_t latency = longest(&port, 1, takes ? PLAYBACK : CAPTURE).max;
    char *rest = used < size ? text + used : NULL;
    const size_t room = used < size ? (size_t)(size - used) : 0;
    return snprintf(rest, room, "%d %d %u %s\n", takes, (flags & PORT_IS_PHYSICAL) != 0, latency, name);
}

int32_t rt_jack_ports(rt_jack *jack, char *text, int32_t size)
{
    if (gone(jack)) return -1;
    const char **names = libjack.get_ports(jack->client, NULL, AUDIO, 0);
    int32_t used = 0;
    if (size > 0) text[0] = 0;
    for (int32_t i = 0; names && names[i]; i++) used += describe(jack, names[i], text, size, used);
    if (names) libjack.free(names);
    return used + 1;
}

static jack_port *add_port(rt_jack *jack, const char *name, unsigned long flags)
{
    return libjack.port_register(jack->client, name, AUDIO, flags, 0);
}

static bool add_ports(rt_jack *jack)
{
    static const char *const stereo[] = {"out_left", "out_right"};
    bool whole = true;
    for (int32_t i = 0; i < jack->outputs; i++) {
        jack->out[i] = add_port(jack, jack->outputs == 1 ? "out" : stereo[i], PORT_IS_OUTPUT);
        whole &= jack->out[i] != NULL;
    }
    for (int32_t i = 0; i < jack->inputs; i++) {
        char name[16];
        snprintf(name, sizeof name, "in_%d", i + 1);
        jack->in[i] = add_port(jack, name, PORT_IS_INPUT);
        whole &= jack->in[i] != NULL;
    }
    return whole;
}

static bool set_callbacks(rt_jack *jack)
{
    jack_client *client = jack->client;
    int problems = libjack.set_process_callback(client, process_cycle, jack);
    problems |= libjack.set_xrun_callback(client, on_xrun, jack);
    problems |= libjack.set_buffer_size_callback(client, on_period, jack);
    problems |= libjack.set_sample_rate_callback(client, on_rate, jack);
    problems |= libjack.set_freewheel_callback(client, on_freewheel, jack);
    problems |= libjack.set_latency_callback(client, on_latency, jack);
    problems |= libjack.set_port_registration_callback(client, on_ports, jack);
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
    if (libjack.activate(jack->client) == 0) return 0;
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
    const char *ours = libjack.port_name(input ? jack->in[index] : jack->out[index]);
    const int problem = libjack.connect(jack->client, input ? name : ours, input ? ours : name);
    return problem == 0 || problem == ALREADY ? 0 : -1;
}

int32_t rt_jack_latency(rt_jack *jack, int32_t input)
{
    if (gone(jack)) return 0;
    const jack_range range =
        input ? longest(jack->in, jack->inputs, CAPTURE) : longest(jack->out, jack->outputs, PLAYBACK);
    return (int32_t)range.max;
}

void rt_jack_announce_latency(rt_jack *jack, int32_t frames)
{
    atomic_store(&jack->own_latency, frames);
    if (!gone(jack)) libjack.recompute_total_latencies(jack->client);
}

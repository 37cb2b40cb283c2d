/* A file player and a recorder as JACK clients of their own, for tests: a tape each, with the frame time of its first
   sample. Sample k of a player's tape is in the air `latency` frames before it is at its port; a recorder's reaches the
   ear `latency` frames after. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define AUDIO "32 bit float mono audio"
enum { NO_START_SERVER = 1, USE_EXACT_NAME = 2 };
enum { PORT_IS_INPUT = 1, PORT_IS_OUTPUT = 2 };

typedef struct {
    uint32_t min, max;
} range;

typedef struct {
    void *client, *port;
    bool plays;
    uint32_t latency;
    float *samples; /* (count,) */
    int64_t count;
    uint32_t first_frame;
    _Atomic int64_t position; /* next sample */
    _Atomic int64_t gaps;     /* cycles that did not follow the one before */
    _Atomic int64_t xruns;
    _Atomic bool running;
} tape;

#define LIBJACK(X)                                                                              \
    X(void *, client_open, (const char *, int, int *, ...))                                     \
    X(int, client_close, (void *))                                                              \
    X(int, activate, (void *))                                                                  \
    X(int, set_process_callback, (void *, int (*)(uint32_t, void *), void *))                   \
    X(int, set_xrun_callback, (void *, int (*)(void *), void *))                                \
    X(int, set_latency_callback, (void *, void (*)(int, void *), void *))                       \
    X(void *, port_register, (void *, const char *, const char *, unsigned long, unsigned long)) \
    X(void *, port_get_buffer, (void *, uint32_t))                                              \
    X(void, port_set_latency_range, (void *, int, range *))                                     \
    X(uint32_t, last_frame_time, (const void *))                                                \
    X(void, set_error_function, (void (*)(const char *)))                                       \
    X(void, set_info_function, (void (*)(const char *)))

#define MEMBER(result, name, arguments) static result(*jack_##name) arguments;
LIBJACK(MEMBER)

static void say_nothing(const char *text) { (void)text; }

static bool load(void)
{
    void *library = dlopen("libjack.so.0", RTLD_NOW);
    if (!library) return false;
    bool whole = true;
#define FIND(result, name, arguments) whole &= (*(void **)&jack_##name = dlsym(library, "jack_" #name)) != NULL;
    LIBJACK(FIND)
    if (whole) jack_set_error_function(say_nothing), jack_set_info_function(say_nothing);
    return whole;
}

static int wind(uint32_t frames, void *user_data)
{
    tape *tape = user_data;
    float *buffer = jack_port_get_buffer(tape->port, frames);
    if (tape->plays) memset(buffer, 0, frames * sizeof *buffer);
    if (!tape->running) return 0;
    const uint32_t now = jack_last_frame_time(tape->client);
    if (tape->position == 0) tape->first_frame = now;
    if (now - tape->first_frame != (uint32_t)tape->position) tape->gaps++;
    const int64_t left = tape->count - tape->position;
    const size_t there = left < 0 ? 0 : left < frames ? (size_t)left : frames;
    float *samples = tape->samples + (there ? tape->position : 0);
    memcpy(tape->plays ? buffer : samples, tape->plays ? samples : buffer, there * sizeof *buffer);
    tape->position += frames;
    return 0;
}

static int count_xrun(void *user_data)
{
    ((tape *)user_data)->xruns++;
    return 0;
}

static void tell_latency(int mode, void *user_data)
{
    tape *tape = user_data;
    range range = {tape->latency, tape->latency};
    if ((mode == 0) == tape->plays) jack_port_set_latency_range(tape->port, mode, &range);
}

tape *tape_open(const char *name, int32_t plays, int32_t channels, int64_t latency, float *samples, int64_t count)
{
    int status;
    if (!load()) return NULL;
    tape *tape = calloc(1, sizeof *tape);
    tape->client = jack_client_open(name, NO_START_SERVER | USE_EXACT_NAME, &status);
    if (!tape->client) {
        free(tape);
        return NULL;
    }
    tape->plays = plays;
    tape->latency = (uint32_t)latency;
    tape->samples = samples;
    tape->count = count;
    jack_set_process_callback(tape->client, wind, tape);
    jack_set_xrun_callback(tape->client, count_xrun, tape);
    jack_set_latency_callback(tape->client, tell_latency, tape);
    tape->port = jack_port_register(tape->client, "port", AUDIO, plays ? PORT_IS_OUTPUT : PORT_IS_INPUT, 0);
    if (channels > 1) jack_port_register(tape->client, "ignored", AUDIO, plays ? PORT_IS_OUTPUT : PORT_IS_INPUT, 0);
    jack_activate(tape->client);
    return tape;
}

void tape_run(tape *tape) { tape->running = true; }
int64_t tape_position(tape *tape) { return tape->position; }
int64_t tape_first_frame(tape *tape) { return tape->first_frame; }
int64_t tape_gaps(tape *tape) { return tape->gaps; }
int64_t tape_xruns(tape *tape) { return tape->xruns; }

void tape_close(tape *tape)
{
    jack_client_close(tape->client);
    free(tape);
}

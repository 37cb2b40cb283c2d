/* A source for tests: noise at a level that notes set, a log of how it was called, and faults planted at will. */
#define _GNU_SOURCE
#include "../clock.h"
#include "../message.h"

#include <linux/futex.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum fault { NO_FAULT, NOT_A_NUMBER, BURN, SLEEP, ALLOCATE, LOCK, CALL_SYSTEM, WAKE, WAIT };

/* One call of the loop, or one message in it. */
typedef struct {
    int64_t time;   /* of the source's own, in samples */
    int64_t frames; /* of the call, or -1 for a message */
    int64_t stamp;  /* the message's time */
    int64_t number; /* note or controller; -1 for a reset */
} entry;

typedef struct {
    int64_t time;
    float level;
    int64_t fault;       /* enum fault */
    int64_t fault_every; /* samples; a fault falls on each multiple but 0 */
    int64_t fault_ns;    /* how long a stall lasts */
    int64_t faults;      /* planted so far */
    int64_t resets;
    int64_t logged, log_capacity;
    entry *log;
    pthread_mutex_t mutex;
} probe;

probe *probe_new(int64_t fault, int64_t fault_every, int64_t fault_ns, int64_t log_capacity)
{
    probe *made = calloc(1, sizeof *made);
    made->level = 0.0f;
    made->fault = fault;
    made->fault_every = fault_every;
    made->fault_ns = fault_ns;
    made->log_capacity = log_capacity;
    made->log = calloc((size_t)log_capacity + 1, sizeof *made->log);
    pthread_mutex_init(&made->mutex, NULL);
    return made;
}

void probe_free(probe *source)
{
    free(source->log);
    free(source);
}

int64_t probe_faults(const probe *source) { return source->faults; }
int64_t probe_resets(const probe *source) { return source->resets; }
float probe_level(const probe *source) { return source->level; }

/* Copy the log to entries (capacity, 4); returns how many there were, which may be more than were kept. */
int64_t probe_log(const probe *source, entry *entries)
{
    for (int64_t i = 0; i < source->logged && i < source->log_capacity; i++) entries[i] = source->log[i];
    return source->logged;
}

static void note(probe *source, entry line)
{
    if (source->logged < source->log_capacity) source->log[source->logged] = line;
    source->logged++;
}

static void apply(probe *source, const rt_message *message)
{
    note(source, (entry){source->time, -1, message->time, message->kind == RT_RESET ? -1 : message->number});
    if (message->kind == RT_NOTE_ON) source->level = message->value;
    if (message->kind == RT_NOTE_OFF) source->level = 0.0f;
    if (message->kind != RT_RESET) return;
    source->level = 0.0f;
    source->resets++;
}

#ifdef RT_TEST_CLOCK
void virtual_advance(int64_t wall_ns, int64_t cpu_ns);
static void burn(int64_t ns) { virtual_advance(ns, ns); }
static void doze(int64_t ns) { virtual_advance(ns, 0); }
#else
static void burn(int64_t ns)
{
    const int64_t end = rt_cpu_ns() + ns;
    while (rt_cpu_ns() < end) continue;
}
static void doze(int64_t ns)
{
    const struct timespec length = {ns / 1000000000, ns % 1000000000};
    nanosleep(&length, NULL);
}
#endif

static void commit_fault(probe *source)
{
    static void *volatile leak;
    static uint32_t futex_word;
    switch (source->fault) {
    case BURN: burn(source->fault_ns); break;
    case SLEEP: doze(source->fault_ns); break;
    case ALLOCATE: leak = malloc(64); free(leak); break;
    case LOCK: pthread_mutex_lock(&source->mutex); pthread_mutex_unlock(&source->mutex); break;
    case CALL_SYSTEM: syscall(SYS_getpid); break;
    case WAKE: syscall(SYS_futex, &futex_word, FUTEX_WAKE, 1, NULL, NULL, 0); break;
    case WAIT: syscall(SYS_futex, &futex_word, FUTEX_WAIT, 1, NULL, NULL, 0); break; /* it is not 1: returns at once */
    default: break;
    }
    source->faults++;
}

/* Noise that depends on the sample's number alone (M. O'Neill's PCG output mix), -1..1. */
static float noise(int64_t time, uint32_t channel)
{
    uint32_t bits = ((uint32_t)time * 2u + channel) * 747796405u + 2891336453u;
    bits = ((bits >> ((bits >> 28) + 4)) ^ bits) * 277803737u;
    return (float)((int32_t)((bits >> 22) ^ bits)) * 0x1p-31f;
}

void probe_loop(void *state, const rt_message *messages, int32_t count, float *left, float *right, int32_t frames)
{
    probe *source = state;
    for (int32_t i = 0; i < count; i++) apply(source, &messages[i]);
    note(source, (entry){source->time, frames, 0, 0});
    for (int32_t i = 0; i < frames; i++, source->time++) {
        left[i] += source->level * noise(source->time, 0);
        right[i] += source->level * noise(source->time, 1);
        if (source->fault == NO_FAULT || source->time == 0 || source->time % source->fault_every != 0) continue;
        if (source->fault == NOT_A_NUMBER) left[i] = NAN;
        commit_fault(source);
    }
}

/* Adds `*level` to both channels: for what a gain or limiter does to a constant. */
void constant_loop(void *state, const rt_message *messages, int32_t count, float *left, float *right, int32_t frames)
{
    (void)messages;
    (void)count;
    const float level = *(const float *)state;
    for (int32_t i = 0; i < frames; i++) {
        left[i] += level;
        right[i] += level;
    }
}

#define MOST_DELAY 4096

/* Hears, and gives back what it heard `delay` samples before; logs nothing. */
typedef struct {
    int64_t time;
    int64_t delay; /* 0..MOST_DELAY - 1 */
    float line[MOST_DELAY];
} echo;

echo *echo_new(int64_t delay)
{
    echo *made = calloc(1, sizeof *made);
    made->delay = delay;
    return made;
}

void echo_free(echo *source) { free(source); }

void echo_loop(void *state, const rt_message *messages, int32_t count, const float *in,
               float *left, float *right, int32_t frames)
{
    (void)messages;
    (void)count;
    echo *source = state;
    for (int32_t i = 0; i < frames; i++, source->time++) {
        source->line[source->time % MOST_DELAY] = in[i];
        if (source->time < source->delay) continue;
        const float sample = source->line[(source->time - source->delay) % MOST_DELAY];
        left[i] += sample;
        right[i] -= sample;
    }
}

/* Adds what no source may: something that depends on how the host cut its blocks. */
void block_loop(void *state, const rt_message *messages, int32_t count, float *left, float *right, int32_t frames)
{
    (void)state;
    (void)messages;
    (void)count;
    for (int32_t i = 0; i < frames; i++) {
        left[i] += 1.0f / (float)frames;
        right[i] += 1.0f / (float)frames;
    }
}

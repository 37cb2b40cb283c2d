#define _GNU_SOURCE
#include "engine.h"
#include "memory.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#define PRIORITY 50                     /* below the sound servers' own threads (PipeWire 60, jackd 60..70) */
#define MAX_PERIOD 65536
#define GIVE_UP_NS INT64_C(1000000000)  /* further behind than this, the time lost is let go */

static void sleep_until(int64_t ns)
{
    const struct timespec until = {ns / INT64_C(1000000000), ns % INT64_C(1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) continue;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The schedule stands; a late block is made up for by blocks back to back, as a device with a deep buffer would ask
   for them. Each block could begin when it was due and the one before was done, and is late against that alone: a
   stall is counted once, not again for every block it delays. */
static void *run_null(void *user_data)
{
    rt_engine *engine = user_data;
    rt_null *null = &engine->null;
    rt_process *process = &engine->process;
    const double period_ns = null->period * 1e9 / process->sample_rate;
    int64_t origin_ns = rt_now_ns();
    for (int64_t block = 0; atomic_load_explicit(&null->running, memory_order_acquire); block++) {
        int64_t due_ns = origin_ns + (int64_t)((double)block * period_ns);
        sleep_until(due_ns);
        const int64_t now_ns = rt_now_ns();
        const int64_t lateness_ns = now_ns - later(due_ns, process->finished_ns);
        if (now_ns - due_ns > GIVE_UP_NS) {
            origin_ns = due_ns = now_ns;
            block = 0;
            rt_clock_restart(&process->clock);
            rt_statistics_add(process->statistics, RT_RESYNCS, 1);
        }
        const rt_start start = {
            .now_ns = now_ns,
            .lateness_ns = lateness_ns,
            .paced = true,
        };
        rt_clock_update(&process->clock, process->time, due_ns, null->period);
        rt_process_run(process, (rt_input){0}, (rt_output){null->left, null->right, 1}, null->period, &start);
    }
    return NULL;
}

static int32_t start_thread(rt_engine *engine, bool realtime)
{
    pthread_attr_t attributes;
    const struct sched_param priority = {.sched_priority = PRIORITY};
    pthread_attr_init(&attributes);
    if (realtime) {
        pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
        pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
        pthread_attr_setschedparam(&attributes, &priority);
    }
    const int32_t error = pthread_create(&engine->null.thread, &attributes, run_null, engine);
    pthread_attr_destroy(&attributes);
    engine->null.realtime = realtime && error == 0;
    return error;
}

static void free_output(rt_null *null)
{
    free(null->left);
    free(null->right);
    null->left = null->right = NULL;
}

int32_t rt_null_start(rt_engine *engine, int32_t period)
{
    rt_null *null = &engine->null;
    if (null->started) return EBUSY;
    if (period < 1 || period > MAX_PERIOD) return EINVAL;
    null->period = period;
    null->left = rt_allocate((size_t)period * sizeof(float));
    null->right = rt_allocate((size_t)period * sizeof(float));
    if (!null->left || !null->right) {
        free_output(null);
        return ENOMEM;
    }
    engine->process.started_ns = engine->process.finished_ns = 0;
    rt_clock_restart(&engine->process.clock);
    atomic_store_explicit(&null->running, true, memory_order_release);
    int32_t error = start_thread(engine, true);
    if (error) error = start_thread(engine, false);
    null->started = error == 0;
    if (error) free_output(null);
    return error;
}

void rt_null_stop(rt_engine *engine)
{
    rt_null *null = &engine->null;
    if (!null->started) return;
    atomic_store_explicit(&null->running, false, memory_order_release);
    pthread_join(null->thread, NULL);
    null->started = false;
    rt_clock_restart(&engine->process.clock);
    free_output(null);
}

int32_t rt_null_realtime(const rt_engine *engine)
{
    return engine->null.realtime;
}

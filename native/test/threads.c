/* Every thread the engine may meet, at once, for a sanitizer to watch: the null driver's audio thread, one that sends,
   one that records, one that reads all that is measured. With an argument, a data race is planted for it to find. */
#define _GNU_SOURCE
#include "../engine.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define TURNS 300

static int planted; /* shared without protection, if asked for */
static bool plant;

static void loop(void *state, const rt_message *messages, int32_t count, float *left, float *right, int32_t frames)
{
    float *level = state;
    if (plant) planted++;
    for (int32_t i = 0; i < count; i++) *level = messages[i].value;
    for (int32_t i = 0; i < frames; i++) {
        left[i] += *level;
        right[i] -= *level;
    }
}

static void hearing_loop(void *state, const rt_message *messages, int32_t count, const float *in,
                         float *left, float *right, int32_t frames)
{
    loop(state, messages, count, left, right, frames);
    for (int32_t i = 0; i < frames; i++) left[i] += in[i];
}

static void pause_briefly(void)
{
    const struct timespec length = {0, 500000};
    nanosleep(&length, NULL);
}

static void *send_messages(void *user_data)
{
    rt_engine *engine = user_data;
    for (int turn = 0; turn < TURNS; turn++) {
        rt_message messages[40];
        for (int i = 0; i < 40; i++) {
            const int64_t ahead = (i * 7919) % 400 - 50;
            messages[i] = (rt_message){rt_engine_stamp(engine, rt_now_ns()) + ahead, 0.05f * (float)i, 0,
                                       i % 9 ? RT_NOTE_ON : RT_GAIN, 0, RT_ALL_SOURCES, 0};
        }
        rt_engine_send(engine, messages, 40);
        rt_engine_fade(engine, turn % 2, 100);
        if (plant) planted++;
        pause_briefly();
    }
    return NULL;
}

static void *record(void *user_data)
{
    rt_engine *engine = user_data;
    static float pairs[2 * 512];
    for (int turn = 0; turn < TURNS; turn++) {
        rt_engine_record(engine, turn % 10 != 9);
        while (rt_engine_read_recording(engine, pairs, 512) == 512) continue;
        rt_message messages[100];
        while (rt_engine_read_journal(engine, messages, 100) == 100) continue;
        while (rt_engine_read_heard(engine, pairs, 1024) == 1024) continue;
        pause_briefly();
    }
    return NULL;
}

static void *measure(void *user_data)
{
    rt_engine *engine = user_data;
    static uint64_t buckets[RT_HISTOGRAM_BUCKETS];
    static rt_late_block ledger[RT_LEDGER_CAPACITY];
    int64_t counters[RT_COUNTERS];
    float peaks[2], heard = 0.0f;
    for (int turn = 0; turn < TURNS; turn++) {
        rt_engine_counters(engine, counters);
        for (int32_t i = 0; i < RT_DURATIONS; i++) rt_engine_histogram(engine, i, buckets);
        rt_engine_ledger(engine, ledger);
        rt_engine_meter(engine, peaks);
        heard += rt_engine_heard(engine);
        if (turn % 20 == 19) rt_engine_reset_report(engine);
        pause_briefly();
    }
    return heard >= 0.0f ? NULL : user_data;
}

/* The other driver, on this thread: odd lengths, and buffers of exactly as many samples. */
static void call_back(rt_engine *engine)
{
    for (int32_t channels = 0; channels <= 3; channels++) {
        const int32_t inputs = 3 - channels;
        rt_portaudio_begin(engine, channels, inputs, channels % 2 ? inputs - 1 : RT_ALL_CHANNELS);
        for (unsigned long frames = 0; frames < 600; frames += 37) {
            float *in = calloc(frames * (unsigned long)inputs + 1, sizeof(float));
            float *out = malloc((frames * (unsigned long)channels + 1) * sizeof(float));
            rt_portaudio_callback(inputs > 0 ? in : NULL, channels > 0 ? out : NULL, frames, NULL, frames % 8, engine);
            free(in);
            free(out);
        }
        rt_portaudio_end(engine);
    }
}

int main(int count, char **arguments)
{
    (void)arguments;
    plant = count > 1;
    float level = 0.0f;
    rt_engine *engine = rt_engine_create(48000.0, 256, 1024, 1024);
    static float recorded[4000];
    if (!engine || rt_engine_add_source(engine, loop, &level) != 0) return 2;
    if (rt_engine_add_hearing_source(engine, hearing_loop, &level) != 1) return 2;
    rt_engine_hear(engine, recorded, 4000);
    if (rt_engine_open_journal(engine, 256, 1024) != 0) return 2;
    if (rt_null_start(engine, 48) != 0) return 2;
    pthread_t threads[3];
    void *(*work[3])(void *) = {send_messages, record, measure};
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, work[i], engine);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    rt_null_stop(engine);
    rt_engine_hear(engine, NULL, 0);
    call_back(engine);
    printf("%lld samples\n", (long long)rt_engine_time(engine));
    rt_engine_destroy(engine);
    return 0;
}

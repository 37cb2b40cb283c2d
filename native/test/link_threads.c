/* Every thread a link may meet, at once, for a sanitizer to watch: an audio thread that plays through a remote, a worker
   that sleeps, answers, leaves out and is overrun, one that reads all that is measured; then an offline render, which
   waits for the worker. Every sample read must be the one that was heard there. With an argument, a data race is
   planted for it to find. */
#define _GNU_SOURCE
#include "../clock.h"
#include "../remote.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CAPACITY 4096
#define FRAME 96
#define BLOCKS 12000
#define FADE 240
#define HELD 960
#define LINE 4096

static int planted; /* shared without protection, if asked for */
static bool plant;
static _Atomic bool playing = true;
static _Atomic int64_t wrong, overruns, jumps, answered;

/* What is heard at a position: never 0, and told apart from what is a ring's length away. */
static float heard_at(int64_t position)
{
    return (float)(position % 9973 + 1) / 16384.0f;
}

static void *work(void *user_data)
{
    rt_link *link = user_data;
    float samples[FRAME];
    int64_t position = 0;
    uint32_t turn = 0;
    while (!rt_link_closing(link)) {
        if (plant) planted++;
        if (!rt_link_wait(link, position + FRAME, 20000000)) continue;
        if (++turn % 61 == 0) usleep(3000); /* be overrun, or late */
        const int64_t count = rt_link_read(link, position, samples, FRAME);
        if (count < FRAME) {
            overruns++;
            int64_t positions[RT_LINK_POSITIONS];
            rt_link_positions(link, positions);
            position = positions[0] / FRAME * FRAME;
            jumps++;
            continue;
        }
        for (int64_t i = 0; i < count; i++) wrong += samples[i] != heard_at(position + i);
        if (rt_link_write(link, position, samples, count)) wrong++;
        rt_link_count_frame(link, 1000, 900, rt_now_ns() - rt_link_heard_ns(link, position + FRAME));
        position += count;
        answered++;
    }
    return NULL;
}

static void *measure(void *user_data)
{
    rt_remote *remote = user_data;
    rt_link *link = remote->parameters.link;
    static uint64_t buckets[RT_HISTOGRAM_BUCKETS];
    int64_t counters[RT_LINK_COUNTERS], positions[RT_LINK_POSITIONS], seen = 0;
    while (playing) {
        rt_link_counters(link, counters);
        rt_link_positions(link, positions);
        for (int32_t i = 0; i < RT_EFFORTS; i++) rt_link_effort(link, i, buckets);
        seen += rt_link_wakes(link) + rt_link_asleep(link) + remote->state.delay + remote->state.episodes;
        seen += remote->state.concealed + remote->state.active + remote->state.begun;
        usleep(500);
    }
    return seen >= 0 ? NULL : user_data;
}

static void play(rt_remote *remote, int32_t frames, int64_t *position)
{
    float in[512], left[512] = {0}, right[512] = {0};
    for (int32_t i = 0; i < frames; i++) in[i] = heard_at(*position + i);
    const rt_message wet = {.value = (float)(*position % 128), .number = RT_REMOTE_WET, .kind = RT_CONTROL};
    const rt_message reset = {.kind = RT_RESET};
    const int32_t count = *position % 7 == 0;
    remote->liaison.host_block = frames;
    remote->liaison.host_blocks++;
    rt_remote_loop(remote, *position % 1001 == 0 ? &reset : &wet, count, in, left, right, frames);
    *position += frames;
    for (int32_t i = 0; i < frames; i++) wrong += !(left[i] == left[i]) || left[i] > 1.0f || left[i] < 0.0f;
}

static rt_seam seam_of(int32_t length)
{
    return (rt_seam){calloc((size_t)length, sizeof(float)), calloc((size_t)length, sizeof(float)), length, 0};
}

static rt_remote *remote_on(rt_link *link)
{
    rt_remote *remote = calloc(1, sizeof *remote);
    remote->parameters = (rt_remote_parameters){
        .link = link, .sample_rate = 48000.0, .patience_ns = INT64_C(60000000000), .framing = FRAME - 1, .hop = FRAME,
        .fade = FADE, .glide = HELD, .held = HELD, .line = LINE, .most_delay = CAPACITY / 2, .policy = RT_HOLD,
        .wet = 1.0f,
    };
    remote->buffers.line = calloc(LINE, sizeof(float));
    remote->buffers.dry = seam_of(FADE);
    for (int32_t i = 0; i < 2; i++) remote->buffers.wet[i] = seam_of(HELD);
    rt_remote_reset(remote);
    return remote;
}

static void free_remote(rt_remote *remote)
{
    rt_seam *seams[] = {&remote->buffers.dry, &remote->buffers.wet[0], &remote->buffers.wet[1]};
    for (int i = 0; i < 3; i++) {
        free(seams[i]->latest);
        free(seams[i]->mirror);
    }
    free(remote->buffers.line);
    free(remote);
}

int main(int count, char **arguments)
{
    (void)arguments;
    plant = count > 1;
    const int fd = memfd_create("link", MFD_CLOEXEC);
    rt_link *link = rt_link_create(fd, CAPACITY, 1);
    if (!link) return 2;
    rt_remote *remote = remote_on(link);
    pthread_t worker, measurer;
    pthread_create(&worker, NULL, work, link);
    pthread_create(&measurer, NULL, measure, remote);
    int64_t position = 0, positions[RT_LINK_POSITIONS];
    remote->liaison.paced = 1;
    for (int32_t block = 0; block < BLOCKS; block++) {
        if (plant) planted++;
        play(remote, 1 + (block * 37) % 400, &position);
        if (block % 16 == 0) usleep(200);
    }
    do {
        play(remote, FRAME, &position);
        usleep(4000);
        rt_link_positions(link, positions);
    } while (positions[2] <= positions[0] - FRAME); /* the worker is still behind */
    remote->liaison.paced = 0; /* offline: now the worker must answer every sample in time */
    rt_remote_reset(remote);
    const int64_t missing = remote->state.concealed;
    for (int32_t block = 0; block < 200; block++) play(remote, 1 + (block * 37) % 400, &position);
    wrong += remote->state.concealed != missing;
    playing = false;
    rt_link_close(link, 1);
    pthread_join(worker, NULL);
    pthread_join(measurer, NULL);
    const bool happened = overruns > 0 && jumps > 0 && answered > 0 && remote->state.concealed > 0;
    printf("%lld wrong samples%s\n", (long long)wrong, happened ? "" : ", but not all was tried");
    free_remote(remote);
    rt_link_detach(link);
    close(fd);
    return wrong != 0;
}

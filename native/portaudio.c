#define _GNU_SOURCE
#include "engine.h"

#include <dlfcn.h>
#include <string.h>

#define INPUT_UNDERFLOW 0x1ul  /* paInputUnderflow */
#define INPUT_OVERFLOW 0x2ul   /* paInputOverflow */
#define OUTPUT_UNDERFLOW 0x4ul /* paOutputUnderflow */
#define CONTINUE 0             /* paContinue */

static void say_nothing(const char *file, int line, const char *function, int error, const char *format, ...)
{
    (void)file, (void)line, (void)function, (void)error, (void)format;
}

/* alsa-lib would write a line to stderr for every underrun, from the audio thread. */
static void quieten_alsa(void)
{
    void *alsa = dlopen("libasound.so.2", RTLD_NOW | RTLD_NOLOAD);
    if (!alsa) return;
    int (*set_handler)(void (*)(const char *, int, const char *, int, const char *, ...));
    *(void **)&set_handler = dlsym(alsa, "snd_lib_error_set_handler");
    if (set_handler) set_handler(say_nothing);
    dlclose(alsa); /* our count of it; PortAudio has its own */
}

int32_t rt_portaudio_begin(rt_engine *engine, int32_t channels, int32_t inputs, int32_t input)
{
    if (channels < 0 || channels > RT_MAX_CHANNELS || inputs < 0 || inputs > RT_MAX_CHANNELS) return -1;
    if (channels + inputs == 0 || input < RT_ALL_CHANNELS || (inputs > 0 && input >= inputs)) return -1;
    engine->portaudio = (rt_portaudio){.channels = channels, .inputs = inputs, .input = input};
    engine->process.started_ns = engine->process.finished_ns = 0;
    rt_clock_restart(&engine->process.clock);
    quieten_alsa();
    return 0;
}

void rt_portaudio_end(rt_engine *engine)
{
    rt_clock_restart(&engine->process.clock);
}

static rt_output interleaved(float *out, int32_t channels)
{
    if (channels == 0) return (rt_output){0};
    return (rt_output){out, channels > 1 ? out + 1 : NULL, channels};
}

int32_t rt_portaudio_callback(const void *in, void *out, unsigned long frames, const void *time_info,
                              unsigned long flags, void *user_data)
{
    (void)time_info;
    rt_engine *engine = user_data;
    rt_portaudio *portaudio = &engine->portaudio;
    if (frames == 0) return CONTINUE;
    const int64_t now_ns = rt_now_ns();
    const double length_ns = (double)frames * 1e9 / engine->process.sample_rate;
    const rt_start start = {
        .now_ns = now_ns,
        .lateness_ns = rt_lateness_follow(&portaudio->lateness, now_ns, engine->process.finished_ns, length_ns),
        .paced = true,
        .underflow = (flags & OUTPUT_UNDERFLOW) != 0,
        .input_underflow = (flags & INPUT_UNDERFLOW) != 0,
        .input_overflow = (flags & INPUT_OVERFLOW) != 0,
    };
    rt_clock_update(&engine->process.clock, engine->process.time, now_ns, (int32_t)frames);
    if (portaudio->channels > 2) memset(out, 0, frames * (size_t)portaudio->channels * sizeof(float));
    const rt_input input = {portaudio->inputs > 0 ? in : NULL, portaudio->inputs, portaudio->input};
    rt_process_run(&engine->process, input, interleaved(out, portaudio->channels), (int32_t)frames, &start);
    return CONTINUE;
}

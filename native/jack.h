/* The JACK driver: a client of our own, whose process callback runs the engine. libjack is opened when it is first
   wanted (PipeWire's goes as well), so nothing here is needed to build. */
#ifndef RT_JACK_H
#define RT_JACK_H

#include "engine.h"
#include "realtime.h"

typedef struct rt_jack rt_jack;

enum rt_jack_state {
    RT_JACK_HERE,
    RT_JACK_GONE,       /* the server has ended, or has thrown us out */
    RT_JACK_OTHER_RATE, /* it has changed its sample rate; nothing sounds from then on */
};

/* All of these are [main], one at a time, but for rt_jack_close, which is any thread's and the last. None waits for a
   server that has gone, but for rt_jack_close again (jack2 issue 395). */

/* 1 when there is a libjack; 0 when there is none, or one too old. */
RT_API int32_t rt_jack_library(void);
/* Keep another copy of libjack, loaded already from the file `path` (python-rtmidi brings one), off the terminal too. */
RT_API void rt_jack_quieten(const char *path);
/* A client of a running server; none is started. NULL where there is no library, server or memory. */
RT_API rt_jack *rt_jack_open(const char *name);
/* Leave the server and free all. */
RT_API void rt_jack_close(rt_jack *jack);
/* The server's sample rate in hertz, and its period in frames, which may change. */
RT_API int32_t rt_jack_rate(rt_jack *jack);
RT_API int32_t rt_jack_period(rt_jack *jack);
/* The server's audio ports but our own, as a line each: 1 for one that takes sound or 0, 1 for a physical one or 0, its
   latency in frames (playback for those that take sound, capture for the others), its name. Returns the size of the
   whole text with its end, which may be more than `size`, or -1. */
RT_API int32_t rt_jack_ports(rt_jack *jack, char *text, int32_t size);

/* Run `engine` in the server's cycle, with up to 2 `outputs` (out_left, out_right; one is the mean and called out) and
   up to RT_MAX_CHANNELS `inputs` (in_1, …), whose mean is heard. 0, or -1. */
RT_API int32_t rt_jack_start(rt_jack *jack, rt_engine *engine, int32_t outputs, int32_t inputs);
/* The engine is run no more when this returns, whatever has become of the server. Again is harmless. */
RT_API void rt_jack_stop(rt_jack *jack);
/* Connect output (`input` = 0) or input number `index` with port `name`; 0 when that is so then, or -1. */
RT_API int32_t rt_jack_connect(rt_jack *jack, int32_t input, int32_t index, const char *name);
/* Frames between our output ports and the ear (`input` = 0), or from the air to our input ports, by the longest way. */
RT_API int32_t rt_jack_latency(rt_jack *jack, int32_t input);
/* Let the other clients know that what comes in goes out this many frames later. */
RT_API void rt_jack_announce_latency(rt_jack *jack, int32_t frames);
/* 1 when ports have appeared or gone since the last call. */
RT_API int32_t rt_jack_ports_changed(rt_jack *jack);
/* enum rt_jack_state. */
RT_API int32_t rt_jack_state(rt_jack *jack);

#endif

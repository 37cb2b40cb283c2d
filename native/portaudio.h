/* The callback that PortAudio calls, and so JACK, ALSA and whatever else it drives. No PortAudio header is needed. */
#ifndef RT_PORTAUDIO_H
#define RT_PORTAUDIO_H

#include "realtime.h"

#include <stdbool.h>

#define RT_MAX_CHANNELS 64

typedef struct {
    int32_t channels;
    bool begun;
    double expected_ns; /* when the next callback is due, by the late edge of those before */
} rt_portaudio;

#endif

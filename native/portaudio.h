/* The callback that PortAudio calls, and so JACK, ALSA and whatever else it drives. No PortAudio header is needed. */
#ifndef RT_PORTAUDIO_H
#define RT_PORTAUDIO_H

#include "lateness.h"
#include "realtime.h"

#define RT_MAX_CHANNELS 64

typedef struct {
    int32_t channels;   /* of the output; 0: the stream only brings input */
    int32_t inputs;     /* channels of the input; 0: there is none */
    int32_t input;      /* the one that is heard, or RT_ALL_CHANNELS */
    rt_lateness lateness;
} rt_portaudio;

#endif

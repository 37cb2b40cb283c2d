/* The live codec as a source: what is heard goes to a worker, the events that come back go into the decoder.

   An event travels through the link as RT_RECORD samples that begin and end with exactly 1 (rtsynth/codec/live.py). So
   an rt_remote keeps the time, the delay, the misses and the restarts, as for a model that answers with sound; where
   something is missing it fades, and a record that a fade has touched does not begin and end with 1. What misses its
   time is left out: the voice goes on as it was, and falls silent when nothing has come for a while.

   Density: of the events that come only a share is played, evenly; in between the voice stands where it got to. */
#ifndef RT_LIVE_CODEC_H
#define RT_LIVE_CODEC_H

#include "decoder.h"
#include "remote.h"

#define RT_RECORD 35 /* mark, gain, vector (RT_DIMENSIONS,), mark */
#define RT_DENSITY 19 /* controller: 0..127 is a share of 0..1 of the events, at least ... */
#define RT_SPARSEST 0.1f

typedef struct {
    rt_remote *remote;    /* silent where an answer is missing, all wet */
    rt_decoder *decoder;
    double step;          /* samples a control step */
    int32_t patience;     /* samples without an event after which the voice falls silent */
    float wet;            /* 0..1, what controller RT_WET sets: the decoder's share beside what is heard */
    float density;        /* RT_SPARSEST..1, what controller RT_DENSITY sets: the share of the events that is played */
} rt_live_codec_parameters;

typedef struct {
    float record[RT_RECORD]; /* what has come of the next one */
    int32_t collected;
    bool begun;              /* the first event has come: the decoder's time runs from there */
    bool faded;              /* the voice has been told to fall silent */
    int64_t since;           /* samples since the latest event came */
    float density;
    float due;               /* events owed to the density, less than 1 */
    rt_event latest;
    float dry[RT_RECORD - 1]; /* what is heard waits for as long as a record takes to come */
    int32_t dry_place;
    float dry_share;         /* moves to where the controller is */
    float dry_wanted;
    _Atomic int64_t events;  /* played */
    _Atomic int64_t thinned; /* left out for the density */
    _Atomic int64_t refused; /* records with a number that no decoder can work with */
    _Atomic int64_t outages; /* times the voice fell silent for want of events */
} rt_live_codec_state;

typedef struct {
    float found[2][RT_REMOTE_CHUNK]; /* what the link says; one channel, twice */
} rt_live_codec_buffers;

typedef struct {
    rt_live_codec_parameters parameters;
    rt_live_codec_state state;
    rt_live_codec_buffers buffers;
} rt_live_codec;

/* [main, not while running] As if nothing had been heard; counts go on. */
RT_API void rt_live_codec_reset(rt_live_codec *live);
/* [audio] An rt_hearing_loop; `state` is the rt_live_codec. Messages are the decoder's. */
RT_REALTIME RT_API void rt_live_codec_loop(void *state, const rt_message *messages, int32_t count, const float *in,
                                           float *left, float *right, int32_t frames);
/* sizeof(rt_live_codec), RT_RECORD: what the Python side must agree on. */
RT_API void rt_live_codec_layout(int64_t *numbers);

#endif

/* A source that hears and answers through an inference process: the audio thread's side of a live model.

   What is heard goes into the link's in ring; what is played is the out ring, `delay` samples behind, and where an
   answer is not there in time, something in its stead, without a step. The delay is as short as it can be for the
   host's blocks, and the same number of samples for the dry signal and for the wet, so the two can be mixed.

   With a host that has a deadline nothing here ever waits. Offline the loop waits for the worker, so that the same
   input gives the same bits for every block size. */
#ifndef RT_REMOTE_H
#define RT_REMOTE_H

#include "link.h"
#include "message.h"
#include "seam.h"

#define RT_REMOTE_WET 91    /* the controller of the share of the model's answer: 0..127 is 0..1 */
#define RT_REMOTE_CHUNK 256 /* samples worked on at once */

/* What is played where an answer is missing. */
enum rt_policy {
    RT_DRY,     /* what was heard, at the delay the answer would have had */
    RT_HOLD,    /* the latest of the answer, back and forth */
    RT_SILENCE,
};

typedef struct {
    rt_link *link;
    double sample_rate;
    int64_t patience_ns;  /* how long an offline render waits for the worker before it goes on without */
    int32_t framing;      /* after N samples of input, N - framing of output can be computed, for every N */
    int32_t hop;          /* it comes in frames of as many, and framing counts all but one of a frame; 1: it does not */
    int32_t compute;      /* samples' time that the worker is given */
    int32_t host_block;   /* longest block expected of the host; 0: learnt from it */
    int32_t fade;         /* length of a cross-fade */
    int32_t glide;        /* samples that the wet share takes to where its controller is */
    int32_t held;         /* samples that RT_HOLD goes over, >= fade */
    int32_t line;         /* length of the dry line, a power of two */
    int32_t most_delay;   /* <= line - RT_REMOTE_CHUNK */
    int32_t policy;       /* enum rt_policy */
    float wet;            /* 0..1 */
} rt_remote_parameters;

typedef struct {
    int64_t heard;      /* input position of the next sample */
    int64_t origin;     /* nothing heard before is played; the worker's first frame begins here */
    int64_t first;      /* input position at which this life began: since the source was reset */
    int64_t block;      /* input position at which the latest host block began */
    int64_t blocks;     /* how many had begun then */
    int64_t grid;       /* greatest common divisor of all host blocks' edges, from the origin; 0: none known */
    int32_t longest, shortest; /* host block; 0 before any */
    int32_t ahead;      /* part of the delay that is the worker's time */
    int32_t mode;       /* see remote.c */
    int32_t returned;   /* samples into the cross-fade back to the answer */
    int64_t wet_seam;   /* samples since the wet signal was broken off */
    int64_t dry_seam;   /* ... the dry */
    float wet_from, wet_to;
    int32_t glided;     /* samples into the way from one to the other */
    bool counted;       /* what is missing now is in the counts */
    bool gave_up;       /* offline: waiting was in vain */
    bool rests;         /* the worker, when the latest host block began: what it owes in that block is silence, whatever
                           is heard in it, for an answer takes at least a block */
    int64_t answered;   /* input position when the first answer had come, in time or not; -1: none has */
    int64_t loud;       /* input position of the latest sample that was loud enough to hear */
    /* Published, any thread may read */
    _Atomic int32_t delay;
    _Atomic int32_t active;         /* heard or sounded within the last second */
    _Atomic int32_t begun;          /* an answer has been played, or has been late for a second */
    _Atomic int64_t episodes;       /* times an answer was missing that the worker had had its time for */
    _Atomic int64_t hurried;        /* ... that it had not: the host asked ahead of its own pace */
    _Atomic int64_t concealed;      /* samples played instead of an answer, both kinds */
    _Atomic int64_t delay_changes;  /* while playing */
} rt_remote_state;

typedef struct {
    float *line;        /* (line,) what was heard */
    rt_seam dry;        /* (fade,) */
    rt_seam wet[2];     /* (held,) left, right */
    float delayed[RT_REMOTE_CHUNK];      /* the dry signal */
    float played[2][RT_REMOTE_CHUNK];    /* the wet */
} rt_remote_buffers;

typedef struct {
    rt_liaison liaison;
    rt_remote_parameters parameters;
    rt_remote_state state;
    rt_remote_buffers buffers;
} rt_remote;

/* [main, not while running] Forget what was heard and the host's blocks; positions and counters go on. Before the first
   block, and after parameters have been set. */
RT_API void rt_remote_reset(rt_remote *remote);

/* [audio] The source's loop: an rt_hearing_loop whose state is an rt_remote. */
RT_REALTIME RT_API void rt_remote_loop(void *state, const rt_message *messages, int32_t count, const float *in,
                                       float *left, float *right, int32_t frames);

/* sizeof(rt_remote): what the Python side must agree on. */
RT_API int64_t rt_remote_size(void);

#endif

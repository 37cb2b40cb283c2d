/* What the audio thread did, for another thread to keep: every message with the sample it was applied at, and the
   samples that were heard. From these, and the sources as they began, the same sound can be made again. */
#ifndef RT_JOURNAL_H
#define RT_JOURNAL_H

#include "message.h"
#include "realtime.h"
#include "ring.h"

#include <stdatomic.h>
#include <stdbool.h>

typedef struct {
    rt_ring messages; /* of rt_message */
    rt_ring heard;    /* of float */
    _Atomic int64_t lost_messages; /* not entered because the ring was full */
    _Atomic int64_t lost_heard;    /* samples, the same */
} rt_journal;

/* [main, nothing running] Keep messages, and with `heard_capacity` > 0 what is heard too; both powers of two. False
   where there is no memory, or it is open already. */
bool rt_journal_open(rt_journal *journal, int64_t capacity, int64_t heard_capacity);
void rt_journal_free(rt_journal *journal);

/* [audio] `message` was applied at sample `time`. Nothing where the journal is not open. */
RT_REALTIME void rt_journal_enter(rt_journal *journal, rt_message message, int64_t time);
/* [audio] samples (count,) were heard. */
RT_REALTIME void rt_journal_hear(rt_journal *journal, const float *samples, int32_t count);

#endif

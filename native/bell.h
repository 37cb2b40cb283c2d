/* A bell between two processes: one sleeps until a position is reached, the other, which reaches it, wakes it, and
   calls the system only when somebody sleeps who waits for no more than that. It lies in memory that both share. */
#ifndef RT_BELL_H
#define RT_BELL_H

#include "realtime.h"

#include <stdatomic.h>
#include <stdbool.h>

typedef struct {
    _Atomic uint32_t asleep;    /* the futex: 1 while somebody sleeps or is about to */
    _Atomic int64_t waited_for; /* the position he wants reached */
} rt_bell;

/* [audio, one thread] The position has been raised to `reached`, by a store before this call: one FUTEX_WAKE at most,
   and no other system call. Whether somebody was woken. */
RT_REALTIME bool rt_bell_ring(rt_bell *bell, int64_t reached);

/* [one thread] Sleep until *reached >= position, at most `timeout_ns`, or until a signal or *closing; whether it is. */
bool rt_bell_sleep(rt_bell *bell, const _Atomic int64_t *reached, int64_t position, int64_t timeout_ns,
                   const _Atomic int32_t *closing);

#endif

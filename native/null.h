/* The null driver: a thread that asks for blocks at the pace of the clock, and throws them away. */
#ifndef RT_NULL_H
#define RT_NULL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    pthread_t thread;
    bool started;         /* [main] there is a thread to join */
    bool realtime;        /* [main] it got SCHED_FIFO */
    int32_t period;       /* samples */
    float *left, *right;  /* (period,) */
    _Atomic bool running;
} rt_null;

#endif

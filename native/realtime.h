/* Marks and manners of the audio thread: what it may call, and flush-to-zero. */
#ifndef RT_REALTIME_H
#define RT_REALTIME_H

#include <stdint.h>

/* Seen from outside the library; all else is built hidden. */
#define RT_API __attribute__((visibility("default")))

/* A function the audio thread may call: it does not allocate, lock, wait or call the system (but for the clock).
   Clang from 20 on checks it (-Wfunction-effects, RealtimeSanitizer); elsewhere tests/engine/test_realtime.py does. */
#ifdef __has_attribute
#if __has_attribute(nonblocking)
#define RT_REALTIME __attribute__((nonblocking))
#endif
#endif
#ifndef RT_REALTIME
#define RT_REALTIME
#endif

/* Denormal numbers cost a hundred times a normal one and are inaudible: treat them as zero, on this thread,
   between rt_flush_to_zero and rt_restore_float. The thread is the host's, so its own mode is given back. */
#if defined(__x86_64__) || defined(__SSE__)
#include <xmmintrin.h>
#define RT_FTZ_DAZ 0x8040u
static inline uint64_t rt_flush_to_zero(void)
{
    const uint32_t mode = _mm_getcsr();
    _mm_setcsr(mode | RT_FTZ_DAZ);
    return mode;
}
static inline void rt_restore_float(uint64_t mode)
{
    _mm_setcsr((uint32_t)mode);
}
#elif defined(__aarch64__)
#define RT_FZ (1ull << 24)
static inline uint64_t rt_flush_to_zero(void)
{
    uint64_t mode;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(mode));
    __asm__ __volatile__("msr fpcr, %0" : : "r"(mode | RT_FZ));
    return mode;
}
static inline void rt_restore_float(uint64_t mode)
{
    __asm__ __volatile__("msr fpcr, %0" : : "r"(mode));
}
#else /* no such mode known here: correct, only slower on decaying tails */
static inline uint64_t rt_flush_to_zero(void) { return 0; }
static inline void rt_restore_float(uint64_t mode) { (void)mode; }
#endif

#endif

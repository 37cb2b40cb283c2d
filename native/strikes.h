/* All strikes that sound: RT_STRIKES slots; where none is free the one nearest to its end fades out within a segment. */
#ifndef RT_STRIKES_H
#define RT_STRIKES_H

#include "strike.h"

#define RT_STRIKES 128

typedef struct {
    int64_t serial; /* strikes that keys have started */
    rt_strike slots[RT_STRIKES];
    float coming[2 * RT_SEGMENT]; /* from the coming segment on: what is left of those cut short */
} rt_strikes;

/* [main] bursts (RT_STRIKES,): a band of one row for each slot. */
void rt_strikes_init(rt_strikes *strikes, rt_bands *const *bursts);
/* [audio] Silence at once. */
RT_REALTIME void rt_strikes_silence(rt_strikes *strikes);
/* [audio] Start an event's group in the coming segment, `delay` samples after its start, 0...RT_SEGMENT; its modes'
   frequencies times `ratio`, all of it times `gain`. */
RT_REALTIME void rt_strikes_start(rt_strikes *strikes, const rt_strike_tables *tables, const rt_event *event,
                                  double ratio, double gain, int32_t delay, int32_t key);
/* [audio] Multiply what a key struck by `fall` in every segment from now on; key -1: all that sounds. */
RT_REALTIME void rt_strikes_damp(rt_strikes *strikes, int32_t key, double fall);
/* [audio] Add a segment of all of them to y (RT_SEGMENT,); returns how many sound on. */
RT_REALTIME int32_t rt_strikes_segment(rt_strikes *strikes, const rt_strike_tables *tables, float *y);

#endif

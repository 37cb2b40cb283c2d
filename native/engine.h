/* The engine as its users see it: made and controlled from the main thread, run by one driver at a time. */
#ifndef RT_ENGINE_H
#define RT_ENGINE_H

#include "message.h"
#include "null.h"
#include "portaudio.h"
#include "process.h"
#include "realtime.h"

typedef struct {
    rt_process process;     /* all that the audio thread touches */
    rt_null null;
    rt_portaudio portaudio; /* [audio] */
} rt_engine;

/* [main, nothing running] NULL when an argument is out of range (sample_rate > 0, 1 <= max_block <= 65536, capacities
   powers of two) or there is no memory. */
RT_API rt_engine *rt_engine_create(double sample_rate, int32_t max_block, int64_t message_capacity,
                                   int64_t record_capacity);
/* [main, no stream open on it] Stops the null driver; NULL is allowed. */
RT_API void rt_engine_destroy(rt_engine *engine);
/* [main, nothing running] Returns the source's index, or -1 when there are RT_MAX_SOURCES already. */
RT_API int32_t rt_engine_add_source(rt_engine *engine, rt_loop loop, void *state);
/* [main, nothing running] The same for a source that hears. */
RT_API int32_t rt_engine_add_hearing_source(rt_engine *engine, rt_hearing_loop loop, void *state);
/* [main, nothing running] Source `index` depends on a worker; the liaison must live as long as the engine. */
RT_API void rt_engine_set_liaison(rt_engine *engine, int32_t index, rt_liaison *liaison);
/* [main, nothing running] Let the sources hear samples (count,) from sample 0 on, and then silence, whatever the host
   brings; they are not copied. NULL: hear the host again. */
RT_API void rt_engine_hear(rt_engine *engine, const float *samples, int64_t count);

/* [any thread, one at a time] Queue messages (count,); returns how many fitted. */
RT_REALTIME RT_API int64_t rt_engine_send(rt_engine *engine, const rt_message *messages, int64_t count);
/* [any thread] Move the master fade to `target` (0 or 1) in a straight line over `frames` samples. */
RT_REALTIME RT_API void rt_engine_fade(rt_engine *engine, int32_t target, int64_t frames);
/* [main, nothing running] Be silent, and fade in over the first `frames` samples from now on. */
RT_API void rt_engine_fade_from_silence(rt_engine *engine, int64_t frames);
/* [any thread] The first sample that no block has claimed yet. */
RT_REALTIME RT_API int64_t rt_engine_time(rt_engine *engine);
/* [any thread] The sample that monotonic time `ns` falls on; rt_engine_time while no stream runs. */
RT_REALTIME RT_API int64_t rt_engine_time_at(rt_engine *engine, int64_t ns);
/* [any thread] Frames of the latest host block. */
RT_REALTIME RT_API int32_t rt_engine_latest_block(rt_engine *engine);
/* [any thread] When to play what came in at `ns`: one host block later, so that it can still be met to the sample. */
RT_REALTIME RT_API int64_t rt_engine_stamp(rt_engine *engine, int64_t ns);

/* [any thread, one at a time] Start or stop filling the record ring. */
RT_API void rt_engine_record(rt_engine *engine, int32_t on);
/* [any thread, one at a time] Take at most `frames` recorded frames, oldest first, to pairs (frames, 2). */
RT_API int64_t rt_engine_read_recording(rt_engine *engine, float *pairs, int64_t frames);

/* [main, nothing running] Keep a journal of the messages as they are applied, `capacity` of them at a time, and of what
   the sources hear, `heard_capacity` samples (0: not); both powers of two. 0, or -1. */
RT_API int32_t rt_engine_open_journal(rt_engine *engine, int64_t capacity, int64_t heard_capacity);
/* [any thread, one at a time] Take at most `count` messages, oldest first, `time` being where they were applied. */
RT_API int64_t rt_engine_read_journal(rt_engine *engine, rt_message *messages, int64_t count);
/* [any thread, one at a time] Take at most `count` heard samples, oldest first. */
RT_API int64_t rt_engine_read_heard(rt_engine *engine, float *samples, int64_t count);
/* [any thread] lost (2,): messages and heard samples that the journal had no room for. */
RT_API void rt_engine_journal_lost(const rt_engine *engine, int64_t *lost);
/* [main, nothing running] What will be sent is a journal: it brings the NaN guard's resets too. */
RT_API void rt_engine_replay(rt_engine *engine);

/* [any thread] Peak of left and right (2,) since the last call. */
RT_API void rt_engine_meter(rt_engine *engine, float *peaks);
/* [any thread] Peak of what came in since the last call. */
RT_API float rt_engine_heard_meter(rt_engine *engine);
/* [any thread] enum rt_counter -> counters (RT_COUNTERS,); returns the peak before the limiter. */
RT_API float rt_engine_counters(rt_engine *engine, int64_t *counters);
/* [any thread] The peak of what came in. */
RT_API float rt_engine_heard(rt_engine *engine);
/* [any thread] See rt_histogram_read; `duration` is an enum rt_duration. */
RT_API int64_t rt_engine_histogram(rt_engine *engine, int32_t duration, uint64_t *buckets);
/* [any thread] See rt_statistics_ledger. */
RT_API int32_t rt_engine_ledger(rt_engine *engine, rt_late_block *ledger);
/* [any thread, one at a time, not beside the readers above] All of them back to zero, from the next block on. */
RT_API void rt_engine_reset_report(rt_engine *engine);

/* ---- drivers: one at a time ---- */

/* Offline, as fast as it goes: left and right (frames,); frames = 0 only delivers the messages due now. */
RT_REALTIME RT_API void rt_engine_process(rt_engine *engine, float *left, float *right, int32_t frames);
/* The same, interleaved: pairs (frames, 2). */
RT_REALTIME RT_API void rt_engine_process_pairs(rt_engine *engine, float *pairs, int32_t frames);
/* [main, no stream running] A stream is about to start, with `channels` outputs (one gets the mean of left and right,
   from the third on they are silent) and `inputs` inputs, of which `input` is heard, or the mean of all if that is -1.
   Either may be 0, not both; neither more than RT_MAX_CHANNELS. -1 when they are not so. */
RT_API int32_t rt_portaudio_begin(rt_engine *engine, int32_t channels, int32_t inputs, int32_t input);
/* [main, no stream running] The stream has ended: time stands still again. */
RT_API void rt_portaudio_end(rt_engine *engine);
/* [audio] A PaStreamCallback: float32, interleaved, any number of frames; `user_data` is the engine. */
RT_REALTIME RT_API int32_t rt_portaudio_callback(const void *in, void *out, unsigned long frames,
                                                 const void *time_info, unsigned long flags, void *user_data);
/* [main] Start the null driver with `period` samples a block. 0, or an errno. */
RT_API int32_t rt_null_start(rt_engine *engine, int32_t period);
/* [main] Stop it and wait for it. */
RT_API void rt_null_stop(rt_engine *engine);
/* [main] 1 when its latest thread got real-time priority. */
RT_API int32_t rt_null_realtime(const rt_engine *engine);

/* Sizes and offsets that the Python side must agree on (see binding.py); returns how many. */
RT_API int32_t rt_layout(const int64_t **numbers);

#endif

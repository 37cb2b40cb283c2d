/* The bank: a table of rows for every key, and the rows that each voice is sounding. It starts a voice's rows, aims
   their gains, turns them to the pitch wheel, and has compiled loops fill the voice's segments (rtsynth/sampler/bank.py:
   what a row is, and what the loops do). */
#ifndef RT_BANK_H
#define RT_BANK_H

#include <stdint.h>

#include "realtime.h"
#include "voices.h"

/* Columns of the law of a row, law[key][column][row]; as in rtsynth/sampler/table.py. */
enum rt_law {
    RT_FREQUENCY, /* hertz */
    RT_DAMPING,   /* 1/s */
    RT_MEAN_RE,   /* of the state at the start, without variance */
    RT_MEAN_IM,
    RT_SPREAD,    /* standard deviation there, with all of it */
    RT_LINK_RE,   /* what a band's second row takes of the first one's Gaussian */
    RT_LINK_IM,
    RT_VARIANCE,  /* share of the power that is drawn anew, unless the variance knob is turned */
    RT_NOISE,     /* standard deviation of the noise a sample, re and im each */
    RT_LEFT,      /* gains at velocity 1, before envelopes */
    RT_RIGHT,
    RT_TILT,      /* nepers of gain per unit of velocity */
    RT_BEFORE,    /* share of the power in the first regime ... */
    RT_AFTER,     /* ... and in the second */
    RT_RISE,      /* number of the recorded layer whose modes it rises with, from 1; 0: none */
    RT_LAW_COLUMNS,
};

/* Where the rows of a recorded layer lie, parts[layer][column]; as in table.py, like the next. */
enum rt_part { RT_LINES_FROM, RT_LINES, RT_BANDS_FROM, RT_BANDS, RT_PART_COLUMNS };

/* A stroke's axis of time, axes[stroke][column]: samples for the rise, segments for the rest. */
enum rt_axis {
    RT_POINTS_FROM, /* of its curves in `times` and `octaves` ... */
    RT_POINTS,
    RT_GAINS_FROM,  /* ... and in `curves` */
    RT_BENDS,       /* 1: its lines' pitch moves */
    RT_LOOP_FROM,   /* a held note goes back here ... */
    RT_LOOP_TO,     /* ... from here; infinite: never */
    RT_RISE_FROM,
    RT_RISE_TIME,
    RT_AXIS_COLUMNS,
};

#define RT_HALF (RT_SEGMENT / 2) /* as HALF in rtsynth/sampler/segments.py */
#define RT_WINDOW_ROWS 64        /* that read their noise side by side; as WINDOW_ROWS in rtsynth/sampler/noise.py */
#define RT_AHEAD 4               /* segments of innovations drawn at once; as AHEAD in rtsynth/sampler/table.py */

/* Gaussians for a proof: all drawn; all 0; or one of the first note's 1 and all others 0, from 0 on; or one of its key's
   take, from RT_TAKE on. */
enum rt_probe { RT_DRAW = -2, RT_ALL_ZERO = -1 };
#define RT_TAKE ((int64_t)1 << 40)

/* [audio] The compiled loops; every `void` is float, or double where wide. See their docstrings for the shapes. Those that
   no row of the table needs are NULL. */
typedef struct {
    void (*start)(int64_t seed, int64_t serial, int64_t count, uint32_t *low, uint32_t *high, void *normals);
    void (*draw_scalar)(const uint32_t *low, const uint32_t *high, int64_t first, int64_t segments, double deviation,
                        void *noise);
    void (*windows)(const uint32_t *low, const uint32_t *high, int64_t first, int64_t samples, int64_t count,
                    uint32_t *at);
    void (*ringing)(const void *powers, const void *half, void *x, void *middle, const void *gains, void *y,
                    int64_t moving, int64_t rows, int64_t count);
    void (*ringing_mono)(const void *powers, const void *half, void *x, void *middle, const void *gains, void *y,
                         int64_t rows, int64_t count);
    void (*kick)(const void *scale, const void *noise, const uint32_t *at, int64_t t, void *x, int64_t rows,
                 int64_t count);
    void (*noisy)(const void *step, const void *noise, const uint32_t *at, void *x, const void *gains, void *y,
                  int64_t moving, int64_t rows, int64_t count);
    void (*noisy_mono)(const void *step, const void *noise, const uint32_t *at, void *x, const void *gains, void *y,
                       int64_t rows, int64_t count);
    void (*innovations)(const void *powers, const void *turned, const void *half, const void *gain, const void *response,
                        const void *e, void *x, void *middle, void *y, int64_t rows, int64_t count);
} rt_loops;

/* Everything the bank works on; the arrays are the caller's. R = rows, V = slots, K = RT_KEYS, S = RT_SEGMENT,
   H = RT_HALF, P = recorded, G = groups of RT_WINDOW_ROWS rows. */
typedef struct {
    rt_loops loops;
    double sample_rate; /* hertz */
    int64_t seed;
    int64_t probe;        /* enum rt_probe, or the number of a Gaussian */
    int32_t rows;         /* of a voice; padded to a multiple of 16 */
    int32_t kicked_from;  /* rows before are undamped */
    int32_t ringing_from; /* rows before are undamped, or kicked at the end of every segment */
    int32_t noisy_from;   /* rows before are undamped, kicked or ringing; a multiple of 8 */
    int32_t paired_from;  /* rows before have a noise of their own; of the rest, the second half runs on minus the first's */
    int32_t slots;
    int32_t innovations;  /* 1: one Gaussian a sample drives all rows */
    int32_t mono;         /* 1: the gains of all rows have one course in time, left and right; so where innovations */
    int32_t recorded;     /* layers whose rows are moved by curves */
    int32_t crossover;    /* 1: rows pass from one regime to another */
    int32_t alias;        /* 1: nothing is faded out below Nyquist */
    int32_t wide;         /* 1: double */
    /* parameters; motion has an entry a key, then one a slot for voices that are bent */
    const void *law;       /* (K, RT_LAW_COLUMNS, R) */
    const void *sides;     /* (K, 2) left and right of the one course; the rows' levels are in RT_LEFT */
    const int64_t *alive;  /* (K,) end of the rows before noisy_from that can be heard; they are sorted by when they fade */
    const int64_t *quiet;  /* (K,) segments after which no other rows can be heard */
    const void *windows;   /* normals that rows read their noise from */
    void *powers;          /* (K + V, R, 2, H) lambda^t */
    void *half;            /* (K + V, 2, R) lambda^H */
    void *step;            /* (K + V, 2, R) lambda */
    void *turned;          /* (K + V, H, 2, R) lambda^(H - 1 - t); innovations only, as the next four */
    const void *gain;      /* (K, 2, R) */
    const void *response;  /* (K, S) H zeros, then that of y to e within half a segment */
    const void *deviation; /* (K,) */
    const void *start;     /* (K, 2R, 2R) lower factor of the states' covariance at the start, re then im */
    const int64_t *parts;  /* (P, RT_PART_COLUMNS) */
    const int64_t *strokes; /* (K, P) which axis a key's rows are moved along */
    const double *axes;    /* (axes, RT_AXIS_COLUMNS) */
    const double *times;   /* (points of all axes,) segments */
    const double *octaves; /* likewise: the pitch of lines */
    const void *curves;    /* (points of all axes x lines and bands) gains */
    /* state, a slot each */
    int64_t *place;        /* (V, 6) end of the ringing rows still heard; entry of the motion tables; 1: no slopes;
                              1: draws noise of its own; 1: plays the noise of the key's take; 1: its one course is
                              spread over the rows' gains */
    void *course;          /* (V, 4) left, right; their slopes a sample; of all rows, where they have one course */
    void *goal;            /* (V, 3 + P) left, right, mix and rises that the gains go to */
    double *curve;         /* (V, P, 6) place, direction, octaves, point, 1: moves, 1: has slopes */
    void *x;               /* (V, 2, R); of noisy rows and bands in units of their noise */
    void *radius;          /* (V, R) squared radius of undamped rows */
    void *gains;           /* (V, 4, R) left, right; their slopes a sample */
    void *base;            /* (V, 2, R) left, right before envelopes; where there is one course: level, 0 */
    uint32_t *keys;        /* (V, 2, R) of the noise */
    uint32_t *takes;       /* (V, 2, R) of the noise of the key's take */
    void *ahead;           /* (V, RT_AHEAD, S) innovations drawn ahead; (V, 1) where there are none */
    uint32_t *kicks;       /* (V, 2, G, 2, S) where kicked rows read the coming segments' noise, their take's;
                              (V, 1) where there are none */
    void *segments;        /* (V, 2, S) */
    /* scratch */
    void *noise;           /* (S, 2, R) */
    uint32_t *at;          /* (G, 2, S) where noisy rows read */
    uint32_t *take_at;     /* (G, 2, S) likewise, of the key's take */
    void *middle;          /* (4, R) */
    void *take_noise;      /* (RT_AHEAD, S) */
    void *normals;         /* (2, R) */
    void *take_normals;    /* (2, R) */
    void *shares;          /* (2, R) of the noise of its own, of the take's */
} rt_rows_bank;

/* [audio] An rt_bank (voices.h) whose state is an rt_rows_bank. */
RT_REALTIME RT_API int32_t rt_rows_bank_call(void *state, int32_t call, int32_t slot, const rt_voice *voice,
                                             double left, double right, double mix);
/* sizeof(rt_rows_bank): what Python must agree on. */
RT_API int64_t rt_rows_bank_size(void);

#endif

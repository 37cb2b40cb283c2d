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

#define RT_AHEAD 4 /* segments of innovations drawn at once; as AHEAD in rtsynth/sampler/table.py */

/* Gaussians for a proof: all drawn; all 0; or one of the first note's 1 and all others 0, from 0 on; or one of its key's
   take, from RT_TAKE on. */
enum rt_probe { RT_DRAW = -2, RT_ALL_ZERO = -1 };
#define RT_TAKE ((int64_t)1 << 40)

/* [audio] The compiled loops; every `void` is float, or double where wide. See their docstrings for the shapes. */
typedef struct {
    void (*start)(int64_t seed, int64_t serial, int64_t count, uint32_t *low, uint32_t *high, void *normals);
    void (*draw)(const uint32_t *low, const uint32_t *high, int64_t first, int64_t samples, int64_t count, void *noise);
    void (*draw_scalar)(const uint32_t *low, const uint32_t *high, int64_t first, int64_t segments, double deviation,
                        void *noise);
    void (*ringing)(const void *powers, const void *advance, void *x, void *gains, void *y, int64_t rows, int64_t count);
    void (*noisy)(const void *step, const void *scale, const void *noise, void *x, void *gains, void *y, int64_t rows,
                  int64_t count);
    void (*innovations)(const void *powers, const void *advance, const void *gain, const void *response, const void *e,
                        void *x, void *y, int64_t rows, int64_t count);
} rt_loops;

/* Everything the bank works on; the arrays are the caller's. R = rows, V = slots, K = RT_KEYS, S = RT_SEGMENT,
   P = recorded. */
typedef struct {
    rt_loops loops;
    double sample_rate; /* hertz */
    int64_t seed;
    int64_t probe;        /* enum rt_probe, or the number of a Gaussian */
    int32_t rows;         /* of a voice; padded to a multiple of 16 */
    int32_t ringing_from; /* rows before are undamped */
    int32_t noisy_from;   /* rows before are undamped or ringing */
    int32_t paired_from;  /* rows before have a noise of their own; of the rest, the second half runs on minus the first's */
    int32_t slots;
    int32_t innovations;  /* 1: one Gaussian a sample drives all rows */
    int32_t recorded;     /* layers whose rows are moved by curves */
    int32_t crossover;    /* 1: rows pass from one regime to another */
    int32_t alias;        /* 1: nothing is faded out below Nyquist */
    int32_t wide;         /* 1: double */
    /* parameters; motion has an entry a key, then one a slot for voices that are bent */
    const void *law;       /* (K, RT_LAW_COLUMNS, R) */
    const int64_t *alive;  /* (K,) end of the rows before noisy_from that can be heard; they are sorted by when they fade */
    const int64_t *quiet;  /* (K,) segments after which no other rows can be heard */
    void *powers;          /* (K + V, R, 2, S) lambda^t */
    void *advance;         /* (K + V, 2, R) lambda^S */
    void *step;            /* (K + V, 2, R) lambda */
    const void *gain;      /* (K, 2, R) innovations only, as the next three */
    const void *response;  /* (K, S) */
    const void *deviation; /* (K,) */
    const void *start;     /* (K, 2R, 2R) lower factor of the states' covariance at the start, re then im */
    const int64_t *parts;  /* (P, RT_PART_COLUMNS) */
    const int64_t *strokes; /* (K, P) which axis a key's rows are moved along */
    const double *axes;    /* (axes, RT_AXIS_COLUMNS) */
    const double *times;   /* (points of all axes,) segments */
    const double *octaves; /* likewise: the pitch of lines */
    const void *curves;    /* (points of all axes x lines and bands) gains */
    /* state, a slot each */
    int64_t *place;        /* (V, 5) end of the ringing rows still heard; entry of the motion tables; 1: no slopes;
                              1: draws noise of its own; 1: plays the noise of the key's take */
    void *goal;            /* (V, 3 + P) left, right, mix and rises that the gains go to */
    double *curve;         /* (V, P, 6) place, direction, octaves, point, 1: moves, 1: has slopes */
    void *x;               /* (V, 2, R) */
    void *radius;          /* (V, R) squared radius of undamped rows */
    void *gains;           /* (V, 4, R) left, right; their slopes a sample */
    void *base;            /* (V, 2, R) left, right before envelopes */
    uint32_t *keys;        /* (V, 2, R) of the noise */
    uint32_t *takes;       /* (V, 2, R) of the noise of the key's take */
    void *ahead;           /* (V, RT_AHEAD, S) innovations drawn ahead; (V, 1) where there are none */
    void *segments;        /* (V, 2, S) */
    /* scratch */
    void *noise;           /* (S, 2, R) */
    void *innovation;      /* (3 S) S zeros, the innovations, the same backwards */
    void *normals;         /* (2, R) */
    void *take_noise;      /* (S, 2, R) */
    void *take_normals;    /* (2, R) */
    void *shares;          /* (2, R) of the noise of its own, of the take's */
} rt_rows_bank;

/* [audio] An rt_bank (voices.h) whose state is an rt_rows_bank. */
RT_REALTIME RT_API int32_t rt_rows_bank_call(void *state, int32_t call, int32_t slot, const rt_voice *voice,
                                             double left, double right, double mix);
/* sizeof(rt_rows_bank): what Python must agree on. */
RT_API int64_t rt_rows_bank_size(void);

#endif

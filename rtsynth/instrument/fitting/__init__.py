"""From the recording of a note to a stroke: what rings, what is noise, and how sure that is.

One note, from below:
recording     the checked recording: one channel, its onset, its faults
pitch         fundamental and inharmonicity, or that there is no harmonic series
subband       narrow bands of one Fourier transform, and exponentials in them in closed form
poles         first guesses of a band's modes (ESPRIT)
varpro        many bands refined at once by variable projection
group         bands whose modes grow one at a time, as long as another one pays
attack        when the modes start and how fast they rise
knock         short modes at the onset
modes         the modes of a struck or plucked note, put together from those
uncertainty   standard deviations of frequency, damping and level
lines         the lines of a sustained note
noise, gains, views   bands of noise beside either
kind, note    struck or sustained; one recording to a stroke

Several notes: velocity, keyboard, instrument, writing. How good it is: metrics, evaluation.
"""

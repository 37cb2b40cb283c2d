"""From the recording of a note to a stroke: what rings, what is noise, and how sure that is.

recording     the checked recording: one channel, its onset, its faults
pitch         fundamental and inharmonicity, or that there is no harmonic series
subband       the narrow bands of one Fourier transform, and exponentials in them in closed form
poles         first guesses of a band's modes (ESPRIT)
modes         the modes of a struck or plucked note
attack        when they start and how fast they rise
uncertainty   standard deviations of frequency, damping and level
"""

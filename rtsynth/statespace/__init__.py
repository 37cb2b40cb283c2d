"""Kernels as recursions: exact discretisation, innovations form, inference, and the slow dense reference."""

from rtsynth.statespace.autoregression import AutoRegression, condition, fit_autoregressions
from rtsynth.statespace.conditional import Continuation, continuation, draw_continuation, draw_fill, fill
from rtsynth.statespace.dense import covariance_of_recursion, draw, nearest_psd
from rtsynth.statespace.discretise import Discrete, DiscreteBlock
from rtsynth.statespace.factor import lower_factor
from rtsynth.statespace.from_kernel import state_space
from rtsynth.statespace.innovations import Innovations, covariance_from_gain, innovations, listen, synthesise
from rtsynth.statespace.joint import innovations_of
from rtsynth.statespace.kalman import log_likelihood
from rtsynth.statespace.model import LinearBlock, Rotation, StateSpace
from rtsynth.statespace.repair import Repair, repair
from rtsynth.statespace.smoother import Posterior, kalman_filter, smooth
from rtsynth.statespace.structured import (
    draw_circulant,
    draw_kronecker,
    draw_toeplitz,
    kronecker_matvec,
    toeplitz_column,
    toeplitz_matvec,
    toeplitz_solve,
)

__all__ = [
    "AutoRegression",
    "Continuation",
    "Discrete",
    "DiscreteBlock",
    "Innovations",
    "LinearBlock",
    "Posterior",
    "Repair",
    "Rotation",
    "StateSpace",
    "condition",
    "continuation",
    "covariance_from_gain",
    "covariance_of_recursion",
    "draw",
    "draw_circulant",
    "draw_continuation",
    "draw_fill",
    "draw_kronecker",
    "draw_toeplitz",
    "fill",
    "fit_autoregressions",
    "innovations",
    "innovations_of",
    "kalman_filter",
    "kronecker_matvec",
    "listen",
    "log_likelihood",
    "lower_factor",
    "nearest_psd",
    "repair",
    "smooth",
    "state_space",
    "synthesise",
    "toeplitz_column",
    "toeplitz_matvec",
    "toeplitz_solve",
]

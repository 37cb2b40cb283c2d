"""Kernels as recursions: exact discretisation, innovations form, likelihood, and the slow dense reference."""

from rtsynth.statespace.dense import covariance_of_recursion, draw, nearest_psd
from rtsynth.statespace.discretise import Discrete, DiscreteBlock
from rtsynth.statespace.factor import lower_factor
from rtsynth.statespace.from_kernel import state_space
from rtsynth.statespace.innovations import Innovations, covariance_from_gain, innovations, listen, synthesise
from rtsynth.statespace.kalman import log_likelihood
from rtsynth.statespace.model import LinearBlock, Rotation, StateSpace

__all__ = [
    "Discrete",
    "DiscreteBlock",
    "Innovations",
    "LinearBlock",
    "Rotation",
    "StateSpace",
    "covariance_from_gain",
    "covariance_of_recursion",
    "draw",
    "innovations",
    "listen",
    "log_likelihood",
    "lower_factor",
    "nearest_psd",
    "state_space",
    "synthesise",
]

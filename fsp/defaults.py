"""Defaults of the public functions and of the command, for both; it imports nothing, so that help is quick."""

TOL = 1e-6  # 1-norm error of a distribution
RELAXATION_TOL = 1e-10  # of the stationary distribution below the modes: small gaps need its digits
MODES = 3  # the slowest ones

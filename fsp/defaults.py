"""Defaults of the public functions and of the command, for both; it imports nothing, so that help is quick."""

TOL = 1e-6  # 1-norm error of a distribution, and of a derivative of one
FISHER_TOL = 1e-8  # of the derivatives below Fisher information, which divides by small probabilities
LIKELIHOOD_WIDTH = 1e-2  # nats: far below what tells two models apart
STARTS = 5  # of a fit: a wrong optimum is noticed where they end apart
LEVEL = 0.95  # of confidence intervals
RELAXATION_TOL = 1e-10  # of the stationary distribution below the modes: small gaps need its digits
MODES = 3  # the slowest ones, where there are so many

"""Verification of simulators, and of this package, against certified distributions.

Nothing is imported here, so that the sampler and the statistics load no solver.
"""

"""What `fsp.approximations` and its command take where nothing is said; it imports nothing, so that help is quick."""

VOLUMES = 1.0, 3.0, 10.0, 30.0  # half a decade apart, so that powers of the volume show
QUICK_METHODS = "rate-equations", "linear-noise", "next-order"  # those that take no time
TOL = 1e-8  # below the distances of the best approximations in the largest of these volumes
SPACING = 0.25  # of lattices, whose extrapolated laws are off by less than 1e-2 there: see docs/approximations.md
SCHEME = "central"  # at this spacing its diffusion is exact
RUNS = 10_000  # Langevin paths: 1 % of a standard deviation
STEPS = 400  # of each path, over the whole time; chosen, as what they do is estimated
VARIANT = "clipped"  # it keeps conservation laws
SEED = 1  # so that a table is the same again

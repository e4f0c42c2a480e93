"""Work in many parts: sweeps, batches, stopping and going on."""

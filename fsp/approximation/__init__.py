"""What lies between the master equation and the mean: Fokker–Planck, Langevin, linear noise, closures of moments."""

"""Parameters and data: derivatives by parameters and Fisher information, each with a bound of its error."""

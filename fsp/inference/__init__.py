"""Parameters and data: derivatives, Fisher information, counted cells and their likelihood, each with a bound."""

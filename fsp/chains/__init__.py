"""Finite chains: null vectors, elimination, communicating classes, hitting times, aggregation, modes."""

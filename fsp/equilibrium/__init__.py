"""Stationary distributions and their certificates, and how networks relax to them."""

"""Examine the package: random networks against a reference of its own, broken inputs against a rule.

`formulas`, `network` and `reference` compute what is right, and import no part of `fsp`; `judging` holds the public
names against it; `crew` runs cases in processes that are killed when they hang; `report` counts.
"""

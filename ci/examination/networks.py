"""Draw random networks of many kinds, as plain data from which the model and the reference are both made.

A description has `species` (counts), `reactions` (arguments of `fsp.Reaction`), `parameters`, `times`, `upper` (largest
counts of a box that should do), and where they are needed `initial` (states with probabilities), `events` (at a time
`at`, or on a `trigger`), `switches` (times at which rates jump), `steps` (rates are constant between them) and
`fastest` (steps of time that resolve the rates).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Network = dict[str, Any]
Random = np.random.Generator


def draw(kind: str, seed: int) -> Network:
    """Return the network of a kind with a seed."""
    rng = np.random.default_rng([*kind.encode(), seed])
    network = {"parameters": {}, **KINDS[kind](rng)}
    network["reactions"] = [reaction for reaction in network["reactions"] if reaction]
    return network


def _rate(rng: Random, low: float = 0.1, high: float = 5.0) -> float:
    return float(f"{math.exp(rng.uniform(math.log(low), math.log(high))):.4g}")


def _times(rng: Random, low: float = 0.1, high: float = 10.0) -> list[float]:
    t = _rate(rng, low, high)
    return [0.5 * t, t] if rng.random() < 0.5 else [t]


def _mass(equation: str, constant: float | str) -> dict[str, Any]:
    return {"equation": equation, "mass_action": constant}


def _law(equation: str, rate: str) -> dict[str, Any]:
    return {"equation": equation, "rate": rate}


def _maybe(rng: Random, chance: float, reaction: dict[str, Any]) -> dict[str, Any]:
    return reaction if rng.random() < chance else {}


def _above(mean: float, burst: int = 1) -> int:
    """Return a count that a Poisson-like law of this mean, made in bursts, exceeds with less than 1e-17."""
    return math.ceil(mean + 8.5 * math.sqrt(burst * (mean + burst)) + 8 * burst + 8)


def open_(rng: Random) -> Network:
    k, g = _rate(rng, 0.5, 8), _rate(rng, 0.5, 2)
    if rng.random() < 0.5:
        x = int(rng.integers(0, 12))
        return {
            "species": {"A": x},
            "parameters": {"k": k},
            "reactions": [
                _mass("0 -> A", "k"),
                _mass("A -> 0", g),
                _maybe(rng, 0.5, _mass("2 A -> 0", _rate(rng, 0.01, 0.5))),
                _maybe(rng, 0.3, _mass("2 A -> A", _rate(rng, 0.01, 0.5))),
            ],
            "times": _times(rng),
            "upper": {"A": _above(k / g + x)},
        }
    k = _rate(rng, 0.05, 1)
    c, d = _rate(rng, 0.1, 1), _rate(rng, 0.5, 2)
    return {
        "species": {"A": int(rng.integers(0, 3)), "B": int(rng.integers(0, 2))},
        "parameters": {"k": k},
        "reactions": [
            _mass("0 -> A", "k"),
            _mass("A -> 0", g),
            _mass("A -> B", c),
            _mass("B -> 0", d),
            _maybe(rng, 0.4, _mass("A + B -> 0", _rate(rng))),
            _maybe(rng, 0.4, _mass("B -> A", _rate(rng, 0.05, 0.3))),
        ],
        "times": _times(rng),
        "upper": {"A": 22, "B": 22},
    }


def bursts(rng: Random) -> Network:
    burst, k, g = int(rng.integers(2, 8)), _rate(rng, 0.2, 2), _rate(rng, 0.5, 2)
    feedback = rng.random() < 0.3
    made = _law(f"0 -> {burst} A", f"k/(1+A/{burst})") if feedback else _mass(f"0 -> {burst} A", "k")
    return {
        "species": {"A": int(rng.integers(0, 4))},
        "parameters": {"k": k},
        "reactions": [made, _mass("A -> 0", g), _maybe(rng, 0.3, _mass("0 -> A", _rate(rng)))],
        "times": _times(rng),
        "upper": {"A": _above(burst * k / g + 6, burst)},
    }


def hill(rng: Random) -> Network:
    n, K, top, g = int(rng.integers(1, 5)), _rate(rng, 0.5, 6), _rate(rng, 0.5, 8), _rate(rng, 0.7, 2)
    if rng.random() < 0.5:
        law = f"{_rate(rng, 0.05, 1)} + top*A^{n}/({K}^{n} + A^{n})"
        return {
            "species": {"A": int(rng.integers(0, 9))},
            "parameters": {"top": top},
            "reactions": [_law("0 -> A", law), _mass("A -> 0", g)],
            "times": _times(rng),
            "upper": {"A": _above((top + 1) / g + 8)},
        }
    top, other = _rate(rng, 0.3, 1.5), _rate(rng, 0.3, 1.5)
    return {
        "species": {"A": int(rng.integers(0, 3)), "B": 0},
        "parameters": {"top": top},
        "reactions": [
            _law("0 -> A", f"top/(1 + (B/{K})^{n})"),
            _law("0 -> B", f"{other}/(1 + A^{n})"),
            _mass("A -> 0", g),
            _mass("B -> 0", _rate(rng, 0.7, 2)),
        ],
        "times": _times(rng),
        "upper": {"A": 21, "B": 21},
    }


def _closed(rng: Random, slow: float, fast: float, molecules: int) -> Network:
    names = "ABC"[: int(rng.integers(2, 4))]
    sides = [f"{a}" for a in names] + [f"2 {a}" for a in names] + [f"{a} + {b}" for a in names for b in names if a < b]
    counts = dict.fromkeys(names, 0)
    for _ in range(int(rng.integers(1, molecules + 1))):
        counts[str(rng.choice(list(names)))] += 1
    weight = {side: 2 if " " in side else 1 for side in sides}
    first = next(name for name, count in counts.items() if count)  # something can happen at the start
    other = next(name for name in names if name != first)
    reactions = [_mass(f"{first} -> {other}", _rate(rng, slow, fast))]
    while len(reactions) < int(rng.integers(2, 6)):
        a, b = rng.choice(sides, 2, replace=False)
        if weight[str(a)] == weight[str(b)]:
            reactions.append(_mass(f"{a} -> {b}", _rate(rng, slow, fast)))
    return {"species": counts, "reactions": reactions, "upper": dict.fromkeys(names, 2 * molecules)}


def conserved(rng: Random) -> Network:
    return {**_closed(rng, 0.05, 5, 10), "times": _times(rng, 0.05, 50)}


def stiff(rng: Random) -> Network:
    return {**_closed(rng, 1e-6, 1e6, 7), "times": _times(rng, 1e-3, 1e4)}


def classes(rng: Random) -> Network:
    slow = _rate(rng, 1e-8, 1) if rng.random() < 0.4 else _rate(rng)
    k, g = _rate(rng, 0.2, 3), _rate(rng, 0.7, 2)
    n = int(rng.integers(1, 3))
    return {
        "species": {"S": n, "P": 0, "Q": 0, "X": 0},
        "parameters": {"s": slow},
        "reactions": [
            _mass("S -> P", "s"),
            _mass("S -> Q", _rate(rng)),
            _mass("P -> P + X", k),
            _mass("X -> 0", g),
            _maybe(rng, 0.3, _mass("Q -> Q + X", _rate(rng, 0.2, 1))),
        ],
        "times": _times(rng),
        "upper": {"S": n, "P": n, "Q": n, "X": _above(n * max(k, 1.0) / g)},
    }


def gates(rng: Random) -> Network:
    on, off = _rate(rng, 1e-8, 1), (_rate(rng, 1e-10, 1) if rng.random() < 0.7 else 0.0)
    k, g = _rate(rng, 0.5, 12), 1.0
    return {
        "species": {"off": 1, "on": 0, "X": 0},
        "parameters": {"k": k},
        "reactions": [
            _mass("off -> on", on),
            _mass("on -> off", off) if off else {},
            _mass("on -> on + X", "k"),
            _mass("X -> 0", g),
        ],
        "times": _times(rng, 0.1, 1e4),
        "upper": {"off": 1, "on": 1, "X": _above(k / g)},
    }


def absorbing(rng: Random) -> Network:
    n = int(rng.integers(2, 13))
    choice = rng.integers(3)
    if choice == 0:
        return {
            "species": {"A": n},
            "parameters": {"g": _rate(rng, 0.01, 2)},
            "reactions": [_mass("A -> 0", "g"), _maybe(rng, 0.4, _mass("2 A -> A", _rate(rng, 0.01, 1)))],
            "times": _times(rng, 1, 5000),
            "upper": {"A": n},
        }
    if choice == 1:
        return {
            "species": {"S": n, "I": int(rng.integers(1, 3)), "R": 0},
            "parameters": {"b": _rate(rng, 0.05, 1)},
            "reactions": [_mass("S + I -> 2 I", "b"), _mass("I -> R", _rate(rng))],
            "times": _times(rng, 0.1, 100),
            "upper": {"S": n + 2, "I": n + 2, "R": n + 2},
        }
    return {
        "species": {"A": n},
        "parameters": {"b": _rate(rng, 0.1, 0.6)},
        "reactions": [_law("A -> 2 A", f"b*A*max(0, 1 - A/{3 * n})"), _mass("A -> 0", _rate(rng, 0.5, 2))],
        "times": _times(rng, 0.1, 100),
        "upper": {"A": 3 * n + 1},
    }


def timed(rng: Random) -> Network:
    k, g, w = _rate(rng, 0.5, 4), _rate(rng, 0.5, 2), _rate(rng, 0.3, 10)
    x = int(rng.integers(0, 6))
    t = _rate(rng, 0.3, 6)
    base = {"species": {"A": x}, "parameters": {"k": k}, "upper": {"A": _above(2 * k / g + x)}, "fastest": 2 * w}
    decay = _mass("A -> 0", g)
    choice = rng.integers(5)
    if choice == 0:
        return {**base, "reactions": [_law("0 -> A", f"k*(1 + sin({w}*time))"), decay], "times": [t]}
    if choice == 1:
        return {**base, "reactions": [_law("0 -> A", f"k*exp(-{w}*time)"), decay], "times": [t]}
    if choice == 2:
        off = float(f"{0.5 * t:.3g}")
        rate = f"piecewise(k, time < {off}, 0.1)"
        return {**base, "reactions": [_law("0 -> A", rate), decay], "times": [t], "switches": [off], "steps": True}
    if choice == 3:
        rate = f"{g}*A*(1 + time)/(1 + {w}*time)"
        return {**base, "reactions": [_mass("0 -> A", "k"), _law("A -> 0", rate)], "times": [t]}
    rate = f"k*(1 + tanh({w}*(time - {0.5 * t:.3g})))/(1 + A)"
    return {**base, "reactions": [_law("0 -> A", rate), decay], "times": [t]}


def oscillating(rng: Random) -> Network:
    w = _rate(rng, 20, 300)
    return {
        "species": {"A": int(rng.integers(1, 5)), "B": 0},
        "parameters": {"w": w},
        "reactions": [_law("A -> B", f"{_rate(rng)}*A*(1 + sin(w*time))"), _mass("B -> A", _rate(rng))],
        "times": [_rate(rng, 0.2, 1)],
        "upper": {"A": 5, "B": 5},
        "fastest": 2 * w,
    }


def events(rng: Random) -> Network:
    k, g, x = _rate(rng, 0.5, 4), _rate(rng, 0.5, 2), int(rng.integers(0, 6))
    t = _rate(rng, 0.5, 8)
    at = float(f"{0.4 * t:.3g}")
    choice = rng.integers(3)
    made = [_mass("0 -> A", "k"), _mass("A -> 0", g)]
    base = {"species": {"A": x}, "parameters": {"k": k}, "reactions": made, "times": [t]}
    if choice == 0:
        maps = str(rng.choice(["floor(A/2)", "A + 3", "2*A", "4"]))
        kicked = {"events": [{"at": at, "assignments": {"A": maps}}]}
        return {**base, **kicked, "upper": {"A": 2 * _above(k / g + x) + 10}}
    top = x + int(rng.integers(1, 6))
    reset = {"trigger": f"A >= {top}", "assignments": {"A": str(rng.choice(["0", f"{top - 1}", "floor(A/2)"]))}}
    if choice == 1:
        return {**base, "events": [reset], "upper": {"A": top + 1}}
    return {
        **base,
        "species": {"A": x, "B": 0},
        "events": [{"trigger": f"A >= {top}", "assignments": {"A": "0", "B": "B + 1"}}],
        "upper": {"A": top + 1, "B": _above(k * t / (top - x))},
    }


def large(rng: Random) -> Network:
    n = int(10 ** rng.uniform(4, 8))
    few = _rate(rng, 0.5, 6)
    choice = rng.integers(3)
    if choice == 0:  # a pool that hardly changes
        reactions = [_mass("A -> B", few / n), _maybe(rng, 0.5, _mass("B -> A", _rate(rng, 0.1, 2)))]
        return {
            "species": {"A": n, "B": 0},
            "reactions": reactions,
            "times": _times(rng, 0.1, 2),
            "upper": {"A": n, "B": _above(2 * few)},
        }
    if choice == 1:  # a catalyst in great number
        k = float(f"{few / n:.4g}")
        made = [_mass("C -> C + A", "k"), _mass("A -> 0", _rate(rng, 0.5, 2))]
        return {
            "species": {"C": n, "A": 0},
            "parameters": {"k": k},
            "reactions": made,
            "times": _times(rng),
            "upper": {"C": n, "A": _above(2 * few)},
        }
    m = int(rng.integers(2, 30))
    return {
        "species": {"A": n, "B": m, "C": 0},
        "reactions": [_mass("A + B -> C", few / n), _mass("C -> A + B", _rate(rng))],
        "times": _times(rng),
        "upper": {"A": n, "B": m, "C": m},
    }


def rounding(rng: Random) -> Network:
    big = float(f"{10 ** rng.uniform(2, 14):.3g}")
    formula = str(
        rng.choice(
            [
                f"{big}*(1 - exp(-A/{big}))",
                f"{2 * big}*(sqrt({big * big} + A) - {big})",
                f"{big}*(1 - {big}/({big} + A))",
                f"({big} + A) - {big}",
                f"{big}*ln(1 + A/{big})",
                f"k*A*(1 + 1/{big})^{big}/2.718281828",
                f"({big} + 1)*A - {big}*A",
                f"{big * big}*(cos(A/{big}) - 1)*(-2)",
            ]
        )
    )
    n = int(rng.integers(1, 5))
    return {
        "species": {"A": n, "B": 0},
        "parameters": {"k": 1.0},
        "reactions": [_law("A -> B", formula), _maybe(rng, 0.5, _mass("B -> A", _rate(rng)))],
        "times": _times(rng, 0.1, 3),
        "upper": {"A": n, "B": n},
    }


def long(rng: Random) -> Network:
    drawn = KINDS[str(rng.choice(["open", "conserved", "bursts", "hill"]))](rng)
    return {**drawn, "times": [float(f"{10 ** rng.uniform(3, 13):.4g}")]}


def short(rng: Random) -> Network:
    drawn = KINDS[str(rng.choice(["open", "conserved", "stiff", "bursts"]))](rng)
    return {**drawn, "times": [float(f"{10 ** rng.uniform(-30, -3):.4g}")]}


def autocatalytic(rng: Random) -> Network:
    v = float(rng.choice([1, 2, 3]))
    choice = rng.integers(4)
    if choice == 0:  # Brusselator
        made = [
            _mass("0 -> A", v),
            _law("A -> B", f"{_rate(rng, 0.5, 2)}*A"),
            _law("2 A + B -> 3 A", f"A*(A-1)*B/{v * v}"),
            _mass("A -> 0", 1.0),
        ]
        return {
            "species": {"A": 0, "B": 0},
            "reactions": made,
            "times": _times(rng, 0.1, 1),
            "upper": {"A": 42, "B": 42},
        }
    if choice == 1:  # Schnakenberg
        made = [
            _mass("0 -> A", 0.1 * v),
            _mass("A -> 0", 1.0),
            _mass("0 -> B", 0.5 * v),
            _law("2 A + B -> 3 A", f"A*(A-1)*B/{v * v}"),
        ]
        return {
            "species": {"A": 0, "B": 0},
            "reactions": made,
            "times": _times(rng, 0.1, 4),
            "upper": {"A": 40, "B": 40},
        }
    if choice == 2:  # Schlögl
        made = [_mass("0 -> A", 6.0), _mass("A -> 0", 4.0), _mass("2 A -> 3 A", 0.6), _mass("3 A -> 2 A", 0.06)]
        return {
            "species": {"A": int(rng.integers(0, 60))},
            "reactions": made,
            "times": _times(rng, 0.1, 10),
            "upper": {"A": 260},
        }
    made = [  # Lotka and Volterra, with immigration
        _mass("0 -> A", _rate(rng, 0.2, 1)),
        _mass("A -> 2 A", _rate(rng, 0.1, 0.6)),
        _mass("A + B -> 2 B", _rate(rng, 0.1, 1)),
        _mass("B -> 0", 1.0),
        _mass("A -> 0", 1.0),
    ]
    return {"species": {"A": 2, "B": 1}, "reactions": made, "times": _times(rng, 0.1, 2), "upper": {"A": 55, "B": 45}}


def mixture(rng: Random) -> Network:
    drawn = conserved(rng)
    names = list(drawn["species"])
    states = {tuple(int(n) for n in rng.integers(0, 5, len(names))) for _ in range(int(rng.integers(2, 5)))}
    weights = rng.multinomial(64, np.ones(len(states)) / len(states)) / 64  # exactly of sum one
    law = [[list(state), float(weight)] for state, weight in zip(sorted(states), weights, strict=True) if weight > 0]
    return {**drawn, "initial": law, "upper": dict.fromkeys(names, 30)}


KINDS: dict[str, Callable[[Random], Network]] = {
    "open": open_,
    "bursts": bursts,
    "hill": hill,
    "stiff": stiff,
    "conserved": conserved,
    "classes": classes,
    "gates": gates,
    "absorbing": absorbing,
    "timed": timed,
    "oscillating": oscillating,
    "events": events,
    "large": large,
    "rounding": rounding,
    "long": long,
    "short": short,
    "autocatalytic": autocatalytic,
    "mixture": mixture,
}

"""Sabotages of `fsp/inference/` and of the moments of parts; tests/mutants.py tries them."""

from mutants import mutant

MUTANTS = [
    mutant(
        "remnants-are-charged-once",
        "inference/account.py",
        "terms = {(0,) * width: Fraction(2)}",
        "terms = {(0,) * width: Fraction(1)}",
        "sensitivity",
        only="polynomials",
    ),
    mutant(
        "what-p-lacks-spoils-no-derivative",
        "inference/account.py",
        "truncation=left[1 + k] + remnants[0],",
        "truncation=left[1 + k],",
        "sensitivity",
        only="poisson_law or random_networks",
    ),
    mutant(
        "rates-of-edges-have-no-derivative",
        "inference/account.py",
        "    flow[1:] += slopes * step.occupation[0, sources]\n",
        "",
        "sensitivity",
        only="poisson_law or random_networks",
    ),
    mutant(
        "occupation-of-one-jump-too-many",
        "inference/expansion.py",
        "np.clip(1.0 - reached, 0.0, 1.0)",
        "np.clip(0.9 - reached, 0.0, 1.0)",
        "sensitivity",
        only="poisson_law or random_networks",
    ),
    mutant(
        "derivatives-without-their-source",
        "inference/derived.py",
        "out[1:] += scale *",
        "out[1:] += 0.999 * scale *",
        "sensitivity",
        only="order_of_the_operator",
    ),
    mutant(
        "lost-molecules-do-not-move",
        "moments/parts.py",
        "after.append(_applied(own, moments) + grown)",
        "after.append(moments)",
        "sensitivity",
        only="lost_part",
    ),
    mutant(
        "lost-molecules-are-not-remembered",
        "moments/parts.py",
        "integrals.append((_applied(gathered, moments) + h * grown) * _MARGIN)",
        "integrals.append(h * grown * _MARGIN)",
        "sensitivity",
        only="lost_part",
    ),
    mutant(
        "powers-of-zero-lose-their-choice",
        "model/derivatives.py",
        "if not isinstance(base, Number):",
        "if isinstance(base, Number):",
        "sensitivity",
        only="inside_laws",
    ),
]

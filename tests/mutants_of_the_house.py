"""Sabotages of modules that are in no room, and of the examination; tests/mutants.py tries them."""

from mutants import Mutant, mutant

MUTANTS = [
    mutant(
        "what-is-printed-has-no-budget",
        "patience.py",
        "        active.check()\n",
        "        active\n",
        "patience",
        only="takes_longer",
    ),
    mutant(
        "each-part-of-a-print-has-a-budget-of-its-own",
        "patience.py",
        "            self._spent += self._clock() - self._since",
        "            self._spent = 0.0",
        "patience",
        only="shared",
    ),
    mutant(
        "broken-cache-files",
        "compilation.py",
        "        except Exception:  # a file that was cut short",
        "        except KeyError:  # a file that was cut short",
        "compilation",
        only="cut_short",
    ),
    mutant(
        "full-cache-disk",
        "compilation.py",
        "        except Exception as error:",
        "        except KeyError as error:",
        "compilation",
        only="full_disk",
    ),
    mutant(
        "half-sums-rounded-to-nearest",
        "arithmetic.py",
        "return _beyond(above), _beyond(below)",
        "return above, below",
        "arithmetic",
        only="half_sums",
    ),
    mutant(
        "interval-halves-of-the-halves",
        "arithmetic.py",
        "above, below = 0.5 * (total + missing + off), 0.5 * (total - missing + off)",
        "above, below = 0.25 * (total + missing + off), 0.25 * (total - missing + off)",
        "distribution",
    ),
    Mutant(
        "judge-takes-a-bound-that-is-too-small",
        "ci/examination/judging.py",
        "    if d > bound:\n",
        "    if d > 2.0 * bound:\n",
        ("tests/test_examination.py",),
        "too_small",
    ),
    Mutant(
        "reference-squares-without-normalising",
        "ci/examination/reference.py",
        "            E = E @ E\n            E /= E.sum(axis=0)\n",
        "            E = E @ E\n",
        ("tests/test_examination.py",),
        "stiff_chains",
    ),
    Mutant(
        "stall-is-taken-for-a-crash",
        "ci/examination/crew.py",
        "if code == -signal.SIGXCPU:",
        "if code == signal.SIGXCPU:",
        ("tests/test_examination.py",),
        "hang_and_die",
    ),
]

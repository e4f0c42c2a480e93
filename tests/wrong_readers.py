"""A simulator of SBML files with a reader of its own, and wrong readers made of it: each drops one rule of SBML.

The reader is `direct_sbml.Document`, which uses neither libsbml nor fsp, with events; the sampler is Gillespie's direct
method.  What is wrong is the reader alone: the network as `fsp` writes it holds nothing that it could misread.
"""

from __future__ import annotations

import math

import numpy as np
from direct_sbml import Document, tag, truth

from fsp.sampling.simulators import Adapter

RULES = {
    "boundary": "boundary species are consumed",
    "size": "sizes of compartments are taken for 1",
    "concentration": "initial concentrations are taken for amounts",
    "substance": "species are concentrations in formulas, whatever they say",
    "amount": "species are amounts in formulas, whatever they say",
    "numbers": "initial concentrations, and species in formulas, are amounts",
    "local": "local parameters are hidden by global ones of the same name",
    "rule": "assignment rules are evaluated at the start only",
    "initial": "initial assignments are passed over",
    "event": "events are passed over",
    "late": "events are executed at the next output time",
    "next-jump": "events are executed at the first jump after their time",
    "stoichiometry": "stoichiometries are taken for 1",
    "factor": "conversion factors are passed over",
    "reversible": "a reversible law is one reaction, whose rate is not let below zero",
    "integer": "rates are rounded down to whole numbers",
    "twice": "of a species that is listed twice among the reactants, the last one counts",
    "twice-anywhere": "of a species that is listed twice on a side of a reaction, the last one counts",
    "outputs": "states are written one output time late",
}


class Wrong(Document):
    """A document that is read without one of the rules; with None by all of them."""

    def __init__(self, text, dropped=None):
        super().__init__(text)
        self.dropped = dropped
        self.frozen = {}
        if dropped == "initial":
            self.assignments = {}
        if dropped == "size":
            for one in self.compartments.values():
                one.set("size", "1")
        if dropped in ("substance", "amount", "numbers"):
            for one in self.species.values():
                one.set("hasOnlySubstanceUnits", "false" if dropped == "substance" else "true")
        if dropped == "boundary":
            for one in self.species.values():
                one.set("boundaryCondition", "false")
        self.events = [] if dropped == "event" else [self.event(e) for e in self.each("event")]
        self.memory = {}

    def first(self, name):
        element = self.species[name]
        given = element.get("initialConcentration")
        if self.dropped in ("concentration", "numbers") and given is not None and name not in self.assignments:
            return float(given)
        return super().first(name)

    def value(self, name, amounts):
        if name == "time":
            return self.t
        if self.dropped == "rule" and name in self.rules:
            if name not in self.frozen:
                self.frozen[name] = self.evaluate(self.rules[name], None)
            return self.frozen[name]
        if amounts is not None and name in amounts and name not in self.species:
            return amounts[name]  # a parameter that an event has assigned
        return super().value(name, amounts)

    def evaluate(self, node, amounts, local=()):
        if tag(node) == "csymbol":
            return self.t
        return super().evaluate(node, amounts, local)

    def rate(self, name, amounts):
        law = next(e for e in self.reactions[name] if tag(e) == "kineticLaw")
        local = {e.get("id"): float(e.get("value")) for e in law.iter() if tag(e) == "localParameter"}
        if self.dropped == "local":
            local = {k: v for k, v in local.items() if k not in self.parameters}
        return self.rounded(self.evaluate(law[0][0], amounts, local))

    def rounded(self, rate):
        return math.floor(rate) if self.dropped == "integer" else rate

    def change(self, reaction):
        if self.dropped == "factor":
            self.model.attrib.pop("conversionFactor", None)
            for one in self.species.values():
                one.attrib.pop("conversionFactor", None)
        for side in reaction:
            if self.dropped == "stoichiometry" and tag(side).endswith(("Reactants", "Products")):
                for one in side:
                    one.set("stoichiometry", "1")
            sides = {"twice": ["listOfReactants"], "twice-anywhere": ["listOfReactants", "listOfProducts"]}
            if tag(side) in sides.get(self.dropped, []):
                last = {one.get("species"): one for one in side}
                for one in [one for one in side if one is not last[one.get("species")]]:
                    side.remove(one)
        return super().change(reaction)

    def event(self, element):
        """Return trigger and assignments by variable."""
        trigger = next(e for e in element if tag(e) == "trigger")[0][0]
        assigned = {e.get("variable"): e[0][0] for e in element.iter() if tag(e) == "eventAssignment"}
        return trigger, assigned

    def channels(self):
        """Return functions of the state that give rates, and net changes; a reversible law has two channels."""
        found = []
        for name, element in self.reactions.items():
            change = {s: n for s, n in self.change(element).items() if n}
            law = next(e for e in element if tag(e) == "kineticLaw")[0][0]
            splits = truth(element, "reversible") and tag(law) == "apply" and tag(law[0]) == "minus" and len(law) == 3
            if splits and self.dropped != "reversible":
                found.append((lambda x, n=name, k=1: self.part(n, k, x), change))
                found.append((lambda x, n=name: self.part(n, 2, x), {s: -n for s, n in change.items()}))
            else:
                found.append((lambda x, n=name: max(0.0, self.rate(n, x)), change))
        return found

    def part(self, name, k, amounts):
        law = next(e for e in self.reactions[name] if tag(e) == "kineticLaw")
        local = {e.get("id"): float(e.get("value")) for e in law.iter() if tag(e) == "localParameter"}
        return self.rounded(self.evaluate(law[0][0][k], amounts, local))

    def run(self, times, rng):
        """Return amounts by name at all times."""
        self.t, x = 0.0, self.start()
        held = [True] * len(self.events)
        found, due = [], []
        last = times[-1] + 1e-12
        switches = sorted(t for trigger, _ in self.events for t in self.moments(trigger) if t <= last)
        for stop in sorted([*times, *switches]):
            while True:
                rates, changes = self.of_state(x)
                total = sum(rates)
                step = rng.exponential() / total if total > 0 else math.inf
                if self.t + step > stop:
                    break
                self.t += step
                k = int(np.searchsorted(np.cumsum(rates), rng.uniform() * total))
                for s, n in changes[k].items():
                    x[s] += n
                if self.dropped == "next-jump":
                    self.catch_up(x, due)
                self.fire(x, held, due)
            self.t = stop
            if self.dropped == "late" and stop in times:
                self.catch_up(x, due)
            self.fire(x, held, due)
            if stop in times:
                found.append(dict(x))
        return found

    def moments(self, trigger):
        """Return the times at which a trigger `time >= number` switches."""
        parts = list(trigger)[1:]
        return [float(parts[1].text)] if len(parts) == 2 and tag(parts[0]) == "csymbol" else []

    def of_state(self, x):
        key = tuple(x.values())
        if key not in self.memory:
            self.table = getattr(self, "table", None) or self.channels()
            self.memory[key] = [rate(x) for rate, _ in self.table], [change for _, change in self.table]
        return self.memory[key]

    def fire(self, x, held, due):
        for k, (trigger, assigned) in enumerate(self.events):
            now = bool(self.evaluate(trigger, x))
            if now and not held[k]:
                waits = self.dropped in ("late", "next-jump")
                due.append(assigned) if waits else self.assign(x, assigned)
            held[k] = now

    def catch_up(self, x, due):
        for assigned in due:
            self.assign(x, assigned)
        due.clear()

    def assign(self, x, assigned):
        values = {name: self.evaluate(node, x) for name, node in assigned.items()}
        for name, value in values.items():
            if name in self.species and not truth(self.species[name], "hasOnlySubstanceUnits"):
                value *= self.value(self.species[name].get("compartment"), x)
            x[name] = value


class Reader(Adapter):
    """A simulator with this reader, without one of its rules."""

    def __init__(self, dropped=None):
        self.dropped = dropped

    name = "a reader"

    def __hash__(self):
        return hash(self.dropped)

    def __eq__(self, other):
        return isinstance(other, Reader) and self.dropped == other.dropped

    def _sample(self, job):
        document = Wrong(self.document(job.model, job.file, float(job.times[-1])).text, self.dropped)
        rng = np.random.default_rng([job.seed, job.first])
        times = job.times.tolist()
        shown = [0.0, *times[:-1]] if self.dropped == "outputs" else times
        out = np.zeros((job.runs, len(times), job.model.n_species), dtype=np.int64)
        for run in range(job.runs):
            for k, x in enumerate(document.run(shown, rng)):
                out[run, k] = [round(x[name]) if name in x else 0 for name in job.model.species]
        return out

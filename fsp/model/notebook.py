"""What a model looks like in a notebook: species, parameters, and reactions as equations."""

from __future__ import annotations

from fsp import markup
from fsp.model.describe import event_text, parameter_rows, reaction_rows, species_rows
from fsp.model.network import Network


class ShownNetwork(Network):
    """A network that shows itself in a notebook."""

    def _repr_html_(self) -> str:
        definition = self._compiled.expanded
        unit = f", time in {self.time_unit}" if self.time_unit else ""
        head = f"{self.name}: {self.n_species} species, {self.n_reactions} reactions{unit}"
        rows = reaction_rows(self, definition)
        reactions = [[name.removesuffix(":"), _equation(text), *law] for name, text, *law in rows]
        parts = [markup.table(["", "reaction", "propensity", ""], reactions)]
        species = [[name, text.removeprefix("= ")] for name, text in species_rows(self)]
        parts.append(markup.table(["species", "at the start"], species))
        parameters = [[name, text.removeprefix("= ")] for name, text in parameter_rows(self, definition)]
        if parameters:
            parts.append(markup.table(["parameter", "value"], parameters))
        events = [[str(event.name), event_text(event)] for event in self.events]
        if events:
            parts.append(markup.table(["event", ""], events))
        return markup.block(head, *parts, *(markup.text(line) for line in definition.conversion.assumptions))


def _equation(text: str) -> str:
    """Write ``0 -> 2 X`` as ``∅ → 2 X``."""
    sides = [side.strip() for side in text.split("->")]
    return " → ".join("∅" if side in ("", "0") else side for side in sides)

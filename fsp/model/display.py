"""What a model looks like elsewhere: in a notebook, as tables and equations, and in the language of model checkers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fsp import markup
from fsp.model import doors
from fsp.model.describe import event_text, parameter_rows, reaction_rows, species_rows
from fsp.model.network import Network


class ShownNetwork(Network):
    """A network that shows itself in a notebook, and writes itself for model checkers."""

    def to_prism(self, path: str | Path | None = None, *, upper: Mapping[str, int] | None = None) -> str:
        """Return the network as a Markov chain in the language of PRISM and Storm.

        Parameters
        ----------
        path
            The file to write it to, ``"model.sm"``; by default none.
        upper
            The largest count of species, by name, where the stoichiometry bounds none or a smaller one is wanted.

        Returns
        -------
        str
            The text.  With bounds that cut the chain off, ``P=? [ F<=t "lost" ]`` bounds the error at time t.

        Raises
        ------
        ModelError
            If a species has no bound, a rate is a callable, depends on time or needs a function that PRISM lacks,
            events happen at known times, or the start is a distribution.
        ArgumentError, OutputError
            If the file cannot be written.

        References
        ----------
        M. Kwiatkowska, G. Norman, D. Parker, CAV 2011, LNCS 6806, 585, doi:10.1007/978-3-642-22110-1_47.

        Examples
        --------
        >>> network = fsp.Model(name="birth", species={"N": 0}, reactions=[fsp.Reaction("0 -> N", mass_action=2.0)])
        >>> print(network.to_prism(upper={"N": 3}))
        ctmc
        // birth
        const int MAX_N = 3;
        module network
          N : [0..MAX_N] init 0;
          lost : bool init false;
          // r1: 0 -> N
          [] !lost & !(N > MAX_N - 1) -> 2.0 : (N'=N+1);
          [] !lost & (N > MAX_N - 1) -> 2.0 : (lost'=true);
        endmodule
        label "lost" = lost;
        """
        return doors.prism(self, path, upper)

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

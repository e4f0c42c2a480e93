"""Words of the command that a shell completes: model files and solvers."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem


class ModelFile(click.ParamType):  # type: ignore[type-arg]  # no generic before click 8.2
    """The name of a model file."""

    name = "model"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the model files and folders whose names begin so; of a single folder what is in it."""
        names = _model_files(incomplete)
        while len(names) == 1 and names[0].endswith("/"):
            names = _model_files(names[0])
        return [CompletionItem(name) for name in names]


def _model_files(incomplete: str) -> list[str]:
    from fsp.formats.kinds import names_a_model

    folder, slash, start = incomplete.rpartition("/")
    place = Path(folder + slash or ".")
    begun = [path for path in sorted(place.glob("*")) if path.name.startswith(start) and not path.name.startswith(".")]
    known = [path for path in begun if path.is_dir() or names_a_model(path.name)]
    return [f"{folder}{slash}{path.name}{'/' if path.is_dir() else ''}" for path in known]


class SolverOption(click.Option):
    """An option whose help names all solvers; they are imported when it is asked for."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option and its help."""
        from fsp.solvers import SOLVERS

        *names, last = ["auto", *SOLVERS]
        self.help = f"{', '.join(names)} or {last}."
        return super().get_help_record(ctx)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the names of solvers that begin so."""
        from fsp.solvers import SOLVERS

        return [CompletionItem(name) for name in ("auto", *SOLVERS) if name.startswith(incomplete)]

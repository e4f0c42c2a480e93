"""Two fits of the same cells, compared: criteria, and the likelihood ratio of nested models."""

from __future__ import annotations

from dataclasses import dataclass

from fsp.distribution.display import Displayed
from fsp.distribution.text import table


@dataclass(frozen=True, slots=True, repr=False)
class FitComparison(Displayed):
    """Criteria of two fits side by side: pairs are of the first and of the second.

    Parameters
    ----------
    aic, bic
        Criteria; the model with the smaller one is preferred.
    likelihood
        Log-likelihoods, in nats.
    n_parameters
        Numbers of free parameters.
    statistic
        Twice the difference of the log-likelihoods, of the larger model less the smaller; None where both are as large.
    p_value
        Probability of a larger one if the smaller model is true and a special case of the larger one; None likewise.
    uncertain
        By how much the difference of the log-likelihoods may be off, in nats.
    """

    aic: tuple[float, float]
    bic: tuple[float, float]
    likelihood: tuple[float, float]
    n_parameters: tuple[int, int]
    statistic: float | None
    p_value: float | None
    uncertain: float

    @classmethod
    def of(
        cls,
        aic: tuple[float, float],
        bic: tuple[float, float],
        likelihood: tuple[float, float],
        n_parameters: tuple[int, int],
        uncertain: float,
    ) -> FitComparison:
        """Compute the likelihood ratio, where one model has more parameters."""
        more = n_parameters[0] - n_parameters[1]
        if not more:
            return cls(aic, bic, likelihood, n_parameters, None, None, uncertain)
        from scipy.stats import chi2

        sign = 1.0 if more > 0 else -1.0
        statistic = 2.0 * sign * (likelihood[0] - likelihood[1])
        p_value = float(chi2.sf(max(statistic, 0.0), abs(more)))
        return cls(aic, bic, likelihood, n_parameters, statistic, p_value, uncertain)

    def __str__(self) -> str:
        """Return a row for each fit, and the likelihood ratio."""
        rows = [
            [which, str(n), f"{value:.2f}", f"{a:.2f}", f"{b:.2f}"]
            for which, n, value, a, b in zip(
                ("first", "second"), self.n_parameters, self.likelihood, self.aic, self.bic, strict=True
            )
        ]
        lines = table(["", "parameters", "log-likelihood", "AIC", "BIC"], rows)
        if self.statistic is not None:
            lines.append(
                f"likelihood ratio {self.statistic:.2f}, p = {self.p_value:.2g} if the model with fewer parameters is "
                f"a special case of the other"
            )
        return "\n".join(lines)

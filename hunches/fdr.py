"""Which of a stream of p-values to act on, such that few of the acts are mistaken."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from math import exp, log, sqrt
from typing import Any, Final

_LORD_C: Final = 0.07720838  # the published constant; its γ sum to 0.976
_ZETA_1_6: Final = 2.285766  # of t^-1.6 over all t, rounded up


class LordPlusPlus:
    """LORD++: every rejection earns a budget for later tests, so that the false discovery rate is at most α.

    The level of test t, after rejections at τ₁ < τ₂ < …, with a series γ that falls and sums to one:

        α_t = w₀ γ_t + (α - w₀) γ_{t-τ₁} + α Σ_{j≥2} γ_{t-τ_j}        γ_t ∝ ln(max(t, 2)) / (t e^√ln t)

    At all times Σ α_s <= α · max(1, rejections). FDR <= α follows for independent p-values, and E[false] <=
    α E[rejections] whenever a null p-value is super-uniform given what came before.

    Memory: the last `memory` rejections; older ones have next to nothing left to give, and to drop them
    errs on the safe side. A test is O(memory).

    Parameters
    ----------
    alpha: the false discovery rate to stay below.
    w0: part of it that may be spent before the first rejection; half by default.
    memory: rejections that are remembered.

    >>> fdr = LordPlusPlus(alpha=0.1)
    >>> before = fdr.threshold()
    >>> fdr.learn_one(0.5), fdr.threshold() < before
    (False, True)
    >>> fdr.learn_one(1e-6), fdr.threshold() > before
    (True, True)

    References
    ----------
    Ramdas, A., Yang, F., Wainwright, M. and Jordan, M. (2017). Online control of the false discovery rate
    with decaying memory. NIPS. Javanmard, A. and Montanari, A. (2018). Online rules for control of false
    discovery rate and false discovery exceedance. Annals of Statistics 46(2).
    """

    __slots__ = ("_earned", "_n", "_rejected", "alpha", "w0")

    def __init__(self, *, alpha: float = 0.1, w0: float | None = None, memory: int = 100) -> None:
        self.alpha = alpha
        self.w0 = self._worth / 2.0 if w0 is None else w0
        if not 0.0 < self.w0 <= self._worth < 1.0:
            raise ValueError(f"w0 must be in (0, {self._worth}]: {w0}")
        self._n = 0  # tests so far; for SAFFRON those that were no candidates
        self._rejected = False
        self._earned: deque[tuple[int, float]] = deque(maxlen=memory)  # (n at a rejection, what it earned)

    @property
    def _worth(self) -> float:
        """What a rejection earns, in all."""
        return self.alpha

    def _gamma(self, t: int) -> float:
        return _LORD_C * log(max(t, 2)) / (t * exp(sqrt(log(t))))

    def _ages(self, _p: float) -> bool:
        """Whether a test with this p-value uses up budget."""
        return True

    def threshold(self) -> float:
        """Return the level of the next test."""
        level = self.w0 * self._gamma(self._n + 1)
        return level + sum(earned * self._gamma(self._n + 1 - n) for n, earned in self._earned)

    def learn_one(self, p: float) -> bool:
        """Test a p-value; return whether it is rejected, that is, a discovery."""
        rejected = p <= self.threshold()
        if self._ages(p):
            self._n += 1
        if rejected:
            self._earned.append((self._n, self._worth - (0.0 if self._rejected else self.w0)))
            self._rejected = True
        return rejected

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {"n": self._n, "rejected": self._rejected, "earned": [list(e) for e in self._earned]}

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._n, self._rejected = data["n"], data["rejected"]
        self._earned = deque(((n, e) for n, e in data["earned"]), maxlen=self._earned.maxlen)


class Saffron(LordPlusPlus):
    """SAFFRON: LORD++ that spends nothing on tests whose p-value is at most λ.

    With C⁺_j candidates (p <= λ) since the j-th rejection, and C⁺₀ in all:

        α_t = min(λ, w₀ γ_{t-C⁺₀} + ((1-λ)α - w₀) γ_{t-τ₁-C⁺₁} + (1-λ)α Σ_{j≥2} γ_{t-τ_j-C⁺_j})   γ_t ∝ t^-1.6

    At all times Σ α_s 1{p_s > λ} / (1-λ) <= α · max(1, rejections). Stronger than LORD++ where many of the
    tests are no nulls, weaker where p-values are conservative. Memory and time as there.

    Parameters
    ----------
    alpha: the false discovery rate to stay below.
    lam: λ, above which a p-value is taken to be a null's.
    w0: part of (1-λ)α that may be spent before the first rejection; half by default.
    memory: rejections that are remembered.

    >>> fdr = Saffron(alpha=0.1)
    >>> level = fdr.threshold()
    >>> fdr.learn_one(0.3), fdr.threshold() == level
    (False, True)

    References
    ----------
    Ramdas, A., Zrnic, T., Wainwright, M. and Jordan, M. (2018). SAFFRON: an adaptive algorithm for online
    control of the false discovery rate. ICML.
    """

    __slots__ = ("lam",)

    def __init__(
        self, *, alpha: float = 0.1, lam: float = 0.5, w0: float | None = None, memory: int = 100
    ) -> None:
        self.lam = lam
        super().__init__(alpha=alpha, w0=w0, memory=memory)

    @property
    def _worth(self) -> float:
        return (1.0 - self.lam) * self.alpha

    def _gamma(self, t: int) -> float:
        return exp(-1.6 * log(t)) / _ZETA_1_6

    def _ages(self, p: float) -> bool:
        return p > self.lam

    def threshold(self) -> float:
        """Return the level of the next test."""
        return min(self.lam, super().threshold())


class MemLord:
    """LORD++ with decaying memory: for a stream of tests that goes on for years.

    Plain LORD++ dies out after a long time without rejections, and after many true ones it squanders what
    they earned on a stretch of nulls. Here the past is forgotten by the factor δ a test, in both parts of

        mem-FDP(t) = V_t / max(1, R_t)    V_t = Σ δ^(t-s) 1{false at s}    R_t = Σ δ^(t-s) 1{rejected at s}

    and a constant part κ of what may be spent is spent (γ_k = κ (1-κ)^(k-1), so that no list is needed):

        α_t = κ (α g + w₀ + (α - w₀) δ R_{t-1} - δ A_{t-1})        A_t = Σ δ^(t-s) α_s, an estimate of V_t

    So A_t <= α (g + max(1, R_t)) at all times, α_t only rises with rejections, as the proof of LORD++ asks,
    and with no rejection ever it settles at (α g + w₀) κ (1-δ) / (1 - δ + δ κ), not at zero. With g = 0 this
    is control of the mem-FDR, else of its smoothed form V / (g + max(1, R)): whoever grants g discoveries
    puts up with α g false ones, even where there is nothing to discover.

    Several tests whose levels are fixed together (of one day, say) can share a level: `learn_batch`.
    Memory: two numbers. All is O(1).

    Parameters
    ----------
    alpha: the (mem-)FDR to stay below.
    w0: part of it that may be spent without any rejection; half by default.
    granted: g, remembered discoveries that are taken for granted.
    decay: δ.
    spend: κ.

    >>> fdr = MemLord(alpha=0.1, decay=0.95, spend=0.2)
    >>> for _ in range(1000):
    ...     rejected = fdr.learn_one(0.5)
    >>> round(fdr.threshold(), 6), round(0.05 * 0.2 * 0.05 / (0.05 + 0.95 * 0.2), 6)
    (0.002083, 0.002083)

    References
    ----------
    Ramdas, A., Yang, F., Wainwright, M. and Jordan, M. (2017). Online control of the false discovery rate
    with decaying memory. NIPS.
    """

    __slots__ = ("_discoveries", "_spent", "alpha", "decay", "granted", "spend", "w0")

    def __init__(
        self,
        *,
        alpha: float = 0.1,
        w0: float | None = None,
        granted: float = 0.0,
        decay: float = 0.96,
        spend: float = 0.2,
    ) -> None:
        self.alpha = alpha
        self.w0 = alpha / 2.0 if w0 is None else w0
        self.granted = granted
        self.decay = decay
        self.spend = spend
        if not (
            0.0 < self.w0 <= alpha < 1.0 and 0.0 < decay <= 1.0 and 0.0 < spend <= 1.0 and granted >= 0.0
        ):
            raise ValueError(f"out of range: {alpha=} {w0=} {granted=} {decay=} {spend=}")
        self._spent = 0.0  # A
        self._discoveries = 0.0  # R

    def threshold(self) -> float:
        """Return the level of the next test."""
        discoveries, spent = self.decay * self._discoveries, self.decay * self._spent
        earned = self.alpha * self.granted + self.w0 + (self.alpha - self.w0) * discoveries
        return self.spend * max(0.0, earned - spent)

    def learn_one(self, p: float) -> bool:
        """Test a p-value; return whether it is rejected, that is, a discovery."""
        rejected = p <= self.threshold()
        self.learn_batch(int(rejected))
        return rejected

    def learn_batch(self, rejections: int) -> None:
        """Take note of tests that shared the level `threshold()` and led to so many rejections."""
        self._spent = self.decay * self._spent + self.threshold()
        self._discoveries = self.decay * self._discoveries + rejections

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable snapshot."""
        return {"spent": self._spent, "discoveries": self._discoveries}

    def load(self, data: Mapping[str, Any]) -> None:
        """Restore from `to_dict` of the same configuration."""
        self._spent, self._discoveries = data["spent"], data["discoveries"]

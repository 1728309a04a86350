"""Draws samples from several domains, each with its own share.

Domains are drawn by smooth weighted round robin. At each draw, every domain's credit grows by its quota. The domain
with the most credit is drawn, and the sum of all quotas is subtracted from its credit. From credits of 0, that many
draws meet every quota exactly, evenly spread, and end with credits of 0. Within a domain, samples follow their
`EpochOrder`. The state is a few integers, which are all that a resumed run needs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

from uniopd_mm.data.epochs import EpochOrder
from uniopd_mm.types import Sample

SEED_STRIDE = 7_919  # large, so that a run with the next seed shares no shuffle


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class MixtureState:
    """Samples drawn so far, and credits, by domain."""

    positions: Mapping[str, int] = field(default_factory=dict)
    credits: Mapping[str, int] = field(default_factory=dict)


@final
class Mixture:
    """An endless, reproducible sequence of samples.

    Args:
        samples: samples of all domains, at least one.
        seed: seed of the shuffles.
        state: where to continue.
    """

    def __init__(self, samples: Sequence[Sample], seed: int, state: MixtureState | None = None) -> None:
        state = state or MixtureState()
        by_domain: dict[str, list[Sample]] = {}
        for sample in samples:
            by_domain.setdefault(sample.domain, []).append(sample)
        # With equal seeds, domains of equal size would be shuffled alike.
        seeds = {name: seed + place * SEED_STRIDE for place, name in enumerate(by_domain)}
        self._orders = {
            name: EpochOrder(own, seeds[name], state.positions.get(name, 0)) for name, own in by_domain.items()
        }
        self._credits = {name: state.credits.get(name, 0) for name in by_domain}
        self._quotas = dict.fromkeys(by_domain, 1)

    @property
    def sizes(self) -> Mapping[str, int]:
        """Number of samples of each domain, in the order in which domains first appear."""
        return {name: len(order.samples) for name, order in self._orders.items()}

    @property
    def state(self) -> MixtureState:
        positions = {name: order.position for name, order in self._orders.items()}
        return MixtureState(positions=positions, credits=dict(self._credits))

    def set_quotas(self, quotas: Mapping[str, int]) -> None:
        """Set how often each domain is drawn from now on, relative to the others. Names all domains, each with a quota
        above 0."""
        assert quotas.keys() == self._quotas.keys() and min(quotas.values()) > 0
        self._quotas = dict(quotas)

    def next_domain(self) -> str:
        """The domain of the next draw."""
        for name, quota in self._quotas.items():
            self._credits[name] += quota
        chosen = max(self._credits, key=lambda name: self._credits[name])  # the first one in a tie
        self._credits[chosen] -= sum(self._quotas.values())
        return chosen

    def next_of(self, domain: str) -> Sample:
        """The next sample of a domain."""
        return self._orders[domain].next()

"""Which sample comes next, out of several domains that each hold their share.

Domains take turns by smooth weighted round robin: at each draw every domain's credit grows by its quota, the domain
with the most credit is drawn and pays the sum of all quotas. From credits of 0, that many draws hold every quota
exactly, spread evenly, and leave credits of 0. Within a domain, samples follow their `EpochOrder`. The state is a few
whole numbers, which is all a resumed run needs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

from uniopd_mm.data.epochs import EpochOrder
from uniopd_mm.types import Sample

SEED_STRIDE = 7_919  # far enough from the seeds that people count through


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class MixtureState:
    """By domain: samples drawn so far, and credits."""

    positions: Mapping[str, int] = field(default_factory=dict)
    credits: Mapping[str, int] = field(default_factory=dict)


@final
class Mixture:
    """An endless, reproducible sequence of samples.

    Args:
        samples: of all domains, at least one.
        seed: of the shuffles.
        state: where to go on.
    """

    def __init__(self, samples: Sequence[Sample], seed: int, state: MixtureState | None = None) -> None:
        state = state or MixtureState()
        by_domain: dict[str, list[Sample]] = {}
        for sample in samples:
            by_domain.setdefault(sample.domain, []).append(sample)
        # Domains of one size would otherwise be drawn in step.
        seeds = {name: seed + place * SEED_STRIDE for place, name in enumerate(by_domain)}
        self._orders = {
            name: EpochOrder(own, seeds[name], state.positions.get(name, 0)) for name, own in by_domain.items()
        }
        self._credits = {name: state.credits.get(name, 0) for name in by_domain}
        self._quotas = dict.fromkeys(by_domain, 1)

    @property
    def sizes(self) -> Mapping[str, int]:
        """Samples of each domain, in the order of their first ones."""
        return {name: len(order.samples) for name, order in self._orders.items()}

    @property
    def state(self) -> MixtureState:
        positions = {name: order.position for name, order in self._orders.items()}
        return MixtureState(positions=positions, credits=dict(self._credits))

    def set_quotas(self, quotas: Mapping[str, int]) -> None:
        """How often each domain is drawn from now on, relative to the others; all domains, each above 0."""
        assert quotas.keys() == self._quotas.keys() and min(quotas.values()) > 0
        self._quotas = dict(quotas)

    def next_domain(self) -> str:
        """Whose turn it is."""
        for name, quota in self._quotas.items():
            self._credits[name] += quota
        chosen = max(self._credits, key=lambda name: self._credits[name])  # of equals the first
        self._credits[chosen] -= sum(self._quotas.values())
        return chosen

    def next_of(self, domain: str) -> Sample:
        """The domain's next sample."""
        return self._orders[domain].next()

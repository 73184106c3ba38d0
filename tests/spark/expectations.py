"""Stands where the expectations' worker does: what a load must be like does not hang on the engine, and asking takes seconds."""

from __future__ import annotations

from dagster_project.quality import LoadFacts, Verdict


class Expectations:
    """Every load is as expected."""

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def ask(self, facts: LoadFacts) -> None:
        pass

    def verdict(self, facts: LoadFacts) -> Verdict:
        return Verdict(facts.dataset, facts.load_id, 1)

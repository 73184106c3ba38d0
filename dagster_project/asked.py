"""Every policy row that somebody asks for by name, so that a night can see that all are there before it begins.

Belongs here: putting together what models ask for and what Python does, and seeing that it is there. Does not belong here: asking
(`policy.py`), rows that must fit each other (`models/policy/`).
"""

from __future__ import annotations

from datetime import date

from dagster_project import dbt_build, gates, reconcile, upkeep
from dagster_project.incoming import intake
from dagster_project.mail import reminders
from dagster_project.outgoing.letters import drafts
from dagster_project.policy import PolicyError, refuse_gaps, rows_in_force


def asked_for() -> frozenset[tuple[str, str]]:
    """As (table, name)."""
    by_python = (module.ASKED_FOR for module in (gates, upkeep, reminders, intake, drafts, reconcile))
    return dbt_build.asked_for().union({("landing_limits", "*")}, *by_python)


def refuse_a_policy_with_gaps(pack: str, day: date) -> None:
    """See that every row asked for is in force once, and that what the steps are said with is written.

    Raises:
        PolicyError: something is not; each has a line.
    """
    refuse_gaps(asked_for(), pack, day)
    if mute := [row for row in rows_in_force("dunning_steps", pack, day) if not drafts.is_written(row["template"])]:
        raise PolicyError(
            "\n".join(
                f"dunning_steps.csv: tier {row['tier']} step {row['step']} of the pack {pack} is said with the template "
                f"{row['template'] or 'of no name'}, which nobody has written: add templates/en/{row['template'] or '<name>'}.txt"
                for row in mute
            )
        )

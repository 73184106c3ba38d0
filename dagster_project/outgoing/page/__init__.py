"""The morning's page: what a person looks at instead of a list, one file, and one more for each customer somebody will ask about."""

from dagster_project.outgoing.page.write import write_page

__all__ = ["write_page"]

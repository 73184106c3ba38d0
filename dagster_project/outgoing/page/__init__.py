"""The morning's page: what a person looks at instead of a list, one file, and one more for each customer somebody will ask about."""

from dagster_project.outgoing.page.write import pages_from, write_page

__all__ = ["pages_from", "write_page"]

"""Worklists: the morning's lists for the people who ask for the money.

Marts rows come in as Arrow tables, workbooks and CSV files go out. Nothing in here knows Dagster, opens a database or decides
whom to dun: the marts have decided, and this only shows it. `form.py` is what a filled workbook is read back by.
"""

from dagster_project.outgoing.export import MARTS, File, Manifest, Totals, WorklistError, export, file_names, write_no_worklist
from dagster_project.outgoing.swap import recover, swap_into_place

__all__ = [
    "MARTS",
    "File",
    "Manifest",
    "Totals",
    "WorklistError",
    "export",
    "file_names",
    "recover",
    "swap_into_place",
    "write_no_worklist",
]

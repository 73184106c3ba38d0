"""Workbooks: a first page, the sheets of the morning, cells to fill in; one for everyone and one a collector."""

"""Arrears: the nightly run that turns a company's ledger into cash. See README.md for the tour of the house."""

import os

os.environ.setdefault(
    "ARROW_DEFAULT_MEMORY_POOL", "system"
)  # read once, as pyarrow starts; its own allocator keeps what is freed

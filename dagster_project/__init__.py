"""Arrears: the nightly run that turns a company's ledger into cash. See README.md for the tour of the house."""

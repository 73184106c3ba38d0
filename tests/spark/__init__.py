"""Nights on Spark, held against DuckDB's: minutes each, for `make spark`."""

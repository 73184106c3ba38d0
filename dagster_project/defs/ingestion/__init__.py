"""From the sources to landing: one asset a dataset, one blocking check a load."""

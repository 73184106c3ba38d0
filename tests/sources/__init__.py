"""One invented book as several ERPs would hold it, and the marts it makes through each of their connectors."""

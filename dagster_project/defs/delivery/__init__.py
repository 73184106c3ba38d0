"""From marts to people: what BI tools read and what collectors open."""

"""A company lived through day by day, and what must be true of every morning of it."""

"""The numbers, worked out a second time: slowly, obviously, and with nothing in common with the SQL."""

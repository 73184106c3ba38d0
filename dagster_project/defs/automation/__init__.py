"""What starts by itself, when, and what happens when it fails."""

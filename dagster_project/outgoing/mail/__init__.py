"""The morning's list by e-mail: each collector theirs, the credit manager everyone's, once."""

from dagster_project.outgoing.mail.morning import Sent, held_back, send_morning

AGAIN = "Once that is mended: make send sends the list to whoever has not had it."

__all__ = ["AGAIN", "Sent", "held_back", "send_morning"]

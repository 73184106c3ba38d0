"""Letters: the morning's list to each collector and the credit manager, once, and their answers into the inbox.

Belongs here: what leaves and comes by e-mail. Does not belong here: what stands in a list (`outgoing/`), what an answer says (`incoming/`).
"""

from dagster_project.mail.morning import Sent, held_back, send_morning

AGAIN = "Once that is mended: make send sends the list to whoever has not had it."

__all__ = ["AGAIN", "Sent", "held_back", "send_morning"]

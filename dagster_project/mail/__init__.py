"""Letters: the morning's list to each collector and the credit manager, reminders to customers where a company wants that, once each,
and what comes back of them; the same morning in short to a chat room.

Belongs here: what leaves and comes by e-mail. Does not belong here: what stands in a list (`outgoing/`), what an answer says (`incoming/`).
"""

from dagster_project.mail.chat import tell_chat
from dagster_project.mail.morning import held_back, send_morning
from dagster_project.mail.reminders import NoneLeaves, rehearse, send_reminders, sends
from dagster_project.mail.sending import Sent

AGAIN = "Once that is mended: make send sends the list to whoever has not had it."

__all__ = ["AGAIN", "NoneLeaves", "Sent", "held_back", "rehearse", "send_morning", "send_reminders", "sends", "tell_chat"]

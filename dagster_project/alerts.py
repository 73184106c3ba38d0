"""Tell somebody that a night failed: a webhook, an e-mail, or both, as the environment says; and that one went well, to a listener
that alarms when it hears nothing.

Belongs here: sending one short text, calling one address. Does not belong here: deciding what failed (`defs/automation/`).
"""

from __future__ import annotations

import logging
import smtplib
from email.message import EmailMessage

import requests

from dagster_project.settings import Receivers
from dagster_project.words import printable

log = logging.getLogger("arrears.alerts")

TIMEOUT = 15


def send(settings: Receivers, subject: str, text: str) -> list[str]:
    """Send to every configured receiver; returns their names. A receiver that cannot be reached is logged, never raised: the
    alert must not hide the failure it speaks of."""
    told = []
    if settings.alert_webhook:
        try:
            with requests.post(
                settings.alert_webhook.get_secret_value(), json={"text": f"{subject}\n{text}"}, timeout=TIMEOUT, stream=True
            ) as answer:  # what it has to say is nothing to us, and may never end
                answer.raise_for_status()
            told.append("webhook")
        except requests.RequestException as unreachable:
            log.error("the alert webhook could not be called: %s", _why(unreachable))
    if settings.alert_email_to:
        message = EmailMessage()
        message["Subject"], message["To"], message["From"] = subject, settings.alert_email_to, settings.alert_email_from
        message.set_content(text)
        host, _, port = settings.alert_smtp.partition(":")
        try:
            with smtplib.SMTP(host, int(port or 25), timeout=TIMEOUT) as smtp:
                smtp.send_message(message)
            told.append("e-mail")
        except (OSError, smtplib.SMTPException) as unreachable:
            log.error("the alert e-mail could not be sent: %s", printable(str(unreachable)[:200]))
    return told


def beat(settings: Receivers) -> bool:
    """Call the heartbeat's address, if there is one; returns whether it answered. A listener out of reach is logged: it will alarm."""
    if not settings.heartbeat_url:
        return False
    try:
        with requests.get(settings.heartbeat_url.get_secret_value(), timeout=TIMEOUT, stream=True) as answer:
            answer.raise_for_status()
    except requests.RequestException as unreachable:
        log.error("the heartbeat could not be sent: %s", _why(unreachable))
        return False
    return True


def _why(failed: requests.RequestException) -> str:
    """Why nobody was reached, without the address: whoever knows it may post there."""
    if failed.response is not None:
        return f"the server answered {failed.response.status_code}"
    if isinstance(failed, requests.Timeout):
        return f"there was no answer within {TIMEOUT} s"
    if isinstance(failed, requests.exceptions.SSLError):
        return "its certificate is not one that this machine trusts"
    if isinstance(failed, requests.ConnectionError):
        return "the server could not be reached"
    return "its address is not one that can be asked"

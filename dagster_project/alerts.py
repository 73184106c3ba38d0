"""Tell somebody that a night failed: a webhook, an e-mail, or both, as the environment says; and that one went well, to a listener
that alarms when it hears nothing.

Belongs here: sending one short text, calling one address. Does not belong here: deciding what failed (`defs/automation/`).
"""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Callable
from concurrent.futures import TimeoutError as TooLate
from email.message import EmailMessage

import requests
from pydantic import SecretStr
from urllib3.exceptions import NewConnectionError

from dagster_project.patience import begun
from dagster_project.settings import Receivers
from dagster_project.words import printable

log = logging.getLogger("arrears.alerts")

TIMEOUT = 15
"""Seconds between two bytes."""

LONGEST = 45
"""Seconds for a receiver in all: one that drips its answer is left."""


def send(settings: Receivers, subject: str, text: str) -> list[str]:
    """Send to every configured receiver; returns their names. A receiver that cannot be reached is logged, never raised, whatever is wrong
    with it or with its address: the alert must not hide the failure it speaks of."""
    told = []
    if settings.alert_webhook:
        try:
            post(settings.alert_webhook, f"{subject}\n{text}")
            told.append("webhook")
        except Exception as unreachable:
            log.error("the alert webhook could not be called: %s", why(unreachable))
    if settings.alert_email_to:
        try:
            _in_time(lambda: _mail(settings, subject, text))
            told.append("e-mail")
        except Exception as unreachable:
            log.error("the alert e-mail could not be sent: %s", why(unreachable))
    return told


def _in_time(call: Callable[[], None]) -> None:
    begun(call).result(LONGEST)


def post(url: SecretStr, text: str) -> None:
    """Give a text to a webhook that takes {"text": …}. Whatever is raised, it was not taken or nobody knows (`certain`)."""
    address = url.get_secret_value()

    def call() -> None:
        with requests.post(address, json={"text": text}, timeout=TIMEOUT, stream=True) as answer:
            answer.raise_for_status()  # what else it has to say is nothing to us, and may never end

    _in_time(call)


def certain(failed: Exception) -> bool:
    """Whether a text that was posted was certainly not taken: it was refused, or never left."""
    match failed:
        case requests.RequestException() if failed.response is not None:
            return True
        case requests.ConnectTimeout() | requests.exceptions.SSLError():
            return True
        case requests.ConnectionError():
            return isinstance(getattr(failed.args[0] if failed.args else None, "reason", None), NewConnectionError)
        case requests.exceptions.InvalidURL() | requests.exceptions.MissingSchema() | requests.exceptions.InvalidSchema():
            return True
    return False


def _mail(settings: Receivers, subject: str, text: str) -> None:
    message = EmailMessage()
    message["Subject"], message["To"], message["From"] = subject, settings.alert_email_to, settings.alert_email_from
    message.set_content(text)
    host, _, port = settings.alert_smtp.partition(":")
    with smtplib.SMTP(host, int(port or 25), timeout=TIMEOUT) as smtp:
        smtp.send_message(message)


def beat(settings: Receivers) -> bool:
    """Call the heartbeat's address, if there is one; returns whether it answered. A listener out of reach is logged: it will alarm."""
    if not settings.heartbeat_url:
        return False
    address = settings.heartbeat_url.get_secret_value()

    def call() -> None:
        with requests.get(address, timeout=TIMEOUT, stream=True) as answer:
            answer.raise_for_status()

    try:
        _in_time(call)
    except Exception as unreachable:
        log.error("the heartbeat could not be sent: %s", why(unreachable))
        return False
    return True


def why(failed: Exception) -> str:
    """Why nobody was reached, without the address: whoever knows it may post there."""
    match failed:
        case requests.RequestException() if failed.response is not None:
            return f"the server answered {failed.response.status_code}"
        case requests.Timeout():
            return f"there was no answer within {TIMEOUT} s"
        case requests.exceptions.SSLError():
            return "its certificate is not one that this machine trusts"
        case requests.ConnectionError():
            return "the server could not be reached"
        case smtplib.SMTPException():
            return printable(str(failed)[:200])
        case TooLate():
            return f"there was no whole answer within {LONGEST} s"
        case OSError() if not isinstance(failed, requests.RequestException):
            return printable(str(failed)[:200])
    return "its address is not one that can be asked"

"""A mail server, or a folder in its place: takes one letter at a time and says for certain what became of it, or that nobody can.

Belongs here: the connection, its security, when a letter counts as taken. Does not belong here: what stands in a letter (`morning.py`).
"""

from __future__ import annotations

import contextlib
import os
import smtplib
import ssl
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from dagster_project.settings import Settings
from dagster_project.words import printable

TIMEOUT = 30  # seconds for each answer of the server


class NotTaken(Exception):
    """The letter was certainly not taken: it may be sent again. `for_good`: not now, the answer would be the same. `nobodys`: the server
    takes no letter at all."""

    def __init__(self, why: str, *, for_good: bool = False, nobodys: bool = False):
        super().__init__(why)
        self.for_good = for_good
        self.nobodys = nobodys


class Unsure(Exception):
    """The whole letter was given and no answer came: it may have been taken."""


class Post(Protocol):
    """Takes letters, each for all its receivers or for none. `begin` is called when nothing but the letter's own text is left to send: what
    fails before it did not happen."""

    def send(self, letter: EmailMessage, receivers: Sequence[str], begin: Callable[[], object]) -> None: ...

    def close(self) -> None: ...


def post_of(settings: Settings) -> Post | None:
    """What the environment says letters are given to; None where it says nothing. A server is used in production alone."""
    if settings.mail_folder:
        return Folder(settings.mail_folder)
    if settings.mail_smtp and settings.environment == "production":
        return Server(settings)
    return None


class Folder:
    """Letters as files that a mail program opens, instead of being sent."""

    def __init__(self, folder: Path):
        self._folder = folder

    def send(self, letter: EmailMessage, receivers: Sequence[str], begin: Callable[[], object]) -> None:
        day = self._folder / str(letter["X-Arrears-Morning"])
        try:
            day.mkdir(parents=True, exist_ok=True)
        except OSError as failed:
            raise NotTaken(_words(failed), for_good=True) from None
        name = _file_name(str(letter["X-Arrears-Customer"] or receivers[0]))
        unfinished = day / f".{name}.new"
        try:
            unfinished.write_bytes(letter.as_bytes(policy=SMTP))
            begin()
            os.replace(unfinished, day / f"{letter['X-Arrears-Kind']}-{name}.eml")
        except OSError as failed:
            raise NotTaken(_words(failed), for_good=True) from None

    def close(self) -> None:
        pass


def _file_name(whose: str) -> str:
    """What a letter's file is called after; never the same for two."""
    name = "".join(sign if sign.isalnum() or sign in "@.-_+" else "_" for sign in whose)[:120]
    return name if name == whose else f"{name}-{sha256(whose.encode()).hexdigest()[:8]}"


class Server:
    """An SMTP server; one connection for all letters, made with the first."""

    def __init__(self, settings: Settings):
        assert settings.mail_smtp
        host, _, port = settings.mail_smtp.partition(":")
        self._host, self._port = host, int(port or (465 if settings.mail_security == "tls" else 587))
        self._security, self._from = settings.mail_security, settings.mail_from
        self._user, self._password = settings.mail_user, settings.mail_password
        self._smtp: smtplib.SMTP | None = None

    def send(self, letter: EmailMessage, receivers: Sequence[str], begin: Callable[[], object]) -> None:
        try:
            smtp = self._connected()
        except (OSError, smtplib.SMTPException) as failed:
            hopeless = isinstance(failed, smtplib.SMTPAuthenticationError | smtplib.SMTPNotSupportedError | ssl.SSLError)
            raise NotTaken(_words(failed), for_good=hopeless, nobodys=True) from None
        try:
            _expect(smtp.mail(self._from), 250, "the sender")
            for receiver in receivers:
                _expect(smtp.rcpt(receiver), 250, "the receiver", also=251)
            text = letter.as_bytes(policy=SMTP)
            begin()
        except NotTaken:
            self.close()
            raise
        except (OSError, smtplib.SMTPException, UnicodeError) as failed:
            self.close()
            raise NotTaken(_words(failed)) from None
        try:
            code, said = smtp.data(text)
        except smtplib.SMTPDataError as refused:  # it would not even hear the text
            self.close()
            raise NotTaken(_said(refused.smtp_code, refused.smtp_error), for_good=refused.smtp_code >= 500) from None
        except (OSError, smtplib.SMTPException) as lost:
            self.close()
            raise Unsure(_words(lost)) from None
        if code != 250:
            self.close()
            raise NotTaken(_said(code, said), for_good=code >= 500)

    def _connected(self) -> smtplib.SMTP:
        if self._smtp:
            return self._smtp
        context = ssl.create_default_context() if self._security != "none" else None
        if self._security == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(self._host, self._port, timeout=TIMEOUT, context=context)
        else:
            smtp = smtplib.SMTP(self._host, self._port, timeout=TIMEOUT)
        try:
            if self._security == "starttls":
                smtp.starttls(
                    context=context
                )  # raises where the server does not offer it: a password never goes out in the clear
            if self._user and self._password:
                _log_in(smtp, self._user, self._password.get_secret_value())
            else:
                smtp.ehlo_or_helo_if_needed()
        except BaseException:
            smtp.close()
            raise
        self._smtp = smtp
        return smtp

    def close(self) -> None:
        smtp, self._smtp = self._smtp, None
        if smtp:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                smtp.quit()
            smtp.close()


def _log_in(smtp: smtplib.SMTP, user: str, password: str) -> None:
    try:
        smtp.login(user, password)
    except smtplib.SMTPServerDisconnected:  # some say no to the first way of logging in and hang up at the second
        raise smtplib.SMTPAuthenticationError(535, b"the connection was closed") from None


def _expect(answer: tuple[int, bytes], code: int, what: str, also: int = 0) -> None:
    if answer[0] not in (code, also):
        raise NotTaken(f"{what} was refused: {_said(*answer)}", for_good=answer[0] >= 500)


def _said(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(printable(words, kept=chr(10)).split())[:200]}"


def _words(failed: Exception) -> str:
    """Why a letter did not go, without what the server was told."""
    match failed:
        case smtplib.SMTPAuthenticationError():
            return "the server does not take this user and password (ARREARS_MAIL_USER, ARREARS_MAIL_PASSWORD)"
        case smtplib.SMTPNotSupportedError():
            return "the server does not offer what was asked of it (ARREARS_MAIL_SECURITY starttls, or a login)"
        case smtplib.SMTPResponseException():
            return _said(failed.smtp_code, failed.smtp_error)
        case smtplib.SMTPServerDisconnected():
            return "the server closed the connection"
        case ssl.SSLCertVerificationError():
            return "the server's certificate is not one that this machine trusts"
        case ssl.SSLError():
            return "no secure connection could be made: is ARREARS_MAIL_SECURITY what the port speaks?"
        case TimeoutError():
            return f"the server gave no answer within {TIMEOUT} s"
        case UnicodeError():
            return "the address has letters that the server does not take"
        case OSError() if failed.errno:
            return os.strerror(failed.errno)
    return "the server could not be reached"

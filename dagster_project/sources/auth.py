"""Who we are to a server: one object a way of saying it, used by `http.py` for every request.

Belongs here: tokens, how they are fetched, renewed and kept. Does not belong here: what is asked with them.

Each knows its `secrets`, so that no message shows one, and may be `renewed` once where a server says that what it was given is no longer
good. A refresh token that rotates is written down before what came with it is used: whoever loses it has to ask a person to connect again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets as random
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests.auth
from filelock import FileLock

from dagster_project.sources import LoginRefusedError, NoConsentError, NotReachedError, SourceError
from dagster_project.sources.answers import Limits, PassingError, TooMuch, answered, exact_json, fault_of, without_password
from dagster_project.words import shown

EARLY = 60.0
"""Seconds before its end from which a token is not used any more."""

TOKEN_SECONDS, TOKEN_BYTES = 60.0, 1 << 20
"""What the answer of a token endpoint may take."""

Exchange = Callable[[str, Mapping[str, str], tuple[str, str] | None], Mapping[str, Any]]
"""Asks a token endpoint: address, form, name and password. `token_endpoint` is the one there is; tests have their own."""


class Auth(requests.auth.AuthBase):
    """What is added to a request so that the server knows us."""

    @property
    @abstractmethod
    def secrets(self) -> tuple[str, ...]:
        """Texts that must never be shown."""

    @abstractmethod
    def header(self) -> str:
        """The value of `Authorization`.

        Raises:
            SourceError: it cannot be had.
        """

    def renewed(self) -> bool:
        """Whether there is another one to try, now that the server has refused this."""
        return False

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self.header()
        return request


class Bearer(Auth):
    """A token that somebody issued for good."""

    def __init__(self, token: str, setting: str):
        self._token = as_header(token, setting)

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self._token,)

    def header(self) -> str:
        return f"Bearer {self._token}"


class Basic(Auth):
    """A name and a password, or a key and its secret. `scheme` is `Basic`, or what a server calls the same (`token`)."""

    def __init__(self, name: str, password: str, setting: str, scheme: str = "Basic"):
        self._name, self._password, self._scheme = as_header(name, setting), as_header(password, setting), scheme

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self._password, self._coded())

    def header(self) -> str:
        return f"{self._scheme} {self._coded() if self._scheme == 'Basic' else f'{self._name}:{self._password}'}"

    def _coded(self) -> str:
        return base64.b64encode(f"{self._name}:{self._password}".encode()).decode()


@dataclass
class _Token:
    access: str
    good_until: float

    @property
    def is_good(self) -> bool:
        return bool(self.access) and time.time() < self.good_until - EARLY


class Granted(Auth):
    """A short-lived token that a token endpoint gives for `form`: OAuth 2. What it is granted for is the subclasses' own."""

    def __init__(self, address: str, exchange: Exchange):
        self._address, self._exchange = address, exchange
        self._token = _Token("", 0.0)

    @abstractmethod
    def _grant(self) -> _Token: ...

    def header(self) -> str:
        if not self._token.is_good:
            self._token = self._grant()
        return f"Bearer {self._token.access}"

    def renewed(self) -> bool:
        self._token = _Token("", 0.0)
        return True

    def _read(self, answer: Mapping[str, Any]) -> _Token:
        access = answer.get("access_token")
        if not isinstance(access, str) or not access:
            raise SourceError(f"{self._address}: the answer has no access_token")
        try:
            seconds = float(str(answer.get("expires_in") or 300))
        except ValueError:
            seconds = 300.0
        return _Token(as_header(access, self._address), time.time() + seconds)


class ClientCredentials(Granted):
    """OAuth 2 client credentials: this program's own id and secret, sent as Basic, or in the form where the server wants it there."""

    def __init__(
        self, address: str, client_id: str, client_secret: str, *, exchange: Exchange, in_form: bool = False, **more: str
    ):
        super().__init__(address, exchange)
        self._id, self._secret, self._in_form, self._more = client_id.strip(), client_secret.strip(), in_form, more

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(filter(None, (self._secret, self._token.access)))

    def _grant(self) -> _Token:
        form = {"grant_type": "client_credentials", **self._more}
        if self._in_form:
            return self._read(self._exchange(self._address, {**form, "client_id": self._id, "client_secret": self._secret}, None))
        return self._read(self._exchange(self._address, form, (self._id, self._secret)))


class RefreshToken(Granted):
    """OAuth 2 with a refresh token that may be another one after each use.

    The newest is kept in `kept` (readable by its owner only), written under a lock before its access token is used; two nights at once
    use one after the other. A `first` token that the file does not descend from is a new consent and begins anew. Where none is set
    (`first` is empty), a person's consent (`consented`) brings it.
    """

    def __init__(self, address: str, client_id: str, client_secret: str, first: str, kept: Path, *, exchange: Exchange):
        super().__init__(address, exchange)
        self._id, self._secret, self._first, self._kept = client_id.strip(), client_secret.strip(), first.strip(), kept
        self._seen = self._first
        self._refused = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(filter(None, (self._secret, self._first, self._seen, self._token.access)))

    def renewed(self) -> bool:
        self._refused = self._token.access
        return super().renewed()

    def _grant(self) -> _Token:
        self._kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(f"{self._kept}.lock", mode=0o600):
            known = self._read_kept()
            other = _Token(known["access"], known["good_until"])
            if other.is_good and other.access != self._refused:  # another night has just fetched it
                return other
            self._seen = known["refresh"]
            if not self._seen:
                raise NoConsentError(
                    f"{self._kept.stem}: nobody has let us in yet: `make connect SOURCE={self._kept.stem}` asks a person to"
                )
            return self._keep(
                self._exchange(
                    self._address, {"grant_type": "refresh_token", "refresh_token": self._seen}, (self._id, self._secret)
                )
            )

    @property
    def client(self) -> str:
        """Who the server knows us as; no secret."""
        return self._id

    def consented(self, code: str, redirect: str) -> None:
        """Turn the code that a person's consent brought into tokens, and keep them: what was kept before is of an earlier consent.

        Raises:
            SourceError: the code is not taken.
        """
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect}
        self._kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(f"{self._kept}.lock", mode=0o600):
            answer = self._exchange(self._address, form, (self._id, self._secret))
            if not answer.get("refresh_token"):
                raise SourceError(
                    f"{self._address}: the consent brought no refresh token: does the scope ask for one (offline_access)?"
                )
            self._token = self._keep(answer)

    def _keep(self, answer: Mapping[str, Any]) -> _Token:
        """Write down what came before it is used."""
        token = self._read(answer)
        self._seen = str(answer.get("refresh_token") or self._seen)
        self._write({"root": _mark(self._first), "refresh": self._seen, "access": token.access, "good_until": token.good_until})
        return token

    def _read_kept(self) -> dict[str, Any]:
        try:
            known: dict[str, Any] = json.loads(self._kept.read_text("utf-8"))
        except FileNotFoundError:
            known = {}
        except (OSError, ValueError) as broken:
            raise SourceError(
                f"{self._kept} cannot be read, which holds the newest refresh token: restore it, or connect anew and remove it"
            ) from broken
        if known.get("root") != _mark(self._first):
            known = {"refresh": self._first, "access": "", "good_until": 0.0}
        return known

    def _write(self, known: Mapping[str, Any]) -> None:
        write_private(self._kept, json.dumps(known))


class SignedAssertion(Granted):
    """OAuth 2 client credentials proved by a token signed with our own key (RFC 7523), RSA (PS256) or elliptic (ES256)."""

    def __init__(self, address: str, client_id: str, key_id: str, key_file: Path, *, exchange: Exchange, **claims: Any):
        super().__init__(address, exchange)
        self._id, self._key_id, self._claims = client_id.strip(), key_id.strip(), claims
        self._key = _private_key(key_file)

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(filter(None, (self._token.access,)))

    def _grant(self) -> _Token:
        return self._read(
            self._exchange(
                self._address,
                {
                    "grant_type": "client_credentials",
                    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                    "client_assertion": self.assertion(int(time.time())),
                },
                None,
            )
        )

    def assertion(self, now: int) -> str:
        """A signed token of this second, good for five minutes."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, padding
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        elliptic = isinstance(self._key, ec.EllipticCurvePrivateKey)
        head = {"typ": "JWT", "alg": "ES256" if elliptic else "PS256", "kid": self._key_id}
        body = {"iss": self._id, "aud": self._address, "iat": now, "exp": now + 300, **self._claims}
        signed = ".".join(_coded(json.dumps(part, separators=(",", ":")).encode()) for part in (head, body))
        if elliptic:
            r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
            signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        else:
            signature = self._key.sign(signed.encode(), padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        return f"{signed}.{_coded(signature)}"


class Login(Granted):
    """A token for a name and a password. One that was refused is not tried again, tonight or any night, until the credentials are others:
    vendors lock accounts after a few wrong ones. `ask` logs in and gives the token and for how many seconds it is good; what it says of
    a refusal (`LoginRefusedError`) is kept in `kept`, with a salted mark of the credentials and no more of them."""

    def __init__(
        self,
        address: str,
        credentials: Mapping[str, str],
        kept: Path,
        ask: Callable[[], tuple[str, float]],
        *,
        hidden: Callable[[str], bool] = lambda variable: True,
        scheme: str = "Bearer ",
    ):
        """`credentials` are values by the variable that holds each; `hidden` tells which of them must never be shown."""
        super().__init__(address, token_endpoint)
        self._credentials, self._kept, self._ask, self._scheme = dict(credentials), kept, ask, scheme
        self._hidden = tuple(value for variable, value in credentials.items() if hidden(variable))

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(filter(None, (*self._hidden, self._token.access)))

    def header(self) -> str:
        return f"{self._scheme}{super().header().removeprefix('Bearer ')}"

    def _grant(self) -> _Token:
        variables = ", ".join(self._credentials)
        if known := self._refusal():
            raise LoginRefusedError(
                f"{self._address}: the login was refused on {known['on']} ({known['said']}) and is not tried again with the same "
                f"credentials, for a few wrong ones lock an account: put right {variables}. If it was the account and not they, remove "
                f"{self._kept}"
            )
        try:
            access, seconds = self._ask()
        except LoginRefusedError as refused:
            said = str(refused)
            self._remember(said)
            raise LoginRefusedError(
                f"{said}. It is not tried again with these credentials: put right {variables}, before the account is locked"
            ) from None
        return _Token(as_header(access, self._address), time.time() + seconds)

    def _mark(self, salt: bytes) -> str:
        told = "\x00".join(self._credentials.values()).encode()
        return hashlib.scrypt(told, salt=salt, n=2**14, r=8, p=1, dklen=32).hex()

    def _refusal(self) -> Mapping[str, str] | None:
        """What is remembered of these very credentials."""
        try:
            known: dict[str, str] = json.loads(self._kept.read_text("utf-8"))
            return known if known["mark"] == self._mark(bytes.fromhex(known["salt"])) else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as broken:
            raise LoginRefusedError(
                f"{self._kept} cannot be read, which remembers a login that was refused: remove it once the credentials are right"
            ) from broken

    def _remember(self, said: str) -> None:
        self._kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        salt = random.token_bytes(16)
        told = {"on": time.strftime("%Y-%m-%d", time.gmtime()), "said": said, "salt": salt.hex(), "mark": self._mark(salt)}
        write_private(self._kept, json.dumps(told))


def token_endpoint(address: str, form: Mapping[str, str], name: tuple[str, str] | None) -> Mapping[str, Any]:
    """Ask for a token. What is refused is final (a consent withdrawn does not come back by asking), what fails on the way is tried thrice.

    Raises:
        SourceError: it is refused, or cannot be had.
    """
    hidden = [value for key, value in form.items() if key in ("refresh_token", "code", "client_secret", "client_assertion")]

    def final(here: str, status: int, told: str, words: str) -> SourceError | None:
        if status >= 500 or status == 429:
            return None
        if "invalid_grant" in words:
            return NoConsentError(
                f"{here}: the consent is no longer good (invalid_grant): somebody has to connect again, with `make connect`"
            )
        return NotReachedError(f"{here}: {told}. Check the client's id and secret")

    return _posted(
        address, final, "tokens are given out", (*hidden, *([name[1]] if name else [])), data=dict(form), auth=name, headers={}
    )


def logged_in(
    address: str,
    body: Mapping[str, str],
    *,
    headers: Mapping[str, str] | None = None,
    name: tuple[str, str] | None = None,
    hidden: tuple[str, ...] = (),
) -> Mapping[str, Any]:
    """The answer of a login that takes JSON. It is asked once: one that is refused is final, and so is one that is told to wait; only what
    never reached the server, or broke in it, is tried thrice.

    Raises:
        LoginRefusedError: who we are is not accepted.
        SourceError: it cannot be had.
    """

    def final(here: str, status: int, told: str, words: str) -> SourceError | None:
        if status in (400, 401, 403):
            return LoginRefusedError(f"{here}: {told}")
        if status < 500:
            return NotReachedError(f"{here}: {told}. It is not tried again tonight: too many logins lock an account")
        return None

    return _posted(address, final, "logins are taken", hidden, json=dict(body), auth=name, headers=dict(headers or {}))


def _posted(
    address: str,
    final: Callable[[str, int, str, str], SourceError | None],
    purpose: str,
    hidden: Sequence[str],
    *,
    headers: Mapping[str, str],
    **sent: Any,
) -> Mapping[str, Any]:
    """The JSON that an address answers to what is `sent`, asked three times at most. `final` makes of an address to show, a status, what is
    told of it and the answer's words the error that another try does not mend; `hidden` is shown in none."""
    here = without_password(address)
    for attempt in range(3):
        try:
            status, reason, _, content = answered(
                lambda: requests.post(
                    address,
                    headers={"Accept": "application/json", **headers},
                    timeout=(10, 60),
                    allow_redirects=False,
                    stream=True,
                    **sent,
                ),
                Limits(answer_seconds=TOKEN_SECONDS, answer_bytes=TOKEN_BYTES),
                here,
            )
        except (TimeoutError, PassingError):
            told = f"there was no whole answer within {TOKEN_SECONDS:g} s"
        except (requests.RequestException, OSError, ValueError) as lost:
            told = shown(fault_of(lost))
        else:
            if status == 200:
                try:
                    answer = exact_json(content)
                except (ValueError, RecursionError, TooMuch):
                    answer = None
                if isinstance(answer, dict):
                    return answer
                raise SourceError(f"{here}: the answer is not JSON: this is not where {purpose}")
            words = content[:2_000].decode("utf-8", "replace")
            for secret in hidden:
                words = words.replace(secret, "***")
            told = f"{status} {shown(reason)}: {shown(words)}"
            if error := final(here, status, told, words):
                raise error
        time.sleep(2**attempt)
    raise NotReachedError(f"{here}: {told}; gave up after 3 attempts")


def write_private(path: Path, text: str) -> None:
    """Put a file in place at once and for good, for its owner only."""
    unfinished = path.with_name(f".{path.name}.{random.token_hex(4)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def as_header(text: str, setting: str) -> str:
    """A secret as it may stand in a header; blanks and line ends around it are how files end.

    Raises:
        SourceError: it may not. The message does not show it.
    """
    text = text.strip()
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise SourceError(
            f"{setting}: empty, or with blanks, line breaks or letters in it that no token has: was more copied than the token?"
        )
    return text


def _mark(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


def _coded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _private_key(path: Path) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as broken:
        raise SourceError(f"{path} is not a private key in PEM without a password") from broken

"""One call to the Hub: asked again while it is busy, and what is told where it says no.

No message tells a token, or an address with what it was signed by.
"""

import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx2
from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled

from lineage.errors import TactError
from models.reach import chain, response, status

TRIES, LONGEST_S = 5, 600.0
FAILURES = (httpx2.HTTPError, OSError, RuntimeError, ValueError)
NETWORK = (httpx2.TransportError, ConnectionError, TimeoutError)
RESUMES = "nothing half is shown; the same command goes on"
T = TypeVar("T")


def asked(call: Callable[[], T], to: str) -> T:
    """What ``call`` gives; asked again, up to five times, where the Hub is busy or breaks off.

    A wait that the Hub asks for is kept to, up to ten minutes. TactError where it says no, asks
    for a longer one, or ``call`` fails on this side.
    """
    for number in range(1, TRIES + 1):
        try:
            return call()
        except OfflineModeIsEnabled:
            raise TactError("HF_HUB_OFFLINE is set: unset it to push") from None
        except HFValidationError:
            raise TactError(f"to={to}: no name that the Hub takes; give OWNER/NAME") from None
        except FAILURES as error:
            wait = _wait_s(error)
            if not _passes(error) or number == TRIES or (wait or 0) > LONGEST_S:
                raise TactError(_told(error, to)) from None
            wait = 2.0 ** (number - 1) if wait is None else wait
            busy = f"is busy ({status(error)})" if status(error) else "breaks off"
            print(f"{to}: the Hub {busy}; asked again in {wait:.0f} s", file=sys.stderr)
            time.sleep(wait)
    raise AssertionError("unreachable")


def _passes(error: BaseException) -> bool:
    """Whether it may go well a moment later."""
    number = status(error)
    if number is None:
        return any(isinstance(each, NETWORK) for each in chain(error))
    return number in (408, 429) or number >= 500


def _wait_s(error: BaseException) -> float | None:
    """What ``Retry-After`` asks for, as seconds or as a date; None where it asks for nothing."""
    answer = response(error)
    after = "" if answer is None else answer.headers.get("Retry-After", "").strip()
    if after.isdigit():
        return float(after)
    try:
        date = parsedate_to_datetime(after)
    except ValueError:
        return None
    return max(0.0, (date.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def _told(error: BaseException, to: str) -> str:
    match status(error):
        case None if not _passes(error):
            return f"{to}: not pushed, {type(error).__name__}: {_plain(str(error))}"
        case None:
            return f"{to}: the Hub can't be reached, or breaks off; {RESUMES}"
        case 401:
            return (
                f"{to}: the Hub doesn't take this token: it has expired or was revoked, or there "
                f"is no such repository for it. `hf auth login`; {RESUMES}"
            )
        case 403:
            return (
                f"{to}: this token may not write there ({_reason(error)}); give one with the right "
                f"to; {RESUMES}"
            )
        case 404:
            return f"{to}: no such owner or repository for this token; {RESUMES}"
        case 412:
            return f"{to}: somebody else changed it meanwhile; push again with update=true"
        case number if _passes(error):
            when = f"asks to come back {_when(error)}" if number == 429 else "is busy"
            return f"{to}: the Hub {when} ({number}); {RESUMES}"
        case number:
            return f"{to}: the Hub refuses it ({number}): {_reason(error)}. Nothing half is shown"


def _when(error: BaseException) -> str:
    wait = _wait_s(error)
    if wait is None:
        return "later"
    return f"at {datetime.now(UTC) + timedelta(seconds=wait):%Y-%m-%d %H:%M} UTC"


def _reason(error: BaseException) -> str:
    """The Hub's own words, where it has any."""
    said = next(filter(None, (getattr(e, "server_message", None) for e in chain(error))), "")
    return _plain(said) or "it gives no reason"


def _plain(text: str) -> str:
    """One line, and no address with what follows its ``?``."""
    return re.sub(r"(https?://[^\s?]*)\?\S*", r"\1", " ".join(text.split())).rstrip(".")

"""The errors of the box: a fact, and the way out of it.

    SandboxError            fact and remedy, ready to be shown
      CannotIsolate         this machine refused a step of making the sandbox
      NotRunning            start it first
      Busy                  wait, or end what is in the way
      BadState              mend or remove a file of the state folder
      Refused               the control plane answered with an error; carries its code

Exit codes are chosen in `cli`; what an error looks like on a terminal is decided there too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class SandboxError(Exception):
    """fact: what is the case, with the offending value; remedy: what to do, a command where there is one."""

    def __init__(self, fact: str, remedy: str) -> None:
        super().__init__(fact)
        self.fact = fact
        self.remedy = remedy


class CannotIsolate(SandboxError):
    """step: the words by which `ringfence doctor` names the same step."""

    def __init__(self, step: str, reason: str, remedy: str) -> None:
        super().__init__(f"this machine does not let Ringfence isolate anything: {step} failed ({reason})", remedy)
        self.step = step
        self.reason = reason


START_IT = "start it with `ringfence up`"


class NotRunning(SandboxError):
    """No sandbox belongs to the state folder, or it is just ending."""


class Busy(SandboxError):
    """Something does not end or does not answer in time."""


CHOOSE_ANOTHER = "choose another folder with --state DIR or RINGFENCE_STATE"


class BadState(SandboxError):
    """The state folder cannot be used: its place, its owner, or a file in it."""

    @classmethod
    def of_another_user(cls, folder: Path) -> BadState:
        return cls(f"the state folder {folder} belongs to another user", CHOOSE_ANOTHER)


class Refused(SandboxError):
    """code: the code of the control plane's error body (`SubnetIsFull`); status: its HTTP status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{message} ({code})", _REMEDIES.get(code) or _REMEDIES.get(status, "see `ringfence logs control`"))
        self.status = status
        self.code = code


#: By code, where that says more than the status.
_REMEDIES: Mapping[str | int, str] = {
    "CodeNotFound": "start the sign-in again, and answer the code that it shows then",
    400: "change the request as the message says",
    404: "`ringfence status` lists the locations, clusters and services that exist",
    409: "end what the message names, or wait for it",
}

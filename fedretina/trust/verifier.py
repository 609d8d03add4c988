"""A receiver checks signature, context, order, agreement with the server, and payload. It counts each refusal."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from fedretina.errors import Untrusted
from fedretina.trust import acknowledgement, newest, statement
from fedretina.trust.acknowledgement import Acknowledgement
from fedretina.trust.attacks import Expired, Forged, Frozen, MixAndMatch, Replayed, RolledBack, UnknownSigner
from fedretina.trust.memory import TrustMemory
from fedretina.trust.newest import Newest
from fedretina.trust.policy import Policy
from fedretina.trust.root import CityRoot, Role
from fedretina.trust.root_chain import update
from fedretina.trust.signed import Signed
from fedretina.trust.statement import Statement

SERVER = "server"
"""The owner of the server's own streams: ``"server/aggregate"``."""
_CLOCK_SKEW_S = 60
Result = TypeVar("Result")
_log = logging.getLogger("fedretina.trust")


class Verifier:
    """Check what arrives at a node (or at the server) against the city root, the policy and the memory.

    Parameters
    ----------
    root : CityRoot
        The newest root that is trusted here.
    policy : Policy
        The node's policy.
    memory : TrustMemory
        What the node remembers.
    clock : callable, default time.time
        Seconds since 1970.
    """

    def __init__(
        self, root: CityRoot, policy: Policy, memory: TrustMemory, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.root, self.policy, self.memory = root, policy, memory
        self._clock = clock
        self._newest: Newest | None = None

    def update_root(self, newer: Iterable[bytes]) -> None:
        """Follow a chain of roots; see `update` for errors."""
        with self._counting():
            self.root = update(self.root, newer, self._clock())

    def hear_newest(self, data: bytes) -> Newest:
        """Take the server's list of newest versions.

        Raises
        ------
        UnknownSigner, Forged
            If the server's role did not sign it.
        RolledBack
            If a newer list was heard before.
        Frozen
            If it is older than the policy allows.
        """
        with self._counting():
            body = self._require(data, newest.TYPE, SERVER)
            found = Newest.from_body(body)
            if found.counter < self.memory.newest[0]:
                raise RolledBack(
                    f"the list of newest versions has number {found.counter}; {self.memory.newest[0]} came before: drop it"
                )
            self._check_age(found.created)
            self._newest = found
            self.memory.hear(found.counter, found.created)
            return found

    def check(
        self,
        data: bytes,
        *,
        stream: str,
        owner: str | None = None,
        purpose: str = "model",
        payload: bytes | None = None,
    ) -> Statement:
        """Check a statement, and the maker's payload where it came as such.

        Parameters
        ----------
        data : bytes
            The signed statement.
        stream : str
            The stream that the message claims to be of.
        owner : str or None, default None
            Who must have signed; by default the part of the stream's name before the first slash.
        purpose : str, default "model"
            What the statement must be for.
        payload : bytes or None, default None
            The maker's payload. None where the server sends another way to the same version; then the version's digest
            is what is checked, after decoding.

        Raises
        ------
        UnknownSigner, Forged
            If the stream's owner did not sign it, or the payload is not the signed one.
        Replayed
            If it is of another stream or purpose.
        Expired
            If it is past its date.
        RolledBack
            If a newer version was installed.
        Frozen
            If the list of newest versions is too old, or names a newer version.
        MixAndMatch
            If that list names another version, or the same counter had another digest before.
        Endless
            If the payload is longer than stated.
        """
        with self._counting():
            found = Statement.from_body(self._require(data, statement.TYPE, owner or owner_of(stream)))
            self._check_context(found, stream, purpose)
            self._check_order(found)
            self._check_newest(found)
            if payload is not None:
                found.check_payload(payload)
            return found

    def check_earlier(self, data: bytes, *, stream: str, owner: str | None = None) -> Statement:
        """Check the statement of a version that a newer one builds on: who signed it, and for what; not its order.

        Parameters and errors as for `check`.
        """
        with self._counting():
            found = Statement.from_body(self._require(data, statement.TYPE, owner or owner_of(stream)))
            self._check_context(found, stream, "model")
            return found

    def install(self, found: Statement, digest: bytes) -> None:
        """Remember a version after it was decoded and before it is used.

        Raises
        ------
        Forged
            If the decoded version has another digest than the signed one.
        RolledBack, MixAndMatch
            If an app of another run installed a newer version, or another one of the same number, since `check`.
        """
        with self._counting():
            if digest != found.digest:
                raise Forged(
                    f"{found.stream}: the decoded version is {digest.hex()[:8]}, signed is {found.digest.hex()[:8]}: drop it"
                )
            self._check_order(found)
            self.memory.install(found.stream, found.counter, found.digest)

    def check_acknowledgement(self, data: bytes, *, domain: str) -> Acknowledgement:
        """Check a node's signed report.

        Raises
        ------
        UnknownSigner, Forged
            If the domain did not sign it.
        Replayed
            If it speaks for another domain.
        """
        with self._counting():
            found = Acknowledgement.from_body(self._require(data, acknowledgement.TYPE, domain))
            if found.domain != domain:
                raise Replayed(f"an acknowledgement of {found.domain} came from {domain}: drop it")
            return found

    def refuse(self, error: Untrusted) -> Untrusted:
        """Count a refusal that a caller raises, and return it."""
        self.memory.count_attack(type(error).__name__)
        return error

    def guard(self, check: Callable[[], Result]) -> Result:
        """Call a check of the caller's, and count its refusal: ``verifier.guard(lambda: open_sealed(...))``."""
        with self._counting():
            return check()

    def _require(self, data: bytes, kind: str, owner: str) -> bytes:
        signed = Signed.from_bytes(data)
        if signed.type != kind:
            raise Replayed(f"a {signed.type} came in the place of a {kind}: drop it")
        role = self._role(owner)
        return signed.require(self.root.keys_of(role), role.threshold)

    def _role(self, owner: str) -> Role:
        if self.root.expires <= self._clock():
            raise Expired(
                f"root {self.root.version} of {self.root.city!r} is past its date: the operator must sign a new one"
            )
        if owner == SERVER:
            return self.root.server
        if owner not in self.root.domains or not self.policy.admits(owner):
            where = "the city root" if owner not in self.root.domains else "this node's policy"
            raise UnknownSigner(f"the domain {owner} is not admitted by {where}: refuse its models, or ask the operator")
        return self.root.domains[owner].signers

    def _check_context(self, found: Statement, stream: str, purpose: str) -> None:
        if found.stream != stream or found.purpose != purpose:
            raise Replayed(
                f"a statement of {found.stream} for the purpose {found.purpose!r} came as one of {stream} "
                f"for {purpose!r}: drop it"
            )
        if found.expires <= self._clock():
            raise Expired(
                f"{stream}: the statement of version {found.counter} is past its date: the domain must sign it anew"
            )

    def _check_order(self, found: Statement) -> None:
        counter, digest = self.memory.installed(found.stream)
        if found.counter < counter:
            raise RolledBack(f"{found.stream}: version {found.counter} came after version {counter}: keep version {counter}")
        if found.counter == counter and found.digest != digest:
            raise MixAndMatch(
                f"{found.stream}: two versions have the number {counter}: the domain's key may be stolen; refuse both"
            )

    def _check_newest(self, found: Statement) -> None:
        created = self.memory.newest[1]
        if created:
            self._check_age(created)
        if self._newest is None or found.stream not in self._newest.streams:
            return
        counter, digest = self._newest.streams[found.stream]
        if found.counter < counter:
            raise Frozen(f"{found.stream}: version {found.counter} came, but the server names version {counter}: ask for it")
        if (found.counter, found.digest) != (counter, digest):
            raise MixAndMatch(
                f"{found.stream}: the domain names version {found.counter} ({found.digest.hex()[:8]}), "
                f"the server version {counter} ({digest.hex()[:8]}): install neither"
            )

    def _check_age(self, created: int) -> None:
        age = self._clock() - created
        if age < -_CLOCK_SKEW_S:
            raise Forged(
                f"the list of newest versions was made {-age:.0f} s in the future: check the clocks of both machines"
            )
        if age > self.policy.refuse_after_s:
            raise Frozen(
                f"the list of newest versions is {age:.0f} s old, {self.policy.refuse_after_s:.0f} s are allowed: "
                "ask the server for a new one"
            )
        if age > self.policy.warn_after_s:
            _log.warning(
                "the list of newest versions is %.0f s old; after %.0f s versions are refused",
                age,
                self.policy.refuse_after_s,
            )

    @contextmanager
    def _counting(self) -> Iterator[None]:
        try:
            yield
        except Untrusted as error:
            raise self.refuse(error) from error.__cause__


def owner_of(stream: str) -> str:
    """Return who owns a stream: the part of its name before the first slash.

    Examples
    --------
    >>> owner_of("duke/reuse"), owner_of("server/aggregate")
    ('duke', 'server')
    """
    return stream.partition("/")[0]

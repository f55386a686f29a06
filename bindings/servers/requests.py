"""Asks a document service by real requests what its README promises: `requests.py <directory> <program> [arguments]`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any, Optional

TOKENS = {"token-of-acme": "acme", "token-of-other": "other"}
LARGE = bytes(range(256)) * 12_000


class Service:
    """A service that runs, and the answers it gave."""

    def __init__(self, directory: str, command: list[str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        environment = {**os.environ, "TOKENS": json.dumps(TOKENS)}
        self.process = subprocess.Popen([*command, directory, str(self.port)], env=environment)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.ask("GET", "/health", token=None)
                return
            except ConnectionRefusedError:
                assert self.process.poll() is None, "the service ended"
                assert time.monotonic() < deadline, "the service does not listen"

    def ask(
        self,
        method: str,
        path: str,
        body: Optional[bytes] = None,
        token: Optional[str] = "token-of-acme",
        **headers: str,
    ) -> tuple[int, Any]:
        """The status, and what the body is: JSON, or bytes."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        is_json = (answer.getheader("Content-Type") or "").startswith("application/json")
        return answer.status, json.loads(content) if is_json else content

    def expect(self, status: int, *question: Any, **options: Any) -> Any:
        got, content = self.ask(*question, **options)
        assert got == status, f"{question[:2]} gave {got} instead of {status}: {content!r}"
        return content

    def refused(self, status: int, kind: str, *question: Any, **options: Any) -> None:
        content = self.expect(status, *question, **options)
        assert content["error"] == kind and len(content["message"]) > 10, content

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def keys(answer: Any) -> list[str]:
    return [document["key"] for document in answer["documents"]]


def check(service: Service) -> None:
    service.refused(401, "Unauthorized", "GET", "/documents/c/k", token="wrong")
    service.refused(401, "Unauthorized", "GET", "/documents/c/k", token=None)
    assert service.expect(200, "GET", "/health", token=None)["good"] is True

    # Uploads and reads, small and large.
    service.refused(404, "NotFound", "GET", "/documents/c/k")
    assert "." in service.expect(201, "PUT", "/documents/c/k", b"hello")["version"]
    assert service.expect(200, "GET", "/documents/c/k") == b"hello"
    service.expect(201, "PUT", "/documents/c/folder/large", LARGE)
    assert service.expect(200, "GET", "/documents/c/folder/large") == LARGE
    service.expect(201, "PUT", "/documents/c/empty", b"")
    assert service.expect(200, "GET", "/documents/c/empty") == b""
    service.refused(409, "Conflict", "PUT", "/documents/c/k", b"x", If_None_Match="*")
    service.expect(201, "PUT", "/documents/c/new", b"x", If_None_Match="*")
    service.refused(413, "LimitExceeded", "PUT", "/documents/c/" + "k" * 5_000, b"x")
    service.refused(400, "InvalidArgument", "PUT", "/documents/%20c/k", b"x")

    # Another tenant sees nothing of it.
    service.refused(404, "NotFound", "GET", "/documents/c/k", token="token-of-other")
    assert service.expect(200, "GET", "/documents/c", token="token-of-other")["documents"] == []

    # Lists, in pages, and finds.
    listed = service.expect(200, "GET", "/documents/c")
    assert keys(listed) == ["empty", "folder/large", "k", "new"] and listed["cursor"] is None, listed
    assert listed["documents"][1]["size"] == len(LARGE)
    for number in range(150):
        service.expect(201, "PUT", f"/documents/many/{number:03}", b"v", X_Tag="odd" if number % 2 else "even")
    first = service.expect(200, "GET", "/documents/many")
    rest = service.expect(200, "GET", f"/documents/many?after={first['cursor']}")
    assert keys(first) + keys(rest) == [f"{number:03}" for number in range(150)] and rest["cursor"] is None
    assert keys(service.expect(200, "GET", "/documents/many?prefix=14")) == [f"14{n}" for n in range(10)]
    odd = keys(service.expect(200, "GET", "/documents/many?tag=odd"))
    assert odd == [f"{number:03}" for number in range(1, 150, 2)], odd
    service.refused(404, "NotFound", "GET", "/documents/c?tag=odd")

    # Removes, restores, erases.
    service.expect(204, "DELETE", "/documents/c/k")
    service.refused(404, "NotFound", "GET", "/documents/c/k")
    service.refused(404, "NotFound", "DELETE", "/documents/c/k")
    service.expect(204, "POST", "/documents/c/k/restore")
    assert service.expect(200, "GET", "/documents/c/k") == b"hello"
    service.refused(404, "NotFound", "POST", "/documents/c/k/restore")
    service.expect(204, "DELETE", "/documents/c/k")
    service.expect(201, "PUT", "/documents/c/k", b"again")
    service.refused(409, "Conflict", "POST", "/documents/c/k/restore")
    service.expect(204, "DELETE", "/documents/c/folder/large?erase=true")
    service.refused(404, "NotFound", "POST", "/documents/c/folder/large/restore")

    # Retention, of what is put from then on.
    days = json.dumps({"days": 30}).encode()
    service.expect(204, "PUT", "/retention/c", days, Content_Type="application/json")
    service.expect(201, "PUT", "/documents/c/kept", b"x")
    kept, unlimited = service.expect(200, "GET", "/documents/c?prefix=k")["documents"][::-1]
    assert (kept["key"], unlimited["key"], unlimited["expires_ms"]) == ("kept", "k", None), kept
    assert abs(kept["expires_ms"] / 1_000 - time.time() - 30 * 86_400) < 600, kept
    for wrong in (b"", b"{", b'{"days": "30"}', b'{"days": -1}', b'{"days": 0}'):
        service.refused(400, "InvalidArgument", "PUT", "/retention/c", wrong, Content_Type="application/json")

    # Both tenants at the same time: each finds its own.
    def put_and_read(number: int) -> None:
        token, path = list(TOKENS)[number % 2], f"/documents/busy/{number // 2}"
        service.expect(201, "PUT", path, f"{token} {number}".encode(), token=token)
        assert service.expect(200, "GET", path, token=token) == f"{token} {number}".encode()

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(put_and_read, range(128)))
    for token in TOKENS:
        assert len(keys(service.expect(200, "GET", "/documents/busy", token=token))) == 64


def main() -> None:
    directory, *command = sys.argv[1:]
    service = Service(directory, command)
    try:
        check(service)
    finally:
        service.stop()
    # What was acknowledged is there after the service was killed.
    service = Service(directory, command)
    try:
        assert service.expect(200, "GET", "/documents/c/k") == b"again"
        assert service.expect(200, "GET", "/documents/many/149") == b"v"
    finally:
        service.stop()
    print(f"{command[0]}: every answer as promised")


if __name__ == "__main__":
    main()

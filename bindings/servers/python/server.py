"""The document service with Flask: see ../README.md."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Optional

from flask import Flask, Response, g, jsonify, request
from waitress import serve

from strongroom import (
    Collection,
    InvalidArgumentError,
    KeyFile,
    NotFoundError,
    Policy,
    Store,
    StrongroomError,
    Tenant,
)

STATUSES = {
    "InvalidArgument": 400,
    "NotFound": 404,
    "AlreadyExists": 409,
    "Conflict": 409,
    "Held": 409,
    "LimitExceeded": 413,
    "Busy": 503,
    "KeyUnavailable": 503,
    "Unavailable": 503,
    "Suspended": 503,
}
PAGE = 100
TAG = "tag"


class Service:
    def __init__(self, directory: Path, tokens: dict[str, str]) -> None:
        where = (directory / "data", KeyFile(directory / "root-key"))
        is_new = not (directory / "data").exists()
        self.store = Store.create(*where) if is_new else Store.open(*where)
        self.tokens = tokens

    def tenant(self) -> Optional[Tenant]:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        name = self.tokens.get(token)
        if name is None:
            return None
        try:
            return self.store.tenant(name)
        except NotFoundError:
            return self.store.create_tenant(name)


def documents(name: str) -> Collection:
    tenant: Tenant = g.tenant
    return tenant[name]


def app_of(service: Service) -> Flask:
    app = Flask(__name__)

    @app.before_request
    def authenticate() -> Optional[tuple[Response, int]]:
        g.tenant = service.tenant()
        if g.tenant is None and request.path != "/health":
            return jsonify(error="Unauthorized", message="give a token that is known"), 401
        return None

    @app.errorhandler(StrongroomError)
    def failed(error: StrongroomError) -> tuple[Response, int]:
        return jsonify(error=error.kind, message=str(error)), STATUSES.get(error.kind, 500)

    @app.put("/documents/<collection>/<path:key>")
    def upload(collection: str, key: str) -> tuple[Response, int]:
        tag, chosen = request.headers.get("X-Tag"), documents(collection)
        if tag is not None:
            chosen.declare_index(TAG)
        version = chosen.put_reader(
            key.encode(),
            request.stream,
            if_absent=request.headers.get("If-None-Match") == "*",
            index=None if tag is None else {TAG: tag.encode()},
        )
        return jsonify(version=str(version)), 201

    @app.get("/documents/<collection>/<path:key>")
    def read(collection: str, key: str) -> Response:
        reader = documents(collection).get_reader(key.encode())
        if reader is None:
            raise NotFoundError("there is no such document")

        def parts() -> Iterator[bytes]:
            with reader:
                while part := reader.read(1 << 18):
                    yield part

        size = reader.info.value_size
        return Response(parts(), mimetype="application/octet-stream", headers={"Content-Length": str(size)})

    @app.get("/documents/<collection>")
    def listed(collection: str) -> Response:
        chosen, tag, cursor = documents(collection), request.args.get("tag"), None
        if tag is not None:
            with chosen.find(TAG, tag.encode()) as found:
                records = found.next_page(PAGE)
        else:
            after = request.args.get("after")
            records, cursor = chosen.page(
                PAGE,
                prefix=request.args.get("prefix", "").encode(),
                after=None if after is None else base64.urlsafe_b64decode(after),
                keys_only=True,
            )
        return jsonify(
            documents=[
                {"key": record.key.decode(), "size": record.value_size, "expires_ms": record.expires_ms}
                for record in records
            ],
            cursor=None if cursor is None else base64.urlsafe_b64encode(cursor).decode(),
        )

    @app.delete("/documents/<collection>/<path:key>")
    def remove(collection: str, key: str) -> tuple[str, int]:
        chosen = documents(collection)
        take = chosen.erase if request.args.get("erase") == "true" else chosen.remove
        if not take(key.encode()):
            raise NotFoundError("there is no such document")
        return "", 204

    @app.post("/documents/<collection>/<path:key>/restore")
    def restore(collection: str, key: str) -> tuple[str, int]:
        if not documents(collection).restore(key.encode()):
            raise NotFoundError("there is no such removed document")
        return "", 204

    @app.put("/retention/<collection>")
    def retain(collection: str) -> tuple[str, int]:
        told = request.get_json(silent=True)
        days = told.get("days") if isinstance(told, dict) else None
        if type(days) is not int or not 0 < days < 1 << 32:
            raise InvalidArgumentError('give {"days": a number}')
        documents(collection).policy = Policy(retention=timedelta(milliseconds=days * 86_400_000))
        return "", 204

    @app.get("/health")
    def health() -> tuple[dict[str, Any], int]:
        told = service.store.health()
        return told, 200 if told["good"] else 503

    return app


def main() -> None:
    directory, port = Path(sys.argv[1]), int(sys.argv[2])
    service = Service(directory, json.loads(os.environ["TOKENS"]))
    # Threads of one process: it alone has the store.
    serve(app_of(service), host="127.0.0.1", port=port, threads=8, max_request_body_size=1 << 40)


if __name__ == "__main__":
    main()

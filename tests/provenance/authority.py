"""A timestamp authority (RFC 3161) on a socket of its own; OpenSSL's program makes the answers."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.provenance.certificates import Root

_SETTINGS = """
[tsa]
serial = serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
ess_cert_id_alg = sha256
"""
_ANSWER = "openssl ts -reply -config tsa.cnf -section tsa -queryfile ask -signer tsa.pem -inkey tsa.key -out answer"


@contextmanager
def authority(root: Root, folder: Path) -> Iterator[tuple[str, list[bytes]]]:
    """Its address, and what it was asked so far."""
    leaf = root.leaf(
        key=rsa.generate_private_key(65537, 2048), purposes=[ExtendedKeyUsageOID.TIME_STAMPING], is_strict=True
    )
    for name, text in (("tsa.cnf", _SETTINGS), ("tsa.pem", leaf.chain), ("tsa.key", leaf.key), ("serial", "01")):
        (folder / name).write_text(text)
    asked: list[bytes] = []

    class Desk(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["content-length"])))
            (folder / "ask").write_bytes(asked[-1])
            subprocess.run(_ANSWER.split(), cwd=folder, check=True, capture_output=True)
            answer = (folder / "answer").read_bytes()
            self.send_response(200)
            self.send_header("content-type", "application/timestamp-reply")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nothing: what it was asked is told."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Desk)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

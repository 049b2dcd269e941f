"""The service that is measured: started, called, looked at. Not a program of its own.

`TIDEMARK` names another binary than target/release/tidemark.
"""
import base64
import hashlib
import hmac
import http.client
import json
import os
import socket
import subprocess
import time


def free_port():
    """A port on which nobody listens, such as the service of another bench."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


SECRET = "0123456789abcdef0123456789abcdef-bench"
LISTEN = f"127.0.0.1:{free_port()}"
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BINARY = os.environ.get("TIDEMARK", os.path.join(ROOT, "target/release/tidemark"))


def token(tenant=None):
    """A token as `tidemark token` makes it."""
    claims = {"sub": "bench", "exp": int(time.time()) + 7200, "roles": ["admin" if tenant else "platform"]}
    if tenant:
        claims["tenant"] = tenant
    part = lambda value: base64.urlsafe_b64encode(value).rstrip(b"=")
    text = b".".join(part(json.dumps(value).encode()) for value in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (text + b"." + part(hmac.new(SECRET.encode(), text, hashlib.sha256).digest())).decode()


class Client:
    """One connection that is kept."""

    def __init__(self):
        self.connection = http.client.HTTPConnection(LISTEN, timeout=120)

    def ask(self, method, path, bearer, body=None, kind="application/json"):
        """The answer, whose body is still to be read."""
        headers = {"Authorization": f"Bearer {bearer}", "Content-Type": kind}
        self.connection.request(method, path, body, headers)
        return self.connection.getresponse()

    def call(self, method, path, bearer, body=None, kind="application/json"):
        """What the answer says; a refusal ends the bench."""
        answer = self.ask(method, path, bearer, body, kind)
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]!r}")
        return json.loads(text)


def memory(process):
    """Resident memory now and at most, in MiB."""
    with open(f"/proc/{process.pid}/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return tuple(int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))


def serve(data):
    """Starts the service on a folder, with its configuration in the environment; the process, and the seconds until
    it is ready."""
    environment = {**os.environ, "TIDEMARK_JWT_SECRET": SECRET}
    log = open(os.path.join(os.path.dirname(data), "log"), "ab")
    begun = time.monotonic()
    process = subprocess.Popen([BINARY, "serve", "--data", data, "--listen", LISTEN], env=environment, stderr=log)
    while time.monotonic() - begun < 120:
        try:
            connection = http.client.HTTPConnection(LISTEN, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return process, time.monotonic() - begun
        except OSError:
            pass
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise RuntimeError(f"the service does not become ready; see {log.name}")

"""
People with passwords: a certificate made for the test, a users table with passwords, and the lines of a configuration
that let them log in.
"""
import base64
import contextlib
import hashlib
import hmac
import itertools
import os
import ssl
import subprocess

from stagepost import DOMAIN, free_port
from wire import Wire

PASSWORDS = {"alice": "im Wunderland", "bob": "builds:it\u00fc"}
ITERATIONS = 4096
CLIENTS = itertools.count(1)


def scram_entry(password, iterations=ITERATIONS):
    """{SCRAM-SHA-256}ITERATIONS,SALT,STOREDKEY,SERVERKEY (common/password/password.h)."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    stored, server = hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256")
    return "{SCRAM-SHA-256}%d,%s" % (iterations, ",".join(base64.b64encode(x).decode() for x in (salt, stored, server)))


def certificate(folder, name="server", host=f"mx.{DOMAIN}", kind="ec"):
    """FOLDER/NAME.pem and NAME.key, which root alone (or who runs the test) can read."""
    key = {"ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["-newkey", "rsa:2048"]}[kind]
    subprocess.run(["openssl", "req", "-x509", *key, "-nodes", "-days", "30", "-subj", f"/CN={host}",
                    "-addext", f"subjectAltName=DNS:{host},DNS:localhost,IP:127.0.0.1",
                    "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"],
                   check=True, capture_output=True, timeout=30)
    (folder / f"{name}.key").chmod(0o600)


def trusting(folder):
    """What a client believes: the certificate of the test."""
    return ssl.create_default_context(cafile=folder / "server.pem")


def with_people(house, *, listen="", top="", auth="", submission="", passwords=PASSWORDS, **configuration):
    """Configures a house that was not started: house.submission (STARTTLS) and house.submissions (TLS at once) are ports."""
    house.submission, house.submissions = free_port(), free_port()
    certificate(house.folder)
    house.write("users", "".join(f"{user}:{scram_entry(password)}\n" for user, password in passwords.items()))
    house.configure(
        listen=f"; listen 127.0.0.1:{house.submission} submission; "
               f"listen 127.0.0.1:{house.submissions} submissions {listen}",
        top=f"tls {{ certificate server.pem; key server.key }}\n"
            f"auth {{ passwords file:users; {auth} }}\nsubmission {{ {submission} }}\n{top}",
        **configuration)
    return house


def plain(user, password, authorization=""):
    """The response of PLAIN (RFC 4616)."""
    return base64.b64encode(f"{authorization}\0{user}\0{password}".encode()).decode()


def scram_answer(password, bare, first, head="n,,", bound=b"", proof=lambda p: p):
    """RFC 5802 3: the client's last message after the server's first one, and the signature that must follow."""
    said = dict(part.split("=", 1) for part in first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(said["s"]), int(said["i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    final = f"c={base64.b64encode(head.encode() + bound).decode()},r={said['r']}"
    message = f"{bare},{first},{final}".encode()
    signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
    proven = proof(bytes(a ^ b for a, b in zip(key, signature)))
    return (f"{final},p={base64.b64encode(proven).decode()}",
            hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256"))


def fresh_address():
    """Of a client that nobody has seen: failures of others make it wait no longer."""
    number = next(CLIENTS)
    return f"127.{os.getpid() % 250 + 1}.{number // 250 % 250}.{number % 250 + 1}"


class TlsWire(Wire):
    """SMTP as octets, under TLS: at once, or from starttls() on."""

    def __init__(self, house, wrapped=True, context=None, user=None, **keywords):
        self.context = context or trusting(house.folder)
        keywords.setdefault("source", fresh_address())
        if wrapped:
            super().__init__(house.submissions, greet=False, **keywords)
            self.secure()
            self.expect("220")
            self.features = self.ehlo()
        else:
            super().__init__(house.submission, **keywords)
            self.starttls()
        if user:
            self.login(user)

    def secure(self):
        self.socket = self.context.wrap_socket(self.socket, server_hostname=f"mx.{DOMAIN}")

    def starttls(self):
        self.say("STARTTLS", "220 2.0.0")
        assert self.buffer == b""
        self.secure()
        self.features = self.ehlo()

    def login(self, user, password=None):
        self.say("AUTH PLAIN " + plain(f"{user}@{DOMAIN}", password or PASSWORDS[user]), "235 2.7.0")


@contextlib.contextmanager
def tls(house, **keywords):
    wire = TlsWire(house, **keywords)
    try:
        yield wire
    finally:
        wire.close()

"""
Certificates and keys made for a test, and the octets of a key that nobody else may hold.
"""
import base64
import re
import subprocess

KINDS = {"rsa": ["-newkey", "rsa:2048"],
         "ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
         "ed25519": ["-newkey", "ed25519"]}
# as `openssl pkey -text` calls what is secret
SECRET = re.compile(r"(?m)^(privateExponent|prime[12]|exponent[12]|coefficient|priv):\n((?: +[0-9a-f:]+\n)+)")
PART = 16  # octets that are looked for; a key is not found by chance


def openssl(*arguments):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, text=True, timeout=60).stdout


class Paper:
    """A key and its certificate, of these host names, as text and as FOLDER/NAME.key and NAME.pem."""

    def __init__(self, house, name, kind, *hosts, days=30, write=True):
        self.house, self.name, self.kind, self.hosts = house, name, kind, hosts
        key, certificate = house.folder / "made.key", house.folder / "made.pem"
        openssl("req", "-x509", *KINDS[kind], "-nodes", "-days", days, "-subj", f"/CN={hosts[0]}",
                "-addext", "subjectAltName=" + ",".join(f"DNS:{host}" for host in hosts),
                "-keyout", key, "-out", certificate)
        self.key, self.certificate = key.read_text(), certificate.read_text()
        self.text = openssl("pkey", "-in", key, "-text", "-noout")
        self.der = base64.b64decode("".join(self.certificate.split("\n")[1:-2]))
        key.unlink()
        if write:
            self.write_key()
            self.write_certificate()

    def write_key(self):
        self.house.write(f"{self.name}.key", self.key)
        (self.house.folder / f"{self.name}.key").chmod(0o600)

    def write_certificate(self):
        self.house.write(f"{self.name}.pem", self.certificate)

    def statement(self):
        return f"certificate {self.name}.pem; key {self.name}.key"

    def secrets(self):
        """What of the key may be in a memory, {what: octets}: numbers in both orders of octets, and its text."""
        found = {}
        for what, digits in SECRET.findall(self.text):
            octets = bytes.fromhex(re.sub(r"[ :\n]", "", digits)).lstrip(b"\0")
            middle = len(octets) // 2 - PART // 2
            for order, number in (("big", octets), ("little", octets[::-1])):
                found[f"{what}, {order} end first"] = number[middle:middle + PART]
        lines = self.key.split("\n")[1:-2]
        found["PEM"] = lines[len(lines) // 2][-2 * PART - 8:-8].encode()
        return found


def memory(pid):
    """Every mapping of a process that can be read, one after the other."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            span, rights, *_ = line.split()
            if "r" not in rights or "[v" in line:
                continue
            start, end = (int(x, 16) for x in span.split("-"))
            try:
                mem.seek(start)
                yield mem.read(end - start)
            except (OSError, OverflowError):
                continue  # of a device


def known(pid, secrets):
    """Which of these the process has in its memory."""
    found = set()
    for octets in memory(pid):
        found |= {what for what, secret in secrets.items() if secret in octets}
    return found

"""
People's mail programs, which were not written here, send with a password: nodemailer, s-nail, mutt, git send-email's
way by msmtp. Each checks our certificate, and each hears of a wrong password.
"""
import os
import shutil
import subprocess

import pytest

import people
from stagepost import DOMAIN, wait_for

NODEMAILER = "/usr/share/nodejs/nodemailer"  # of the package node-nodemailer
SECONDS = 60


@pytest.fixture(scope="module")
def house(request):
    from conftest import Maker
    maker = Maker()
    yield people.with_people(maker(start=False)).start()
    maker.end()


def needs(program, file=None):
    if not shutil.which(program) or (file and not os.path.exists(file)):
        pytest.skip(f"{program} is not installed")


def run(house, *command, text="", **environment):
    home = house.folder / "home"
    home.mkdir(exist_ok=True)
    return subprocess.run([str(word) for word in command], input=text, text=True, capture_output=True, timeout=SECONDS,
                          env={**os.environ, "HOME": str(home), "MAILRC": "/dev/null", **environment})


def arrived(house, user, subject):
    return wait_for(lambda: [l for l in house.letters(user) if f"Subject: {subject}\n".encode() in l.content],
                    what=f"the mail `{subject}`")[0]


SCRIPT = """
const nodemailer = require(process.env.NODEMAILER), fs = require('fs');
const way = JSON.parse(process.env.WAY);
way.tls = {ca: fs.readFileSync(process.env.CA)};
nodemailer.createTransport(way).sendMail(
    {from: process.env.FROM, to: process.env.TO, subject: process.env.SUBJECT, text: 'Gr\\u00fc\\u00dfe',
     attachments: [{filename: 'a.bin', content: Buffer.alloc(100000, 7)}]},
    (error, info) => { console.log(error ? error.message : info.response); process.exit(error ? 1 : 0); });
"""


@pytest.mark.parametrize("port, secure", [("submission", False), ("submissions", True)])
@pytest.mark.parametrize("method", ["PLAIN", "LOGIN"])
def test_nodemailer_sends(house, port, secure, method):
    needs("node", NODEMAILER)
    subject = f"nodemailer {port} {method}"
    way = (f'{{"host": "127.0.0.1", "port": {getattr(house, port)}, "secure": {str(secure).lower()}, '
           f'"requireTLS": true, "authMethod": "{method}", '
           f'"auth": {{"user": "alice@{DOMAIN}", "pass": "PASS"}}}}')
    environment = dict(NODEMAILER=NODEMAILER, CA=str(house.folder / "server.pem"), FROM=f"alice@{DOMAIN}",
                       TO=f"bob@{DOMAIN}", SUBJECT=subject)
    done = run(house, "node", "-e", SCRIPT, WAY=way.replace("PASS", people.PASSWORDS["alice"]), **environment)
    assert done.returncode == 0 and "250 2.0.0 Ok: queued as" in done.stdout, done.stdout + done.stderr
    letter = arrived(house, "bob", subject)
    assert letter.sender == f"alice@{DOMAIN}" and "with ESMTPSA" in letter.received
    wrong = run(house, "node", "-e", SCRIPT, WAY=way.replace("PASS", "wrong"), **environment)
    assert wrong.returncode == 1 and "535 5.7.8" in wrong.stdout, wrong.stdout + wrong.stderr


@pytest.mark.parametrize("auth", ["plain", "login"])
def test_s_nail_sends(house, auth):
    needs("s-nail")
    subject = f"s-nail {auth}"

    def send(password):
        return run(house, "s-nail", "-:/", "-Sv15-compat", "-Ssendwait", "-Snosave", "-S", f"from=alice@{DOMAIN}",
                   "-S", f"tls-ca-file={house.folder}/server.pem", "-S", "tls-verify=strict", "-S", f"smtp-auth={auth}",
                   "-S", f"mta=submissions://alice%40{DOMAIN}:{password}@localhost:{house.submissions}",
                   "-s", subject, f"bob@{DOMAIN}", text="Hello.\n")
    done = send(people.PASSWORDS["alice"].replace(" ", "%20"))
    assert done.returncode == 0, done.stderr
    assert arrived(house, "bob", subject).sender == f"alice@{DOMAIN}"
    assert send("wrong").returncode != 0


@pytest.mark.parametrize("url", ["smtp", "smtps"])
def test_mutt_sends(house, url):
    needs("mutt")
    port = house.submission if url == "smtp" else house.submissions
    subject = f"mutt by {url}"

    def send(password):
        rc = house.folder / "muttrc"
        rc.write_text(f'set from="alice@{DOMAIN}"\nset smtp_url="{url}://alice%40{DOMAIN}@localhost:{port}"\n'
                      f'set smtp_pass="{password}"\nset ssl_force_tls=yes\nset tunnel=""\n'
                      f'set certificate_file="{house.folder}/server.pem"\nset copy=no\n')
        return run(house, "mutt", "-n", "-F", rc, "-s", subject, "--", f"bob@{DOMAIN}", text="Hello.\n")
    done = send(people.PASSWORDS["alice"])
    assert done.returncode == 0, done.stderr
    assert arrived(house, "bob", subject).sender == f"alice@{DOMAIN}"
    assert send("wrong").returncode != 0

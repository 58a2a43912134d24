#!/usr/bin/env python3
"""HTTP between real programs: nginx, Apache httpd, curl, ab and wrk, with haka between two interfaces.

    web.py [--short] HAKA          exit 77: skipped, with the reason
"""
import argparse
import hashlib
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import lab

HERE = Path(__file__).resolve().parent
NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; worker_processes 1; user root;
events {{ worker_connections 256; }}
http {{ access_log {folder}/access.log; client_max_body_size 0; keepalive_requests 100000;
    types {{ text/html html; }} default_type application/octet-stream; client_body_temp_path {folder}/tmp; proxy_temp_path {folder}/tmp;
    fastcgi_temp_path {folder}/tmp; uwsgi_temp_path {folder}/tmp; scgi_temp_path {folder}/tmp;
    client_header_timeout 300;
    server {{ listen 80; root {folder}/www; dav_methods PUT; add_header X-Agent "$http_user_agent";
              location /old {{ return 302 /page.html; }}
              location /form {{ proxy_pass http://127.0.0.1:81; }} }}
    server {{ listen 81; location / {{ return 200 "form of $content_length\\n"; }} }} }}
"""
MODULES = ("mpm_event", "authz_core", "mime", "alias", "headers", "dav", "dav_fs", "proxy", "proxy_http")
APACHE = """
ServerName 192.168.20.1
Listen 8080
PidFile {folder}/apache.pid
ErrorLog {folder}/apache.log
User www-data
Timeout 300
KeepAlive On
MaxKeepAliveRequests 0
LimitRequestBody 0
LogFormat "\\"%r\\" \\"%{{User-Agent}}i\\"" agents
CustomLog {folder}/apache-access.log agents
TypesConfig /dev/null
AddType text/html .html
DocumentRoot {folder}/www
DavLockDB {folder}/tmp/lock
Header set X-Agent "expr=%{{HTTP_USER_AGENT}}"
Redirect 302 /old /page.html
ProxyPass /form http://127.0.0.1:81/
<Directory {folder}/www>
Require all granted
Dav On
</Directory>
"""
AGENT = "somebody else, with a longer name"
RSS_MAX_MB = 200


def digest(data):
    return hashlib.sha256(data).hexdigest()


# Asks and waits for the server to close: what it heard.
PATIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as s:
    s.sendall(b"GET /secret HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    heard = b""
    while data := s.recv(4096):
        heard += data
    print(heard.decode())
"""


def curl(*arguments, timeout=300):
    return lab.inside("client", "curl", "-sS", "-m", timeout, *arguments, timeout=timeout + 5)


class Checks:
    def __init__(self, size):
        self.size, self.failed = size, 0
        self.www, self.home = lab.FOLDER / "www", lab.FOLDER / "home"

    def check(self, what, good):
        print(f"  {'good' if good else 'BAD '}  {what}", flush=True)
        self.failed += not good

    def body(self, *arguments):
        curl("-o", self.home / "got", *arguments)
        return (self.home / "got").read_bytes()

    def run(self, haka, url, log):
        print(url)
        page = (self.www / "page.html").read_bytes()
        file = (self.www / "file").read_bytes()
        changed = digest(page.replace(b"sentence", b"long sentence"))
        self.check("a word in a page is another", digest(self.body(f"{url}/page.html")) == changed)
        self.check("behind a redirection", digest(self.body("-L", f"{url}/old")) == changed)
        head = curl("-I", f"{url}/page.html")
        self.check("HEAD", f"Content-Length: {len(page)}" in head and f"X-Agent: {AGENT}" in head)
        self.check("a file that is no page", digest(self.body(f"{url}/file")) == digest(file))
        self.check("a range of it", self.body("-r", "1000-99999", f"{url}/file") == file[1000:100000])
        self.check("HTTP/1.0", digest(self.body("-0", f"{url}/file")) == digest(file))
        both = curl("-o", self.home / "one", f"{url}/page.html", "-o", self.home / "two", f"{url}/page.html",
                    "-w", "%{num_connects}")
        self.check("two pages on one connection", both == "10" and
                   {digest((self.home / name).read_bytes()) for name in ("one", "two")} == {changed})
        form = curl("-F", "name=value", "-F", f"file=@{self.www / 'page.html'}", f"{url}/form")
        self.check("a multipart form", int(form.split()[-1]) > len(page))
        refused = curl("-w", "%{http_code}", f"{url}/secret")
        self.check("a request that haka answers", refused == "no\n403")
        address = url.removeprefix("http://").partition(":")
        heard = lab.inside("client", "python3", "-c", PATIENT, address[0], address[2] or 80)
        self.check("and the end of the connection", "403" in heard and heard.endswith("no\n\n"))
        before = rss_mb(haka)
        curl("-T", self.home / "large", f"{url}/back")
        self.check(f"an upload of {self.size >> 20} MiB",
                   (self.www / "back").stat().st_size == self.size and
                   digest_of(self.www / "back") == digest_of(self.home / "large"))
        (self.www / "back").unlink()
        after = rss_mb(haka)
        self.check(f"in constant memory: {before} MB, then {after} MB",
                   after - before < 64 and after < RSS_MAX_MB)
        if shutil.which("ab"):
            said = lab.inside("client", "ab", "-q", "-k", "-n", 5000, "-c", 16, f"{url}/small", timeout=120)
            self.check("ab -k", "Failed requests:        0" in said and
                       "Complete requests:      5000" in said)
        if shutil.which("wrk"):
            said = lab.inside("client", "wrk", "-t1", "-c16", "-d3s", f"{url}/small", timeout=60)
            rate = re.search(r"Requests/sec: +([\d.]+)", said)
            self.check(f"wrk: {rate and rate.group(1)} requests/s",
                       rate and float(rate.group(1)) > 100 and "Non-2xx" not in said)
        agents = set(re.findall(r'"([^"]*)"$', log.read_text(), re.M))
        self.check("every request the server saw had another User-Agent", agents == {AGENT})
        self.check("and none was the refused one", "/secret" not in log.read_text())


def digest_of(path):
    done = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            done.update(block)
    return done.hexdigest()


def rss_mb(process):
    """Of the supervisor and its worker process."""
    pids = [process.pid, *Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    status = [Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return sum(int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) for text in status) // 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--short", action="store_true", help="an upload of 50 MiB, not of 1 GiB")
    parser.add_argument("haka", type=lambda text: str(Path(text).resolve()))
    options = parser.parse_args()
    lab.enter()
    for tool in ("nginx", "apache2", "curl"):
        if not shutil.which(tool):
            lab.skip(f"no {tool} here")
    lab.build("cubic")
    size = (50 if options.short else 1024) << 20
    for name in ("www", "tmp", "home"):
        (lab.FOLDER / name).mkdir()
        (lab.FOLDER / name).chmod(0o777)  # One of the servers isn't root.
    www = lab.FOLDER / "www"
    line = b"<p>This is a sentence, and another sentence.</p>\n"
    (www / "page.html").write_bytes(b"<html>" + line * 5000 + b"</html>\n")
    (www / "file").write_bytes(bytes(i * i % 251 for i in range(3_000_000)))
    (www / "small").write_bytes(b"x" * 300)
    with open(lab.FOLDER / "home" / "large", "wb") as file:
        block = bytes(i * 7 % 256 for i in range(1 << 20))
        for number in range(size >> 20):
            file.write(number.to_bytes(4, "big") + block[4:])
    (lab.FOLDER / "nginx.conf").write_text(NGINX.format(folder=lab.FOLDER))
    modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in MODULES)
    (lab.FOLDER / "apache.conf").write_text(modules + APACHE.format(folder=lab.FOLDER))
    log = open(lab.FOLDER / "haka.log", "w", encoding="utf-8")
    haka = subprocess.Popen([options.haka, "run", "-i", "client:server", str(HERE / "policies" / "http.lua")],
                            stdout=log, stderr=log)
    inside = ["ip", "netns", "exec", "server"]
    servers = [subprocess.Popen(inside + ["nginx", "-c", str(lab.FOLDER / "nginx.conf"),
                                          "-e", str(lab.FOLDER / "nginx.log")]),
               subprocess.Popen(inside + ["apache2", "-DFOREGROUND", "-f", str(lab.FOLDER / "apache.conf")])]
    checks = Checks(size)
    try:
        until = time.monotonic() + 15
        while not all(f":{port} " in lab.inside("server", "ss", "-Htanl") for port in (80, 81, 8080)):
            if time.monotonic() > until:
                raise RuntimeError("a server did not come up")
            time.sleep(0.05)
        checks.run(haka, "http://192.168.20.1", lab.FOLDER / "access.log")
        checks.run(haka, "http://192.168.20.1:8080", lab.FOLDER / "apache-access.log")
    finally:
        haka.send_signal(signal.SIGTERM)
        haka.wait(30)
        for server in servers:
            server.terminate()
            server.wait(10)
        log.close()
        text = (lab.FOLDER / "haka.log").read_text()
        if checks.failed or " error " in text:
            print(text[-4000:])
    return 1 if checks.failed or " error " in text else 0


if __name__ == "__main__":
    sys.exit(main())

"""Real programs through the engine: nginx and curl, sshd and scp."""
import os
import random
import shutil
import subprocess
import time
from hashlib import sha256

import lab

NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; worker_processes 1; user root;
events {{ worker_connections 64; }}
http {{ access_log off; default_type text/plain; client_max_body_size 0;
    client_body_temp_path {folder}/tmp; proxy_temp_path {folder}/tmp; fastcgi_temp_path {folder}/tmp;
    uwsgi_temp_path {folder}/tmp; scgi_temp_path {folder}/tmp;
    server {{ listen 80; listen [::]:80; root {folder}/www; dav_methods PUT;
              add_header X-Asked "$http_x_live"; }} }}
"""
SSHD = """
Port 22
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile {folder}/sshd.pid
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
Subsystem sftp internal-sftp
"""
PATIENCE = 120  # s


def digest(path):
    return sha256(path.read_bytes()).hexdigest()


class Hosts:
    """A web and an ssh server; works() are what a client does with them."""

    def __init__(self, size):
        self.servers = []
        for name in ("www", "tmp", "home"):
            shutil.rmtree(lab.FOLDER / name, ignore_errors=True)
            (lab.FOLDER / name).mkdir()
        self.file = lab.FOLDER / "www" / "file"
        self.file.write_bytes(random.Random(5).randbytes(size))

    def works(self):
        if shutil.which("nginx") and shutil.which("curl"):
            self.start("nginx", 80, NGINX, "-c", lab.FOLDER / "nginx.conf", "-e",
                       lab.FOLDER / "nginx.log")
            yield "curl download and upload, IPv4", lambda policy: self.curl(policy, "192.168.20.1")
            yield "curl download and upload, IPv6", lambda policy: self.curl(policy, "[fd00::20]")
        else:
            print("  no nginx or curl here: left out")
        if shutil.which("sshd") and shutil.which("scp"):
            for key in ("host_key", "key"):
                if not (lab.FOLDER / key).exists():
                    lab.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", lab.FOLDER / key)
            self.start("sshd", 22, SSHD, "-D", "-f", lab.FOLDER / "sshd.conf", "-E",
                       lab.FOLDER / "sshd.log")
            yield "scp there and back, IPv4", lambda policy: self.scp("192.168.20.1")
            yield "scp there and back, IPv6", lambda policy: self.scp("[fd00::20]")
        else:
            print("  no sshd or scp here: left out")

    def start(self, name, port, settings, *arguments):
        (lab.FOLDER / f"{name}.conf").write_text(settings.format(folder=lab.FOLDER))
        command = ["ip", "netns", "exec", "server", shutil.which(name), *map(str, arguments)]
        self.servers.append(subprocess.Popen(command, start_new_session=True,
                                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        until = time.monotonic() + 10
        while f":{port} " not in lab.inside("server", "ss", "-Htanl"):
            if time.monotonic() > until or self.servers[-1].poll() is not None:
                raise RuntimeError(f"{name} did not come up")
            time.sleep(0.05)

    def curl(self, policy, host):
        faults = []
        home = lab.FOLDER / "home"
        lab.inside("client", "curl", "-sSgf", "-m", PATIENCE, "-D", home / "head", "-o", home / "file",
                   f"http://{host}/file", timeout=PATIENCE + 5)
        head = (home / "head").read_text()
        for line in ("X-Live: yes", "X-Asked: yes"):
            if (line in head) != (policy == "start"):
                faults.append(f"{line}: {'missing in' if policy == 'start' else 'in'} {head!r}")
        lab.inside("client", "curl", "-sSgf", "-m", PATIENCE, "-H", "Expect:", "-T", self.file,
                   f"http://{host}/back", timeout=PATIENCE + 5)
        return faults + self.compare(home / "file", lab.FOLDER / "www" / "back")

    def scp(self, host):
        home = lab.FOLDER / "home"
        options = ["-q", "-i", lab.FOLDER / "key", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o",
                   "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        for source, target in ((f"root@{host}:{self.file}", home / "file"),
                               (home / "file", f"root@{host}:{home}/back")):
            lab.inside("client", "scp", *options, source, target, timeout=PATIENCE)
        return self.compare(home / "file", home / "back")

    def compare(self, *copies):
        wanted = digest(self.file)
        faults = [f"{copy} is not what was sent" for copy in copies if digest(copy) != wanted]
        for copy in copies:
            os.unlink(copy)
        return faults

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.terminate()
            server.wait(10)

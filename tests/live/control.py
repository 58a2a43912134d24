#!/usr/bin/env python3
"""A running engine between two hosts, steered over its control socket, scraped and asked to stop.

    control.py HAKA SOURCE
"""
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request

import lab

HAKA, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
CONTROL = "/run/live/control.sock"
POLICY = """
haka.rule{ name = "tells", hooks = { "tcp-connection-new" }, eval = function (self, pkt)
    haka.log.debug("mine", "a new one")
end }
"""
PATIENCE = 20


def ctl(*words, status=0):
    done = subprocess.run([HAKA, "ctl", "--socket", CONTROL, *words], capture_output=True, text=True,
                          timeout=60, check=False)
    if done.returncode != status:
        raise AssertionError(f"haka ctl {words}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def asked(*words):
    return json.loads(ctl("--json", *words))["message"]


def until(holds, what):
    """Waits for what comes by itself, for so long as no machine takes."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError(f"never came: {what}")


class Control(unittest.TestCase):
    def setUp(self):
        lab.FOLDER.joinpath("policy.lua").write_text(POLICY, encoding="utf-8")
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notices.bind("/run/live/notify")
        self.notices.settimeout(PATIENCE)
        self.addCleanup(lambda: (self.notices.close(), os.unlink("/run/live/notify")))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.engine = subprocess.Popen(
            [HAKA, "run", "-q", "-i", "client:server", "--set", f"control.socket={CONTROL}",
             "--metrics", str(self.port), "/run/live/policy.lua"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=dict(os.environ, NOTIFY_SOCKET="/run/live/notify", WATCHDOG_USEC="200000"))
        self.addCleanup(self.end)
        self.assertIn("READY=1", self.notices.recv(4096).decode())

    def end(self):
        if self.engine.poll() is None:
            self.engine.kill()
        self.engine.communicate()

    def connect(self):
        with lab.at("server"):
            listener = socket.create_server(("192.168.20.1", 8080))
        with lab.at("client"):
            client = socket.create_connection(("192.168.20.1", 8080), timeout=PATIENCE)
        server, _ = listener.accept()
        listener.close()
        server.settimeout(PATIENCE)
        for end in (client, server):
            self.addCleanup(end.close)
        client.sendall(b"question")
        self.assertEqual(server.recv(100), b"question")
        return client, server

    def row(self):
        until(lambda: asked("connections", "port=8080", "state=established")["connections"], "it")
        return asked("connections", "port=8080")["connections"][0]

    def test_tells_what_runs(self):
        status = asked("status")
        self.assertEqual(status["source"], "-i client:server")
        self.assertEqual(status["workers"], 1)
        self.assertIn("-i client:server", ctl("status"))
        self.assertEqual(os.stat(CONTROL).st_mode & 0o777, 0o600)

    def test_lists_and_resets_a_connection(self):
        client, server = self.connect()
        row = self.row()
        self.assertEqual((row["client"], row["server"], row["server_port"]),
                         ("192.168.10.1", "192.168.20.1", 8080))
        self.assertIn(str(row["id"]), ctl("connections"))
        self.assertEqual(asked("connections", "port=1")["connections"], [])
        self.assertIn("is reset", ctl("reset", str(row["id"])))
        for end in (client, server):
            with self.assertRaises(ConnectionResetError):
                end.recv(100)
        self.assertIn("has ended already", ctl("reset", str(row["id"]), status=1))
        self.assertIn("there is no connection 1", ctl("drop", "1", status=1))

    def test_drops_a_connection(self):
        client, server = self.connect()
        self.assertIn("is dropped", ctl("drop", str(self.row()["id"])))
        client.sendall(b"more")
        server.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            server.recv(100)
        self.assertEqual(asked("stats")["connections"]["DROPPED"], 1)

    def test_sets_levels_and_counts_rules(self):
        ctl("log-level", "mine=debug")
        self.assertEqual(asked("status")["log_levels"]["mine"], "debug")
        self.connect()
        rule = asked("rules")["rules"][0]
        self.assertEqual((rule["name"], rule["calls"], rule["errors"]), ("tells", 1, 0))
        self.assertIn("tells", ctl("rules"))
        ctl("stop")
        self.assertIn("a new one", self.engine.communicate(timeout=PATIENCE)[1])

    def test_reloads_the_policy(self):
        policy = lab.FOLDER / "policy.lua"
        self.assertEqual(asked("status")["generation"], 1)
        policy.write_text(POLICY.replace('"tells"', '"tells more"'), encoding="utf-8")
        self.assertIn("reloaded: generation 2", ctl("reload"))
        self.assertEqual(asked("status")["generation"], 2)
        self.assertEqual(asked("rules")["rules"][0]["name"], "tells more")
        policy.write_text("nonsense(", encoding="utf-8")
        said = ctl("reload", status=1)
        self.assertIn("policy.lua:1", said)
        self.assertIn("generation 2 goes on", said)
        self.connect()
        self.assertEqual(asked("rules")["rules"][0]["calls"], 1)
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=PATIENCE) as page:
            text = page.read().decode()
        self.assertRegex(text, r"(?m)^haka_policy_generation 2$")
        self.assertRegex(text, r'(?m)^haka_policy_reloads_total{result="done"} 1$')
        self.assertRegex(text, r'(?m)^haka_policy_reloads_total{result="failed"} 1$')

    def test_listens_again_after_a_fault(self):
        children = pathlib.Path(f"/proc/{self.engine.pid}/task/{self.engine.pid}/children")
        os.kill(int(children.read_text().split()[0]), 9)
        self.assertIn("READY=1", self.next_ready())
        self.assertEqual(asked("status")["workers"], 1)

    def next_ready(self):
        while "READY=1" not in (notice := self.notices.recv(4096).decode()):
            pass
        return notice

    def test_serves_every_metric_of_the_page(self):
        self.connect()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=PATIENCE) as page:
            text = page.read().decode()
        with self.assertRaises(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=PATIENCE)
        listed = dict(re.findall(r"^\| `(\w+)` \| (\w+)", (SOURCE / "docs/metrics.md").read_text(), re.M))
        served = dict(re.findall(r"^# TYPE (\w+) (\w+)", text, re.M))
        self.assertEqual({name: kind for name, kind in served.items() if not name.startswith("exposer_")},
                         listed)
        self.assertRegex(text, r'(?m)^haka_connections_active\{state="ESTABLISHED"\} 1$')
        self.assertRegex(text, r'(?m)^haka_rule_duration_seconds_count\{rule="tells"\} 1$')
        self.assertRegex(text, r'(?m)^haka_worker_answers\{worker="0"\} 1$')

    def test_who_connects_and_says_nothing_keeps_nobody_out(self):
        for _ in range(16):  # control.clients_max
            idle = socket.socket(socket.AF_UNIX)
            idle.connect(CONTROL)
            self.addCleanup(idle.close)
        for words in (b"", b"GET /metrics HTTP/1.1\r\nX: ", b"\0" * 100_000):
            for _ in range(8):
                silent = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
                self.addCleanup(silent.close)
                with contextlib.suppress(OSError):  # Garbage may be cut off.
                    silent.sendall(words)
        time.sleep(1.1)  # What is idle for a second gives way.
        self.assertEqual(asked("status")["workers"], 1)
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=PATIENCE) as page:
            self.assertIn("haka_build_info", page.read().decode())
        self.connect()
        self.engine.terminate()
        self.assertEqual(self.engine.wait(PATIENCE), 0)

    def test_the_service_manager_hears_of_it(self):
        def hears(word):
            until(lambda: word in self.notices.recv(4096).decode(), word)
        hears("WATCHDOG=1")
        ctl("stop")
        hears("STOPPING=1")
        self.assertEqual(self.engine.wait(PATIENCE), 0)
        self.assertFalse(os.path.exists(CONTROL))
        self.assertIn("no engine listens", ctl("status", status=1))

    def test_refuses_what_cannot_be(self):
        def refused(*words):
            done = subprocess.run([HAKA, "run", "-q", *words, "/run/live/policy.lua"], text=True,
                                  capture_output=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            return done.stderr
        self.assertIn("no such interface", refused("-i", "client:none"))
        lab.run("ip", "link", "add", "low", "mtu", "1000", "type", "veth", "peer", "name", "low2")
        self.addCleanup(lambda: lab.run("ip", "link", "delete", "low"))
        text = refused("-i", "client:low")
        self.assertIn("fail  low: down", text)
        self.assertIn("ip link set low up", text)
        self.assertIn("ip link set client mtu 1000", text)
        self.assertIn("another engine listens there",
                      refused("-i", "client", "--set", f"control.socket={CONTROL}"))
        self.assertIn("the port is in use",
                      refused("-i", "client", "--set", "control.socket=", "--metrics", str(self.port)))


if __name__ == "__main__":
    lab.enter()
    lab.build("reno")
    lab.run("ip", "link", "set", "lo", "up")
    unittest.main(argv=sys.argv[:1])

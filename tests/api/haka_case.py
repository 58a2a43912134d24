"""What the API tests stand on: runs the real program on a policy and packets made for the test."""
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import packets

HAKA = os.environ.get("HAKA", "haka")
TIME_MAX_S = 120

# Beside every policy: `expect` counts what held and prints what did not.
EXPECT = """
local expect, held, failed = {}, 0, 0
local function shown(value) return type(value) == "string" and ("%q"):format(value) or tostring(value) end
local function judge(good, text)
    if good then held = held + 1 return end
    failed = failed + 1
    print("NOT AS EXPECTED: " .. text)
end
function expect.equal(value, wanted)
    judge(value == wanted, "got " .. shown(value) .. ", wanted " .. shown(wanted))
end
function expect.yes(value, text) judge(value == true, (text or "") .. " got " .. shown(value)) end
function expect.no(value, text) judge(value == false, (text or "") .. " got " .. shown(value)) end
-- `f` must raise a text with `words` in it, which begins with the policy's file and a line.
function expect.fails(words, f, ...)
    local done, problem = pcall(f, ...)
    if done then judge(false, "no error; wanted one with " .. shown(words)) return end
    judge(tostring(problem):find(words, 1, true) ~= nil, "the error " .. shown(tostring(problem)) ..
        " lacks " .. shown(words))
    judge(tostring(problem):find("^[^\\n]*policy%.lua:%d+: ") ~= nil, "no line in " .. shown(tostring(problem)))
end
haka.on_exit(function() print("held " .. held .. " failed " .. failed) end)
return expect
"""


class Result:
    def __init__(self, case, done, folder):
        self.case, self.status, self.folder = case, done.returncode, folder
        self.out, self.err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))

    def __str__(self):
        return f"exit {self.status}\n--- out\n{self.out}--- err\n{self.err}"

    def lines(self):
        return self.out.splitlines()

    def leaving(self):
        return packets.parse(self.folder / "out.pcap")

    def text(self, name):
        return (self.folder / name).read_text(encoding="utf-8", errors="replace")


class HakaCase(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def command(self, *arguments, **options):
        options.setdefault("timeout", TIME_MAX_S)
        return Result(self, subprocess.run([HAKA, *map(str, arguments)], cwd=self.folder,
                                           capture_output=True, check=False, **options), self.folder)

    def write_policy(self, policy, files=()):
        (self.folder / "policy.lua").write_text(policy, encoding="latin-1")
        (self.folder / "expect.lua").write_text(EXPECT)
        for name, text in dict(files).items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)

    def run_policy(self, policy, frames=None, *arguments, status=0, files=(), **options):
        """Runs `policy` over the frames (one HTTP exchange when None, a path is taken as it is)."""
        self.write_policy(policy, files)
        capture = frames
        if not isinstance(frames, (str, Path)):
            capture = "in.pcap"
            packets.write(self.folder / capture, packets.exchange() if frames is None else frames)
        result = self.command("run", "-r", capture, "-w", "out.pcap", "--colour", "never",
                              *arguments, "policy.lua", **options)
        if status is not None:
            self.assertEqual(result.status, status, result)
        return result

    def expect(self, policy, frames=None, *arguments, held, **options):
        """Runs a policy whose `expect` calls must all hold: `held` of them, and no rule may fail."""
        result = self.run_policy('local expect = require("expect") ' + policy, frames, *arguments,
                                 **options)
        self.assertNotIn("NOT AS EXPECTED", result.out, result)
        self.assertNotIn(" error ", result.err, result)
        self.assertIn(f"held {held} failed 0", result.lines(), result)
        return result

    def assert_whole(self, result):
        """No packet that left has a bad checksum."""
        for number, packet in enumerate(result.leaving(), 1):
            self.assertEqual(packet.bad, [], f"packet {number} of the output")

#!/usr/bin/env python3
"""Holds the pages to the program: examples run, the tables of events and settings are complete.

    docs.py HAKA SOURCE
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

HAKA, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])


def text_of(path):
    return (SOURCE / path).read_text(encoding="utf-8")


class Docs(unittest.TestCase):
    def test_every_example_runs_without_a_complaint(self):
        for page in ("README.md", "docs/policy-guide.md"):
            examples = re.findall(r"^```lua\n(.*?)^```", text_of(page), re.M | re.S)
            self.assertNotEqual(examples, [], page)
            for number, example in enumerate(examples, 1):
                with tempfile.TemporaryDirectory() as folder:
                    policy = pathlib.Path(folder, "policy.lua")
                    policy.write_text(example, encoding="utf-8")
                    done = subprocess.run(
                        [HAKA, "run", "-r", SOURCE / "samples/captures/firewall.pcap", "--seed", "1", policy],
                        capture_output=True, text=True, check=False)
                where = f"{page}, example {number}:\n{done.stderr}"
                self.assertEqual(done.returncode, 0, where)
                self.assertNotIn("rule-error", done.stderr, where)

    def test_the_events_are_those_of_the_source(self):
        events = re.findall(r'X\([A-Z]\w+,[\s\\]*"([^"]+)",[\s\\]*"([^"]+)"\)', text_of("src/base/event.h"))
        table = text_of("docs/output.md").partition("## Events")[2]
        rows = re.findall(r"^\| `([a-z0-9.-]+)` \| ([^|]+) \|", table, re.M)
        self.assertEqual([(name, text) for name, text in events if name != "none"],
                         rows)

    def test_every_setting_has_its_row(self):
        known = set(re.findall(r'add\("(\w+)"|emplace_back\("\w*", "(\w+)"', text_of("src/app/setting.cc")))
        known = {first or second for first, second in known}
        rows = set(re.findall(r"^\| `(\w+)` \|", text_of("docs/settings.md"), re.M))
        self.assertEqual(known, rows)

    def test_every_metric_has_its_row(self):
        source = text_of("src/control/metrics.cc")
        known = set(re.findall(r'"((?:haka|process)_\w+)"', source))
        rows = set(re.findall(r"^\| `((?:haka|process)_\w+)` \|", text_of("docs/metrics.md"), re.M))
        self.assertEqual(known, rows)

    def test_links_lead_to_files(self):
        pages = [path for pattern in ("*.md", "docs/*.md", "samples/*.md", "src/*/*.md", "lua/haka/*.md")
                 for path in SOURCE.glob(pattern)]
        for page in pages:
            for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
                if "://" not in link:
                    self.assertTrue((page.parent / link).exists(), f"{page}: {link}")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])

#!/usr/bin/env python3
"""Holds manual pages, completions and the service to what the program says of itself.

    packaging.py HAKA SOURCE BUILD
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HAKA, SOURCE, BUILD = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
COMMANDS = ("run", "check", "ctl", "doctor")
CTL_COMMANDS = {"status", "stats", "connections", "drop", "reset", "rules", "reload", "log-level", "stop"}
# What completions and manuals offer beside the lines of --help.
ALIASES = {"-q": "--quiet", "--colour": "--color", "-h": "--help", "-V": "--version"}


def text_of(path):
    return (SOURCE / path).read_text(encoding="utf-8")


def help_of(command):
    return subprocess.run([HAKA, command, "--help"], capture_output=True, text=True, check=True).stdout


def options_of(command):
    """Options that --help explains, each at the begin of a line; check says its own in its usage."""
    text = help_of(command)
    usage = text.partition("\n\n")[2].partition("\n\n")[0]
    return set(re.findall(r"^  (--?[a-z][a-z-]*)", text, re.M)) | set(re.findall(r"\[(--?[a-z][a-z-]*)", usage))


def plain(man):
    """The text of a manual page without its marks."""
    return man.replace("\\-", "-").replace("\\(dq", '"')


def bash(words, begun="''"):
    """What bash offers for the word that is begun behind these words."""
    script = f"""
        source {SOURCE}/packaging/completions.bash
        compopt() {{ :; }}
        COMP_WORDS=({" ".join(words)} {begun}); COMP_CWORD={len(words)}
        _haka; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


class Packaging(unittest.TestCase):
    def test_every_option_has_its_place_in_the_manual(self):
        for command in COMMANDS:
            page = text_of(f"packaging/haka-{command}.1")
            terms = plain("\n".join(re.findall(r"^\.TP\n(.*)", page, re.M)))
            found = set(re.findall(r"(?<![\w-])--?[A-Za-z][a-z-]*", terms))
            for option in options_of(command):
                self.assertIn(option, found, f"haka-{command}.1")
            known = options_of(command) | set(ALIASES.values()) | set(ALIASES)
            self.assertLessEqual(found, known, f"haka-{command}.1")

    def test_every_command_of_ctl_has_its_place_in_the_manual(self):
        page = plain(text_of("packaging/haka-ctl.1"))
        for command in CTL_COMMANDS:
            self.assertRegex(page, rf"(?m)^\.TP\n\.BI? {command}\b")
            self.assertRegex(help_of("ctl"), rf"(?m)^  {command}\b")

    def test_every_setting_has_its_place_in_the_manual(self):
        page = plain(text_of("packaging/haka.toml.5"))
        section, known = "", set()
        for line in text_of("docs/settings.md").splitlines():
            if match := re.match(r"## \[(\w+)\]", line):
                section = match[1] + "."
            if match := re.match(r"\| `(\w+)` \|", line):
                known.add(section + match[1])
        section, found = "", set()
        for line in page.splitlines():
            if match := re.match(r"\[(\w+)\]", line):
                section = match[1] + "."
            if match := re.match(r"(\w+) = ", line):
                found.add(section + match[1])
        self.assertEqual(found, known)

    def test_the_settings_of_the_manual_are_right(self):
        page = plain(text_of("packaging/haka.toml.5"))
        example = page.partition(".nf\n")[2].partition("\n.fi")[0]
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "haka.toml").write_text(example, encoding="utf-8")
            pathlib.Path(folder, "policy.lua").write_text("", encoding="utf-8")
            done = subprocess.run([HAKA, "check", "-c", f"{folder}/haka.toml", f"{folder}/policy.lua"],
                                  capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_every_hook_has_its_place_in_the_manual(self):
        page = plain(text_of("packaging/haka-policy.7"))
        for hook in re.findall(r'return "([a-z0-9-]+-(?:up|down|new|end))"', text_of("src/script/hook.h")):
            self.assertIn(hook, page)

    def test_the_manuals_are_well_formed(self):
        if not shutil.which("man"):
            self.skipTest("there is no man")
        for page in sorted((SOURCE / "packaging").glob("haka*.[1-8]")):
            done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
            self.assertEqual(done.stderr, "", page.name)

    def test_bash_completes_what_there_is(self):
        self.assertLessEqual(set(COMMANDS), bash(["haka"]))
        for command in COMMANDS:
            self.assertEqual(bash(["haka", command], "-"), self.expected(command), command)
        self.assertEqual(bash(["haka", "ctl"]), CTL_COMMANDS)
        self.assertIn("debug", bash(["haka", "ctl", "log-level"]))
        self.assertIn("port=", bash(["haka", "ctl", "--json", "connections"]))

    @staticmethod
    def expected(command):
        options = options_of(command) | {"-h", "--help"}
        if command in ("run", "check"):
            options |= {"-V", "--version", "--colour"}
        return options | ({"--quiet"} if "-q" in options else set())

    def test_zsh_and_fish_complete_what_there_is(self):
        zsh, fish = text_of("packaging/completions.zsh"), text_of("packaging/completions.fish")
        completes = "\n".join(re.findall(r"^complete .*", fish, re.M))
        fish_options = {"-" + o for o in re.findall(r" -s (\w)\b", completes)}
        fish_options |= {"--" + o for o in re.findall(r" -l ([a-z-]+)", completes)}
        zsh_options = set(re.findall(r"(?<![\w-])(--?[a-z][a-z-]*)[\['\"]", zsh, re.I))
        for options in re.findall(r"\{(-[^}]*)\}", zsh):
            zsh_options |= set(options.split(","))
        everything = set()
        for command in COMMANDS:
            everything |= self.expected(command)
        everything.add("--color")
        self.assertEqual(zsh_options, everything)
        self.assertEqual(fish_options, everything)
        for command in list(CTL_COMMANDS) + list(COMMANDS):
            self.assertRegex(zsh, rf"\b{command}\b")
            self.assertRegex(fish, rf"\b{command}\b")

    def test_the_completions_are_well_formed(self):
        for shell in ("bash", "zsh", "fish"):
            if shutil.which(shell):
                subprocess.run([shell, "-n", SOURCE / f"packaging/completions.{shell}"], check=True)

    def test_an_installation_has_all_its_parts(self):
        with tempfile.TemporaryDirectory() as folder:
            environment = dict(os.environ, DESTDIR=folder)
            subprocess.run(["cmake", "--install", BUILD, "--prefix", "/opt/haka"], env=environment,
                           stdout=subprocess.DEVNULL, check=True)
            root = pathlib.Path(folder, "opt/haka")
            for part in ("bin/haka", "lib/systemd/system/haka.service", "share/man/man1/haka.1",
                         "share/man/man1/haka-ctl.1", "share/man/man5/haka.toml.5",
                         "share/man/man7/haka-policy.7",
                         "share/bash-completion/completions/haka",
                         "share/zsh/site-functions/_haka",
                         "share/fish/vendor_completions.d/haka.fish"):
                self.assertTrue((root / part).exists(), part)
            unit = (root / "lib/systemd/system/haka.service").read_text(encoding="utf-8")
            self.assertIn("ExecStart=/opt/haka/bin/haka run", unit)
            self.assertNotRegex(unit, "@[A-Z]+@")
            self.check_unit(folder, unit)

    def check_unit(self, folder, unit):
        analyze = shutil.which("systemd-analyze")
        if not analyze:
            return
        # The program isn't installed: another stands in for it. Its manuals aren't either.
        unit = re.sub(r"/opt/haka/bin/haka", "/bin/true", unit)
        unit = re.sub(r"(?m)^Documentation=.*\n", "", unit)
        path = pathlib.Path(folder, "haka.service")
        path.write_text(unit, encoding="utf-8")
        done = subprocess.run([analyze, "verify", path], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        done = subprocess.run([analyze, "security", "--offline=true", "--threshold=30", path],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-200:])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])

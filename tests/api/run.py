#!/usr/bin/env python3
"""Runs the API tests (test_*.py) with the program given: run.py HAKA [name of a test ...]"""
import os
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    os.environ["HAKA"] = str(Path(sys.argv[1]).resolve())
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(HERE))
    loader = unittest.TestLoader()
    names = sys.argv[2:]
    suite = loader.loadTestsFromNames(names) if names else loader.discover(str(HERE))
    sys.exit(not unittest.TextTestRunner().run(suite).wasSuccessful())

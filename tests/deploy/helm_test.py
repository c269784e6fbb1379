"""The Helm chart, by the real helm: what it makes of tests/deploy/values is valid, restricted, and as in tests/deploy/golden.

`python3 -B tests/deploy/helm_test.py --renew` writes the golden files anew, and the table of values in the chart's README.
"""
import base64
import concurrent.futures
import difflib
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import npm_tools  # noqa: E402
import restricted_pods  # noqa: E402
import values_table  # noqa: E402

CHART = os.path.join(os.path.dirname(os.path.dirname(HERE)), "helm", "trunkload")
VALUES = sorted(glob.glob(os.path.join(HERE, "values", "*.yaml")))
RENEW = "python3 -B tests/deploy/helm_test.py --renew"
# Helm makes these anew each time.
RANDOM_KEYS = {"ca.crt", "tls.crt", "tls.key", "token"}
HELM, NO_HELM = npm_tools.helm()

# What --set must not do, and what the sentence about it says.
REFUSED = {
    "agents.replica=5": "agents: Additional property replica is not allowed",
    "tls.mode=none": 'tls.mode must be one of the following: "chart", "secrets", "cert-manager"',
    "agents.kind=StatefulSet": 'agents.kind must be one of the following: "Deployment", "DaemonSet"',
    "agents.replicas=many": "agents.replicas: Invalid type. Expected: integer, given: string",
    "agents.replicas=-1": "agents.replicas: Must be greater than or equal to 0",
    "agents.terminationGracePeriodSeconds=3": "agents.terminationGracePeriodSeconds: Must be greater than or equal to 6",
    "agents.podDisruptionBudget.maxUnavailable=half": "agents.podDisruptionBudget.maxUnavailable: Does not match pattern",
    "agents.resources.limits.memory=1GB": "agents.resources.limits.memory",
    "agents.tolerations[0].effect=NoSuch": "agents.tolerations.0.effect must be one of",
    "controller.replicas=2": "controller: Additional property replicas is not allowed",
    "controller.persistence.size=big": "controller.persistence.size: Does not match pattern",
    "controller.service.type=Ingress": "controller.service.type must be one of",
    "controller.extraEnv[0].name=2BAD": "controller.extraEnv.0.name: Does not match pattern",
    "database.password=hunter2": "database: Additional property password is not allowed",
    "database.secret=Bench_Database": "database.secret: Does not match pattern",
    "image.tag=1.0": "image: Additional property tag is not allowed",
    "image.agent.digest=latest": "image.agent.digest: Does not match pattern",
    "image.pullPolicy=Sometimes": "image.pullPolicy must be one of",
    "networkPolicy.egress.databasePorts[0]=70000": "networkPolicy.egress.databasePorts.0: Must be less than or equal to 65535",
    "podSecurityContext.privileged=true": "podSecurityContext: Additional property privileged is not allowed",
    "podSecurityContext.seccompProfile.type=Unconfined": "podSecurityContext.seccompProfile.type must be one of",
    "runs.Nightly.configMap.name=x": "runs: Property name of \"Nightly\" does not match",
    "runs.a.plans=x": "runs.a: Additional property plans is not allowed",
    "serviceMonitor.interval=15": "serviceMonitor.interval: Invalid type",
    "tls.chart.days=0": "tls.chart.days: Must be greater than or equal to 1",
    "whatever=1": "Additional property whatever is not allowed",
    # Of values that don't go together, the chart's templates say it.
    "tls.mode=secrets": "tls.mode is secrets, and tls.secrets.agent names none",
    "tls.mode=secrets,tls.secrets.agent=a,tls.secrets.controller=c,tls.secrets.operator=o,tls.names[0]=x": "tls.names are for",
    "runs.a.agents=2": "runs.a has no plan",
    "runs.a.plan=x,runs.a.configMap.name=x": "runs.a has a plan and a configMap",
    "runs.a.configMap.name=x,runs.a.files.x=y": "runs.a has files for a plan in a ConfigMap",
    "agents.kind=DaemonSet,runs.a.plan=x": "runs.a.agents is needed with a DaemonSet",
    "controller.persistence.enabled=false,controller.persistence.existingClaim=x": "controller.persistence.existingClaim is given",
}


def run_helm(*arguments):
    with tempfile.TemporaryDirectory() as home:
        # Nothing of the caller's own Helm or cluster may show through.
        environment = {"PATH": os.environ["PATH"], "HOME": home}
        return subprocess.run([HELM, *arguments], capture_output=True, text=True, timeout=120, env=environment)


def template(*arguments):
    return run_helm("template", "load", CHART, "--namespace", "bench", *arguments)


def kube_version(values):
    with open(values) as lines:
        found = re.search(r"^# kube-version: (\S+)", lines.read(), re.MULTILINE)
    return found.group(1) if found else "1.30.0"


def rendered(values):
    """The objects that helm makes of a file of values, in an order of their own, and without what is random."""
    done = template("--kube-version", kube_version(values), "--values", values)
    if done.returncode != 0:
        raise AssertionError(f"{values}: {done.stderr}")
    objects = [made for made in yaml.safe_load_all(done.stdout) if made]
    return sorted(objects, key=lambda made: (made["kind"], made["metadata"]["name"]))


def masked(objects):
    copies = json.loads(json.dumps(objects))
    for made in copies:
        for key in RANDOM_KEYS & set(made.get("data", {})):
            if made["kind"] == "Secret":
                made["data"][key] = "made by Helm"
    return copies


class LiteralText(yaml.SafeDumper):
    """Texts of several lines as they are, so that a diff of two golden files can be read."""


def _text(dumper, text):
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


LiteralText.add_representer(str, _text)


def golden_text(objects):
    return yaml.dump_all(masked(objects), Dumper=LiteralText, width=200, sort_keys=True)


def golden_file(values):
    return os.path.join(HERE, "golden", os.path.basename(values))


def pods(objects):
    """(name, metadata, spec) of every pod that comes of them."""
    for made in objects:
        name = f"{made['kind']} {made['metadata']['name']}"
        if made["kind"] == "Pod":
            yield name, made["metadata"], made["spec"]
        elif "template" in made.get("spec", {}):
            template_of = made["spec"]["template"]
            yield name, template_of["metadata"], template_of["spec"]


@unittest.skipIf(HELM is None, f"there is no helm: {NO_HELM}")
class HelmTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        with concurrent.futures.ThreadPoolExecutor(2) as workers:
            cls.rendered = dict(zip(VALUES, workers.map(rendered, VALUES)))

    def test_lint_finds_nothing(self):
        for values in VALUES:
            with self.subTest(os.path.basename(values)):
                done = run_helm("lint", CHART, "--strict", "--values", values)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertNotIn("[WARNING]", done.stdout)

    def test_golden_files(self):
        self.assertGreaterEqual(len(VALUES), 11)
        self.assertEqual(
            {os.path.basename(values) for values in VALUES}, set(os.listdir(os.path.join(HERE, "golden"))))
        for values, objects in self.rendered.items():
            with self.subTest(os.path.basename(values)), open(golden_file(values)) as golden:
                expected = golden.read()
                changes = list(difflib.unified_diff(
                    expected.splitlines(), golden_text(objects).splitlines(), "golden", "now", lineterm="", n=3))
                self.assertEqual(changes, [], "\n".join(changes) + f"\nIf that is wanted: {RENEW}")

    def test_valid_for_kubernetes(self):
        modules, why = npm_tools.modules()
        if modules is None:
            self.skipTest(f"there are no schemas of Kubernetes: {why}")

        def complaints(objects):
            done = subprocess.run(
                ["node", os.path.join(HERE, "validate.js"), modules],
                input=json.dumps(objects), capture_output=True, text=True, timeout=120)
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(done.stdout)

        self.assertEqual(complaints(sum(self.rendered.values(), [])), [])
        # That it can complain at all.
        broken = json.loads(json.dumps(self.rendered[VALUES[0]]))
        for made in broken:
            if made["kind"] == "Deployment":
                made["spec"]["replicas"] = "three"
                made["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
        found = complaints(broken)
        self.assertEqual(len(found), 2, found)
        self.assertIn("replicas must be integer", found[0])
        self.assertIn("readynessProbe is not known", found[1])

    def test_pods_pass_the_restricted_standard(self):
        for values, objects in self.rendered.items():
            for name, _, spec in pods(objects):
                with self.subTest(f"{os.path.basename(values)}: {name}"):
                    self.assertEqual(restricted_pods.violations(spec), [])
                    self.assertIs(spec["automountServiceAccountToken"], False)
                    for container in spec["containers"] + spec.get("initContainers", []):
                        self.assertIs(container["securityContext"]["readOnlyRootFilesystem"], True)

    def test_other_pods_do_not_pass_it(self):
        good = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"}}

        def pod(pod=None, **container):
            return {"containers": [{"name": "c", "securityContext": {**good, **container}}], **(pod or {})}

        self.assertEqual(restricted_pods.violations(pod()), [])
        for bad in [
            pod(privileged=True), pod(allowPrivilegeEscalation=True), pod(capabilities={}), pod(runAsNonRoot=False), pod(runAsUser=0),
            pod(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}), pod(seccompProfile={"type": "Unconfined"}),
            pod(procMount="Unmasked"), pod({"hostNetwork": True}), pod({"hostPID": True}), pod({"securityContext": {"runAsUser": 0}}),
            pod({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}), pod({"securityContext": {"sysctls": [{"name": "kernel.msgmax"}]}}),
            pod({"initContainers": [{"name": "i"}]}),
        ]:
            with self.subTest(bad):
                self.assertNotEqual(restricted_pods.violations(bad), [])

    def test_nothing_has_rights(self):
        for values, objects in self.rendered.items():
            kinds = {made["kind"] for made in objects}
            self.assertEqual({kind for kind in kinds if "Role" in kind}, set(), values)

    def test_selectors_select(self):
        for values, objects in self.rendered.items():
            labels = [metadata["labels"] for _, metadata, _ in pods(objects)]
            for made in objects:
                spec = made.get("spec", {})
                selector = {
                    "Service": lambda: spec["selector"],
                    "PodDisruptionBudget": lambda: spec["selector"]["matchLabels"],
                    "NetworkPolicy": lambda: spec["podSelector"]["matchLabels"],
                    "Deployment": lambda: spec["selector"]["matchLabels"],
                    "DaemonSet": lambda: spec["selector"]["matchLabels"],
                    "StatefulSet": lambda: spec["selector"]["matchLabels"],
                }.get(made["kind"])
                if selector is None:
                    continue
                wanted = selector().items()
                with self.subTest(f"{os.path.basename(values)}: {made['kind']} {made['metadata']['name']}"):
                    self.assertTrue(any(wanted <= one.items() for one in labels))

    def test_names_are_short_enough(self):
        for release in ["load", "a" * 53, "trunkload"]:
            done = run_helm("template", release, CHART, "--set-string", "runs.abcdefghijklmnopqrst.plan=x")
            self.assertEqual(done.returncode, 0, done.stderr)
            for made in yaml.safe_load_all(done.stdout):
                name = made["metadata"]["name"]
                # A StatefulSet's pods bear its name with a hash of 10 characters as a label, of at most 63.
                most = 52 if made["kind"] == "StatefulSet" else 63
                self.assertLessEqual(len(name), most, f"{made['kind']} {name}")

    def test_a_run_is_named_for_what_it_runs(self):
        def job(*more):
            done = template("--set-string", "runs.a.plan=name: x", *more)
            self.assertEqual(done.returncode, 0, done.stderr)
            return [made["metadata"]["name"] for made in yaml.safe_load_all(done.stdout) if made["kind"] == "Job"]

        first = job()
        self.assertEqual(len(first), 1)
        # What an upgrade or a change of scale gives is no other run.
        self.assertEqual(job("--set", "image.controller.tag=1.0.9"), first)
        self.assertEqual(job("--set", "agents.replicas=9"), first)
        self.assertNotEqual(job("--set-string", "runs.a.plan=name: y"), first)
        self.assertNotEqual(job("--set", "runs.a.agents=7"), first)

    @unittest.skipIf(shutil.which("openssl") is None, "openssl is not installed")
    def test_certificates_of_the_chart(self):
        outside = os.path.join(HERE, "values", "outside.yaml")
        secrets = {made["metadata"]["name"]: made["data"] for made in self.rendered[outside] if made["kind"] == "Secret"}
        with tempfile.TemporaryDirectory() as folder:
            def openssl(secret, *arguments):
                for key, text in secrets[f"load-trunkload-{secret}"].items():
                    with open(os.path.join(folder, key), "wb") as out:
                        out.write(base64.b64decode(text))
                return subprocess.run(
                    ["openssl", *arguments], cwd=folder, capture_output=True, text=True, timeout=60)

            for role, purpose in [("controller", "sslserver"), ("agent", "sslclient"), ("operator", "sslclient")]:
                done = openssl(f"{role}-tls", "verify", "-CAfile", "ca.crt", "-purpose", purpose, "tls.crt")
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                done = openssl(f"{role}-tls", "x509", "-in", "tls.crt", "-noout", "-subject")
                self.assertEqual(done.stdout.strip(), f"subject=CN = trunkload:{role}")
                public = openssl(f"{role}-tls", "x509", "-in", "tls.crt", "-noout", "-pubkey").stdout
                self.assertEqual(public, openssl(f"{role}-tls", "pkey", "-in", "tls.key", "-pubout").stdout)
                self.assertEqual(secrets[f"load-trunkload-{role}-tls"]["ca.crt"], secrets["load-trunkload-ca"]["tls.crt"])
            for name in ["load-trunkload-controller", "load-trunkload-controller.bench.svc", "localhost", "load.example.com"]:
                done = openssl("controller-tls", "verify", "-CAfile", "ca.crt", "-verify_hostname", name, "tls.crt")
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            for address in ["127.0.0.1", "198.51.100.4"]:
                done = openssl("controller-tls", "verify", "-CAfile", "ca.crt", "-verify_ip", address, "tls.crt")
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            # Nobody else's certificate can stand for the controller's.
            for role in ["agent", "operator"]:
                done = openssl(
                    f"{role}-tls", "verify", "-CAfile", "ca.crt", "-verify_hostname", "load-trunkload-controller", "tls.crt")
                self.assertNotEqual(done.returncode, 0)

    def test_no_pod_has_the_authority(self):
        for values, objects in self.rendered.items():
            for name, _, spec in pods(objects):
                self.assertNotIn("trunkload-ca", json.dumps(spec), f"{values}: {name}")

    def test_bad_values_are_refused(self):
        def refuse(what):
            return what, template("--set", what)

        with concurrent.futures.ThreadPoolExecutor(2) as workers:
            for what, done in workers.map(refuse, REFUSED):
                with self.subTest(what):
                    self.assertNotEqual(done.returncode, 0)
                    self.assertIn(REFUSED[what], done.stderr)

    def test_every_field_of_the_schema_is_closed(self):
        with open(os.path.join(CHART, "values.schema.json")) as text:
            schema = json.load(text)

        # A volume is of many kinds.
        kubernetes_own = ["/definitions/named/items"]

        def open_objects(node, where):
            if isinstance(node, list):
                return sum((open_objects(item, f"{where}/{index}") for index, item in enumerate(node)), [])
            if not isinstance(node, dict):
                return []
            found = []
            closed = node.get("additionalProperties") is False
            if "properties" in node and not closed and where not in kubernetes_own:
                found.append(where)
            return found + sum((open_objects(value, f"{where}/{key}") for key, value in node.items()), [])

        self.assertEqual(open_objects(schema, ""), [])


class ValuesTest(unittest.TestCase):
    """The three places that list values agree."""

    def test_the_schema_knows_each_value(self):
        with open(os.path.join(CHART, "values.schema.json")) as text:
            schema = json.load(text)
        self.assertEqual(
            sorted(values_table.schema_paths(schema)), sorted(row.path for row in values_table.rows(CHART)))

    def test_each_value_is_explained(self):
        self.assertEqual([row.path for row in values_table.rows(CHART) if not row.text], [])

    def test_the_readme_lists_each_value(self):
        self.assertEqual(values_table.in_readme(CHART), values_table.table(CHART), f"To write it anew: {RENEW}")


def renew():
    if HELM is None:
        sys.exit(f"there is no helm: {NO_HELM}")
    os.makedirs(os.path.join(HERE, "golden"), exist_ok=True)
    for values in VALUES:
        with open(golden_file(values), "w") as out:
            out.write(golden_text(rendered(values)))
    values_table.write(CHART)


def main():
    if sys.argv[1:] == ["--renew"]:
        return renew()
    result = unittest.main(exit=False, verbosity=2).result
    for why in sorted({why for _, why in result.skipped}):
        print(f"Skipped: {why}.")
    if not result.wasSuccessful():
        sys.exit(1)
    if HELM is None:
        sys.exit(77)


if __name__ == "__main__":
    main()

"""The chart on a real cluster: installed with nothing but a Secret, run, scaled, upgraded and taken away, in mid-run too.

TRUNKLOAD_CLUSTER names the kubeconfig of a cluster that tests may use; it has to have the images of Trunkload (TRUNKLOAD_IMAGES: the
registry before their names; TRUNKLOAD_UPGRADE: another tag of them) and one that can stand for postgres:15 (TRUNKLOAD_POSTGRES). Each command
is shown with what it printed.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import lab  # noqa: E402
import npm_tools  # noqa: E402

CHART = os.path.join(lab.REPOSITORY, "helm", "trunkload")
CLUSTER = os.environ.get("TRUNKLOAD_CLUSTER", "")
POSTGRES = os.environ.get("TRUNKLOAD_POSTGRES", "postgres:15")
PASSWORD = "a-planted-password"
RATE = 200
# Of everything that the chart makes.
KINDS = "all,configmaps,secrets,serviceaccounts,persistentvolumeclaims,networkpolicies,poddisruptionbudgets,ingresses"


def why_not():
    if not CLUSTER:
        return "TRUNKLOAD_CLUSTER names no kubeconfig of a cluster for tests"
    if shutil.which("kubectl") is None:
        return "there is no kubectl on PATH"
    found, why = npm_tools.helm()
    return None if found else f"there is no helm: {why}"


WHY_NOT = why_not()
NAMESPACE = f"trunkload-test-{uuid.uuid4().hex[:6]}"


def run(*command, check=True, timeout=300, text=None, show=True):
    environment = {**os.environ, "KUBECONFIG": CLUSTER}
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, input=text, env=environment)
    if show:
        printed = (done.stdout + done.stderr).rstrip()
        print(f"$ {' '.join(command)}\n{printed}\n", flush=True)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done


def kubectl(*arguments, **options):
    return run("kubectl", "-n", NAMESPACE, *arguments, **options)


def helm(*arguments, **options):
    return run(npm_tools.helm()[0], "-n", NAMESPACE, *arguments, **options)


def objects():
    """Names of what is in the namespace; a cluster's own objects, which it makes in any namespace, are the same before and after."""
    return set(kubectl("get", KINDS, "-o", "name", show=False).stdout.split())


def database_pod():
    secure = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    container = {
        "name": "postgres", "image": POSTGRES, "securityContext": secure,
        "env": [{"name": "POSTGRES_USER", "value": "bench"}, {"name": "POSTGRES_DB", "value": "bench"},
                {"name": "POSTGRES_PASSWORD", "value": PASSWORD}, {"name": "PGDATA", "value": "/data/pg"}],
        "args": ["-c", "fsync=off", "-c", "max_connections=200"],
        "readinessProbe": {"tcpSocket": {"port": 5432}, "periodSeconds": 1},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "run", "mountPath": "/var/run/postgresql"},
                         {"name": "tmp", "mountPath": "/tmp"}],
    }
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "postgres", "labels": {"app": "postgres"}},
        "spec": {
            "containers": [container], "terminationGracePeriodSeconds": 5, "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 999, "runAsGroup": 999, "fsGroup": 999,
                                "seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [{"name": name, "emptyDir": {}} for name in ["data", "run", "tmp"]],
        },
    }
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "postgres"},
               "spec": {"selector": {"app": "postgres"}, "ports": [{"port": 5432}]}}
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [pod, service]})


def plan(seconds, phases=1, **fleet):
    return {
        "name": "cluster", "setup": {"workload": "users"},
        "fleet": {"application_servers": 6, "pool": {"size": 2}, "lease": "1m", **fleet},
        "scripts": [{"builtin": "insert-single"}],
        "phases": [
            {"name": f"phase-{number}", "duration": f"{seconds}s", "load": {"open": {"rate": f"{RATE}/s"}}}
            for number in range(1, phases + 1)
        ],
    }


@unittest.skipIf(WHY_NOT is not None, WHY_NOT)
class ClusterTest(unittest.TestCase):
    """One release, from its installation to its end: the tests go on from each other, in the order of their names."""

    @classmethod
    def setUpClass(cls):
        run("kubectl", "create", "namespace", NAMESPACE)
        run("kubectl", "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
        cls.addClassCleanup(run, "kubectl", "delete", "namespace", NAMESPACE, "--wait=false", check=False)
        kubectl("apply", "-f", "-", text=database_pod())
        kubectl("wait", "--for=condition=Ready", "pod/postgres", "--timeout=180s")
        kubectl("create", "secret", "generic", "bench-database", "--from-literal=PGHOST=postgres",
                "--from-literal=PGDATABASE=bench", "--from-literal=PGUSER=bench", f"--from-literal=PGPASSWORD={PASSWORD}")
        # What Kubernetes itself puts into a namespace may take a moment.
        lab.wait_until(lambda: "serviceaccount/default" in objects(), "the namespace has its ServiceAccount", timeout=60)
        cls.before = objects()

    def upgrade(self, *arguments):
        helm("upgrade", "load", CHART, "--reuse-values", *arguments)

    def start_run(self, name, plan_of_run, agents=3):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            json.dump(plan_of_run, file)
            file.flush()
            self.upgrade("--set-file", f"runs.{name}.plan={file.name}", "--set", f"runs.{name}.agents={agents}")

    def log(self, name, **options):
        return kubectl("logs", "-l", f"trunkload/run={name}", "--tail=-1", "-c", "trunkload", check=False, **options).stdout

    def rows(self):
        """How many there are in the workload's table; none as long as there is no table."""
        ask = "PGPASSWORD=$POSTGRES_PASSWORD exec psql -h 127.0.0.1 -U bench -d bench -Atc 'SELECT count(*) FROM users'"
        counted = kubectl("exec", "postgres", "--", "sh", "-c", ask, show=False, check=False)
        if counted.returncode != 0 and 'relation "users" does not exist' in counted.stderr:
            return 0
        self.assertEqual(counted.returncode, 0, counted.stderr)
        return int(counted.stdout)

    def wait_for_load(self):
        started = self.rows()
        lab.wait_until(lambda: self.rows() not in (0, started), "rows come in", timeout=120)

    def end_of_run(self, name, timeout=240):
        """The exit status of the run's pod, which has ended by then."""
        def ended():
            pods = json.loads(kubectl("get", "pods", "-l", f"trunkload/run={name}", "-o", "json", show=False).stdout)
            for pod in pods["items"]:
                for container in pod["status"].get("containerStatuses", []):
                    terminated = container["state"].get("terminated")
                    if terminated:
                        return [terminated["exitCode"]]
            return None

        [status] = lab.wait_until(ended, f"run {name} has ended", timeout)
        self.log(name)
        return status

    def result(self):
        done = kubectl("exec", "load-trunkload-controller-0", "--", "trunkload", "report", "--json", "-",
                       show=False, check=False)
        return json.loads(done.stdout)

    def expect_rows(self, result):
        acknowledged = sum(phase["rows"] for phase in result["phases"])
        failed = sum(sum(phase["errors"].values()) for phase in result["phases"])
        rows = self.rows()
        self.assertGreaterEqual(rows, acknowledged)
        self.assertLessEqual(rows, acknowledged + failed)

    def expect_whole_load(self, result, seconds):
        """In its last ten seconds the last phase had all of its load, whoever was lost before."""
        offered = sum(second["offered"] for second in result["phases"][-1]["series"][seconds - 10:])
        self.assertAlmostEqual(offered, 10 * RATE, delta=RATE, msg=result["phases"][-1]["series"])

    def wait_for_agents(self, timeout=240):
        kubectl("rollout", "status", "deployment/load-trunkload-agent", f"--timeout={timeout}s", timeout=timeout + 30)

    def test_1_installed_with_a_secret_and_nothing_else(self):
        images = []
        if os.environ.get("TRUNKLOAD_IMAGES"):
            images = ["--set", f"image.registry={os.environ['TRUNKLOAD_IMAGES']}"]
        helm("install", "load", CHART, "--set", "database.secret=bench-database", *images)
        # An agent is ready when its controller has answered it, over TLS.
        self.wait_for_agents()
        kubectl("get", "pods,services,persistentvolumeclaims,networkpolicies,poddisruptionbudgets")
        helm("test", "load")

    def test_2_a_run_and_its_report(self):
        self.start_run("first", plan(5))
        status = self.end_of_run("first")
        result = self.result()
        self.assertIn(status, (0, 4), result["verdict"])
        self.assertEqual(len(result["agents"]), 3)
        self.assertEqual(result["losses"], [])
        [phase] = result["phases"]
        self.assertEqual(phase["offered"], 5 * RATE)
        self.expect_rows(result)
        self.assertIn("Phase phase-1", self.log("first", show=False))

    def test_3_scaled_up_and_down_in_mid_run(self):
        self.start_run("scaled", plan(20, phases=2, on_agent_lost="redistribute", min_agents=1))
        self.wait_for_load()
        kubectl("scale", "deployment/load-trunkload-agent", "--replicas=5")
        self.wait_for_agents()
        kubectl("scale", "deployment/load-trunkload-agent", "--replicas=1")
        self.end_of_run("scaled")
        result = self.result()
        self.assertGreaterEqual(len(result["losses"]), 1)
        for loss in result["losses"]:
            self.assertTrue(loss["announced"], loss)
        self.expect_whole_load(result, 20)
        self.expect_rows(result)
        kubectl("scale", "deployment/load-trunkload-agent", "--replicas=3")
        self.wait_for_agents()

    def test_4_agents_upgraded_in_mid_run(self):
        self.start_run("upgraded", plan(40, phases=2, on_agent_lost="redistribute", min_agents=1))
        self.wait_for_load()
        to = os.environ.get("TRUNKLOAD_UPGRADE")
        self.upgrade("--set", f"image.agent.tag={to}" if to else "agents.podAnnotations.upgraded=yes")
        self.wait_for_agents()
        self.end_of_run("upgraded")
        result = self.result()
        self.assertEqual(len(result["losses"]), 3)
        for loss in result["losses"]:
            self.assertTrue(loss["announced"], loss)
        self.expect_whole_load(result, 40)
        self.expect_rows(result)

    def test_5_the_controllers_pod_deleted_in_mid_run(self):
        self.start_run("moved", plan(40))
        self.wait_for_load()
        kubectl("delete", "pod", "load-trunkload-controller-0")
        status = self.end_of_run("moved")
        kubectl("logs", "load-trunkload-controller-0")
        result = self.result()
        self.assertIn(status, (0, 4), result["verdict"])
        self.assertEqual(result["losses"], [])
        self.assertEqual(result["phases"][0]["offered"], 40 * RATE)
        self.expect_rows(result)

    def test_6_the_password_is_nowhere(self):
        for what in [("logs", "load-trunkload-controller-0"), ("logs", "deployment/load-trunkload-agent"),
                     ("get", "configmaps,jobs,pods", "-l", "app.kubernetes.io/instance=load", "-o", "yaml")]:
            self.assertNotIn(PASSWORD, kubectl(*what, show=False).stdout)
        kept = kubectl("exec", "load-trunkload-controller-0", "--", "grep", "-rlF", PASSWORD, "/var/lib/trunkload",
                       check=False, show=False)
        self.assertEqual(kept.stdout, "")

    def test_7_an_upgrade_keeps_certificates_and_runs(self):
        def secrets():
            found = json.loads(kubectl("get", "secrets", "-o", "json", show=False).stdout)["items"]
            return {one["metadata"]["name"]: one["data"] for one in found if one["metadata"]["name"].startswith("load-trunkload")}

        before = secrets()
        jobs = kubectl("get", "jobs", "-o", "name", show=False).stdout
        self.upgrade("--set", "jobs.resources.requests.cpu=60m")
        self.assertEqual(secrets(), before)
        self.assertEqual(kubectl("get", "jobs", "-o", "name", show=False).stdout, jobs)
        kubectl("exec", "load-trunkload-controller-0", "--", "trunkload", "runs")

    def test_8_uninstalled_leaves_nothing(self):
        helm("uninstall", "load")

        def left():
            return objects() - self.before

        lab.wait_until(lambda: not left(), "nothing is left", timeout=120)
        kubectl("get", KINDS)


def main():
    started = time.monotonic()
    result = unittest.main(exit=False, verbosity=2, failfast=True).result
    if not result.wasSuccessful():
        sys.exit(1)
    if WHY_NOT is not None:
        print(f"Skipped: {WHY_NOT}.")
        sys.exit(77)
    print(f"took {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()

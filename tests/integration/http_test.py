"""The pages, the metrics and the health of a controller that serves, and whom it keeps out."""
import base64
import contextlib
import html.parser
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
import warnings

from case import Case, closed, constant, lab, main, phase

TOKEN = "a-token-of-some-length-0123456789"
EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
# As controller/http/ has them.
MOST_CONNECTIONS = 64
REQUEST_TIMEOUT = 10


class Markup(html.parser.HTMLParser):
    """Holds a page to closing what it opens."""

    VOID = {"meta", "link", "line", "rect", "polyline"}

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.links, self.texts = [], set(), [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        last = self.open.pop()
        assert last == tag, f"</{tag}> where <{last}> is open"

    def handle_data(self, data):
        self.texts.append(data.strip())


def series(text):
    """{name{labels}: value} of Prometheus' text format, which is held to it."""
    found, helped, kinds = {}, set(), {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, words = line[7:].split(" ", 1)
            assert words.endswith("."), line
            helped.add(name)
        elif line.startswith("# TYPE "):
            name, kinds[name] = line[7:].split(" ")
        else:
            name, labels, value = re.fullmatch(r"([a-z_]+)(\{[a-z]+=\"[a-z0-9_.]+\"\})? ([0-9.e+-]+)", line).groups()
            assert name in helped and name in kinds, line
            assert (kinds[name] == "counter") == name.endswith("_total"), line
            assert name + (labels or "") not in found, line
            found[name + (labels or "")] = float(value)
    return found


class Answer:
    def __init__(self, answer):
        self.status = answer.status
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        self.body = answer.read().decode()


class HttpCase(Case):
    def serve(self, *arguments, address="127.0.0.1:0", tls=None):
        self.grpc = lab.free_port()
        self.data = getattr(self, "data", os.path.join(self.lab.folder, "runs"))
        serving = self.lab.start(
            lab.program("trunkload"), "serve", "--listen", f"127.0.0.1:{self.grpc}", "--http", address,
            "--data-dir", self.data, *arguments,
        )
        self.addCleanup(self.end, serving)
        lab.wait_until(lambda: "listening" in serving.err or serving.popen.poll() is not None, "it listens", 60)
        self.assertIn("pages at ", serving.err)
        self.port = int(re.search(r"pages at https?://.*:(\d+)/", serving.err).group(1))
        self.tls = tls
        return serving

    def end(self, process):
        with contextlib.suppress(ProcessLookupError):
            process.signal(signal.SIGCONT)
        process.stop()

    def ask(self, path, method="GET", body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.tls:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.tls)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            answer = Answer(connection.getresponse())
        for name, value in EVERYWHERE.items():
            self.assertEqual(answer.headers.get(name), value, f"{path}: {name}")
        policy = answer.headers["content-security-policy"]
        for part in ["default-src 'none'", "style-src 'self'", "frame-ancestors 'none'"]:
            self.assertIn(part, policy)
        self.assertNotIn("unsafe", policy)
        return answer

    def page(self, path):
        answer = self.ask(path)
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.headers["content-type"], "text/html; charset=utf-8")
        markup = Markup(answer.body)
        self.assertEqual(markup.open, [])
        self.assertFalse(markup.tags & {"script", "style", "iframe", "form"})
        return answer.body

    def metrics(self):
        answer = self.ask("/metrics")
        self.assertEqual(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        return series(answer.body)

    def raw(self, text, timeout=30):
        """What comes back for bytes as they are."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as connection:
            connection.sendall(text)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while more := connection.recv(1 << 16):
                    answer += more
        return answer.decode(errors="replace")

    def start_agents(self, count=2):
        agents = [
            self.lab.start(
                lab.program("trunkload-agent"), "--controller", f"127.0.0.1:{self.grpc}", "--name", f"agent-{i}"
            )
            for i in range(count)
        ]
        for agent in agents:
            self.addCleanup(self.end, agent)
        return agents

    def start_served_run(self, plan, agents=2):
        return self.lab.start_run(
            plan, "--controller", f"127.0.0.1:{self.grpc}", "--agents", agents, "--quiet"
        )


class Pages(HttpCase):
    def test_nothing_was_run_yet(self):
        self.serve()
        self.assertIn("No run was made yet", self.page("/"))
        self.assertEqual(self.ask("/runs/none").status, 404)
        self.assertEqual(self.ask("/elsewhere").status, 404)
        self.assertEqual(self.ask("/runs/" + "x" * 5000).status, 404)
        self.assertEqual(self.ask("/runs/%3Cscript%3E").status, 404)
        self.assertNotIn("<script>", self.ask("/runs/%3Cscript%3E").body)
        metrics = self.metrics()
        self.assertEqual(metrics["trunkload_agents"], 0)
        self.assertEqual(metrics["trunkload_run_under_way"], 0)

    def test_a_run_under_way_and_its_result(self):
        self.serve()
        self.start_agents()
        server = self.wire_server()
        plan = self.plan(
            server, phase("warm-up", duration="1s", record=False), phase("measured", duration="6s", **constant(300)),
            objectives=["p99(response) < 10s in measured"],
        )
        nothing = self.metrics()
        run = self.start_served_run(plan)
        seen = {}

        # One reading has to show all: between two phases there is no newest second.
        def load_is_on():
            seen.update(self.metrics())
            return (
                seen['trunkload_run_stage{stage="running"}'] == 1
                and seen["trunkload_throughput_transactions_per_second"] > 0
            )

        lab.wait_until(load_is_on, "the load is on", 60)
        runs = self.page("/")
        self.assertIn("under way", runs)
        self.assertIn('http-equiv="refresh"', runs)
        [path] = [link for link in Markup(runs).links if link.startswith("/runs/")]
        self.assertEqual(seen["trunkload_agents"], 2)
        self.assertEqual(seen["trunkload_run_under_way"], 1)
        self.assertGreater(seen["trunkload_transactions_total"], 0)
        self.assertGreater(seen['trunkload_response_time_seconds{quantile="1"}'], 0)
        progress = self.page(path)
        self.assertIn('http-equiv="refresh"', progress)
        self.assertRegex(progress, "(?s)agents</dt>.*2 of 2")
        self.assertEqual(self.ask(path + ".json").status, 404)
        self.expect_status_of(run)

        page = self.page(path)
        self.assertNotIn('http-equiv="refresh"', page)
        markup = Markup(page)
        self.assertIn(path + ".json", markup.links)
        self.assertIn("svg", markup.tags)
        for text in ["Phases", "Over time", "Agents", "agent-1", "warm-up (not judged)", "Objectives", "met"]:
            self.assertIn(text, markup.texts)
        self.assertRegex(page, r"(?s)class=\"word\">(Valid|Not valid)</p>.*<pre>(VALID|NOT VALID), 1 of 1 objectives met")
        self.assertEqual(json.loads(self.ask(path + ".json").body), run.result)
        self.assertEqual(self.ask("/style.css").headers["content-type"], "text/css; charset=utf-8")

        ended = self.metrics()
        self.assertEqual(ended.keys(), nothing.keys())
        self.assertEqual(ended["trunkload_run_under_way"], 0)
        self.assertEqual(ended["trunkload_throughput_transactions_per_second"], 0)
        self.assertEqual(sum(value for name, value in ended.items() if name.startswith("trunkload_runs_total")), 1)
        for name, field in [("transactions_offered", "offered"), ("transactions", "transactions"), ("rows", "rows")]:
            self.assertEqual(
                ended[f"trunkload_{name}_total"], sum(one[field] for one in run.result["phases"]), name
            )
        self.assertGreaterEqual(ended["trunkload_transactions_total"], seen["trunkload_transactions_total"])

    def expect_status_of(self, run):
        run.wait(120)
        self.assertIn(run.status, (0, 4), run.out + run.err)

    def test_a_run_that_could_not_run_says_why(self):
        self.serve()
        self.start_agents(1)
        plan = self.plan(self.wire_server())
        plan["target"]["conninfo"] = f"host=127.0.0.1 port={lab.free_port()} dbname=bench user=bench"
        run = self.start_served_run(plan, agents=1)
        run.wait(60)
        self.assertEqual(run.status, 1)
        runs = self.page("/")
        self.assertIn("could not run", runs)
        [path] = [link for link in Markup(runs).links if link.startswith("/runs/")]
        self.assertRegex(self.page(path), "(?i)refused")
        self.assertEqual(self.ask(path + ".json").status, 404)
        self.assertEqual(self.metrics()['trunkload_runs_total{outcome="could_not_run"}'], 1)

    def test_metrics_count_on_over_runs(self):
        self.serve()
        self.start_agents(1)
        plan = self.plan(self.wire_server(), {"name": "counted", "transactions": 500, **closed(4)})
        before = 0
        for _ in range(2):
            self.expect_status_of(self.start_served_run(plan, agents=1))
            now = self.metrics()["trunkload_transactions_offered_total"]
            self.assertEqual(now, before + 500)
            before = now


class Health(HttpCase):
    def health(self, *url):
        return self.lab.trunkload("health", *url)

    def test_who_is_well_says_so(self):
        serving = self.serve("--http-token-file", self.lab.file("token", TOKEN))
        url = f"http://127.0.0.1:{self.port}"
        self.assertEqual(self.ask("/healthz").body, "ok\n")
        for of in [url + "/healthz", url]:
            health = self.health(of)
            self.assertEqual((health.status, health.out), (0, "ok\n"), health.err)
        self.expect_sentence(self.health(url + "/"), 1, "401")
        serving.signal(signal.SIGSTOP)
        self.expect_sentence(self.health(url), 1, "does not answer")
        serving.signal(signal.SIGCONT)
        self.assertEqual(self.health(url).status, 0)
        serving.stop()
        self.expect_sentence(self.health(url), 1, "does not answer")
        self.expect_sentence(self.health("nowhere"), 2, "http://")


class KeptOut(HttpCase):
    def expect_refused_start(self, *arguments, words, status=2):
        refused = self.lab.trunkload(
            "serve", "--listen", "127.0.0.1:0", "--data-dir", os.path.join(self.lab.folder, "refused"), *arguments
        )
        self.expect_sentence(refused, status, words)

    def test_the_start(self):
        token = self.lab.file("token", TOKEN)
        port = lab.free_port()
        for everywhere in [f"0.0.0.0:{port}", f":{port}", f"[::]:{port}"]:
            for more in [(), ("--http-token-file", token)]:
                self.expect_refused_start("--http", everywhere, *more, words="--tls DIR and --http-token-file")
        self.expect_refused_start("--http", f":{port}", "--tls", "/nowhere", "--http-token-file", token, words="tls.crt")
        self.expect_refused_start("--http", f"127.0.0.1:{port}", "--http-token-file", "/nowhere", words="/nowhere")
        self.expect_refused_start("--http", f"127.0.0.1:{port}", "--http-token-file", self.lab.file("short", "short"),
                                  words="16 characters")
        self.expect_refused_start("--http-token-file", token, words="--http")
        self.serve()
        self.expect_refused_start("--http", f"127.0.0.1:{self.port}", words="another program listens there", status=1)

    def test_who_only_may_read(self):
        self.serve()
        for method in ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]:
            answer = self.ask("/", method)
            self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET"), method)
        self.assertEqual(self.ask("/", body=b"something").status, 413)
        self.assertIn(" 413 ", self.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
        # A body that was announced is not waited for.
        self.assertIn(" 405 ", self.raw(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n"))

    def test_other_sites(self):
        self.serve()
        own = f"127.0.0.1:{self.port}"
        for status, headers in [
            (200, {"Sec_Fetch_Site": "same-origin"}),
            (200, {"Sec_Fetch_Site": "none", "Origin": f"http://{own}"}),
            (200, {"Host": "localhost"}),
            (200, {"Host": "[::1]:1"}),
            (403, {"Sec_Fetch_Site": "cross-site"}),
            (403, {"Origin": "https://evil.example"}),
            (403, {"Origin": "null"}),
            (403, {"Host": "evil.example"}),
            (403, {"Host": f"evil.example:{self.port}"}),
            (403, {"Host": "127.0.0.1.evil.example"}),
        ]:
            for path in ["/", "/metrics", "/style.css", "/runs/x"]:
                wanted = 404 if (status, path) == (200, "/runs/x") else status
                self.assertEqual(self.ask(path, **headers).status, wanted, f"{path} {headers}")
        self.assertIn(" 400 ", self.raw(b"GET / HTTP/1.0\r\n\r\n"))

    def test_who_has_no_token(self):
        token = self.lab.file("token", TOKEN + "\n")
        self.serve("--http-token-file", token)

        def basic(text):
            return "Basic " + base64.b64encode(text.encode()).decode()

        wrong = [None, "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", basic(TOKEN), basic(f"{TOKEN}:"),
                 basic("me:wrong"), f"Negotiate {TOKEN}", "Basic \xff"]
        for path in ["/", "/metrics", "/style.css", "/runs/none", "/nowhere"]:
            for authorization in wrong:
                answer = self.ask(path, **({"Authorization": authorization} if authorization else {}))
                self.assertEqual(answer.status, 401, authorization)
                self.assertIn("Basic realm", answer.headers["www-authenticate"])
            for authorization in [f"Bearer {TOKEN}", basic(f"me:{TOKEN}")]:
                answer = self.ask(path, Authorization=authorization)
                self.assertEqual(answer.status, 404 if path.endswith("none") or "nowhere" in path else 200)
        self.assertEqual(self.ask("/healthz").status, 200)
        # Another one counts at once.
        with open(token, "w") as file:
            file.write("another-" + TOKEN)
        self.assertEqual(self.ask("/", Authorization=f"Bearer {TOKEN}").status, 401)
        self.assertEqual(self.ask("/", Authorization=f"Bearer another-{TOKEN}").status, 200)
        os.remove(token)
        self.assertEqual(self.ask("/", Authorization=f"Bearer another-{TOKEN}").status, 503)
        self.assertEqual(self.ask("/healthz").status, 200)

    def test_nobody_and_it_says_so(self):
        serving = self.serve("--insecure", address="0.0.0.0:0")
        self.assertRegex(serving.err, "--insecure: .*not encrypted.*anybody")
        self.assertEqual(self.ask("/", Host="any.name").status, 200)


class LargeAndSlow(HttpCase):
    def test_requests_that_are_too_large(self):
        self.serve()
        for request in [
            b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: x\r\n" * 20_000 + b"\r\n",
        ]:
            self.assertRegex(self.raw(request)[:20], r"^$|HTTP/1.1 4(00|14|31) ")
        for request in [b"\r\n\r\n", b"\0" * 100, b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9 + b"\r\n\r\n",
                        b"GET / HTTP/1.1\r\nHost: localhost\r\nRange: bytes=" + b"0-," * 2000 + b"0-\r\n\r\n"]:
            self.raw(request)
        self.assertEqual(self.ask("/").status, 200)

    def test_many_that_say_nothing_or_say_it_slowly(self):
        serving = self.serve()
        self.start_agents(1)
        run = self.start_served_run(self.plan(self.wire_server(), phase(duration="8s", **constant(100))), agents=1)
        files = len(os.listdir(f"/proc/{serving.pid}/fd"))
        slow = []
        self.addCleanup(lambda: [connection.close() for connection in slow])
        for i in range(400):
            connection = socket.create_connection(("127.0.0.1", self.port), 30)
            connection.sendall(b"" if i % 2 else b"GET / HTTP/1.1\r\nHost: ")
            slow.append(connection)
            if i % 50 == 0:
                self.assertEqual(self.ask("/healthz").status, 200)
        began = time.monotonic()
        for _ in range(10):
            self.assertEqual(self.ask("/").status, 200)
        self.assertLess(time.monotonic() - began, 30)
        # The fleet's own connections are among these.
        self.assertLessEqual(len(os.listdir(f"/proc/{serving.pid}/fd")), files + MOST_CONNECTIONS + 30)
        # Byte by byte they get no more time.
        dripping = slow[-1]
        end = time.monotonic() + 3 * REQUEST_TIMEOUT
        with self.assertRaises(OSError):
            while time.monotonic() < end:
                dripping.sendall(b"x")
                time.sleep(0.2)
            self.fail("a request that never ends is waited for")
        run.wait(120)
        self.assertIn(run.status, (0, 4), run.out + run.err)
        self.assertEqual(run.result["losses"], [])
        self.assertEqual(self.ask("/").status, 200)

    def test_who_does_not_read_holds_nothing_up(self):
        self.serve()
        deaf = [socket.create_connection(("127.0.0.1", self.port), 30) for _ in range(2 * MOST_CONNECTIONS)]
        self.addCleanup(lambda: [connection.close() for connection in deaf])
        for connection in deaf:
            with contextlib.suppress(OSError):
                connection.sendall(b"GET /style.css HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertEqual(self.ask("/").status, 200)


class Tls(HttpCase):
    def certificate(self, folder):
        """Of a folder, for 127.0.0.1, as its own authority."""
        os.makedirs(folder, exist_ok=True)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/O=trunkload:controller/CN=controller", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
             f"{folder}/tls.key", "-out", f"{folder}/tls.crt"],
            check=True, capture_output=True,
        )
        shutil.copy(f"{folder}/tls.crt", f"{folder}/ca.crt")
        return ssl.create_default_context(cafile=f"{folder}/ca.crt")

    def setUp(self):
        super().setUp()
        if shutil.which("openssl") is None:
            self.skipTest("openssl is not installed (package openssl)")
        self.folder = os.path.join(self.lab.folder, "tls")
        self.trust = self.certificate(self.folder)
        self.token = self.lab.file("token", TOKEN)
        self.serving = self.serve("--tls", self.folder, "--http-token-file", self.token, address="0.0.0.0:0", tls=self.trust)

    def authorized(self, path="/"):
        return self.ask(path, Authorization=f"Bearer {TOKEN}")

    def test_pages_are_encrypted_beyond_this_machine(self):
        self.assertIn("https://", self.serving.err)
        self.assertEqual(self.ask("/").status, 401)
        self.assertEqual(self.authorized().status, 200)
        self.assertEqual(self.ask("/healthz").body, "ok\n")
        health = self.lab.trunkload("health", f"https://127.0.0.1:{self.port}/healthz")
        self.assertEqual(health.status, 0, health.err)
        self.tls = ssl.create_default_context()
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.authorized()

    def test_old_versions_and_plain_text_get_nothing(self):
        old = ssl.create_default_context(cafile=f"{self.folder}/ca.crt")
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        self.tls = old
        with self.assertRaises(OSError):
            self.authorized()
        self.assertNotIn("HTTP", self.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.tls = ssl.create_default_context(cafile=f"{self.folder}/ca.crt")
            self.tls.minimum_version = self.tls.maximum_version = version
            self.assertEqual(self.authorized().status, 200)

    def test_many_that_never_greet(self):
        silent = [socket.create_connection(("127.0.0.1", self.port), 30) for _ in range(3 * MOST_CONNECTIONS)]
        self.addCleanup(lambda: [connection.close() for connection in silent])
        self.assertEqual(self.authorized().status, 200)

    def test_a_renewed_certificate_is_used_and_a_broken_one_is_not(self):
        self.tls = self.certificate(self.folder)
        self.assertEqual(self.authorized().status, 200)
        with open(f"{self.folder}/tls.crt", "w") as file:
            file.write("nothing of the kind")
        self.assertEqual(self.authorized().status, 200)
        self.tls = self.certificate(self.folder)
        self.assertEqual(self.authorized().status, 200)

    def test_material_that_does_not_fit_is_refused_at_the_start(self):
        other = os.path.join(self.lab.folder, "other")
        self.certificate(other)
        shutil.copy(f"{self.folder}/tls.key", f"{other}/tls.key")
        refused = self.lab.trunkload(
            "serve", "--listen", "127.0.0.1:0", "--http", ":0", "--tls", other, "--http-token-file", self.token,
            "--data-dir", os.path.join(self.lab.folder, "refused"),
        )
        self.assertNotEqual(refused.status, 0)
        self.assertIn(refused.status, (1, 2))
        self.assertRegex(refused.err, "tls.key")


if __name__ == "__main__":
    main()

"""A controller over TLS, and whoever comes that was not invited: he is refused with a sentence, and the fleet goes on with its
load."""
import contextlib
import math
import os
import re
import resource
import shutil
import socket
import sqlite3
import ssl
import subprocess
import time

from case import Case, constant, lab, main, phase

import http2  # of tests/support, which case.py has found

RATE = 200
HOUR = 3600
JOIN = "/trunkload.v1.FleetService/Join"
RUN = "/trunkload.v1.ControlService/Run"


class SecurityCase(Case):
    SECONDS = 8

    def setUp(self):
        super().setUp()
        self.server = self.wire_server()
        self.pki = os.path.join(self.lab.folder, "pki")
        self.controller_tls = self.issue("controller", "controller", hosts=["127.0.0.1"])
        self.agent_tls = self.issue("agent", "agent")
        self.operator = self.issue("carol", "operator")
        self.viewer = self.issue("vera", "viewer")
        self.port = lab.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.data = os.path.join(self.lab.folder, "runs")
        self.serving = self.serve()
        # A busy machine takes longer over what is done during a run, which has to last as long.
        began = time.monotonic()
        self.expect_status(self.control("runs", tls=self.viewer), 0)
        self.seconds = math.ceil(self.SECONDS * max(1.0, (time.monotonic() - began) / 0.2))

    def issue(self, name, role, hosts=(), pki=None, valid=(-HOUR, HOUR)):
        done = subprocess.run(
            [lab.program("issue_certificate"), pki or self.pki, name, role, *map(str, valid), *hosts],
            capture_output=True, text=True, check=True, timeout=60,
        )
        return done.stdout.strip()

    def serve(self):
        serving = self.lab.start(
            *(lab.program("trunkload"), "serve", "--listen", self.address, "--data-dir", self.data),
            *("--tls", self.controller_tls),
        )
        self.addCleanup(serving.stop)
        lab.wait_until(lambda: "listening" in serving.err, "the controller listens")
        return serving

    def start_agent(self, name, *arguments, controller=None, **environment):
        agent = self.lab.start(
            *(lab.program("trunkload-agent"), "--controller", controller or self.address, "--name", name),
            *(arguments or ("--tls", self.agent_tls)),
            **environment,
        )
        self.addCleanup(agent.stop)
        return agent

    @contextlib.contextmanager
    def load_under_way(self, agents=2):
        """A fleet under load, which has to do all of it in spite of what is done meanwhile."""
        fleet = [self.start_agent(f"good-{i}") for i in range(agents)]
        plan = self.plan(self.server, phase(duration=f"{self.seconds}s", **constant(RATE)), setup=False)
        run = self.lab.start_run(
            plan, "--controller", self.address, "--agents", agents, "--quiet", "--tls", self.operator
        )
        lab.wait_until(lambda: self.server.counts()["statements"] >= RATE / 2, "the run is under way", timeout=60)
        yield fleet
        self.assertIsNone(run.popen.poll(), f"the run was over too soon to say anything: {run.err}")
        run.wait(self.seconds + 60)
        self.expect_status(run, 0)
        [measured] = run.result["phases"]
        self.assertEqual(measured["transactions"], RATE * self.seconds)
        for agent in fleet:
            self.assertIsNone(agent.popen.poll(), agent.err)
            self.assertNotIn("out of the fleet", agent.err)

    def control(self, *command, tls=None, controller=None, **more):
        address = controller or self.address
        return self.lab.trunkload(*command, "--controller", address, *(["--tls", tls] if tls else []), **more)

    def refused_agent(self, name, *arguments, **environment):
        """An agent that ends with status 1 and a sentence, which is given back."""
        agent = self.start_agent(name, *arguments, **environment)
        agent.wait(30)
        self.expect_status(agent, 1)
        return agent.err

    def expect_said(self, agent, words):
        lab.wait_until(lambda: re.search(words, agent.err), f"{words} in what the agent says: {agent.err}", timeout=30)


class Certificates(SecurityCase):
    SECONDS = 15

    def is_taken(self, tls):
        """Whether the controller takes a certificate that our programs themselves may find fault with."""
        context = ssl.create_default_context(cafile=os.path.join(self.pki, "ca.crt"))
        context.set_alpn_protocols(["h2"])
        context.load_cert_chain(f"{tls}/tls.crt", f"{tls}/tls.key")
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as raw:
            try:
                with context.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
                    # With TLS 1.3 the verdict comes in place of the first bytes.
                    return connection.recv(1) == b"\0"
            except (ssl.SSLError, ConnectionError):
                return False

    def test_those_that_do_not_fit_are_refused(self):
        other_pki = os.path.join(self.lab.folder, "other-pki")
        stranger = self.issue("agent", "agent", pki=other_pki)
        expired = self.issue("expired", "agent", valid=(-HOUR, -60))
        early = self.issue("early", "agent", valid=(HOUR, 2 * HOUR))
        no_certificate = os.path.join(self.lab.folder, "ca-only")
        os.mkdir(no_certificate)
        shutil.copy(f"{self.pki}/ca.crt", no_certificate)
        # Knows our authority, but is of another.
        mixed = os.path.join(self.lab.folder, "mixed")
        shutil.copytree(stranger, mixed)
        shutil.copy(f"{self.pki}/ca.crt", mixed)
        with self.load_under_way():
            self.expect_sentence(self.control("runs", tls=no_certificate), 1, "no certificate was shown")
            self.expect_sentence(
                self.lab.trunkload("runs", "--controller", self.address, "--tls", stranger), 1, "another authority"
            )
            self.expect_sentence(self.control("runs", tls=mixed), 1, "does not take the certificate", "another authority")
            self.expect_sentence(self.control("runs", tls=expired), 1, "expired/tls.crt expired at")
            self.expect_sentence(self.control("runs", tls=early), 1, "early/tls.crt is not valid before")
            server = self.issue("server", "controller", hosts=["127.0.0.1"])
            for refused in [expired, early, stranger, server]:
                self.assertFalse(self.is_taken(refused), refused)
            for taken in [self.agent_tls, self.viewer]:
                self.assertTrue(self.is_taken(taken), taken)
            self.expect_sentence(self.control("runs", tls=server), 1, "not one that who dials may show")
            agent = self.start_agent("stranger", "--tls", mixed)
            self.expect_said(agent, "out of the fleet.*does not take the certificate")
            without = self.start_agent("without", "--tls", no_certificate)
            self.assertEqual(without.wait(20), 2)
            self.assertRegex(without.err, "an agent needs a certificate, or a join token")

    def test_only_the_controller_that_was_meant_is_talked_to(self):
        by_name = f"localhost:{self.port}"
        with self.load_under_way():
            self.expect_sentence(
                self.control("runs", tls=self.viewer, controller=by_name), 1, "for 127.0.0.1, not for localhost"
            )
            named = self.control("runs", "--tls-server-name", "127.0.0.1", tls=self.viewer, controller=by_name)
            self.expect_status(named, 0)
            agent = self.start_agent("lost", "--tls", self.agent_tls, controller=by_name)
            self.expect_said(agent, "not for localhost")

    def test_controller_does_not_start_with_what_nobody_would_take(self):
        for tls, status, words in [
            (self.issue("late", "controller", ["127.0.0.1"], valid=(-HOUR, -60)), 1, "expired at"),
            (self.issue("early", "controller", ["127.0.0.1"], valid=(HOUR, 2 * HOUR)), 1, "not valid before"),
            (self.agent_tls, 2, "agents trust a controller's only"),
            (os.path.join(self.lab.folder, "nowhere"), 2, "ca.crt: No such file"),
        ]:
            done = self.lab.trunkload("serve", "--listen", f"127.0.0.1:{lab.free_port()}", "--tls", tls)
            self.expect_sentence(done, status, words)

    def test_replaced_without_a_restart(self):
        new_pki = os.path.join(self.lab.folder, "new-pki")
        new_agent = self.issue("agent", "agent", pki=new_pki)
        expired = self.issue("stale", "controller", ["127.0.0.1"], valid=(-HOUR, -60))
        early = self.issue("early", "controller", ["127.0.0.1"], valid=(HOUR, 2 * HOUR))

        def put(folder):
            for name in ["tls.key", "tls.crt", "ca.crt"]:
                shutil.copy(f"{folder}/{name}", f"{self.controller_tls}/{name}.new")
                os.rename(f"{self.controller_tls}/{name}.new", f"{self.controller_tls}/{name}")

        def says(words):
            return lambda: re.search(words, self.control("runs", tls=self.viewer).err)

        with self.load_under_way():
            put(expired)
            lab.wait_until(says("the controller's certificate expired at"), "the expired one is shown", 30)
            put(early)
            lab.wait_until(says("the controller's certificate is not valid before"), "the early one is shown", 30)
            put(self.issue("controller", "controller", ["127.0.0.1"], pki=new_pki))
            lab.wait_until(says("signed by another authority"), "the new one is shown", 30)
            self.start_agent("new", "--tls", new_agent)
            new_viewer = self.issue("vera", "viewer", pki=new_pki)
            lab.wait_until(lambda: self.control("runs", tls=new_viewer).status == 0, "the new authority is trusted", 30)
            # The run's command line, too, goes on over the connection that it has.


class RolesOfCallers(SecurityCase):
    SECONDS = 12

    def test_nobody_does_what_his_role_does_not_say(self):
        with self.load_under_way():
            self.expect_sentence(
                self.control("cancel", tls=self.agent_tls), 1, "cancelling a run takes an operator's", "role agent"
            )
            self.expect_sentence(self.control("runs", tls=self.agent_tls), 1, "listing runs takes a viewer's")
            self.expect_sentence(self.control("cancel", tls=self.viewer), 1, "cancelling a run takes an operator's", "vera")
            for tls in [self.agent_tls, self.viewer]:
                run = self.lab.run(
                    self.plan(self.server, setup=False), "--controller", self.address, "--quiet", "--tls", tls
                )
                self.expect_sentence(run, 1, "running a plan takes an operator's")
                self.expect_sentence(self.control("tokens", "create", tls=tls), 1, "making a join token takes")
                self.expect_sentence(self.control("tokens", "list", tls=tls), 1, "listing join tokens takes")
                self.expect_sentence(self.control("tokens", "revoke", "x", tls=tls), 1, "revoking a join token takes")
            self.expect_status(self.control("runs", tls=self.viewer), 0)
            self.expect_status(self.control("tokens", "list", tls=self.operator), 0)
            for tls in [self.operator, self.viewer]:
                self.assertRegex(self.refused_agent("person", "--tls", tls), "joining the fleet takes an agent's")

    def test_run_with_a_controller_of_its_own(self):
        address = f"127.0.0.1:{lab.free_port()}"
        plan = self.plan(self.server, phase(duration="2s", **constant(RATE)), setup=False)
        run = self.lab.start_run(
            plan, "--listen", address, "--agents", 1, "--quiet", TRUNKLOAD_TLS=self.controller_tls
        )
        agent = self.start_agent("one", "--once", controller=address, TRUNKLOAD_TLS=self.agent_tls)
        run.wait()
        self.expect_status(run, 0)
        self.assertEqual(run.result["phases"][0]["transactions"], 2 * RATE)
        self.assertEqual(agent.wait(20), 0)

    def test_operator_cancels(self):
        self.start_agent("one")
        plan = self.plan(self.server, phase(duration="60s", **constant(RATE)), setup=False)
        run = self.lab.start_run(plan, "--controller", self.address, "--quiet", "--tls", self.operator)
        lab.wait_until(lambda: self.server.counts()["statements"] >= RATE / 2, "the run is under way", timeout=60)
        self.expect_status(self.control("cancel", tls=self.operator), 0)
        run.wait()
        self.expect_status(run, 130)


class Tokens(SecurityCase):
    SECONDS = 15

    def setUp(self):
        super().setUp()
        self.ca_only = os.path.join(self.lab.folder, "ca-only")
        os.mkdir(self.ca_only)
        shutil.copy(f"{self.pki}/ca.crt", self.ca_only)

    def create(self, *arguments):
        made = self.control("tokens", "create", *arguments, tls=self.operator)
        self.expect_status(made, 0)
        return made.out.strip()

    def by_token(self, token):
        return ("--tls", self.ca_only, "--token-file", self.lab.file("token", token + "\n"))

    def states(self):
        listed = self.control("tokens", "list", tls=self.operator).out.split("\n")[1:-1]
        return {line.split()[0]: line for line in listed}

    def join(self, name, token):
        agent = self.start_agent(name, *self.by_token(token))
        lab.wait_until(lambda: re.search(" 1 of ", self.states()[token.split(".")[1]]), f"{name} has joined", 30)
        return agent

    def test_one_that_is_replayed_expired_or_revoked_lets_nobody_in(self):
        once, revoked, short = self.create(), self.create(), self.create("--ttl", "1s")
        with self.load_under_way():
            member = self.join("member", once)
            self.assertRegex(self.refused_agent("thief", *self.by_token(once)), "has let in the 1 agent")
            self.expect_status(self.control("tokens", "revoke", revoked.split(".")[1], tls=self.operator), 0)
            self.assertRegex(self.refused_agent("late", *self.by_token(revoked)), "was revoked at")
            self.assertRegex(self.refused_agent("old", *self.by_token(short)), "expired at")
            wrong = once[:-1] + ("0" if once[-1] != "0" else "1")
            self.assertRegex(self.refused_agent("guess", *self.by_token(wrong)), "none of this controller's")
            self.assertRegex(
                self.refused_agent("env", "--tls", self.ca_only, TRUNKLOAD_TOKEN="nonsense"), "not a join token"
            )
            self.assertIsNone(member.popen.poll())
            states = self.states()
            for token, state in [(once, "used up"), (revoked, "revoked"), (short, "expired")]:
                self.assertIn(state, states[token.split(".")[1]])
            # Whom it has let in is out, tries on, and says why.
            self.expect_status(self.control("tokens", "revoke", once.split(".")[1], tls=self.operator), 0)
            self.expect_said(member, "out of the fleet.*was revoked at")
            self.assertIsNone(member.popen.poll())

    def test_agent_comes_back_after_a_restart_of_the_controller(self):
        token = self.create()
        member = self.join("member", token)
        self.serving.popen.kill()
        self.serving.popen.wait()
        self.serving = self.serve()
        plan = self.plan(self.server, phase(duration="2s", **constant(RATE)), setup=False)
        run = self.lab.run(plan, "--controller", self.address, "--agents", 1, "--quiet", "--tls", self.operator)
        self.expect_status(run, 0)
        self.assertEqual([agent["name"] for agent in run.result["agents"]], ["member"])
        self.assertRegex(self.refused_agent("thief", *self.by_token(token)), "has let in the 1 agent")
        self.assertIsNone(member.popen.poll())

    def test_secret_is_nowhere_on_disk(self):
        token = self.create()
        self.join("member", token)
        self.serving.stop()
        _, token_id, secret = token.split(".")
        for name in os.listdir(self.data):
            with open(os.path.join(self.data, name), "rb") as kept:
                self.assertNotIn(secret.encode(), kept.read())
        with contextlib.closing(sqlite3.connect(os.path.join(self.data, "trunkload.db"))) as store:
            self.assertEqual(store.execute("SELECT id FROM join_tokens").fetchall(), [(token_id,)])
        self.assertNotIn(secret, self.serving.err)

    def test_token_for_several(self):
        token = self.create("--agents", "2")
        first, second = (self.start_agent(name, *self.by_token(token)) for name in ["first", "second"])
        lab.wait_until(lambda: " 2 of 2" in self.states()[token.split(".")[1]], "both have joined", 30)
        self.assertRegex(self.refused_agent("third", *self.by_token(token)), "has let in the 2 agents")
        for agent in [first, second]:
            self.assertIsNone(agent.popen.poll())

    def test_never_in_plain_text(self):
        for more in [[], ["--insecure"]]:
            agent = self.start_agent("plain", "--token-file", self.lab.file("token", self.create()), *more)
            self.assertEqual(agent.wait(20), 2)
            self.assertIn("over TLS only", agent.err)


class PlainText(SecurityCase):
    def test_client_in_plain_text_is_told_and_does_no_harm(self):
        with self.load_under_way():
            self.expect_sentence(self.control("runs"), 1, "speaks TLS only", "--tls")
            agent = self.start_agent("plain", "--once")
            self.expect_said(agent, "trying again|speaks TLS only")
            for garbage in [http2.PREFACE, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 70000, os.urandom(100000)]:
                with socket.create_connection(("127.0.0.1", self.port), timeout=20) as raw:
                    with contextlib.suppress(OSError):
                        raw.sendall(garbage)
                        while raw.recv(65536):
                            pass

    def test_beyond_this_machine_only_with_the_flag(self):
        port = lab.free_port()
        self.expect_sentence(self.lab.trunkload("serve", "--listen", f":{port}"), 2, "in plain text", "--tls", "--insecure")
        self.expect_sentence(self.lab.trunkload("runs", "--controller", "192.0.2.1:7400"), 2, "--tls", "--insecure")
        agent = self.start_agent("far", "--label", "zone=far", controller="192.0.2.1:7400")
        self.assertEqual(agent.wait(20), 2)
        self.assertRegex(agent.err, "--tls.*--insecure")
        serving = self.lab.start(
            *(lab.program("trunkload"), "serve", "--listen", f":{port}", "--insecure"), "--data-dir", self.lab.folder + "/more"
        )
        self.addCleanup(serving.stop)
        lab.wait_until(lambda: "listening" in serving.err, "the controller listens")
        self.assertRegex(serving.err, "warning: --insecure: nothing is encrypted.*nobody is checked")
        runs = self.lab.trunkload("runs", "--controller", f"127.0.0.1:{port}", "--insecure")
        self.expect_sentence(runs, 0, "warning: --insecure")
        agent = self.start_agent("open", "--insecure", controller=f"127.0.0.1:{port}")
        self.expect_said(agent, "--insecure: nothing is encrypted")


class Floods(SecurityCase):
    SECONDS = 25

    def connect(self, tls=None):
        context = ssl.create_default_context(cafile=os.path.join(self.pki, "ca.crt"))
        context.set_alpn_protocols(["h2"])
        if tls:
            context.load_cert_chain(f"{tls}/tls.crt", f"{tls}/tls.key")
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return context.wrap_socket(raw, server_hostname="127.0.0.1")

    def memory(self):
        with open(f"/proc/{self.serving.pid}/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) * 1024

    def test_message_of_a_gigabyte(self):
        before = self.memory()
        with self.load_under_way():
            for tls, path in [(None, JOIN), (None, RUN), (self.agent_tls, RUN), (self.viewer, RUN)]:
                with self.connect(tls) as connection:
                    call = http2.Call(connection, path)
                    # Those who may not call are refused before they have said much.
                    self.assertLess(call.send(1 << 30), 10 << 20, f"{tls} {path}: {call.ended}")
                    self.assertIsNotNone(call.ended)
            self.assertLess(self.memory() - before, 100 << 20)
            for tls, path in [(self.agent_tls, JOIN), (self.operator, RUN)]:
                with self.connect(tls) as connection:
                    call = http2.Call(connection, path)
                    # Of others, gRPC looks at the size when it has all of it, unless they take too long.
                    sent = call.send(1 << 30)
                    call.wait()
                    print(f"{path} of one who may: {sent} bytes were taken", flush=True)
        self.assertLess(self.memory() - before, 3 << 30)

    def test_ten_thousand_idle_connections(self):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        count = min(10_000, most - 500)
        print(f"{count} idle connections", flush=True)
        with contextlib.ExitStack() as held, self.load_under_way():
            for _ in range(count):
                held.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=60))
            self.expect_status(self.control("runs", tls=self.viewer), 0)
            agent = self.start_agent("more")
            token = self.control("tokens", "create", tls=self.operator)
            self.expect_status(token, 0)
            self.assertIsNone(agent.popen.poll())

    def test_streams_that_say_nothing_end(self):
        with self.load_under_way(), self.connect(self.agent_tls) as connection:
            began = time.monotonic()
            call = http2.Call(connection, JOIN)
            call.wait()
            self.assertLess(time.monotonic() - began, 15)
            self.assertIn("nothing was said within 5 s", call.ended)


if __name__ == "__main__":
    main()

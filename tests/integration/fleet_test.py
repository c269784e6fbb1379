"""Agents and controllers as processes: how they find each other, and what becomes of a run that loses one."""
import json
import os
import re
import signal
import socket

from case import Case, closed, constant, lab, main, phase


class FleetCase(Case):
    def start_agent(self, port, name):
        agent = self.lab.start(
            lab.program("trunkload-agent"), "--controller", f"127.0.0.1:{port}", "--name", name
        )
        self.addCleanup(agent.stop)
        return agent

    def serve(self, port):
        serving = self.lab.start(lab.program("trunkload"), "serve", "--listen", f"127.0.0.1:{port}")
        self.addCleanup(serving.stop)
        lab.wait_until(lambda: "listening" in serving.err, "the controller listens")
        return serving

    def wait_for_load(self, server, statements=200):
        lab.wait_until(lambda: server.counts()["statements"] >= statements, "the run is under way")


class Listening(FleetCase):
    def test_agents_come_from_anywhere(self):
        server = self.wire_server()
        port = lab.free_port()
        run = self.lab.start_run(
            self.plan(server, phase(duration="1s"), setup=False),
            "--listen",
            f"127.0.0.1:{port}",
            "--agents",
            2,
            "--quiet",
        )
        for name in ["north", "south"]:
            self.start_agent(port, name)
        run.wait()
        self.expect_status(run, 0)
        self.assertEqual(sorted(agent["name"] for agent in run.result["agents"]), ["north", "south"])

    def test_too_few_agents_in_time(self):
        server = self.wire_server()
        port = lab.free_port()
        run = self.lab.start_run(
            self.plan(server, setup=False),
            "--listen",
            f"127.0.0.1:{port}",
            "--agents",
            2,
            "--wait",
            "1s",
            "--quiet",
        )
        self.start_agent(port, "alone")
        run.wait()
        self.expect_sentence(run, 1, r"\b1\b", r"\b2\b", "agents?")
        self.assertEqual(server.counts()["statements"], 0)

    def test_the_port_is_taken(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            plan = self.plan(self.wire_server(), setup=False)
            run = self.lab.run(plan, "--listen", f"127.0.0.1:{port}", "--agents", 1, "--quiet")
            self.expect_sentence(run, 1, str(port), "another program listens")
            serve = self.lab.trunkload("serve", "--listen", f"127.0.0.1:{port}")
            self.expect_sentence(serve, 1, str(port), "another program listens")


class Serving(FleetCase):
    def test_agents_stay_for_the_next_run(self):
        server = self.wire_server()
        port = lab.free_port()
        serving = self.serve(port)
        agents = [self.start_agent(port, name) for name in ["north", "south"]]
        for _ in range(2):
            before = server.counts()["rows"]
            run = self.lab.run(
                self.plan(server, phase(duration="1s"), setup=False),
                "--controller",
                f"127.0.0.1:{port}",
                "--agents",
                2,
                "--quiet",
            )
            self.expect_status(run, 0)
            self.assertEqual(sorted(agent["name"] for agent in run.result["agents"]), ["north", "south"])
            self.assertEqual(run.result["phases"][0]["rows"], server.counts()["rows"] - before)
        self.assertEqual([agent.popen.poll() for agent in agents], [None, None])
        self.assertIsNone(serving.popen.poll())
        serving.signal(signal.SIGTERM)
        serving.wait(10)
        self.expect_status(serving, 0)

    def test_one_run_at_a_time(self):
        server = self.wire_server()
        port = lab.free_port()
        serving = self.serve(port)
        self.start_agent(port, "only")
        # Thinking clients: a server that answers at once would use the agent's core up, and the verdict would say so.
        plan = self.plan(server, phase(duration="3s", **{"load": {"closed": {"clients": 8, "think_time": "2ms"}}}), setup=False)
        first = self.lab.start_run(plan, "--controller", f"127.0.0.1:{port}", "--quiet")
        self.wait_for_load(server)
        second = self.lab.run(plan, "--controller", f"127.0.0.1:{port}", "--quiet")
        self.expect_sentence(second, 1, "under way|another run|busy")
        first.wait()
        self.expect_status(first, 0)

    def test_nobody_serves(self):
        plan = self.plan(self.wire_server(), setup=False)
        port = lab.free_port()
        run = self.lab.run(plan, "--controller", f"127.0.0.1:{port}", "--quiet")
        self.expect_sentence(run, 1, str(port))

    def test_a_run_that_is_broken_off_frees_the_fleet(self):
        server = self.wire_server()
        port = lab.free_port()
        serving = self.serve(port)
        self.start_agent(port, "only")
        broken = self.lab.start_run(
            self.plan(server, phase(duration="60s"), setup=False),
            "--controller",
            f"127.0.0.1:{port}",
            "--quiet",
        )
        self.wait_for_load(server)
        broken.signal(signal.SIGKILL)
        broken.wait()
        next_plan = self.plan(server, phase(duration="1s"), setup=False)

        def runs():
            # A server that answers at once may use the agent's core up, and the run is not valid then.
            return self.lab.run(next_plan, "--controller", f"127.0.0.1:{port}", "--quiet").status in (0, 4)

        lab.wait_until(runs, "the fleet takes another run", timeout=20)


class LosingAnAgent(FleetCase):
    def test_the_result_says_so_and_does_not_pass(self):
        server = self.wire_server()
        run = self.lab.start_run(
            self.plan(server, phase(duration="5s", **constant(600)), setup=False), "--local", 3, "--quiet"
        )
        self.wait_for_load(server, 600)
        agents = self.lab.children("trunkload-agent")
        self.assertEqual(len(agents), 3)
        os.kill(min(agents), signal.SIGKILL)
        run.wait()
        self.expect_status(run, 4)
        self.assertEqual(sorted(agent["lost"] for agent in run.result["agents"]), [False, False, True])
        self.assertFalse(run.result["verdict"]["valid"])
        [lost] = [agent["name"] for agent in run.result["agents"] if agent["lost"]]
        self.assertRegex(" ".join(run.result["verdict"]["reasons"]), re.escape(lost))
        # What the others did is in it all the same.
        self.assertGreater(run.result["phases"][0]["transactions"], 1900)

    def test_agents_stop_with_their_controller(self):
        server = self.wire_server()
        run = self.lab.start_run(
            self.plan(server, phase(duration="60s"), setup=False), "--local", 2, "--quiet"
        )
        self.wait_for_load(server)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        lab.wait_until(lambda: not self.lab.children("trunkload"), "agents have ended too")


class Cancelling(FleetCase):
    def test_ctrl_c_ends_the_run_in_order(self):
        server = self.wire_server()
        run = self.lab.start_run(
            self.plan(server, phase(duration="1h", **constant(600)), setup=False), "--local", 3
        )
        self.wait_for_load(server, 1200)
        run.signal(signal.SIGINT)
        run.wait()
        self.expect_status(run, 130)
        self.assertTrue(run.result["run"]["cancelled"])
        [measured] = run.result["phases"]
        self.assertEqual(measured["rows"], server.counts()["rows"])
        self.assertLess(measured["duration_s"], 3600)
        self.assertIn("measured", run.out)

    def test_a_second_one_leaves_at_once(self):
        server = self.wire_server()
        plan = self.plan(server, phase(duration="1h"), setup=False)
        for _ in range(self.ATTEMPTS):
            answered = server.counts()["statements"]
            run = self.lab.start_run(plan, "--local", 2)
            self.wait_for_load(server, answered + 200)
            # Whoever waits for an answer now waits for as long as the run lets it.
            server.process.signal(signal.SIGSTOP)
            run.signal(signal.SIGINT)
            lab.wait_until(lambda: "once more to leave at once" in run.out + run.err, "the first is noticed")
            run.signal(signal.SIGINT)
            run.wait()
            server.process.signal(signal.SIGCONT)
            self.expect_status(run, 130)
            lab.wait_until(lambda: not self.lab.children("trunkload-agent"), "agents have ended")
            if not os.path.exists(run.json_path):
                return
            # The run was over in order, two seconds later, before the second one came.
        self.fail(f"the run ended in order each time:\n{run.out}\n{run.err}")


class Commands(Case):
    def test_check_touches_no_database(self):
        port = lab.free_port()
        plan = self.plan(self.wire_server(), phase(**closed(clients=7)))
        plan["target"]["conninfo"] = f"host=127.0.0.1 port={port} dbname=bench user=bench"
        checked = self.lab.trunkload("check", self.lab.file("plan.yaml", json.dumps(plan)))
        self.assertEqual(checked.status, 0, checked.err)
        self.assertIn("measured", checked.out)

    def test_wrong_usage(self):
        for arguments in [
            ["frobnicate"],
            ["run"],
            ["run", "a.yaml", "--local", "many"],
            ["run", "a.yaml", "--no-such"],
            ["run", "a.yaml", "--local", "1", "--controller", "localhost:1"],
        ]:
            with self.subTest(arguments=arguments):
                wrong = self.lab.trunkload(*arguments)
                self.assertEqual(wrong.status, 2, wrong.out + wrong.err)
                self.assertNotEqual(wrong.err, "")

    def test_every_command_has_help_with_an_example(self):
        for command in [
            [],
            ["run"],
            ["serve"],
            ["check"],
            ["stack"],
            ["stack", "up"],
            ["stack", "down"],
            ["stack", "status"],
        ]:
            with self.subTest(command=command):
                helped = self.lab.trunkload(*command, "--help")
                self.assertEqual(helped.status, 0, helped.err)
                self.assertRegex(helped.out, r"(?i)example")

    def test_a_plan_with_a_mistake_is_told_where(self):
        missing = self.lab.trunkload("run", "no-such.yaml", "--local", "1")
        self.expect_sentence(missing, 2, "no-such.yaml")
        path = self.lab.file("wrong.yaml", "name: x\nphases:\n  - {name: a, duratoin: 3s}\n")
        for command in [["check"], ["run", "--local", "1"]]:
            wrong = self.lab.trunkload(command[0], path, *command[1:])
            self.expect_status(wrong, 2)
            self.assertRegex(wrong.err, r"wrong\.yaml:3:\d+.*duratoin.*duration")

    def test_set_overrides_any_field(self):
        server = self.wire_server()
        plan = self.plan(server, phase(duration="60s"), setup=False)
        run = self.run_local(
            plan, "--set", "phases.measured.duration=1s", "--set", "fleet.pool.size=2", agents=1
        )
        self.assertEqual(run.result["run"]["plan"]["fleet"]["pool"]["size"], 2)
        self.expect_near(run.result["phases"][0]["duration_s"], 1, plus=0.2)

    def test_target_overrides_the_plans(self):
        server = self.wire_server()
        plan = self.plan(server, phase(duration="1s"), setup=False)
        plan["target"]["conninfo"] = "host=127.0.0.1 port=1"
        self.run_local(plan, "--target", server.conninfo, agents=1)
        self.assertGreater(server.counts()["rows"], 0)


if __name__ == "__main__":
    main()

"""What an agent says of its health to whatever started it."""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from case import Case, lab, main  # noqa: E402


class Health(Case):
    def setUp(self):
        super().setUp()
        self.file = os.path.join(self.lab.folder, "health")

    def check(self):
        check = self.lab.start(lab.program("trunkload-agent"), "--check-health", self.file)
        check.wait()
        return check

    def healthy(self):
        return self.check().status == 0

    def start_agent(self, port, **environment):
        agent = self.lab.start(lab.program("trunkload-agent"), "--controller", f"127.0.0.1:{port}", **environment)
        self.addCleanup(agent.stop)
        return agent

    def test_as_long_as_the_controller_answers(self):
        port = lab.free_port()
        with open(self.file, "w"):
            pass
        agent = self.start_agent(port, TRUNKLOAD_HEALTH_FILE=self.file)
        lab.wait_until(lambda: not os.path.exists(self.file), "what was left there is gone")
        self.expect_sentence(self.check(), 1, "no health file", self.file)
        serving = self.lab.start(lab.program("trunkload"), "serve", "--listen", f"127.0.0.1:{port}")
        self.addCleanup(serving.stop)
        lab.wait_until(self.healthy, "the agent is healthy")
        serving.signal(signal.SIGSTOP)
        lab.wait_until(lambda: not self.healthy(), "it is not, without its controller", timeout=40)
        self.expect_sentence(self.check(), 1, "no controller has answered", r"1\ds")
        serving.signal(signal.SIGCONT)
        lab.wait_until(self.healthy, "it is healthy again")
        self.assertEqual(agent.stop(), 0)
        self.assertFalse(os.path.exists(self.file))

    def test_a_file_that_cant_be_written(self):
        agent = self.lab.start(
            lab.program("trunkload-agent"), "--controller", "127.0.0.1:1", "--health-file", "/missing/health"
        )
        agent.wait()
        self.expect_sentence(agent, 1, "/missing/health", "No such file")

    def test_a_controller_is_needed_otherwise(self):
        agent = self.lab.start(lab.program("trunkload-agent"), TRUNKLOAD_HEALTH_FILE=self.file)
        agent.wait()
        self.expect_status(agent, 2)
        self.assertIn("--controller is required", agent.err)


if __name__ == "__main__":
    main()

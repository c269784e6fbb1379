"""What a controller costs by the number of its agents: CPU and memory of a serving controller, an interval a second from each
of 2,000 and 5,000 agents over gRPC. Prints one line for each, and the same again after a while: flat is what it should be."""
import argparse
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import lab  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        [rss] = [line.split()[1] for line in status if line.startswith("VmRSS")]
    return int(rss) / 1024


def measure(place, release, agents, seconds):
    server = lab.WireServer(place)
    port = lab.free_port()
    serving = place.start(
        os.path.join(release, "trunkload"), "serve", "--listen", f"127.0.0.1:{port}", "--data-dir", f"{place.folder}/{agents}"
    )
    lab.wait_until(lambda: "listening" in serving.err, "the controller listens")
    idle = memory_mib(serving.pid)
    fleet = place.start(lab.program("fleet_bench"), "--controller", f"127.0.0.1:{port}", "--agents", str(agents))
    lab.wait_until(lambda: "joined" in fleet.out, "all have joined", timeout=120)
    plan = {
        "name": "fleet",
        "target": {"conninfo": server.conninfo},
        "fleet": {"application_servers": agents},
        "scripts": [{"builtin": "insert-single"}],
        "phases": [{"name": "measured", "duration": f"{2 * seconds + 10}s", "load": {"open": {"rate": f"{agents * 100}/s"}}}],
    }
    run = place.start_run(plan, "--controller", f"127.0.0.1:{port}", "--agents", agents, "--quiet")
    time.sleep(8)
    for part in ["first", "second"]:
        before, began = cpu_s(serving.pid), time.monotonic()
        time.sleep(seconds)
        used = (cpu_s(serving.pid) - before) / (time.monotonic() - began)
        memory = memory_mib(serving.pid)
        print(
            f"{agents:6} agents, {part} {seconds} s: {used:5.2f} cores, {used / agents * 1e6:6.1f} us of CPU an agent and second; "
            f"{memory:6.1f} MiB, {(memory - idle) * 1024 / agents:5.1f} KiB an agent",
            flush=True,
        )
    run.wait(120)
    result = run.result
    [measured] = result["phases"]
    expected = agents * 100 * (2 * seconds + 10)
    print(f"       added up: {measured['transactions']} of {expected} transactions; lost agents: {len(result['losses'])}")
    fleet.popen.kill()
    fleet.wait()
    serving.stop()
    server.close()
    return measured["transactions"] == expected and not result["losses"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--agents", type=int, nargs="*", default=[2000, 5000])
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--release", default=os.path.join(lab.REPOSITORY, "build", "release"))
    arguments = parser.parse_args()
    place = lab.Lab()
    try:
        right = [measure(place, arguments.release, agents, arguments.seconds) for agents in arguments.agents]
    finally:
        place.close()
    sys.exit(0 if all(right) else 1)


if __name__ == "__main__":
    main()

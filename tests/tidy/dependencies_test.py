"""What may include what."""
import os
import re
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)

# A folder, and which of ours its files may include besides its own.
MAY_INCLUDE = {
    "common": ["trunkload/"],
    "common/tls": ["trunkload/", "common/"],
    "agent": ["trunkload/", "common/"],
    "controller/plan": ["trunkload/", "common/"],
    "controller/report": ["trunkload/", "common/", "controller/plan/"],
    "controller/stack": ["controller/child_process.h", "controller/cancellation.h"],
    # Who may do what is decided without anything else of the controller.
    "controller/access": ["common/tls/"],
    "controller/certs": ["common/tls/"],
    "controller": ["trunkload/", "common/"],
}
OURS = re.compile("^(trunkload|common|agent|controller|tests)/")

# What only these files may include.
GRPC = r"^grpcpp/|\.grpc\.pb\.h$"
LIBPQ = "^libpq"
OPENSSL = "^openssl/"
ONLY = {
    GRPC: {
        "agent/keep_alive.cc",
        "agent/keep_alive.h",
        "agent/session.cc",
        "common/grpc_status.h",
        "common/tls/grpc_credentials.cc",
        "common/tls/grpc_credentials.h",
        "controller/caller_check.h",
        "controller/control_client.cc",
        "controller/control_client.h",
        "controller/control_service.h",
        "controller/controller_dial.cc",
        "controller/controller_dial.h",
        "controller/controller_server.cc",
        "controller/controller_server.h",
        "controller/fleet_service.cc",
        "controller/fleet_service.h",
        "controller/token_client.cc",
        "controller/token_client.h",
        "controller/token_service.h",
    },
    OPENSSL: {
        "common/tls/certificate.cc",
        "common/tls/openssl.cc",
        "common/tls/openssl.h",
        "common/tls/tls_diagnosis.cc",
        "common/tls/tls_errors.cc",
        "common/tls/tls_folder.cc",
        "controller/access/join_token.cc",
        "controller/certs/authority.cc",
        "controller/http/access_rules.cc",
        "controller/http/http_stream.cc",
        "controller/http/https_context.cc",
        "controller/http/https_context.h",
    },
    LIBPQ: {"agent/pq_connection.cc", "controller/database.cc", "controller/plan/conninfo.cc"},
}

# What decides touches no thread, socket or clock; nor does what reads plans or writes reports.
OUTSIDE = re.compile(
    r"^(sys/|netinet/|arpa/|poll\.h|signal\.h|csignal|ctime|chrono|thread|mutex|condition_variable|atomic$)"
    r"|^absl/(synchronization/|time/clock)|^grpcpp/"
)
PURE = re.compile(
    r"^(agent/(pacer|rate_profile|run|load|pool|key_source|error_counts|slice|timer_queue)\."
    r"|controller/(agent_clock|controller|fleet|interval_check|merger|operation_record|phase_result|phase_times|planner|run_result_builder"
    r"|run_state|script_commands|series|verdict)\."
    r"|controller/citus/(evenness|node_label|node_queries|observation|table_spread)\."
    r"|controller/checks/(operation_audit|unsettled)\."
    r"|controller/faults/(recovery|run_faults)\."
    r"|controller/access/(failure_limit|join_tokens|permission)\."
    r"|common/tls/role\.|controller/(plan|report|sweep)/|common/(histogram|ledger|random|range_set|duration|utf8)\.)"
)
# Reads a file.
NOT_PURE = {"controller/plan/plan_loader.cc"}


def sources():
    for folder in ["common", "agent", "controller"]:
        for path, _, names in os.walk(os.path.join(ROOT, folder)):
            for name in names:
                if name.endswith((".cc", ".h")):
                    with open(os.path.join(path, name)) as text:
                        yield os.path.relpath(os.path.join(path, name), ROOT), INCLUDE.findall(text.read())


class Dependencies(unittest.TestCase):
    def setUp(self):
        self.sources = list(sources())
        self.assertGreater(len(self.sources), 50)

    def test_folders(self):
        for path, includes in self.sources:
            folder = max((folder for folder in MAY_INCLUDE if path.startswith(folder + "/")), key=len)
            allowed = tuple([folder + "/", *MAY_INCLUDE[folder]])
            for included in filter(OURS.match, includes):
                with self.subTest(path=path, included=included):
                    self.assertTrue(included.startswith(allowed))

    def test_libraries_stay_in_their_files(self):
        for pattern, files in ONLY.items():
            found = {path for path, includes in self.sources if any(re.search(pattern, i) for i in includes)}
            self.assertEqual(found, files, pattern)

    def test_what_decides_touches_nothing_outside(self):
        seen = 0
        for path, includes in self.sources:
            if PURE.match(path) and path not in NOT_PURE:
                seen += 1
                with self.subTest(path=path):
                    self.assertEqual([one for one in includes if OUTSIDE.match(one)], [])
        self.assertGreater(seen, 30)


if __name__ == "__main__":
    sys.exit(not unittest.main(exit=False).result.wasSuccessful())

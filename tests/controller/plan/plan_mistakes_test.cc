#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "controller/plan/plan_loader.h"
#include "tests/support/test_names.h"

namespace trunkload {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string ErrorOf(const absl::StatusOr<v1::Plan>& plan) {
  EXPECT_FALSE(plan.ok());
  EXPECT_EQ(plan.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(plan.status().message());
}

// A plan whose third line, and what may follow it, is under test.
std::string With(const std::string& lines) {
  return absl::StrCat("name: p\nscripts: [{builtin: insert-single}]\n", lines,
                      lines.find("phases:") == std::string::npos
                          ? "\nphases: [{name: one, duration: 1s, load: {closed: {clients: 1}}}]\n"
                          : "\n");
}

struct Mistake {
  // '@' stands where the mistake is to be found, and for nothing; without it, `error` begins with line and
  // column.
  std::string lines;
  std::string error;
};

void PrintTo(const Mistake& mistake, std::ostream* out) {
  *out << mistake.lines;
}

class MistakeTest : public ::testing::TestWithParam<Mistake> {};

TEST_P(MistakeTest, IsOneSentenceWithItsPlace) {
  std::string plan = With(GetParam().lines);
  std::string place;
  if (const size_t at = plan.find('@'); at != std::string::npos) {
    plan.erase(at, 1);
    const absl::string_view before = absl::string_view(plan).substr(0, at);
    // npos + 1 is 0: the first line begins there.
    place = absl::StrCat(std::count(before.begin(), before.end(), '\n') + 1, ":",
                         at - (before.rfind('\n') + 1) + 1, ": ");
  }
  const std::string error = ErrorOf(ParsePlan(plan, "p.yaml"));
  EXPECT_THAT(error, StartsWith(absl::StrCat("p.yaml:", place, GetParam().error)));
  EXPECT_THAT(error, Not(HasSubstr("\n")));
}

INSTANTIATE_TEST_SUITE_P(
    Fields, MistakeTest,
    ::testing::Values(
        Mistake{"@flet: {}",
                "flet: unknown field; expected one of name, target, setup, fleet, scripts, phases, "
                "objectives, seed, variables, observer, sweep, sweep_order, checks, check_options, faults; "
                "did you mean 'fleet'?"},
        Mistake{"fleet: {pool: {@siez: 3}}",
                "fleet.pool.siez: unknown field; expected one of size, mode, acquire_timeout, "
                "connect_timeout, queue_limit; did you mean 'size'?"},
        Mistake{"fleet: {@xyzzy: 3}",
                "fleet.xyzzy: unknown field; expected one of application_servers, pool, threads"},
        Mistake{
            "fleet: {@Threads: 3}",
            "fleet.Threads: unknown field; expected one of application_servers, pool, threads, connections, "
            "on_agent_lost, min_agents, lease, labels, spread_over; "
            "did you mean 'threads'?"},
        Mistake{"@\"a\\e[31m\": 3", "a\\x1b[31m: unknown field"}, Mistake{"? @[a]\n: b", "a list as a key"},
        Mistake{"@<<: {seed: 1}", "<<: unknown field"},
        Mistake{"seed: 1\n@seed: 2", "seed: written twice (first at p.yaml:3:1); expected it once"},
        Mistake{"fleet: {threads: 1, @threads: 1}", "fleet.threads: written twice (first at p.yaml:3:9)"},
        Mistake{"@seed:", "seed: no value; expected a whole number, or the field left out"},
        Mistake{"@fleet: ~", "fleet: no value; expected a map with application_servers, pool, threads"},
        Mistake{"@objectives:", "objectives: no value; expected a list"}),
    [](const auto& info) { return NameInWords(info.index, info.param.lines); });

INSTANTIATE_TEST_SUITE_P(
    Types, MistakeTest,
    ::testing::Values(
        Mistake{"fleet: @8", "fleet: a single value; expected a map with application_servers, pool, threads"},
        Mistake{"fleet: @[8]", "fleet: a list; expected a map with"},
        Mistake{"fleet: {threads: @{a: 1}}", "fleet.threads: a map; expected a whole number from 1 to 256"},
        Mistake{"fleet: {threads: @[1]}", "fleet.threads: a list; expected a whole number from 1 to 256"},
        Mistake{"fleet: {pool: {acquire_timeout: @{s: 1}}}",
                "fleet.pool.acquire_timeout: a map; expected a duration from 1ms to 1h"},
        Mistake{"objectives: @p99(response) < 5ms",
                "objectives: a single value; expected a list, each item a text"},
        Mistake{"objectives: [@[a]]", "objectives.0: a list; expected a text"},
        Mistake{"objectives: [@~]", "objectives.0: no value; expected a text"},
        Mistake{"phases: @{name: a}", "phases: a map; expected a list, each item a map with name, duration"},
        Mistake{"phases: [@1s]", "phases.0: a single value; expected a map with name"},
        Mistake{"setup: {workload: @usres}",
                "setup.workload: 'usres' is unknown; expected one of users, pgbench; did you mean 'users'?"},
        Mistake{"setup: {workload: users, distribution: @hash}",
                "setup.distribution: 'hash' is unknown; expected one of auto, citus, none"},
        Mistake{"setup: {workload: users, distribution: @unspecified}",
                "setup.distribution: 'unspecified' is unknown"},
        Mistake{"fleet: {pool: {mode: @Session}}",
                "fleet.pool.mode: 'Session' is unknown; expected one of transaction, session, "
                "reconnect; did "
                "you mean 'session'?"}),
    [](const auto& info) { return NameInWords(info.index, info.param.lines); });

INSTANTIATE_TEST_SUITE_P(
    Numbers, MistakeTest,
    ::testing::Values(
        Mistake{"fleet: {threads: @two}",
                "fleet.threads: not a whole number; expected a whole number from 1"},
        Mistake{"fleet: {threads: @1.5}", "fleet.threads: not a whole number"},
        Mistake{"fleet: {threads: @0x10}", "fleet.threads: not a whole number"},
        Mistake{"fleet: {threads: @010}", "fleet.threads: not a whole number"},
        Mistake{"fleet: {threads: @1e1}", "fleet.threads: not a whole number"},
        Mistake{"fleet: {threads: @\"\"}", "fleet.threads: not a whole number"},
        Mistake{"fleet: {threads: @-1}", "fleet.threads: negative; expected a whole number from 1 to 256"},
        Mistake{"fleet: {threads: @0}", "fleet.threads: out of range; expected a whole number from 1 to 256"},
        Mistake{"fleet: {threads: @257}", "fleet.threads: out of range"},
        Mistake{"fleet: {threads: @4294967297}", "fleet.threads: too high; expected a whole number from 1"},
        Mistake{"seed: @18446744073709551616", "seed: too high"},
        Mistake{"setup: {workload: users, rows: @10000000001}",
                "setup.rows: out of range; expected a whole number of at most 10000000000"},
        Mistake{"@scripts: [{builtin: insert-single}]",
                "scripts: written twice (first at p.yaml:2:1); expected it once"}),
    [](const auto& info) { return NameInWords(info.index, info.param.lines); });

INSTANTIATE_TEST_SUITE_P(
    Faults, MistakeTest,
    ::testing::Values(
        Mistake{
            "faults: [@{at: 0s}]",
            "faults.0: nothing is broken; expected one of terminate, stop, kill, pause, cut_off and command"},
        Mistake{"faults: [{kill: server, @pause: server}]",
                "faults.0.pause: excludes kill, which is there, too"},
        Mistake{"faults: [{kill: server, phase: @two}]", "faults.0.phase: there is no phase 'two'"},
        Mistake{"faults: [{kill: server, at: @1s}]",
                "faults.0.at: phase one is over by then; expected less than 1s"},
        Mistake{"faults: [{kill: server, phase: @one}]\nphases: [{name: one, load: {search: {objective: "
                "p99(response) < "
                "20ms, from: 500/s}}}]",
                "faults.0.phase: phase one is a search, of which no step's time is known"}),
    [](const auto& info) { return NameInWords(info.index, info.param.lines); });

std::string Phase(const std::string& rest) {
  return absl::StrCat("phases: [{name: one, ", rest, "}]");
}

INSTANTIATE_TEST_SUITE_P(
    Phases, MistakeTest,
    ::testing::Values(
        Mistake{"phases: @[]", "phases: missing; expected a list, each item a map with name"},
        Mistake{"phases: [@{duration: 1s, load: {closed: {clients: 1}}}]", "phases.0.name: missing"},
        Mistake{"phases: [{name: @\"\", duration: 1s, load: {closed: {clients: 1}}}]",
                "phases.0.name: missing; expected a text"},
        Mistake{"phases: [@{name: one, duration: 1s}]",
                "phases.0.load: missing; expected a map with closed, open"},
        Mistake{Phase("duration: 1s, load: @{}"),
                "phases.0.load: no kind of load; expected closed, open or search"},
        Mistake{Phase("duration: 1s, load: {closed: @{}}"),
                "phases.0.load.closed.clients: missing; expected a whole number from 1 to 10000000"},
        Mistake{Phase("duration: 1s, load: {closed: {clients: @0}}"),
                "phases.0.load.closed.clients: out of range; expected a whole number from 1"},
        Mistake{Phase("duration: 1s, load: {closed: {clients: 1}, @open: {rate: 1/s}}"),
                "phases.0.load.open: excludes closed, which is there, too; expected one of them"},
        Mistake{Phase("duration: @0s, load: {closed: {clients: 1}}"),
                "phases.0.duration: out of range; expected a duration above 0 and at most 8760h, such as "
                "250us, 5ms or 3s"},
        Mistake{Phase("duration: @0.1ns, load: {closed: {clients: 1}}"), "phases.0.duration: out of range"},
        Mistake{Phase("duration: @9000h, load: {closed: {clients: 1}}"), "phases.0.duration: out of range"},
        Mistake{Phase("duration: @99999999999999h, load: {closed: {clients: 1}}"),
                "phases.0.duration: too long a duration"},
        Mistake{Phase("duration: @inf, load: {closed: {clients: 1}}"),
                "phases.0.duration: too long a duration"},
        Mistake{Phase("duration: @-3s, load: {closed: {clients: 1}}"),
                "phases.0.duration: a negative duration"},
        Mistake{Phase("duration: @10, load: {closed: {clients: 1}}"),
                "phases.0.duration: a duration without a unit; expected a duration such as 250us, 5ms, 3s"},
        Mistake{Phase("duration: @0, load: {closed: {clients: 1}}"),
                "phases.0.duration: a duration without a unit"},
        Mistake{Phase("duration: @10 sec, load: {closed: {clients: 1}}"),
                "phases.0.duration: not a duration"},
        Mistake{Phase("duration: @3d, load: {closed: {clients: 1}}"), "phases.0.duration: not a duration"},
        Mistake{"phases: [@{name: one, load: {closed: {clients: 1}}}]",
                "phases.0: nothing ends this phase; expected a duration (such as duration: 30s) or a "
                "number "
                "of transactions"},
        Mistake{Phase("duration: 1s, transactions: @5, load: {closed: {clients: 1}}"),
                "phases.0.transactions: the phase has a duration, too; expected either"},
        Mistake{Phase("transactions: @0, load: {closed: {clients: 1}}"),
                "phases.0.transactions: out of range"},
        Mistake{Phase("duration: 1s, record: @yes, load: {closed: {clients: 1}}"),
                "phases.0.record: 'yes' is not a truth value; expected true or false"},
        Mistake{Phase("duration: 1s, record: @True, load: {closed: {clients: 1}}"),
                "phases.0.record: 'True' is not a truth value; expected true or false; did you mean "
                "'true'?"},
        Mistake{"phases: @[{name: one, duration: 1s, record: false, load: {closed: {clients: 1}}}]",
                "phases: every phase has record: false"},
        Mistake{"phases:\n- {name: a, duration: 1s, load: {closed: {clients: 1}}}\n"
                "- {name: @a, duration: 1s, load: {closed: {clients: 1}}}",
                "phases.1.name: 'a' is the name of phases.0 too; expected another"},
        Mistake{"phases: [{name: @a b, duration: 1s, load: {closed: {clients: 1}}}]",
                "phases.0.name: 'a b' is not a name; expected letters, digits, '-', '_' and '.', at "
                "most 64"},
        Mistake{"fleet: {pool: {mode: session}}\n" + Phase("duration: 1s, load: {closed: {clients: @9}}"),
                "phases.0.load.closed.clients: in pool mode session each client keeps a connection, and 9 "
                "clients are more than the 8 connections"}),
    [](const auto& info) { return NameInWords(info.index, info.param.lines); });

INSTANTIATE_TEST_SUITE_P(
    OpenLoad, MistakeTest,
    ::testing::Values(
        Mistake{Phase("duration: 1s, load: {open: {rate: @-5/s}}"),
                "phases.0.load.open.rate: out of range; expected a rate above 0 and at most "
                "100000000/s, such "
                "as 2000/s"},
        Mistake{Phase("duration: 1s, load: {open: {rate: @0}}"), "phases.0.load.open.rate: out of range"},
        Mistake{Phase("duration: 1s, load: {open: {rate: @1e9}}"), "phases.0.load.open.rate: out of range"},
        Mistake{Phase("duration: 1s, load: {open: {rate: @inf}}"), "phases.0.load.open.rate: not a rate"},
        Mistake{Phase("duration: 1s, load: {open: {rate: @nan/s}}"), "phases.0.load.open.rate: not a rate"},
        Mistake{Phase("duration: 1s, load: {open: {rate: @1e999}}"), "phases.0.load.open.rate: not a rate"},
        Mistake{Phase("duration: 1s, load: {open: {rate: @5/d}}"),
                "phases.0.load.open.rate: not a rate; expected a number with /s, /min or /h, such as "
                "2000/s"},
        Mistake{Phase("duration: 1s, load: {open: {rate: @fast}}"), "phases.0.load.open.rate: not a rate"},
        Mistake{Phase("duration: 1s, load: {open: @{}}"),
                "phases.0.load.open: neither a rate nor stages; expected one of them"},
        Mistake{Phase("duration: 1s, load: {open: @{rate: 1, stages: [{duration: 1s, rate: 1}]}}"),
                "phases.0.load.open: both a rate and stages; expected one of them"},
        Mistake{Phase("duration: 8s, load: {open: {rate: @1/min}}"),
                "phases.0.load.open.rate: too low for anything to come due in 8s"},
        Mistake{Phase("transactions: 1000000000, load: {open: {rate: @1/h}}"),
                "phases.0.load.open.rate: too low: 1000000000 transactions would take longer than 8760h"},
        Mistake{Phase("duration: 1s, load: {open: {rate: 1, arrivals: @poison}}"),
                "phases.0.load.open.arrivals: 'poison' is unknown; expected one of constant, poisson; "
                "did you "
                "mean 'poisson'?"},
        Mistake{Phase("load: {open: {stages: [@{rate: 1}]}}"),
                "phases.0.load.open.stages.0.duration: missing; expected a duration above 0"},
        Mistake{Phase("load: {open: {stages: [@{duration: 1s}]}}"),
                "phases.0.load.open.stages.0: neither a rate nor ramp_to"},
        Mistake{Phase("load: {open: {stages: [@{duration: 1s, rate: 1, ramp_to: 2}]}}"),
                "phases.0.load.open.stages.0: both a rate and ramp_to"},
        Mistake{Phase("duration: 3s, load: {open: {stages: @[{duration: 2s, rate: 5}]}}"),
                "phases.0.load.open.stages: the stages take 2s and the phase 3s; expected the same"},
        Mistake{Phase("transactions: @3, load: {open: {stages: [{duration: 2s, rate: 5}]}}"),
                "phases.0.transactions: the stages of a phase end it by time"},
        Mistake{Phase("load: {open: {stages: @[{duration: 2s, rate: 0}, {duration: 1s, ramp_to: 1}]}}"),
                "phases.0.load.open.stages: the rates are too low for anything to come due"},
        Mistake{"phases: @[{name: one, load: {open: {stages: [{duration: 8000h, rate: 9}, {duration: 8000h, "
                "rate: 9}]}}}]",
                "phases: all phases together take 16000h; expected at most 8760h"}),
    [](const auto& info) { return NameInWords(info.index, info.param.lines); });

INSTANTIATE_TEST_SUITE_P(
    Maps, MistakeTest,
    ::testing::Values(
        Mistake{"variables: @[a]", "variables: a list; expected a map of texts by name"},
        Mistake{"variables: @5", "variables: a single value; expected a map of texts by name"},
        Mistake{"@variables:", "variables: no value; expected a map of texts by name"},
        Mistake{"variables: {@a: }", "variables.a: no value; expected a text or a number"},
        Mistake{"variables: {@a: ~}", "variables.a: no value; expected a text or a number"},
        Mistake{"variables: {a: @[1]}", "variables.a: a list; expected a text"},
        Mistake{"variables: {a: @{b: 1}}", "variables.a: a map; expected a text"},
        Mistake{"variables: {? @[a] : b}", "variables: a list as a key; expected a name"},
        Mistake{"variables: {a: 1, @a: 2}", "variables.a: written twice (first at p.yaml:3:13)"},
        Mistake{"variables: {1a: @1}", "variables.1a: '1a' can't be a variable's name; expected letters"},
        Mistake{"variables: {\"\": @1}", "variables.: '' can't be a variable's name"},
        Mistake{"variables: {a b: @1}", "variables.a b: 'a b' can't be a variable's name"},
        Mistake{"variables: {a: @\"x\\0y\"}", "variables.a: holds a NUL character or is not UTF-8"}),
    [](const auto& info) { return NameInWords(info.index, info.param.lines); });

INSTANTIATE_TEST_SUITE_P(
    Fleet, MistakeTest,
    ::testing::Values(
        Mistake{"fleet: {application_servers: 5, connections: @4}",
                "fleet.connections: fewer than the 5 application servers"},
        Mistake{"fleet: {connections: @0}", "fleet.connections: out of range"},
        Mistake{"observer: {enabled: false}\n" +
                    Phase("duration: 1s, observed: @true, load: {closed: {clients: 1}}"),
                "phases.0.observed: the plan has observer.enabled: false; expected true there"},
        Mistake{"fleet: {application_servers: 2, connections: 7, pool: {mode: session}}\n" +
                    Phase("duration: 1s, load: {closed: {clients: @8}}"),
                "phases.0.load.closed.clients: in pool mode session each client keeps a connection, "
                "and 8 clients are more than the 7 connections"}),
    [](const auto& info) { return NameInWords(info.index, info.param.lines); });

INSTANTIATE_TEST_SUITE_P(
    Others, MistakeTest,
    ::testing::Values(
        Mistake{"objectives: [@p99(respons) < 5ms]",
                "objectives.0: at character 5: expected one of response, service, pool_wait, send_lag, "
                "failed; did you mean 'response'?"},
        Mistake{"objectives:\n- error_rate < 1%\n- @throughput > 5/s in tow",
                "objectives.1: there is no phase 'tow'; expected a recorded one (one)"},
        Mistake{"objectives: [@rows > 1/s in w]\nphases:\n"
                "- {name: w, record: false, duration: 1s, load: {closed: {clients: 1}}}\n"
                "- {name: m, duration: 1s, load: {closed: {clients: 1}}}",
                "objectives.0: phase 'w' is not recorded"},
        Mistake{"target: {conninfo: @host=x hots=y}",
                "target.conninfo: not a connection string that libpq understands: 'hots' is not an "
                "option of "
                "libpq's; did you mean 'host'?; expected"},
        Mistake{"fleet: @{application_servers: 100000, pool: {size: 1000}}",
                "fleet: 100000 application servers with 1000 connections each are more than the"},
        Mistake{"fleet: {application_servers: 3", "4:7: not YAML: end of map flow not found"},
        Mistake{"fleet: @*nowhere", "not YAML: the referenced anchor is not defined"},
        Mistake{"name: @\xff", "not UTF-8; expected a text file, saved as UTF-8"},
        Mistake{"# caf\xc3\xa9 @\xe2\x82", "not UTF-8"}, Mistake{"# @\xc0\x80", "not UTF-8"},
        Mistake{"# @\xed\xa0\x80", "not UTF-8"}, Mistake{"# @\xf4\x90\x80\x80", "not UTF-8"},
        Mistake{"# @\x1b[31m", "a control character (0x1b)"},
        Mistake{"@---\nseed: 1", "a second YAML document"}),
    [](const auto& info) { return NameInWords(info.index, info.param.lines); });

TEST(PlanMistakesTest, WeightsOfZero) {
  EXPECT_EQ(ErrorOf(ParsePlan("name: p\nscripts:\n- {builtin: insert-single, weight: 0}\n"
                              "phases: [{name: one, duration: 1s, load: {closed: {clients: 1}}}]\n",
                              "p.yaml")),
            "p.yaml:3:1: scripts: all weights are 0, so that no script would ever run; expected at least one "
            "weight above 0");
}

TEST(PlanMistakesTest, NotAMap) {
  EXPECT_THAT(ErrorOf(ParsePlan("just words", "p.yaml")),
              StartsWith("p.yaml:1:1: a single value; expected a map"));
  EXPECT_THAT(ErrorOf(ParsePlan("\n- a\n", "p.yaml")),
              StartsWith("p.yaml:2:1: a list; expected a map with name"));
}

TEST(PlanMistakesTest, AllOfOnePassAreReportedInTheFilesOrder) {
  const std::string error = ErrorOf(ParsePlan(With("seed: x\nfleet: {threads: y}\nobjective: []"), "p.yaml"));
  const std::vector<std::string> lines = absl::StrSplit(error, '\n');
  EXPECT_THAT(lines, ElementsAre(StartsWith("p.yaml:3:7: seed: "), StartsWith("p.yaml:4:18: fleet.threads: "),
                                 StartsWith("p.yaml:5:1: objective: ")));
}

TEST(PlanMistakesTest, ManyAreCutShort) {
  std::string lines;
  for (int i = 0; i < 100; ++i) absl::StrAppend(&lines, "unknown", i, ": 1\n");
  const std::vector<std::string> sentences = absl::StrSplit(ErrorOf(ParsePlan(With(lines), "p.yaml")), '\n');
  EXPECT_EQ(sentences.size(), 21u);
  EXPECT_EQ(sentences.back(), "and 80 more mistakes");
}

TEST(PlanMistakesTest, AliasesMayNotMultiplyWithoutEnd) {
  // Nine levels of ten: a thousand million values in a few hundred bytes.
  std::string lines = "x0: &a0 [1]\n";
  for (int i = 1; i < 10; ++i) {
    absl::StrAppend(&lines, "x", i, ": &a", i, " [");
    for (int j = 0; j < 10; ++j) absl::StrAppend(&lines, "*a", i - 1, ", ");
    absl::StrAppend(&lines, "]\n");
  }
  EXPECT_THAT(ErrorOf(ParsePlan(With(absl::StrCat(lines, "objectives: *a9")), "p.yaml")),
              HasSubstr("unknown field"));

  std::string phases = "objectives: &o [a]\nphases:\n- &p {name: a, load: {open: {stages: [";
  for (int i = 0; i < 2000; ++i) absl::StrAppend(&phases, i == 0 ? "&s {duration: 1s, rate: 1}" : ", *s");
  absl::StrAppend(&phases, "]}}}\n");
  for (int i = 0; i < 100; ++i) absl::StrAppend(&phases, "- *p\n");
  EXPECT_THAT(ErrorOf(ParsePlan(With(phases), "p.yaml")),
              HasSubstr("too many values; expected at most 100000, with those that aliases repeat"));
}

TEST(PlanMistakesTest, DeepNestingIsAMistakeAndNotACrash) {
  for (const char bracket : {'[', '{'}) {
    EXPECT_THAT(ErrorOf(ParsePlan(With(absl::StrCat("seed: ", std::string(100'000, bracket))), "p.yaml")),
                HasSubstr("nested too deeply; expected a plan"));
  }
}

TEST(PlanMistakesTest, AnAnchorInsideItself) {
  EXPECT_THAT(ErrorOf(ParsePlan(With("objectives: &a [*a]"), "p.yaml")),
              HasSubstr("objectives.0: a list; expected a text"));
}

TEST(PlanMistakesTest, NoMessageShowsAPassword) {
  for (const std::string lines :
       {"target: host=db password=geheim", "target: {conninfo: host=db password=a geheim}",
        "target: {conninfo: 'postgresql://u:geheim@host/db?geheim'}",
        "target: {conninfo: 'postgres://u:geheim@[::1'}", "target: {conninfo: password=geheim hots=x}",
        "target: {conninfo: \"password='geheim\"}", "target: {conninfo: [password=geheim]}",
        "target: {conninfo: password=geheim, passwort: geheim}",
        "target: {conninfo: 'pass word=geheim geheim'}", "taget: {conninfo: password=geheim}"}) {
    EXPECT_THAT(ErrorOf(ParsePlan(With(lines), "p.yaml")), Not(HasSubstr("geheim"))) << lines;
  }
  for (const std::string setting :
       {"target.conninfo=password=geheim hots=x", "target=host=db password=geheim", "target.password=geheim",
        "target.conninfo.password=geheim", "taget.conninfo=password=geheim",
        "target={conninfo: password=geheim, x: 1}", "target={password: geheim",
        "targt=postgres://u:geheim@host", "postgres://u:geheim@host", "password:geheim"}) {
    EXPECT_THAT(ErrorOf(ParsePlan(With(""), "p.yaml", {.set = {setting}})), Not(HasSubstr("geheim")))
        << setting;
  }
  EXPECT_THAT(ErrorOf(ParsePlan(With(""), "p.yaml", {.target = "password=a geheim"})),
              Not(HasSubstr("geheim")));
}

TEST(PlanMistakesTest, ASweepHoldsNoPassword) {
  for (const std::string sweep :
       {"target.conninfo: [host=a, host=b password=geheim]", "target.conninfo: ['postgres://u:geheim@a']",
        "target: ['{conninfo: password=geheim}']", "target.conninfo: ['password=a geheim']"}) {
    EXPECT_THAT(ErrorOf(ParsePlan(With("sweep: {" + sweep + "}"), "p.yaml")),
                AllOf(HasSubstr("sweep.target"), HasSubstr("password file"), Not(HasSubstr("geheim"))))
        << sweep;
  }
  for (const std::string sweep : {"target.conninfo: [host=a, host=b passfile=/home/u/.pgpass]",
                                  "target.conninfo: ['postgres://u@a']"}) {
    EXPECT_TRUE(ParsePlan(With("sweep: {" + sweep + "}"), "p.yaml").ok()) << sweep;
  }
}

}  // namespace
}  // namespace trunkload

#include "controller/pgbench/options.h"

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/test_names.h"

namespace trunkload {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

absl::StatusOr<PgbenchRequest> Parse(const std::string& line, const char* seed = nullptr) {
  const std::vector<std::string> arguments = absl::StrSplit(line, ' ', absl::SkipEmpty());
  return ParsePgbenchOptions(arguments, seed);
}

PgbenchOptions Options(const std::string& line, const char* seed = nullptr) {
  const absl::StatusOr<PgbenchRequest> request = Parse(line, seed);
  EXPECT_TRUE(request.ok()) << line << ": " << request.status();
  return request.ok() ? request->options : PgbenchOptions();
}

TEST(PgbenchOptionsTest, DefaultsArePgbenchs) {
  const PgbenchOptions options = Options("");
  EXPECT_FALSE(options.initialize);
  EXPECT_EQ(options.clients, 1u);
  EXPECT_EQ(options.threads, 1u);
  EXPECT_EQ(options.query_mode, v1::QUERY_MODE_SIMPLE);
  EXPECT_EQ(options.max_tries, 1u);
  EXPECT_FALSE(options.transactions || options.duration || options.scale || options.seed || options.agents);
  ASSERT_EQ(options.scripts.size(), 1u);
  EXPECT_EQ(options.scripts[0].builtin, v1::BUILTIN_TPCB_LIKE);
  EXPECT_EQ(options.scripts[0].weight, 1u);
}

TEST(PgbenchOptionsTest, AreWrittenAsPgbenchLetsThem) {
  for (const char* line :
       {"-c64 -j4 -T60 -Mprepared -R5000 -P5 -l -r db", "db -c 64 -j 4 -T 60 -M prepared -R 5e3 -P 5 -lr",
        "--client=64 --jobs 4 --time=60 --proto prepared --rate=5000 --progress=5 --log --report-per db",
        "-c 64 -j 4 -T 60 -M prepared -R 5000 -P 5 -l -r -- db",
        "-lrc64 -j4 -T60 -Mprepared -R5000 -P5 -d db"}) {
    const PgbenchOptions options = Options(line);
    EXPECT_EQ(options.clients, 64u) << line;
    EXPECT_EQ(options.threads, 4u) << line;
    EXPECT_EQ(options.duration, absl::Seconds(60)) << line;
    EXPECT_EQ(options.query_mode, v1::QUERY_MODE_PREPARED) << line;
    EXPECT_EQ(options.rate_per_s, 5000) << line;
    EXPECT_EQ(options.progress_s, 5u) << line;
    EXPECT_TRUE(options.log && options.report_per_command) << line;
    EXPECT_EQ(options.database, "db") << line;
  }
}

TEST(PgbenchOptionsTest, ScriptsHaveWeights) {
  const PgbenchOptions options = Options("-f a.sql -f b@c.sql@3 -b sel@0 -b tpcb-like@2147483647 -N -S -f -");
  ASSERT_EQ(options.scripts.size(), 7u);
  EXPECT_EQ(options.scripts[0].file, "a.sql");
  EXPECT_EQ(options.scripts[0].weight, 1u);
  EXPECT_EQ(options.scripts[1].file, "b@c.sql");
  EXPECT_EQ(options.scripts[1].weight, 3u);
  EXPECT_EQ(options.scripts[2].builtin, v1::BUILTIN_SELECT_ONLY);
  EXPECT_EQ(options.scripts[2].weight, 0u);
  EXPECT_EQ(options.scripts[3].weight, 2147483647u);
  EXPECT_EQ(options.scripts[4].builtin, v1::BUILTIN_SIMPLE_UPDATE);
  EXPECT_EQ(options.scripts[5].builtin, v1::BUILTIN_SELECT_ONLY);
  EXPECT_EQ(options.scripts[6].file, "-");
}

TEST(PgbenchOptionsTest, TakesTheRest) {
  const PgbenchOptions options = Options(
      "-c 3 -D a=1 -D b=x=y -s 7 -nvC -L 1.5 --max-tries=3 --continue-on-error --exit-on-abort "
      "--failures-detailed "
      "--verbose-errors --progress-timestamp -P1 -l --log-prefix=p --sampling-rate=0.5 -t 5 -h h -p 1 -U u "
      "--agents=3 --listen=:7400 --wait=2m");
  EXPECT_THAT(options.variables, ElementsAre(Pair("a", "1"), Pair("b", "x=y")));
  EXPECT_EQ(options.scale, 7u);
  EXPECT_TRUE(options.no_vacuum && options.vacuum_all && options.reconnect);
  EXPECT_EQ(options.latency_limit, absl::Microseconds(1500));
  EXPECT_EQ(options.max_tries, 3u);
  EXPECT_TRUE(options.continue_on_error && options.exit_on_abort && options.failures_detailed &&
              options.verbose_errors && options.progress_timestamp);
  EXPECT_EQ(options.log_prefix, "p");
  EXPECT_EQ(options.sampling_rate, 0.5);
  EXPECT_EQ(options.transactions, 5u);
  EXPECT_EQ(options.host + options.port + options.user, "h1u");
  EXPECT_EQ(options.agents, 3u);
  EXPECT_EQ(options.listen, ":7400");
  EXPECT_EQ(options.wait, absl::Minutes(2));
}

TEST(PgbenchOptionsTest, TakesThoseOfInitialising) {
  const PgbenchOptions options = Options(
      "-i -I dtG -F 90 -q -s 10 --foreign-keys --index-tablespace=a --tablespace=b --unlogged-tables "
      "--partitions=3 --partition-method=hash --loaders=8 --distribution=citus");
  EXPECT_TRUE(options.initialize);
  EXPECT_EQ(options.init.steps, "dtG");
  EXPECT_EQ(options.init.fillfactor, 90u);
  EXPECT_EQ(options.scale, 10u);
  EXPECT_TRUE(options.quiet && options.init.foreign_keys && options.init.unlogged_tables);
  EXPECT_EQ(options.init.index_tablespace + options.init.tablespace, "ab");
  EXPECT_EQ(options.init.partitions, 3u);
  EXPECT_EQ(options.init.partition_method, v1::PARTITION_METHOD_HASH);
  EXPECT_EQ(options.init.loaders, 8u);
  EXPECT_EQ(options.init.distribution, v1::DISTRIBUTION_CITUS);
}

TEST(PgbenchOptionsTest, ASeedIsANumberOrAWord) {
  EXPECT_EQ(Options("--random-seed=42").seed, 42u);
  EXPECT_EQ(Options("", "43").seed, 43u);
  EXPECT_EQ(Options("--random-seed=42", "43").seed, 42u);
  EXPECT_TRUE(Options("--random-seed=time").seed.has_value());
  EXPECT_TRUE(Options("--random-seed=rand").seed.has_value());
  EXPECT_THAT(std::string(Parse("", "x").status().message()), HasSubstr("PGBENCH_RANDOM_SEED"));
}

TEST(PgbenchOptionsTest, SomeOnlyShowSomething) {
  EXPECT_THAT(Parse("-b list")->print_on_stderr, HasSubstr("simple-update"));
  EXPECT_THAT(Parse("--show-script=select")->print_on_stderr, HasSubstr("SELECT abalance"));
  for (const char* line : {"--help", "-?", "-c 5 --help"})
    EXPECT_THAT(Parse(line)->print, HasSubstr("Usage")) << line;
  for (const char* line : {"--version", "-V"})
    EXPECT_THAT(Parse(line)->print, HasSubstr("trunkload")) << line;
}

struct Mistake {
  const char* line;
  const char* said;
};

class PgbenchMistakeTest : public testing::TestWithParam<Mistake> {};

INSTANTIATE_TEST_SUITE_P(
    , PgbenchMistakeTest,
    testing::Values(
        Mistake{"-z", "no such option: -z"}, Mistake{"-nz", "no such option: -z"},
        Mistake{"--nonsense", "no such option: --nonsense"}, Mistake{"--no-vacuum=1", "--no-vacuum=1"},
        Mistake{"--p=1", "no such option: --p=1"}, Mistake{"-c", "no value of -c"},
        Mistake{"--client", "no value of --client"}, Mistake{"-c 0", "-c is a whole number from 1"},
        Mistake{"-c 1x", "not \"1x\""}, Mistake{"--client=99999999999", "--client is a whole number"},
        Mistake{"-j 0", "-j"}, Mistake{"-s 0", "-s"}, Mistake{"-t 0", "-t"}, Mistake{"-T -1", "-T"},
        Mistake{"-t 1 -T 1", "exclude each other"}, Mistake{"-L 0", "milliseconds"},
        Mistake{"-L nan", "milliseconds"}, Mistake{"-R 0", "per second"}, Mistake{"-R inf", "per second"},
        Mistake{"-M fast", "simple, extended, prepared"}, Mistake{"-D x", "NAME=VALUE"},
        Mistake{"-D =1", "NAME=VALUE"}, Mistake{"-D x=", "NAME=VALUE"},
        Mistake{"-b none", "no builtin script"}, Mistake{"-b s", "more than one"},
        Mistake{"-b sel@x", "weight"}, Mistake{"-f a@-1", "weight"}, Mistake{"-f a@2147483648", "weight"},
        Mistake{"-f a@", "weight"}, Mistake{"-S@0", "no such option: -@"},
        Mistake{"-b sel@0", "weights of all scripts are 0"}, Mistake{"--sampling-rate=0.5", "needs -l"},
        Mistake{"-l --sampling-rate=0", "above 0"}, Mistake{"-l --sampling-rate=1.1", "at most 1"},
        Mistake{"--aggregate-interval=1", "needs -l"}, Mistake{"--log-prefix=x", "needs -l"},
        Mistake{"-l --sampling-rate=0.1 --aggregate-interval=1", "exclude"},
        Mistake{"-l -T 5 --aggregate-interval=2", "multiple"},
        Mistake{"-l -T 5 --aggregate-interval=10", "multiple"}, Mistake{"--progress-timestamp", "needs -P"},
        Mistake{"--max-tries=0", "needs -L or -T"}, Mistake{"--max-tries=-1", "--max-tries"},
        Mistake{"--random-seed=x", "--random-seed"}, Mistake{"--show-script=none", "no builtin script"},
        Mistake{"a b", "one too many"}, Mistake{"-i -c 2", "-c is no option of -i"},
        Mistake{"-i -S", "-S is no option of -i"}, Mistake{"-F 80", "-F is an option of -i only"},
        Mistake{"-q", "-q is an option of -i only"}, Mistake{"--partitions=2", "option of -i only"},
        Mistake{"-i -F 9", "-F is a whole number from 10 to 100"}, Mistake{"-i -I x", "no step \"x\""},
        Mistake{"-i -I ", "no value of -I"}, Mistake{"-i -n -I v", "-n leaves nothing"},
        Mistake{"-i --partition-method=hash", "needs --partitions"},
        Mistake{"-i --partition-method=list --partitions=2", "range, hash"},
        Mistake{"-i --partitions=-1", "--partitions"}, Mistake{"-i --distribution=some", "auto, citus, none"},
        Mistake{"--debug", "--verbose-errors"}, Mistake{"--agents=0", "--agents"},
        Mistake{"--listen=:1", "needs --agents"},
        Mistake{"--listen=:1 --controller=h:1 --agents=1", "exclude"},
        Mistake{"-c 2 --agents=3", "too few for 3 agents"},
        Mistake{"-l --controller=h:1", "--listen in place"},
        Mistake{"--allow-shell --controller=h:1", "agents on this machine"}, Mistake{"--wait=0s", "--wait"},
        Mistake{"--wait=soon", "--wait"}),
    [](const auto& info) { return NameInWords(info.index, info.param.line); });

TEST_P(PgbenchMistakeTest, IsOneSentence) {
  const absl::StatusOr<PgbenchRequest> request = Parse(GetParam().line);
  ASSERT_EQ(request.status().code(), absl::StatusCode::kInvalidArgument) << GetParam().line;
  const std::string message(request.status().message());
  EXPECT_THAT(message, HasSubstr(GetParam().said)) << GetParam().line;
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace trunkload

// wire_server: a PostgreSQL server that stores nothing, as a program. Serves until SIGTERM or SIGINT, then
// says what it answered.
#include <pthread.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <string>

#include "absl/time/time.h"
#include "tests/support/wire_server.h"

int main(int argc, char** argv) {
  trunkload::WireServerOptions options;
  std::string delay;
  CLI::App app("A PostgreSQL server that stores nothing and answers at once, or after an exact delay");
  app.add_option("--port", options.port, "On 127.0.0.1; 0: any that is free, printed on standard output");
  app.add_option("--delay", delay, "How long each statement waits for its answer, as in 5ms");
  app.add_option("--max-connections", options.max_connections, "Clients beyond these are refused with 53300");
  app.add_option("--password", options.password, "Asked for in clear text");
  auto* const error = app.add_option("--error", options.error_sqlstate, "Statements fail with this SQLSTATE");
  app.add_option("--every", options.error_every, "Which ones: every so many-th")->needs(error);
  std::string log_file;
  app.add_option("--log", log_file, "Gets a line for each query and statement that comes");
  CLI11_PARSE(app, argc, argv);
  if (!delay.empty() && !absl::ParseDuration(delay, &options.delay)) {
    std::fprintf(stderr, "wire_server: --delay %s is not a duration such as 5ms\n", delay.c_str());
    return 2;
  }
  if (!options.error_sqlstate.empty() && options.error_every == 0) options.error_every = 1;

  std::ofstream log(log_file);
  if (!log_file.empty()) {
    options.log = [&log](absl::string_view line) { log << line << std::endl; };
  }

  // Blocked before the server's thread starts, so that it leaves them to sigwait.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const auto server = trunkload::WireServer::Start(options);
  if (!server.ok()) {
    std::fprintf(stderr, "wire_server: %s\n", std::string(server.status().message()).c_str());
    return 1;
  }
  std::printf("%u\n", (*server)->port());
  std::fflush(stdout);
  const trunkload::WireCounts& counts = (*server)->counts();
  int signal = 0;
  do {
    sigwait(&signals, &signal);
    std::printf("{\"statements\": %llu, \"rows\": %llu, \"errors\": %llu}\n",
                static_cast<unsigned long long>(counts.statements.load()),
                static_cast<unsigned long long>(counts.rows.load()),
                static_cast<unsigned long long>(counts.errors.load()));
    std::fflush(stdout);
  } while (signal == SIGUSR1);
  return 0;
}

// The commands about join tokens, by which agents without a certificate come in.
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "controller/cli/command.h"
#include "controller/cli/exit_status.h"
#include "controller/cli/transport_options.h"
#include "controller/plan/plan_text.h"
#include "controller/token_client.h"

namespace trunkload {
namespace {

struct TokensArguments {
  std::string controller;
  Transport transport;
  std::string ttl = "24h";
  uint32_t agents = 1;
  bool any_number = false;
  std::string id;
};

absl::StatusOr<std::unique_ptr<TokenClient>> Open(TokensArguments& arguments) {
  if (absl::Status status = SettleDial(arguments.controller, arguments.transport); !status.ok())
    return status;
  return TokenClient::Open(arguments.controller, arguments.transport);
}

int Create(TokensArguments& arguments) {
  const absl::StatusOr<absl::Duration> ttl = ParseDuration(arguments.ttl);
  if (!ttl.ok())
    return ReportError(absl::InvalidArgumentError(absl::StrCat("--ttl: ", ttl.status().message())));
  if (*ttl < absl::Seconds(1) || *ttl > absl::Hours(8760))
    return ReportError(
        absl::InvalidArgumentError(absl::StrCat("--ttl is from 1s to 8760h, not ", arguments.ttl)));
  const absl::StatusOr<std::unique_ptr<TokenClient>> client = Open(arguments);
  if (!client.ok()) return ReportError(client.status());
  const auto made = (*client)->Create(*ttl, arguments.any_number ? 0 : arguments.agents);
  if (!made.ok()) return ReportError(made.status());
  // Alone on standard output, so that it can go into a file.
  std::cout << made->token() << std::endl;
  std::cerr << "token " << made->info().id() << " lets in "
            << (arguments.any_number    ? "any number of agents"
                : arguments.agents == 1 ? "one agent"
                                        : absl::StrCat(arguments.agents, " agents"))
            << " until " << made->info().expires_at()
            << "; it is shown this once: put it into a file, for trunkload-agent "
            << "--token-file" << std::endl;
  return kExitOk;
}

std::string State(const v1::TokenInfo& token) {
  if (!token.revoked_at().empty()) return "revoked";
  absl::Time expires;
  std::string error;
  if (absl::ParseTime(absl::RFC3339_full, token.expires_at(), &expires, &error) && expires <= absl::Now())
    return "expired";
  return token.agents() > 0 && token.agents_let_in() >= token.agents() ? "used up" : "open";
}

int List(TokensArguments& arguments) {
  const absl::StatusOr<std::unique_ptr<TokenClient>> client = Open(arguments);
  if (!client.ok()) return ReportError(client.status());
  const absl::StatusOr<std::vector<v1::TokenInfo>> tokens = (*client)->List();
  if (!tokens.ok()) return ReportError(tokens.status());
  std::cout << absl::StrFormat("%-12s %-20s %-20s %-8s %s\n", "TOKEN", "CREATED", "EXPIRES", "STATE",
                               "LET IN");
  for (const v1::TokenInfo& token : *tokens) {
    std::cout << absl::StrFormat("%-12s %-20s %-20s %-8s %d of %s\n", token.id(),
                                 token.created_at().substr(0, 19), token.expires_at().substr(0, 19),
                                 State(token), token.agents_let_in(),
                                 token.agents() == 0 ? "any number" : absl::StrCat(token.agents()));
  }
  return kExitOk;
}

int Revoke(TokensArguments& arguments) {
  const absl::StatusOr<std::unique_ptr<TokenClient>> client = Open(arguments);
  const absl::Status status = client.ok() ? (*client)->Revoke(arguments.id) : client.status();
  return status.ok() ? kExitOk : ReportError(status);
}

}  // namespace

void AddTokensCommand(CLI::App& app, int& exit_status) {
  CLI::App* tokens = app.add_subcommand(
      "tokens", "Join tokens of a controller: they let in agents that have no certificate.");
  tokens->require_subcommand(1);
  auto arguments = std::make_shared<TokensArguments>();
  const auto add = [&arguments, tokens](const char* name, const char* what) {
    CLI::App* command = tokens->add_subcommand(name, what);
    command->add_option("--controller", arguments->controller, "The controller that serves there")
        ->type_name("HOST:PORT")
        ->required();
    AddDialOptions(*command, arguments->transport);
    return command;
  };
  CLI::App* create = add("create", "Makes a token and shows it, this once.");
  create->add_option("--ttl", arguments->ttl, "For how long it lets further agents in")
      ->type_name("DURATION")
      ->capture_default_str();
  CLI::Option* agents = create->add_option("--agents", arguments->agents, "How many agents it lets in")
                            ->type_name("N")
                            ->check(CLI::Range(1, 100000))
                            ->capture_default_str();
  create
      ->add_flag("--any-number", arguments->any_number,
                 "It lets in any number of agents: for deployments whose agents come and go")
      ->excludes(agents);
  create->footer(
      "Example:\n  trunkload tokens create --controller 10.0.0.5:7400 --tls pki/carol --agents 20 > token\n");
  create->callback([arguments, &exit_status] { exit_status = Create(*arguments); });
  add("list", "Shows the tokens that were made, without their secrets.")->callback([arguments, &exit_status] {
    exit_status = List(*arguments);
  });
  CLI::App* revoke = add("revoke", "Ends a token, and with it the part of the agents that it has let in.");
  revoke->add_option("ID", arguments->id, "As `trunkload tokens list` shows it")->required();
  revoke->callback([arguments, &exit_status] { exit_status = Revoke(*arguments); });
}

}  // namespace trunkload

#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/status.h"
#include "common/tls/transport.h"

namespace trunkload {

// --tls, --tls-server-name and --insecure, of a command that dials a controller.
void AddDialOptions(CLI::App& command, Transport& transport);
// --tls and --insecure, of one that listens.
void AddListenOptions(CLI::App& command, Transport& transport);

// Completes what was said from the environment, and looks whether the address may be used so: see Transport.
// Says on standard error what a person has to know.
absl::Status SettleDial(const std::string& address, Transport& transport);
absl::Status SettleListen(const std::string& address, Transport& transport);
// Of a run: one of the addresses, or, without either, agents on this machine, where there is nothing to say.
absl::Status SettlePlace(const std::string& listen, const std::string& controller, Transport& transport);

}  // namespace trunkload

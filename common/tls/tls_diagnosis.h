#pragma once

#include <string>

#include "absl/time/time.h"
#include "common/tls/transport.h"

namespace trunkload {

// Why a controller can't be reached, in words for a person: gRPC has only those of the libraries below it.
// Dials by itself, looks at what comes back and goes away again; blocks, but not for longer than the timeout.
// Empty where nothing is wrong with TLS, or with leaving it out.
std::string Diagnose(const std::string& address, const Transport& transport, absl::Duration timeout);

}  // namespace trunkload

#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace trunkload {

// The host of what gRPC calls a peer, as `ipv4:10.0.0.7:51234`; of IPv6, the network of 64 bits.
std::string AddressOfPeer(absl::string_view peer);

// The same name however the address in it is written: those of one connection are equal.
std::string NormalizedPeer(absl::string_view peer);

}  // namespace trunkload

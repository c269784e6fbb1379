#pragma once

namespace trunkload {

// The header that bears an agent's join token.
inline constexpr char kTokenMetadata[] = "trunkload-token";

}  // namespace trunkload

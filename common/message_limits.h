#pragma once

namespace trunkload {

// The largest message that controllers and agents take or send: a result with a time series of a day, or an
// assignment of some ten thousand application servers, with room to spare.
inline constexpr int kMaxMessageBytes = 64 << 20;

}  // namespace trunkload

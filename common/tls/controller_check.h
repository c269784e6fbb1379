#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace trunkload {

// Whether the certificate (PEM) of a peer that was dialled is that of a controller with that name or address.
// Who signed it and when it is valid was looked at before. FAILED_PRECONDITION with a sentence.
absl::Status CheckController(absl::string_view pem, const std::string& server_name);

}  // namespace trunkload

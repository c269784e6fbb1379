#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/util/json_util.h"

namespace trunkload {

// What a query of the observer answered, in JSON with the names of the message's fields; what it has besides
// is passed over. INVALID_ARGUMENT where the text is not such a message.
template <typename Message>
absl::StatusOr<Message> ParseAnswer(absl::string_view json) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  Message message;
  const auto status = google::protobuf::util::JsonStringToMessage(
      google::protobuf::StringPiece(json.data(), json.size()), &message, options);
  if (status.ok()) return message;
  return absl::InvalidArgumentError(
      absl::StrCat("the server's answer can't be read: ", std::string(status.message())));
}

}  // namespace trunkload

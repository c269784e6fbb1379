#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace trunkload {

// Pieces of the observer's SQL.

inline std::string SqlLiteral(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "''"}}), "'");
}

// A query that gives the rows of another as a message's list of that name, in JSON.
inline std::string RowsAs(absl::string_view name, absl::string_view query) {
  return absl::StrCat("SELECT pg_catalog.json_build_object('", name,
                      "', coalesce(pg_catalog.json_agg(pg_catalog.row_to_json(r)), '[]'::json)) FROM (",
                      query, ") r");
}

}  // namespace trunkload

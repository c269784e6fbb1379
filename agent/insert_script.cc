#include "agent/insert_script.h"

#include <charconv>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "agent/insert_rows.h"

namespace trunkload {
namespace {

constexpr size_t kColumns = 3;

Statement StatementOf(const v1::Script& script, size_t number) {
  if (script.builtin() == v1::BUILTIN_INSERT_COPY) return {"", "COPY users (id, name, email) FROM STDIN"};
  std::string sql = "INSERT INTO users (id, name, email) VALUES ";
  for (size_t row = 0, parameter = 1; row < InsertRows(script); ++row, parameter += kColumns) {
    absl::StrAppend(&sql, row == 0 ? "" : ", ", "($", parameter, ", $", parameter + 1, ", $", parameter + 2,
                    ")");
  }
  return {absl::StrCat("trunkload_", number), sql};
}

// Writes prefix, key and suffix, and a terminating 0; how long that is without the 0.
int Write(char* to, std::string_view prefix, std::string_view key, std::string_view suffix) {
  char* end = to;
  for (std::string_view part : {prefix, key, suffix}) {
    std::memcpy(end, part.data(), part.size());
    end += part.size();
  }
  *end = '\0';
  return static_cast<int>(end - to);
}

}  // namespace

InsertScript::InsertScript(const v1::Script& script, size_t number)
    : builtin_(script.builtin()),
      keys_(script.keys()),
      rows_(InsertRows(script)),
      prepared_(script.query_mode() != v1::QUERY_MODE_EXTENDED &&
                script.builtin() != v1::BUILTIN_INSERT_COPY),
      statement_(StatementOf(script, number)) {
  if (builtin_ == v1::BUILTIN_INSERT_COPY) {
    copy_buffer_.reserve(rows_ * sizeof(Row));
    return;
  }
  row_buffers_.resize(rows_);
  for (Row& row : row_buffers_) {
    for (const char* value : {row.id, row.name, row.email}) values_.push_back(value);
    for (int length : {static_cast<int>(sizeof(row.id)), 0, 0}) lengths_.push_back(length);
    for (int format : {1, 0, 0}) formats_.push_back(format);
  }
}

int64_t InsertScript::NextKey(KeySource& keys, Recorder& recorder, uint32_t number) const {
  const int64_t key = keys.Next(keys_);
  if (keys_.distribution() != v1::KEY_DISTRIBUTION_SEQUENTIAL) recorder.RecordKey(number, key);
  return key;
}

void InsertScript::Fill(KeySource& keys, Recorder& recorder, uint32_t number) {
  if (builtin_ == v1::BUILTIN_INSERT_COPY) {
    copy_buffer_.clear();
    for (uint32_t i = 0; i < rows_; ++i) AppendCopyRow(NextKey(keys, recorder, number));
    return;
  }
  for (uint32_t i = 0; i < rows_; ++i)
    FillRow(row_buffers_[i], NextKey(keys, recorder, number), i * kColumns);
}

bool InsertScript::Send(PqConnection& connection, bool prepared) {
  if (builtin_ == v1::BUILTIN_INSERT_COPY) return connection.SendCopy(statement_, copy_buffer_);
  const Parameters parameters{values_, lengths_, formats_};
  return prepared && prepared_ ? connection.SendPrepared(statement_, parameters)
                               : connection.SendOnce(statement_, parameters);
}

void InsertScript::FillRow(Row& row, int64_t key, size_t first_parameter) {
  char digits[20];
  const std::string_view text(digits, std::to_chars(digits, digits + sizeof(digits), key).ptr - digits);
  for (int byte = 0; byte < 8; ++byte) row.id[byte] = static_cast<char>(key >> (56 - 8 * byte));
  lengths_[first_parameter + 1] = Write(row.name, "user ", text, "");
  lengths_[first_parameter + 2] = Write(row.email, "user", text, "@example.com");
}

void InsertScript::AppendCopyRow(int64_t key) {
  absl::StrAppend(&copy_buffer_, key, "\tuser ", key, "\tuser", key, "@example.com\n");
}

}  // namespace trunkload

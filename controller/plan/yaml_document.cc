#include "controller/plan/yaml_document.h"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace trunkload {
namespace {

// One character of UTF-8 at the beginning of a text.
struct Character {
  uint32_t code = 0;
  size_t bytes = 0;  // 0: not UTF-8
};

Character FirstCharacter(absl::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return {};
  uint32_t code = lead & (0x7fu >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3f);
  }
  // Longer than need be, half of a pair, or past the end of Unicode.
  const bool overlong = (bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000);
  if (overlong || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) return {};
  return {code, bytes};
}

// Those that JSON escapes, too, so that no text of a plan holds them unescaped.
bool IsControl(uint32_t code) {
  return code < 0x20 && code != '\t' && code != '\n' && code != '\r';
}

absl::Status CheckCharacters(absl::string_view text, const YamlSource& source) {
  YAML::Mark mark;
  for (size_t at = 0; at < text.size();) {
    const Character character = FirstCharacter(text.substr(at));
    if (character.bytes == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(source.PlaceOf(mark), ": not UTF-8; expected a text file, saved as UTF-8"));
    }
    if (IsControl(character.code)) {
      return absl::InvalidArgumentError(absl::StrCat(source.PlaceOf(mark), ": a control character (0x",
                                                     absl::Hex(character.code, absl::kZeroPad2),
                                                     "); expected text only"));
    }
    at += character.bytes;
    mark.column += static_cast<int>(character.bytes);
    if (character.code == '\n') {
      ++mark.line;
      mark.column = 0;
    }
  }
  return absl::OkStatus();
}

// Looks at a document without keeping any of it.
class DocumentSize : public YAML::EventHandler {
 public:
  const YAML::Mark& start() const { return start_; }
  int values() const { return values_; }

  void OnDocumentStart(const YAML::Mark& mark) override { start_ = mark; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override { ++values_; }
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override { ++values_; }
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {
    ++values_;
  }
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    ++values_;
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
    ++values_;
  }
  void OnMapEnd() override {}

 private:
  YAML::Mark start_;
  int values_ = 0;
};

// Before a document is built, which takes hundreds of bytes a value. YAML::LoadAll is no way to see a second
// one: where something other than a document follows the first, it never ends and takes all memory.
absl::Status CheckDocument(const std::string& text, const YamlSource& source) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentSize first;
  DocumentSize second;
  if (!parser.HandleNextDocument(first)) return absl::OkStatus();
  if (first.values() > kMostYamlValues) {
    return absl::InvalidArgumentError(
        absl::StrCat(source.PlaceOf(first.start()), ": too many values; expected at most ", kMostYamlValues));
  }
  if (!parser.HandleNextDocument(second)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(source.PlaceOf(second.start()),
                   ": a second YAML document, or something stray; expected one plan in a file"));
}

}  // namespace

std::string YamlSource::PlaceOf(const YAML::Mark& mark) const {
  if (!has_lines || mark.is_null()) return name;
  return absl::StrCat(name, ":", mark.line + 1, ":", mark.column + 1);
}

absl::StatusOr<YAML::Node> ParseYaml(absl::string_view text, const YamlSource& source) {
  if (absl::Status status = CheckCharacters(text, source); !status.ok()) return status;
  try {
    const std::string owned(text);
    if (absl::Status status = CheckDocument(owned, source); !status.ok()) return status;
    return YAML::Load(owned);
  } catch (const YAML::DeepRecursion& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(source.PlaceOf(error.mark), ": nested too deeply; expected a plan"));
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(source.PlaceOf(error.mark), ": not YAML: ", error.msg));
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(source.name, ": not YAML: ", error.what()));
  }
}

}  // namespace trunkload

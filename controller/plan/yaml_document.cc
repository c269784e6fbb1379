#include "controller/plan/yaml_document.h"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/utf8.h"

namespace trunkload {
namespace {

// Those that JSON escapes, too, so that no text of a plan holds them unescaped.
bool IsRefused(uint32_t code) {
  return code < 0x20 && code != '\t' && code != '\n' && code != '\r';
}

absl::Status CheckCharacters(absl::string_view text, const YamlSource& source) {
  YAML::Mark mark;
  for (size_t at = 0; at < text.size();) {
    const Utf8Character character = FirstCharacter(text.substr(at));
    if (character.bytes == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(source.PlaceOf(mark), ": not UTF-8; expected a text file, saved as UTF-8"));
    }
    if (IsRefused(character.code)) {
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

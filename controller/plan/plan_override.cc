#include "controller/plan/plan_override.h"

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "controller/plan/field_rules.h"
#include "controller/plan/plan_text.h"
#include "controller/plan/scalar_field.h"
#include "controller/plan/yaml_document.h"

namespace trunkload {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr size_t kLongestShown = 80;

// The option as it was given; its key only where the value is long, or may be a connection string or a
// password.
std::string Shown(const std::string& setting) {
  const size_t equals = setting.find('=');
  // Without its key, who knows what it is.
  if (equals == std::string::npos) return "--set";
  const absl::string_view value = absl::string_view(setting).substr(equals + 1);
  const bool may_show = setting.size() <= kLongestShown && !absl::StartsWith(setting, "target") &&
                        !absl::StrContains(absl::AsciiStrToLower(setting), "pass") &&
                        !absl::StrContains(value, '=') && !absl::StrContains(value, "://");
  return absl::StrCat("--set ", ShownText(may_show ? setting : setting.substr(0, equals)));
}

std::string NameOf(const Message& message) {
  const FieldDescriptor* name = message.GetDescriptor()->FindFieldByName("name");
  return name == nullptr ? "" : message.GetReflection()->GetString(message, name);
}

// Walks the key from the plan down to the field and writes it there.
class Override {
 public:
  Override(const std::string& setting, FieldPlaces& places)
      : source_{.name = Shown(setting), .has_lines = false}, places_(places), reader_(source_, places) {}

  void Apply(const std::string& setting, v1::Plan& plan) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(setting, absl::MaxSplits('=', 1));
    if (!absl::StrContains(setting, '=')) {
      Wrong("", "no '='; expected KEY=VALUE, such as fleet.pool.size=16");
      return;
    }
    value_ = parts.second;
    keys_ = absl::StrSplit(parts.first, '.');
    Message* message = &plan;
    while (message != nullptr && next_ < keys_.size()) message = Step(*message);
  }

  const std::vector<std::string>& mistakes() const { return reader_.mistakes(); }

 private:
  bool AtEnd() const { return next_ == keys_.size(); }

  // The message to go on in; null when the value has been written, or something is wrong.
  Message* Step(Message& message) {
    const std::string& name = keys_[next_++];
    const FieldDescriptor* field = FindWrittenField(*message.GetDescriptor(), name);
    if (field == nullptr) {
      Wrong(FieldPath(path_, ShownText(name)), UnknownField(name, *message.GetDescriptor()));
      return nullptr;
    }
    const std::string around = std::exchange(path_, FieldPath(path_, name));
    const google::protobuf::OneofDescriptor* choice = field->real_containing_oneof();
    const FieldDescriptor* chosen =
        choice == nullptr ? nullptr : message.GetReflection()->GetOneofFieldDescriptor(message, choice);
    if (chosen != nullptr && chosen != field) {
      Wrong(path_, absl::StrCat("the plan has ", chosen->name(), " there; expected --set ", around, "={",
                                name, ": ...}, which replaces it"));
      return nullptr;
    }
    if (AtEnd()) {
      Write(message, *field);
      return nullptr;
    }
    if (field->is_map()) return StepIntoMap(message, *field);
    if (field->is_repeated()) return StepIntoList(message, *field);
    if (IsGroup(*field)) return message.GetReflection()->MutableMessage(&message, field);
    Wrong(path_, absl::StrCat("has no fields of its own; expected ", ExpectedValue(*field)));
    return nullptr;
  }

  // An entry is replaced, or added; its value is taken as it is, as that of any text.
  Message* StepIntoMap(Message& message, const FieldDescriptor& field) {
    const FieldDescriptor* const of_value = field.message_type()->map_value();
    std::string name = keys_[next_++];
    // The names of lists are fields' paths themselves.
    while (of_value->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !AtEnd())
      absl::StrAppend(&name, ".", keys_[next_++]);
    path_ = FieldPath(path_, ShownText(name));
    if (!AtEnd()) {
      Wrong(path_, "has no fields of its own; expected a text");
      return nullptr;
    }
    const FieldDescriptor& key = *field.message_type()->map_key();
    const Reflection& reflection = *message.GetReflection();
    Message* entry = nullptr;
    for (int i = 0; i < reflection.FieldSize(message, &field) && entry == nullptr; ++i) {
      Message* other = reflection.MutableRepeatedMessage(&message, &field, i);
      if (other->GetReflection()->GetString(*other, &key) == name) entry = other;
    }
    if (entry == nullptr) entry = reflection.AddMessage(&message, &field);
    places_.Replace(path_, source_.name);
    entry->GetReflection()->SetString(entry, &key, name);
    if (of_value->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      entry->GetReflection()->SetString(entry, of_value, value_);
    } else if (const std::optional<YAML::Node> node = Value()) {
      Message* const list = entry->GetReflection()->MutableMessage(entry, of_value);
      list->Clear();
      reader_.ReadField(*node, path_, *list, *list->GetDescriptor()->field(0));
    }
    return nullptr;
  }

  Message* StepIntoList(Message& message, const FieldDescriptor& field) {
    const Reflection& reflection = *message.GetReflection();
    const std::optional<int> index = IndexOf(message, field, keys_[next_++]);
    if (!index) return nullptr;
    path_ = FieldPath(path_, absl::StrCat(*index));
    if (!IsGroup(field)) {
      if (!AtEnd()) {
        Wrong(path_, absl::StrCat("has no fields of its own; expected ", ExpectedValue(field)));
        return nullptr;
      }
      places_.Replace(path_, source_.name);
      reflection.SetRepeatedString(&message, &field, *index, value_);
      return nullptr;
    }
    Message* item = reflection.MutableRepeatedMessage(&message, &field, *index);
    if (!AtEnd()) return item;
    if (const std::optional<YAML::Node> node = Value()) {
      item->Clear();
      places_.Replace(path_, source_.name);
      reader_.ReadMessage(*node, path_, *item);
    }
    return nullptr;
  }

  std::optional<int> IndexOf(const Message& message, const FieldDescriptor& field, const std::string& key) {
    const Reflection& reflection = *message.GetReflection();
    const int size = reflection.FieldSize(message, &field);
    int index;
    if (absl::SimpleAtoi(key, &index) && index >= 0 && index < size) return index;
    std::vector<std::string> names;
    for (int i = 0; i < size && IsGroup(field); ++i) {
      names.push_back(NameOf(reflection.GetRepeatedMessage(message, &field, i)));
      if (names.back() == key && !key.empty()) return i;
      if (names.back().empty()) names.pop_back();
    }
    Wrong(FieldPath(path_, ShownText(key)),
          absl::StrCat("no such item; expected ",
                       size == 0 ? "a whole list, for the plan has none"
                                 : absl::StrCat("an index from 0 to ", size - 1),
                       names.empty() ? "" : absl::StrCat(" or one of ", absl::StrJoin(names, ", ")),
                       DidYouMean(key, names)));
    return std::nullopt;
  }

  void Write(Message& message, const FieldDescriptor& field) {
    const bool is_text = field.cpp_type() == FieldDescriptor::CPPTYPE_STRING && !field.is_repeated();
    const std::optional<YAML::Node> node = is_text ? std::optional<YAML::Node>(YAML::Node(value_)) : Value();
    if (!node) return;
    message.GetReflection()->ClearField(&message, &field);
    places_.Replace(path_, source_.name);
    reader_.ReadField(*node, path_, message, field);
  }

  std::optional<YAML::Node> Value() {
    absl::StatusOr<YAML::Node> node = ParseYaml(value_, source_);
    if (node.ok()) return *std::move(node);
    reader_.Wrong(node.status());
    return std::nullopt;
  }

  void Wrong(const std::string& field, absl::string_view what) { reader_.Wrong(YAML::Mark(), field, what); }

  const YamlSource source_;
  FieldPlaces& places_;
  YamlReader reader_;
  std::vector<std::string> keys_;
  std::string value_;
  size_t next_ = 0;
  std::string path_;
};

}  // namespace

void ApplyOverride(const std::string& setting, v1::Plan& plan, FieldPlaces& places,
                   std::vector<std::string>& mistakes) {
  Override override(setting, places);
  override.Apply(setting, plan);
  mistakes.insert(mistakes.end(), override.mistakes().begin(), override.mistakes().end());
}

}  // namespace trunkload

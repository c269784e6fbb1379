#include "controller/plan/yaml_reader.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controller/plan/field_rules.h"
#include "controller/plan/plan_text.h"
#include "controller/plan/scalar_field.h"

namespace trunkload {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// What stands there, without showing it: it may be a password in the wrong place.
absl::string_view KindOf(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Scalar:
      return "a single value";
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Map:
      return "a map";
    default:
      return "no value";
  }
}

}  // namespace

void FieldPlaces::Replace(const std::string& field, const std::string& place) {
  const std::string below = absl::StrCat(field, ".");
  auto first = places_.lower_bound(below);
  auto last = first;
  while (last != places_.end() && absl::StartsWith(last->first, below)) ++last;
  places_.erase(first, last);
  places_[field] = place;
}

std::string FieldPlaces::Find(std::string field, const std::string& otherwise) const {
  while (true) {
    const auto found = places_.find(field);
    if (found != places_.end()) return found->second;
    if (field.empty()) return otherwise;
    const size_t dot = field.rfind('.');
    field.resize(dot == std::string::npos ? 0 : dot);
  }
}

void YamlReader::ReadMessage(const YAML::Node& node, const std::string& path, Message& message) {
  if (!CountValue(node.Mark())) return;
  places_.Note(path, source_.PlaceOf(node.Mark()));
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  if (!node.IsMap()) {
    Wrong(node.Mark(), path,
          absl::StrCat(KindOf(node), "; expected a map with ", absl::StrJoin(WrittenFields(type), ", ")));
    return;
  }
  std::map<std::string, YAML::Mark> keys_before;
  for (const auto& pair : node) {
    const FieldDescriptor* field = FieldOf(pair.first, path, message, keys_before);
    if (field == nullptr) continue;
    // An empty value has no place of its own.
    if (pair.second.IsNull()) {
      Wrong(pair.first.Mark(), FieldPath(path, field->name()),
            absl::StrCat("no value; expected ", IsList(*field) ? "a list" : ExpectedValue(*field),
                         ", or the field left out"));
      continue;
    }
    ReadField(pair.second, FieldPath(path, field->name()), message, *field);
  }
}

const FieldDescriptor* YamlReader::FieldOf(const YAML::Node& key, const std::string& path,
                                           const Message& message,
                                           std::map<std::string, YAML::Mark>& keys_before) {
  if (!CountValue(key.Mark())) return nullptr;
  if (!key.IsScalar()) {
    Wrong(key.Mark(), path, absl::StrCat(KindOf(key), " as a key; expected the name of a field"));
    return nullptr;
  }
  const std::string& name = key.Scalar();
  const FieldDescriptor* field = FindWrittenField(*message.GetDescriptor(), name);
  if (field == nullptr) {
    // Where the space after a colon was forgotten, the value is part of the name, and may hold a password.
    Wrong(key.Mark(), FieldPath(path, ShownText(name.substr(0, name.find_first_of("=: ")))),
          UnknownField(name, *message.GetDescriptor()));
    return nullptr;
  }
  if (const auto [before, is_new] = keys_before.emplace(name, key.Mark()); !is_new) {
    Wrong(key.Mark(), FieldPath(path, name),
          absl::StrCat("written twice (first at ", source_.PlaceOf(before->second), "); expected it once"));
    return nullptr;
  }
  const google::protobuf::OneofDescriptor* choice = field->real_containing_oneof();
  if (choice != nullptr && message.GetReflection()->HasOneof(message, choice)) {
    const FieldDescriptor* chosen = message.GetReflection()->GetOneofFieldDescriptor(message, choice);
    Wrong(key.Mark(), FieldPath(path, name),
          absl::StrCat("excludes ", chosen->name(), ", which is there, too; expected one of them"));
    return nullptr;
  }
  return field;
}

void YamlReader::ReadField(const YAML::Node& node, const std::string& path, Message& message,
                           const FieldDescriptor& field) {
  if (field.is_map()) {
    ReadMap(node, path, message, field);
  } else if (field.is_repeated()) {
    ReadList(node, path, message, field);
  } else if (IsGroup(field)) {
    ReadMessage(node, path, *message.GetReflection()->MutableMessage(&message, &field));
  } else {
    ReadScalar(node, path, message, field);
  }
}

void YamlReader::ReadList(const YAML::Node& node, const std::string& path, Message& message,
                          const FieldDescriptor& field) {
  if (!CountValue(node.Mark())) return;
  places_.Note(path, source_.PlaceOf(node.Mark()));
  if (!node.IsSequence()) {
    Wrong(node.Mark(), path,
          absl::StrCat(KindOf(node), "; expected a list, each item ", ExpectedValue(field)));
    return;
  }
  int index = 0;
  for (const YAML::Node& item : node) {
    const std::string item_path = FieldPath(path, absl::StrCat(index++));
    if (IsGroup(field)) {
      ReadMessage(item, item_path, *message.GetReflection()->AddMessage(&message, &field));
    } else {
      ReadScalar(item, item_path, message, field);
    }
    if (values_ > kMostYamlValues) return;
  }
}

void YamlReader::ReadMap(const YAML::Node& node, const std::string& path, Message& message,
                         const FieldDescriptor& field) {
  if (!CountValue(node.Mark())) return;
  places_.Note(path, source_.PlaceOf(node.Mark()));
  if (!node.IsMap()) {
    Wrong(node.Mark(), path, absl::StrCat(KindOf(node), "; expected ", ExpectedValue(field)));
    return;
  }
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::map<std::string, YAML::Mark> keys_before;
  for (const auto& pair : node) {
    if (!CountValue(pair.first.Mark())) return;
    if (!pair.first.IsScalar()) {
      Wrong(pair.first.Mark(), path, absl::StrCat(KindOf(pair.first), " as a key; expected a name"));
      continue;
    }
    const std::string& name = pair.first.Scalar();
    if (const auto [before, is_new] = keys_before.emplace(name, pair.first.Mark()); !is_new) {
      Wrong(pair.first.Mark(), FieldPath(path, ShownText(name)),
            absl::StrCat("written twice (first at ", source_.PlaceOf(before->second), "); expected it once"));
      continue;
    }
    ReadMapEntry(pair.first, pair.second, path, *reflection.AddMessage(&message, &field));
  }
}

void YamlReader::ReadMapEntry(const YAML::Node& key, const YAML::Node& value, const std::string& path,
                              Message& entry) {
  const std::string& name = key.Scalar();
  entry.GetReflection()->SetString(&entry, entry.GetDescriptor()->map_key(), name);
  const std::string value_path = FieldPath(path, ShownText(name));
  // An empty value has no place of its own.
  places_.Note(value_path, source_.PlaceOf(value.IsNull() ? key.Mark() : value.Mark()));
  if (value.IsNull()) {
    Wrong(key.Mark(), value_path, "no value; expected a text or a number, or the name left out");
    return;
  }
  const FieldDescriptor& of_value = *entry.GetDescriptor()->map_value();
  if (of_value.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE)
    return ReadScalar(value, value_path, entry, of_value);
  Message& list = *entry.GetReflection()->MutableMessage(&entry, &of_value);
  ReadList(value, value_path, list, *list.GetDescriptor()->field(0));
}

void YamlReader::ReadScalar(const YAML::Node& node, const std::string& path, Message& message,
                            const FieldDescriptor& field) {
  if (!CountValue(node.Mark())) return;
  places_.Note(path, source_.PlaceOf(node.Mark()));
  if (!node.IsScalar()) {
    Wrong(node.Mark(), path, absl::StrCat(KindOf(node), "; expected ", ExpectedValue(field)));
    return;
  }
  if (const absl::Status status = SetScalar(message, field, node.Scalar()); !status.ok()) {
    Wrong(node.Mark(), path, {status.message().data(), status.message().size()});
  }
}

void YamlReader::Wrong(const YAML::Mark& mark, const std::string& field, absl::string_view what) {
  mistakes_.push_back(absl::StrCat(source_.PlaceOf(mark), ": ", field, field.empty() ? "" : ": ", what));
}

bool YamlReader::CountValue(const YAML::Mark& mark) {
  ++values_;
  if (values_ == kMostYamlValues + 1) {
    Wrong(mark, "",
          absl::StrCat("too many values; expected at most ", kMostYamlValues,
                       ", with those that aliases repeat"));
  }
  return values_ <= kMostYamlValues;
}

std::string UnknownField(absl::string_view name, const google::protobuf::Descriptor& type) {
  const std::vector<std::string> known = WrittenFields(type);
  return absl::StrCat("unknown field; expected one of ", absl::StrJoin(known, ", "), DidYouMean(name, known));
}

}  // namespace trunkload

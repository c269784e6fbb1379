#pragma once

#include <yaml-cpp/yaml.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "controller/plan/yaml_document.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace trunkload {

// Where each field of a plan was written, by its path; "file:line:column" or "--set key=value".
class FieldPlaces {
 public:
  // What was noted of the field before, and below it, no longer holds.
  void Replace(const std::string& field, const std::string& place);
  void Note(const std::string& field, const std::string& place) { places_[field] = place; }
  // That of the nearest field around it where it was not written itself; `otherwise` where nothing was.
  std::string Find(std::string field, const std::string& otherwise) const;

 private:
  std::map<std::string, std::string> places_;
};

// Reads YAML into a message by the message's descriptor: types only; presence, defaults and bounds are looked
// at later. Collects every mistake and leaves out what it can't read. Not thread-safe.
class YamlReader {
 public:
  YamlReader(YamlSource source, FieldPlaces& places) : source_(std::move(source)), places_(places) {}

  // `path` leads to the message, or to the field.
  void ReadMessage(const YAML::Node& node, const std::string& path, google::protobuf::Message& message);
  void ReadField(const YAML::Node& node, const std::string& path, google::protobuf::Message& message,
                 const google::protobuf::FieldDescriptor& field);

  void Wrong(const YAML::Mark& mark, const std::string& field, absl::string_view what);
  // One that names its place itself.
  void Wrong(const absl::Status& status) { mistakes_.emplace_back(status.message()); }
  // A sentence each: place, field, what is wrong.
  const std::vector<std::string>& mistakes() const { return mistakes_; }

 private:
  // False, and one mistake for all, after more values than any plan needs: aliases can stand for any number
  // of them.
  bool CountValue(const YAML::Mark& mark);
  // Null where no field may be written under this key.
  const google::protobuf::FieldDescriptor* FieldOf(const YAML::Node& key, const std::string& path,
                                                   const google::protobuf::Message& message,
                                                   std::map<std::string, YAML::Mark>& keys_before);
  // Its values are kept as they are written, whatever type YAML sees in them.
  void ReadMap(const YAML::Node& node, const std::string& path, google::protobuf::Message& message,
               const google::protobuf::FieldDescriptor& field);
  void ReadMapEntry(const YAML::Node& key, const YAML::Node& value, const std::string& path,
                    google::protobuf::Message& entry);
  void ReadList(const YAML::Node& node, const std::string& path, google::protobuf::Message& message,
                const google::protobuf::FieldDescriptor& field);
  void ReadScalar(const YAML::Node& node, const std::string& path, google::protobuf::Message& message,
                  const google::protobuf::FieldDescriptor& field);

  const YamlSource source_;
  FieldPlaces& places_;
  std::vector<std::string> mistakes_;
  int values_ = 0;
};

// "unknown field; expected one of ..." for a message of that type, with the nearest name.
std::string UnknownField(absl::string_view name, const google::protobuf::Descriptor& type);

}  // namespace trunkload

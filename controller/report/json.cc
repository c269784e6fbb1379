#include "controller/report/json.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "common/duration.h"
#include "controller/plan/plan_text.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/duration.pb.h"

namespace trunkload {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Json = nlohmann::ordered_json;

constexpr int kIndent = 2;

Json ObjectOf(const Message& message);

Json NumberOf(double number) {
  return std::isfinite(number) ? Json(number) : Json(nullptr);
}

Json ValueOf(const Message& message) {
  if (message.GetDescriptor() != google::protobuf::Duration::descriptor()) return ObjectOf(message);
  google::protobuf::Duration duration;
  duration.CopyFrom(message);
  return DurationText(FromProto(duration));
}

// A value that the schema doesn't have, from a newer peer, is shown as its number.
Json EnumOf(const FieldDescriptor& field, int number) {
  const google::protobuf::EnumValueDescriptor* value = field.enum_type()->FindValueByNumber(number);
  return value == nullptr ? Json(number) : Json(EnumText(*value));
}

Json SingleOf(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.GetInt32(message, &field);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.GetInt64(message, &field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.GetUInt32(message, &field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.GetUInt64(message, &field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return NumberOf(reflection.GetDouble(message, &field));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return NumberOf(reflection.GetFloat(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumOf(field, reflection.GetEnumValue(message, &field));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.GetString(message, &field);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ValueOf(reflection.GetMessage(message, &field));
  }
  return nullptr;
}

Json ItemOf(const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.GetRepeatedInt32(message, &field, index);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.GetRepeatedInt64(message, &field, index);
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.GetRepeatedUInt32(message, &field, index);
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.GetRepeatedUInt64(message, &field, index);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return NumberOf(reflection.GetRepeatedDouble(message, &field, index));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return NumberOf(reflection.GetRepeatedFloat(message, &field, index));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetRepeatedBool(message, &field, index);
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumOf(field, reflection.GetRepeatedEnumValue(message, &field, index));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.GetRepeatedString(message, &field, index);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ValueOf(reflection.GetRepeatedMessage(message, &field, index));
  }
  return nullptr;
}

Json ListOf(const Message& message, const FieldDescriptor& field) {
  Json list = Json::array();
  for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); ++i) {
    list.push_back(ItemOf(message, field, i));
  }
  return list;
}

// Sorted by key: protobuf's maps have no order, and two runs should compare.
Json MapOf(const Message& message, const FieldDescriptor& field) {
  nlohmann::json sorted = nlohmann::json::object();
  for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); ++i) {
    const Message& entry = message.GetReflection()->GetRepeatedMessage(message, &field, i);
    const Json key = SingleOf(entry, *field.message_type()->map_key());
    sorted[key.is_string() ? key.get<std::string>() : key.dump()] =
        SingleOf(entry, *field.message_type()->map_value());
  }
  return sorted;
}

// An enum's value 0 stands for none.
bool IsShown(const Message& message, const FieldDescriptor& field) {
  const bool by_presence = field.has_presence() || field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM;
  return field.is_repeated() || !by_presence || message.GetReflection()->HasField(message, &field);
}

Json ObjectOf(const Message& message) {
  Json object = Json::object();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    if (!IsShown(message, field)) continue;
    object[field.name()] = field.is_map()        ? MapOf(message, field)
                           : field.is_repeated() ? ListOf(message, field)
                                                 : SingleOf(message, field);
  }
  return object;
}

}  // namespace

std::string ToJson(const Message& message) {
  // Text that is no UTF-8 can come from a server's message; it must not cost the result.
  return ObjectOf(message).dump(kIndent, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace trunkload

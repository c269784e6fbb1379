#include "controller/plan/field_rules.h"

#include <cmath>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "controller/plan/conninfo.h"
#include "controller/plan/scalar_field.h"
#include "google/protobuf/duration.pb.h"

namespace trunkload {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Wide enough for every integer a plan can hold, and for a duration's nanoseconds.
using Number = long double;

bool IsNumber(const FieldDescriptor& field) {
  return IsDuration(field) || field.cpp_type() == FieldDescriptor::CPPTYPE_UINT32 ||
         field.cpp_type() == FieldDescriptor::CPPTYPE_UINT64 ||
         field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE;
}

// Of a field for which IsNumber holds, and which is not repeated. Not finite where no plan could have written
// it.
Number NumberIn(const Message& message, const FieldDescriptor& field) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.GetUInt32(message, &field);
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.GetUInt64(message, &field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.GetDouble(message, &field);
    default:
      break;
  }
  google::protobuf::Duration duration;
  duration.CopyFrom(reflection.GetMessage(message, &field));
  if (duration.seconds() < 0 || duration.nanos() < 0 || duration.nanos() >= 1'000'000'000) {
    return std::numeric_limits<Number>::quiet_NaN();
  }
  return static_cast<Number>(duration.seconds()) * 1e9L + duration.nanos();
}

// What a rule's text means for its field.
Number NumberFrom(const FieldDescriptor& field, const std::string& text) {
  const std::unique_ptr<Message> scratch(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(field.containing_type())->New());
  // A bound that can't be read never holds: a test of the schema finds it.
  if (!SetScalar(*scratch, field, text).ok()) return std::numeric_limits<Number>::quiet_NaN();
  return NumberIn(*scratch, field);
}

bool HoldsRule(const Message& message, const FieldDescriptor& field) {
  const v1::FieldRule& rule = RuleOf(field);
  const Number number = NumberIn(message, field);
  if (!std::isfinite(number)) return false;
  if (rule.above_zero() && !(number > 0)) return false;
  if (!rule.min().empty() && !(number >= NumberFrom(field, rule.min()))) return false;
  return rule.max().empty() || number <= NumberFrom(field, rule.max());
}

bool IsAbsent(const Message& message, const FieldDescriptor& field) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  return field.is_repeated() ? reflection.FieldSize(message, &field) == 0
                             : !reflection.HasField(message, &field);
}

// Of an enum.
bool HoldsKnownValues(const Message& message, const FieldDescriptor& field) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  const google::protobuf::EnumDescriptor& type = *field.enum_type();
  if (!field.is_repeated())
    return type.FindValueByNumber(reflection.GetEnumValue(message, &field)) != nullptr;
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    if (type.FindValueByNumber(reflection.GetRepeatedEnumValue(message, &field, i)) == nullptr) return false;
  }
  return true;
}

template <typename Visit>
void ForEachGroup(const Message& message, const std::string& path, const FieldDescriptor& field,
                  const Visit& visit) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (!field.is_repeated()) {
    if (reflection.HasField(message, &field))
      visit(reflection.GetMessage(message, &field), FieldPath(path, field.name()));
    return;
  }
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    visit(reflection.GetRepeatedMessage(message, &field, i),
          FieldPath(FieldPath(path, field.name()), absl::StrCat(i)));
  }
}

template <typename Visit>
void ForEachMutableGroup(Message& message, const FieldDescriptor& field, const Visit& visit) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (!field.is_repeated()) {
    if (reflection.HasField(message, &field)) visit(*reflection.MutableMessage(&message, &field));
    return;
  }
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    visit(*reflection.MutableRepeatedMessage(&message, &field, i));
  }
}

}  // namespace

std::string PlanMistake::Sentence() const {
  return absl::StrCat(field, within, field.empty() ? "" : ": ", what);
}

std::string FieldPath(absl::string_view parent, absl::string_view name) {
  return parent.empty() ? std::string(name) : absl::StrCat(parent, ".", name);
}

void FillDefaults(Message& message) {
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const v1::FieldRule& rule = RuleOf(field);
    const bool absent = IsAbsent(message, field);
    if (absent && !rule.default_().empty()) {
      // A default that can't be read leaves the field absent: a test of the schema finds it.
      SetScalar(message, field, rule.default_()).IgnoreError();
    }
    if (!IsGroup(field)) continue;
    if (absent && !field.is_repeated() && !rule.required() && !field.has_optional_keyword() &&
        field.containing_oneof() == nullptr) {
      message.GetReflection()->MutableMessage(&message, &field);
    }
    ForEachMutableGroup(message, field, [](Message& group) { FillDefaults(group); });
  }
}

void CheckRules(const Message& message, const std::string& path, std::vector<PlanMistake>& mistakes) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const std::string field_path = FieldPath(path, field.name());
    if (IsAbsent(message, field)) {
      if (RuleOf(field).required()) {
        mistakes.push_back(
            {field_path, absl::StrCat("missing; expected ", IsList(field) ? "a list, each item " : "",
                                      ExpectedValue(field))});
      }
      continue;
    }
    if (IsGroup(field)) {
      ForEachGroup(message, path, field, [&mistakes](const Message& group, const std::string& group_path) {
        CheckRules(group, group_path, mistakes);
      });
    } else if (IsNumber(field) && !HoldsRule(message, field)) {
      mistakes.push_back({field_path, absl::StrCat("out of range; expected ", ExpectedValue(field))});
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM && !HoldsKnownValues(message, field)) {
      // Only from a peer that knows more than this program.
      mistakes.push_back({field_path, absl::StrCat("unknown; expected ", ExpectedValue(field))});
    }
  }
}

void Redact(Message& message) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (IsGroup(field)) {
      ForEachMutableGroup(message, field, [](Message& group) { Redact(group); });
    } else if (RuleOf(field).secret()) {
      reflection.SetString(&message, &field, RedactedConninfo(reflection.GetString(message, &field)));
    }
  }
}

}  // namespace trunkload

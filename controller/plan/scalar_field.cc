#include "controller/plan/scalar_field.h"

#include <cmath>
#include <cstdint>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/duration.h"
#include "controller/plan/plan_text.h"
#include "google/protobuf/duration.pb.h"

namespace trunkload {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

template <typename Integer>
absl::StatusOr<Integer> ParseWhole(absl::string_view text, const std::string& expected) {
  Integer value;
  // A leading zero means octal to some readers of YAML and nothing to others.
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == absl::string_view::npos &&
                      (text.size() == 1 || text[0] != '0');
  if (digits && absl::SimpleAtoi(text, &value)) return value;
  const bool negative = text.size() > 1 && text[0] == '-' &&
                        text.substr(1).find_first_not_of("0123456789") == absl::string_view::npos;
  return absl::InvalidArgumentError(absl::StrCat(digits     ? "too high"
                                                 : negative ? "negative"
                                                            : "not a whole number",
                                                 "; expected ", expected));
}

std::string Bounds(const v1::FieldRule& rule) {
  if (rule.above_zero())
    return absl::StrCat(" above 0", rule.max().empty() ? "" : absl::StrCat(" and at most ", rule.max()));
  if (!rule.min().empty() && !rule.max().empty())
    return absl::StrCat(" from ", rule.min(), " to ", rule.max());
  if (!rule.min().empty()) return absl::StrCat(" of at least ", rule.min());
  return rule.max().empty() ? "" : absl::StrCat(" of at most ", rule.max());
}

}  // namespace

const v1::FieldRule& RuleOf(const FieldDescriptor& field) {
  return field.options().GetExtension(v1::rule);
}

bool IsDuration(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
         field.message_type() == google::protobuf::Duration::descriptor();
}

bool IsList(const FieldDescriptor& field) {
  return field.is_repeated() && !field.is_map();
}

bool IsGroup(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !IsDuration(field) && !field.is_map();
}

std::string ExpectedValue(const FieldDescriptor& field) {
  const v1::FieldRule& rule = RuleOf(field);
  if (IsDuration(field)) return absl::StrCat("a duration", Bounds(rule), ", such as 250us, 5ms or 3s");
  if (field.is_map()) {
    const bool of_texts = field.message_type()->map_value()->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
    return of_texts ? "a map of texts by name" : "a map of lists by name";
  }
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case FieldDescriptor::CPPTYPE_STRING:
      return "a text";
    case FieldDescriptor::CPPTYPE_ENUM:
      return absl::StrCat("one of ", absl::StrJoin(EnumTexts(*field.enum_type()), ", "));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      if (rule.unit() != v1::UNIT_PER_SECOND) return absl::StrCat("a number", Bounds(rule));
      return absl::StrCat("a rate", Bounds(rule), ", such as 2000/s");
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      std::vector<std::string> names;
      names = WrittenFields(*field.message_type());
      return absl::StrCat("a map with ", absl::StrJoin(names, ", "));
    }
    default:
      return absl::StrCat("a whole number", Bounds(rule));
  }
}

absl::Status SetScalar(Message& message, const FieldDescriptor& field, absl::string_view text) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (IsDuration(field)) {
    const absl::StatusOr<absl::Duration> duration = ParseDuration(text);
    if (!duration.ok()) return duration.status();
    reflection.MutableMessage(&message, &field)->CopyFrom(ToProto(*duration));
    return absl::OkStatus();
  }
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32: {
      const absl::StatusOr<uint32_t> value = ParseWhole<uint32_t>(text, ExpectedValue(field));
      if (!value.ok()) return value.status();
      reflection.SetUInt32(&message, &field, *value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      const absl::StatusOr<uint64_t> value = ParseWhole<uint64_t>(text, ExpectedValue(field));
      if (!value.ok()) return value.status();
      reflection.SetUInt64(&message, &field, *value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double value;
      if (RuleOf(field).unit() == v1::UNIT_PER_SECOND) {
        const absl::StatusOr<double> rate = ParseRate(text);
        if (!rate.ok()) return rate.status();
        value = *rate;
      } else if (!absl::SimpleAtod(text, &value) || !std::isfinite(value)) {
        return absl::InvalidArgumentError(absl::StrCat("not a number; expected ", ExpectedValue(field)));
      }
      reflection.SetDouble(&message, &field, value);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text != "true" && text != "false") {
        return absl::InvalidArgumentError(absl::StrCat(QuotedText(text), " is not a truth value; expected ",
                                                       ExpectedValue(field),
                                                       DidYouMean(text, {"true", "false"})));
      }
      reflection.SetBool(&message, &field, text == "true");
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_ENUM: {
      const google::protobuf::EnumValueDescriptor* value = FindEnumValue(*field.enum_type(), text);
      if (value == nullptr) {
        return absl::InvalidArgumentError(absl::StrCat(QuotedText(text), " is unknown; expected ",
                                                       ExpectedValue(field),
                                                       DidYouMean(text, EnumTexts(*field.enum_type()))));
      }
      if (field.is_repeated()) {
        reflection.AddEnum(&message, &field, value);
      } else {
        reflection.SetEnum(&message, &field, value);
      }
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_STRING:
      if (field.is_repeated()) {
        reflection.AddString(&message, &field, std::string(text));
      } else {
        reflection.SetString(&message, &field, std::string(text));
      }
      return absl::OkStatus();
    default:
      return absl::UnimplementedError(absl::StrCat(field.full_name(), " has a type that a plan can't hold"));
  }
}

std::vector<std::string> WrittenFields(const google::protobuf::Descriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.field_count(); ++i) {
    if (!RuleOf(*type.field(i)).derived()) names.push_back(type.field(i)->name());
  }
  return names;
}

const FieldDescriptor* FindWrittenField(const google::protobuf::Descriptor& type, const std::string& name) {
  const FieldDescriptor* const field = type.FindFieldByName(name);
  return field == nullptr || RuleOf(*field).derived() ? nullptr : field;
}

}  // namespace trunkload

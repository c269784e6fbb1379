// Writes docs/plan-reference.md from the comments and rules in plan.proto.
//   plan_reference DESCRIPTORS          prints it
//   plan_reference DESCRIPTORS FILE     exit status 1 where FILE says anything else
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "controller/plan/field_rules.h"
#include "controller/plan/plan_text.h"
#include "controller/plan/scalar_field.h"
#include "trunkload/v1/plan.pb.h"

namespace trunkload {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::SourceLocation;

constexpr absl::string_view kIntroduction = R"(# Plan reference

<!-- Written from proto/trunkload/v1/plan.proto by `cmake --build build/dev --target plan-reference`. -->

A plan is one YAML file ([an example](../plans/insert-throughput.yaml)); `trunkload check PLAN` says what is wrong with
it. Fields are written by name; unknown fields, and fields written twice, are mistakes.

- A duration has a unit: `250us`, `5ms`, `3s`, `1m30s`, `1h`. A rate is a number with `/s`, `/min` or `/h`; a bare number
  is per second.
- `--set KEY=VALUE` overrides a field: `--set fleet.pool.size=16`. An item of a list is named by its index, from 0, or by
  its name: `--set scripts.1.weight=0`, `--set phases.open.duration=30s`. VALUE is YAML, except that of a text, which is
  taken as it is; it replaces all that the field held: `--set 'phases.open.load={closed: {clients: 8}}'`.
- A map of texts by name holds its values as they are written, numbers too; `--set variables.scale=50` sets one of them.
- The `plan` in a result's JSON has every default filled in and no password; it can be run as it is.
)";

// The comments of the schema, which the program itself doesn't carry.
class Comments {
 public:
  explicit Comments(const google::protobuf::FileDescriptorSet& files) {
    for (const auto& file : files.file()) pool_.BuildFile(file);
  }

  std::string Of(const Descriptor& type) const {
    return Text(*pool_.FindMessageTypeByName(type.full_name()));
  }
  std::string Of(const FieldDescriptor& field) const {
    return Text(*pool_.FindFieldByName(field.full_name()));
  }
  std::string Of(const google::protobuf::EnumValueDescriptor& value) const {
    return Text(*pool_.FindEnumValueByName(value.full_name()));
  }

 private:
  template <typename AnyDescriptor>
  static std::string Text(const AnyDescriptor& descriptor) {
    SourceLocation location;
    if (!descriptor.GetSourceLocation(&location)) return "";
    std::string text = absl::StrCat(location.leading_comments, " ", location.trailing_comments);
    absl::RemoveExtraAsciiWhitespace(&text);
    return absl::StrReplaceAll(text, {{"|", "\\|"}});
  }

  google::protobuf::DescriptorPool pool_;
};

class PlanReference {
 public:
  explicit PlanReference(const Comments& comments) : comments_(comments) {}

  std::string Write() && {
    Section("plan", "", *v1::Plan::descriptor());
    return std::move(text_);
  }

 private:
  void Section(const std::string& title, const std::string& path, const Descriptor& type) {
    absl::StrAppend(&text_, "\n## ", title, "\n\n");
    if (const std::string comment = comments_.Of(type); !comment.empty())
      absl::StrAppend(&text_, comment, "\n\n");
    absl::StrAppend(&text_, "| field | value | default | meaning |\n|---|---|---|---|\n");
    for (int i = 0; i < type.field_count(); ++i) {
      if (!RuleOf(*type.field(i)).derived()) Row(path, *type.field(i));
    }
    for (int i = 0; i < type.field_count(); ++i) {
      const std::string below = FieldPath(path, type.field(i)->name());
      if (IsGroup(*type.field(i)) && !RuleOf(*type.field(i)).derived())
        Section(below, below, *type.field(i)->message_type());
    }
  }

  void Row(const std::string& path, const FieldDescriptor& field) {
    absl::StrAppend(&text_, "| `", field.name(), "` | ", Value(path, field), " | ", Default(field), " | ",
                    comments_.Of(field));
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) Values(*field.enum_type());
    absl::StrAppend(&text_, " |\n");
  }

  static std::string Value(const std::string& path, const FieldDescriptor& field) {
    const absl::string_view list = IsList(field) ? "a list, each item " : "";
    if (!IsGroup(field)) {
      if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) return absl::StrCat(list, "one of these");
      const std::string expected = ExpectedValue(field);
      // The introduction has examples.
      return absl::StrCat(list, expected.substr(0, expected.find(", such as")));
    }
    const std::string below = FieldPath(path, field.name());
    return absl::StrCat(list, "a map, see [", below, "](#", absl::StrReplaceAll(below, {{".", ""}}), ")");
  }

  static std::string Default(const FieldDescriptor& field) {
    const v1::FieldRule& rule = RuleOf(field);
    if (rule.required()) return "required";
    return rule.default_().empty() ? "" : absl::StrCat("`", rule.default_(), "`");
  }

  void Values(const EnumDescriptor& type) {
    for (int i = 0; i < type.value_count(); ++i) {
      if (type.value(i)->number() == 0) continue;
      absl::StrAppend(&text_, "<br>`", EnumText(*type.value(i)), "`: ", comments_.Of(*type.value(i)));
    }
  }

  const Comments& comments_;
  std::string text_ = std::string(kIntroduction);
};

std::string ReadAll(const char* file) {
  std::ifstream in(file, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

int Main(int argc, char** argv) {
  google::protobuf::FileDescriptorSet files;
  if (argc < 2 || argc > 3 || !files.ParseFromString(ReadAll(argv[1]))) {
    std::cerr << "usage: plan_reference DESCRIPTORS [FILE]\n";
    return 2;
  }
  const Comments comments(files);
  const std::string reference = PlanReference(comments).Write();
  if (argc == 2) {
    std::cout << reference;
    return 0;
  }
  if (ReadAll(argv[2]) == reference) return 0;
  std::cerr
      << argv[2]
      << " is not what plan.proto says. Write it anew: cmake --build build/dev --target plan-reference\n";
  return 1;
}

}  // namespace
}  // namespace trunkload

int main(int argc, char** argv) {
  return trunkload::Main(argc, argv);
}

#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "agent/insert_script.h"
#include "agent/text_script.h"
#include "common/script/variables.h"
#include "trunkload/v1/fleet.pb.h"

namespace trunkload {

// What one reactor's clients run: each script of the assignment, ready to be sent. Not thread-safe.
class Scripts {
 public:
  // Of an assignment that CheckAssignment took.
  explicit Scripts(const v1::Assignment& assignment);

  // One of them is there for each number, unless the assignment is to load rows.
  InsertScript* insert(size_t number) {
    return scripts_[number].insert ? &*scripts_[number].insert : nullptr;
  }
  TextScript* text(size_t number) { return scripts_[number].text.get(); }
  bool any_text() const { return any_text_; }

  // Prepared while a connection opens.
  std::span<const Statement> statements() const { return statements_; }
  // For each script how many of its commands are measured.
  const std::vector<size_t>& measured_commands() const { return measured_commands_; }
  // How many marks a connection needs for what it prepares later.
  size_t marks() const { return marks_; }
  const VariableNames& names() const { return names_; }

 private:
  struct Entry {
    std::optional<InsertScript> insert;
    std::unique_ptr<TextScript> text;
  };

  VariableNames names_;
  std::vector<Entry> scripts_;
  std::vector<Statement> statements_;
  std::vector<size_t> measured_commands_;
  size_t marks_ = 0;
  bool any_text_ = false;
};

}  // namespace trunkload

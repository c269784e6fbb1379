#include "common/script/script.h"

namespace trunkload {

void SqlStatement::Substitute(const Variables& variables, std::string& to) const {
  const std::string_view all = text;
  char buffer[kValueTextBytes];
  size_t done = 0;
  for (const Use& use : uses) {
    // What nobody defined stays as it is.
    if (!variables.defined(use.variable)) continue;
    to.append(all.substr(done, use.offset - done));
    to.append(variables.Text(use.variable, buffer));
    done = use.offset + use.length;
  }
  to.append(all.substr(done));
}

}  // namespace trunkload

#pragma once

#include <cstdlib>
#include <iostream>

// Ends the program, which the fuzzer takes for a finding, where what must always hold doesn't.
#define FUZZ_CHECK(condition, shown)                                                            \
  do {                                                                                          \
    if (!(condition)) {                                                                         \
      std::cerr << __FILE__ << ":" << __LINE__ << ": " #condition ": " << (shown) << std::endl; \
      std::abort();                                                                             \
    }                                                                                           \
  } while (false)

#pragma once

#include <string>

#include "control.h"

namespace bench {

// Calls Login at `endpoint` as the benchmark says, until it says `close` or is gone.
void call(Control& control, const std::string& endpoint);

}  // namespace bench

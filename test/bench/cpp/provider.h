#pragma once

#include "control.h"

namespace bench {

// Serves Login on a free port of 127.0.0.1 until the benchmark says `close` or is gone.
void provide(Control& control);

}  // namespace bench

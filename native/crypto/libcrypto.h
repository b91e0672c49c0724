// libcrypto, made ready once: its memory, its settings, and all it would otherwise do late.
#pragma once

#include "host/failure.h"

namespace vnetd {

// Call it before anything else in the process may use libcrypto (it fails otherwise), and before
// the system call filter: afterwards sealing and opening open no file and load nothing. From here
// on all memory of libcrypto, and so every key schedule, is left out of core dumps and wiped when
// it is given back. Reads no configuration file: a changed one cannot change what a suite is.
// Seals and opens a packet of each suite, and fails when that gives the wrong octets.
[[nodiscard]] Failure prepareLibcrypto();

}  // namespace vnetd

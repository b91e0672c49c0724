// Where a message came from, as the inbound thread judges it.
#pragma once

#include <cstdint>

#include "tables/seen-cache.h"
#include "wire/endpoint.h"

namespace vnetd {

// As the events say it (control/messages.def).
enum class Via : std::uint8_t { kUnicast = 0, kMulticast = 1, kForwarded = 2 };

// Who made a message, and by which way it came.
struct Origin {
  Endpoint host;
  Via via = Via::kUnicast;
  Way way = Way::segment();
};

}  // namespace vnetd

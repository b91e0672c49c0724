// How much of what strangers and members send is worth vnetd's time.
#pragma once

#include <cstddef>

#include "path/event-ring.h"
#include "tables/rate-limit.h"

namespace vnetd {

// A host with 1,000 MACs announces them all within a few seconds; what is lost is asked for again.
inline constexpr SourceRateLimiter::Limits kVarpLimits{
    .perSource = {.perSecond = 200, .burst = 1'000}, .total = {.perSecond = 2'000, .burst = 4'000}};

// A host says HELLO for each of its vnets and keys, every ten seconds and on each change.
inline constexpr SourceRateLimiter::Limits kVnc1Limits{
    .perSource = {.perSecond = 50, .burst = 500}, .total = {.perSecond = 1'000, .burst = 2'000}};

// One event is enough to ask one host; further ones repeat it while its answer is on the way.
inline constexpr SourceRateLimiter::Limits kUnknownSpiLimits{
    .perSource = {.perSecond = 10, .burst = 50}, .total = {.perSecond = 200, .burst = 400}};

// Packets under our own SPI that are verified: more need not be opened to know that there is a
// clone.
inline constexpr Rate kOwnSpiRate{.perSecond = 50, .burst = 50};

// A VARP message for vnetd is cut to this; nothing defined is longer.
inline constexpr std::size_t kControlBytesMax = 1'400;

// What fits an event, behind its fields: probes of the path MTU are as long as a large frame.
inline constexpr std::size_t kVnc1BytesMax = kEventBytesMax - 64;
inline constexpr std::size_t kSealedControlBytesMax = kEventBytesMax - 128;

}  // namespace vnetd

// Security associations: the traffic keys of one sender in one vnet, as each side uses them. Each
// belongs to one thread, the send SA to the outbound one, receive SAs to the inbound one; the
// control thread makes and frees them. Freeing wipes the keys (crypto/libcrypto.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "crypto/open-key.h"
#include "crypto/seal-key.h"
#include "tables/replay-window.h"
#include "wire/endpoint.h"

namespace vnetd {

struct Vnet;

struct SendSa {
  std::uint32_t spi = 0;
  SealKey key;
  // vnetd's own, given back in listings.
  std::vector<std::byte> context;
  std::uint64_t rekeyAt = 0;
  std::uint64_t stopAt = 0;
  // Of the packet that was sealed last; none is sealed twice with one counter.
  std::uint64_t counter = 0;
  bool isSpentTold = false;
};

struct ReceiveSa {
  std::uint32_t spi = 0;
  Vnet* vnet = nullptr;
  OpenKey key;
  ReplayWindow window{0};
  // The authenticated sender; none in an own SA.
  Endpoint host{};
  std::vector<std::byte> context{};
  // The host takes frames whose TCP or UDP checksum is not computed.
  bool isPartialTaken = false;
  // One that this host seals with: what comes with it is our own packet or a clone's.
  bool isOwn = false;
  std::uint64_t packets = 0;
  std::uint64_t replayed = 0;
  std::uint64_t forged = 0;
  // 0: no packet was opened yet.
  std::uint64_t lastOpenedMs = 0;
  // Own: when it was told of last.
  std::uint64_t toldMs = 0;
};

}  // namespace vnetd

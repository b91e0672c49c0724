// One message to every host of the overlay: multicast to the group on our segment, and wrapped
// (message 3, wire/legacy.h) to each configured peer, which multicast does not reach.
#pragma once

#include <span>

#include "path/datagram-sender.h"
#include "path/underlay-view.h"
#include "wire/bytes.h"
#include "wire/legacy.h"

namespace vnetd {

// `first` begins with the message id; kForwardHeaderBytesMax octets before it are free to be
// written. Both parts stay the caller's until the sender's flush().
struct TunnelMessage {
  MutableByteSpan first;
  ByteSpan second;

  [[nodiscard]] std::size_t size() const { return first.size() + second.size(); }
};

struct FloodOrder {
  std::span<const TunnelMessage> messages;
  CounterBlock* counters = nullptr;
  // How the group gets it; peers always get message 3 in UDP.
  Encapsulation encapsulation = Encapsulation::kUdp;
};

// A message of this host. All messages go to one target before the next target's turn, so that
// the segments of a super-frame stay one run each.
// HOT PATH: no allocation, no throw.
void flood(DatagramSender& sender, const UnderlayView& view, const FloodOrder& order);

// Octets that one forward's header takes from the caller's memory.
using ForwardHeader = std::array<std::byte, kForwardHeaderBytesMax>;

struct ForwardOrder {
  // Who multicast it: an address of the segment, or none for this host.
  Endpoint source;
  // Stays the caller's, like `header`, until the sender's flush().
  ByteSpan message;
  ForwardHeader* header = nullptr;
  CounterBlock* counters = nullptr;
};

// A message that came by multicast from our segment: to every peer but its source. Split
// horizon: what came from a peer is never given to this function.
// HOT PATH: no allocation, no throw.
void forwardToPeers(DatagramSender& sender, const UnderlayView& view, const ForwardOrder& order);

}  // namespace vnetd

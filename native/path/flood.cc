#include "path/flood.h"

#include <algorithm>

namespace vnetd {
namespace {

// Message id and opcode: what stands before the EtherIP header in UDP, and not in protocol 97.
constexpr std::size_t kMessageIdBytes = 4;

void multicast(DatagramSender& sender, const Endpoint& group, const FloodOrder& order) {
  if (group.isNone()) {
    return;
  }
  const std::size_t skipped = order.encapsulation == Encapsulation::kEtherip ? kMessageIdBytes : 0;
  for (const TunnelMessage& message : order.messages) {
    sender.add({.destination = group,
                .first = message.first.subspan(skipped),
                .second = message.second,
                .counters = order.counters,
                .encapsulation = order.encapsulation});
  }
}

void notePassedOn(const Peer& peer, CounterBlock& counters) {
  counters.add(Counter::kForwardedOut);
  peer.counters->forwardedOut.fetch_add(1, std::memory_order_relaxed);
}

std::size_t forwardHeaderBytes(const Endpoint& group) {
  return group.family == kFamilyIpv6 ? kForwardHeaderBytes6 : kForwardHeaderBytes4;
}

// The message with `headerBytes` of the free octets before it.
MutableByteSpan withHeader(const TunnelMessage& message, std::size_t headerBytes) {
  return {message.first.data() - headerBytes, headerBytes + message.first.size()};
}

// Writes the headers right before the messages, once for all peers. They may overlap no multicast
// that still waits to be sent: that one begins at `first`.
bool wrapInPlace(const FloodOrder& order, const Endpoint& group) {
  const std::size_t headerBytes = forwardHeaderBytes(group);
  return std::ranges::all_of(order.messages, [&](const TunnelMessage& message) {
    const MutableByteSpan header = withHeader(message, headerBytes).first(headerBytes);
    return encodeForwardHeader(header, Endpoint{}, group, message.size()) == headerBytes;
  });
}

}  // namespace

void flood(DatagramSender& sender, const UnderlayView& view, const FloodOrder& order) {
  multicast(sender, view.group4, order);
  multicast(sender, view.group6, order);
  if (view.peers.empty()) {
    return;
  }
  if (!wrapInPlace(order, view.forwardGroup)) {
    order.counters->add(Counter::kDropSendFailed);
    return;
  }
  const std::size_t headerBytes = forwardHeaderBytes(view.forwardGroup);
  for (const Peer& peer : view.peers) {
    for (const TunnelMessage& message : order.messages) {
      sender.add({.destination = peer.host,
                  .first = withHeader(message, headerBytes),
                  .second = message.second,
                  .counters = order.counters,
                  .encapsulation = Encapsulation::kUdp});
      notePassedOn(peer, *order.counters);
    }
  }
}

void forwardToPeers(DatagramSender& sender, const UnderlayView& view, const ForwardOrder& order) {
  Endpoint group = view.forwardGroup;
  if (!order.source.isNone() && order.source.family != group.family) {
    group = order.source.family == kFamilyIpv6 ? view.group6 : view.group4;
  }
  const std::size_t headerBytes =
      encodeForwardHeader(*order.header, order.source, group, order.message.size());
  if (headerBytes == 0) {
    order.counters->add(Counter::kDropSendFailed);
    return;
  }
  for (const Peer& peer : view.peers) {
    if (peer.host.ip() == order.source.ip()) {
      continue;
    }
    sender.add({.destination = peer.host,
                .first = ByteSpan(*order.header).first(headerBytes),
                .second = order.message,
                .counters = order.counters,
                .encapsulation = Encapsulation::kUdp});
    notePassedOn(peer, *order.counters);
  }
}

}  // namespace vnetd

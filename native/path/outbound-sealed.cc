// Frames of secure vnets on their way out: sealed straight from where the TAP gave them, or from
// the segments they were cut to, into the arena they are sent from. Sealing is the copy, so the
// frame's own memory is free again at once.
//
// Nothing of a secure vnet leaves in any other way: without an SA, or behind its last packet, the
// frame ends here.
#include <algorithm>
#include <cerrno>

#include "offload/partial-checksum.h"
#include "path/outbound.h"
#include "wire/esp.h"

namespace vnetd {

// `host`: null for a flood.
// HOT PATH: no allocation, no throw.
void Outbound::sendSealed(Frame& frame, const Endpoint* host) {
  SendSa* const sa = frame.vnet.sendSa.get();
  if (sa == nullptr) {
    frame.counters.add(Counter::kDropNoSa);
    return;
  }
  const std::size_t frameBytesMax = host == nullptr
                                        ? view_->maxSealedFloodFrameBytes(sa->key.suite())
                                        : view_->maxSealedFrameBytes(sa->key.suite(), *host);
  clampMssOf(frame, frameBytesMax);
  const bool isPartial = host != nullptr && mayLeaveChecksum(frame, *host);
  makeSealRoom(kSealedFrameBytesMax);
  const std::size_t segmentArenaBefore = segmentArenaUsed_;
  const std::span<const Segment> segments = prepareClear(frame, frameBytesMax, isPartial);
  const auto flags = static_cast<std::uint16_t>((host == nullptr ? kFlagGroup : 0U) |
                                                (isPartial ? kFlagChecksumPartial : 0U));
  // Behind a flood's message stands what wraps it to peers.
  const std::size_t headroomBytes = host == nullptr ? kHeadroomBytes : 0;
  sendMessages(sealSegments(frame, *sa, segments, flags, headroomBytes), host, frame.counters);
  tellSpent(frame.vnet, *sa);
  // Nothing that is sent lies there any more: the next frame is read into the same, warm memory.
  segmentArenaUsed_ = segmentArenaBefore;
  arenaUsed_ = static_cast<std::size_t>(frame.octets.data() - kHeadroomBytes - arena_->data());
}

// Has the frame a checksum that is still to be computed, and does the host take it so?
// HOT PATH: no allocation, no throw.
bool Outbound::mayLeaveChecksum(const Frame& frame, const Endpoint& host) {
  const std::vector<Endpoint>& hosts = frame.vnet.partialHosts;
  return checksumIsPending(frame.header, frame.layout) &&
         frame.layout.lengthFit == LengthFit::kExact &&
         hasPartialChecksum(frame.octets, frame.layout) && std::ranges::binary_search(hosts, host);
}

// The frames to be sealed, complete but for a checksum that is left to the host.
// HOT PATH: no allocation, no throw.
std::span<const Segment> Outbound::prepareClear(Frame& frame, std::size_t frameBytesMax,
                                                bool isPartial) {
  if (frame.kind == OutboundKind::kSuperTcp || frame.kind == OutboundKind::kSuperUdp) {
    const std::span<const Segment> segments = cutSuperFrame(frame, frameBytesMax, isPartial);
    frame.counters.add(Counter::kChecksumPartialOut, isPartial ? segments.size() : 0);
    return segments;
  }
  if (isPartial) {
    frame.counters.add(Counter::kChecksumPartialOut);
  } else if (frame.kind == OutboundKind::kNeedsChecksum) {
    completeChecksum(frame.octets, frame.layout, frame.header);
  }
  segments_[0] = {.header = frame.octets, .payload = {}};
  return std::span(segments_).first(1);
}

// HOT PATH: no allocation, no throw.
std::span<const TunnelMessage> Outbound::sealSegments(Frame& frame, SendSa& sa,
                                                      std::span<const Segment> segments,
                                                      std::uint16_t flags,
                                                      std::size_t headroomBytes) {
  const std::size_t allowed =
      std::min<std::uint64_t>(segments.size(), sa.stopAt - std::min(sa.stopAt, sa.counter));
  frame.counters.add(Counter::kDropSaSpent, segments.size() - allowed);
  std::size_t count = 0;
  for (const Segment& segment : segments.first(allowed)) {
    const MutableByteSpan room =
        MutableByteSpan(*sealArena_).subspan(sealArenaUsed_ + headroomBytes);
    const std::size_t bytes =
        sa.key.sealFrame(++sa.counter, flags, segment.header, segment.payload, room);
    if (bytes == 0) {
      frame.counters.add(Counter::kDropSendFailed);
      continue;
    }
    messages_.at(count++) = {.first = room.first(bytes), .second = {}};
    sealArenaUsed_ += headroomBytes + bytes;
  }
  frame.counters.add(Counter::kSealedOut, count);
  return std::span(messages_).first(count);
}

// HOT PATH: no allocation, no throw.
void Outbound::sendMessages(std::span<const TunnelMessage> messages, const Endpoint* host,
                            CounterBlock& counters) {
  if (host == nullptr) {
    flood(sender_, *view_,
          {.messages = messages, .counters = &counters, .encapsulation = Encapsulation::kUdp});
    return;
  }
  for (const TunnelMessage& message : messages) {
    sender_.add({.destination = *host,
                 .first = message.first,
                 .second = {},
                 .counters = &counters,
                 .encapsulation = Encapsulation::kUdp});
  }
}

// HOT PATH: no allocation, no throw.
void Outbound::tellSpent(const Vnet& vnet, SendSa& sa) {
  if (sa.counter >= sa.rekeyAt && !sa.isSpentTold) {
    // A full queue is asked again with the next frame.
    sa.isSpentTold = events_.push(control::SaSpent{.vnet = vnet.settings.id, .spi = sa.spi});
  }
}

// HOT PATH: no allocation, no throw.
void Outbound::makeSealRoom(std::size_t bytes) {
  if (sealArenaUsed_ >= kFlushBytes || bytes > kSealArenaBytes - sealArenaUsed_) {
    sender_.flush();
    sealArenaUsed_ = 0;
  }
}

Failure Outbound::sealControl(Vnet& vnet, const Endpoint& host, std::uint8_t nextHeader,
                              ByteSpan payload) {
  SendSa* const sa = vnet.sendSa.get();
  if (sa == nullptr || sa->counter >= sa->stopAt) {
    return {.error = ENOKEY, .message = "The vnet has no key to send with"};
  }
  if (!view_->hasAddress()) {
    return {.error = ENETUNREACH, .message = "There is no underlay address to send from"};
  }
  makeSealRoom(kSealedFrameBytesMax);
  const MutableByteSpan room =
      MutableByteSpan(*sealArena_).subspan(sealArenaUsed_ + kHeadroomBytes);
  const std::size_t bytes = sa->key.sealPayload(++sa->counter, nextHeader, payload, room);
  if (bytes == 0) {
    return {.error = EMSGSIZE, .message = "The control message cannot be sealed"};
  }
  const TunnelMessage message{.first = room.first(bytes), .second = {}};
  CounterBlock& counters = countersOf(vnet);
  counters.add(Counter::kSealedOut);
  sendMessages(std::span(&message, 1), host.isNone() ? nullptr : &host, counters);
  flushArena();
  tellSpent(vnet, *sa);
  events_.wake();
  return noFailure();
}

}  // namespace vnetd

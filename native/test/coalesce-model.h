// Judges the coalescer from outside: whatever it puts out, cut up again, must be the frames that
// went in, flow by flow in order, octet for octet. Used by the unit test with a random generator
// and by the fuzz target with the fuzzer's octets.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "offload/coalesce.h"
#include "offload/segment.h"
#include "test/frame-model.h"

namespace vnetd::test {

/** For one batch: feeds it, keeps what was fed, and compares after the flush. */
class CoalesceJudge {
 public:
  explicit CoalesceJudge(Coalescer& coalescer) : coalescer_(coalescer) {}

  void feed(void* vnet, const Bytes& frame) {
    fed_.push_back({vnet, frame, frame, parseFrame(frame), -1});
    coalescer_.add(vnet, fed_.back().buffer);
  }

  /** What is wrong, or nothing; `outputSizes` are the frame counts of the outputs. */
  std::string flush() {
    queueFed();
    std::string error;
    coalescer_.flush([&](const CoalescedFrame& output) {
      outputSizes.push_back(output.frameCount);
      if (error.empty()) {
        error = judgeOutput(output);
      }
    });
    if (!error.empty()) {
      return error;
    }
    if (static_cast<std::size_t>(outputPosition_) != fed_.size()) {
      return "frames were lost";
    }
    if (coalescer_.counts().mergedFrames - mergedAtStart_ != fed_.size() - outputSizes.size()) {
      return "the count of merged frames is wrong";
    }
    return coalescer_.isEmpty() ? judgeBarriers() : "not empty after flush";
  }

  std::vector<std::uint32_t> outputSizes;

 private:
  struct Fed {
    void* vnet;
    Bytes original;
    Bytes buffer;
    FrameLayout layout;
    int position;  // among all frames put out
  };

  // Frames with the same key must come out in the order in which they went in.
  static std::string keyOf(void* vnet, ByteSpan frame, const FrameLayout& layout) {
    std::string key(reinterpret_cast<const char*>(&vnet), sizeof vnet);
    const auto add = [&key](ByteSpan bytes) {
      key.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
    if (layout.transport == TransportKind::kNone) {
      add(frame);
      return key;
    }
    key += static_cast<char>(layout.ipProtocol);
    add(frame.first(layout.l3Offset));
    add(ipAddresses(frame, layout));
    add(frame.subspan(layout.l4Offset, 4));
    return key;
  }

  // The ID of an IPv4 packet that must not be fragmented means nothing (RFC 6864 §4.1).
  static Bytes withoutAtomicId(const Bytes& frame) {
    const FrameLayout layout = parseFrame(frame);
    Bytes copy = frame;
    if (layout.network == NetworkKind::kIpv4 &&
        (loadU16(&frame[layout.l3Offset + 6]) & 0x7FFFU) == 0x4000) {
      storeU16(&copy[layout.l3Offset + 4], 0);
      storeU16(&copy[layout.l3Offset + 10], 0);
    }
    return copy;
  }

  void queueFed() {
    for (Fed& fed : fed_) {
      waiting_[keyOf(fed.vnet, fed.original, fed.layout)].push_back(&fed);
    }
  }

  std::string judgeOutput(const CoalescedFrame& output) {
    const iovec& first = output.parts[0];
    if (first.iov_len != kVirtioHeaderBytes ||
        std::memcmp(first.iov_base, &output.header, kVirtioHeaderBytes) != 0) {
      return "the first part is not the virtio header";
    }
    Bytes frame;
    for (const iovec& part : output.parts.subspan(1)) {
      append(frame, {static_cast<const std::byte*>(part.iov_base), part.iov_len});
    }
    if (frame.size() != output.frameBytes) {
      return "frameBytes is wrong";
    }
    if (output.frameCount == 1) {
      return output.header == VirtioHeader{} ? matchFrame(output.vnet, frame, true)
                                             : "a single frame has a header";
    }
    const std::string error = judgeSuperFrame(output, frame);
    return error.empty() ? matchSegments(output, frame) : error;
  }

  // What the kernel relies on: lengths, the IPv4 header's checksum, the pseudo-header's sum.
  static std::string judgeSuperFrame(const CoalescedFrame& output, const Bytes& frame) {
    const FrameLayout layout = parseFrame(frame);
    if (checkOutbound(output.header, layout) == OutboundKind::kInvalid) {
      return "the virtio header does not fit the super-frame";
    }
    const bool isTcp = layout.transport == TransportKind::kTcp;
    if (layout.lengthFit != LengthFit::kExact || frame.size() - layout.l3Offset > 65535 ||
        output.header.headerBytes != layout.headersEnd() ||
        output.frameCount > (isTcp ? kCoalesceTcpFrames : kCoalesceUdpFrames)) {
      return "a length or count of the super-frame is wrong";
    }
    const ByteSpan ip = ByteSpan(frame).subspan(layout.l3Offset, layout.l4Offset - layout.l3Offset);
    if (layout.network == NetworkKind::kIpv4 && slowSum(ip) != 0xFFFF) {
      return "the super-frame's IPv4 checksum is wrong";
    }
    const std::size_t l4Bytes = frame.size() - layout.l4Offset;
    if (!isTcp && loadU16(&frame[layout.l4Offset + 4]) != l4Bytes) {
      return "the super-frame's UDP length is wrong";
    }
    const ByteSpan addresses = ipAddresses(frame, layout);
    Bytes pseudo(addresses.begin(), addresses.end());
    appendU32(pseudo, layout.ipProtocol);
    appendU32(pseudo, l4Bytes);
    const std::size_t field = layout.l4Offset + (isTcp ? 16U : 6U);
    return loadU16(&frame[field]) == slowSum(pseudo) ? "" : "the pending checksum is wrong";
  }

  std::string matchSegments(const CoalescedFrame& output, const Bytes& frame) {
    const FrameLayout layout = parseFrame(frame);
    static Bytes arena(segmentArenaBytes(0));
    static std::vector<Segment> storage(kMaxSegments);
    const SegmentResult result =
        segmentSuperFrame({frame, layout, output.header, 100000, 0}, arena, storage);
    if (result.segments.size() != output.frameCount) {
      return "the super-frame is not cut into as many frames as went in";
    }
    for (const Segment& segment : result.segments) {
      std::string error = matchFrame(output.vnet, concat(segment.header, segment.payload), false);
      if (!error.empty()) {
        return error;
      }
    }
    return "";
  }

  std::string matchFrame(void* vnet, const Bytes& frame, bool isAlone) {
    std::deque<Fed*>& queue = waiting_[keyOf(vnet, frame, parseFrame(frame))];
    if (queue.empty()) {
      return "a frame came out that did not go in";
    }
    Fed& fed = *queue.front();
    queue.pop_front();
    fed.position = outputPosition_++;
    const bool isEqual =
        isAlone ? frame == fed.original : withoutAtomicId(frame) == withoutAtomicId(fed.original);
    return isEqual ? "" : "a frame was changed or overtaken: " + hexOf(fed.original);
  }

  // A fragment may belong to any flow between its addresses: none may pass it.
  std::string judgeBarriers() const {
    for (std::size_t index = 0; index < fed_.size(); ++index) {
      const Fed& barrier = fed_[index];
      if (barrier.layout.network == NetworkKind::kOther ||
          barrier.layout.transport != TransportKind::kNone) {
        continue;
      }
      for (std::size_t other = 0; other < fed_.size(); ++other) {
        if (areBetweenSameHosts(barrier, fed_[other]) &&
            (other < index) != (fed_[other].position < barrier.position) && other != index) {
          return "a fragment and a frame of its flow changed places";
        }
      }
    }
    return "";
  }

  static bool areBetweenSameHosts(const Fed& left, const Fed& right) {
    return left.vnet == right.vnet && left.layout.network == right.layout.network &&
           std::ranges::equal(ByteSpan(left.original).first(left.layout.l3Offset),
                              ByteSpan(right.original).first(right.layout.l3Offset)) &&
           std::ranges::equal(ipAddresses(left.original, left.layout),
                              ipAddresses(right.original, right.layout));
  }

  Coalescer& coalescer_;
  std::uint64_t mergedAtStart_ = coalescer_.counts().mergedFrames;
  std::deque<Fed> fed_;  // its elements stay where they are
  std::unordered_map<std::string, std::deque<Fed*>> waiting_;
  int outputPosition_ = 0;
};

/**
 * Traffic of a few flows, mostly mergeable, with every kind of disturbance. `Choose` has
 * below(bound), which gives a number from 0 to bound − 1.
 */
template <typename Choose>
class Traffic {
 public:
  explicit Traffic(Choose& choose) : choose_(choose) {
    for (std::size_t index = 0; index < flows_.size(); ++index) {
      FrameSpec& flow = flows_[index];
      flow.isIpv6 = index % 2 == 1;
      flow.isTcp = index % 4 < 2;
      flow.sourcePort = static_cast<std::uint16_t>(index < 6 ? 1000 : 1001);
      flow.ipFlags = index < 4 ? 0x4000 : 0;
      flow.tagTypes.assign(index == 5 || index == 6 ? 1 : 0, 0x8100);
      flow.tcpOptions.assign(index < 4 ? 12 : 0, std::byte{1});
      flow.ipId = 0xFFF8;
      flow.sequence = 0xFFFFFF80U;
    }
  }

  Bytes next() {
    FrameSpec& flow = flows_[choose_.below(flows_.size())];
    FrameSpec spec = flow;
    spec.payload.assign(payloadBytes(), octet(choose_.below(256)));
    const std::uint64_t action = choose_.below(32);
    if (action == 0) {
      disturb(spec);
    } else if (action == 1 && choose_.below(4) == 0) {
      disturb(flow);  // stays so for the frames to come
    } else if (action == 2) {
      spec.tcpFlags |= 0x08;
    }
    Bytes frame = buildFrame(spec);
    flow.sequence = spec.sequence + static_cast<std::uint32_t>(spec.payload.size());
    flow.ipId = static_cast<std::uint16_t>(spec.ipId + 1U);
    if (action == 3) {
      spoil(frame);
    }
    return frame;
  }

 private:
  std::size_t payloadBytes() {
    const std::uint64_t kind = choose_.below(16);
    return kind < 15 ? 24 : static_cast<std::size_t>(choose_.below(64));
  }

  void disturb(FrameSpec& spec) {
    const auto value = static_cast<std::uint16_t>(choose_.below(256));
    switch (choose_.below(16)) {
      case 0:
        spec.hopLimit = static_cast<std::uint8_t>(value);
        break;
      case 1:
        spec.trafficClass = static_cast<std::uint8_t>(value);
        break;
      case 2:
        spec.window = value;
        break;
      case 3:
        spec.acknowledgement += value;
        break;
      case 4:
        spec.tcpFlags = static_cast<std::uint16_t>(value * 16U + 0x10U) & 0xFFFU;
        break;
      case 5:
        spec.tcpFlags = value;
        break;
      case 6:
        spec.tcpOptions.assign(std::size_t{4} * (value % 11), octet(value));
        break;
      case 7:
        spec.ipId = value;
        break;
      case 8:
        spec.sequence += value;
        break;
      case 9:
        spec.urgent = value;
        break;
      case 10:
        spec.ipFlags = static_cast<std::uint16_t>(value << 8U);
        break;
      case 11:
        spec.ipOptions.assign(std::size_t{4} * (value % 4), std::byte{1});
        break;
      case 12:
        spec.hasUdpChecksum = !spec.hasUdpChecksum;
        break;
      case 13:
        spec.paddingBytes = value % 8;
        break;
      case 14:
        spec.destinationPort = value;
        break;
      default:
        spec.sourceHost = static_cast<std::uint8_t>(value % 3);
        break;
    }
  }

  void spoil(Bytes& frame) {
    const auto place = static_cast<std::size_t>(choose_.below(frame.size()));
    switch (choose_.below(4)) {
      case 0:
        frame[place] ^= octet(1U << choose_.below(8));
        break;
      case 1:
        frame.resize(place);
        break;
      case 2:
        frame[0] |= std::byte{1};
        break;
      default:
        storeU16(&frame[12], 0x0806);
        break;
    }
  }

  Choose& choose_;
  std::array<FrameSpec, 8> flows_;
};

}  // namespace vnetd::test

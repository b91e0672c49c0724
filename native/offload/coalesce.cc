#include "offload/coalesce.h"

#include <algorithm>

#include "wire/checksum.h"

namespace vnetd {

namespace {

constexpr std::size_t kIpLengthMax = 65535;
constexpr std::uint16_t kIpv4DontFragment = 0x4000;
constexpr std::uint8_t kTcpAck = 0x10;
constexpr std::uint8_t kTcpPush = 0x08;
constexpr std::uint8_t kTcpEcnEcho = 0x40;

// Folds two 64-bit words into one through a 128-bit product, so that each bit of the seed
// reaches each bit of the hash.
std::uint64_t mixWords(std::uint64_t first, std::uint64_t second) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = Wide{first ^ 0x9E37'79B9'7F4A'7C15U} * (second ^ 0xE703'7ED1'A0B4'28DBU);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

bool isEqualBytes(const std::byte* left, const std::byte* right, std::size_t byteCount) {
  return std::memcmp(left, right, byteCount) == 0;
}

std::uint32_t payloadBytesOf(const FrameLayout& layout) {
  return layout.packetEnd - layout.headersEnd();
}

// TCP: exactly ACK, with or without PSH and ECN-echo; the reserved bits zero; no urgent data.
bool isMergeableTcp(const std::byte* tcp) {
  const auto flags = static_cast<std::uint16_t>(loadU16(tcp + 12) & 0x0FFFU);
  return (flags & ~std::uint32_t{kTcpPush | kTcpEcnEcho}) == kTcpAck && loadU16(tcp + 18) == 0;
}

// UDP: its own length agrees and it has a checksum: a merged datagram without one would get one.
bool isMergeableUdp(const std::byte* udp, std::uint32_t udpBytes) {
  return loadU16(udp + 4) == udpBytes && loadU16(udp + kUdpChecksumOffset) != 0;
}

// Linux segments behind 802.1Q and 802.1ad tags only; a super-frame behind another it loses.
bool areTagsSegmentable(const std::byte* frame, std::uint8_t tagCount) {
  for (std::uint8_t tag = 0; tag < tagCount; ++tag) {
    if (loadU16(frame + 12 + std::size_t{4} * tag) == kEtherTypeOldServiceVlan) {
      return false;
    }
  }
  return true;
}

bool doesIpContinue(const std::byte* head, const std::byte* next, NetworkKind network,
                    std::uint32_t frameIndex) {
  if (network == NetworkKind::kIpv6) {
    // Version, traffic class and flow label; next header and hop limit.
    return isEqualBytes(head, next, 4) && isEqualBytes(head + 6, next + 6, 2);
  }
  // Version, IHL and TOS; flags; TTL and protocol.
  if (!isEqualBytes(head, next, 2) || !isEqualBytes(head + 6, next + 6, 4)) {
    return false;
  }
  // Segmentation counts the ID up from the head's. Where DF is clear the ID has a meaning.
  const bool isAtomic = (loadU16(head + 6) & kIpv4DontFragment) != 0;
  return isAtomic ||
         loadU16(next + 4) == static_cast<std::uint16_t>(loadU16(head + 4) + frameIndex);
}

bool doesTcpContinue(const std::byte* head, const std::byte* next, std::size_t headerBytes,
                     std::uint32_t headPayloadBytes) {
  const std::uint16_t difference = loadU16(head + 12) ^ loadU16(next + 12);
  return loadU32(next + 4) == loadU32(head + 4) + headPayloadBytes &&
         isEqualBytes(head + 8, next + 8, 4) &&           // acknowledgement
         (difference & ~std::uint32_t{kTcpPush}) == 0 &&  // header length, ECN-echo
         isEqualBytes(head + 14, next + 14, 2) &&         // window
         isEqualBytes(head + kTcpHeaderBytes, next + kTcpHeaderBytes,
                      headerBytes - kTcpHeaderBytes);
}

// The IPv4 header's and the TCP or UDP checksum, of a mergeable frame. A pending one is not
// computed yet, so it cannot be wrong.
bool areChecksumsRight(ByteSpan frame, std::size_t l3Offset, std::size_t l4Offset,
                       NetworkKind network, TransportKind transport, bool isPending) {
  const ByteSpan ipHeader = frame.subspan(l3Offset, l4Offset - l3Offset);
  const bool isIpv4 = network == NetworkKind::kIpv4;
  if (isIpv4 && sumBytes(ipHeader) != 0xFFFF) {
    return false;
  }
  if (isPending) {
    return true;
  }
  const ByteSpan segment = frame.subspan(l4Offset);
  const ByteSpan addresses = isIpv4 ? ipHeader.subspan(12, 8) : ipHeader.subspan(8, 32);
  const std::uint8_t protocol = transport == TransportKind::kTcp ? kIpProtocolTcp : kIpProtocolUdp;
  const std::uint64_t pseudo =
      pseudoHeaderSum(addresses, protocol, static_cast<std::uint32_t>(segment.size()));
  return foldSum(pseudo + sumBytes(segment)) == 0xFFFF;
}

}  // namespace

// NOLINTNEXTLINE(*-member-init): frames_, chains_ and parts_ are written before they are read.
Coalescer::Coalescer(const CoalesceOptions& options) : options_(options) {}

void Coalescer::add(void* vnet, MutableByteSpan frame, const FrameLayout& layout, bool isPending) {
  const Candidate candidate{vnet, frame, layout, isPending};
  if (layout.network == NetworkKind::kOther || hasGroupDestination(frame)) {
    addChain(candidate, false);
    return;
  }
  const FlowHash hash = hashFlow(candidate);
  if (layout.transport == TransportKind::kNone) {
    const std::uint32_t chainIndex = addChain(candidate, false);
    barriers_[hash.addresses] = chainIndex + 1;
    hasBarriers_ = true;
    return;
  }
  Slot* slot = findSlot(candidate, hash.flow);
  if (slot == nullptr) {  // Too many flows in one corner of the table: this one stays unmerged.
    addChain(candidate, false);
    return;
  }
  const bool isKnown = slot->generation == generation_;
  bool mayGrow = isMergeable(candidate);
  if (isKnown && mayGrow && slot->chain >= barriers_[hash.addresses]) {
    const AppendOutcome outcome = tryAppend(chains_[slot->chain], candidate);
    if (outcome == AppendOutcome::kAppended) {
      return;
    }
    mayGrow = outcome != AppendOutcome::kFrameBad;
  }
  const std::uint32_t chainIndex = addChain(candidate, mayGrow);
  // From here on only the newest chain of the flow can grow, so that no frame overtakes this one.
  if (isKnown || mayGrow) {
    *slot = {generation_, chainIndex};
  }
}

Coalescer::FlowHash Coalescer::hashFlow(const Candidate& candidate) const {
  const FrameLayout& layout = candidate.layout;
  const ByteSpan addresses = ipAddresses(candidate.frame, layout);
  std::uint64_t hash =
      mixWords(options_.hashSeed, reinterpret_cast<std::uintptr_t>(candidate.vnet));
  for (std::size_t at = 0; at < addresses.size(); at += 8) {
    hash = mixWords(hash, loadNative<std::uint64_t>(&addresses[at]));
  }
  const auto addressHash = static_cast<std::uint32_t>(hash >> 32U) % kBarrierCount;
  if (layout.transport == TransportKind::kNone) {
    return {addressHash, 0};
  }
  const auto ports = loadNative<std::uint32_t>(&candidate.frame[layout.l4Offset]);
  hash = mixWords(hash, (std::uint64_t{layout.ipProtocol} << 32U) | ports);
  return {addressHash, static_cast<std::uint32_t>(hash >> 32U) % kSlotCount};
}

// The flow's slot, or an empty one for it, or null when all within reach are other flows'.
Coalescer::Slot* Coalescer::findSlot(const Candidate& candidate, std::uint32_t flowHash) {
  for (std::uint32_t probe = 0; probe < kProbeMax; ++probe) {
    Slot& slot = slots_[(flowHash + probe) % kSlotCount];
    if (slot.generation != generation_ || isSameFlow(chains_[slot.chain], candidate)) {
      return &slot;
    }
  }
  return nullptr;
}

bool Coalescer::isSameFlow(const Chain& chain, const Candidate& candidate) const {
  const FrameLayout& layout = candidate.layout;
  if (chain.vnet != candidate.vnet || chain.l3Offset != layout.l3Offset ||
      chain.network != layout.network || chain.transport != layout.transport) {
    return false;
  }
  const std::byte* head = frames_[chain.firstFrame].data;
  const std::byte* next = candidate.frame.data();
  const bool isIpv4 = layout.network == NetworkKind::kIpv4;
  return isEqualBytes(head, next, layout.l3Offset) &&
         isEqualBytes(head + layout.l3Offset + (isIpv4 ? 12 : 8),
                      next + layout.l3Offset + (isIpv4 ? 12 : 8), isIpv4 ? 8 : 32) &&
         isEqualBytes(head + chain.l4Offset, next + layout.l4Offset, 4);
}

// May this frame be a part of a super-frame at all? It has a transport header.
bool Coalescer::isMergeable(const Candidate& candidate) const {
  const FrameLayout& layout = candidate.layout;
  const bool isTcp = layout.transport == TransportKind::kTcp;
  if (!(isTcp ? options_.tcp : options_.udp) || layout.lengthFit != LengthFit::kExact ||
      layout.hasExtensions || payloadBytesOf(layout) == 0 ||
      !areTagsSegmentable(candidate.frame.data(), layout.tagCount)) {
    return false;
  }
  const std::byte* l4 = &candidate.frame[layout.l4Offset];
  return isTcp ? isMergeableTcp(l4) : isMergeableUdp(l4, layout.packetEnd - layout.l4Offset);
}

Coalescer::AppendOutcome Coalescer::tryAppend(Chain& chain, const Candidate& candidate) {
  if (!doesContinue(chain, candidate)) {
    return AppendOutcome::kUnfit;
  }
  const FrameLayout& layout = candidate.layout;
  if (chain.headState == HeadState::kUnverified) {
    const Frame& head = frames_[chain.firstFrame];
    if (!areChecksumsRight({head.data, head.byteCount}, chain.l3Offset, chain.l4Offset,
                           chain.network, chain.transport, chain.isHeadPending)) {
      ++counts_.checksumBadFrames;
      return AppendOutcome::kUnfit;
    }
    chain.headState = HeadState::kVerified;
  }
  if (!areChecksumsRight(candidate.frame, layout.l3Offset, layout.l4Offset, layout.network,
                         layout.transport, candidate.isPending)) {
    ++counts_.checksumBadFrames;
    return AppendOutcome::kFrameBad;
  }
  const std::uint32_t payloadBytes = payloadBytesOf(layout);
  frames_[chain.lastFrame].next = frameCount_;
  chain.lastFrame = frameCount_;
  frames_[frameCount_++] = {candidate.frame.data(), layout.frameBytes, 0};
  ++chain.frameCount;
  chain.payloadBytes += payloadBytes;
  chain.isPushed = chain.transport == TransportKind::kTcp &&
                   (loadU8(&candidate.frame[layout.l4Offset + 13U]) & kTcpPush) != 0;
  const std::size_t frameMax =
      chain.transport == TransportKind::kTcp ? kCoalesceTcpFrames : kCoalesceUdpFrames;
  chain.isOpen = !chain.isPushed && payloadBytes == chain.gsoSize && chain.frameCount < frameMax;
  ++counts_.mergedFrames;
  return AppendOutcome::kAppended;
}

bool Coalescer::doesContinue(const Chain& chain, const Candidate& candidate) const {
  const FrameLayout& layout = candidate.layout;
  const std::uint32_t payloadBytes = payloadBytesOf(layout);
  if (!chain.isOpen || layout.headersEnd() != chain.headerBytes || payloadBytes > chain.gsoSize ||
      chain.headerBytes - chain.l3Offset + chain.payloadBytes + payloadBytes > kIpLengthMax) {
    return false;
  }
  const std::byte* head = frames_[chain.firstFrame].data;
  const std::byte* next = candidate.frame.data();
  return doesIpContinue(head + chain.l3Offset, next + chain.l3Offset, chain.network,
                        chain.frameCount) &&
         (chain.transport == TransportKind::kUdp ||
          doesTcpContinue(head + chain.l4Offset, next + chain.l4Offset, layout.l4HeaderBytes,
                          chain.payloadBytes));
}

std::uint32_t Coalescer::addChain(const Candidate& candidate, bool isOpen) {
  const FrameLayout& layout = candidate.layout;
  Chain& chain = chains_[chainCount_];
  chain.vnet = candidate.vnet;
  chain.firstFrame = frameCount_;
  chain.lastFrame = frameCount_;
  chain.frameCount = 1;
  chain.payloadBytes = payloadBytesOf(layout);
  chain.gsoSize = static_cast<std::uint16_t>(chain.payloadBytes);
  chain.l3Offset = static_cast<std::uint16_t>(layout.l3Offset);
  chain.l4Offset = static_cast<std::uint16_t>(layout.l4Offset);
  chain.headerBytes = static_cast<std::uint16_t>(layout.headersEnd());
  chain.network = layout.network;
  chain.transport = layout.transport;
  chain.headState = HeadState::kUnverified;
  chain.isHeadPending = candidate.isPending;
  chain.isPushed = isOpen && layout.transport == TransportKind::kTcp &&
                   (loadU8(&candidate.frame[layout.l4Offset + 13U]) & kTcpPush) != 0;
  chain.isOpen = isOpen && !chain.isPushed;
  frames_[frameCount_++] = {candidate.frame.data(),
                            static_cast<std::uint32_t>(candidate.frame.size()), 0};
  return chainCount_++;
}

// Makes the first frame's headers those of the whole; the frames behind it give their payloads.
void Coalescer::finishHeaders(const Chain& chain) {
  std::byte* frame = frames_[chain.firstFrame].data;
  std::byte* ip = frame + chain.l3Offset;
  std::byte* l4 = frame + chain.l4Offset;
  const std::uint32_t l4Bytes = chain.headerBytes - chain.l4Offset + chain.payloadBytes;
  const bool isTcp = chain.transport == TransportKind::kTcp;
  std::size_t addressesAt = 8;
  std::size_t addressesBytes = 32;
  if (chain.network == NetworkKind::kIpv4) {
    addressesAt = 12;
    addressesBytes = 8;
    storeU16(ip + 2, static_cast<std::uint16_t>(kIpv4HeaderBytes + l4Bytes));
    storeU16(ip + 10, 0);
    storeU16(ip + 10, checksumOf(sumBytes({ip, kIpv4HeaderBytes})));
  } else {
    storeU16(ip + 4, static_cast<std::uint16_t>(l4Bytes));
  }
  const std::uint8_t protocol = isTcp ? kIpProtocolTcp : kIpProtocolUdp;
  const std::uint16_t seed =
      foldSum(pseudoHeaderSum({ip + addressesAt, addressesBytes}, protocol, l4Bytes));
  if (isTcp) {
    storeU8(l4 + 13, static_cast<std::uint8_t>(loadU8(l4 + 13) | (chain.isPushed ? kTcpPush : 0U)));
    storeU16(l4 + kTcpChecksumOffset, seed);
  } else {
    storeU16(l4 + 4, static_cast<std::uint16_t>(l4Bytes));
    storeU16(l4 + kUdpChecksumOffset, seed);
  }
  const std::uint8_t tcpType =
      chain.network == NetworkKind::kIpv4 ? kVirtioGsoTcp4 : kVirtioGsoTcp6;
  outputHeader_ = {kVirtioNeedsChecksum, isTcp ? tcpType : kVirtioGsoUdpL4,
                   chain.headerBytes,    chain.gsoSize,
                   chain.l4Offset,       isTcp ? kTcpChecksumOffset : kUdpChecksumOffset};
}

CoalescedFrame Coalescer::buildOutput(std::uint32_t chainIndex) {
  const Chain& chain = chains_[chainIndex];
  const Frame& first = frames_[chain.firstFrame];
  outputHeader_ = {};
  std::uint32_t frameBytes = first.byteCount;
  parts_[0] = {&outputHeader_, sizeof outputHeader_};
  parts_[1] = {first.data, first.byteCount};
  if (chain.frameCount > 1) {
    finishHeaders(chain);
    frameBytes = chain.headerBytes + chain.payloadBytes;
    std::uint32_t frameIndex = chain.firstFrame;
    for (std::uint32_t part = 2; part <= chain.frameCount; ++part) {
      frameIndex = frames_[frameIndex].next;
      const Frame& frame = frames_[frameIndex];
      parts_[part] = {frame.data + chain.headerBytes, frame.byteCount - chain.headerBytes};
    }
  } else if (chain.isHeadPending) {
    outputHeader_ = {.flags = kVirtioNeedsChecksum,
                     .headerBytes = chain.headerBytes,
                     .checksumStart = chain.l4Offset,
                     .checksumOffset = chain.transport == TransportKind::kTcp ? kTcpChecksumOffset
                                                                              : kUdpChecksumOffset};
  }
  return {chain.vnet, outputHeader_, std::span<const iovec>(parts_).first(chain.frameCount + 1U),
          chain.frameCount, frameBytes};
}

void Coalescer::reset() {
  frameCount_ = 0;
  chainCount_ = 0;
  if (hasBarriers_) {
    barriers_.fill(0);
    hasBarriers_ = false;
  }
  // After 2³² batches a stale slot could look new.
  if (++generation_ == 0) {
    slots_.fill({});
    generation_ = 1;
  }
}

}  // namespace vnetd

// One virtual network of this host: its TAP, what each worker knows of it, its MAC tables and
// counters.
//
// Each part has one thread that writes it; the comments say which. Made and freed by the control
// thread, freed only after both workers have let go of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "control/messages.h"
#include "host/file-descriptor.h"
#include "path/datagram-sender.h"
#include "path/security-associations.h"
#include "tables/counters.h"
#include "tables/mac-table.h"
#include "tables/miss-limiter.h"
#include "wire/legacy.h"
#include "wire/vnet-id.h"

namespace vnetd {

// An Ethernet header and one VLAN tag: what a frame may have beyond the interface's MTU.
inline constexpr std::uint32_t kFrameOverheadBytes = 18;

// How the vnet's datagrams are protected: the `security` of messages.def.
enum class Security : std::uint8_t { kNone = 0, kAuth = 1, kConf = 2 };

struct VnetSettings {
  VnetId id;
  control::InterfaceName deviceName;
  Encapsulation encapsulation = Encapsulation::kUdp;
  std::uint32_t mtuBytes = 1500;
  std::uint32_t fdbLimit = 1;
  std::uint32_t vifLimit = 1;
  Security security = Security::kNone;
};

// Frames of one direction that vnetd wants to see (messages.def, StartCapture). A worker's own.
struct CaptureOrder {
  // Octets of each frame; 0: none is wanted.
  std::uint32_t snapBytes = 0;
  // Frames that found no room since the last one that did.
  std::uint32_t lost = 0;
};

// A worker's own copy of what it needs for each frame.
struct WorkerVnet {
  int tap = -1;
  std::uint32_t frameBytesMax = 0;
  Encapsulation encapsulation = Encapsulation::kUdp;
  Security security = Security::kNone;
};

struct Vnet {
  Vnet(const VnetSettings& initial, const HashKey& key)
      : settings(initial), fdb(key, initial.fdbLimit), vifs(key, initial.vifLimit), misses(key) {
    encodeFrameHeader(messageHeader, initial.id);
  }

  [[nodiscard]] WorkerVnet workerView() const {
    return {.tap = tap.get(),
            .frameBytesMax = settings.mtuBytes + kFrameOverheadBytes,
            .encapsulation = settings.encapsulation,
            .security = settings.security};
  }

  // Control thread.
  VnetSettings settings;
  FileDescriptor tap;
  // Never changes: the octets before every frame of this vnet.
  std::array<std::byte, kFrameMessageHeaderBytes> messageHeader{};

  // Written by the inbound thread, read by all.
  MacTable<Endpoint> fdb;
  // Written by the outbound thread, read by all.
  MacTable<NoValue> vifs;
  CounterSet counters;

  // Outbound thread.
  WorkerVnet outbound;
  // Null: a secure vnet sends nothing.
  std::unique_ptr<SendSa> sendSa;
  // Hosts that take frames whose checksum is not computed; sorted.
  std::vector<Endpoint> partialHosts;
  CaptureOrder captureOut;
  MissLimiter misses;
  // Inbound thread.
  WorkerVnet inbound;
  CaptureOrder captureIn;

  // Set by a worker for the control thread, which takes it back.
  std::atomic<bool> fdbWantsGrowth{false};
  std::atomic<bool> vifsWantGrowth{false};
  // The errno with which the TAP failed; 0 while it is well.
  std::atomic<int> tapError{0};
};

}  // namespace vnetd
